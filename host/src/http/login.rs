//! A browser says its token once: `/login` makes a session of it.
//!
//! The browser gets a random number in a cookie that no script sees (HttpOnly) and no other site has sent along
//! (SameSite=Strict), and never the token: cookies do not know ports, so other servers of the same host get them too.
//! Sessions live in memory and end with the daemon.

use super::answer::{Answer, Refusal, TEXT};
use super::args::decode_bytes;
use super::body::Upload;
use super::page::{escaped, frame};
use super::web::{Head, Web};
use crate::limits::{HTTP_SESSION_MAX, HTTP_SESSIONS_MAX, LOGIN_BYTES_MAX};
use crate::tokens::Rights;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Instant;
use warp::http::header::{ACCEPT, COOKIE, HeaderValue, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use warp::http::{HeaderMap, Method, StatusCode};

const FORM: &str = include_str!("page/login.html");

/// Browsers that said a token.
#[derive(Debug)]
pub(super) struct Sessions {
    /// The cookie's name: several daemons of a host each have theirs.
    name: String,
    /// By their numbers: what each may do, and since when.
    known: Mutex<HashMap<String, (Rights, Instant)>>,
}

impl Sessions {
    pub(super) fn new(port: u16) -> Sessions {
        Sessions { name: format!("graftd-{port}"), known: Mutex::default() }
    }

    /// What the session that a request brings allows.
    pub(super) fn rights(&self, headers: &HeaderMap) -> Option<Rights> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let mut pairs = cookies.flat_map(|cookie| cookie.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let number = pairs.find_map(|(name, number)| (name == self.name).then_some(number))?;
        // A table tells by its times how its numbers hash, at most; these are random.
        let known = self.known.lock();
        known.get(number).filter(|(_, since)| since.elapsed() < HTTP_SESSION_MAX).map(|(rights, _)| *rights)
    }

    /// A new session, as its cookie is set; `None` where the system has no random numbers.
    fn begin(&self, rights: Rights, secure: bool) -> Option<HeaderValue> {
        let mut random = [0; 32];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut random).ok()?;
        let mut number = String::with_capacity(64);
        for byte in random {
            // Writing to a String cannot fail.
            let _ = write!(number, "{byte:02x}");
        }
        let mut known = self.known.lock();
        known.retain(|_, (_, since)| since.elapsed() < HTTP_SESSION_MAX);
        if known.len() >= HTTP_SESSIONS_MAX {
            // Who said the token longest ago says it once more.
            let oldest = known.iter().min_by_key(|(_, (_, since))| *since).map(|(number, _)| number.clone());
            oldest.map(|oldest| known.remove(&oldest));
        }
        let cookie = format!(
            "{}={number}; Path=/; HttpOnly; SameSite=Strict{}",
            self.name,
            if secure { "; Secure" } else { "" }
        );
        known.insert(number, (rights, Instant::now()));
        HeaderValue::try_from(cookie).ok()
    }
}

/// Whether a refused request is a browser's, which can be asked for the token.
pub(super) fn can_ask(head: &Head, status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED
        && head.method == Method::GET
        && head
            .headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"))
}

/// The form, with a 401; `to` is where it leads.
pub(super) fn ask(to: &str, wrong: bool) -> Answer {
    let said = if wrong { "<p class=\"failing\">That is not a token of this daemon.</p>" } else { "" };
    let main = FORM.replace("{said}", said).replace("{to}", &escaped(to));
    let mut page = Answer::page(frame("Token", "", &main)).header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    page.status = StatusCode::UNAUTHORIZED;
    page
}

/// Takes the token of the form, and leads on.
///
/// # Errors
/// 4xx for a body that cannot be taken.
pub(super) async fn log_in(web: &Web, head: &Head, upload: &mut Upload) -> Result<Answer, Refusal> {
    if upload.has_no_length() {
        let why = "/login is to be told how long the form is: send Content-Length";
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, why));
    }
    if upload.announces_more_than(LOGIN_BYTES_MAX) {
        let why = "/login takes the fields token and to, and no more";
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let body = upload.read(web, head.arrival.peer.ip()).await?;
    let field = |name: &[u8]| {
        let mut pairs = body.bytes.split(|byte| *byte == b'&');
        pairs.find_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            (&pair[..at] == name).then(|| decode_bytes(&pair[at + 1..], true))
        })
    };
    let to = field(b"to").and_then(|to| String::from_utf8(to).ok()).filter(|to| is_own_path(to));
    let to = to.as_deref().unwrap_or("/");
    let leads = HeaderValue::try_from(to).unwrap_or(HeaderValue::from_static("/"));
    let answer = Answer::new(StatusCode::SEE_OTHER, TEXT, "").header(LOCATION, leads);
    if !web.guard.asks() {
        return Ok(answer);
    }
    let token = field(b"token").unwrap_or_default();
    let Some(rights) = web.guard.rights(token.trim_ascii()) else {
        web.shared.counters.http_refused.add(1);
        return Ok(ask(to, true));
    };
    let cookie = web.guard.sessions.begin(rights, head.arrival.secure);
    let cookie = cookie.ok_or_else(|| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the system gives no random numbers; send the token in a header")
    })?;
    Ok(answer.header(SET_COOKIE, cookie))
}

/// Whether this leads to a page of this very server: no browser takes it for another host's address.
fn is_own_path(to: &str) -> bool {
    to.starts_with('/') && !to.starts_with("//") && to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokens;

    #[test]
    fn a_session_is_known_by_its_cookie_alone() {
        let sessions = Sessions::new(8650);
        let rights = Tokens::one(Some("x")).rights(b"x").unwrap();
        let cookie = sessions.begin(rights, true).unwrap();
        let cookie = cookie.to_str().unwrap();
        let (pair, manners) = cookie.split_once(';').unwrap();
        assert_eq!(manners, " Path=/; HttpOnly; SameSite=Strict; Secure");
        let known = |cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.append(COOKIE, HeaderValue::from_str(cookie).unwrap());
            sessions.rights(&headers).is_some()
        };
        assert!(known(pair) && known(&format!("a=b; {pair}; c")));
        let number = pair.strip_prefix("graftd-8650=").unwrap();
        assert!(number.len() == 64 && !pair.contains('x'));
        for other in ["", "graftd-8650=", &format!("graftd-1={number}"), &pair[..pair.len() - 1], "graftd-8650=x"] {
            assert!(!known(other), "{other}");
        }
        for _ in 0..HTTP_SESSIONS_MAX {
            assert!(sessions.begin(rights, false).is_some());
        }
        assert_eq!(sessions.known.lock().len(), HTTP_SESSIONS_MAX);
        assert!(!known(pair), "the oldest made room");
    }

    #[test]
    fn it_leads_to_this_server_alone() {
        for (to, own) in [
            ("/", true),
            ("/modules?x=1", true),
            ("//evil", false),
            ("/\\evil", false),
            ("http://x", false),
            ("/ a", false),
        ] {
            assert_eq!(is_own_path(to), own, "{to}");
        }
    }
}

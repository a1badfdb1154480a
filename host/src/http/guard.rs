//! Who may ask.
//!
//! Reading is open on loopback only. But a web page that a user of this machine visits can make the browser ask here
//! too, by a name of its own that it points at 127.0.0.1 (DNS rebinding) or straight across sites. So on loopback the
//! `Host` must be a loopback name and the `Origin`, if there is one, the same; and no page of another site changes
//! anything anywhere. Where a token is set, a request has to bring one that allows what it asks: in a header, or as the
//! session of a browser that said it once.

use super::answer::Refusal;
use super::login::Sessions;
use crate::tokens::{Access, Rights, Tokens};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use warp::http::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use warp::http::{HeaderMap, Method, StatusCode};

/// Fetch Metadata: set by browsers, and not to be set by pages.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What a request must bring.
#[derive(Debug)]
pub(super) struct Guard {
    address: SocketAddr,
    tokens: Tokens,
    /// Browsers that said a token.
    pub(super) sessions: Sessions,
}

/// Paths that are open to everybody: whether the daemon is well, and what the page is made of that asks for a token.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/login", "/page.css"];

impl Guard {
    /// For a listener at this address.
    pub(super) fn new(address: SocketAddr, tokens: Tokens) -> Guard {
        Guard { address, tokens, sessions: Sessions::new(address.port()) }
    }

    /// What a token that somebody says allows.
    pub(super) fn rights(&self, token: &[u8]) -> Option<Rights> {
        self.tokens.rights(token)
    }

    /// Whether a token is asked for at all.
    pub(super) fn asks(&self) -> bool {
        self.tokens.ask_for(Access::Read) || self.tokens.ask_for(Access::Write)
    }

    /// Lets a request pass, or says why not.
    ///
    /// # Errors
    /// 403 for its host, its origin or the site it comes from, or what its token does not allow; 401 where it has none.
    pub(super) fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        let forbidden = |why: String| Err(Refusal::new(StatusCode::FORBIDDEN, why));
        if self.address.ip().is_loopback() {
            let mut hosts = headers.get_all(HOST).iter();
            let host = match (hosts.next().map(HeaderValue::to_str), hosts.next()) {
                (Some(Ok(host)), None) => host,
                _ => return forbidden(format!("there must be one Host header, such as Host: {}", self.address)),
            };
            if !self.is_own(host) {
                return forbidden(format!(
                    "Host: {host:?} is not a name of this machine, and a daemon on loopback answers to these alone; \
                     ask http://{}/ or http://localhost:{}/, or give it an address (http) and a token (token_file) in \
                     graftd.conf",
                    self.address,
                    self.address.port()
                ));
            }
            if let Some(origin) = headers.get(ORIGIN)
                && !is_same_origin(origin, host)
            {
                return forbidden(format!(
                    "Origin: {origin:?} is another site than Host: {host:?}, and no other site's page may ask this \
                     daemon; open http://{host}/ itself, or ask from a program"
                ));
            }
        }
        if *method != Method::GET
            && *method != Method::HEAD
            && headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site")
        {
            return forbidden(format!(
                "a page of another site may not {method} {path}; do it from this daemon's own pages"
            ));
        }
        let access = if matches!(*method, Method::GET | Method::HEAD) { Access::Read } else { Access::Write };
        if !self.tokens.ask_for(access) || OPEN.contains(&path) {
            return Ok(());
        }
        let (rights, by_browser) = match headers.get(AUTHORIZATION) {
            Some(said) => (bearer(said).and_then(|token| self.tokens.rights(token)), false),
            None => (self.sessions.rights(headers), true),
        };
        let Some(rights) = rights else {
            let why = "this daemon asks for its token; send the header Authorization: Bearer TOKEN, with what is in the file \
                       that token_file in graftd.conf names";
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, why)
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        };
        if !rights.allow(access) {
            let (may, file) = match access {
                Access::Read => ("this token pushes and switches, and does not read", "read_token_file"),
                Access::Write => ("this token reads, and neither pushes nor switches", "write_token_file"),
            };
            return forbidden(format!("{may}; take that of {file} or token_file in graftd.conf"));
        }
        // A browser sends its session along with whatever another port's page of the same host has it send.
        if by_browser && access == Access::Write {
            let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            if !headers.get(ORIGIN).is_some_and(|origin| is_same_origin(origin, host)) {
                return forbidden(format!(
                    "a browser's session may {method} {path} from this daemon's own pages alone"
                ));
            }
        }
        Ok(())
    }

    /// Whether a `Host` means this machine whatever a resolver says: a name that is loopback by definition (RFC 6761,
    /// RFC 1122), or the address itself.
    fn is_own(&self, host: &str) -> bool {
        if host == self.address.to_string() {
            return true;
        }
        let name = match host.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((name, port)) if port.is_empty() || is_port(port.strip_prefix(':')) => {
                    return name.parse::<Ipv6Addr>().is_ok_and(|ip| self.is_own_ip(ip.into()));
                }
                _ => return false,
            },
            None => match host.split_once(':') {
                Some((name, port)) if is_port(Some(port)) => name,
                Some(_) => return false,
                None => host,
            },
        };
        name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("localhost")
            || name.parse::<Ipv4Addr>().is_ok_and(|ip| self.is_own_ip(ip.into()))
    }

    fn is_own_ip(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || ip == self.address.ip()
    }
}

fn is_port(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.is_empty() || text.parse::<u16>().is_ok())
}

fn is_same_origin(origin: &HeaderValue, host: &str) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    site.is_some_and(|site| site.eq_ignore_ascii_case(host))
}

/// The token in a header.
fn bearer(given: &HeaderValue) -> Option<&[u8]> {
    // The scheme's name is of any case (RFC 9110, 11.1).
    let (scheme, given) = given.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| given.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use warp::http::HeaderName;

    fn status(address: &str, token: Option<&str>, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let guard = Guard::new(address.parse().unwrap(), Tokens::one(token));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        guard.check(&method.parse().unwrap(), path, &map).map_or_else(|refusal| refusal.status().as_u16(), |()| 200)
    }

    #[test]
    fn on_loopback_only_its_own_names_are_answered() {
        for (host, want) in [
            ("localhost", 200),
            ("LocalHost:8650", 200),
            ("localhost.:1", 200),
            ("127.0.0.1:8650", 200),
            ("127.9.9.9", 200),
            ("[::1]:8650", 200),
            ("[::1]", 200),
            ("evil.example", 403),
            ("evil.example:8650", 403),
            ("127.0.0.1.evil.example", 403),
            ("localhost.evil.example", 403),
            ("localhost@evil.example", 403),
            ("localhost:8650:1", 403),
            ("127.0.0.1:http", 403),
            ("[::1", 403),
            ("[::1]x", 403),
            ("[::2]", 403),
            ("10.0.0.1:8650", 403),
            ("", 403),
        ] {
            assert_eq!(status("127.0.0.1:8650", None, "GET", "/get/", &[("host", host)]), want, "{host}");
        }
        assert_eq!(status("127.0.0.1:8650", None, "GET", "/", &[]), 403);
        assert_eq!(status("127.0.0.1:8650", None, "GET", "/", &[("host", "localhost"), ("host", "evil")]), 403);
        assert_eq!(status("[::1]:8650", None, "GET", "/", &[("host", "[::1]:8650")]), 200);
        assert_eq!(status("10.0.0.1:8650", None, "GET", "/", &[("host", "fleet.example")]), 200);
    }

    #[test]
    fn no_other_site_asks_or_changes() {
        let ask = |method: &str, origin: &'static str, site: &'static str| {
            let mut headers = vec![("host", "localhost:8650")];
            headers
                .extend([("origin", origin), ("sec-fetch-site", site)].iter().filter(|(_, value)| !value.is_empty()));
            status("127.0.0.1:8650", None, method, "/push", &headers)
        };
        assert_eq!(ask("POST", "", ""), 200);
        assert_eq!(ask("POST", "http://localhost:8650", "same-origin"), 200);
        assert_eq!(ask("POST", "http://localhost:8651", "same-site"), 403);
        assert_eq!(ask("POST", "http://127.0.0.1:8650", ""), 403);
        assert_eq!(ask("POST", "null", ""), 403);
        assert_eq!(ask("GET", "http://evil.example", ""), 403);
        assert_eq!(ask("GET", "", "cross-site"), 200);
        assert_eq!(ask("POST", "", "cross-site"), 403);
        assert_eq!(status("10.0.0.1:1", None, "POST", "/push", &[("sec-fetch-site", "cross-site")]), 403);
    }

    #[test]
    fn a_token_is_asked_for_everywhere_but_for_health() {
        let with = |path, authorization| {
            let headers: Vec<_> = [("host", "localhost")].into_iter().chain(authorization).collect();
            status("127.0.0.1:8650", Some("0123456789abcdef"), "GET", path, &headers)
        };
        assert_eq!(with("/get/", None), 401);
        assert_eq!(with("/healthz", None), 200);
        assert_eq!(with("/readyz", None), 200);
        assert_eq!(with("/get/", Some(("authorization", "Bearer 0123456789abcdef"))), 200);
        assert_eq!(with("/get/", Some(("authorization", "bearer 0123456789abcdef"))), 200);
        for bad in
            ["Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Basic 0123456789abcdef", "Bearer", "B", "Bearer é"]
        {
            assert_eq!(with("/get/", Some(("authorization", bad))), 401, "{bad}");
        }
    }
}

//! Requests to a store.

use crate::conf::{StoreConf, read_text};
use crate::limits::{STORE_ANSWER_BYTES_MAX, STORE_RETRY_AFTER_MAX, STORE_TIMEOUT};
use serde::Deserialize;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use ureq::http::header::{AUTHORIZATION, RETRY_AFTER};
use ureq::http::{HeaderMap, HeaderValue, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, RequestBuilder};

/// Bytes that are read of an answer that says what is wrong.
const WHY_BYTES: u64 = 4_096;

/// Where history is written and asked for.
#[derive(Debug)]
pub(crate) struct Store {
    agent: Agent,
    conf: StoreConf,
}

/// Why a store has not taken what it was sent.
#[derive(Debug, PartialEq)]
pub(super) enum WriteError {
    /// It may take it later; after a time, if it says so.
    Later(String, Option<Duration>),
    /// It will never.
    Never(String),
}

impl Store {
    /// As it is configured.
    ///
    /// # Errors
    /// Its certificates cannot be read.
    pub(crate) fn new(conf: StoreConf) -> Result<Store, String> {
        let secure =
            |url: &Option<String>| url.as_ref().is_some_and(|url| url.to_ascii_lowercase().starts_with("https:"));
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(STORE_TIMEOUT))
            .max_redirects(0)
            .user_agent(concat!("graftd/", env!("CARGO_PKG_VERSION")))
            .proxy(None);
        if secure(&Some(conf.write.clone())) || secure(&conf.read) {
            let tls = TlsConfig::builder()
                .root_certs(roots(conf.ca.as_deref())?)
                .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
            config = config.tls_config(tls.build());
        }
        Ok(Store { agent: config.build().into(), conf })
    }

    /// Has a packed request written.
    pub(super) fn write(&self, body: &[u8]) -> Result<(), WriteError> {
        let url = &self.conf.write;
        let later = |why: String| WriteError::Later(format!("{url}: {why}"), None);
        let request = self
            .authorised(self.agent.post(url))
            .map_err(later)?
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0");
        let mut response = request.send(body).map_err(|error| later(error.to_string()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let after = retry_after(response.headers(), SystemTime::now());
        let why = format!("{url} answered {status}: {}", said(&mut response));
        // It may not be the request's fault: what is wrong with a name, an address or a password can be put right.
        let is_ours =
            status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 404 | 405 | 407 | 408 | 421 | 425 | 429);
        Err(if is_ours { WriteError::Never(why) } else { WriteError::Later(why, after) })
    }

    /// Asks something that is answered by JSON: `call` is `query`, `query_range` or `series`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub(super) fn ask<'j, T: Deserialize<'j>>(
        &self,
        call: &str,
        arguments: &[(&str, &str)],
        body: &'j mut Vec<u8>,
    ) -> Result<T, String> {
        let base = self.conf.read.as_deref().ok_or("no store is named by \"read\"")?;
        let url = format!("{base}/api/v1/{call}");
        let told = |why: String| format!("{url}: {why}");
        let request = self.authorised(self.agent.post(&url)).map_err(told)?;
        let mut response = request.send_form(arguments.iter().copied()).map_err(|error| told(error.to_string()))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(format!("{url} answered {status}: {}", said(&mut response)));
        }
        let read = response.body_mut().with_config().limit(STORE_ANSWER_BYTES_MAX).read_to_vec();
        *body = read.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => told(format!(
                "its answer is larger than {STORE_ANSWER_BYTES_MAX} bytes; ask for a longer step, a shorter time or fewer keys"
            )),
            error => told(error.to_string()),
        })?;
        let answer: Answer<T> =
            serde_json::from_slice(body).map_err(|error| told(format!("no answer of a store: {error}")))?;
        answer.data.ok_or_else(|| told(answer.error.unwrap_or_else(|| "no data".to_owned())))
    }

    /// With what is sent along, and by whom it is.
    fn authorised<B>(&self, mut request: RequestBuilder<B>) -> Result<RequestBuilder<B>, String> {
        for (name, value) in &self.conf.headers {
            request = request.header(name, value);
        }
        let secret = |name: &str, file: &Path| -> Result<String, String> {
            let open = File::open(file).map_err(|error| format!("{name} {}: {error}", file.display()))?;
            let text = read_text(&open, file).map_err(|why| format!("{name} {why}"))?;
            Ok(text.trim().to_owned())
        };
        let value = match (&self.conf.token_file, &self.conf.password_file) {
            (Some(file), _) => format!("Bearer {}", secret("token_file", file)?),
            (None, Some(file)) => format!("Basic {}", base64(secret("password_file", file)?.as_bytes())),
            (None, None) => return Ok(request),
        };
        // The text of it stands in no message.
        let mut value =
            HeaderValue::from_str(&value).map_err(|_| "the token or password has what cannot be sent".to_owned())?;
        value.set_sensitive(true);
        Ok(request.header(AUTHORIZATION, value))
    }
}

/// Any answer to a question.
#[derive(Deserialize)]
struct Answer<T> {
    data: Option<T>,
    error: Option<String>,
}

/// What an answer says that is none: the error in it, or its beginning, as one line.
fn said(response: &mut ureq::http::Response<ureq::Body>) -> String {
    let mut bytes = Vec::new();
    // What cannot be read says nothing.
    let _ =
        std::io::Read::read_to_end(&mut std::io::Read::take(response.body_mut().as_reader(), WHY_BYTES), &mut bytes);
    let error = serde_json::from_slice::<Answer<serde::de::IgnoredAny>>(&bytes).ok().and_then(|answer| answer.error);
    let text = error.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

/// How long a store wants to be left alone.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?,
    };
    Some(after.min(STORE_RETRY_AFTER_MAX))
}

/// The certificates that a store's may be signed by.
fn roots(ca: Option<&Path>) -> Result<RootCerts, String> {
    let certificates: Vec<Certificate<'static>> = match ca {
        None => {
            let found = rustls_native_certs::load_native_certs().certs;
            found.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
        }
        Some(file) => {
            let told = |why: &dyn std::fmt::Display| format!("ca {}: {why}", file.display());
            let open = File::open(file).map_err(|error| told(&error))?;
            let text = read_text(&open, file).map_err(|why| told(&why))?;
            let items: Result<Vec<PemItem<'_>>, _> = parse_pem(text.as_bytes()).collect();
            let items = items.map_err(|error| told(&error))?;
            let certificates = items.into_iter().filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
            certificates.collect()
        }
    };
    match (certificates.is_empty(), ca) {
        (false, _) => Ok(RootCerts::new_with_certs(&certificates)),
        (true, Some(file)) => Err(format!("ca {}: has no certificate", file.display())),
        (true, None) => {
            Err("this system has no certificates of authorities; install ca-certificates, or name a file by \"ca\""
                .into())
        }
    }
}

/// As RFC 4648 has it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let all = three.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_as_the_standard_says() {
        for (text, want) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("é:ß", "w6k6w58=")]
        {
            assert_eq!(base64(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn a_store_is_left_alone_as_long_as_it_wants_but_not_for_ever() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).expect("a value"));
            retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770))
        };
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("99999999"), Some(STORE_RETRY_AFTER_MAX));
        assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(of("soon"), None);
    }
}

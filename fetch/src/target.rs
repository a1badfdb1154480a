//! Where a request goes, as its URL says.

use crate::limits::URL_BYTES_MAX;
use std::path::{Path, PathBuf};
use ureq_proto::http::Uri;

/// A URL that can be asked.
#[derive(Clone, Debug)]
pub struct Target {
    uri: Uri,
    host: String,
    port: u16,
    tls: bool,
    socket: Option<PathBuf>,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// It has no scheme, another than `http` and `https`, or no host; or is no URL. In words that name what is wrong, but not the
    /// URL.
    pub fn parse(url: &str) -> Result<Target, String> {
        if url.len() > URL_BYTES_MAX {
            return Err(format!("has more than {URL_BYTES_MAX} bytes"));
        }
        if !url.contains("://") {
            return Err("has no scheme: it must begin with \"http://\" or \"https://\"".to_owned());
        }
        let url = url.split('#').next().unwrap_or_default();
        match url.parse() {
            Ok(uri) => Target::of(&uri),
            Err(_) if !url.is_ascii() => {
                Err("has letters that a URL cannot have: write them as %C3%A9, those of a host as xn--".to_owned())
            }
            Err(error) => Err(format!("is no URL: {error}")),
        }
    }

    /// What a URL that has been read says.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub fn of(uri: &Uri) -> Result<Target, String> {
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(other) => return Err(format!("has the scheme {other:?}: it must be \"http\" or \"https\"")),
            None => return Err("has no scheme".to_owned()),
        };
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err("has no host".to_owned());
        }
        // What stands behind the host is a port or nothing; `Uri` takes more than that.
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let behind = authority.rsplit(['@', ']']).next().unwrap_or_default();
        let port = match behind.rsplit_once(':').map(|(_, port)| port) {
            None | Some("") => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(port) => match port.parse() {
                Ok(port @ 1..) => port,
                _ => return Err(format!("has the port {port:?}: it must be 1 to 65535")),
            },
        };
        Ok(Target { uri: uri.clone(), host: host.to_owned(), port, tls, socket: None })
    }

    /// The same by a Unix socket: the host is then only what the server is told.
    #[must_use]
    pub fn at_socket(self, socket: &Path) -> Target {
        Target { socket: Some(socket.to_owned()), ..self }
    }

    /// The URL.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The host: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the URL leaves it to its scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is to be asked by TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether another is at the same host and port, by the same scheme.
    #[must_use]
    pub fn is_same_place(&self, other: &Target) -> bool {
        self.tls == other.tls && self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }

    /// The Unix socket, if it is at one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_go() {
        for (url, host, port, tls) in [
            ("http://a.example", "a.example", 80, false),
            ("https://a.example/x?y=1#z", "a.example", 443, true),
            ("http://user:secret@a.example:8080/", "a.example", 8080, false),
            ("https://[2001:db8::1]/", "2001:db8::1", 443, true),
            ("https://[::1]:8443", "::1", 8443, true),
        ] {
            let target = Target::parse(url).unwrap_or_else(|why| panic!("{url} {why}"));
            assert_eq!((target.host(), target.port(), target.is_tls()), (host, port, tls), "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_told_why() {
        for (url, why) in [
            ("a.example", "no scheme"),
            ("a.example:80", "no scheme"),
            ("", "no scheme"),
            ("ftp://a.example/", "the scheme \"ftp\""),
            ("http://", "is no URL"),
            ("http:///x", "is no URL"),
            ("http://a b/", "is no URL"),
            ("http://a:70000/", "the port \"70000\""),
            ("http://a:0/", "the port \"0\""),
            ("http://käse.example/", "xn--"),
            ("http://[::1/", "is no URL"),
        ] {
            let said = Target::parse(url).err().unwrap_or_else(|| panic!("{url} is taken"));
            assert!(said.contains(why), "{url}: {said}");
        }
        assert!(Target::parse(&format!("http://a/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }
}

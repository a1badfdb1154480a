//! A client of the daemon's HTTP.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Request;

use crate::PATIENCE;

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header's value; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is no JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The tick that the answer is of.
    ///
    /// # Panics
    /// It does not say.
    #[must_use]
    #[track_caller]
    pub fn tick(&self) -> u64 {
        self.header("x-tick").parse().unwrap_or_else(|_| panic!("no X-Tick: {self:?}"))
    }

    /// Itself, if it is a success.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn good(self) -> Answer {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// Checks that it has this status and that all of these words are in its body.
    ///
    /// # Panics
    /// It has another, or does not say so.
    #[track_caller]
    pub fn refused(&self, status: u16, words: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        for word in words {
            assert!(self.body.contains(word), "{word:?} is not said: {self:?}");
        }
    }
}

/// A path as it stands in a URL's query.
#[must_use]
pub fn encode(path: &str) -> String {
    form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>().replace('+', "%20").replace("%2C", ",")
}

/// A client of its own: no connection is shared between two of them.
fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(PATIENCE))
        // Longer than any wait of /pull/.
        .timeout_recv_response(Some(PATIENCE + Duration::from_secs(30)))
        .proxy(None)
        .build();
    config.into()
}

/// One client: its requests share connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    address: SocketAddr,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        Client { agent: agent(), address }
    }

    #[track_caller]
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let (status, headers, mut reader) = self.open(method, path, headers, body);
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .unwrap_or_else(|error| panic!("{method} {path}: the answer is cut off: {error}"));
        Answer { status, headers, body: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// As `request`, with the body still to be read.
    #[track_caller]
    pub(crate) fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, Vec<(String, String)>, impl Read + Send + 'static) {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // What announces a body and has none is never done with sending it.
        let answer = if matches!(method, "POST" | "PUT") || !body.is_empty() {
            self.agent.run(request.body(body).expect("a request"))
        } else {
            self.agent.run(request.body(()).expect("a request"))
        };
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or("?").to_owned()));
        (answer.status().as_u16(), headers.collect(), answer.into_body().into_reader())
    }
}

/// A request that has been sent on a connection of its own, and is still to be answered.
#[derive(Debug)]
pub struct Asked {
    stream: TcpStream,
}

impl Asked {
    #[track_caller]
    pub(crate) fn send(address: SocketAddr, head: &str) -> Asked {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(head.as_bytes()).expect("the head is taken");
        Asked { stream }
    }

    /// Sends more of the body. A server that has heard enough may have closed the connection.
    pub(crate) fn send_more(&mut self, chunk: &[u8]) -> bool {
        self.stream.write_all(chunk).is_ok()
    }

    /// Reads the answer to its end.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    #[track_caller]
    pub fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        let end = self.stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { panic!("no answer ({end:?}): {text:?}") };
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        Answer {
            status: status.unwrap_or_else(|| panic!("no status: {text:?}")),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: body.to_owned(),
        }
    }
}

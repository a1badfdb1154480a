//! A client of HTTP/1.1 that costs little itself, on one connection: the same for our daemon and for its peers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Http<S: Read = TcpStream> {
    stream: BufReader<S>,
    address: SocketAddr,
}

impl Http {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Http> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Http::over(stream, address))
    }
}

impl<S: Read + Write> Http<S> {
    /// On a connection to there.
    pub(crate) fn over(stream: S, address: SocketAddr) -> Http<S> {
        Http { stream: BufReader::with_capacity(64 * 1024, stream), address }
    }

    /// The bytes of a request.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let mut bytes =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{length}{headers}\r\n", self.address).into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(request)
    }

    /// Sends a request; the body, if the answer is a success.
    pub(crate) fn good(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, String> {
        let request = self.request(method, path, "", body);
        self.send(&request).map_err(|error| format!("{method} {path}: {error}"))?;
        let (status, body) = self.answer().map_err(|error| format!("{method} {path}: {error}"))?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        Err(format!("{method} {path}: {status} {said}"))
    }

    /// Reads an answer to its end.
    pub(crate) fn answer(&mut self) -> io::Result<(u16, Vec<u8>)> {
        let (status, length) = self.head()?;
        let mut body = Vec::new();
        match length {
            Some(length) => {
                body.resize(length, 0);
                self.stream.read_exact(&mut body)?;
            }
            None => while self.chunk(&mut body)? {},
        }
        Ok((status, body))
    }

    /// Reads a head: the status, and the body's length, which is none where it comes in chunks.
    pub(crate) fn head(&mut self) -> io::Result<(u16, Option<usize>)> {
        let (mut status, mut length) = (0, None);
        let (mut line, mut chunked) = (Vec::new(), false);
        loop {
            line.clear();
            if self.stream.read_until(b'\n', &mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let text = line.trim_ascii_end();
            if text.is_empty() {
                break;
            }
            if status == 0 {
                status = number(text.get(9..12).unwrap_or_default());
            } else if let Some(colon) = memchr::memchr(b':', text) {
                let (name, value) = (&text[..colon], text[colon + 1..].trim_ascii());
                if name.eq_ignore_ascii_case(b"content-length") {
                    length = Some(number(value));
                } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                    chunked = true;
                }
            }
        }
        let bodiless = matches!(status, 204 | 304);
        Ok((status as u16, if chunked { None } else { Some(if bodiless { 0 } else { length.unwrap_or(0) }) }))
    }

    /// Reads a chunk; `false` when it was the last.
    fn chunk(&mut self, body: &mut Vec<u8>) -> io::Result<bool> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("no chunk: {line:?}")))?;
        let at = body.len();
        body.resize(at + length, 0);
        self.stream.read_exact(&mut body[at..])?;
        self.stream.read_exact(&mut [0; 2])?;
        Ok(length > 0)
    }
}

fn number(digits: &[u8]) -> usize {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

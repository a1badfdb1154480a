//! By TCP: a document a line. The daemon says nothing of good ones.

use super::{Faults, Place, Sum, Way, documents_were};
use crate::cli::Failure;
use crate::cli::client::Server;
use crate::cli::show::printable;
use crate::limits::{PUSH_ANSWER_MAX, PUSH_CONNECT_MAX, PUSH_FAULTS_MAX};
use crate::tls::Stream;
use serde_json::{Value, json};
use std::io;
use std::net::ToSocketAddrs;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Bytes of an answer that are read: a line of it is some hundred.
const ANSWER_BYTES: u64 = 1024 * 1024;

/// What the daemon says where a token is missing or wrong begins so.
const FIRST_LINE: &str = "the first line must be";

/// What the daemon said was wrong: the first of it, and how much.
#[derive(Debug, Default)]
struct Said {
    first: Vec<String>,
    count: u64,
    /// Why it ended the connection, if it was for that and not for ours.
    end: Option<String>,
}

/// A connection.
pub(super) struct Tcp {
    to: String,
    runtime: Runtime,
    write: WriteHalf<Stream>,
    /// Reads while is written: else both sides would wait for each other.
    read: Option<JoinHandle<Said>>,
    line: Vec<u8>,
    sent: u64,
    /// What is to be said where the daemon does not know the token.
    unknown: Failure,
}

impl Tcp {
    /// Connects, and says the token where there is one.
    ///
    /// # Errors
    /// Nobody answers there, or nobody that is to be believed.
    pub(super) fn connect(to: &str, server: &Server) -> Result<Tcp, Failure> {
        let (secure, address) = match to.split_once("://") {
            Some(("tls", address)) => (true, address),
            Some(("tcp", address)) => (false, address),
            Some(_) => return Err(Failure::usage(format_args!("--to {to}: begins with tcp://, tls:// or nothing"))),
            None => (false, to),
        };
        let address = address.trim_end_matches('/');
        let Some((host, _)) =
            address.rsplit_once(':').filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        else {
            return Err(Failure::usage(format_args!("--to {to}: is no HOST:PORT, such as 127.0.0.1:8651")));
        };
        if !secure {
            server.trust().check_for_plain(to)?;
        }
        let connector = secure.then(|| server.trust().connector()).transpose()?;
        let token = server.token()?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::work(format_args!("no thread: {error}")))?;
        let connected = runtime.block_on(async {
            timeout(PUSH_CONNECT_MAX, async {
                let mut last = io::Error::other("the name has no address");
                for address in address.to_socket_addrs()? {
                    match TcpStream::connect(address).await {
                        Ok(stream) => {
                            return match &connector {
                                Some(connector) => connector.connect(stream, host).await,
                                None => Ok(Stream::Plain(stream)),
                            };
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            })
            .await
        });
        let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| {
            let said = error.to_string();
            let hint = server.trust().hint(&said).unwrap_or_else(|| "does `graftd run` run there?".to_owned());
            Failure::work(format_args!("{to} does not answer: {said}; {hint}"))
        })?;
        let (read, write) = split(stream);
        let read = Some(runtime.spawn(answers(read)));
        let mut tcp =
            Tcp { to: to.to_owned(), runtime, write, read, line: Vec::new(), sent: 0, unknown: server.unknown() };
        if let Some(token) = token {
            tcp.line = json!({ "token": token }).to_string().into_bytes();
            tcp.write_line()?;
        }
        Ok(tcp)
    }

    fn write_line(&mut self) -> Result<(), Failure> {
        self.line.push(b'\n');
        let written = self.runtime.block_on(async {
            self.write.write_all(&self.line).await?;
            self.write.flush().await
        });
        written.map_err(|error| {
            let said = self.said(PUSH_ANSWER_MAX).unwrap_or_default();
            let why =
                said.end.as_ref().or(said.first.first()).map_or_else(|| error.to_string(), |said| printable(said));
            Failure::work(format_args!(
                "{} ended the connection: {} ({} sent before)",
                self.to,
                self.in_our_words(&why),
                documents_were(self.sent)
            ))
        })
    }

    /// What the daemon says of a token, as it is mended here.
    fn in_our_words(&self, said: &str) -> String {
        if said.starts_with(FIRST_LINE) { self.unknown.to_string() } else { said.to_owned() }
    }

    /// What the daemon says until it ends the connection; none if it does not end it.
    fn said(&mut self, patience: Duration) -> Option<Said> {
        let read = self.read.take()?;
        let said = self.runtime.block_on(async { timeout(patience, read).await });
        said.ok().and_then(Result::ok)
    }
}

impl Way for Tcp {
    fn send(&mut self, document: &[u8], _: &Place, _: &mut Faults<'_>) -> Result<(), Failure> {
        self.line.clear();
        // Ends of lines stand between what a document is made of alone, never in it.
        self.line.extend(document.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        self.write_line()?;
        self.sent += 1;
        Ok(())
    }

    fn pause(&mut self, _: &mut Faults<'_>) -> Result<(), Failure> {
        // Each went at once.
        Ok(())
    }

    fn finish(&mut self, faults: &mut Faults<'_>) -> Result<Sum, Failure> {
        let (to, sent) = (self.to.clone(), self.sent);
        let unknown = move |why: &dyn std::fmt::Display| {
            Failure::work(format_args!(
                "{to}: {why}; {} sent, and how many of them were taken is not known",
                documents_were(sent)
            ))
        };
        // Who has ended the connection before has not read all of it.
        let early = self.read.as_ref().is_some_and(JoinHandle::is_finished);
        let shut = self.runtime.block_on(self.write.shutdown());
        let Some(said) = self.said(PUSH_ANSWER_MAX) else {
            return Err(unknown(&format_args!("it has not read them within {} s", PUSH_ANSWER_MAX.as_secs())));
        };
        if let Some(why) = &said.end {
            return Err(unknown(&self.in_our_words(&printable(why))));
        }
        if early || shut.is_err() {
            return Err(unknown(&"it ended the connection"));
        }
        said.first.iter().for_each(|said| faults.say(&format!("{}: {}", self.to, printable(said))));
        faults.unnamed += said.count - said.first.len() as u64;
        Ok(Sum { documents: self.sent.saturating_sub(said.count), rejected: said.count, ..Sum::default() })
    }
}

/// Reads what the daemon says, to its end.
async fn answers(read: ReadHalf<Stream>) -> Said {
    let mut said = Said::default();
    let mut lines = BufReader::new(read.take(ANSWER_BYTES)).lines();
    loop {
        let line = match lines.next_line().await {
            Ok(Some(line)) => line,
            // By TLS an end may come without a word.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                said.end = said.end.or_else(|| Some(format!("the connection broke: {error}")));
                break;
            }
            Ok(None) | Err(_) => break,
        };
        if line.starts_with("HTTP/1.") {
            said.end = Some("that speaks HTTP: use --url http://HOST:PORT rather than --to".to_owned());
            break;
        }
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        if answer.get("end").and_then(Value::as_bool) == Some(true) {
            said.end = answer.get("error").and_then(Value::as_str).map(ToOwned::to_owned);
        }
        said.count += answer.get("more").and_then(Value::as_u64).unwrap_or(1);
        if said.first.len() < PUSH_FAULTS_MAX {
            said.first.push(answer.get("error").and_then(Value::as_str).unwrap_or(&line).to_owned());
        }
    }
    said
}

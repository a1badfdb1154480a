//! What a worker says, and its keeper of its end: the bodies of their [messages](super::wire).

use super::declared::Declared;
use super::limits::TEXT_BYTES_MAX;
use super::wire::tag;
use plugin_api::{Error, ErrorKind, Field, Fields, limits::cut};

/// The version of this protocol. Both sides are of one build unless a file was replaced while the daemon runs.
const PROTOCOL: u32 = 3;

/// The first words of a worker: which protocol it speaks, and which graftd it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol's version.
    pub protocol: u32,
    /// The program's version.
    pub version: String,
}

impl Hello {
    /// This binary's.
    #[must_use]
    pub fn ours() -> Hello {
        Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned() }
    }

    /// The body of the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.protocol.to_le_bytes().to_vec();
        bytes.extend_from_slice(cut(&self.version, 64).as_bytes());
        bytes
    }

    /// Reads the body.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(body: &[u8]) -> Result<Hello, &'static str> {
        let (protocol, version) = body.split_first_chunk::<4>().ok_or("a cut greeting")?;
        let version = std::str::from_utf8(version).map_err(|_| "a greeting that is no text")?;
        Ok(Hello { protocol: u32::from_le_bytes(*protocol), version: one_line(version) })
    }

    /// Whether the daemon can work with it.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn accept(&self) -> Result<(), String> {
        let ours = Hello::ours();
        if self.protocol == ours.protocol {
            return Ok(());
        }
        Err(format!(
            "graftd {} for workers speaks protocol {}, this graftd {} speaks {}: restart the daemon",
            self.version, self.protocol, ours.version, ours.protocol
        ))
    }
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Its first words.
    Hello(Hello),
    /// What is to be given back to it at the next start of the same file: the message's body.
    Keep,
    /// The library is open, and this is what it says of itself; the module's `new` comes next.
    Loaded(Box<Declared>),
    /// The module is made.
    Ready {
        /// It is a pipe; a collector otherwise.
        is_pipe: bool,
        /// The fields that a pipe reads.
        wants: Fields,
    },
    /// So many batches are folded.
    Done(u32),
    /// A flush or a sample: the message's body. It is still to be checked.
    Frame,
    /// A sample of which this failed; the rest is a frame at the end of the body, from this byte on.
    Partly {
        /// What failed.
        error: Error,
        /// Where the frame begins in the body.
        frame_at: usize,
    },
    /// The module said so.
    Failed(Error),
    /// The worker could not be set up, before the plugin was touched.
    Fault(String),
}

impl Reply {
    /// Reads a message.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn decode(tag: u8, body: &[u8]) -> Result<Reply, &'static str> {
        Ok(match tag {
            tag::HELLO => Reply::Hello(Hello::decode(body)?),
            tag::LOADED => Reply::Loaded(serde_json::from_slice(body).map_err(|_| "what no plugin says of itself")?),
            tag::READY => {
                let (is_pipe, wants) = body.split_first().ok_or("a cut message")?;
                let wants = wants.first_chunk::<4>().ok_or("a cut message")?;
                let is_pipe = match is_pipe {
                    0 => false,
                    1 => true,
                    _ => return Err("a module that is neither pipe nor collector"),
                };
                Reply::Ready { is_pipe, wants: fields_of(u32::from_le_bytes(*wants)).ok_or("unknown fields")? }
            }
            tag::DONE => Reply::Done(u32::from_le_bytes(*body.first_chunk::<4>().ok_or("a cut message")?)),
            tag::FRAME => Reply::Frame,
            tag::KEEP => Reply::Keep,
            tag::PARTLY => {
                let (length, rest) = body.split_first_chunk::<4>().ok_or("a cut message")?;
                let length = u32::from_le_bytes(*length) as usize;
                let failed = rest.get(..length).ok_or("a cut message")?;
                Reply::Partly { error: error_of(failed)?, frame_at: 4 + length }
            }
            tag::FAILED => Reply::Failed(error_of(body)?),
            tag::FAULT => Reply::Fault(text(body)?),
            _ => return Err("a message that is none of a worker's"),
        })
    }
}

/// The body of the message that the module is made.
#[must_use]
pub fn ready(is_pipe: bool, wants: Fields) -> [u8; 5] {
    let [a, b, c, d] = bits_of(wants).to_le_bytes();
    [u8::from(is_pipe), a, b, c, d]
}

/// The body of the message that the module failed. The message's first line says what; further lines, such as a traceback,
/// are for whoever wants to know more.
#[must_use]
pub fn failed(error: &Error) -> Vec<u8> {
    let kind = match error.kind() {
        ErrorKind::Config => 0,
        ErrorKind::NoData => 1,
        ErrorKind::Failed => 2,
        ErrorKind::Panic => 3,
    };
    let mut body = vec![kind];
    body.extend_from_slice(cut(error.message(), TEXT_BYTES_MAX).as_bytes());
    body
}

/// The body of the message that a part of a sample failed.
#[must_use]
pub fn partly(error: &Error, frame: &[u8]) -> Vec<u8> {
    let failed = failed(error);
    let mut body = u32::try_from(failed.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    body.extend_from_slice(&failed);
    body.extend_from_slice(frame);
    body
}

fn error_of(body: &[u8]) -> Result<Error, &'static str> {
    let (kind, message) = body.split_first().ok_or("a cut message")?;
    let kind = match kind {
        0 => ErrorKind::Config,
        1 => ErrorKind::NoData,
        2 => ErrorKind::Failed,
        3 => ErrorKind::Panic,
        _ => return Err("an error of an unknown kind"),
    };
    Ok(Error::new(kind, lines(message)?))
}

fn bits_of(fields: Fields) -> u32 {
    Field::ALL.iter().filter(|field| fields.has(**field)).fold(0, |bits, field| bits | 1 << *field as u32)
}

fn fields_of(bits: u32) -> Option<Fields> {
    if bits >= 1 << Field::COUNT {
        return None;
    }
    let set = Field::ALL.into_iter().filter(|field| bits & (1 << *field as u32) != 0);
    Some(set.fold(Fields::NONE, |fields, field| fields.union(Fields::of(&[field]))))
}

fn text(bytes: &[u8]) -> Result<String, &'static str> {
    std::str::from_utf8(bytes).map(one_line).map_err(|_| "a message that is no text")
}

/// The same, of several lines.
fn lines(bytes: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a message that is no text")?;
    Ok(text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect())
}

/// Foreign text for a line of our own: without control characters, which could forge further lines.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How a worker's process ended, as its keeper tells.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ended {
    /// By a signal.
    pub signal: Option<i32>,
    /// By itself.
    pub code: Option<i32>,
    /// The end of what it had written to its standard error.
    pub last_words: String,
}

impl Ended {
    /// The body of the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (how, code) = match (self.signal, self.code) {
            (Some(signal), _) => (1, signal),
            (None, Some(code)) => (0, code),
            (None, None) => (2, 0),
        };
        let mut body = vec![how];
        body.extend_from_slice(&code.to_le_bytes());
        body.extend_from_slice(cut(&self.last_words, TEXT_BYTES_MAX).as_bytes());
        body
    }

    /// Reads the body.
    #[must_use]
    pub fn decode(body: &[u8]) -> Option<Ended> {
        let (how, rest) = body.split_first()?;
        let (code, last_words) = rest.split_first_chunk::<4>()?;
        let code = i32::from_le_bytes(*code);
        Some(Ended {
            signal: (*how == 1).then_some(code),
            code: (*how == 0).then_some(code),
            last_words: String::from_utf8_lossy(last_words).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_worker_of_another_protocol_is_refused() {
        let ours = Hello::ours();
        assert_eq!(Hello::decode(&ours.encode()), Ok(ours.clone()));
        assert_eq!(ours.accept(), Ok(()));
        let other = Hello { protocol: PROTOCOL + 1, version: "9.9.9".to_owned() };
        let why = Hello::decode(&other.encode()).expect("read").accept().expect_err("refused");
        assert!(why.contains("9.9.9") && why.contains("restart the daemon"), "{why}");
        assert!(Hello::decode(&[1, 0]).is_err());
    }

    #[test]
    fn answers_are_read_as_they_were_meant() {
        let wants = Fields::of(&[Field::Status, Field::Host]);
        assert_eq!(Reply::decode(tag::READY, &ready(true, wants)), Ok(Reply::Ready { is_pipe: true, wants }));
        let error = Error::new(ErrorKind::Panic, "told\x1b\nto");
        assert_eq!(
            Reply::decode(tag::FAILED, &failed(&error)),
            Ok(Reply::Failed(Error::new(ErrorKind::Panic, "told \nto")))
        );
        let body = partly(&error, b"frame");
        let Ok(Reply::Partly { frame_at, .. }) = Reply::decode(tag::PARTLY, &body) else { panic!("not read") };
        assert_eq!(&body[frame_at..], b"frame");
        let ended = Ended { signal: Some(11), code: None, last_words: "oh".to_owned() };
        assert_eq!(Ended::decode(&ended.encode()), Some(ended));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let mut unknown_fields = ready(true, Fields::ALL);
        unknown_fields[3] = 0xff;
        assert!(Reply::decode(tag::READY, &unknown_fields).is_err());
        assert!(Reply::decode(tag::READY, &[2, 0, 0, 0, 0]).is_err());
        assert!(Reply::decode(tag::FAILED, &[9]).is_err());
        assert!(Reply::decode(tag::FAILED, &[0, 0xff, 0xfe]).is_err());
        assert!(Reply::decode(tag::BATCH, &[]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), tag in 0u8..40) {
            let _ = Reply::decode(tag, &bytes);
            let _ = Ended::decode(&bytes);
        }
    }
}

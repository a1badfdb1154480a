//! What clients are told: what changed, once for all that asked the same, and how far each of them is.

use std::sync::{Arc, LazyLock, OnceLock};
use tokio::time::Instant;
use warp::hyper::body::Bytes;

/// What a stream begins with: a browser comes back this much later (in milliseconds) when the connection breaks.
const OPENING: &[u8] = b"retry: 2000\n\n";

/// A comment, so that a silent stream is not taken for a dead one.
const QUIET: &[u8] = b": nothing new\n\n";

static OPENED: LazyLock<Chunk> = LazyLock::new(|| Chunk::of(&[OPENING]));
static SILENT: LazyLock<Chunk> = LazyLock::new(|| Chunk::of(&[QUIET]));

/// What a stream says.
#[derive(Clone, Debug)]
pub(in crate::http) enum Event {
    /// What changed.
    Told(Arc<Delivery>),
    /// Something that is always the same.
    Said(&'static Chunk),
}

impl Event {
    /// What a stream begins with.
    pub(in crate::http) fn opened() -> Event {
        Event::Said(&OPENED)
    }

    /// What is said though nothing has happened.
    pub(in crate::http) fn silent() -> Event {
        Event::Said(&SILENT)
    }

    pub(in crate::http) fn chunk(&self) -> &Chunk {
        match self {
            Event::Told(delivery) => delivery.event(),
            Event::Said(chunk) => chunk,
        }
    }
}

/// What changed.
#[derive(Debug)]
pub(in crate::http) struct Delivery {
    /// Counts the group's answers, so that a client sees whether it missed one.
    pub(super) number: u64,
    /// The last closed tick whose changes are in it.
    pub(in crate::http) tick: u64,
    /// The changed leaves.
    pub(in crate::http) json: Bytes,
    /// The limit cut it.
    pub(in crate::http) truncated: bool,
    /// All that changed after this tick is in it: that of the group's answer before.
    pub(super) after: u64,
    /// When it was made.
    pub(in crate::http) at: Instant,
    /// The same as an event; written when the first stream asks for it.
    event: OnceLock<Chunk>,
}

impl Delivery {
    pub(in crate::http) fn new(
        number: u64,
        after: u64,
        tick: u64,
        (json, truncated): (Vec<u8>, bool),
    ) -> Arc<Delivery> {
        let at = Instant::now();
        Arc::new(Delivery { number, tick, json: json.into(), truncated, after, at, event: OnceLock::new() })
    }

    /// As an event of an event stream.
    pub(in crate::http) fn event(&self) -> &Chunk {
        self.event.get_or_init(|| {
            // JSON as it is written here has no line ends.
            let head = format!("id: {}\ndata: ", self.tick);
            Chunk::of(&[head.as_bytes(), &self.json, b"\n\n"])
        })
    }
}

/// A piece of an answer without end, with the frame that HTTP/1.1 has around it.
#[derive(Debug)]
pub(in crate::http) struct Chunk {
    bytes: Bytes,
    /// Where the text begins; two bytes follow it.
    text: usize,
}

impl Chunk {
    /// Of these parts.
    pub(in crate::http) fn of(parts: &[&[u8]]) -> Chunk {
        let head = format!("{:x}\r\n", parts.iter().map(|part| part.len()).sum::<usize>());
        let bytes = [&[head.as_bytes()], parts, &[b"\r\n"]].concat().concat();
        Chunk { bytes: bytes.into(), text: head.len() }
    }

    /// With its frame.
    pub(in crate::http) fn framed(&self) -> &[u8] {
        &self.bytes
    }

    /// As it is written.
    pub(in crate::http) fn bytes(&self, plain: bool) -> &[u8] {
        if plain { self.text() } else { self.framed() }
    }

    /// Without it.
    pub(in crate::http) fn text(&self) -> &[u8] {
        &self.bytes[self.text..self.bytes.len() - 2]
    }

    /// The same, shared.
    pub(in crate::http) fn shared(&self) -> Bytes {
        self.bytes.slice_ref(self.text())
    }
}

/// What a client has been told.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Place {
    /// The group's answer it saw last.
    pub(in crate::http) number: u64,
    /// The tick up to which it has been told all.
    pub(in crate::http) since: u64,
}

/// What an answer is to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Heard {
    /// It knows all that is in it.
    Known,
    /// It is the one that follows what it knows.
    Next,
    /// There was one before that it has not seen.
    Missed,
}

impl Place {
    /// Takes an answer as seen.
    pub(in crate::http) fn hear(&mut self, delivery: &Delivery) -> Heard {
        let follows = delivery.number == self.number + 1;
        self.number = delivery.number;
        if delivery.tick <= self.since {
            Heard::Known
        } else if follows {
            self.since = delivery.tick;
            Heard::Next
        } else {
            Heard::Missed
        }
    }
}

//! Bodies: bounded in size, in time, and all together; and those nobody wants.

use super::answer::Refusal;
use super::web::Web;
use crate::ingest::sources::Share;
use crate::limits::{BODY_BYTES_MAX, HTTP_BODIES_BYTES_MAX, HTTP_LINGER_BYTES, HTTP_LINGER_MAX};
use futures_util::{Stream, StreamExt};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use warp::Buf;
use warp::http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use warp::http::{HeaderMap, StatusCode};
use warp::hyper::body::Bytes;

/// Bytes that are unpacked at once.
const UNPACKED_AT_ONCE: usize = 16 * 1024;

/// The pieces of a body as they come.
type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// The body of a request, read or not.
pub(super) struct Upload {
    /// What comes; none when there is nothing, or no more.
    stream: Option<Chunks>,
    /// How much is announced.
    length: Option<u64>,
    /// The client sends nothing until it is told to go on.
    holds_back: bool,
}

/// A body, with its share of the room for all of them.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    room: Room,
}

impl Upload {
    pub(super) fn new<S, B>(headers: &HeaderMap, stream: S) -> Upload
    where
        S: Stream<Item = Result<B, warp::Error>> + Send + 'static,
        B: Buf,
    {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let comes = length.is_some_and(|length| length > 0) || headers.contains_key(TRANSFER_ENCODING);
        // Most requests have none: nothing is made for them.
        let stream = comes.then(|| {
            let bytes = stream.map(|chunk| chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining())));
            Box::pin(bytes) as Chunks
        });
        Upload { stream, length, holds_back: headers.contains_key(EXPECT) }
    }

    /// There is none.
    pub(super) fn is_none(&self) -> bool {
        self.stream.is_none()
    }

    /// It is announced that there is more than so many bytes.
    pub(super) fn announces_more_than(&self, bytes: usize) -> bool {
        self.length.is_some_and(|length| length > bytes as u64)
    }

    /// There is one, and it is not said how long it is.
    pub(super) fn has_no_length(&self) -> bool {
        self.stream.is_some() && self.length.is_none()
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// 413 when it is too large, 408 when it takes too long, 400 when it breaks off, 503 when too many come at once.
    pub(super) async fn read(&mut self, web: &Web, from: IpAddr) -> Result<Body, Refusal> {
        if self.length.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
            return Err(too_large("as announced"));
        }
        let mut body = Body { bytes: Vec::new(), room: Room::new(&web.bodies, web.shared.sources.http.share(from)) };
        let Some(stream) = &mut self.stream else { return Ok(body) };
        self.holds_back = false;
        let read = async {
            while let Some(chunk) = stream.next().await {
                let chunk =
                    chunk.map_err(|error| Refusal::bad(format_args!("the body broke off: {error}; send it again")))?;
                if body.bytes.len() + chunk.len() > BODY_BYTES_MAX {
                    return Err(too_large("and there is more"));
                }
                body.room.grow(chunk.len())?;
                body.bytes.extend_from_slice(&chunk);
            }
            Ok(())
        };
        match timeout(web.patience.body, read).await {
            Ok(Ok(())) => {
                self.stream = None;
                Ok(body)
            }
            Ok(Err(refusal)) => Err(refusal),
            Err(_) => {
                self.stream = None;
                let why = format_args!(
                    "the body was not whole after {} seconds; send it in smaller parts",
                    web.patience.body.as_secs()
                );
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, why))
            }
        }
    }

    /// Whether the connection must end because not all of the body was read.
    ///
    /// Closing while the client sends would reset the connection, and many a client would never see the answer. So what
    /// comes is read and dropped for a while (lingering close, as nginx calls it).
    pub(super) fn left_over(&mut self, web: &Web) -> bool {
        let Some(mut stream) = self.stream.take() else { return false };
        if !self.holds_back {
            let mut stopping = web.stopping.clone();
            tokio::spawn(async move {
                let drain = timeout(HTTP_LINGER_MAX, async {
                    let mut left = HTTP_LINGER_BYTES;
                    while let Some(Ok(chunk)) = stream.next().await {
                        left = left.saturating_sub(chunk.len());
                        if left == 0 {
                            break;
                        }
                    }
                });
                tokio::select! {
                    _ = drain => {}
                    _ = stopping.wait_for(|stop| *stop) => {}
                }
            });
        }
        true
    }
}

impl Body {
    /// These bytes, as if they had been sent.
    #[cfg(test)]
    pub(super) fn of(bytes: Vec<u8>, all: &Arc<Semaphore>, share: Share) -> Body {
        let mut room = Room::new(all, share);
        room.grow(bytes.len()).unwrap();
        Body { bytes, room }
    }

    /// The same unpacked, in the place of what was sent.
    ///
    /// # Errors
    /// 413 when it is too large unpacked, 400 when it is not gzip, 503 when too much comes at once.
    pub(super) fn gunzip(mut self) -> Result<Body, Refusal> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let mut unpacker = flate2::read::MultiGzDecoder::new(self.bytes.as_slice());
        let mut piece = [0; UNPACKED_AT_ONCE];
        loop {
            let read = unpacker.read(&mut piece).map_err(|error| {
                Refusal::bad(format_args!("Content-Encoding is gzip, but the body is not: {error}"))
            })?;
            if read == 0 {
                break;
            }
            if bytes.len() + read > BODY_BYTES_MAX {
                return Err(too_large("unpacked"));
            }
            // Before it is taken: a bomb is small until it is not.
            self.room.grow(read)?;
            bytes.extend_from_slice(&piece[..read]);
        }
        self.bytes = bytes;
        Ok(self)
    }
}

fn too_large(how: &str) -> Refusal {
    let why = format_args!("the body has more than {BODY_BYTES_MAX} bytes ({how}); push it in parts");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why)
}

/// A share of the room for all bodies.
#[derive(Debug)]
struct Room {
    all: Arc<Semaphore>,
    /// What the source has of it.
    share: Share,
    held: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn new(all: &Arc<Semaphore>, share: Share) -> Room {
        Room { all: Arc::clone(all), share, held: None }
    }

    /// Takes more. Nobody waits for it: bodies that are half read would wait for each other.
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        if !self.share.grow(bytes) {
            let most = HTTP_BODIES_BYTES_MAX / 2;
            let why =
                format_args!("more than {most} bytes are being pushed from your address at once; try again later");
            return Err(Refusal::later(StatusCode::TOO_MANY_REQUESTS, Duration::from_secs(1), why));
        }
        let more = u32::try_from(bytes).ok().and_then(|bytes| Arc::clone(&self.all).try_acquire_many_owned(bytes).ok());
        let Some(more) = more else {
            let why = format_args!("more than {HTTP_BODIES_BYTES_MAX} bytes are being pushed at once; try again later");
            return Err(Refusal::later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(1), why));
        };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

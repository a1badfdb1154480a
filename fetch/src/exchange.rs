//! A request and its answer, over a connection that stands.

use crate::limits::{BLOCK_BYTES, HEAD_BYTES_MAX};
use crate::stream::{Connection, why};
use std::io::ErrorKind;
use std::time::Instant;
use ureq_proto::BodyMode;
use ureq_proto::client::state::{Prepare, RecvBody, RecvResponse, Redirect};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, RedirectAuthHeaders, SendRequestResult};
use ureq_proto::http::{Method, Request, Uri};

/// What is wanted of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Bytes of the body that are read; further ones are left.
    pub body_max: usize,
    /// Whether the body is kept, or only counted.
    pub body: bool,
    /// Whether it is to be told where a redirect leads.
    pub redirect: bool,
}

/// Where a redirect leads.
#[derive(Clone, Debug)]
pub struct Next {
    /// How to ask there.
    pub method: Method,
    /// The URL.
    pub uri: Uri,
}

/// What has come. It is filled while it comes, so that it can be told also where it breaks off.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status; 0 as long as there is none.
    pub status: u16,
    /// When its first byte came.
    pub first_byte: Option<Instant>,
    /// Bytes of the body that were read.
    pub bytes: u64,
    /// The body, if it was to be kept.
    pub body: Vec<u8>,
    /// Whether there is more of it than was to be read.
    pub cut: bool,
}

/// Sends a request that has no body, and reads what is answered. Where a redirect is to be followed, that.
///
/// # Errors
/// The connection broke or ran out of time, or what came is no HTTP. `answer` has what came before.
pub async fn exchange(
    stream: &mut impl Connection,
    request: Request<()>,
    wanted: Wanted,
    answer: &mut Answer,
) -> Result<Option<Next>, String> {
    let call = Call::new(request).map_err(unwritten)?;
    let mut reading = Reading { stream, bytes: vec![0; BLOCK_BYTES], filled: 0 };
    let call = reading.send(call).await?;
    let redirect = match reading.head(call, answer).await? {
        RecvResponseResult::RecvBody(call) => reading.body(call, wanted, answer).await?,
        RecvResponseResult::Redirect(call) => Some(call),
        RecvResponseResult::Cleanup(_) => None,
    };
    redirect.filter(|_| wanted.redirect).map_or(Ok(None), follow)
}

/// What was read and not yet understood.
struct Reading<'s, S> {
    stream: &'s mut S,
    bytes: Vec<u8>,
    filled: usize,
}

impl<S: Connection> Reading<'_, S> {
    async fn send(&mut self, call: Call<Prepare>) -> Result<Call<RecvResponse>, String> {
        let mut call = call.proceed();
        let mut request = Vec::new();
        let mut block = vec![0; BLOCK_BYTES];
        while !call.can_proceed() {
            match call.write(&mut block) {
                Ok(length @ 1..) => request.extend_from_slice(&block[..length]),
                Ok(0) => return Err(unwritten("no end")),
                Err(error) => return Err(unwritten(error)),
            }
        }
        self.stream.write_all(&request).await.map_err(|error| why(&error, "sending the request"))?;
        match call.proceed() {
            Ok(Some(SendRequestResult::RecvResponse(call))) => Ok(call),
            _ => Err("the request has a body".to_owned()),
        }
    }

    async fn head(&mut self, mut call: Call<RecvResponse>, answer: &mut Answer) -> Result<RecvResponseResult, String> {
        loop {
            if self.read("waiting for an answer").await? == 0 {
                let what = if answer.first_byte.is_none() { "without an answer" } else { "within its header" };
                return Err(format!("closed {what}"));
            }
            answer.first_byte.get_or_insert_with(Instant::now);
            // Interim answers (100, 103) come before the one that counts.
            loop {
                let (used, head) = call.try_response(&self.bytes[..self.filled], false).map_err(no_http)?;
                self.drop_first(used);
                if let Some(head) = head {
                    answer.status = head.status().as_u16();
                    return call.proceed().ok_or_else(|| "broken off".to_owned());
                }
                if used == 0 || self.filled == 0 {
                    break;
                }
            }
            if self.filled >= HEAD_BYTES_MAX {
                return Err(format!("the answer's header has more than {HEAD_BYTES_MAX} bytes"));
            }
        }
    }

    async fn body(
        &mut self,
        mut call: Call<RecvBody>,
        wanted: Wanted,
        answer: &mut Answer,
    ) -> Result<Option<Call<Redirect>>, String> {
        let to_its_end = call.body_mode() == BodyMode::CloseDelimited;
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            loop {
                let room = wanted.body_max.saturating_sub(answer.bytes as usize).min(block.len());
                let (used, length) = call.read(&self.bytes[..self.filled], &mut block[..room]).map_err(no_http)?;
                self.drop_first(used);
                answer.bytes += length as u64;
                if wanted.body {
                    answer.body.extend_from_slice(&block[..length]);
                }
                if used == 0 && length == 0 {
                    break;
                }
            }
            if call.can_proceed() && !to_its_end {
                break;
            }
            if answer.bytes as usize >= wanted.body_max {
                answer.cut = true;
                return Ok(None);
            }
            if self.read("reading the body").await? == 0 {
                if to_its_end {
                    break;
                }
                return Err(format!("closed within the body, after {} bytes", answer.bytes));
            }
        }
        match call.proceed() {
            Some(RecvBodyResult::Redirect(call)) => Ok(Some(call)),
            _ => Ok(None),
        }
    }

    async fn read(&mut self, doing: &str) -> Result<usize, String> {
        if self.bytes.len() - self.filled < BLOCK_BYTES {
            self.bytes.resize(self.filled + BLOCK_BYTES, 0);
        }
        match self.stream.read(&mut self.bytes[self.filled..]).await {
            Ok(length) => {
                self.filled += length;
                Ok(length)
            }
            // By TLS: without the farewell that nobody insists on.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(why(&error, doing)),
        }
    }

    fn drop_first(&mut self, used: usize) {
        self.bytes.copy_within(used..self.filled, 0);
        self.filled -= used;
    }
}

fn follow(mut call: Call<Redirect>) -> Result<Option<Next>, String> {
    let next = call.as_new_call(RedirectAuthHeaders::Never);
    let next = next.map_err(|error| format!("a redirect that leads nowhere: {error}"))?;
    Ok(next.map(|call| Next { method: call.method().clone(), uri: call.uri().clone() }))
}

fn unwritten(error: impl std::fmt::Display) -> String {
    format!("the request cannot be written: {error}")
}

fn no_http(error: impl std::fmt::Display) -> String {
    format!("no HTTP: {error}")
}

#[cfg(test)]
mod tests;

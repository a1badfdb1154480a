//! `/push`: documents and log lines come in.

use super::answer::{Answer, JSON, Refusal};
use super::args::decode_bytes;
use super::body::{Body, Upload};
use super::get::apart;
use super::route::text;
use super::web::{Head, Web};
use crate::ingest::LogMessage;
use crate::ingest::sources::{Figures, Way};
use crate::json::{Fault, read_documents};
use crate::limits::{
    BODY_BYTES_SHORT, PUSH_EVENTS_WAITING_MAX, PUSH_FAULTS_MAX, PUSH_FIELDS_MAX, PUSH_LINES_WAIT_MAX,
    PUSH_MERGE_BYTES_MAX,
};
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::sleep;
use warp::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use warp::http::{HeaderMap, StatusCode};
use warp::hyper::body::Bytes;

/// The fields that a form may have.
const FIELDS: &str = "json (documents) and accesslog (lines of an access log)";

/// How often is looked whether the pipes have room.
const LINES_AGAIN: Duration = Duration::from_millis(5);

const BEHIND: &str = "this daemon is behind with what was pushed before; try again later";

/// What bodies may be.
const TYPES: &str =
    "application/json, application/x-ndjson, text/plain, application/x-www-form-urlencoded, multipart/form-data";

/// What a body holds.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) documents: Vec<Vec<u8>>,
    pub(super) lines: Vec<Vec<u8>>,
}

/// What a body is.
#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Documents,
    Lines,
    /// Nobody said: what it begins with decides.
    Unsaid,
    Form,
    /// Parts between this boundary.
    Multipart(String),
}

/// What became of a push.
#[derive(Debug, Default)]
struct Outcome {
    /// Leaves and lines.
    merged: u64,
    /// Documents and lines.
    rejected: u64,
    /// The first of what is wrong with these.
    errors: Vec<Fault>,
    /// What is counted of it.
    figures: Figures,
}

/// Merges what is pushed, and says what was wrong with the rest.
///
/// # Errors
/// 4xx for a body that cannot be taken; nothing was merged then.
pub(super) async fn push(web: &Web, head: &Head, upload: &mut Upload) -> Result<Answer, Refusal> {
    let from = head.arrival.peer.ip();
    let mut outcome = Outcome::default();
    let taken = take(web, head, upload, &mut outcome).await;
    let mut figures = outcome.figures;
    figures.errors = outcome.rejected;
    figures.refused = u64::from(taken.is_err());
    web.shared.counters.push_faults.add(outcome.rejected);
    web.shared.sources.count(Way::Http, from, figures);
    taken?;
    Ok(outcome.answer())
}

/// The same; what came of it is in `outcome`, whatever else happens.
async fn take(web: &Web, head: &Head, upload: &mut Upload, outcome: &mut Outcome) -> Result<(), Refusal> {
    let (headers, from) = (&head.headers, head.arrival.peer.ip());
    let wait = waits_for_commit(&head.query)?;
    let kind = kind(headers)?;
    let packed = is_gzip(headers)?;
    in_time(web, from)?;
    let body = upload.read(web, from).await?;
    let body = match packed {
        true if body.bytes.len() <= BODY_BYTES_SHORT / 16 => body.gunzip()?,
        true => {
            // One after another, or nearly: bombs of a crowd are not all unpacked beside each other. It is never closed.
            let _turn = web.unpacking.acquire().await;
            apart(move || body.gunzip()).await??
        }
        false => body,
    };
    outcome.figures.bytes = body.bytes.len() as u64;
    let (parts, _room) = parts(kind, body).await?;
    for document in parts.documents {
        merge_documents(web, document, outcome).await?;
    }
    for lines in parts.lines {
        merge_lines(web, lines, outcome).await?;
    }
    if wait && outcome.merged > 0 {
        web.shared.events.commit().await.map_err(|why| Refusal::uncommitted(&why))?;
    }
    Ok(())
}

/// Whether a push comes at a good time: its source is not over its rate, and the daemon is not behind.
///
/// # Errors
/// 429, with the seconds after which to come again.
fn in_time(web: &Web, from: IpAddr) -> Result<(), Refusal> {
    let (after, why) = match web.shared.sources.wait(from) {
        Some(after) => (after, "your address pushes more than push_per_source in graftd.conf allows; try again later"),
        None if web.shared.events.waiting() >= PUSH_EVENTS_WAITING_MAX => (Duration::from_secs(1), BEHIND),
        None => return Ok(()),
    };
    web.shared.counters.push_throttled.add(1);
    Err(Refusal::later(StatusCode::TOO_MANY_REQUESTS, after, why))
}

/// Whether the answer is to wait until what was pushed is on the disk.
fn waits_for_commit(query: &str) -> Result<bool, Refusal> {
    let mut wait = false;
    for argument in query.split('&').filter(|argument| !argument.is_empty()) {
        if argument != "wait=commit" {
            return Err(Refusal::bad(format_args!(
                "/push: unknown argument {argument:?}; known is wait=commit, and fields go in the body"
            )));
        }
        wait = true;
    }
    Ok(wait)
}

pub(super) fn kind(headers: &HeaderMap) -> Result<Kind, Refusal> {
    let Some(written) = headers.get(CONTENT_TYPE).filter(|written| !written.is_empty()) else {
        return Ok(Kind::Unsaid);
    };
    let written = written.to_str().unwrap_or_default();
    let essence = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "text/json" | "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
            Ok(Kind::Documents)
        }
        "text/plain" => Ok(Kind::Lines),
        "application/x-www-form-urlencoded" => Ok(Kind::Form),
        "multipart/form-data" => multer::parse_boundary(written).map(Kind::Multipart).map_err(|_| {
            Refusal::bad(format_args!("/push: Content-Type: {written:?} has no boundary; let the client set it"))
        }),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Kind::Documents),
        _ => {
            let why = format_args!("/push: Content-Type: {written:?} is not known; known are {TYPES}");
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why).header(ACCEPT, HeaderValue::from_static(TYPES)))
        }
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Ok(false);
    }
    match text(headers, &CONTENT_ENCODING).map(|coding| coding.trim().to_ascii_lowercase()).as_deref() {
        Some("gzip" | "x-gzip") => Ok(true),
        Some("" | "identity") => Ok(false),
        coding => {
            let coding = coding.unwrap_or("(no text)");
            let why = format_args!("/push: Content-Encoding: {coding:?} is not known; send the body as it is, or gzip");
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why)
                .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip")))
        }
    }
}

/// Takes a body apart. What is left of it keeps its room until all is merged.
pub(super) async fn parts(kind: Kind, mut body: Body) -> Result<(Parts, Body), Refusal> {
    let bytes = std::mem::take(&mut body.bytes);
    let mut parts = Parts::default();
    match kind {
        Kind::Documents => parts.documents.push(bytes),
        Kind::Lines => parts.lines.push(bytes),
        Kind::Unsaid => match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => parts.documents.push(bytes),
            _ => parts.lines.push(bytes),
        },
        Kind::Form => {
            for pair in bytes.split(|byte| *byte == b'&') {
                let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
                let value = || decode_bytes(pair.get(at + 1..).unwrap_or_default(), true);
                let full = parts.documents.len() + parts.lines.len() >= PUSH_FIELDS_MAX;
                let to = match decode_bytes(&pair[..at], true).as_slice() {
                    b"json" => &mut parts.documents,
                    b"accesslog" => &mut parts.lines,
                    _ => continue,
                };
                if full {
                    return Err(too_many_fields());
                }
                to.push(value());
            }
        }
        Kind::Multipart(boundary) => {
            let whole = stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))]);
            let mut fields = multer::Multipart::new(whole, boundary);
            let broken =
                |error: multer::Error| Refusal::bad(format_args!("/push: the multipart body is broken: {error}"));
            while let Some(field) = fields.next_field().await.map_err(broken)? {
                let full = parts.documents.len() + parts.lines.len() >= PUSH_FIELDS_MAX;
                let to = match field.name() {
                    Some("json") => &mut parts.documents,
                    Some("accesslog") => &mut parts.lines,
                    _ => continue,
                };
                if full {
                    return Err(too_many_fields());
                }
                to.push(field.bytes().await.map_err(broken)?.into());
            }
        }
    }
    if parts.documents.is_empty() && parts.lines.is_empty() {
        return Err(Refusal::bad(format_args!(
            "/push: the form has none of the fields it may have: {FIELDS}; a bare document needs the header \
             Content-Type: application/json"
        )));
    }
    Ok((parts, body))
}

/// Each field is merged by itself, and takes more room than it has bytes.
fn too_many_fields() -> Refusal {
    Refusal::bad(format_args!(
        "/push: the form has more than {PUSH_FIELDS_MAX} fields; one field holds any number of documents or lines"
    ))
}

async fn merge_documents(web: &Web, text: Vec<u8>, outcome: &mut Outcome) -> Result<(), Refusal> {
    let turn = u32::try_from(text.len()).unwrap_or(u32::MAX).min(PUSH_MERGE_BYTES_MAX as u32);
    // Long ones wait for each other. It is never closed.
    let _turn = if text.len() > BODY_BYTES_SHORT { web.merging.acquire_many(turn).await.ok() } else { None };
    let read = if text.len() <= BODY_BYTES_SHORT {
        read_documents(&text)
    } else {
        apart(move || read_documents(&text)).await?
    };
    outcome.reject(read.rejected, read.faults);
    web.shared.counters.push_documents.add(read.good);
    outcome.figures.documents += read.good;
    if !read.frames.is_empty() {
        let pushed = web.shared.events.push(read.frames).await.ok_or_else(Refusal::stopping)?;
        web.shared.counters.push_leaves.add(pushed.merged.leaves);
        outcome.merged += pushed.merged.leaves;
        outcome.figures.leaves += pushed.merged.leaves;
    }
    Ok(())
}

async fn merge_lines(web: &Web, lines: Vec<u8>, outcome: &mut Outcome) -> Result<(), Refusal> {
    if lines.is_empty() {
        return Ok(());
    }
    let (reply, done) = oneshot::channel();
    let log = &web.shared.logs.push;
    let until = Instant::now() + PUSH_LINES_WAIT_MAX;
    let mut message = LogMessage::Lines(lines, Some(reply));
    while let Err(back) = log.try_send(message) {
        // No room: the pipes are behind.
        message = back;
        if outcome.merged > 0 {
            // Who came again would push that twice. Waiting for room holds a thread, so it is not one that serves.
            let log = log.clone();
            if !apart(move || log.send(message)).await? {
                return Err(Refusal::stopping());
            }
            break;
        }
        if Instant::now() > until {
            web.shared.counters.push_throttled.add(1);
            return Err(Refusal::later(StatusCode::TOO_MANY_REQUESTS, Duration::from_secs(1), BEHIND));
        }
        sleep(LINES_AGAIN).await;
    }
    let done = done.await.map_err(|_| Refusal::stopping())?;
    outcome.merged += done.merged;
    outcome.figures.lines += done.merged;
    let faults = done.faults.into_iter().map(|fault| Fault { at: format!("line {}", fault.line), why: fault.why });
    outcome.reject(done.rejected, faults);
    Ok(())
}

impl Outcome {
    fn reject(&mut self, rejected: u64, faults: impl IntoIterator<Item = Fault>) {
        self.rejected += rejected;
        let room = PUSH_FAULTS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(faults.into_iter().take(room));
    }

    fn answer(self) -> Answer {
        let nothing = self.merged == 0 && self.rejected > 0;
        let errors: Vec<_> = self.errors.iter().map(|fault| json!({ "at": fault.at, "why": fault.why })).collect();
        let body = json!({ "merged": self.merged, "rejected": self.rejected, "errors": errors });
        let status = if nothing { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        Answer::new(status, JSON, body.to_string())
    }
}

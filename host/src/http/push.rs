//! `/push`: documents and log lines come in.

use super::answer::{Answer, JSON, Refusal};
use super::args::decode_bytes;
use super::body::{Body, Upload};
use super::get::apart;
use super::route::text;
use super::web::Web;
use crate::ingest::LogMessage;
use crate::json::{Fault, read_documents};
use crate::limits::{BODY_BYTES_SHORT, PUSH_FAULTS_MAX};
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use tokio::sync::oneshot;
use warp::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use warp::http::{HeaderMap, StatusCode};
use warp::hyper::body::Bytes;

/// The fields that a form may have.
const FIELDS: &str = "json (documents) and accesslog (lines of an access log)";

/// What bodies may be.
const TYPES: &str = "application/json, text/plain, application/x-www-form-urlencoded, multipart/form-data";

/// What a body holds.
#[derive(Debug, Default)]
struct Parts {
    documents: Vec<Vec<u8>>,
    lines: Vec<Vec<u8>>,
}

/// What a body is.
#[derive(Debug, PartialEq)]
enum Kind {
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
}

/// Merges what is pushed, and says what was wrong with the rest.
///
/// # Errors
/// 4xx for a body that cannot be taken; nothing was merged then.
pub(super) async fn push(web: &Web, query: &str, headers: &HeaderMap, upload: &mut Upload) -> Result<Answer, Refusal> {
    let wait = waits_for_commit(query)?;
    let kind = kind(headers)?;
    let packed = is_gzip(headers)?;
    let body = upload.read(web).await?;
    let body = match packed {
        true if body.bytes.len() <= BODY_BYTES_SHORT / 16 => body.gunzip()?,
        true => apart(move || body.gunzip()).await??,
        false => body,
    };
    let (parts, _room) = parts(kind, body).await?;
    let mut outcome = Outcome::default();
    for document in parts.documents {
        merge_documents(web, document, &mut outcome).await?;
    }
    for lines in parts.lines {
        merge_lines(web, lines, &mut outcome).await?;
    }
    web.shared.counters.push_faults.add(outcome.rejected);
    if wait && outcome.merged > 0 {
        web.shared.events.commit().await.map_err(|why| Refusal::uncommitted(&why))?;
    }
    Ok(outcome.answer())
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

fn kind(headers: &HeaderMap) -> Result<Kind, Refusal> {
    let Some(written) = headers.get(CONTENT_TYPE).filter(|written| !written.is_empty()) else {
        return Ok(Kind::Unsaid);
    };
    let written = written.to_str().unwrap_or_default();
    let essence = written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "text/json" => Ok(Kind::Documents),
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
async fn parts(kind: Kind, mut body: Body) -> Result<(Parts, Body), Refusal> {
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
                match decode_bytes(&pair[..at], true).as_slice() {
                    b"json" => parts.documents.push(value()),
                    b"accesslog" => parts.lines.push(value()),
                    _ => {}
                }
            }
        }
        Kind::Multipart(boundary) => {
            let whole = stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))]);
            let mut fields = multer::Multipart::new(whole, boundary);
            let broken =
                |error: multer::Error| Refusal::bad(format_args!("/push: the multipart body is broken: {error}"));
            while let Some(field) = fields.next_field().await.map_err(broken)? {
                let to = match field.name() {
                    Some("json") => &mut parts.documents,
                    Some("accesslog") => &mut parts.lines,
                    _ => continue,
                };
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

async fn merge_documents(web: &Web, text: Vec<u8>, outcome: &mut Outcome) -> Result<(), Refusal> {
    let read = if text.len() <= BODY_BYTES_SHORT {
        read_documents(&text)
    } else {
        apart(move || read_documents(&text)).await?
    };
    outcome.reject(read.rejected, read.faults);
    web.shared.counters.push_documents.add(read.good);
    if !read.frames.is_empty() {
        let pushed = web.shared.events.push(read.frames).await.ok_or_else(Refusal::stopping)?;
        web.shared.counters.push_leaves.add(pushed.merged.leaves);
        outcome.merged += pushed.merged.leaves;
    }
    Ok(())
}

async fn merge_lines(web: &Web, lines: Vec<u8>, outcome: &mut Outcome) -> Result<(), Refusal> {
    if lines.is_empty() {
        return Ok(());
    }
    let (reply, done) = oneshot::channel();
    if let Err(message) = web.shared.logs.push.try_send(LogMessage::Lines(lines, Some(reply))) {
        // No room: the pipes are behind. Waiting for room holds a thread, so it is not one that serves.
        let log = web.shared.logs.push.clone();
        if !apart(move || log.send(message)).await? {
            return Err(Refusal::stopping());
        }
    }
    let done = done.await.map_err(|_| Refusal::stopping())?;
    outcome.merged += done.merged;
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

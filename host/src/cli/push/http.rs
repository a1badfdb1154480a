//! By HTTP: blocks of documents, each answered with what came of it.

use super::{Faults, Place, Sum, Way, documents_were};
use crate::cli::Failure;
use crate::cli::client::{Server, json, text};
use crate::cli::show::printable;
use crate::limits::{PUSH_BLOCK_BYTES, PUSH_GATHER_MAX};
use serde_json::Value;
use std::time::Instant;

/// Documents on their way.
pub(super) struct Http<'s> {
    server: &'s Server,
    /// An array that is not closed yet.
    block: Vec<u8>,
    /// When the first of it came.
    since: Instant,
    /// Where each of them stood.
    places: Vec<Place>,
    sum: Sum,
}

impl<'s> Http<'s> {
    pub(super) fn new(server: &'s Server) -> Http<'s> {
        Http { server, block: Vec::new(), since: Instant::now(), places: Vec::new(), sum: Sum::default() }
    }

    fn post(&mut self, faults: &mut Faults<'_>) -> Result<(), Failure> {
        if self.places.is_empty() {
            return Ok(());
        }
        self.block.push(b']');
        let posted = self.answered(faults);
        self.block.clear();
        self.places.clear();
        let before = self.sum.documents;
        posted.map_err(|failure| Failure::work(format_args!("{failure} ({} taken before)", documents_were(before))))
    }

    fn answered(&mut self, faults: &mut Faults<'_>) -> Result<(), Failure> {
        // One that stands alone is no array: it may be as long as a body.
        let body = if self.places.len() == 1 { &self.block[1..self.block.len() - 1] } else { &self.block[..] };
        let mut response = self.server.post("/push", "application/json", body)?;
        let status = response.status();
        // 400 says of documents that none of them was good.
        if !status.is_success() && status.as_u16() != 400 {
            return self.server.good(response).map(drop);
        }
        let answer = json(&text(&mut response)?)?;
        let number = |name: &str| answer.get(name).and_then(Value::as_u64);
        let (Some(merged), Some(rejected)) = (number("merged"), number("rejected")) else {
            let said = answer.get("error").and_then(Value::as_str);
            return Err(Failure::work(said.map_or_else(|| format!("the daemon answers {status}"), printable)));
        };
        self.sum.documents += self.places.len() as u64;
        self.sum.merged += merged;
        self.sum.rejected += rejected;
        for fault in answer.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or_default();
            let number = part("at").strip_prefix("document ").map(|at| at.split_once(", ").unwrap_or((at, "")));
            let place =
                number.and_then(|(n, at)| Some((self.places.get(n.parse::<usize>().ok()?.checked_sub(1)?)?, at)));
            match place {
                Some((place, at)) => faults.name(place, at, part("why")),
                None => faults.say(&format!("{}: {}", printable(part("at")), printable(part("why")))),
            }
        }
        Ok(())
    }
}

impl Way for Http<'_> {
    fn send(&mut self, document: &[u8], place: &Place, faults: &mut Faults<'_>) -> Result<(), Failure> {
        let full = self.block.len() + document.len() > PUSH_BLOCK_BYTES || self.since.elapsed() > PUSH_GATHER_MAX;
        if !self.places.is_empty() && full {
            self.post(faults)?;
        }
        if self.places.is_empty() {
            self.since = Instant::now();
        }
        self.block.push(if self.places.is_empty() { b'[' } else { b',' });
        self.block.extend_from_slice(document);
        self.places.push(place.clone());
        Ok(())
    }

    fn pause(&mut self, faults: &mut Faults<'_>) -> Result<(), Failure> {
        self.post(faults)
    }

    fn finish(&mut self, faults: &mut Faults<'_>) -> Result<Sum, Failure> {
        self.post(faults)?;
        Ok(self.sum)
    }
}

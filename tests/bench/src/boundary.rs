//! What the plugin boundary costs: the same pipes over the same records, loaded as `.so` and linked statically, taking turns.

use crate::figures::{Median, cpu_seconds};
use crate::log::{access_log, workspace};
use graftd::ingest::format::{Decoded, Format};
use graftd::module::Library;
use plugin_api::{Access, Clock, Delta, Fields, Params, Pipe};
use std::fs;

/// Records a call, as the daemon hands them over.
pub(crate) const BATCH: usize = 512;
/// Records in all: they stay in the cache, so that it is the boundary that is measured.
const RECORDS: usize = 8 * BATCH;
/// Passes over them in a measurement; a flush at the end.
const PASSES: usize = 100;
const RUNS: usize = 15;

/// Does something with records of a real log that all stay in the cache.
pub(crate) fn with_records(work: impl FnOnce(&[Access<'_>]) -> Result<(), String>) -> Result<(), String> {
    let (file, _) = access_log(1_000_000, "timed")?;
    let text = fs::read(&file).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&text[..text.len().min(8 << 20)]).into_owned();
    let format = Format::compile("timed").map_err(|error| error.to_string())?;
    let mut parser = format.parser(Fields::ALL);
    let mut decoded = Decoded::default();
    let mut records = Vec::new();
    for line in text.lines() {
        if records.len() == RECORDS {
            break;
        }
        // Lines that do not parse are none of the boundary's business.
        let _ = parser.parse(line, &mut records, &mut decoded);
    }
    decoded.settle(&mut records);
    work(&records)
}

pub(crate) fn run() -> Result<(), String> {
    with_records(measure)
}

fn measure(records: &[Access<'_>]) -> Result<(), String> {
    let mut all = Sum::default();
    all.add::<graft_status::Status>("status", records)?;
    all.add::<graft_bytes::Bytes>("bytes", records)?;
    all.add::<graft_browser::Browser>("browser", records)?;
    all.add::<graft_os::Os>("os", records)?;
    all.add::<graft_url::Url>("url", records)?;
    all.add::<graft_error::Errors>("error", records)?;
    all.add::<graft_request_time::RequestTime>("request-time", records)?;
    all.add::<graft_upstream_time::UpstreamTime>("upstream-time", records)?;
    all.add::<graft_visitors::Visitors>("visitors", records)?;
    println!(
        "boundary, all pipes: {:.1} ns a record as .so, {:.1} linked statically, {:+.1} %",
        all.loaded,
        all.linked,
        (all.loaded / all.linked - 1.0) * 100.0
    );
    Ok(())
}

#[derive(Default)]
struct Sum {
    loaded: f64,
    linked: f64,
}

impl Sum {
    fn add<P: Pipe>(&mut self, name: &str, records: &[Access<'_>]) -> Result<(), String> {
        let file = workspace().join("plugins").join(format!("{name}.so"));
        let library = Library::load(&file).map_err(|why| format!("{}: {why}", file.display()))?;
        let params = Params::new();
        let mut pipe = library.pipe(&params).map_err(|error| error.to_string())?;
        let mut linked = P::new(&params).map_err(|error| error.to_string())?;
        let mut delta = Delta::new();
        let clock = Clock::new(0, 0);
        let mut frame = Vec::new();
        let (mut by_so, mut by_link) = (Vec::new(), Vec::new());
        for run in 0..=RUNS {
            let so = cpu_seconds(|| {
                for _ in 0..PASSES {
                    for batch in records.chunks(BATCH) {
                        let _ = pipe.process(clock, batch);
                    }
                }
                let _ = pipe.flush(clock, &mut frame);
            });
            let link = cpu_seconds(|| {
                for _ in 0..PASSES {
                    for batch in records.chunks(BATCH) {
                        linked.process(batch, &mut delta);
                    }
                }
                linked.flush(&mut delta);
                frame.extend_from_slice(delta.flush());
            });
            frame.clear();
            // The first fills caches.
            if run > 0 {
                let each = 1e9 / (PASSES * records.len()) as f64;
                by_so.push(so * each);
                by_link.push(link * each);
            }
        }
        let (so, link) = (Median::of(by_so), Median::of(by_link));
        println!(
            "boundary, {name}: {:.1} ns a record as .so ({:.1} to {:.1}), {:.1} linked statically ({:.1} to {:.1})",
            so.mid, so.min, so.max, link.mid, link.min, link.max
        );
        self.loaded += so.mid;
        self.linked += link.mid;
        Ok(())
    }
}

//! The daemon's own branch of the tree: `graftd,HOST,…`. Health is data like all other.

use super::commit::CommitFigures;
use super::shared::Shared;
use crate::ingest::sources::{Figures as Pushed, Told, Way};
use crate::ingest::{LogName, LogSerial, LogStats};
use crate::module::{Counts, ModuleStats, ModuleStatus};
use crate::relay::LineFigures;
use crate::trend::Figures;
use plugin_api::Delta;
use plugin_api::limits::OTHER;
use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Ticks between two looks at what changes slowly and costs a little to find out.
const SLOW_TICKS: u64 = 5;

/// What is told of a module, at `graftd,HOST,module,NAME,…`: its state, since when (Unix seconds) and why, where it runs;
/// calls, failed ones, their CPU time (seconds), late ones and by how much in all (seconds), how often it was made anew,
/// and threads of it that are left behind.
const MODULE_KEYS: [&str; 11] =
    ["state", "why", "since", "isolation", "calls", "errors", "cpu", "late", "lateness", "restarts", "abandoned"];

/// Those of them that are counted up.
const MODULE_COUNTERS: [&str; 6] = ["calls", "errors", "cpu", "late", "lateness", "restarts"];

/// What is told of a relay, at `graftd,HOST,relay,NAME,…`: to whom it sends and since when (Unix seconds, 0 while it is not
/// connected), entries that wait and their bytes, how many of them may be on their way, entries that were acknowledged, that were
/// folded into others and that were dropped for want of room, values in those dropped, values that there was no room for before
/// they were entries, and why nothing is sent.
const RELAY_KEYS: [&str; 11] = [
    "to",
    "since",
    "queued",
    "bytes",
    "promised",
    "acknowledged",
    "folded",
    "dropped",
    "dropped_leaves",
    "lost",
    "error",
];

/// What was read of a log.
#[derive(Debug, Default)]
struct Log {
    /// As far as it has been told.
    told: LogStats,
    now: LogStats,
    /// It will not change any more.
    ended: bool,
}

/// Writes the daemon's own branch, tick by tick. What did not change is not written again: a daemon at rest wakes
/// nobody.
#[derive(Debug)]
pub(super) struct SelfReport {
    host: String,
    out: Delta,
    ticks: u64,
    /// When what changes slowly is looked at again, in ticks.
    slow: u64,
    /// What was told of the last tick itself is over at the next.
    passing: bool,
    /// What counters outside the core came to.
    counted: u64,
    gauges: BTreeMap<String, f64>,
    texts: BTreeMap<String, String>,
    /// The modules that are told of, and what has been told of their calls.
    modules: BTreeMap<String, (Weak<ModuleStats>, Counts)>,
    /// What has been told of each log, and what is so. Logs of one name follow each other, and each counts from zero.
    logs: BTreeMap<(LogName, LogSerial), Log>,
    /// Commits that were told of: written, and failed.
    commits_told: (u64, u64),
    /// And of how often history could not be packed.
    packs_told: u64,
    /// Relays that are told of.
    relays: Vec<String>,
}

impl SelfReport {
    pub(super) fn new(host: &str) -> SelfReport {
        SelfReport {
            host: host.to_owned(),
            out: Delta::new(),
            ticks: 0,
            slow: 0,
            passing: false,
            counted: 0,
            gauges: BTreeMap::new(),
            texts: BTreeMap::new(),
            modules: BTreeMap::new(),
            logs: BTreeMap::new(),
            commits_told: (0, 0),
            packs_told: 0,
            relays: Vec::new(),
        }
    }

    /// A log has been read on.
    pub(super) fn log(&mut self, log: (LogName, LogSerial), stats: LogStats, ended: bool) {
        let log = self.logs.entry(log).or_default();
        log.now = stats;
        log.ended = ended;
    }

    /// Notes what there is to say at this tick. Where nothing has `stirred`, that is looked for now and then alone.
    pub(super) fn tick(
        &mut self,
        shared: &Shared,
        modules: &[ModuleStatus],
        merge_ms: f64,
        commits: &CommitFigures,
        stirred: bool,
    ) {
        let slow = self.ticks >= self.slow;
        self.ticks += 1;
        let counted = shared.counters.sum();
        if !(stirred || self.counted != counted || slow || self.passing) {
            return;
        }
        self.counted = counted;
        let (merge_ms, waiting) = ((merge_ms * 1e3).round() / 1e3, shared.events.waiting() as f64);
        self.passing = merge_ms > 0.0 || waiting > 0.0;
        self.gauge(&["tree", "merge_ms"], merge_ms);
        self.gauge(&["events", "waiting"], waiting);
        if slow {
            self.slow = self.ticks - 1 + SLOW_TICKS;
            self.slow(shared);
        }
        for (name, counter) in shared.counters.each() {
            let growth = counter.growth();
            if growth > 0 {
                let (group, rest) = name.split_once('_').unwrap_or((name, "count"));
                self.out.add(&["graftd", &self.host, group, rest], growth as f64);
            }
        }
        self.sources(shared.sources.told());
        self.logs();
        self.commits(commits);
        self.relays(&shared.relays.figures());
        for (host, received) in shared.relays.senders.received() {
            self.gauge(&["relayed", &host, "connected"], received.connected as f64);
            self.total(&["relayed", &host, "entries"], received.entries as f64);
            self.total(&["relayed", &host, "bytes"], received.bytes as f64);
        }
        self.forget_gone(modules);
        for module in modules {
            self.text(&["module", &module.name, "state"], module.state.name());
            self.text(&["module", &module.name, "why"], &module.why);
            self.gauge(&["module", &module.name, "since"], (module.since_ms / 1_000) as f64);
            self.text(&["module", &module.name, "isolation"], module.isolation.as_str());
            self.calls(module);
        }
    }

    /// So many ticks were slept through.
    pub(super) fn slept(&mut self, ticks: u32) {
        self.ticks += u64::from(ticks);
    }

    /// What was noted, as a frame.
    pub(super) fn flush(&mut self) -> &[u8] {
        self.out.flush()
    }

    /// Commits that were written and that could not be, how long the last one took (milliseconds) and how many nodes it had, why it
    /// failed.
    fn commits(&mut self, figures: &CommitFigures) {
        let CommitFigures { written, failed, ms, nodes, error, file } = figures;
        if *written == 0 && *failed == 0 {
            return;
        }
        for (key, counted, told) in
            [("commits", written, &mut self.commits_told.0), ("failed", failed, &mut self.commits_told.1)]
        {
            if counted > told {
                self.out.add(&["graftd", &self.host, "trend", key], (counted - *told) as f64);
                *told = *counted;
            }
        }
        self.gauge(&["trend", "commit_ms"], *ms);
        self.gauge(&["trend", "commit_nodes"], *nodes as f64);
        self.text(&["trend", "error"], error);
        self.file(file);
    }

    /// What there is on the disk, and what waits; see docs/TREND.md.
    fn file(&mut self, file: &Figures) {
        let seconds = |ms: Option<i64>| ms.map_or(0.0, |ms| ms as f64 / 1e3);
        for (key, value) in [
            ("file_bytes", file.file_bytes as f64),
            ("wal_bytes", file.wal_bytes as f64),
            ("free_bytes", file.free_bytes as f64),
            ("recent_rows", file.recent_rows as f64),
            ("packs", file.packs as f64),
            ("oldest", seconds(file.oldest_ms)),
            ("committed", seconds(file.committed_ms)),
            ("waiting_nodes", file.waiting_nodes as f64),
            ("waiting_bytes", file.waiting_bytes as f64),
        ] {
            self.gauge(&["trend", key], value);
        }
        let told = &mut self.packs_told;
        if file.pack_failed > *told {
            self.out.add(&["graftd", &self.host, "trend", "pack_failed"], (file.pack_failed - *told) as f64);
            *told = file.pack_failed;
        }
        if let Some(remote) = &file.remote {
            for (key, counted) in [
                ("sent", remote.sent),
                ("dropped", remote.dropped),
                ("refused", remote.refused),
                ("failed", remote.failed),
            ] {
                self.total(&["trend", "remote", key], counted as f64);
            }
            self.gauge(&["trend", "remote", "waiting"], remote.waiting as f64);
            self.gauge(&["trend", "remote", "waiting_bytes"], remote.waiting_bytes as f64);
            self.text(&["trend", "remote", "error"], &remote.error);
        }
        self.text(&["trend", "pack_error"], &file.pack_error);
        self.text(&["trend", "clock"], &file.clock);
    }

    fn relays(&mut self, figures: &[LineFigures]) {
        let gone: Vec<String> =
            self.relays.extract_if(.., |name| figures.iter().all(|line| line.name != *name)).collect();
        for name in gone {
            for key in RELAY_KEYS {
                self.out.lifetime(&["graftd", &self.host, "relay", &name, key], Duration::from_millis(1));
                let path = ["relay", &name, key].join(",");
                self.texts.remove(&path);
                self.gauges.remove(&path);
            }
        }
        for LineFigures { name, told, load, lost } in figures {
            if !self.relays.contains(name) {
                self.relays.push(name.clone());
                for key in RELAY_KEYS {
                    self.out.lifetime(&["graftd", &self.host, "relay", name, key], Duration::ZERO);
                }
            }
            self.text(&["relay", name, "to"], &told.to);
            self.gauge(&["relay", name, "since"], told.since.unwrap_or(0) as f64);
            self.gauge(&["relay", name, "queued"], load.entries as f64);
            self.gauge(&["relay", name, "bytes"], load.bytes as f64);
            self.gauge(&["relay", name, "promised"], load.promised as f64);
            self.total(&["relay", name, "acknowledged"], told.acknowledged as f64);
            self.total(&["relay", name, "folded"], load.folded as f64);
            self.total(&["relay", name, "dropped"], load.dropped as f64);
            self.total(&["relay", name, "dropped_leaves"], load.dropped_leaves as f64);
            self.total(&["relay", name, "lost"], *lost as f64);
            self.text(&["relay", name, "error"], &told.error);
        }
    }

    /// What came of what was pushed, at `graftd,HOST,push,WAY,…` and `graftd,HOST,push,source,ADDRESS,…`; see docs/PUSH.md.
    fn sources(&mut self, told: Told) {
        for gone in told.gone {
            let source = gone.to_string();
            for (key, _) in Pushed::default().each() {
                self.out.lifetime(&["graftd", &self.host, "push", "source", &source, key], Duration::from_millis(1));
                self.gauges.remove(&["push", "source", &source, key].join(","));
            }
        }
        for (way, figures) in Way::ALL.iter().zip(told.ways) {
            for (key, n) in figures.each().into_iter().filter(|(_, n)| *n > 0) {
                self.total(&["push", way.name(), key], n as f64);
            }
        }
        for (source, figures) in told.sources {
            let source = source.to_string();
            for (key, n) in figures.each() {
                if n > 0 && !self.gauges.contains_key(&["push", "source", &source, key].join(",")) {
                    // It may have been here before, and be about to end.
                    self.out.lifetime(&["graftd", &self.host, "push", "source", &source, key], Duration::ZERO);
                }
                if n > 0 {
                    self.total(&["push", "source", &source, key], n as f64);
                }
            }
        }
        for (key, n) in told.others.each().into_iter().filter(|(_, n)| *n > 0) {
            self.total(&["push", "source", OTHER, key], n as f64);
        }
    }

    /// Notes what was read of logs.
    pub(super) fn logs(&mut self) {
        for ((name, _), Log { told, now, .. }) in &mut self.logs {
            for (key, was, is) in [
                ("lines", told.lines, now.lines),
                ("bytes", told.bytes, now.bytes),
                ("errors", told.errors, now.errors),
            ] {
                if is > was {
                    self.out.add(&["graftd", &self.host, "log", name, key], (is - was) as f64);
                }
            }
            if told.errors != now.errors
                && let Some(last) = now.faults.back()
            {
                let text = format!("{}: {}", last.why, last.sample);
                self.out.set_text(&["graftd", &self.host, "log", name, "last_error"], &text);
            }
            told.clone_from(now);
        }
        self.logs.retain(|_, log| !log.ended);
    }

    /// What a module's calls came to since this was told last.
    fn calls(&mut self, module: &ModuleStatus) {
        let (stats, now) = (Arc::downgrade(&module.stats), module.stats.counts());
        let Some((of, told)) = self.modules.insert(module.name.clone(), (stats.clone(), now)) else { return };
        // A module that was gone and is back within a tick counts from zero.
        let told = if of.ptr_eq(&stats) { told } else { Counts::default() };
        let seconds = |ns: u64| ns as f64 / 1e9;
        let growths = [
            (now.calls - told.calls) as f64,
            (now.errors - told.errors) as f64,
            seconds(now.cpu_ns - told.cpu_ns),
            (now.late - told.late) as f64,
            seconds(now.late_ns - told.late_ns),
            (now.restarts - told.restarts) as f64,
        ];
        for (key, growth) in MODULE_COUNTERS.into_iter().zip(growths) {
            if growth > 0.0 {
                self.out.add(&["graftd", &self.host, "module", &module.name, key], growth);
            }
        }
        if now.abandoned != told.abandoned {
            self.gauge(&["module", &module.name, "abandoned"], now.abandoned as f64);
        }
    }

    /// What is told of a module that is gone ends with this tick.
    fn forget_gone(&mut self, modules: &[ModuleStatus]) {
        let known = |name: &str| modules.iter().any(|module| module.name == name);
        let gone: Vec<String> = self.modules.keys().filter(|name| !known(name)).cloned().collect();
        for name in gone {
            for key in MODULE_KEYS {
                self.out.lifetime(&["graftd", &self.host, "module", &name, key], Duration::from_millis(1));
                let path = ["module", &name, key].join(",");
                self.texts.remove(&path);
                self.gauges.remove(&path);
            }
            self.modules.remove(&name);
        }
        for module in modules {
            if !self.modules.contains_key(&module.name) {
                self.modules.insert(module.name.clone(), (Arc::downgrade(&module.stats), Counts::default()));
                // It may have been here before, and be about to end.
                for key in MODULE_KEYS {
                    self.out.lifetime(&["graftd", &self.host, "module", &module.name, key], Duration::ZERO);
                }
                // From the beginning, so that nobody asks whether it is counted at all.
                for key in MODULE_COUNTERS {
                    self.out.add(&["graftd", &self.host, "module", &module.name, key], 0.0);
                }
                self.gauge(&["module", &module.name, "abandoned"], 0.0);
            }
        }
    }

    fn slow(&mut self, shared: &Shared) {
        let (nodes, bytes, overflowed) = {
            let tree = shared.tree.read();
            (tree.nodes(), tree.memory_bytes(), tree.overflowed())
        };
        self.gauge(&["tree", "nodes"], nodes as f64);
        self.gauge(&["tree", "bytes"], bytes as f64);
        self.gauge(&["tree", "overflowed"], overflowed as f64);
        if let Some(rss) = resident_bytes() {
            self.gauge(&["process", "rss"], rss as f64);
        }
    }

    fn gauge(&mut self, path: &[&str], value: f64) {
        let name = path.join(",");
        if self.gauges.get(&name) != Some(&value) {
            self.gauges.insert(name, value);
            let path = [&["graftd", self.host.as_str()], path].concat();
            self.out.set(&path, value);
        }
    }

    /// What a counter stands at that is counted elsewhere.
    fn total(&mut self, path: &[&str], value: f64) {
        let name = path.join(",");
        if self.gauges.get(&name) != Some(&value) {
            self.gauges.insert(name, value);
            let path = [&["graftd", self.host.as_str()], path].concat();
            self.out.total(&path, value);
        }
    }

    fn text(&mut self, path: &[&str], text: &str) {
        let name = path.join(",");
        if self.texts.get(&name).is_none_or(|told| told != text) {
            let path = [&["graftd", self.host.as_str()], path].concat();
            self.out.set_text(&path, text);
            self.texts.insert(name, text.to_owned());
        }
    }
}

/// Memory that the process holds, in bytes: the second figure of `/proc/self/statm` (proc(5)), in pages.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * rustix::param::page_size() as u64)
}

//! What ganglia has said so far: which hosts and metrics there are, and what is told of them. It makes frames for the tree of
//! what comes, knows what is to be asked for, and is bounded. It is pure: the time is an argument.

use super::told::{Told, number};
use crate::limits::{
    GMOND_ASK_PAUSE, GMOND_ASK_PAUSE_MAX, GMOND_CLUSTERS_MAX, GMOND_HOST_METRICS_MAX, GMOND_HOSTS_MAX,
    GMOND_PENDING_BYTES_MAX, GMOND_PENDING_MAX, GMOND_TABLE_BYTES_MAX,
};
use gmod_compat::text;
use gmod_compat::xdr::{Datum, MetricId, Packet, Value};
use plugin_api::delta::wire::{Op, Writer};
use plugin_api::limits::{TEXT_BYTES_MAX, cut};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// When something happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// On a clock that is never set back, in milliseconds.
    pub(super) mono_ms: i64,
    /// In seconds since the Unix epoch.
    pub(super) unix_s: i64,
}

/// What became of a packet or a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// It counts.
    Yes,
    /// A value that nobody has told the metadata of; it is time to ask for that.
    Ask,
    /// A request for metadata: it is for those who have metrics of their own.
    NotOurs,
    /// It names no host, or no metric.
    Nameless,
    /// There is no room for another cluster, host or metric.
    NoRoom,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) clusters: HashMap<Arc<str>, ClusterEntry>,
    /// Each different metadata once.
    told: HashSet<Arc<Told>>,
    pub(super) hosts: usize,
    /// About as many as all of it takes.
    pub(super) bytes: usize,
    /// Hosts that were heard of since the last flush.
    pub(super) heard: Vec<(Arc<str>, Arc<str>)>,
    /// Metadata is written here on its way into a frame.
    pub(super) pairs: Vec<u8>,
    /// The cluster that packets are for.
    pub(super) own: Option<Arc<str>>,
    /// Clusters that they were for before: their hosts are to be forgotten.
    pub(super) left: HashSet<Arc<str>>,
}

/// A cluster.
#[derive(Debug, Default)]
pub(super) struct ClusterEntry {
    pub(super) hosts: HashMap<Arc<str>, HostEntry>,
    /// Owner, place, page, as others tell them.
    pub(super) about: [String; 3],
    /// The same, as they are configured here.
    pub(super) own: [String; 3],
    /// They are not in the tree yet.
    pub(super) unsaid: bool,
    /// It had no host at the last sweep. What is told of a cluster comes before its hosts do.
    pub(super) idle: bool,
}

/// A host.
#[derive(Debug, Default)]
pub(super) struct HostEntry {
    pub(super) metrics: HashMap<Box<str>, MetricEntry>,
    pub(super) ip: String,
    pub(super) location: String,
    pub(super) tags: String,
    pub(super) started: i64,
    /// Seconds; what its XML says of it.
    pub(super) tmax: u32,
    pub(super) dmax: u32,
    /// When somebody else heard of it last, as that says, in Unix seconds; for hosts that are not heard themselves.
    pub(super) reported: Option<i64>,
    pub(super) heard_ms: i64,
    /// It stands in the list of those heard.
    pub(super) listed: bool,
    /// The tree has been told of it.
    pub(super) said: bool,
}

/// A metric.
#[derive(Debug, Default)]
pub(super) struct MetricEntry {
    told: Option<Arc<Told>>,
    /// How its values are printed, if they say so.
    format: Option<Box<str>>,
    /// The metadata is in the tree.
    said: bool,
    /// A value is.
    has_value: bool,
    /// A text that may be a number, since when.
    pending: Option<Box<str>>,
    first_ms: i64,
    pub(super) heard_ms: i64,
    /// When it was heard last by who was polled, in Unix seconds.
    pub(super) reported: Option<i64>,
    asked_ms: Option<i64>,
    asked: u32,
}

/// What a metric and a host take beside their names, in bytes; about.
const METRIC_BYTES: usize = size_of::<MetricEntry>() + 64;
const HOST_BYTES: usize = size_of::<HostEntry>() + 160;

/// Bytes that are kept of how a value is printed; gmond keeps as many.
const FORMAT_BYTES_MAX: usize = 64;

/// Where something hangs below `ganglia`.
#[derive(Clone, Copy, Debug)]
struct Place<'p> {
    cluster: &'p str,
    host: &'p str,
    metric: &'p str,
}

impl Table {
    /// Takes a packet that came from `ip`, for hosts of `cluster`.
    pub(super) fn packet(
        &mut self,
        cluster: &str,
        packet: &Packet<'_>,
        ip: IpAddr,
        now: Now,
        out: &mut Writer,
    ) -> Took {
        let id = packet.id();
        let Some((host, spoofed_ip)) = id.host_and_ip() else { return Took::Nameless };
        let name = id.shown_name();
        if name.is_empty() {
            return Took::Nameless;
        }
        if matches!(packet, Packet::Request(_)) {
            return Took::NotOurs;
        }
        let from = ip.to_canonical().to_string();
        let ip = spoofed_ip.unwrap_or(Cow::Borrowed(&from));
        let host = if host.is_empty() { Cow::Borrowed(&*from) } else { host };
        let Some(entry) = self.host(cluster, &host, now) else { return Took::NoRoom };
        // It is heard itself; what somebody else says of when is out of date.
        entry.reported = None;
        let grown = put(&mut entry.ip, cut(&ip, GMOND_PENDING_BYTES_MAX));
        self.count(grown);
        let what = What { id: &id, place: Place { cluster, host: &host, metric: &name }, now };
        match packet {
            Packet::Metadata(metadata) => self.metadata(what, Told::by_packet(metadata), out),
            Packet::Value(value) => self.value(what, value, out),
            Packet::Request(_) => Took::NotOurs,
        }
    }

    fn metadata(&mut self, what: What<'_>, told: Told, out: &mut Writer) -> Took {
        if is_vital(what.place.metric) {
            return Took::Yes;
        }
        let told = self.intern(told);
        let Some(told) = told else { return Took::NoRoom };
        let Some(metric) = self.metric(what.place, what.now) else {
            self.release(&told);
            return Took::NoRoom;
        };
        if metric.told.as_ref() == Some(&told) {
            return Took::Yes;
        }
        let before = metric.told.replace(Arc::clone(&told));
        (metric.said, metric.asked, metric.asked_ms) = (false, 0, None);
        let (pending, has_value) = (metric.pending.take(), metric.has_value);
        if let Some(before) = before {
            self.release(&before);
        }
        match pending {
            Some(text) => {
                self.bytes = self.bytes.saturating_sub(text.len());
                self.say(what.place, what.spoof(), Said::Text(&text), out);
            }
            None if has_value => self.say_meta(what.place, what.spoof(), out),
            None => {}
        }
        Took::Yes
    }

    fn value(&mut self, what: What<'_>, value: &Value<'_>, out: &mut Writer) -> Took {
        let Place { cluster, host, metric: name } = what.place;
        if is_vital(name) {
            let Some(entry) = self.host(cluster, host, what.now) else { return Took::NoRoom };
            if name.eq_ignore_ascii_case("location") {
                if let Datum::Text(place) = value.datum {
                    let grown = put(&mut entry.location, cut(&text(place), GMOND_PENDING_BYTES_MAX));
                    self.count(grown);
                }
            } else if let Some(started) = value.datum.number().or_else(|| number(&said_text(value))) {
                // `gmetric -H` says 0: it speaks for a host that has no gmond.
                entry.started = if started > 0.0 { started as i64 } else { entry.started };
            }
            return Took::Yes;
        }
        let Some(metric) = self.metric(what.place, what.now) else { return Took::NoRoom };
        (metric.heard_ms, metric.reported) = (what.now.mono_ms, None);
        let format = text(value.format);
        let (known, first_ms) = (metric.told.is_some(), metric.first_ms);
        if !matches!(value.datum, Datum::Text(_)) && metric.format.as_deref() != Some(cut(&format, FORMAT_BYTES_MAX)) {
            let format = cut(&format, FORMAT_BYTES_MAX);
            let before = metric.format.replace(format.into());
            metric.said = false;
            self.count((format.len(), before.map_or(0, |before| before.len())));
        }
        let said = said_text(value);
        let said = value.datum.number().map_or(Said::Text(&said), Said::Number);
        match said {
            // Whether it is a number nobody knows yet.
            Said::Text(text) if !known && what.now.mono_ms - first_ms < ms(GMOND_PENDING_MAX) => {
                let Some(metric) = self.at(what.place) else { return Took::NoRoom };
                let text = cut(text, GMOND_PENDING_BYTES_MAX);
                let before = metric.pending.replace(text.into());
                self.count((text.len(), before.map_or(0, |text| text.len())));
            }
            said => self.say(what.place, what.spoof(), said, out),
        }
        if !known && self.may_ask(what.place, what.now) { Took::Ask } else { Took::Yes }
    }

    /// Says a value to the tree, and what is to be said beside it.
    fn say(&mut self, place: Place<'_>, spoof: Option<&str>, said: Said<'_>, out: &mut Writer) {
        let Some(metric) = self.at(place) else { return };
        let told = metric.told.clone();
        let (is_number, grows) = told.as_ref().map_or((true, false), |told| (told.is_number, told.grows));
        let path = place.path();
        let x = match said {
            Said::Number(x) => Some(x).filter(|x| x.is_finite()),
            // A text without metadata is a text.
            Said::Text(text) => told.as_ref().filter(|_| is_number).and_then(|_| number(text)),
        };
        match (x, said) {
            (Some(x), _) if grows => out.entry(&path, Op::Total(x)),
            (Some(x), _) => out.entry(&path, Op::Set(x)),
            (None, Said::Text(text)) => out.entry(&path, Op::Text(cut(text, TEXT_BYTES_MAX))),
            // Not a number, or without end: that is what it says, and the tree has no number for it.
            (None, Said::Number(x)) => out.entry(
                &path,
                Op::Text(if x.is_nan() {
                    "nan"
                } else if x > 0.0 {
                    "inf"
                } else {
                    "-inf"
                }),
            ),
        }
        let first = !std::mem::replace(&mut metric.has_value, true);
        let life = told.map_or(Duration::ZERO, |told| told.lifetime());
        let mortal = !life.is_zero();
        // With the first too: its host may have been forgotten within this very tick.
        if mortal || first || !metric.said {
            out.entry(&path, Op::Lifetime(life));
        }
        // Its metadata goes with a value that ends, so it comes with each.
        if mortal || !metric.said {
            self.say_meta(place, spoof, out);
        }
    }

    fn say_meta(&mut self, place: Place<'_>, spoof: Option<&str>, out: &mut Writer) {
        let mut pairs = std::mem::take(&mut self.pairs);
        if let Some(metric) = self.at(place)
            && let Some(told) = &metric.told
        {
            out.entry(&place.path(), Op::Meta(told.write(metric.format.as_deref(), spoof, &mut pairs)));
            metric.said = true;
        }
        self.pairs = pairs;
    }

    /// Takes a metric from XML that was written when it was `written` (Unix seconds). What the XML only repeats is passed over.
    pub(super) fn polled(
        &mut self,
        cluster: &str,
        host: &str,
        metric: &gmod_compat::xml::Metric<'_>,
        written: i64,
        now: Now,
        out: &mut Writer,
    ) -> Took {
        if metric.name.is_empty() {
            return Took::Nameless;
        }
        let place = Place { cluster, host, metric: &metric.name };
        let Some(told) = self.intern(Told::by_xml(metric)) else { return Took::NoRoom };
        let Some(entry) = self.metric(place, now) else {
            self.release(&told);
            return Took::NoRoom;
        };
        let reported = written.saturating_sub(metric.tn);
        // Whole seconds are cut off at both ends.
        let repeats = entry.reported.is_some_and(|before| reported <= before.saturating_add(1));
        let is_new = entry.told.as_ref() != Some(&told);
        if is_new {
            entry.said = false;
            if let Some(before) = entry.told.replace(told) {
                self.release(&before);
            }
        } else if repeats {
            return Took::Yes;
        }
        let Some(entry) = self.at(place) else { return Took::NoRoom };
        (entry.reported, entry.heard_ms) = (Some(reported), now.mono_ms);
        self.say(place, None, Said::Text(&metric.val), out);
        Took::Yes
    }

    /// The entry of a cluster, made if there is room.
    pub(super) fn cluster(&mut self, cluster: &str) -> Option<&mut ClusterEntry> {
        if !self.clusters.contains_key(cluster) {
            if self.clusters.len() >= GMOND_CLUSTERS_MAX {
                return None;
            }
            self.clusters.insert(cluster.into(), ClusterEntry::default());
        }
        let entry = self.clusters.get_mut(cluster)?;
        entry.idle = false;
        Some(entry)
    }

    /// The entry of a host that is heard of, made if there is room.
    pub(super) fn host(&mut self, cluster: &str, host: &str, now: Now) -> Option<&mut HostEntry> {
        if !self.cluster(cluster)?.hosts.contains_key(host) {
            if self.hosts >= GMOND_HOSTS_MAX || self.bytes + HOST_BYTES + host.len() > GMOND_TABLE_BYTES_MAX {
                return None;
            }
            self.hosts += 1;
            self.bytes += HOST_BYTES + host.len();
            let new = HostEntry { tmax: 20, ..HostEntry::default() };
            self.clusters.get_mut(cluster)?.hosts.insert(host.into(), new);
        }
        let entry = self.clusters.get_mut(cluster)?.hosts.get_mut(host)?;
        entry.heard_ms = now.mono_ms;
        if !std::mem::replace(&mut entry.listed, true) {
            self.heard.push((cluster.into(), host.into()));
        }
        Some(entry)
    }

    fn metric(&mut self, place: Place<'_>, now: Now) -> Option<&mut MetricEntry> {
        let room = self.bytes + METRIC_BYTES + place.metric.len() <= GMOND_TABLE_BYTES_MAX;
        let host = self.clusters.get_mut(place.cluster)?.hosts.get_mut(place.host)?;
        if !host.metrics.contains_key(place.metric) {
            if !room || host.metrics.len() >= GMOND_HOST_METRICS_MAX {
                return None;
            }
            self.bytes += METRIC_BYTES + place.metric.len();
            let new = MetricEntry { first_ms: now.mono_ms, heard_ms: now.mono_ms, ..MetricEntry::default() };
            host.metrics.insert(place.metric.into(), new);
        }
        host.metrics.get_mut(place.metric)
    }

    fn at(&mut self, place: Place<'_>) -> Option<&mut MetricEntry> {
        self.clusters.get_mut(place.cluster)?.hosts.get_mut(place.host)?.metrics.get_mut(place.metric)
    }

    fn may_ask(&mut self, place: Place<'_>, now: Now) -> bool {
        let Some(metric) = self.at(place) else { return false };
        let pause = ms(GMOND_ASK_PAUSE).saturating_mul(1 << metric.asked.saturating_sub(1).min(16));
        let due = metric.asked_ms.is_none_or(|at| now.mono_ms - at >= pause.min(ms(GMOND_ASK_PAUSE_MAX)));
        if due {
            (metric.asked_ms, metric.asked) = (Some(now.mono_ms), metric.asked.saturating_add(1));
        }
        due
    }

    fn intern(&mut self, told: Told) -> Option<Arc<Told>> {
        if let Some(known) = self.told.get(&told) {
            return Some(Arc::clone(known));
        }
        if self.bytes + told.bytes() > GMOND_TABLE_BYTES_MAX {
            return None;
        }
        self.bytes += told.bytes();
        let told = Arc::new(told);
        self.told.insert(Arc::clone(&told));
        Some(told)
    }

    /// Forgets metadata that nobody has any more but the caller, who is about to drop it, and the set.
    fn release(&mut self, told: &Arc<Told>) {
        if Arc::strong_count(told) == 2 && self.told.remove(told) {
            self.bytes = self.bytes.saturating_sub(told.bytes());
        }
    }

    /// Counts bytes that came and bytes that went.
    pub(super) fn count(&mut self, (come, gone): (usize, usize)) {
        self.bytes = (self.bytes + come).saturating_sub(gone);
    }

    /// Gives back what a metric took.
    pub(super) fn gone(&mut self, name: &str, metric: &MetricEntry) {
        let pending = metric.pending.as_ref().map_or(0, |text| text.len());
        let format = metric.format.as_ref().map_or(0, |text| text.len());
        self.bytes = self.bytes.saturating_sub(METRIC_BYTES + name.len() + pending + format);
        if let Some(told) = &metric.told {
            self.release(told);
        }
    }

    /// Gives back what a host took, but for its metrics.
    pub(super) fn host_gone(&mut self, name: &str, host: &HostEntry) {
        self.hosts = self.hosts.saturating_sub(1);
        let words = host.ip.len() + host.location.len() + host.tags.len();
        self.bytes = self.bytes.saturating_sub(HOST_BYTES + name.len() + words);
    }
}

impl MetricEntry {
    /// When its own life is over, on the monotonic clock in milliseconds; `None` if never.
    pub(super) fn ends_ms(&self) -> Option<i64> {
        let life = self.told.as_ref()?.lifetime();
        (!life.is_zero()).then(|| self.heard_ms.saturating_add(ms(life)))
    }
}

/// A metric that a packet speaks of.
#[derive(Clone, Copy)]
struct What<'w> {
    id: &'w MetricId<'w>,
    place: Place<'w>,
    now: Now,
}

impl<'w> What<'w> {
    /// Whom the packet speaks for, as it says; where that is not UTF-8 nobody can be told.
    fn spoof(&self) -> Option<&'w str> {
        std::str::from_utf8(self.id.host).ok().filter(|_| self.id.spoof)
    }
}

#[derive(Clone, Copy)]
enum Said<'s> {
    Number(f64),
    Text(&'s str),
}

impl<'p> Place<'p> {
    fn path(self) -> [&'p str; 3] {
        [self.cluster, self.host, self.metric]
    }
}

/// What a value says as a text; nothing where it is a number.
fn said_text<'v>(value: &Value<'v>) -> Cow<'v, str> {
    match value.datum {
        Datum::Text(bytes) => text(bytes),
        _ => Cow::Borrowed(""),
    }
}

/// Puts a text where another may stand; gives the bytes that come and that go.
pub(super) fn put(slot: &mut String, text: &str) -> (usize, usize) {
    let gone = slot.len();
    if slot != text {
        text.clone_into(slot);
    }
    (text.len(), gone)
}

/// What gmond itself says of its host by metrics that it does not show.
fn is_vital(name: &str) -> bool {
    name.eq_ignore_ascii_case("heartbeat") || name.eq_ignore_ascii_case("location")
}

pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

//! What the table tells of hosts and clusters as such, and how they are forgotten.

use super::table::{ClusterEntry, MetricEntry, Now, Table, ms, put};
use crate::conf::GmondConf;
use crate::limits::{GMOND_HOSTS_MAX, GMOND_SILENT_MAX, GMOND_SWEEP_HOSTS};
use gmod_compat::xml;
use plugin_api::delta::meta::Pairs;
use plugin_api::delta::wire::{Op, Writer};
use plugin_api::limits::cut;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that are kept of an address, a place, an owner.
const WORD_BYTES_MAX: usize = 512;

/// The least that a lifetime can be: what has it is gone at the end of the tick.
const AT_ONCE: Duration = Duration::from_millis(1);

/// What a sweep has still to look at.
#[derive(Debug, Default)]
pub(super) struct Round {
    hosts: Vec<(Arc<str>, Arc<str>)>,
    left: HashSet<Arc<str>>,
    /// There was hardly any room left when it began.
    crowded: bool,
}

impl Round {
    /// Whether all has been looked at.
    pub(super) fn is_over(&self) -> bool {
        self.hosts.is_empty()
    }
}

impl Table {
    /// Tells of the hosts that were heard of since this was called last, and of their clusters.
    pub(super) fn tell_hosts(&mut self, host_dmax: Duration, out: &mut Writer) {
        let mut heard = std::mem::take(&mut self.heard);
        heard.sort();
        let mut last: Option<&Arc<str>> = None;
        for (cluster, host) in &heard {
            let Some(entry) = self.clusters.get_mut(cluster) else { continue };
            // Its node may have gone with its last host.
            entry.unsaid |= last.replace(cluster) != Some(cluster);
            let Some(entry) = entry.hosts.get_mut(host) else { continue };
            entry.listed = false;
            if !std::mem::replace(&mut entry.said, true) {
                // It may have been forgotten within this very tick.
                out.entry(&[cluster, host], Op::Lifetime(Duration::ZERO));
            }
            let dmax = if entry.reported.is_some() { entry.dmax.to_string() } else { host_dmax.as_secs().to_string() };
            let (tmax, started) = (entry.tmax.to_string(), entry.started.to_string());
            let mut pairs = vec![
                ("ip", entry.ip.as_str()),
                ("location", entry.location.as_str()),
                ("tags", entry.tags.as_str()),
                ("tmax", &tmax),
                ("dmax", &dmax),
                ("gmond_started", &started),
            ];
            let reported = entry.reported.map(|at| at.to_string());
            pairs.extend(reported.as_deref().map(|at| ("reported", at)));
            out.entry(&[cluster, host], Op::Meta(Pairs::write(&mut self.pairs, &pairs)));
        }
        for (cluster, entry) in &mut self.clusters {
            if entry.hosts.is_empty() || !std::mem::take(&mut entry.unsaid) {
                continue;
            }
            let keys = ["owner", "latlong", "url"];
            let words = entry.own.iter().zip(&entry.about).map(|(own, about)| if own.is_empty() { about } else { own });
            let pairs: Vec<_> = keys.into_iter().zip(words.map(String::as_str)).collect();
            out.entry(&[cluster], Op::Meta(Pairs::write(&mut self.pairs, &pairs)));
        }
        heard.clear();
        self.heard = heard;
    }

    /// Notes what is told of a cluster, before any of its hosts is: it is said as soon as it has one.
    pub(super) fn about(&mut self, cluster: &str, about: [&str; 3]) {
        if let Some(entry) = self.cluster(cluster)
            && entry.about != about
        {
            entry.about = about.map(|text| cut(text, WORD_BYTES_MAX).to_owned());
            entry.unsaid = true;
        }
    }

    /// Notes what this daemon's own configuration tells of its cluster. What that leaves open stays as others tell it.
    pub(super) fn about_own(&mut self, cluster: &str, own: [&str; 3]) {
        if let Some(entry) = self.clusters.get_mut(cluster)
            && entry.own != own
        {
            entry.own = own.map(|text| cut(text, WORD_BYTES_MAX).to_owned());
            entry.unsaid = true;
        }
    }

    /// Takes a host from XML that was written when it was `written`; whether there is room for it.
    pub(super) fn polled_host(&mut self, cluster: &str, host: &xml::Host<'_>, written: i64, now: Now) -> bool {
        let reported = if host.reported > 0 { host.reported } else { written.saturating_sub(host.tn) };
        // By our clock, not by theirs.
        let reported = now.unix_s.saturating_sub(written.saturating_sub(reported).max(0));
        let known = self.clusters.get(cluster).and_then(|entry| entry.hosts.get(&*host.name));
        // Whole seconds are cut off, and the way takes some time.
        let silent = known.and_then(|entry| entry.reported).is_some_and(|before| reported <= before.saturating_add(1));
        if silent {
            return true;
        }
        let Some(entry) = self.host(cluster, &host.name, now) else { return false };
        let words = [(&mut entry.ip, &host.ip), (&mut entry.location, &host.location), (&mut entry.tags, &host.tags)];
        let grown = words.map(|(slot, text)| put(slot, cut(text, WORD_BYTES_MAX)));
        (entry.tmax, entry.dmax, entry.started) = (host.tmax, host.dmax, host.gmond_started);
        entry.reported = Some(reported);
        grown.into_iter().for_each(|grown| self.count(grown));
        true
    }

    /// Notes for which cluster packets are from now on. Where that is another than before, the one before is forgotten at
    /// the next sweep: who spoke for it may have a last word.
    pub(super) fn speaks_for(&mut self, cluster: &str) {
        self.left.remove(cluster);
        let before = self.own.replace(cluster.into());
        self.left.extend(before.filter(|before| **before != *cluster));
    }

    /// All that there is to sweep, and which clusters are to be forgotten whole.
    pub(super) fn round(&mut self) -> Round {
        self.clusters.retain(|_, entry| !entry.hosts.is_empty() || !std::mem::replace(&mut entry.idle, true));
        let hosts = |(name, entry): (&Arc<str>, &ClusterEntry)| -> Vec<_> {
            entry.hosts.keys().map(|host| (Arc::clone(name), Arc::clone(host))).collect()
        };
        Round {
            hosts: self.clusters.iter().flat_map(hosts).collect(),
            left: std::mem::take(&mut self.left),
            crowded: self.hosts > GMOND_HOSTS_MAX / 4 * 3,
        }
    }

    /// Forgets hosts and metrics whose time is over: of the next some of a round. The tree forgets metrics by itself; of a
    /// host it is told here. Where there is hardly any room left, hosts that have been silent for long make some.
    pub(super) fn sweep(&mut self, round: &mut Round, conf: &GmondConf, now: Now, out: &mut Writer) -> usize {
        let mut forgotten = 0;
        let some = round.hosts.split_off(round.hosts.len().saturating_sub(GMOND_SWEEP_HOSTS));
        for (cluster, name) in &some {
            let host = self.clusters.get(cluster).and_then(|entry| entry.hosts.get(name));
            let Some(host) = host else { continue };
            let life = if host.reported.is_some() { Duration::from_secs(host.dmax.into()) } else { conf.host_dmax };
            let life = if life.is_zero() && round.crowded { GMOND_SILENT_MAX } else { life };
            let is_over = !life.is_zero() && now.mono_ms - host.heard_ms > ms(life);
            if is_over || round.left.contains(cluster) {
                self.forget_host(cluster, name, out);
                forgotten += 1;
            } else {
                self.sweep_metrics(cluster, name, now);
            }
        }
        forgotten
    }

    fn sweep_metrics(&mut self, cluster: &str, host: &str, now: Now) {
        let host = self.clusters.get_mut(cluster).and_then(|entry| entry.hosts.get_mut(host));
        let Some(host) = host else { return };
        let over = |metric: &MetricEntry| metric.ends_ms().is_some_and(|ends| ends < now.mono_ms);
        let gone: Vec<_> = host.metrics.extract_if(|_, metric| over(metric)).collect();
        for (name, metric) in &gone {
            self.gone(name, metric);
        }
    }

    fn forget_host(&mut self, cluster: &str, host: &str, out: &mut Writer) {
        let Some(entry) = self.clusters.get_mut(cluster).and_then(|entry| entry.hosts.remove(host)) else { return };
        self.host_gone(host, &entry);
        for (name, metric) in &entry.metrics {
            out.entry(&[cluster, host, name], Op::Lifetime(AT_ONCE));
            self.gone(name, metric);
        }
        // It goes with the last of its metrics, but it may have none.
        out.entry(&[cluster, host], Op::Lifetime(AT_ONCE));
    }
}

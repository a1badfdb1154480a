//! XML out of the tree: what hangs at `ganglia,CLUSTER,HOST,METRIC`, and what modules of gmond's kind have told of their metrics
//! (`MODULE,HOST,METRIC` with a type), as this host's cluster.
//!
//! The tree's lock is held to copy some hosts at a time, and never while XML is made of them.

use super::feed::BRANCH;
use crate::conf::GmondConf;
use crate::core::Shared;
use crate::limits::{GMOND_XML_HOSTS_AT_ONCE, GMOND_XML_METRICS_AT_ONCE, GMOND_XML_OWN_METRICS_MAX};
use crate::tree::{NodeRef, Reading, Tree, Want};
use gmod_compat::keys::ganglia_key;
use gmod_compat::xdr::{Argument, format};
use gmod_compat::xml::{Cluster, Host, Metric, Writer};
use plugin_api::delta::meta::Pairs;
use plugin_api::limits::DEPTH_MAX;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Seconds after which a host should have been heard again, where nobody says otherwise; as gmond has it.
const HOST_TMAX: u32 = 20;

/// A value, copied.
#[derive(Debug)]
enum Copied {
    Number(f64),
    Text(String),
}

/// A node's metadata, copied.
#[derive(Debug, Default)]
struct Told {
    pairs: Box<[u8]>,
    /// When its value, or else its metadata, came; on the tree's clock in milliseconds.
    at_ms: i64,
}

impl Told {
    fn pairs(&self) -> Pairs<'_> {
        Pairs::reread(&self.pairs)
    }

    fn text(&self, key: &str) -> &str {
        self.pairs().get(key).unwrap_or_default()
    }

    fn number<N: std::str::FromStr + Default>(&self, key: &str) -> N {
        self.text(key).parse().unwrap_or_default()
    }
}

#[derive(Debug)]
struct CopiedMetric {
    name: String,
    value: Copied,
    told: Told,
}

#[derive(Debug, Default)]
struct CopiedHost {
    name: String,
    told: Option<Told>,
    metrics: Vec<CopiedMetric>,
}

/// Where metrics hang, by their names: where two modules have one of the same name, the later replaces the earlier.
type Own = BTreeMap<String, Box<[String]>>;

/// Makes a document, piece by piece.
#[derive(Debug)]
pub(super) struct Rendering {
    shared: Arc<Shared>,
    conf: Arc<GmondConf>,
    /// This host's address, as the reader sees it.
    own_ip: IpAddr,
    /// Clusters and their hosts that are still to come, the last first.
    clusters: Vec<(String, Vec<String>)>,
    open: bool,
    /// Metrics of this host's modules, by host; shown in the cluster that comes first.
    own: BTreeMap<String, Own>,
    xml: Writer,
    done: bool,
}

impl Rendering {
    pub(super) fn new(shared: Arc<Shared>, conf: Arc<GmondConf>, own_ip: IpAddr) -> Rendering {
        let own_cluster = &conf.cluster.name;
        let tree = shared.tree.read();
        let mut clusters = clusters(&tree, own_cluster);
        let own = own_metrics(&tree);
        drop(tree);
        // Hosts that only modules tell of.
        if let Some((_, hosts)) = clusters.last_mut() {
            let known: HashSet<String> = hosts.iter().cloned().collect();
            let more: Vec<String> = own.keys().filter(|name| !known.contains(*name)).cloned().collect();
            hosts.splice(0..0, more);
        }
        Rendering { shared, conf, own_ip, clusters, open: false, own, xml: Writer::new(), done: false }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.done {
            return None;
        }
        let now = self.shared.clock.now();
        let now_s = now.unix_ms().div_euclid(1_000);
        let mono_ms = self.shared.clock.monotonic_ms();
        let Some((cluster, hosts)) = self.clusters.last_mut() else {
            self.xml.end();
            self.done = true;
            return Some(self.xml.take());
        };
        let is_own = *cluster == self.conf.cluster.name;
        let cluster = cluster.clone();
        let (mut copied, mut metrics) = (Vec::new(), 0);
        let about = {
            let tree = self.shared.tree.read();
            let node = tree.node(&[BRANCH, &cluster]);
            while copied.len() < GMOND_XML_HOSTS_AT_ONCE
                && metrics < GMOND_XML_METRICS_AT_ONCE
                && let Some(name) = hosts.pop()
            {
                let mut host = copy_host(node, name);
                if is_own && let Some(own) = self.own.remove(&host.name) {
                    copy_own(&tree, &own, &mut host);
                }
                metrics += host.metrics.len();
                copied.push(host);
            }
            node.and_then(|node| told(node))
        };
        let is_last = hosts.is_empty();
        if !std::mem::replace(&mut self.open, true) {
            let (about, conf) = (about.unwrap_or_default(), &self.conf.cluster);
            let word = |key: &str, own: &str| match own {
                own if is_own && !own.is_empty() => own.to_owned(),
                _ => about.text(key).to_owned(),
            };
            self.xml.cluster(&Cluster {
                name: cluster.into(),
                localtime: now_s,
                owner: word("owner", &conf.owner).into(),
                latlong: word("latlong", &conf.latlong).into(),
                url: word("url", &conf.url).into(),
            });
        }
        for host in copied {
            self.host(&host, now_s, mono_ms);
        }
        if is_last {
            self.xml.end_cluster();
            self.open = false;
            self.clusters.pop();
        }
        Some(self.xml.take())
    }

    fn host(&mut self, host: &CopiedHost, now_s: i64, mono_ms: i64) {
        let newest_ms = host.metrics.iter().map(|metric| metric.told.at_ms).max();
        let is_self = host.name == self.shared.host;
        let nobody = Told { at_ms: newest_ms.unwrap_or(mono_ms), ..Told::default() };
        let told = host.told.as_ref().unwrap_or(&nobody);
        let heard_ms = told.at_ms.max(newest_ms.filter(|_| told.text("reported").is_empty()).unwrap_or(told.at_ms));
        let reported = told.text("reported").parse().unwrap_or(now_s - (mono_ms - heard_ms).max(0) / 1_000);
        let spoofed = || host.metrics.iter().find_map(|metric| metric.told.text("spoof").rsplit_once(':'));
        let ip = match told.text("ip") {
            "" if is_self => self.own_ip.to_canonical().to_string(),
            "" => spoofed().map_or_else(|| host.name.clone(), |(ip, _)| ip.to_owned()),
            ip => ip.to_owned(),
        };
        let location = match told.text("location") {
            "" if is_self => &self.conf.cluster.location,
            location => location,
        };
        let started = match told.number("gmond_started") {
            0 if is_self => now_s - mono_ms / 1_000,
            started => started,
        };
        let unsaid = host.told.is_none();
        self.xml.host(&Host {
            name: host.name.as_str().into(),
            ip: ip.into(),
            tags: told.text("tags").into(),
            reported,
            tn: (now_s - reported).max(0),
            tmax: if unsaid { HOST_TMAX } else { told.number("tmax") },
            dmax: if unsaid { self.conf.host_dmax.as_secs() as u32 } else { told.number("dmax") },
            location: location.into(),
            gmond_started: started,
        });
        for metric in &host.metrics {
            self.metric(metric, mono_ms);
        }
        self.xml.end_host();
    }

    fn metric(&mut self, metric: &CopiedMetric, mono_ms: i64) {
        let CopiedMetric { name, value, told } = metric;
        let kind = told.text("type");
        let extra = told.pairs().iter().filter_map(|(key, value)| Some((ganglia_key(key)?.into(), value.into())));
        self.xml.metric(&Metric {
            name: name.into(),
            val: printed(value, kind, told.text("format")).into(),
            kind: kind.into(),
            units: told.text("units").into(),
            tn: (mono_ms - told.at_ms).max(0) / 1_000,
            tmax: told.number("tmax"),
            dmax: told.number("dmax"),
            slope: told.text("slope").into(),
            extra: extra.collect(),
        });
    }
}

/// The clusters and their hosts, both from the last to the first; `own` is the last, and always there.
fn clusters(tree: &Tree, own: &str) -> Vec<(String, Vec<String>)> {
    let branch = tree.node(&[BRANCH]);
    let names = |node: NodeRef<'_>| -> Vec<String> { node.children().map(|child| child.key().to_owned()).collect() };
    let mut others = Vec::new();
    let mut first = (own.to_owned(), Vec::new());
    for cluster in branch.into_iter().flat_map(NodeRef::children) {
        let mut hosts = names(cluster);
        hosts.reverse();
        if cluster.key() == own {
            first.1 = hosts;
        } else {
            others.push((cluster.key().to_owned(), hosts));
        }
    }
    others.reverse();
    others.push(first);
    others
}

/// Where modules have metrics: leaves with a type whose path ends in a host and a name. They are copied with their host.
fn own_metrics(tree: &Tree) -> BTreeMap<String, Own> {
    let mut own: BTreeMap<String, Own> = BTreeMap::new();
    let mut count = 0;
    for branch in tree.root().children().filter(|branch| !matches!(branch.key(), BRANCH | "graftd")) {
        branch.each_meta(DEPTH_MAX, &mut |keys, node, _| {
            // The branch's own key stands before these.
            if let [.., host, name] = keys
                && node.meta().is_some_and(|meta| meta.get("type").is_some())
            {
                let path = [branch.key()].into_iter().chain(keys.iter().copied()).map(str::to_owned).collect();
                own.entry((*host).to_owned()).or_default().insert((*name).to_owned(), path);
                count += 1;
            }
            count < GMOND_XML_OWN_METRICS_MAX
        });
    }
    own
}

/// Adds what modules have of a host; what it says of itself goes before.
fn copy_own(tree: &Tree, own: &Own, host: &mut CopiedHost) {
    let known: HashSet<String> = host.metrics.iter().map(|metric| metric.name.clone()).collect();
    for path in own.iter().filter(|(name, _)| !known.contains(*name)).map(|(_, path)| path) {
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        host.metrics.extend(tree.node(&keys).and_then(copy_metric));
    }
}

fn told(node: NodeRef<'_>) -> Option<Told> {
    let meta = node.meta()?;
    let at_ms = meta.reported_ms().unwrap_or(meta.said_ms());
    Some(Told { pairs: meta.encoded().into(), at_ms })
}

/// A metric as it is in the tree; `None` for what has no type, no value, or none that XML could show.
fn copy_metric(node: NodeRef<'_>) -> Option<CopiedMetric> {
    let kind = node.meta()?.get("type")?;
    let value = match node.own(Want::Value)? {
        Reading::Number(x) => Copied::Number(x),
        Reading::Text(text) => Copied::Text(text.to_owned()),
        Reading::Bool(flag) => Copied::Number(f64::from(u8::from(flag))),
        Reading::Quantiles(_) | Reading::Distinct(_) => return None,
    };
    if kind.is_empty() {
        return None;
    }
    Some(CopiedMetric { name: node.key().to_owned(), value, told: told(node)? })
}

fn copy_host(cluster: Option<NodeRef<'_>>, name: String) -> CopiedHost {
    let Some(node) = cluster.and_then(|cluster| cluster.child(&name)) else {
        return CopiedHost { name, ..CopiedHost::default() };
    };
    let metrics = node.children().filter_map(copy_metric).collect();
    CopiedHost { told: told(node), name, metrics }
}

/// A value as its sender would print it.
fn printed(value: &Copied, kind: &str, by: &str) -> String {
    match value {
        Copied::Text(text) => text.clone(),
        Copied::Number(x) => {
            // What was a float on the wire is rounded as the float that it was.
            let as_sent = if kind == "float" { f64::from(*x as f32) } else { *x };
            format(by, Argument::Number(as_sent)).unwrap_or_else(|| x.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Limits;
    use plugin_api::delta::wire::Op;
    use std::time::Duration;

    #[test]
    fn a_name_that_two_modules_give_is_shown_once() {
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        for (module, x) in [("a", 1.0), ("b", 2.0)] {
            let (mut out, mut pairs) = (plugin_api::delta::wire::Writer::new(), Vec::new());
            out.entry(&["web1", "m"], Op::Set(x));
            out.entry(&["web1", "m"], Op::Meta(Pairs::write(&mut pairs, &[("type", "double")])));
            tree.merge(&[module], out.bytes(), 0).unwrap();
        }
        let own = own_metrics(&tree);
        assert_eq!(own["web1"].len(), 1);
        let mut host = CopiedHost { name: "web1".to_owned(), ..CopiedHost::default() };
        copy_own(&tree, &own["web1"], &mut host);
        assert!(matches!(host.metrics[..], [CopiedMetric { value: Copied::Number(2.0), .. }]), "{host:?}");
        copy_own(&tree, &own["web1"], &mut host);
        assert_eq!(host.metrics.len(), 1, "it has one of this name");
    }

    #[test]
    fn values_are_printed_as_they_were_sent() {
        for (x, kind, by, expected) in [
            (25.55, "float", "%.1f", "25.5"),
            (25.55, "double", "%.1f", "25.6"),
            (4_000_000_000.0, "uint32", "", "4000000000"),
            (1.2345678901234567, "double", "%s", "1.2345678901234567"),
            (-5.0, "int8", "%d", "-5"),
            (1e300, "double", "%n", &1e300.to_string()),
        ] {
            assert_eq!(printed(&Copied::Number(x), kind, by), expected, "{x} {by}");
        }
        assert_eq!(printed(&Copied::Text("a<b".to_owned()), "string", "%d"), "a<b");
    }
}

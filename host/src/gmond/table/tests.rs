use super::*;
use crate::conf::GmondConf;
use crate::limits::GMOND_SWEEP_HOSTS;
use crate::tree::{Limits, Reading, Tree, Want};
use gmod_compat::xdr::Metadata;
use gmod_compat::xml;
use std::path::Path;

const HOME: &str = "home";
const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// A table and the tree that it feeds.
struct Fed {
    table: Table,
    tree: Tree,
    now: Now,
}

impl Fed {
    fn new() -> Fed {
        let tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        Fed { table: Table::default(), tree, now: Now { mono_ms: 1_000, unix_s: 1_700_000_000 } }
    }

    fn merge(&mut self, out: &Writer) {
        self.tree.merge(&["ganglia"], out.bytes(), self.now.mono_ms).expect("a frame");
    }

    fn take(&mut self, packet: &Packet<'_>) -> Took {
        let mut out = Writer::new();
        let took = self.table.packet(HOME, packet, FROM, self.now, &mut out);
        self.table.tell_hosts(Duration::ZERO, &mut out);
        self.merge(&out);
        took
    }

    fn polled(&mut self, host: &xml::Host<'_>, metric: &xml::Metric<'_>, written: i64) {
        let mut out = Writer::new();
        assert!(self.table.polled_host("far", host, written, self.now));
        assert_eq!(self.table.polled("far", &host.name, metric, written, self.now, &mut out), Took::Yes);
        self.table.tell_hosts(Duration::ZERO, &mut out);
        self.merge(&out);
    }

    fn sweep(&mut self, conf: &str) -> usize {
        let conf = GmondConf::parse(Path::new("x.on"), conf).unwrap();
        let mut out = Writer::new();
        let (mut round, mut forgotten) = (self.table.round(), 0);
        while !round.is_over() {
            let before = forgotten;
            forgotten += self.table.sweep(&mut round, &conf, self.now, &mut out);
            assert!(forgotten - before <= GMOND_SWEEP_HOSTS);
        }
        self.merge(&out);
        self.now.mono_ms += 1_000;
        self.tree.end_tick(self.now.mono_ms);
        forgotten
    }

    /// `12`, `"text"` or nothing.
    fn value(&self, path: &[&str]) -> String {
        let path = [&["ganglia"], path].concat();
        match self.tree.node(&path).and_then(|node| node.own(Want::Value)) {
            Some(Reading::Number(x)) => x.to_string(),
            Some(Reading::Text(text)) => format!("{text:?}"),
            _ => String::new(),
        }
    }

    fn meta(&self, path: &[&str], key: &str) -> Option<String> {
        let path = [&["ganglia"], path].concat();
        self.tree.node(&path)?.meta()?.get(key).map(str::to_owned)
    }
}

fn id(name: &'static str) -> MetricId<'static> {
    MetricId { host: b"web1", name: name.as_bytes(), spoof: false }
}

fn metadata(name: &'static str, kind: &'static str, dmax: u32) -> Packet<'static> {
    let extra = vec![(&b"TITLE"[..], &b"T"[..]), (b"GROUP", b"a"), (b"GROUP", b"b"), (b"units", b"odd")];
    let (id, name) = (id(name), name.as_bytes());
    Packet::Metadata(Metadata { id, kind: kind.as_bytes(), name, units: b"s", slope: 3, tmax: 60, dmax, extra })
}

fn text_of(name: &'static str, value: &'static str) -> Packet<'static> {
    Packet::Value(Value { id: id(name), format: b"%s", datum: Datum::Text(value.as_bytes()) })
}

#[test]
fn a_text_is_the_number_that_its_metadata_says_it_is() {
    let mut fed = Fed::new();
    fed.take(&metadata("m", "double", 0));
    assert_eq!(fed.value(&["home", "web1", "m"]), "", "metadata is no value");
    fed.take(&text_of("m", "2.5"));
    assert_eq!(fed.value(&["home", "web1", "m"]), "2.5");
    let meta = |key| fed.meta(&["home", "web1", "m"], key);
    assert_eq!(
        (meta("type"), meta("title"), meta("units")),
        (Some("double".into()), Some("T".into()), Some("s".into()))
    );
    assert_eq!(meta("UNITS"), Some("odd".into()), "nothing passes for what it is not");
    assert_eq!(fed.meta(&["home", "web1"], "ip"), Some("127.0.0.1".into()));
    fed.take(&text_of("m", "nan"));
    assert_eq!(fed.value(&["home", "web1", "m"]), "\"nan\"");
    fed.take(&metadata("s", "string", 0));
    fed.take(&text_of("s", "7"));
    assert_eq!(fed.value(&["home", "web1", "s"]), "\"7\"");
}

#[test]
fn a_value_waits_for_its_metadata_and_is_asked_for() {
    let mut fed = Fed::new();
    assert_eq!(fed.take(&text_of("m", "1")), Took::Ask);
    assert_eq!(fed.take(&text_of("m", "2")), Took::Yes, "asked already");
    assert_eq!(fed.value(&["home", "web1", "m"]), "");
    let waiting = fed.table.bytes;
    fed.take(&metadata("m", "int32", 0));
    assert_eq!(fed.value(&["home", "web1", "m"]), "2");
    assert!(fed.table.bytes > waiting, "the metadata is counted");
    // Nobody ever tells of this one.
    assert_eq!(fed.take(&text_of("n", "3")), Took::Ask);
    fed.now.mono_ms += 61_000;
    assert_eq!(fed.take(&text_of("n", "4")), Took::Ask);
    assert_eq!(fed.value(&["home", "web1", "n"]), "\"4\"");
    // What says itself that it is a number does not wait.
    let value = Packet::Value(Value { id: id("load"), format: b"%.2f", datum: Datum::Float(0.1) });
    assert_eq!(fed.take(&value), Took::Ask);
    assert_eq!(fed.value(&["home", "web1", "load"]), "0.1");
    fed.take(&metadata("load", "float", 0));
    assert_eq!(fed.meta(&["home", "web1", "load"], "format"), Some("%.2f".into()));
    let mut pauses = Vec::new();
    for second in 0..3_000 {
        fed.now.mono_ms += 1_000;
        if fed.take(&text_of("o", "x")) == Took::Ask {
            pauses.push(second);
        }
    }
    assert_eq!(pauses, [0, 10, 30, 70, 150, 310, 630, 1_230, 1_830, 2_430]);
}

#[test]
fn what_gmond_says_of_its_host_is_no_metric() {
    let mut fed = Fed::new();
    fed.take(&metadata("heartbeat", "uint32", 0));
    let beat = Value { id: id("heartbeat"), format: b"%u", datum: Datum::UInt(1_600_000_000) };
    fed.take(&Packet::Value(beat));
    fed.take(&text_of("location", "1,2,3"));
    fed.take(&metadata("m", "int32", 0));
    fed.take(&text_of("m", "1"));
    let host = |key| fed.meta(&["home", "web1"], key);
    assert_eq!((host("gmond_started"), host("location")), (Some("1600000000".into()), Some("1,2,3".into())));
    assert_eq!(fed.value(&["home", "web1", "heartbeat"]), "");
}

#[test]
fn what_has_a_lifetime_ends_and_comes_back_whole() {
    let mut fed = Fed::new();
    fed.take(&metadata("m", "int32", 30));
    fed.take(&text_of("m", "1"));
    fed.now.mono_ms += 28_000;
    fed.sweep("");
    assert_eq!(fed.value(&["home", "web1", "m"]), "1");
    fed.now.mono_ms += 31_000;
    fed.sweep("");
    assert_eq!(fed.value(&["home", "web1", "m"]), "");
    fed.take(&metadata("m", "int32", 30));
    fed.take(&text_of("m", "2"));
    assert_eq!(fed.meta(&["home", "web1", "m"], "units"), Some("s".into()));
}

#[test]
fn a_silent_host_is_forgotten_with_all_that_it_took() {
    let mut fed = Fed::new();
    fed.take(&metadata("m", "int32", 0));
    fed.take(&text_of("m", "1"));
    let plain = fed.table.bytes;
    fed.take(&text_of("location", "1,2,3"));
    fed.take(&Packet::Value(Value { id: id("m"), format: b"%.2f", datum: Datum::Float(1.0) }));
    assert_eq!(fed.table.bytes, plain + 5 + 4, "each text is counted");
    fed.now.mono_ms += 10_000;
    assert_eq!(fed.sweep("host_dmax = \"20s\""), 0);
    fed.now.mono_ms += 20_000;
    assert_eq!(fed.sweep("host_dmax = \"20s\""), 1);
    assert_eq!(fed.value(&["home", "web1", "m"]), "");
    assert_eq!((fed.table.hosts, fed.table.bytes, fed.table.told.len()), (0, 0, 0));
}

#[test]
fn a_host_that_only_beats_is_forgotten_too() {
    let mut fed = Fed::new();
    let beat = Value { id: id("heartbeat"), format: b"%u", datum: Datum::UInt(1_600_000_000) };
    fed.take(&Packet::Value(beat));
    assert!(fed.tree.node(&["ganglia", "home", "web1"]).is_some());
    fed.now.mono_ms += 21_000;
    assert_eq!(fed.sweep("host_dmax = \"20s\""), 1);
    assert!(fed.tree.node(&["ganglia", "home", "web1"]).is_none());
}

#[test]
fn a_host_that_speaks_in_the_tick_in_which_it_is_forgotten_stays_whole() {
    let mut fed = Fed::new();
    fed.take(&metadata("m", "int32", 0));
    fed.take(&text_of("m", "1"));
    fed.now.mono_ms += 21_000;
    let conf = GmondConf::parse(Path::new("x.on"), "host_dmax = \"20s\"").unwrap();
    let mut out = Writer::new();
    let mut round = fed.table.round();
    assert_eq!(fed.table.sweep(&mut round, &conf, fed.now, &mut out), 1);
    fed.merge(&out);
    fed.take(&metadata("m", "int32", 0));
    fed.take(&text_of("m", "2"));
    for _ in 0..3 {
        fed.now.mono_ms += 1_000;
        fed.tree.end_tick(fed.now.mono_ms);
    }
    assert_eq!(fed.value(&["home", "web1", "m"]), "2");
    assert_eq!(fed.meta(&["home", "web1", "m"], "units"), Some("s".into()));
    assert_eq!(fed.meta(&["home", "web1"], "ip"), Some("127.0.0.1".into()));
}

#[test]
fn a_flood_is_bounded() {
    let mut fed = Fed::new();
    let mut refused = 0;
    for host in 0..GMOND_HOSTS_MAX + 1_000 {
        let host = format!("h{host}");
        let id = MetricId { host: host.as_bytes(), name: b"m", spoof: false };
        let value = Packet::Value(Value { id, format: b"%u", datum: Datum::UInt(1) });
        refused += usize::from(fed.table.packet(HOME, &value, FROM, fed.now, &mut Writer::new()) == Took::NoRoom);
    }
    assert_eq!((fed.table.hosts, refused), (GMOND_HOSTS_MAX, 1_000));
    let mut refused = 0;
    for metric in 0..GMOND_HOST_METRICS_MAX + 1_000 {
        let name = format!("m{metric}");
        let id = MetricId { host: b"h1", name: name.as_bytes(), spoof: false };
        let value = Packet::Value(Value { id, format: b"%u", datum: Datum::UInt(1) });
        refused += usize::from(fed.table.packet(HOME, &value, FROM, fed.now, &mut Writer::new()) == Took::NoRoom);
    }
    // One was there.
    assert_eq!(refused, 1_001);
    // Others make room when they have been silent for long.
    fed.now.mono_ms += 3_700_000;
    assert_eq!(fed.sweep(""), GMOND_HOSTS_MAX);
    assert_eq!((fed.table.hosts, fed.table.bytes), (0, 0));
}

#[test]
fn what_xml_repeats_is_not_new() {
    let mut fed = Fed::new();
    let unix = fed.now.unix_s;
    let host =
        xml::Host { name: "far1".into(), ip: "10.0.0.1".into(), reported: unix - 5, tn: 5, ..xml::Host::default() };
    let metric = |val: &'static str, tn| xml::Metric {
        name: "m".into(),
        val: val.into(),
        kind: "double".into(),
        slope: "positive".into(),
        tn,
        tmax: 60,
        ..xml::Metric::default()
    };
    fed.polled(&host, &metric("1.5", 5), unix);
    assert_eq!(fed.value(&["far", "far1", "m"]), "1.5");
    assert_eq!(fed.meta(&["far", "far1"], "reported"), Some((unix - 5).to_string()));
    let reported = |fed: &Fed| fed.tree.node(&["ganglia", "far", "far1", "m"]).unwrap().meta().unwrap().reported_ms();
    let first = reported(&fed);
    fed.now = Now { mono_ms: fed.now.mono_ms + 15_000, unix_s: unix + 15 };
    fed.polled(&host, &metric("1.5", 20), unix + 15);
    assert_eq!(reported(&fed), first, "nothing was heard since");
    fed.polled(&host, &metric("2.5", 3), unix + 15);
    assert_eq!(fed.value(&["far", "far1", "m"]), "2.5");
    assert_ne!(reported(&fed), first);
}

#[test]
fn a_host_that_was_polled_once_is_heard_again() {
    let mut fed = Fed::new();
    let unix = fed.now.unix_s;
    let host = xml::Host { name: "web1".into(), reported: unix - 5, tn: 5, dmax: 7, ..xml::Host::default() };
    assert!(fed.table.polled_host(HOME, &host, unix, fed.now));
    fed.table.tell_hosts(Duration::ZERO, &mut Writer::new());
    fed.take(&metadata("m", "int32", 0));
    fed.take(&text_of("m", "1"));
    assert_eq!(fed.meta(&["home", "web1"], "reported"), None, "it speaks for itself");
    assert_eq!(fed.meta(&["home", "web1"], "dmax"), Some("0".into()), "and lives as hosts do that are heard");
}

#[test]
fn what_a_cluster_says_of_itself_stands_beside_what_is_configured() {
    let mut fed = Fed::new();
    let own = |fed: &mut Fed, owner: &str| fed.table.about_own(HOME, [owner, "", ""]);
    fed.table.about(HOME, ["theirs", "N1", "http://x/"]);
    // A sweep comes between it and its first host.
    fed.sweep("");
    own(&mut fed, "");
    fed.take(&metadata("m", "int32", 0));
    let owner = |fed: &Fed| (fed.meta(&["home"], "owner"), fed.meta(&["home"], "latlong"));
    assert_eq!(owner(&fed), (Some("theirs".into()), Some("N1".into())));
    own(&mut fed, "ops");
    let mut out = Writer::new();
    fed.table.tell_hosts(Duration::ZERO, &mut out);
    fed.merge(&out);
    assert_eq!(owner(&fed), (Some("ops".into()), Some("N1".into())), "said although no host has spoken");
}

#[test]
fn a_cluster_that_is_spoken_for_no_more_is_forgotten() {
    let mut fed = Fed::new();
    fed.table.speaks_for(HOME);
    fed.take(&metadata("m", "int32", 0));
    fed.take(&text_of("m", "1"));
    fed.table.speaks_for("other");
    // A last word of the life before.
    fed.take(&text_of("m", "2"));
    assert_eq!(fed.sweep(""), 1);
    assert!(fed.tree.node(&["ganglia", "home"]).is_none());
    fed.table.speaks_for(HOME);
    fed.table.speaks_for("other");
    fed.table.speaks_for(HOME);
    fed.take(&text_of("m", "3"));
    assert_eq!(fed.sweep(""), 0, "back again");
}

#[test]
fn who_names_nobody_is_not_taken() {
    let mut fed = Fed::new();
    let value = |id| Packet::Value(Value { id, format: b"%u", datum: Datum::UInt(1) });
    assert_eq!(fed.take(&value(MetricId { host: b"nocolon", name: b"m", spoof: true })), Took::Nameless);
    assert_eq!(fed.take(&value(MetricId { host: b"web1", name: b"", spoof: false })), Took::Nameless);
    assert_eq!(fed.take(&Packet::Request(id("m"))), Took::NotOurs);
    fed.take(&value(MetricId { host: b"", name: b"m", spoof: false }));
    assert_eq!(fed.value(&["home", "127.0.0.1", "m"]), "1", "who does not say its name has its address");
}

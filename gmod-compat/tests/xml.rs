//! What gmond writes is read as what it says, and written as it was; what anybody else writes harms nothing.

use gmod_compat::xml::{Cluster, Host, Item, Metric, ReadError, Writer, read};
use proptest::prelude::*;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// XML of a gmond 3.7.2 (Debian) with its default metrics; but for four of them they are left out.
const GMOND: &str = include_str!("recorded/gmond.xml");

fn items(document: &[u8]) -> (Vec<Item<'static>>, Result<(), ReadError>) {
    let mut items = Vec::new();
    let read = read(document, |item| items.push(owned(item)));
    (items, read)
}

/// The reader's items own their texts already.
fn owned(item: Item<'_>) -> Item<'static> {
    let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    match item {
        Item::Cluster(cluster) => Item::Cluster(Cluster {
            name: text(cluster.name),
            localtime: cluster.localtime,
            owner: text(cluster.owner),
            latlong: text(cluster.latlong),
            url: text(cluster.url),
        }),
        Item::Host(host) => Item::Host(Host {
            name: text(host.name),
            ip: text(host.ip),
            tags: text(host.tags),
            location: text(host.location),
            ..Host { name: "".into(), ip: "".into(), tags: "".into(), location: "".into(), ..host }
        }),
        Item::Metric(metric) => Item::Metric(Metric {
            name: text(metric.name),
            val: text(metric.val),
            kind: text(metric.kind),
            units: text(metric.units),
            slope: text(metric.slope),
            extra: metric.extra.into_iter().map(|(key, value)| (text(key), text(value))).collect(),
            tn: metric.tn,
            tmax: metric.tmax,
            dmax: metric.dmax,
        }),
    }
}

#[track_caller]
fn good(document: &str) -> Vec<Item<'static>> {
    let (items, read) = items(document.as_bytes());
    assert_eq!(read, Ok(()), "{document}");
    items
}

fn written(items: &[Item<'_>]) -> String {
    let mut xml = Writer::new();
    let (mut in_cluster, mut in_host) = (false, false);
    for item in items {
        if in_host && !matches!(item, Item::Metric(_)) {
            xml.end_host();
            in_host = false;
        }
        match item {
            Item::Cluster(cluster) => {
                if std::mem::replace(&mut in_cluster, true) {
                    xml.end_cluster();
                }
                xml.cluster(cluster);
            }
            Item::Host(host) => {
                xml.host(host);
                in_host = true;
            }
            Item::Metric(metric) => xml.metric(metric),
        }
    }
    if in_host {
        xml.end_host();
    }
    if in_cluster {
        xml.end_cluster();
    }
    xml.end();
    xml.take()
}

/// As gmond wrote it, but for the encoding and the slope that it does not declare.
fn as_ours(gmonds: &str) -> String {
    let both = "(zero | positive | negative | both | unspecified)";
    gmonds
        .replace("ISO-8859-1", "UTF-8")
        .replace(both, "(zero | positive | negative | both | derivative | unspecified)")
}

#[test]
fn gmonds_xml_is_read() {
    let items = good(GMOND);
    let Item::Cluster(cluster) = &items[0] else { panic!("{items:?}") };
    assert_eq!((&*cluster.name, &*cluster.owner, &*cluster.url), ("refcluster", "refowner", ""));
    assert_eq!(cluster.localtime, 1_795_351_788);
    let Item::Host(host) = &items[1] else { panic!("{items:?}") };
    assert_eq!((&*host.name, &*host.ip, host.tmax, host.tn), ("localhost", "127.0.0.1", 20, 19));
    assert_eq!((host.reported, host.gmond_started, &*host.location), (1_795_351_768, 1_795_351_608, ""));
    let Item::Metric(metric) = &items[2] else { panic!("{items:?}") };
    assert_eq!((&*metric.name, &*metric.val, &*metric.kind), ("mem_cached", "3512336", "float"));
    assert_eq!((&*metric.units, &*metric.slope, metric.tn, metric.tmax), ("KB", "both", 19, 180));
    let pairs: Vec<(&str, &str)> = metric.extra.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(pairs, [("TITLE", "Cached Memory"), ("DESC", "Amount of cached memory"), ("GROUP", "memory")]);
    assert_eq!(items.len(), 6);
}

#[test]
fn it_is_written_as_gmond_writes_it() {
    assert_eq!(written(&good(GMOND)), as_ours(GMOND));
}

#[test]
fn a_whole_one_too() {
    const NAME: &str = "data/gmond/gmond_sample.xml";
    let beside = || -> Option<PathBuf> {
        let beside = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?).ok()?;
        beside.filter_map(|entry| Some(entry.ok()?.path().join(NAME))).find(|file| file.is_file())
    };
    let samples = env::var_os("GRAFTD_SAMPLES").map(|folder| Path::new(&folder).join("gmond/gmond_sample.xml"));
    let Some(file) = samples.filter(|file| file.is_file()).or_else(beside) else {
        eprintln!("skipped: the whole sample is not here; GRAFTD_SAMPLES names the folder that it lies in");
        return;
    };
    let sample = fs::read_to_string(file).expect("a sample");
    assert_eq!(written(&good(&sample)), as_ours(&sample));
}

#[test]
fn what_gmetad_writes_is_read_too() {
    let items = good(
        "<?xml version='1.0'?><GANGLIA_XML VERSION='3.7.2' SOURCE='gmetad'><GRID NAME='g' AUTHORITY='http://x/'>\n\
         <GRID NAME='inner'><CLUSTER LOCALTIME='7' NAME='a'><HOST TN='3' IP='1.2.3.4' NAME='h'><METRIC VAL='1' NAME='m' SOURCE='gmond'/>\
         </HOST></CLUSTER></GRID><HOSTS UP='1' DOWN='0' SOURCE='gmetad'/>\
         <METRICS NAME='load_one' SUM='1' NUM='1' TYPE='float'><EXTRA_DATA><EXTRA_ELEMENT NAME='GROUP' VAL='x'/></EXTRA_DATA></METRICS>\
         </GRID></GANGLIA_XML>",
    );
    let host = Host { name: "h".into(), ip: "1.2.3.4".into(), tn: 3, ..Host::default() };
    let metric = Metric { name: "m".into(), val: "1".into(), ..Metric::default() };
    let cluster = Cluster { name: "a".into(), localtime: 7, ..Cluster::default() };
    assert_eq!(items, [Item::Cluster(cluster), Item::Host(host), Item::Metric(metric)]);
}

#[test]
fn entities_stand_for_nothing_but_themselves() {
    let bomb = "<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY x SYSTEM \"file:///etc/passwd\">\
                <!ENTITY % p \"<!ENTITY c '&b;&b;'>\">%p;]>\
                <GANGLIA_XML><CLUSTER NAME='&b;&x;&c; &amp;&lt;&gt;&quot;&apos;&#65;&#x42;&#0;&#;&#xd800;&nosuch; & &'/></GANGLIA_XML>";
    let Some(Item::Cluster(cluster)) = good(bomb).pop() else { panic!("no cluster") };
    assert_eq!(cluster.name, "&b;&x;&c; &<>\"'AB\u{fffd}&#;\u{fffd}&nosuch; & &");
}

#[test]
fn bytes_that_are_no_utf8_are_latin_1() {
    let document = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><GANGLIA_XML><CLUSTER NAME=\"caf\xe9 caf\xc3\xa9\"/></GANGLIA_XML>";
    let (items, read) = items(document);
    assert_eq!(read, Ok(()));
    assert!(matches!(&items[..], [Item::Cluster(cluster)] if cluster.name == "café café"), "{items:?}");
}

#[test]
fn what_stood_before_a_fault_counts() {
    let whole = "<GANGLIA_XML><CLUSTER NAME='a'><HOST NAME='h'><METRIC NAME='m' VAL='1'/><METRIC NAME='n' VAL='2'";
    let (found, error) = items(whole.as_bytes());
    assert_eq!(found.len(), 3);
    assert!(matches!(error, Err(ReadError::Malformed { .. })), "{error:?}");
    let (found, error) = items(b"<GANGLIA_XML><CLUSTER NAME='a'>");
    assert_eq!((found.len(), error), (1, Err(ReadError::CutOff)));
    for foreign in ["", "<html><body>no</body></html>", "hello", "<CLUSTER NAME='a'/>"] {
        assert_eq!(items(foreign.as_bytes()), (vec![], Err(ReadError::Foreign)), "{foreign}");
    }
    let deep = format!("<GANGLIA_XML>{}", "<GRID NAME='g'>".repeat(100_000));
    assert_eq!(items(deep.as_bytes()).1, Err(ReadError::TooDeep));
}

#[test]
fn what_xml_cannot_hold_is_replaced_and_the_rest_is_escaped() {
    let nasty = "<a href=\"x\">&amp; 'q'\t\n\r \0\u{1b}\u{ffff} é 漢 😀";
    let metric = Metric {
        name: nasty.into(),
        val: nasty.into(),
        kind: "blob".into(),
        units: nasty.into(),
        slope: "sideways".into(),
        extra: vec![(nasty.into(), nasty.into())],
        ..Metric::default()
    };
    let cluster = Cluster { name: nasty.into(), ..Cluster::default() };
    let text = written(&[Item::Cluster(cluster), Item::Host(Host::default()), Item::Metric(metric)]);
    let Some(Item::Metric(back)) = good(&text).pop() else { panic!("{text}") };
    let held = nasty.replace(['\0', '\u{1b}', '\u{ffff}'], "\u{fffd}");
    assert_eq!((&*back.name, &*back.val, &*back.units), (held.as_str(), held.as_str(), held.as_str()));
    assert_eq!((&*back.kind, &*back.slope), ("string", "unspecified"));
    assert_eq!(back.extra, [(held.as_str().into(), held.as_str().into())]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = items(&bytes);
    }

    #[test]
    fn any_markup_is_read_or_refused(text in "(<(/?(GANGLIA_XML|GRID|CLUSTER|HOST|METRIC|EXTRA_ELEMENT)( [A-Z]{1,4}=['\"]?[&;#a-z0-9]{0,5}['\"]?){0,3}/?>)|[&;#<>'\"! -~]){0,60}") {
        let _ = items(format!("<GANGLIA_XML>{text}").as_bytes());
    }

    #[test]
    fn what_is_written_is_read(name in "\\PC{0,20}", val in ".{0,30}", pairs in prop::collection::vec((".{0,9}", ".{0,20}"), 0..5),
        tn in any::<i64>(), tmax in any::<u32>()) {
        let replaced = |text: &str| -> String {
            let forbidden = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || matches!(c, '\u{fffe}' | '\u{ffff}');
            text.chars().map(|c| if forbidden(c) { '\u{fffd}' } else { c }).collect()
        };
        let extra = pairs.iter().map(|(key, value)| (key.into(), value.into())).collect();
        let metric = Metric { name: (&name).into(), val: (&val).into(), kind: "double".into(), slope: "both".into(), tn, tmax, extra,
            ..Metric::default() };
        let host = Host { name: (&name).into(), tn, ..Host::default() };
        let found = good(&written(&[Item::Cluster(Cluster::default()), Item::Host(host), Item::Metric(metric)]));
        let Some(Item::Metric(back)) = found.last() else { panic!("{found:?}") };
        prop_assert_eq!(&back.name, &replaced(&name));
        prop_assert_eq!(&back.val, &replaced(&val));
        prop_assert_eq!((back.tn, back.tmax), (tn, tmax));
        let held: Vec<(String, String)> = pairs.iter().map(|(key, value)| (replaced(key), replaced(value))).collect();
        let back: Vec<(String, String)> = back.extra.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        prop_assert_eq!(back, held);
    }
}

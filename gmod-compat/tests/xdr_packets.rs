//! Packets that gmond and gmetric sent are read as what they say, and written as they were.

use gmod_compat::xdr::{Datum, Metadata, Packet, Value, decode, encode};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

/// Reads a datagram, and sees to it that it is written as it was.
#[track_caller]
fn whole(datagram: &[u8]) -> Packet<'_> {
    let packet = decode(datagram).expect("a packet");
    let mut written = Vec::new();
    encode(&packet, &mut written);
    assert_eq!(written, datagram, "{packet:?}");
    packet
}

/// A word of the fixture: what is not plain is escaped.
fn word(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "\"\"".to_owned();
    }
    let plain = |byte: u8| (33..127).contains(&byte) && byte != b'%';
    bytes.iter().map(|b| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02x}") }).collect()
}

fn told(packet: &Packet<'_>) -> String {
    let id = packet.id();
    let head = |kind: u32| format!("{kind} {} {} {}", word(id.host), word(id.name), u8::from(id.spoof));
    match packet {
        Packet::Metadata(Metadata { kind, name, units, slope, tmax, dmax, extra, .. }) => {
            let mut told = format!("{} {} {} {}", head(128), word(kind), word(name), word(units));
            told.push_str(&format!(" {slope} {tmax} {dmax}"));
            extra.iter().for_each(|(key, value)| told.push_str(&format!(" {}={}", word(key), word(value))));
            told
        }
        Packet::Value(Value { format, datum, .. }) => {
            let (kind, value) = match datum {
                Datum::UShort(n) => (129, n.to_string()),
                Datum::Short(n) => (130, n.to_string()),
                Datum::Int(n) => (131, n.to_string()),
                Datum::UInt(n) => (132, n.to_string()),
                Datum::Text(text) => (133, word(text)),
                Datum::Float(x) => (134, format!("{x:?}")),
                Datum::Double(x) => (135, format!("{x:?}")),
            };
            format!("{} {} {value}", head(kind), word(format))
        }
        Packet::Request(_) => head(136),
    }
}

#[test]
fn packets_of_gmond_and_gmetric() {
    let lines = include_str!("recorded/packets.txt").lines().filter(|line| !line.starts_with('#'));
    let mut read = 0;
    for line in lines {
        let (hex, expected) = line.split_once(' ').expect("bytes and what they say");
        assert_eq!(told(&whole(&bytes(hex))), expected);
        read += 1;
    }
    assert_eq!(read, 131);
}

/// Records too long to be kept with the code, in the folder that `GRAFTD_SAMPLES` names, or in the `data` folder of
/// something that lies beside the checkout.
fn sample(name: &str) -> Option<PathBuf> {
    if let Some(folder) = env::var_os("GRAFTD_SAMPLES") {
        return Some(Path::new(&folder).join("gmond").join(name)).filter(|file| file.is_file());
    }
    let beside = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?).ok()?;
    beside.filter_map(|entry| Some(entry.ok()?.path().join("data/gmond").join(name))).find(|file| file.is_file())
}

/// The records have texts as Latin-1.
fn latin(text: &Json) -> Vec<u8> {
    text.as_str().expect("a text").chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect()
}

#[track_caller]
fn as_recorded(record: &Json) {
    let datagram = bytes(record["hex"].as_str().expect("hex"));
    let (packet, said) = (whole(&datagram), &record["decoded"]);
    let id = packet.id();
    assert_eq!((id.host, id.name), (latin(&said["host"]).as_slice(), latin(&said["name"]).as_slice()));
    assert_eq!(Json::from(u8::from(id.spoof)), said["spoof"]);
    assert_eq!(Json::from(datagram.len()), said["length"]);
    match packet {
        Packet::Metadata(metadata) => {
            assert_eq!(said["kind"], "metadata_full");
            for (is, key) in [(metadata.kind, "type"), (metadata.name, "name2"), (metadata.units, "units")] {
                assert_eq!(is, latin(&said[key]), "{key}");
            }
            for (is, key) in [(metadata.slope, "slope"), (metadata.tmax, "tmax"), (metadata.dmax, "dmax")] {
                assert_eq!(Json::from(is), said[key], "{key}");
            }
            let extra = said["extra"].as_array().expect("pairs").iter();
            let extra: Vec<_> = extra.map(|pair| (latin(&pair[0]), latin(&pair[1]))).collect();
            assert_eq!(metadata.extra, extra.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).collect::<Vec<_>>());
        }
        Packet::Value(Value { format, datum, .. }) => {
            assert_eq!(format, latin(&said["fmt"]));
            let (kind, value) = match datum {
                Datum::UShort(n) => ("ushort", Json::from(n)),
                Datum::Short(n) => ("short", Json::from(n)),
                Datum::Int(n) => ("int", Json::from(n)),
                Datum::UInt(n) => ("uint", Json::from(n)),
                Datum::Text(text) => {
                    assert_eq!(text, latin(&said["value"]));
                    ("string", said["value"].clone())
                }
                Datum::Float(x) => {
                    // Read as the nearest double, or one beside it.
                    assert_eq!(x, said["value"].as_f64().expect("a number") as f32);
                    ("float", said["value"].clone())
                }
                Datum::Double(x) => ("double", Json::from(x)),
            };
            assert_eq!((&said["kind"], &said["value"]), (&Json::from(kind), &value));
        }
        Packet::Request(_) => panic!("nothing asked"),
    }
}

#[test]
fn ten_minutes_of_gmond_and_every_way_to_call_gmetric() {
    let (Some(gmond), Some(gmetric)) = (sample("gmond_packets.json"), sample("gmetric_packets.json")) else {
        eprintln!("skipped: the long records are not here; GRAFTD_SAMPLES names the folder that they lie in");
        return;
    };
    let read = |file: PathBuf| -> Json { serde_json::from_slice(&fs::read(file).expect("records")).expect("JSON") };
    let records = read(gmond);
    let records = records["packets"].as_array().expect("packets");
    assert_eq!(records.len(), 681);
    records.iter().for_each(as_recorded);
    let cases = read(gmetric);
    let cases = cases["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 38);
    for case in cases {
        case["packets"].as_array().expect("packets").iter().for_each(as_recorded);
    }
}

use super::*;
use proptest::prelude::*;

fn id() -> MetricId<'static> {
    MetricId { host: b"web1", name: b"load_one", spoof: false }
}

fn bytes(packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(packet, &mut out);
    out
}

fn sample() -> Vec<Packet<'static>> {
    let value = |datum| Packet::Value(Value { id: id(), format: b"%.1f", datum });
    let metadata = Metadata {
        id: id(),
        kind: b"float",
        name: b"load_one",
        units: b" ",
        slope: 3,
        tmax: 70,
        dmax: 0,
        extra: vec![(b"TITLE", b"One Minute Load Average"), (b"GROUP", b"load")],
    };
    vec![
        Packet::Metadata(metadata),
        value(Datum::UShort(60_000)),
        value(Datum::Short(-3)),
        value(Datum::Int(i32::MIN)),
        value(Datum::UInt(u32::MAX)),
        value(Datum::Text(b"x")),
        value(Datum::Float(0.1)),
        value(Datum::Double(-1e300)),
        Packet::Request(id()),
    ]
}

#[test]
fn what_is_written_is_read() {
    for packet in sample() {
        let written = bytes(&packet);
        assert_eq!(decode(&written), Ok(packet));
        for cut in 0..written.len() {
            assert!(decode(&written[..cut]).is_err(), "cut at {cut}");
        }
        let longer = [written.as_slice(), &[0; 4]].concat();
        let at = written.len();
        assert_eq!(decode(&longer), Err(DecodeError::Malformed { at, why: "bytes after the packet's end" }));
    }
}

#[test]
fn lengths_and_counts_are_bounded() {
    assert_eq!(decode(&[0, 0, 0, 7]), Err(DecodeError::Unknown(7)));
    assert_eq!(decode(b""), Err(DecodeError::Malformed { at: 0, why: "cut off" }));
    let mut packet = bytes(&sample()[8]);
    packet[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(decode(&packet), Err(DecodeError::Malformed { at: 8, why: "a text longer than allowed" }));
    let mut packet = bytes(&sample()[0]);
    let count = packet.len() - (4 + (4 + 8 + 4 + 24) + (4 + 8 + 4 + 4));
    packet[count..count + 4].copy_from_slice(&200u32.to_be_bytes());
    assert_eq!(decode(&packet), Err(DecodeError::Malformed { at: count + 4, why: "more pairs than there can be" }));
    assert!(decode(&vec![0; PACKET_BYTES_MAX + 1]).is_err());
}

#[test]
fn hosts_and_names_are_shown_as_gmond_shows_them() {
    let spoofed = |host: &'static str| MetricId { host: host.as_bytes(), name: b"x:NAME", spoof: true };
    let host =
        |id: MetricId<'static>| id.host_and_ip().map(|(host, ip)| format!("{host} at {}", ip.unwrap_or_default()));
    assert_eq!(host(spoofed("10.1.2.3:web01.example")).as_deref(), Some("web01.example at 10.1.2.3"));
    assert_eq!(host(spoofed("fe80::7:web")).as_deref(), Some("web at fe80::7"));
    for bad in ["", "web", "1.2.3.4:", ":web"] {
        assert_eq!(host(spoofed(bad)), None, "{bad}");
    }
    assert_eq!(host(MetricId { host: b"a:b", ..id() }).as_deref(), Some("a:b at "));
    assert_eq!(spoofed("a:b").shown_name(), "x");
    assert_eq!(MetricId { name: b":x:y", ..spoofed("a:b") }.shown_name(), ":x");
    assert_eq!(MetricId { name: b"a b/c:d", ..id() }.shown_name(), "a b/c_d");
    assert_eq!(text(b"caf\xc3\xa9 \xff"), "café ÿ");
}

#[test]
fn slopes_have_names() {
    for number in 0..6 {
        assert_eq!(slope_number(slope_name(number)), number);
    }
    assert_eq!((slope_name(6), slope_name(u32::MAX), slope_number("sideways")), ("unspecified", "unspecified", 4));
}

#[test]
fn a_float_is_the_decimal_that_it_means() {
    assert_eq!(Datum::Float(0.1).number(), Some(0.1));
    assert_eq!(Datum::Float(f32::MAX).number(), Some(f64::from(f32::MAX)));
    assert!(Datum::Float(f32::NAN).number().is_some_and(f64::is_nan));
    assert_eq!(Datum::Float(f32::INFINITY).number(), Some(f64::INFINITY));
}

proptest! {
    #[test]
    fn any_packet_comes_back(host in prop::collection::vec(any::<u8>(), 0..40), name in prop::collection::vec(any::<u8>(), 0..40),
        spoof in any::<bool>(), word in any::<u32>(), pairs in prop::collection::vec(("[A-Z]{0,9}", ".{0,20}"), 0..9), kind in 0u8..10) {
        let id = MetricId { host: &host, name: &name, spoof };
        let extra: Vec<(&[u8], &[u8])> = pairs.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes())).collect();
        let value = |datum| Packet::Value(Value { id, format: b"%s", datum });
        let packet = match kind {
            0 => Packet::Metadata(Metadata { id, kind: &name, name: &host, units: &name, slope: word, tmax: word, dmax: word, extra }),
            1 => value(Datum::UShort(word as u16)),
            2 => value(Datum::Short(word as i16)),
            3 => value(Datum::Int(word as i32)),
            4 => value(Datum::UInt(word)),
            5 => value(Datum::Text(&host)),
            6 => value(Datum::Float(word as f32)),
            7 => value(Datum::Double(f64::from(word) / 3.0)),
            _ => Packet::Request(id),
        };
        let written = bytes(&packet);
        prop_assert_eq!(written.len() % 4, 0);
        prop_assert_eq!(decode(&written), Ok(packet));
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 120u8..140) {
        let _ = decode(&bytes);
        if let Some(head) = bytes.first_chunk_mut::<4>() {
            *head = [0, 0, 0, kind];
        }
        if let Ok(packet) = decode(&bytes) {
            let _ = (packet.id().shown_name(), packet.id().host_and_ip());
        }
    }
}

use super::*;
use plugin_api::limits::TEXT_BYTES_MAX;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn check(kind: &str, value: &Value, expect: &str) {
    let got = match ValueKind::named(kind).convert(value) {
        Ok(Some(Entered::Number(n))) => format!("{n}"),
        Ok(Some(Entered::Text(text))) => format!("{text:?}"),
        Ok(None) => "nothing".to_owned(),
        Err(misfit) => misfit.to_string(),
    };
    assert_eq!(got, expect, "{value:?} as {kind}");
}

#[test]
fn values_become_what_gmond_makes_of_them() {
    let big = 1i128 << 70;
    for (kind, value, expect) in [
        ("uint", Value::Int(42), "42"),
        ("uint", Value::Int(-1), "4294967295"),
        ("uint", Value::Int((1 << 32) + 5), "5"),
        ("uint", Value::Int(big), "0"),
        ("uint", text("17"), "17"),
        ("uint", text("  +17"), "17"),
        ("uint", text("-3"), "4294967293"),
        ("uint", text("99999999999"), "1215752191"),
        ("UINT", Value::Int(7), "7"),
        ("int", Value::Int(-42), "-42"),
        ("int", Value::Int(1 << 31), "-2147483648"),
        ("int", Value::Int((1 << 32) + 5), "5"),
        ("int", text("-17"), "-17"),
        ("float", Value::Float(3.25), "3.25"),
        ("float", Value::Int(3), "3"),
        ("double", text("1e3"), "1000"),
        ("double", text(" 2.5"), "2.5"),
        ("string", Value::Int(-7), "\"-7\""),
        ("string", Value::Float(3.5), "\"3.500000\""),
        ("string", text("a\0b"), "\"a\""),
        ("string", text("café"), "\"café\""),
        ("uint8", Value::Int(257), "1"),
        ("int16", Value::Int(-1), "-1"),
        ("timestamp", Value::Int(1_700_000_000), "1700000000"),
    ] {
        check(kind, &value, expect);
    }
}

#[test]
fn where_gmond_makes_a_zero_the_value_or_the_reason_is_given() {
    let big = 1i128 << 70;
    for (kind, value, expect) in [
        ("uint", Value::Float(3.7), "3"),
        ("int", Value::Float(-3.7), "-3"),
        ("uint", Value::Float(f64::NAN), "nothing"),
        ("float", Value::Float(f64::INFINITY), "nothing"),
        ("double", text("nan"), "nothing"),
        ("uint", text("12.5"), "12"),
        ("uint", text("17\n"), "17"),
        ("uint", text(""), "returned \"\", which is no number"),
        ("uint", text("5 MB"), "returned \"5 MB\", which is no number"),
        ("float", text("x"), "returned \"x\", which is no number"),
        ("uint", Value::None, "returned None"),
        ("string", Value::None, "returned None"),
        ("string", Value::Other("list".to_owned()), "returned a list; only numbers and text are values"),
        ("double", Value::Int(big), "1180591620717411300000"),
        ("string", Value::Int(big), "\"1180591620717411303424\""),
        ("bogus", Value::Int(3), "3"),
        ("", text("3"), "\"3\""),
        ("float", Value::Float(1e300), &format!("{}", 1e300)),
    ] {
        check(kind, &value, expect);
    }
    let long = "x".repeat(TEXT_BYTES_MAX + 10);
    assert_eq!(ValueKind::String.convert(&text(&long)), Ok(Some(Entered::Text(long[..TEXT_BYTES_MAX].to_owned()))));
}

fn read(pairs: &[(&str, Value)]) -> (Descriptor, Vec<String>) {
    let mut remarks = Vec::new();
    let descriptor = Descriptor::from_pairs(pairs.iter().map(|(key, value)| (*key, value)), &mut remarks);
    (descriptor, remarks)
}

#[test]
fn a_descriptor_is_read_as_gmond_reads_it() {
    let (got, remarks) = read(&[
        ("NAME", text("m")),
        ("call_back", Value::Other("function".to_owned())),
        ("Time_Max", text("33")),
        ("value_type", text("Float")),
        ("units", Value::Int(5)),
        ("slope", text("Both")),
        ("format", text("%f")),
        ("description", Value::Float(1.5)),
        ("groups", text("g1, g2 ,,g3")),
        ("num", Value::Int(5)),
        ("bad", Value::None),
    ]);
    assert_eq!(
        got,
        Descriptor {
            name: "m".to_owned(),
            kind: ValueKind::Float,
            units: "5".to_owned(),
            slope: Slope::Unspecified,
            format: "%f".to_owned(),
            description: "1.500000".to_owned(),
            groups: ["g1", "g2 ", "g3"].map(str::to_owned).to_vec(),
            time_max: 33,
            extra: vec![("num".to_owned(), "5".to_owned())],
            ..Descriptor::default()
        }
    );
    assert_eq!(remarks, ["m: bad is neither number nor text; left out"]);
}

#[test]
fn what_cannot_be_text_has_a_default_of_its_own() {
    let keys = ["name", "time_max", "value_type", "units", "slope", "format", "description", "groups"];
    let (got, remarks) = read(&keys.map(|key| (key, Value::None)));
    let expect = Descriptor {
        kind: ValueKind::Uint(32),
        units: "unknown".to_owned(),
        slope: Slope::Both,
        format: "%u".to_owned(),
        description: "unknown metric".to_owned(),
        time_max: 60,
        ..Descriptor::default()
    };
    assert_eq!(got, expect);
    assert_eq!(remarks.len(), 6, "{remarks:?}");
    // A float is no number of seconds to gmond; an absent one is none.
    assert_eq!(read(&[("time_max", Value::Float(33.0))]).0.time_max, 60);
    assert_eq!(read(&[("time_max", Value::Int(-1))]).0.time_max, 0);
    assert_eq!(read(&[]).0, Descriptor::default());
}

#[test]
fn texts_end_where_gmonds_buffers_do() {
    let long = text(&"é".repeat(2_000));
    let keys = ["name", "units", "format", "description", "extra"];
    let (got, _) = read(&keys.map(|key| (key, long.clone())));
    let lengths = [got.name.len(), got.units.len(), got.format.len(), got.description.len(), got.extra[0].1.len()];
    assert_eq!(lengths, [250, 62, 62, 510, 1022]);
    let many: Vec<(String, Value)> = (0..200).map(|i| (format!("k{i}"), Value::Int(i))).collect();
    let (got, remarks) = read(&many.iter().map(|(key, value)| (key.as_str(), value.clone())).collect::<Vec<_>>());
    assert_eq!((got.extra.len(), remarks.len()), (EXTRA_MAX, 200 - EXTRA_MAX + 1));
}

#[test]
fn a_spoofed_metric_speaks_for_another_host() {
    let spoof =
        |host: &str, name: &str| read(&[("name", text("m")), ("SPOOF_HOST", text(host)), ("spoof_name", text(name))]).0;
    for (host, name, expect) in [
        ("10.0.0.9:web1", "real", ("web1", "real")),
        ("10.0.0.9:web1", "real:x", ("web1", "real")),
        ("web1", "", ("web1", "m")),
        ("10.0.0.9:", "", ("10.0.0.9", "m")),
        ("", "", ("own", "m")),
        ("fe80::1:h", "", ("h", "m")),
    ] {
        let got = spoof(host, name);
        assert_eq!((got.host("own"), got.leaf()), expect, "{host:?} {name:?}");
    }
}

#[test]
fn metadata_has_its_order_and_keys() {
    let (mut got, _) = read(&[
        ("name", text("m")),
        ("value_type", text("uint")),
        ("slope", text("zero")),
        ("groups", text("a,b")),
        ("TITLE", text("own")),
        ("spoof_host", text("1.2.3.4:h")),
        ("dmax", Value::Int(300)),
    ]);
    let joined = |descriptor: &Descriptor| -> String {
        let meta = descriptor.meta(&Entered::Number(1.0));
        meta.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        joined(&got),
        "type=uint32 units= slope=zero title=own description= group=a group=b format= tmax=0 dmax=0 source=gmond \
         spoof=1.2.3.4:h TITLE=own spoof_host=1.2.3.4:h DMAX=300"
    );
    got.title = Some("conf".to_owned());
    assert!(joined(&got).contains(" title=conf "));
    let unknown = Descriptor::default();
    assert_eq!(unknown.meta(&Entered::Text(String::new()))[0], ("type".into(), "string".to_owned()));
    assert_eq!(unknown.meta(&Entered::Number(0.0))[0], ("type".into(), "double".to_owned()));
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_value_or_none(word in ".{0,12}", content in ".{0,40}", n in proptest::prelude::any::<i128>(), x in proptest::prelude::any::<f64>()) {
        for kind in ["string", "uint", "int", "uint16", "float", "double", "timestamp", &word] {
            for value in [text(&content), Value::Int(n), Value::Float(x), text(&n.to_string()), text(&x.to_string())] {
                if let Ok(Some(Entered::Number(number))) = ValueKind::named(kind).convert(&value) {
                    proptest::prop_assert!(number.is_finite());
                }
                let (got, _) = read(&[(&word, value.clone()), (&content, value)]);
                proptest::prop_assert!(got.name.len() <= NAME_BYTES_MAX);
                let _ = (got.host("own"), got.leaf(), got.meta(&Entered::Number(0.0)));
            }
        }
    }
}

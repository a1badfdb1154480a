//! Modules of gmond.

use crate::driver::{Folder, first_line, module, setup};
use plugin_api::{ErrorKind, Params, Value};
use std::fs;

#[test]
fn every_value_enters_as_what_it_is_or_not_at_all() {
    let (mut worker, told) = setup(&module("values.py")).run();
    assert!(!told.is_pipe);
    assert_eq!(told.declared.every_ms, Some(10_000));
    let sample = worker.collect(0);
    let get = |path: &str| sample.entries.get(&format!("me,{path}")).map_or("", String::as_str);
    for (path, expect) in [
        ("uint_int", "42"),
        ("uint_neg", "4294967295"),
        ("int_neg", "-1"),
        ("uint_big", "5"),
        ("uint_huge", "0"),
        ("uint_bool", "1"),
        ("uint_float", "3"),
        ("uint_nan", ""),
        ("uint_str", "17"),
        ("uint_strfloat", "12"),
        ("uint_strnl", "17"),
        ("uint_strbad", ""),
        ("uint_strempty", ""),
        ("uint_bytes", "8"),
        ("uint_none", ""),
        ("uint_list", ""),
        ("uint_decimal", "2"),
        ("uint_nul", "1"),
        ("uint_index", "7"),
        ("uint_subtext", "9"),
        ("double_huge", "1180591620717411300000"),
        ("double_decimal", "2.5"),
        ("double_bool", "1"),
        ("string_int", "\"42\""),
        ("string_float", "\"3.500000\""),
        ("string_bool", "\"1\""),
        ("string_huge", "\"1180591620717411303424\""),
        ("string_none", ""),
        ("string_dict", ""),
        ("string_latin", "\"caf\u{fffd}\""),
        ("string_surrogate", "\"caf\u{fffd}\""),
        ("string_strempty", "\"\""),
        ("other_int", "42"),
        ("other_str", "\"17\""),
    ] {
        assert_eq!(get(path), expect, "{path}");
    }
    assert!(get("string_giant").len() > 50);
    let fault = sample.error.expect("some have no value");
    assert_eq!(fault.kind(), ErrorKind::Failed);
    assert!(first_line(&fault).contains(" of 115 metrics failed; string_none: returned None"), "{fault}");
    assert!(fault.message().contains("uint_strbad: returned \"5 MB\", which is no number"), "{fault}");
}

#[test]
fn descriptors_are_taken_as_gmond_takes_them() {
    let mut setup = setup(&module("descriptors.py"))
        .params(Params::new().with("port", Value::Integer(6379)).with("on", Value::Bool(true)).with("host", "here"));
    setup.start.debug_level = 3;
    let (mut worker, told) = setup.run();
    let remarks = told.declared.remarks.join("\n");
    for remark in [
        "metric_init gave a str among its metrics; passed over",
        "metric_init gave a int among its metrics; passed over",
        "twice: defined more than once; the last counts",
        "silent: no call_back that can be called; left out",
        "not callable: no call_back that can be called; left out",
    ] {
        assert!(remarks.contains(remark), "{remark} in {remarks}");
    }
    let sample = worker.collect(0);
    let long = format!("me,{}", "n".repeat(250));
    for (path, expect) in [
        ("me,plain", "1"),
        ("me,CAPS", "1"),
        ("me,counter", "total 1"),
        ("web9,shown", "1"),
        ("me,twice", "2"),
        (long.as_str(), "250"),
        ("me,proxy", "1"),
        ("me,helped", "\"helped helped\""),
        ("me,level", "3"),
        ("me,params", "\"[('host', 'here'), ('mine', 'to change'), ('on', 'True'), ('port', '6379')]\""),
        ("me,file", "\"descriptors.py descriptors ['']\""),
        ("me,self", "\"True\""),
    ] {
        assert_eq!(sample.entries.get(path).map(String::as_str), Some(expect), "{path}");
    }
    assert_eq!(sample.entries.len(), 12, "{}", sample.line());
    let meta = |path: &str| {
        let pairs = sample.meta.get(path).into_iter().flatten();
        pairs.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        meta("me,plain"),
        "type=uint32 units=things slope=zero title=plain description=A thing group=a group=b format=%u tmax=90 dmax=0 \
         source=gmond color=red depth=5"
    );
    assert!(meta("me,CAPS").contains("tmax=33 "), "{}", meta("me,CAPS"));
    assert!(meta("web9,shown").contains(" spoof=10.0.0.9:web9 "), "{}", meta("web9,shown"));
    assert!(meta("me,proxy").ends_with(" 7=seven"), "{}", meta("me,proxy"));
    // It is told once.
    assert!(worker.collect(10).meta.is_empty());
}

#[test]
fn more_metrics_than_a_module_may_have_are_refused_for_good() {
    let folder = Folder::new();
    let file = folder.path().join("many.py");
    let source = "def metric_init(params):
    metric = lambda n: {'name': 'm%d' % n, 'call_back': len, 'value_type': 'uint'}
    return [metric(n) for n in range(int(params['metrics']))]
";
    fs::write(&file, source).expect("a module");
    let many = |metrics: i64| setup(&file).params(Params::new().with("metrics", metrics));
    drop(many(16_384).run());
    let why = many(16_385).refused();
    // A fault of this kind is not tried again.
    assert_eq!(why.kind(), ErrorKind::Config);
    assert_eq!(why.message(), "metric_init gave 16385 metrics; a module may have 16384 at most");
}

#[test]
fn groups_say_what_is_collected_when() {
    let groups = r#"
        collection_group { collect_every = 5 metric { name = plain title = "The thing" } metric { name = caps } }
        collection_group { collect_every = 10 metric { name_match = "^(co)unter$" title = "A \\1" } }
        collection_group { collect_once = yes metric { name = file } }
        collection_group { metric { name_match = "(" } metric { name = nowhere } }"#;
    let (mut worker, told) = setup(&module("descriptors.py")).groups(groups).run();
    assert_eq!(told.declared.every_ms, Some(5_000));
    let remarks = told.declared.remarks.join("\n");
    assert!(remarks.contains("m.on:5:28: name_match \"(\": "), "{remarks}");
    assert!(remarks.contains("m.on:5:56: no metric \"nowhere\""), "{remarks}");
    let sample = worker.collect(0);
    assert_eq!(sample.line(), "me,CAPS=1 me,counter=total 1 me,file=\"descriptors.py descriptors ['']\" me,plain=1");
    let title = |path: &str| sample.meta[path].iter().find(|(key, _)| key == "title").expect("a title").1.as_str();
    assert_eq!((title("me,plain"), title("me,counter"), title("me,CAPS")), ("The thing", "A co", "CAPS"));
    assert_eq!(worker.collect(2).line(), "");
    assert_eq!(worker.collect(5).line(), "me,CAPS=1 me,plain=1");
    assert_eq!(worker.collect(10).line(), "me,CAPS=1 me,counter=total 1 me,plain=1");
    // The interval of a `.on` holds for all groups.
    let mut setup = setup(&module("descriptors.py")).groups(groups);
    setup.start.every_of_on_ms = Some(2_000);
    let (_worker, told) = setup.run();
    assert_eq!(told.declared.every_ms, Some(2_000));
}

#[test]
fn what_fails_in_one_group_stands_until_its_next_turn_and_stops_no_other() {
    let params = Params::new().with("callback", "key");
    let groups = "collection_group { collect_every = 10 metric { name = bad } } collection_group { collect_every = 5 metric { name = good } }";
    let (mut worker, _) = setup(&module("raising.py")).groups(groups).params(params).run();
    for (second, line) in [(0, "me,good=2"), (2, ""), (5, "me,good=2"), (10, "me,good=2")] {
        let sample = worker.collect(second);
        assert_eq!(sample.line(), line, "second {second}");
        assert_eq!(sample.fault(), "1 of 2 metrics failed; bad: KeyError: 'missing' (raising.py:9)", "second {second}");
    }
}

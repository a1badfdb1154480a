//! What hangs beside values: metadata, and how fast totals grow.

use super::*;
use plugin_api::delta::wire::{Op, Writer};
use plugin_api::limits::META_BYTES_MAX;

/// All metadata below a path, with the moments of its last value and its last word.
fn metas(tree: &Tree, path: &[&str]) -> Vec<(String, String, Option<i64>, i64)> {
    let mut found = Vec::new();
    if let Some(node) = tree.node(path) {
        node.each_meta(usize::MAX, &mut |keys, node, meta| {
            assert_eq!(node.meta().unwrap().pairs().collect::<Vec<_>>(), meta.pairs().collect::<Vec<_>>());
            let pairs: Vec<String> = meta.pairs().map(|(key, value)| format!("{key}={value}")).collect();
            found.push((keys.join(","), pairs.join(" "), meta.reported_ms(), meta.said_ms()));
            true
        });
    }
    found
}

fn texts(tree: &Tree, path: &[&str]) -> Vec<(String, String)> {
    metas(tree, path).into_iter().map(|(keys, pairs, ..)| (keys, pairs)).collect()
}

fn pair(keys: &str, pairs: &str) -> (String, String) {
    (keys.to_owned(), pairs.to_owned())
}

fn rate(tree: &Tree, path: &str) -> Json {
    one(tree, path, Want::Rate)
}

fn pass(tree: &mut Tree, ticks: usize, now_ms: i64) {
    for _ in 0..ticks {
        tree.end_tick(now_ms);
    }
}

#[test]
fn metadata_hangs_at_its_node_and_is_found_in_the_trees_order() {
    let mut tree = tree();
    push(&mut tree, r#"{"other":{"x":1}}"#);
    merge(&mut tree, &["redis"], 5, |out| {
        out.set(&["h1", "clients"], 3.0);
        out.set(&["h1", "memory"], 9.0);
        out.meta(&["h1", "memory"], &[("units", "bytes"), ("group", "a"), ("group", "b")]);
        out.meta(&["h1", "clients"], &[("title", "Clients")]);
        out.meta(&["h1"], &[("ip", "10.0.0.1")]);
    });
    let all = [
        pair("h1", "ip=10.0.0.1"),
        pair("h1,clients", "title=Clients"),
        pair("h1,memory", "units=bytes group=a group=b"),
    ];
    assert_eq!(texts(&tree, &["redis"]), all);
    assert_eq!(texts(&tree, &[]).len(), 3);
    assert_eq!(texts(&tree, &["redis", "h1", "memory"]), [pair("", "units=bytes group=a group=b")]);
    assert_eq!(texts(&tree, &["other"]), []);
    let mut nearest = 0;
    tree.root().each_meta(2, &mut |_, _, _| {
        nearest += 1;
        true
    });
    assert_eq!(nearest, 1, "no deeper than asked");
    let mut seen = 0;
    assert!(!tree.root().each_meta(9, &mut |_, _, _| {
        seen += 1;
        seen < 2
    }));
    assert_eq!(seen, 2);
    assert_eq!(tree.node(&["redis", "h1", "memory"]).unwrap().meta().unwrap().get("group"), Some("a"));
}

#[test]
fn a_word_changes_no_value_and_wakes_nobody() {
    let mut tree = tree();
    push(&mut tree, r#"{"m":{"a":1}}"#);
    tree.end_tick(0);
    let since = tree.tick();
    merge(&mut tree, &["m"], 10, |out| {
        out.meta(&["a"], &[("units", "s")]);
        out.meta(&["new"], &[("units", "s")]);
    });
    tree.end_tick(0);
    assert!(!tree.changed(&Pattern::default(), since));
    assert_eq!((value(&tree, "m"), value(&tree, "m,new"), value(&tree, "m,")), (json!(1), Json::Null, json!(1)));
    assert_eq!(get(&tree, "m"), json!({"m": {"a": 1}}), "what only waits for its value is not shown");
    merge(&mut tree, &["m"], 20, |out| out.set(&["new"], 4.0));
    assert_eq!(get(&tree, "m"), json!({"m": {"a": 1, "new": 4}}));
    assert_eq!(metas(&tree, &["m", "new"]), [(String::new(), "units=s".to_owned(), Some(20), 10)]);
}

#[test]
fn it_is_known_when_a_value_was_reported_changed_or_not() {
    let mut tree = tree();
    let reported = |tree: &Tree| metas(tree, &["a"])[0].2;
    push_at(&mut tree, r#"{"a":"text"}"#, 10);
    tree.end_tick(10);
    merge(&mut tree, &[], 20, |out| out.meta(&["a"], &[("units", "s")]));
    assert_eq!(reported(&tree), None, "not since there is metadata");
    push_at(&mut tree, r#"{"a":"text"}"#, 30);
    assert_eq!(reported(&tree), Some(30));
    merge(&mut tree, &[], 40, |out| out.meta(&["a"], &[("units", "ms")]));
    assert_eq!(metas(&tree, &["a"]), [(String::new(), "units=ms".to_owned(), Some(30), 40)]);
    merge(&mut tree, &[], 50, |out| out.meta(&["a"], &[("units", "ms")]));
    assert_eq!(metas(&tree, &["a"])[0].3, 50, "said again");
    merge(&mut tree, &[], 60, |out| out.total(&["a"], 1.0));
    assert_eq!(reported(&tree), Some(60));
}

#[test]
fn equal_metadata_is_held_once_and_given_back() {
    let mut tree = tree();
    let description = "x".repeat(1_000);
    let hosts = |tree: &mut Tree, units: &str| {
        merge(tree, &["m"], 0, |out| {
            for host in 0..1_000 {
                out.meta(&[&format!("h{host}"), "cpu"], &[("units", units), ("description", &description)]);
            }
        });
    };
    merge(&mut tree, &["m"], 0, |out| (0..1_000).for_each(|host| out.set(&[&format!("h{host}"), "cpu"], 1.0)));
    let bare = tree.memory_bytes();
    hosts(&mut tree, "s");
    let full = tree.memory_bytes();
    assert!((1_000..150_000).contains(&(full - bare)), "{}", full - bare);
    for round in 0..100 {
        hosts(&mut tree, &format!("{round:3}"));
    }
    assert!(tree.memory_bytes() < full + 10_000, "{}", tree.memory_bytes() - full);
    merge(&mut tree, &["m"], 0, |out| {
        assert!((0..1_000).all(|host| out.meta(&[&format!("h{host}"), "cpu"], &[])));
    });
    assert!(tree.memory_bytes() < bare + 10_000, "{}", tree.memory_bytes() - bare);
    assert_eq!(metas(&tree, &[]), []);
}

#[test]
fn metadata_goes_with_its_node() {
    let mut tree = tree();
    merge(&mut tree, &["m"], 0, |out| {
        out.set(&["h", "a"], 1.0);
        out.meta(&["h", "a"], &[("units", "s")]);
        out.lifetime(&["h", "a"], SECOND);
        out.meta(&["h"], &[("ip", "10.0.0.1")]);
    });
    assert_eq!(tree.end_tick(1_000).expired, 1);
    assert_eq!((tree.nodes(), metas(&tree, &[])), (0, vec![]));
    push(&mut tree, r#"{"m":{"h":{"a":1}}}"#);
    assert_eq!(metas(&tree, &[]), [], "who takes the place of a node has not what it had");
}

#[test]
fn what_hangs_beside_nodes_that_come_and_go_does_not_grow() {
    let mut tree = tree();
    for round in 0..1_000 {
        let now_ms = round * 1_000;
        merge(&mut tree, &["m"], now_ms, |out| {
            for i in 0..10 {
                let key = format!("{round}-{i}");
                out.total(&[&key], 1.0);
                out.meta(&[&key], &[("title", &key)]);
                out.lifetime(&[&key], SECOND);
            }
        });
        assert_eq!(tree.end_tick(now_ms + 1_000).expired, 10);
    }
    assert!(tree.totals.memory_bytes() + tree.metas.memory_bytes() < 10_000);
    assert_eq!(tree.metas.texts(), 0);
}

#[test]
fn past_the_bytes_no_metadata_is_taken_in_and_it_is_counted() {
    let bytes_max = 200_000;
    let mut tree = Tree::new(Limits { bytes_max, ..Limits::default() }, SECOND, 0);
    let names: Vec<String> = (0..100).map(|i| format!("k{i}")).collect();
    merge(&mut tree, &["m"], 0, |out| names.iter().for_each(|name| out.set(&[name], 1.0)));
    let long = "x".repeat(META_BYTES_MAX);
    merge(&mut tree, &["m"], 0, |out| {
        assert!(names.iter().all(|name| out.meta(&[name], &[("title", name), ("d", &long)])));
    });
    let had = metas(&tree, &["m"]).len();
    assert!(had > 10 && tree.memory_bytes() < bytes_max + 20_000, "{had} {}", tree.memory_bytes());
    assert_eq!(tree.overflowed(), 100 - had as u64);
    merge(&mut tree, &["m"], 0, |out| out.meta(&["k99"], &[("title", "k0"), ("d", &long)]));
    assert_eq!(metas(&tree, &["m", "k99"]).len(), 1, "what somebody else has already takes no room");
}

#[test]
fn metadata_and_totals_of_keys_that_share_a_node_are_not_kept() {
    let mut tree = Tree::new(Limits { nodes_max: 2, ..Limits::default() }, SECOND, 0);
    push(&mut tree, r#"{"a":{"k":1}}"#);
    let mut frame = Writer::new();
    let mut bytes = Vec::new();
    let pairs = plugin_api::delta::meta::Pairs::write(&mut bytes, &[("units", "s")]);
    frame.entry(&["a", "new"], Op::Meta(pairs));
    frame.entry(&["a", "new"], Op::Total(5.0));
    frame.entry(&["a", "new"], Op::Add(2.0));
    assert_eq!(tree.merge(&[], frame.bytes(), 0).unwrap(), Merged { leaves: 2, overflowed: 2 });
    assert_eq!((value(&tree, "a,(other)"), metas(&tree, &[]).len()), (json!(2), 0));
}

#[test]
fn a_total_is_what_it_stands_at_and_grows_by_what_lies_between() {
    let mut tree = tree();
    let at = |tree: &mut Tree, now_ms: i64, total: f64| {
        merge(tree, &["net"], now_ms, |out| out.total(&["h1", "rx"], total));
        tree.end_tick(now_ms);
    };
    at(&mut tree, 0, 1_000_000.0);
    assert_eq!(
        (value(&tree, "net,h1,rx"), rate(&tree, "net,h1,rx")),
        (json!(1_000_000), Json::Null),
        "since when is not known"
    );
    at(&mut tree, 10_000, 1_000_500.0);
    assert_eq!((value(&tree, "net,h1,rx"), rate(&tree, "net,h1,rx")), (json!(1_000_500), json!(50)));
    at(&mut tree, 20_000, 1_000_500.0);
    assert_eq!(rate(&tree, "net,h1,rx"), 0);
    // An hour late is no burst.
    at(&mut tree, 3_620_000, 1_000_500.0 + 36_000.0);
    assert_eq!(rate(&tree, "net,h1,rx"), 10);
    // Began anew, and slipped back: never negative, never more than was seen.
    at(&mut tree, 3_630_000, 50.0);
    assert_eq!((value(&tree, "net,h1,rx"), rate(&tree, "net,h1,rx")), (json!(50), json!(5)));
    at(&mut tree, 3_640_000, 150.0);
    assert_eq!(rate(&tree, "net,h1,rx"), 10);
    at(&mut tree, 3_650_000, 149.0);
    assert_eq!(rate(&tree, "net,h1,rx"), 10);
    at(&mut tree, 3_660_000, -9.0);
    assert_eq!((value(&tree, "net,h1,rx"), rate(&tree, "net,h1,rx")), (json!(-9), json!(0)));
    // A second host: the fold is the sum of what is known.
    merge(&mut tree, &["net"], 3_660_000, |out| out.total(&["h2", "rx"], 7.0));
    assert_eq!((value(&tree, "net"), rate(&tree, "net")), (json!(-2), json!(0)));
    merge(&mut tree, &["net"], 3_670_000, |out| {
        out.total(&["h1", "rx"], 91.0);
        out.total(&["h2", "rx"], 27.0);
    });
    assert_eq!((value(&tree, "net,,rx"), rate(&tree, "net,,rx")), (json!(118), json!(12)));
}

#[test]
fn reports_in_one_tick_are_one_report() {
    let mut tree = tree();
    for (now_ms, total) in [(0, 100.0), (1_000, 110.0), (1_001, 500.0), (1_002, 20.0), (1_003, 25.0), (2_003, 35.0)] {
        merge(&mut tree, &[], now_ms, |out| out.total(&["n"], total));
        let rate = rate(&tree, "n");
        assert!(rate.as_f64().is_none_or(|rate| (0.0..=15.0).contains(&rate)), "{now_ms}: {rate}");
    }
    assert!(rate(&tree, "n").as_f64().is_some_and(|rate| rate > 9.0));
}

#[test]
fn what_is_reported_no_more_has_no_rate_and_what_comes_back_no_burst() {
    let mut tree = tree();
    for now_ms in [0, 5_000, 10_000] {
        merge(&mut tree, &[], now_ms, |out| {
            out.total(&["n"], now_ms as f64);
            out.lifetime(&["n"], Duration::from_secs(60));
        });
        pass(&mut tree, 5, now_ms);
    }
    assert_eq!(rate(&tree, "n"), 1_000);
    pass(&mut tree, 15, 20_000);
    assert_eq!(rate(&tree, "n"), 1_000, "of four reports some may be late");
    pass(&mut tree, 2, 20_000);
    assert_eq!((rate(&tree, "n"), value(&tree, "n")), (Json::Null, json!(10_000)));
    assert_eq!(tree.end_tick(90_000).expired, 1);
    merge(&mut tree, &[], 100_000, |out| out.total(&["n"], 1e9));
    tree.end_tick(100_000);
    assert_eq!((rate(&tree, "n"), value(&tree, "n")), (Json::Null, json!(1_000_000_000)));
}

#[test]
fn a_total_brings_its_action_and_is_none_below_a_top() {
    let mut tree = tree();
    push(&mut tree, r#"[{"g":{"x":5},"defaultaction":"average"},{"t":{"x":1},"defaultaction":"top(2)"}]"#);
    merge(&mut tree, &["g"], 0, |out| {
        out.total(&["a", "n"], 4.0);
        out.total(&["b", "n"], 6.0);
    });
    assert_eq!(value(&tree, "g,,n"), 10, "a mean says nothing of counters");
    push(&mut tree, r#"{"g":{"c":{"n":2}}}"#);
    assert_eq!(value(&tree, "g,,n"), 4, "with a gauge among them it is a mean as the branch has it");
    tree.set_action(&["g"], Action::Max);
    assert_eq!(value(&tree, "g,,n"), 6);
    assert_eq!(tree.node(&["g", "a", "n"]).unwrap().action(), Some(Action::Add));
    let mut frame = Writer::new();
    frame.entry(&["t", "n"], Op::Total(5.0));
    assert_eq!(tree.merge(&[], frame.bytes(), 0).unwrap(), Merged { leaves: 1, overflowed: 1 });
    assert_eq!(value(&tree, "t"), 1);
}

#[test]
fn what_else_is_fed_to_a_total_makes_it_what_it_is_fed() {
    let mut tree = tree();
    for now_ms in [0, 1_000, 2_000] {
        merge(&mut tree, &[], now_ms, |out| out.total(&["n"], now_ms as f64));
        tree.end_tick(now_ms);
    }
    assert_eq!(rate(&tree, "n"), 1_000);
    merge(&mut tree, &[], 2_000, |out| out.add(&["n"], 10.0));
    tree.end_tick(2_000);
    assert_eq!(value(&tree, "n"), 2_010);
    assert!(rate(&tree, "n").as_f64().is_some_and(|rate| rate <= 10.0), "{}", rate(&tree, "n"));
    merge(&mut tree, &[], 3_000, |out| out.total(&["n"], 5.0));
    assert_eq!((rate(&tree, "n"), value(&tree, "n")), (Json::Null, json!(5)), "a first report again");
    let full = tree.memory_bytes();
    merge(&mut tree, &[], 3_000, |out| out.set_text(&["n"], "x"));
    assert!(tree.memory_bytes() <= full + 64 && rate(&tree, "n").is_null());
}

proptest! {
    #[test]
    fn a_rate_of_totals_is_never_more_than_what_came_by_the_time(
        reports in prop::collection::vec((1i64..30_000, 0u32..1_000), 1..40),
    ) {
        // A counter that only grows: no rate exceeds the steepest stretch, and none is negative.
        let mut tree = tree();
        let (mut now_ms, mut total, mut steepest) = (0, 1e12, 0.0_f64);
        let (mut from, mut from_ms) = (None, 0);
        for (passed_ms, grown) in reports {
            now_ms += passed_ms;
            total += f64::from(grown);
            merge(&mut tree, &[], now_ms, |out| out.total(&["n"], total));
            tree.end_tick(now_ms);
            match from {
                Some(before) if now_ms - from_ms >= 500 => {
                    steepest = steepest.max((total - before) / ((now_ms - from_ms) as f64 / 1e3));
                    (from, from_ms) = (Some(total), now_ms);
                }
                Some(_) => {}
                None => (from, from_ms) = (Some(total), now_ms),
            }
            if let Some(rate) = rate(&tree, "n").as_f64() {
                prop_assert!((0.0..=steepest + 1e-6).contains(&rate), "{rate} of {steepest}");
            }
        }
    }
}

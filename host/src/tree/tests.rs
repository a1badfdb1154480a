//! The tree as a whole, driven by documents and by frames.

use super::*;
use crate::json::{Shape, read_documents, write_reading, write_view};
use plugin_api::Delta;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

mod beside;
mod bounds;
mod folds;
mod kept;
mod since;

const SECOND: Duration = Duration::from_secs(1);

fn tree() -> Tree {
    Tree::new(Limits::default(), SECOND, 100)
}

fn push(tree: &mut Tree, json: &str) -> Merged {
    push_at(tree, json, 0)
}

fn push_at(tree: &mut Tree, json: &str, now_ms: i64) -> Merged {
    let documents = read_documents(json.as_bytes());
    assert_eq!(documents.faults, [], "{json}");
    let mut all = Merged::default();
    for frame in documents.frames {
        let merged = tree.merge(&[], &frame, now_ms).unwrap();
        all.leaves += merged.leaves;
        all.overflowed += merged.overflowed;
    }
    all
}

fn merge<R>(tree: &mut Tree, base: &[&str], now_ms: i64, feed: impl FnOnce(&mut Delta) -> R) {
    let mut delta = Delta::new();
    feed(&mut delta);
    tree.merge(base, delta.flush(), now_ms).unwrap();
}

fn to_json(reading: &Reading<'_>) -> Json {
    let mut out = Vec::new();
    write_reading(&mut out, reading, crate::json::View::Whole);
    serde_json::from_slice(&out).unwrap()
}

fn get(tree: &Tree, path: &str) -> Json {
    let shape = Shape { want: Want::Value, depth: usize::MAX, limit: usize::MAX };
    let mut members = serde_json::Map::new();
    for (at, hit) in tree.select(&Pattern::parse(path).unwrap(), Want::Value, usize::MAX) {
        let mut out = Vec::new();
        match hit {
            Hit::Node(node) => write_view(&mut out, &node, shape),
            Hit::Folded(folded) => write_view(&mut out, &folded, shape),
        };
        members.insert(at, serde_json::from_slice(&out).unwrap());
    }
    Json::Object(members)
}

fn value(tree: &Tree, path: &str) -> Json {
    one(tree, path, Want::Value)
}

fn one(tree: &Tree, path: &str, want: Want) -> Json {
    let found = tree.values(&Pattern::parse(path).unwrap(), want, usize::MAX);
    assert!(found.len() < 2, "{path}");
    found.first().map_or(Json::Null, |(_, reading)| to_json(reading))
}

const ORIGIN: &str = r#"[{"cpu":{"10.3.1.12":{"idle":32,"system":29,"user":900,"marker":"something wrong happened"}},"defaultaction":"average"},
{"br":{"ie":[{"6":3},{"7":[8,{"venders":{"sogou":2}}]},{"7":{"venders":{"sogou":1}}}],"webkit":[{"14.0":40},{"13.0":20}]},"defaultaction":"add"}]"#;

#[test]
fn the_documents_of_the_design() {
    let mut tree = tree();
    push(&mut tree, ORIGIN);
    assert_eq!(value(&tree, "br,webkit"), 60);
    assert_eq!(value(&tree, "br,ie,7"), 8);
    assert_eq!(value(&tree, "br,ie"), 11);
    assert_eq!(get(&tree, "br,ie,,venders,sogou"), json!({"br,ie,,venders,sogou": 3}));
    assert_eq!(get(&tree, "br,ie"), json!({"br,ie": {"6": 3, "7": {"": 8, "venders": {"sogou": 3}}}}));
    push(&mut tree, r#"{"cpu":{"h2":{"idle":10}},"defaultaction":"average"}"#);
    assert_eq!(value(&tree, "cpu,,idle"), 21);
    assert_eq!(get(&tree, "cpu,*,idle"), json!({"cpu,10.3.1.12,idle": 32, "cpu,h2,idle": 10}));
    assert_eq!(value(&tree, "cpu,,marker"), "something wrong happened");
    push(&mut tree, ORIGIN);
    assert_eq!((value(&tree, "br,webkit"), value(&tree, "cpu,,idle")), (json!(120), json!(21)));
}

#[test]
fn actions_over_time_and_across_keys() {
    for (action, over_time, across) in [
        ("add", 8, json!(18)),
        ("average", 5, json!(7.5)),
        ("min", 5, json!(5)),
        ("max", 5, json!(10)),
        ("last", 5, json!(10)),
    ] {
        let mut tree = tree();
        push(&mut tree, &format!(r#"{{"x":{{"a":[3,5],"s":"text"}},"defaultaction":"{action}"}}"#));
        tree.end_tick(0);
        push(&mut tree, r#"{"x":{"b":10}}"#);
        assert_eq!(value(&tree, "x,a"), over_time, "{action}");
        assert_eq!(value(&tree, "x"), across, "{action}");
        assert_eq!(value(&tree, "x,"), across, "{action}");
    }
}

#[test]
fn without_an_action_numbers_add_and_strings_last() {
    let mut tree = tree();
    push(&mut tree, r#"{"n":{"a":[1,2],"b":4},"s":{"a":["x","y"],"b":"z"}}"#);
    assert_eq!((value(&tree, "n"), value(&tree, "s,a")), (json!(7), json!("y")));
    tree.end_tick(0);
    push(&mut tree, r#"{"s":{"a":"newest"}}"#);
    assert_eq!(value(&tree, "s"), "newest");
}

#[test]
fn a_deeper_action_holds_from_where_it_stands() {
    let mut tree = tree();
    push(&mut tree, r#"{"a":{"x":{"defaultaction":"max","p":1,"q":5},"y":{"p":2,"q":1}},"defaultaction":"add"}"#);
    assert_eq!((value(&tree, "a,x"), value(&tree, "a,y"), value(&tree, "a")), (json!(5), json!(3), json!(8)));
    assert_eq!(value(&tree, "a,,p"), 3);
}

#[test]
fn a_plugins_ops_bring_the_action_they_need() {
    let mut tree = tree();
    merge(&mut tree, &["m"], 0, |out| {
        out.set(&["gauge"], 3.0);
        out.add(&["counter"], 1.0);
        out.observe(&["latency"], 2.0);
        out.distinct(&["who"], "a");
        out.mark(&["deploy"], "v1");
    });
    merge(&mut tree, &["m"], 0, |out| {
        out.set(&["gauge"], 4.0);
        out.add(&["counter"], 1.0);
        out.observe(&["latency"], 4.0);
        out.distinct(&["who"], "b");
    });
    assert_eq!((value(&tree, "m,gauge"), value(&tree, "m,counter")), (json!(4), json!(2)));
    assert_eq!(value(&tree, "m,latency")[""]["sum"], 6);
    assert_eq!(value(&tree, "m,who")[""]["distinct"], 2);
    assert_eq!(value(&tree, "m,deploy,marker"), "v1");
}

#[test]
fn sketches_fold_and_forget_the_last_minute() {
    let mut tree = tree();
    for branch in ["2xx", "5xx"] {
        merge(&mut tree, &["t"], 0, |out| (1..=100).for_each(|ms| out.observe(&[branch], f64::from(ms))));
    }
    let folded = value(&tree, "t,");
    assert_eq!((&folded[""]["count"], &folded[""]["max"]), (&json!(200), &json!(100)));
    let p50 = folded[""]["p50"].as_f64().unwrap();
    assert!((p50 - 50.0).abs() <= 0.011 * 50.0 + 0.5, "{p50}");
    assert_eq!(folded[""]["last_minute"]["count"], 200);
    for _ in 0..66 {
        tree.end_tick(0);
    }
    let later = value(&tree, "t");
    assert_eq!((&later[""]["count"], &later[""]["last_minute"]["count"]), (&json!(200), &json!(0)));
}

#[test]
fn a_top_keeps_the_heaviest_and_the_total() {
    let mut tree = tree();
    for round in 0..50 {
        merge(&mut tree, &["url"], 0, |out| {
            for hot in 0..10 {
                out.top(&[], &format!("/hot{hot}"), 10.0, 20);
            }
            for cold in 0..100 {
                out.top(&[], &format!("/cold{round}-{cold}"), 1.0, 20);
            }
        });
        tree.end_tick(0);
    }
    let all = get(&tree, "url");
    let children = all["url"].as_object().unwrap();
    assert_eq!(children.len(), 21, "20 and (other)");
    assert_eq!(value(&tree, "url"), 50 * (10 * 10 + 100));
    for hot in 0..10 {
        assert_eq!(children[&format!("/hot{hot}")], 500);
    }
}

#[test]
fn a_top_that_is_pushed_is_bounded_too() {
    let mut tree = tree();
    push(&mut tree, r#"{"u":{"x":0},"defaultaction":"top(5)"}"#);
    for i in 0..1_000 {
        push(&mut tree, &format!(r#"{{"u":{{"k{i}":1}}}}"#));
    }
    assert!(get(&tree, "u")["u"].as_object().unwrap().len() < 100);
    tree.end_tick(0);
    assert_eq!(get(&tree, "u")["u"].as_object().unwrap().len(), 6);
    assert_eq!(value(&tree, "u"), 1_000);
}

#[test]
fn a_lifetime_ends_unless_renewed() {
    let mut tree = tree();
    let life = |out: &mut Delta| {
        out.lifetime(&["h", "idle"], Duration::from_secs(10));
        out.set(&["h", "idle"], 1.0);
    };
    merge(&mut tree, &["cpu"], 0, life);
    push(&mut tree, r#"{"cpu":{"h2":{"idle":5}}}"#);
    assert_eq!(tree.end_tick(9_999).expired, 0);
    push_at(&mut tree, r#"{"cpu":{"h":{"idle":2}}}"#, 9_999);
    assert_eq!(tree.end_tick(15_000).expired, 0, "renewed by any value");
    let before = tree.tick();
    assert_eq!(tree.end_tick(20_000).expired, 1);
    assert_eq!(get(&tree, "cpu"), json!({"cpu": {"h2": {"idle": 5}}}), "h went with its only leaf");
    let gone = tree.changes(&Pattern::parse("cpu").unwrap(), before, 10);
    assert_eq!((gone.len(), gone[0].path.as_str(), gone[0].value.is_none()), (1, "cpu,h,idle", true));
    merge(&mut tree, &["cpu"], 20_000, life);
    assert_eq!(tree.end_tick(29_000).expired, 0);
    assert_eq!(tree.end_tick(30_000).expired, 1);
}

#[test]
fn past_the_limit_new_keys_go_to_other_and_are_counted() {
    let mut tree = Tree::new(Limits { nodes_max: 10, branch_nodes_max: 5, ..Limits::default() }, SECOND, 0);
    for i in 0..100 {
        push(&mut tree, &format!(r#"{{"a":{{"k{i}":1}}}}"#));
    }
    assert_eq!((value(&tree, "a"), value(&tree, "a,(other)")), (json!(100), json!(95)));
    assert_eq!(tree.overflowed(), 95);
    for i in 0..100 {
        push(&mut tree, &format!(r#"{{"b{i}":{{"x":{{"y":1}}}}}}"#));
    }
    assert!(tree.nodes() <= 10 + 4, "{}", tree.nodes());
    assert_eq!(push(&mut tree, r#"{"a":{"k0":1}}"#), Merged { leaves: 1, overflowed: 0 }, "old keys go on");
}

#[test]
fn rates_are_the_growth_of_the_last_ticks() {
    let mut tree = tree();
    push(&mut tree, r#"{"c":{"a":1000,"b":0},"g":{"x":5,"defaultaction":"average"}}"#);
    for _ in 0..20 {
        tree.end_tick(0);
    }
    assert_eq!(one(&tree, "c", Want::Rate), 0, "what came long ago is no growth");
    for _ in 0..10 {
        push(&mut tree, r#"{"c":{"a":30,"b":10},"g":{"x":7}}"#);
        tree.end_tick(0);
    }
    assert_eq!((one(&tree, "c,a", Want::Rate), one(&tree, "c", Want::Rate)), (json!(30), json!(40)));
    assert_eq!(one(&tree, "g,x", Want::Rate), Json::Null, "a gauge has none");
    for _ in 0..5 {
        tree.end_tick(0);
    }
    assert_eq!(one(&tree, "c,a", Want::Rate), 15);
}

#[test]
fn memory_is_counted_and_given_back() {
    let mut tree = tree();
    let feed = |tree: &mut Tree, n: usize| {
        merge(tree, &["m"], 0, |out| {
            for i in 0..n {
                let key = format!("a key that is longer than a node can hold by itself {i}");
                out.lifetime(&[&key], Duration::from_secs(1));
                out.set_text(&[&key], "some text");
            }
        });
    };
    feed(&mut tree, 1);
    let one = tree.memory_bytes();
    feed(&mut tree, 1_000);
    let full = tree.memory_bytes();
    assert!(full - one > 1_000 * (80 + 50 + 9), "{}", full - one);
    assert_eq!(tree.end_tick(10_000).expired, 1_000);
    assert_eq!(tree.nodes(), 0);
    // The places of the nodes are kept for the next, their keys and texts are not.
    assert!(full - tree.memory_bytes() > 1_000 * (50 + 9));
}

#[test]
fn a_frame_merges_whole_or_not_at_all() {
    let mut tree = tree();
    let mut delta = Delta::new();
    delta.add(&["a"], 1.0);
    delta.add(&["b"], 1.0);
    let frame = delta.flush();
    assert!(tree.merge(&["x"], &frame[..frame.len() - 1], 0).is_err());
    assert_eq!(tree.nodes(), 0);
}

/// A document of three levels whose numbers are whole, so that sums are exact in any order.
fn documents() -> impl Strategy<Value = Vec<Json>> {
    let key = prop::sample::select(vec!["a", "b", "c"]);
    let leaf = prop_oneof![4 => (-20i32..20).prop_map(Json::from), 1 => "[xyz]".prop_map(Json::from)];
    let object =
        |inner: BoxedStrategy<Json>| prop::collection::btree_map(key.clone(), inner, 0..4).prop_map(|map| json!(map));
    let low = prop_oneof![leaf.clone(), object(leaf.clone().boxed())];
    let mid = prop_oneof![1 => leaf, 3 => object(low.boxed())];
    let top = prop::collection::btree_map(key, mid, 0..4).prop_map(|map| json!(map));
    prop::collection::vec(top, 0..6)
}

fn actions() -> impl Strategy<Value = BTreeMap<String, &'static str>> {
    let path = prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..3).prop_map(|keys| keys.join(","));
    prop::collection::btree_map(path, prop::sample::select(vec!["add", "average", "min", "max"]), 0..4)
}

/// The value of what `steps` find in exported JSON, worked out as the design words it.
fn naive(node: &Json, at: &str, steps: &[&str], actions: &BTreeMap<String, &'static str>) -> Option<f64> {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at},{key}") };
    let members = node.as_object().into_iter().flatten().filter(|(key, _)| !key.is_empty());
    let rest = match steps {
        [] => {
            let own = if node.is_object() { node.get("") } else { Some(node) };
            match own {
                Some(own) => return own.as_f64(),
                None => &[][..],
            }
        }
        ["", rest @ ..] => rest,
        [key, rest @ ..] => return naive(node.get(key)?, &below(key), rest, actions),
    };
    let values: Vec<f64> = members.filter_map(|(key, child)| naive(child, &below(key), rest, actions)).collect();
    let mut nearest = at;
    let action = loop {
        if let Some(action) = actions.get(nearest) {
            break *action;
        }
        match nearest.rsplit_once(',') {
            Some((above, _)) => nearest = above,
            None => break "add",
        }
    };
    if values.is_empty() {
        return None;
    }
    Some(match action {
        "average" => values.iter().sum::<f64>() / values.len() as f64,
        "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => values.iter().sum(),
    })
}

proptest! {
    #[test]
    fn a_fold_is_the_naive_fold_of_the_exported_json(
        documents in documents(),
        actions in actions(),
        steps in prop::collection::vec(prop::sample::select(vec!["", "", "a", "b", "c"]), 1..4),
    ) {
        let mut tree = tree();
        for (path, action) in &actions {
            let keys: Vec<&str> = path.split(',').collect();
            tree.set_action(&keys, action.parse().unwrap());
        }
        for document in &documents {
            push(&mut tree, &document.to_string());
        }
        let path = steps.join(",");
        prop_assume!(!path.is_empty());
        let exported = get(&tree, "")[""].clone();
        let wanted = naive(&exported, "", &steps, &actions);
        let found = value(&tree, &path);
        // Where there is no number the tree gives the newest string, which the naive fold does not know.
        match (wanted, found.as_f64()) {
            (Some(wanted), Some(found)) => prop_assert!((wanted - found).abs() < 1e-9, "{path}: {wanted} {found} {exported}"),
            (wanted, _) => prop_assert!(wanted.is_none() && !found.is_number(), "{path}: {wanted:?} {found} {exported}"),
        }
    }

    #[test]
    fn adds_and_sketches_merge_in_any_order(mut deltas in prop::collection::vec((0usize..3, 0u32..50), 1..40), cut in 0usize..40) {
        let keys = ["a", "b", "c"];
        let feed = |tree: &mut Tree, some: &[(usize, u32)]| merge(tree, &["m"], 0, |out| {
            for (key, n) in some {
                out.add(&["sum", keys[*key]], f64::from(*n));
                out.observe(&["seen", keys[*key]], f64::from(*n));
                out.distinct(&["who", keys[*key]], &n.to_string());
                out.top(&["top"], &n.to_string(), 1.0, 100);
            }
        });
        let (mut one, mut many) = (tree(), tree());
        feed(&mut one, &deltas);
        let (left, right) = deltas.split_at(cut.min(deltas.len()));
        let (left, mut right) = (left.to_vec(), right.to_vec());
        right.reverse();
        feed(&mut many, &right);
        feed(&mut many, &left);
        let sorted = |tree: &Tree| get(tree, "m")["m"].clone();
        prop_assert_eq!(sorted(&one), sorted(&many));
        deltas.clear();
    }
}

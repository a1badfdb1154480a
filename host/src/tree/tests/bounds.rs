//! What happens past a limit, and what is kept apart from it.

use super::*;
use plugin_api::delta::wire::{Op, Writer};
use plugin_api::sketch::Quantiles;

fn frame(entries: &[(&[&str], Op<'_>)]) -> Vec<u8> {
    let mut frame = Writer::new();
    for (path, op) in entries {
        frame.entry(path, *op);
    }
    frame.into_bytes()
}

/// A tree that holds `a,k` and has no room for a second key below `a`.
fn full() -> Tree {
    let mut tree = Tree::new(Limits { nodes_max: 2, ..Limits::default() }, SECOND, 0);
    push(&mut tree, r#"{"a":{"k":1}}"#);
    tree
}

#[test]
fn the_rate_of_a_top_is_the_growth_of_all_that_came() {
    for by_sketch in [false, true] {
        let mut tree = tree();
        push(&mut tree, r#"{"u":{"x":0},"defaultaction":"top(1000)"}"#);
        for tick in 0..20 {
            merge(&mut tree, &["u"], 0, |out| {
                for i in 0..5_000 {
                    let key = format!("{tick}-{i}");
                    if by_sketch { out.top(&[], &key, 1.0, 1_000) } else { out.add(&[&key], 1.0) }
                }
            });
            tree.end_tick(0);
        }
        let rate = one(&tree, "u", Want::Rate).as_f64().unwrap();
        assert!((rate - 5_000.0).abs() < 1.0, "{rate}");
        assert_eq!(value(&tree, "u"), 100_000);
        for _ in 0..10 {
            tree.end_tick(0);
        }
        assert_eq!(one(&tree, "u", Want::Rate), 0);
    }
}

#[test]
fn what_is_pruned_takes_its_growth_along_and_no_more() {
    let mut tree = tree();
    push(&mut tree, r#"{"u":{"old":500},"defaultaction":"top(2)"}"#);
    for _ in 0..10 {
        tree.end_tick(0);
    }
    for _ in 0..10 {
        push(&mut tree, r#"{"u":{"old":20}}"#);
        tree.end_tick(0);
    }
    assert_eq!(one(&tree, "u", Want::Rate), 20);
    // Two that are heavier: the old one goes, with 20 of growth in each of nine ticks and 30 in this one.
    push(&mut tree, r#"{"u":{"p":10000,"q":10000,"old":30}}"#);
    tree.end_tick(0);
    assert_eq!(value(&tree, "u,(other)"), 730);
    assert_eq!(one(&tree, "u,(other)", Want::Rate), 21);
    assert_eq!(one(&tree, "u", Want::Rate), 2_021);
}

#[test]
fn a_shared_other_takes_only_what_can_be_told_together() {
    let mut tree = full();
    let mut sketch = Vec::new();
    let mut quantiles = Quantiles::new();
    quantiles.observe(1.0);
    quantiles.encode(&mut sketch);
    let frame = frame(&[
        (&["a", "n1"], Op::Number(2.0)),
        (&["a", "n2"], Op::Add(3.0)),
        (&["a", "text"], Op::Text("lost")),
        (&["a", "flag"], Op::Bool(true)),
        (&["a", "gauge"], Op::Set(1_000.0)),
        (&["a", "sketch"], Op::Quantiles(&sketch)),
        (&["a", "act"], Op::Action(Action::Max)),
        (&["a", "act"], Op::Number(4.0)),
        (&["a", "life"], Op::Lifetime(SECOND)),
        (&["a", "n1", "deep"], Op::Number(5.0)),
    ]);
    assert_eq!(tree.merge(&[], &frame, 0).unwrap(), Merged { leaves: 8, overflowed: 8 });
    tree.set_action(&["a", "new"], Action::Average);
    tree.end_tick(10_000);
    assert_eq!(value(&tree, "a,(other)"), 14);
    push(&mut tree, r#"{"a":{"z":1}}"#);
    assert_eq!((value(&tree, "a,(other)"), value(&tree, "a")), (json!(15), json!(16)));
}

#[test]
fn a_shared_other_of_gauges_holds_no_gauge() {
    let mut tree = Tree::new(Limits { nodes_max: 2, ..Limits::default() }, SECOND, 0);
    push(&mut tree, r#"{"cpu":{"h":10},"defaultaction":"average"}"#);
    assert_eq!(push(&mut tree, r#"{"cpu":{"i":90}}"#), Merged { leaves: 1, overflowed: 1 });
    assert_eq!((value(&tree, "cpu"), value(&tree, "cpu,(other)")), (json!(10), Json::Null));
}

#[test]
fn a_shared_other_merges_sketches_of_its_kind() {
    let mut tree = full();
    for _ in 0..2 {
        merge(&mut tree, &["b"], 0, |out| out.observe(&["p"], 2.0));
        merge(&mut tree, &["b"], 0, |out| out.distinct(&["q"], "x"));
        merge(&mut tree, &["b"], 0, |out| out.add(&["r"], 1.0));
    }
    assert_eq!(value(&tree, "(other)")[""]["count"], 2);
    assert_eq!(tree.overflowed(), 6);
}

#[test]
fn a_broken_sketch_spoils_the_whole_frame() {
    let mut tree = tree();
    let bytes = frame(&[(&["a"], Op::Add(1.0)), (&["b"], Op::Quantiles(b"\x01\xff\xff")), (&["c"], Op::Add(1.0))]);
    let error = tree.merge(&[], &bytes, 0).unwrap_err();
    assert!(error.at > 10 && error.at <= bytes.len(), "{error}");
    assert_eq!(tree.nodes(), 0);
}

#[test]
fn an_action_in_a_frame_holds_for_what_follows_it() {
    let mut tree = tree();
    let bytes = frame(&[
        (&["a", "x"], Op::Number(1.0)),
        (&["a"], Op::Action(Action::Average)),
        (&["a", "b"], Op::Number(3.0)),
        (&["a", "b"], Op::Number(5.0)),
        (&["a"], Op::Add(1.0)),
        (&["a", "c"], Op::Number(3.0)),
        (&["a", "c"], Op::Number(5.0)),
    ]);
    tree.merge(&[], &bytes, 0).unwrap();
    assert_eq!((value(&tree, "a,b"), value(&tree, "a,c")), (json!(5), json!(8)));
    let bytes = frame(&[(&[], Op::Action(Action::Max)), (&["x"], Op::Number(3.0)), (&["x"], Op::Number(2.0))]);
    tree.merge(&["m"], &bytes, 0).unwrap();
    assert_eq!(value(&tree, "m,x"), 2);
}

#[test]
fn past_the_bytes_no_text_or_sketch_is_taken_in() {
    let bytes_max = 100_000;
    let mut tree = Tree::new(Limits { bytes_max, ..Limits::default() }, SECOND, 0);
    let text = "x".repeat(10_000);
    for i in 0..8 {
        push(&mut tree, &format!(r#"{{"t":{{"k{i}":"short"}}}}"#));
    }
    for round in 0..5 {
        for i in 0..8 {
            push(&mut tree, &format!(r#"{{"t":{{"k{i}":"{text}{}"}}}}"#, text.repeat(round)));
        }
    }
    assert!(tree.overflowed() > 0);
    assert!(tree.memory_bytes() < bytes_max + 120_000, "by no more than one text: {}", tree.memory_bytes());
    let before = tree.nodes();
    for i in 0..100 {
        push(&mut tree, &format!(r#"{{"n":{{"k{i}":1}}}}"#));
        merge(&mut tree, &["t"], 0, |out| out.observe(&["k0"], 1.0));
    }
    assert_eq!(tree.nodes(), before + 1, "only an (other) at the root");
    assert_eq!(value(&tree, "(other)"), 100);
    assert!(value(&tree, "t,k0").is_string());
    push(&mut tree, r#"{"t":{"k0":"short again"}}"#);
    assert_eq!(value(&tree, "t,k0"), "short again", "what shrinks is taken");
}

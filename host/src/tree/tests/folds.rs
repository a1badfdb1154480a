//! Folds: the copied and the counted one tell the same, and neither costs more than it may.

use super::*;
use crate::tree::fold::FOLD_NODES_MAX;

fn folded<'t>(tree: &'t Tree, path: &str) -> Option<Folded<'t>> {
    match tree.select(&Pattern::parse(path).unwrap(), Want::Value, 1).pop() {
        Some((_, Hit::Folded(folded))) => Some(folded),
        _ => None,
    }
}

fn json_of(reading: Option<&Reading<'_>>) -> Json {
    reading.map_or(Json::Null, to_json)
}

/// Everything below a fold is worth what a query for it says.
fn agrees(tree: &Tree, path: &str, folded: &Folded<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(json_of(folded.value().as_ref()), value(tree, path), "{}", path);
    for (key, child) in folded.children() {
        agrees(tree, &format!("{path},{key}"), child)?;
    }
    Ok(())
}

#[test]
fn a_fold_of_mixed_nodes_is_worth_the_same_either_way() {
    let mut tree = tree();
    push(&mut tree, r#"{"m":{"a":{"x":8},"b":{"x":{"p":1,"q":2}},"c":{"x":[4,{"p":100}]}}}"#);
    assert_eq!(value(&tree, "m,,x"), 15);
    let found = folded(&tree, "m,,x").unwrap();
    assert_eq!(json_of(found.value().as_ref()), 15);
    assert_eq!(json_of(found.own()), 12);
    agrees(&tree, "m,,x", &found).unwrap();
}

#[test]
fn the_newest_of_a_fold_is_the_newest_either_way() {
    let mut tree = tree();
    push(&mut tree, r#"{"m":{"a":{"x":{"p":1}},"b":{"x":{"q":2}}},"defaultaction":"last"}"#);
    tree.end_tick(0);
    push(&mut tree, r#"{"m":{"a":{"x":{"p":3}}}}"#);
    assert_eq!(value(&tree, "m,,x"), 3);
    assert_eq!(json_of(folded(&tree, "m,,x").unwrap().value().as_ref()), 3);
}

#[test]
fn a_list_stops_at_its_limit_in_the_order_of_the_tree() {
    let mut tree = tree();
    push(&mut tree, r#"{"m":{"a":{"x":1,"y":2},"b":{"y":3},"c":{"x":4}}}"#);
    let list = |path: &str, limit| -> Vec<String> {
        let found = tree.values(&Pattern::parse(path).unwrap(), Want::Value, limit);
        assert_eq!(found.len(), tree.select(&Pattern::parse(path).unwrap(), Want::Value, limit).len());
        found.into_iter().map(|(path, _)| path).collect()
    };
    assert_eq!(list("m,*,x", 9), ["m,a,x", "m,c,x"]);
    assert_eq!(list("*,*,*", 3), ["m,a,x", "m,a,y", "m,b,y"]);
    assert_eq!(list("m,*,", 2), ["m,a,", "m,b,"]);
    assert_eq!(list("m,*", 0), Vec::<String>::new());
    let mut visited = 0;
    tree.visit(&Pattern::parse("*,*,*").unwrap(), |_, _, _| {
        visited += 1;
        std::ops::ControlFlow::Break(())
    });
    assert_eq!(visited, 1);
}

#[test]
fn a_fold_copies_no_more_than_it_may_and_says_so() {
    let mut tree = tree();
    let wide = FOLD_NODES_MAX + 10;
    merge(&mut tree, &["m", "a", "x"], 0, |out| (0..wide / 2).for_each(|i| out.add(&[&format!("{i}")], 1.0)));
    merge(&mut tree, &["m", "a", "x"], 0, |out| (wide / 2..wide).for_each(|i| out.add(&[&format!("{i}")], 1.0)));
    merge(&mut tree, &["m", "b", "x"], 0, |out| (0..10).for_each(|i| out.add(&[&format!("{i}")], 5.0)));
    let found = folded(&tree, "m,,x").unwrap();
    assert!(found.is_cut());
    assert_eq!(found.children().count(), FOLD_NODES_MAX);
    assert_eq!(json_of(found.children().next().unwrap().1.value().as_ref()), 6, "a key that is there has all of it");
    assert_eq!(json_of(found.value().as_ref()), wide + 50);
    assert!(!folded(&tree, "m,,x,3").unwrap().is_cut());
    // Two folds, one in the other: what is cut has no keys, for they might lack what was left out.
    let nested = folded(&tree, "m,,").unwrap();
    assert!(nested.is_cut() && nested.children().count() == 0);
    assert_eq!(json_of(nested.value().as_ref()), wide + 50);
}

proptest! {
    #[test]
    fn a_copied_fold_is_worth_what_a_counted_one_is(
        rounds in prop::collection::vec(documents(), 1..4),
        actions in prop::collection::btree_map(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..3),
            prop::sample::select(vec!["add", "average", "min", "max", "last"]),
            0..4,
        ),
        totals in prop::collection::btree_map(
            prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4), -20i32..20, 0..8,
        ),
        steps in prop::collection::vec(prop::sample::select(vec!["", "", "a", "b", "c"]), 1..4),
    ) {
        let mut tree = tree();
        for (path, action) in &actions {
            tree.set_action(path, action.parse().unwrap());
        }
        for (path, total) in &totals {
            merge(&mut tree, path, 0, |out| out.total(&[], f64::from(*total)));
        }
        for documents in &rounds {
            for document in documents {
                push(&mut tree, &document.to_string());
            }
            tree.end_tick(0);
        }
        let path = steps.join(",");
        prop_assume!(!path.is_empty());
        match folded(&tree, &path) {
            Some(folded) => agrees(&tree, &path, &folded)?,
            None => prop_assert!(value(&tree, &path).is_null() || !steps.contains(&"")),
        }
    }
}

//! What changed, and what is gone, since a tick.

use super::*;

/// Applies what a query is told to what it was told before.
fn follow(tree: &Tree, path: &str, since: u64, told: &mut BTreeMap<String, Json>) {
    for change in tree.changes(&Pattern::parse(path).unwrap(), since, usize::MAX) {
        match &change.value {
            Some(value) => drop(told.insert(change.path, to_json(value))),
            None => drop(told.remove(&change.path)),
        }
    }
}

fn all_values(tree: &Tree, path: &str) -> BTreeMap<String, Json> {
    let found = tree.values(&Pattern::parse(path).unwrap(), Want::Value, usize::MAX);
    found.iter().map(|(path, value)| (path.clone(), to_json(value))).collect()
}

fn told(tree: &Tree, path: &str, since: u64) -> Vec<(String, Json)> {
    let changes = tree.changes(&Pattern::parse(path).unwrap(), since, usize::MAX);
    changes.iter().map(|change| (change.path.clone(), change.value.as_ref().map_or(Json::Null, to_json))).collect()
}

fn with_lifetime(tree: &mut Tree, path: &[&str], seconds: u64, now_ms: i64) {
    merge(tree, &[], now_ms, |out| out.lifetime(path, Duration::from_secs(seconds)));
}

#[test]
fn a_fold_is_told_that_some_or_all_of_it_went() {
    let mut tree = tree();
    push(&mut tree, r#"{"cpu":{"h":{"idle":1},"i":{"idle":2}}}"#);
    with_lifetime(&mut tree, &["cpu", "h", "idle"], 1, 0);
    with_lifetime(&mut tree, &["cpu", "i", "idle"], 2, 0);
    tree.end_tick(0);
    let since = tree.tick();
    let pattern = Pattern::parse("cpu,,idle").unwrap();
    assert!(!tree.changed(&pattern, since));
    tree.end_tick(1_000);
    assert!(tree.changed(&pattern, since));
    assert_eq!(told(&tree, "cpu,,idle", since), [("cpu,,idle".into(), json!(2))]);
    let since = tree.tick();
    tree.end_tick(2_000);
    assert_eq!(told(&tree, "cpu,,idle", since), [("cpu,,idle".into(), Json::Null)], "and cpu with it");
    assert_eq!(told(&tree, "*,,idle", since), [("cpu,,idle".into(), Json::Null)]);
    assert_eq!(told(&tree, "cpu,,user", since), []);
}

#[test]
fn a_client_that_was_away_too_long_is_known() {
    let mut tree = tree();
    let round = |tree: &mut Tree, n: usize, now_ms: i64| {
        merge(tree, &["m"], now_ms, |out| {
            for i in 0..n {
                out.lifetime(&[&format!("{i}")], Duration::from_secs(1));
                out.set(&[&format!("{i}")], 1.0);
            }
        });
        assert_eq!(tree.end_tick(now_ms + 1_000).expired, n);
        tree.tick()
    };
    let start = tree.tick();
    let first = round(&mut tree, 4_000, 0);
    assert!(!tree.forgot_removals_since(start));
    let second = round(&mut tree, 100, 2_000);
    assert!(tree.forgot_removals_since(start), "4 of the first round had to make room");
    assert!(!tree.forgot_removals_since(first));
    assert!(tree.forgot_removals_since(second + 1) && tree.forgot_removals_since(start - 1), "of another life");
    assert!(!tree.forgot_removals_since(0), "who holds nothing misses nothing");
}

#[test]
fn a_pruned_key_is_gone_for_who_asks_for_it_and_forces_out_no_other() {
    let mut tree = tree();
    push(&mut tree, r#"{"u":{"light":1,"heavy":1000000},"defaultaction":"top(5)","h":{"x":1}}"#);
    with_lifetime(&mut tree, &["h", "x"], 1, 0);
    tree.end_tick(0);
    let since = tree.tick();
    tree.end_tick(1_000);
    for i in 0..10_000 {
        push_at(&mut tree, &format!(r#"{{"u":{{"k{i}":10}}}}"#), 1_000);
    }
    tree.end_tick(1_000);
    assert!(tree.changed(&Pattern::parse("u,light").unwrap(), since));
    assert_eq!(told(&tree, "u,light", since), [("u,light".into(), Json::Null)]);
    assert_eq!(told(&tree, "u,heavy", since), []);
    assert!(told(&tree, "u", since).iter().any(|(path, _)| path == "u,(other)"));
    assert!(!tree.forgot_removals_since(since), "pruned keys take no place");
    assert_eq!(told(&tree, "h,x", since), [("h,x".into(), Json::Null)]);
    let since = tree.tick();
    tree.end_tick(1_000);
    assert_eq!(told(&tree, "u,light", since), []);
}

const FOLLOWED: [&str; 6] = ["a,,b", ",a", "*,,b", ",", "a,", "b,*,"];

proptest! {
    #[test]
    fn what_changes_tell_is_the_tree(
        rounds in prop::collection::vec((
            documents(),
            prop::collection::vec((prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4), 0u64..4), 0..5),
            any::<bool>(),
        ), 1..10),
    ) {
        let mut tree = tree();
        let mut leaves_told: BTreeMap<String, Json> = BTreeMap::new();
        let mut folds_told = FOLLOWED.map(|_| BTreeMap::new());
        let mut since = tree.tick();
        let everything = Pattern::default();
        let rounds_end = rounds.len() - 1;
        for (round, (documents, lifetimes, look)) in rounds.into_iter().enumerate() {
            let now_ms = round as i64 * 1_000;
            for document in documents {
                push_at(&mut tree, &document.to_string(), now_ms);
            }
            for (path, seconds) in lifetimes {
                with_lifetime(&mut tree, &path, seconds, now_ms);
            }
            tree.end_tick(now_ms);
            if look || round == rounds_end {
                prop_assert_eq!(tree.changed(&everything, since), !tree.changes(&everything, since, 1).is_empty());
                follow(&tree, "", since, &mut leaves_told);
                for (path, told) in FOLLOWED.iter().zip(&mut folds_told) {
                    let changed = tree.changed(&Pattern::parse(path).unwrap(), since);
                    prop_assert!(changed || tree.changes(&Pattern::parse(path).unwrap(), since, 1).is_empty());
                    follow(&tree, path, since, told);
                }
                since = tree.tick();
                prop_assert!(!tree.changed(&everything, since));
            }
        }
        let mut leaves = BTreeMap::new();
        if tree.nodes() > 0 {
            flatten("", &get(&tree, "")[""], &mut leaves);
        }
        prop_assert_eq!(leaves_told, leaves);
        for (path, told) in FOLLOWED.iter().zip(folds_told) {
            prop_assert_eq!(told, all_values(&tree, path), "{}", path);
        }
    }
}

fn flatten(at: &str, node: &Json, leaves: &mut BTreeMap<String, Json>) {
    match node.as_object() {
        None => drop(leaves.insert(at.to_owned(), node.clone())),
        Some(members) => {
            for (key, child) in members {
                let path = match (at, key.as_str()) {
                    (at, "") => at.to_owned(),
                    ("", key) => key.to_owned(),
                    (at, key) => format!("{at},{key}"),
                };
                flatten(&path, child, leaves);
            }
        }
    }
}

//! What is kept of a tree is the tree.

use super::*;
use plugin_api::sketch::Quantiles;
use std::collections::HashMap;

/// What a keeper has: rows by number, each with its path.
#[derive(Debug, Default)]
struct Keeper {
    rows: HashMap<u64, (String, Row)>,
    /// All that was told of what sketches were fed.
    fed: HashMap<u64, Fed>,
    mark: Mark,
    last: u64,
}

impl Keeper {
    fn of(tree: &mut Tree) -> Keeper {
        tree.keep(0);
        let mut keeper = Keeper::default();
        keeper.commit(tree);
        keeper
    }

    /// Takes what changed, as a keeper does; how many rows that were.
    fn commit(&mut self, tree: &mut Tree) -> usize {
        let Rows { changed, fed, gone, next } = tree.changed_rows(self.mark, |keys| keys == ["skipped"]);
        let rows = changed.len();
        self.mark = next;
        for id in gone {
            self.rows.remove(&id);
        }
        for mut row in changed {
            self.last = self.last.max(row.id);
            let told = row.more.as_mut().and_then(|more| more.path.take()).map(String::from);
            let old = self.rows.remove(&row.id);
            let path = told.or(old.as_ref().map(|(path, _)| path.clone())).expect("a path");
            // Metadata is told once.
            let meta = old.and_then(|(_, old)| old.more?.meta);
            if let Some(meta) = meta
                && row.more.as_ref().is_none_or(|more| more.meta.is_none())
            {
                row.more.get_or_insert_default().meta = Some(meta);
            }
            self.rows.insert(row.id, (path, row));
        }
        for (id, fed) in fed {
            assert!(self.rows.contains_key(&id));
            match self.fed.get_mut(&id) {
                Some(before) => before.merge(&fed),
                None => drop(self.fed.insert(id, fed)),
            }
        }
        rows
    }

    /// The tree that is made of it.
    fn tree(&self, limits: Limits) -> Tree {
        let mut tree = Tree::new(limits, SECOND, 500);
        tree.keep(self.last);
        let mut rows: Vec<_> = self.rows.values().collect();
        rows.sort_by_key(|(_, row)| (row.more.as_ref().is_none_or(|more| more.action.is_none()), row.id));
        for (path, row) in rows {
            assert_eq!(tree.restore(path, row, 0), Ok(true), "{path}");
        }
        tree.end_tick(0);
        tree
    }
}

fn whole(tree: &Tree) -> Json {
    get(tree, "")[""].clone()
}

/// Without the last minute of sketches, which is not kept.
fn steady(mut json: Json) -> Json {
    fn strip(json: &mut Json) {
        match json {
            Json::Object(members) => {
                members.remove("last_minute");
                members.values_mut().for_each(strip);
            }
            Json::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut json);
    json
}

/// Without nodes that hold nothing and have nothing below: where there was no room, one may be left of a path.
fn bare(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let members = members.into_iter().map(|(key, value)| (key, bare(value)));
            Json::Object(members.filter(|(_, value)| value.as_object().is_none_or(|below| !below.is_empty())).collect())
        }
        other => other,
    }
}

#[test]
fn a_tree_is_made_anew_with_all_that_hangs_in_it() {
    let mut tree = tree();
    push(&mut tree, ORIGIN);
    push(&mut tree, r#"{"flag":true,"text":"a,b*%\u0001c","n":{"":1,"below":2},"skipped":{"x":1}}"#);
    push(&mut tree, r#"{"lat":{"x":[0.1,0.2,0.9]},"defaultaction":"quantiles"}"#);
    push(&mut tree, r#"{"who":{"x":["a","b","a"]},"defaultaction":"distinct"}"#);
    merge(&mut tree, &["host"], 0, |delta| {
        delta.set(&["load"], 3.5);
        delta.lifetime(&["load"], 10 * SECOND);
        delta.total(&["packets"], 100.0);
        delta.meta(&["packets"], &[("units", "packets/s")])
    });
    for n in 0..200 {
        merge(&mut tree, &["url"], 0, |delta| delta.top(&["all"], &format!("/{n}"), 1.0 + f64::from(n % 7), 5));
        tree.end_tick(0);
    }
    let keeper = Keeper::of(&mut tree);
    let mut again = keeper.tree(Limits::default());
    let mut want = whole(&tree);
    want.as_object_mut().unwrap().remove("skipped");
    assert_eq!(steady(whole(&again)), steady(want));
    for path in ["br", "cpu,,idle", "cpu,,marker", "url,all"] {
        assert_eq!(value(&again, path), value(&tree, path), "{path}");
    }
    // Counters do not seem to have grown, and go on.
    assert_eq!(one(&again, "br,webkit", Want::Rate), 0.0);
    push(&mut again, r#"{"br":{"webkit":{"14.0":1}}}"#);
    assert_eq!(value(&again, "br,webkit"), 61);
    // A gauge that is not renewed ends, later than its life.
    again.end_tick(9_000);
    assert_eq!(value(&again, "host,load"), 3.5);
    again.end_tick(11_000);
    assert_eq!(value(&again, "host,load"), Json::Null);
    let found = again.select(&Pattern::parse("host,packets").unwrap(), Want::Value, 1);
    let Some((_, Hit::Node(node))) = found.first() else { panic!("{found:?}") };
    assert_eq!(node.meta().and_then(|meta| meta.get("units")), Some("packets/s"));
}

#[test]
fn only_what_changed_is_told_and_nothing_twice() {
    let mut tree = tree();
    push(&mut tree, r#"{"a":{"x":1,"y":2},"b":{"z":3}}"#);
    tree.end_tick(0);
    let mut keeper = Keeper::of(&mut tree);
    assert_eq!(keeper.commit(&mut tree), 0);
    push(&mut tree, r#"{"a":{"x":1}}"#);
    assert_eq!(keeper.commit(&mut tree), 1);
    // In the same tick as the commit, after it.
    push(&mut tree, r#"{"a":{"x":1}}"#);
    assert_eq!(keeper.commit(&mut tree), 1);
    assert_eq!(whole(&keeper.tree(Limits::default())), whole(&tree));
    // A number is never given twice.
    let numbers = keeper.last;
    let mut again = keeper.tree(Limits::default());
    push(&mut again, r#"{"new":1}"#);
    let rows = again.changed_rows(Mark::default(), |_| false).changed;
    assert_eq!(rows.iter().map(|row| row.id).max(), Some(numbers + 1));
}

proptest! {
    #[test]
    fn what_is_kept_in_pieces_is_the_tree(
        steps in prop::collection::vec((0u8..6, 0u8..4, 0u8..6, 1u32..9), 1..60),
        small in any::<bool>(),
    ) {
        let limits = if small { Limits { nodes_max: 12, ..Limits::default() } } else { Limits::default() };
        let mut tree = Tree::new(limits, SECOND, 100);
        let mut keeper = Keeper::of(&mut tree);
        let mut now_ms = 0;
        for (what, branch, key, n) in steps {
            let (branch, key) = (format!("b{branch}"), format!("k{key}"));
            match what {
                0 => merge(&mut tree, &[&branch], now_ms, |delta| delta.add(&[&key], f64::from(n))),
                1 => merge(&mut tree, &[&branch, "gauge"], now_ms, |delta| {
                    delta.set(&[&key], f64::from(n));
                    delta.lifetime(&[&key], SECOND * n);
                }),
                2 => merge(&mut tree, &[&branch], now_ms, |delta| delta.top(&["top"], &format!("{key}{n}"), 1.0, 3)),
                3 => merge(&mut tree, &[&branch], now_ms, |delta| delta.set_text(&["text", &key], &"x".repeat(n as usize))),
                4 => {
                    now_ms += 700;
                    tree.end_tick(now_ms);
                }
                _ => drop(keeper.commit(&mut tree)),
            }
        }
        // A top prunes what it may not hold at the end of a tick: so does the one that is made anew.
        tree.end_tick(now_ms);
        keeper.commit(&mut tree);
        let again = keeper.tree(Limits::default());
        prop_assert_eq!(bare(whole(&again)), bare(whole(&tree)));
    }
}

/// What a sketch has been fed since it began, as far as it was told, is all that it has.
fn is_fed_whole(keeper: &Keeper, path: &str) {
    let (id, (_, row)) = keeper.rows.iter().find(|(_, (at, _))| at == path).expect("a node");
    let same = match (&keeper.fed[id], &row.value) {
        (Fed::Quantiles(fed), Kept::Quantiles(bytes)) => {
            let total = Quantiles::decode(bytes).expect("a sketch");
            let figures = |sketch: &Quantiles| (sketch.count(), sketch.quantile(0.99), sketch.min(), sketch.max());
            figures(fed) == figures(&total) && (fed.sum() - total.sum()).abs() <= 1e-9 * total.sum().abs()
        }
        (Fed::Distinct(fed), Kept::Distinct(bytes)) => {
            let mut encoded = Vec::new();
            fed.encode(&mut encoded);
            encoded == **bytes
        }
        _ => false,
    };
    assert!(same, "{path}");
}

#[test]
fn what_sketches_were_fed_between_commits_is_what_they_have() {
    let mut tree = tree();
    // What came before it is kept is in its first commit.
    push(&mut tree, r#"{"site":{"ms":[3,5]},"defaultaction":"quantiles"}"#);
    let mut keeper = Keeper { rows: HashMap::new(), ..Keeper::default() };
    tree.keep(0);
    keeper.commit(&mut tree);
    assert!(keeper.fed.is_empty(), "what was fed before anybody kept it is not history");
    let mut tree = super::tree();
    let mut keeper = Keeper::of(&mut tree);
    for n in 0_u32..400 {
        merge(&mut tree, &["site"], 0, |delta| {
            delta.observe(&["ms"], f64::from(n % 97) - 20.0);
            delta.distinct(&["who"], &n.to_string());
        });
        if n % 3 == 0 {
            push(&mut tree, r#"{"site":{"ms":[7,8]},"defaultaction":"quantiles"}"#);
        }
        if n % 7 == 0 {
            tree.end_tick(0);
        }
        if n % 17 == 0 {
            keeper.commit(&mut tree);
        }
    }
    let waiting = tree.memory_bytes();
    keeper.commit(&mut tree);
    assert!(tree.memory_bytes() < waiting, "what has been kept takes no room any more");
    is_fed_whole(&keeper, "site,ms");
    is_fed_whole(&keeper, "site,who");
    let all = keeper.fed.clone();
    tree.end_tick(0);
    keeper.commit(&mut tree);
    for (id, fed) in all {
        let bytes = |fed: &Fed| format!("{fed:?}");
        assert_eq!(bytes(&fed), bytes(&keeper.fed[&id]), "nothing was fed since");
    }
    // Made anew, it goes on.
    let mut again = keeper.tree(Limits::default());
    keeper.mark = again.mark();
    merge(&mut again, &["site"], 0, |delta| delta.observe(&["ms"], 1_000.0));
    keeper.commit(&mut again);
    is_fed_whole(&keeper, "site,ms");
}

#[test]
fn a_node_that_is_no_sketch_any_more_or_another_one_has_another_number() {
    let mut tree = tree();
    let mut keeper = Keeper::of(&mut tree);
    let numbers =
        |keeper: &Keeper| keeper.rows.iter().filter(|(_, (at, _))| at == "a").map(|(id, _)| *id).collect::<Vec<_>>();
    let mut before = Vec::new();
    for (round, renewed) in [(0, true), (1, false), (2, true), (3, false), (4, true)] {
        match round {
            0 | 1 | 3 => merge(&mut tree, &[], 0, |delta| delta.observe(&["a"], 2.0)),
            2 => merge(&mut tree, &[], 0, |delta| delta.set(&["a"], 2.0)),
            _ => {
                merge(&mut tree, &[], 0, |delta| delta.set(&["a"], 2.0));
                merge(&mut tree, &[], 0, |delta| delta.observe(&["a"], 5.0));
            }
        }
        tree.end_tick(0);
        keeper.commit(&mut tree);
        let now = numbers(&keeper);
        assert_eq!((now.len(), now != before), (1, renewed), "round {round}");
        before = now;
        if round != 2 {
            is_fed_whole(&keeper, "a");
        }
    }
}

#[test]
fn a_tree_that_nobody_keeps_holds_nothing_to_be_kept() {
    let held = |is_kept: bool| {
        let mut tree = tree();
        if is_kept {
            tree.keep(0);
        }
        for n in 0..500 {
            merge(&mut tree, &[], 0, |delta| delta.observe(&["a"], f64::from(n)));
        }
        tree.memory_bytes()
    };
    assert!(held(true) >= held(false) + size_of::<Quantiles>());
}

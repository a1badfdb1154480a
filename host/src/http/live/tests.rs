use super::*;
use crate::http::testing::{merge, shared, tick};
use futures_util::FutureExt;

fn query(path: &str) -> Query {
    Query { patterns: vec![Pattern::parse(path).unwrap()], limit: 1_000 }
}

fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.json).unwrap()
}

async fn next(member: &mut Member) -> String {
    text(&*member.next().await).to_owned()
}

#[tokio::test]
async fn who_asks_the_same_is_told_the_same_bytes() {
    let shared = shared(None);
    let groups = Groups::new(Arc::clone(&shared));
    let mut members: Vec<Member> = (0..3).map(|_| groups.join(query("a"), None)).collect();
    let mut other = groups.join(query("b"), None);
    assert_eq!(groups.count(), 2);
    merge(&shared, r#"{"a":{"x":1}}"#);
    groups.look();
    assert!(members[0].next().now_or_never().is_none(), "the tick is not over");
    let over = tick(&shared);
    groups.look();
    let told: Vec<_> = members.iter_mut().map(|member| member.next().now_or_never().unwrap()).collect();
    assert_eq!((text(&told[0]), told[0].tick), (r#"[{"a,x":1}]"#, over));
    assert!(Arc::ptr_eq(&told[0], &told[2]));
    assert_eq!(told[0].event().framed().as_ptr(), told[1].event().framed().as_ptr());
    assert!(other.next().now_or_never().is_none());
    assert_eq!(other.give_up().unwrap_err(), over);
    drop(members);
    drop(other);
    assert_eq!(groups.count(), 0);
}

#[tokio::test]
async fn a_slow_member_walks_over_what_it_missed() {
    let shared = shared(None);
    let groups = Groups::new(Arc::clone(&shared));
    let mut slow = groups.join(query("a"), None);
    for (i, json) in [r#"{"a":{"x":1}}"#, r#"{"a":{"y":1}}"#, r#"{"a":{"z":1}}"#].iter().enumerate() {
        merge(&shared, json);
        tick(&shared);
        groups.look();
        assert_eq!(slow.latest.as_ref().unwrap().borrow().number, i as u64 + 1);
    }
    assert_eq!(next(&mut slow).await, r#"[{"a,x":1},{"a,y":1},{"a,z":1}]"#);
    assert!(slow.next().now_or_never().is_none());
}

#[tokio::test]
async fn what_was_told_by_a_walk_is_not_told_again() {
    let shared = shared(None);
    let groups = Groups::new(Arc::clone(&shared));
    let mut first = groups.join(query("a"), None);
    merge(&shared, r#"{"a":1}"#);
    let over = tick(&shared);
    // It comes before the groups are looked at, knowing the tick before.
    let mut late = groups.join(query("a"), Some(over - 1));
    assert_eq!(next(&mut late).await, r#"[{"a":1}]"#);
    let mut current = groups.join(query("a"), Some(over));
    groups.look();
    assert_eq!(text(&first.next().now_or_never().unwrap()), r#"[{"a":1}]"#);
    assert!(late.next().now_or_never().is_none());
    assert!(current.next().now_or_never().is_none());
    merge(&shared, r#"{"a":1}"#);
    tick(&shared);
    groups.look();
    for member in [&mut first, &mut late, &mut current] {
        assert_eq!(text(&member.next().now_or_never().unwrap()), r#"[{"a":2}]"#);
    }
}

#[tokio::test]
async fn a_leaf_that_goes_is_null_and_a_cut_is_said() {
    let shared = shared(None);
    let groups = Groups::new(Arc::clone(&shared));
    let mut delta = plugin_api::Delta::new();
    delta.set_text(&["a", "gone"], "soon");
    delta.lifetime(&["a", "gone"], std::time::Duration::from_millis(1));
    shared.tree.write().merge(&[], delta.flush(), 0).unwrap();
    tick(&shared);
    let mut member = groups.join(query("a"), None);
    let mut short = groups.join(Query { limit: 1, ..query("a") }, None);
    merge(&shared, r#"{"a":{"b":1}}"#);
    let over = shared.tree.write().end_tick(10).tick;
    groups.look();
    let told = member.next().now_or_never().unwrap();
    assert_eq!((text(&told), told.tick, told.truncated), (r#"[{"a,b":1},{"a,gone":null}]"#, over, false));
    let told = short.next().now_or_never().unwrap();
    assert_eq!((text(&told), told.truncated), (r#"[{"a,b":1}]"#, true));
}

/// Any order of merges, closed ticks, looks and pulls: a client that folds what it is told into its own copy has the
/// tree's values in the end.
#[test]
fn nothing_is_lost_between_two_pulls() {
    use proptest::prelude::*;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let steps = prop::collection::vec(0_u8..8, 1..60);
    proptest!(ProptestConfig::with_cases(200), |(steps in steps)| {
        let shared = shared(None);
        let groups = Groups::new(Arc::clone(&shared));
        let mut stream = groups.join(query("a"), None);
        let mut since = shared.tree.read().tick();
        let mut copies = [std::collections::BTreeMap::new(), std::collections::BTreeMap::new()];
        let mut fold = |at: usize, delivery: &Delivery| {
            let told: serde_json::Value = serde_json::from_str(text(delivery)).unwrap();
            for leaf in told.as_array().unwrap() {
                for (path, value) in leaf.as_object().unwrap() {
                    copies[at].insert(path.clone(), value.clone());
                }
            }
        };
        let ends = [5, 6, 7, 4, 3, 5, 6];
        for step in steps.iter().chain(&ends) {
            match step {
                0..=2 => merge(&shared, &format!(r#"{{"a":{{"k{step}":1}}}}"#)),
                3 => {
                    // A pull that comes and goes.
                    let mut pull = groups.join(query("a"), Some(since));
                    since = match runtime.block_on(pull.catch_up()).map_or_else(|| pull.give_up(), Ok) {
                        Ok(delivery) => {
                            fold(1, &delivery);
                            delivery.tick
                        }
                        Err(tick) => tick,
                    };
                }
                4 => {
                    // A stream that is read, until there is nothing.
                    loop {
                        let told = if stream.behind {
                            runtime.block_on(stream.catch_up())
                        } else {
                            stream.next().now_or_never()
                        };
                        match told {
                            Some(delivery) => fold(0, &delivery),
                            None if stream.behind => {}
                            None => break,
                        }
                    }
                }
                5 => {
                    tick(&shared);
                }
                _ => groups.look(),
            }
        }
        let tree = shared.tree.read();
        let truth: std::collections::BTreeMap<String, serde_json::Value> = tree
            .values(&Pattern::parse("a,*").unwrap(), crate::tree::Want::Value, 100)
            .into_iter()
            .map(|(path, reading)| match reading {
                crate::tree::Reading::Number(x) => (path, serde_json::json!(x as i64)),
                other => panic!("{other:?}"),
            })
            .collect();
        prop_assert_eq!(&copies[0], &truth);
        prop_assert_eq!(&copies[1], &truth);
    });
}

#[tokio::test]
async fn who_comes_back_late_is_given_the_answer_of_the_group() {
    let shared = shared(None);
    let groups = Groups::new(Arc::clone(&shared));
    let mut first = groups.join(query("a"), None);
    let begun = shared.tree.read().tick();
    merge(&shared, r#"{"a":1}"#);
    let over = tick(&shared);
    groups.look();
    let told = first.next().now_or_never().unwrap();
    // Nothing but ticks after it.
    let quiet = tick(&shared);
    groups.look();
    let mut missed = groups.join(query("a"), Some(begun));
    assert!(Arc::ptr_eq(&missed.next().now_or_never().unwrap(), &told), "no walk of its own");
    for known in [over, quiet - 1, quiet] {
        let mut knows = groups.join(query("a"), Some(known));
        assert!(!knows.behind, "{known}");
        assert!(knows.next().now_or_never().is_none());
    }
    // From before the group's time, or from another life of the daemon: these walk.
    for known in [begun - 1, quiet + 5] {
        assert!(groups.join(query("a"), Some(known)).behind, "{known}");
    }
    merge(&shared, r#"{"a":1}"#);
    tick(&shared);
    groups.look();
    assert_eq!(text(&missed.next().now_or_never().unwrap()), r#"[{"a":2}]"#);
}

/// A seat that hears what it is told.
#[derive(Debug)]
struct Ear(Mutex<Place>, Mutex<Vec<Heard>>);

impl Hears for Ear {
    fn told(&self, delivery: &Arc<Delivery>) {
        self.1.lock().push(self.0.lock().hear(delivery));
    }
}

#[tokio::test]
async fn who_missed_something_as_it_sat_down_is_told_it_and_not_only_what_follows() {
    let shared = shared(None);
    let groups = Groups::new(Arc::clone(&shared));
    let mut member = groups.join(query("a"), None);
    let ear = Arc::new(Ear(Mutex::new(member.place()), Mutex::default()));
    let say = |json: &str| {
        merge(&shared, json);
        tick(&shared);
        groups.look();
    };
    // The first came before it sat, and is not looked for yet.
    say(r#"{"a":{"x":1}}"#);
    let sat = member.sit(&(Arc::clone(&ear) as Arc<dyn Hears>));
    assert!(!sat.is_quiet());
    say(r#"{"a":{"y":1}}"#);
    assert_eq!(*ear.1.lock(), [Heard::Missed]);
    drop(sat);
    let place = *ear.0.lock();
    member.stood(place, true);
    // And another comes before it looks.
    say(r#"{"a":{"z":1}}"#);
    let told = member.at_once().await.expect("something");
    assert_eq!(text(&told), r#"[{"a,x":1},{"a,y":1},{"a,z":1}]"#);
    assert!(member.at_once().await.is_none());
}

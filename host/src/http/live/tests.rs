use super::*;
use crate::http::testing::{merge, shared, tick};
use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

fn query(path: &str) -> Query {
    Query { patterns: vec![Pattern::parse(path).unwrap()], limit: 1_000 }
}

fn look(groups: &Groups) {
    groups.look_at(Instant::now());
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
    look(&groups);
    assert!(members[0].next().now_or_never().is_none(), "the tick is not over");
    let over = tick(&shared);
    look(&groups);
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
        look(&groups);
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
    look(&groups);
    assert_eq!(text(&first.next().now_or_never().unwrap()), r#"[{"a":1}]"#);
    assert!(late.next().now_or_never().is_none());
    assert!(current.next().now_or_never().is_none());
    merge(&shared, r#"{"a":1}"#);
    tick(&shared);
    look(&groups);
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
    look(&groups);
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
                _ => look(&groups),
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
    look(&groups);
    let told = first.next().now_or_never().unwrap();
    // Nothing but ticks after it.
    let quiet = tick(&shared);
    look(&groups);
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
    look(&groups);
    assert_eq!(text(&missed.next().now_or_never().unwrap()), r#"[{"a":2}]"#);
}

/// A stream that sits in a member's group, and its client.
async fn sit(member: &Member) -> (TcpStream, Arc<Seat>, Sat) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let socket = accepted.unwrap().0;
    socket.set_nodelay(true).unwrap();
    let seat = Arc::new(Seat { socket, up: Notify::new() });
    let sat = member.sit(&seat, true, Instant::now());
    (client.unwrap(), seat, sat)
}

fn is_told(client: &TcpStream) -> bool {
    let flags = rustix::net::RecvFlags::DONTWAIT | rustix::net::RecvFlags::PEEK;
    rustix::net::recv(client, &mut [0; 1][..], flags).is_ok_and(|(_, read)| read > 0)
}

#[tokio::test]
async fn who_missed_something_as_it_sat_down_is_told_it_and_not_only_what_follows() {
    let shared = shared(None);
    let groups = Groups::new(Arc::clone(&shared));
    let mut member = groups.join(query("a"), None);
    let say = |json: &str| {
        merge(&shared, json);
        tick(&shared);
        look(&groups);
    };
    // The first came before it sat, and is not looked for yet.
    say(r#"{"a":{"x":1}}"#);
    let (client, seat, sat) = sit(&member).await;
    assert!(!sat.is_quiet());
    say(r#"{"a":{"y":1}}"#);
    assert!(!is_told(&client));
    assert!(seat.up.notified().now_or_never().is_some());
    let sitting = sat.stand().unwrap();
    assert!(matches!(sitting.unsaid, Some(Unsaid::Missed)));
    member.stood(&sitting);
    // And another comes before it looks.
    say(r#"{"a":{"z":1}}"#);
    let told = member.at_once().await.expect("something");
    assert_eq!(text(&told), r#"[{"a,x":1},{"a,y":1},{"a,z":1}]"#);
    assert!(member.at_once().await.is_none());
    // Whose task is gone sits no more.
    let (_client, _seat, sat) = sit(&member).await;
    assert!(sat.is_quiet() && groups.seated() == 1);
    drop(sat);
    assert_eq!(groups.seated(), 0);
}

#[tokio::test]
async fn a_large_group_does_not_hold_up_the_others_and_misses_nothing() {
    let shared = shared(None);
    let groups = Groups::new(Arc::clone(&shared));
    let member = groups.join(query("a"), None);
    // Five turns.
    let mut large = Vec::new();
    for _ in 0..4 * crate::http::seats::AT_ONCE + 1 {
        large.push(sit(&member).await);
    }
    let other = groups.join(query("b"), None);
    let (small, ..) = &sit(&other).await;
    let told = |large: &[(TcpStream, Arc<Seat>, Sat)]| large.iter().filter(|(client, ..)| is_told(client)).count();
    let mut telling = Telling::default();
    merge(&shared, r#"{"a":1,"b":1}"#);
    tick(&shared);
    groups.look(&mut telling, Instant::now());
    assert!(is_told(small) && !telling.is_empty() && !telling.again);
    assert_eq!(told(&large), large.len() / 4);
    // Before all of them have been told there is more to tell, and the others are told that.
    rustix::net::recv(small, &mut [0; 99][..], rustix::net::RecvFlags::DONTWAIT).unwrap();
    merge(&shared, r#"{"a":1,"b":1}"#);
    tick(&shared);
    groups.look(&mut telling, Instant::now());
    assert!(is_told(small) && telling.again);
    assert_eq!(told(&large), large.len() / 2);
    let mut turns = 2;
    while !telling.is_empty() {
        turns += 1;
        telling.go_on();
    }
    assert_eq!((turns, told(&large)), (5, large.len()));
    // It was not looked at for that; now it is.
    look(&groups);
    for (client, seat, _) in &large {
        let mut bytes = [0; 200];
        let (_, read) = rustix::net::recv(client, &mut bytes[..], rustix::net::RecvFlags::DONTWAIT).unwrap();
        let text = std::str::from_utf8(&bytes[..read]).unwrap();
        assert!(text.contains(r#"[{"a":1}]"#) && text.contains(r#"[{"a":2}]"#), "{text}");
        assert!(seat.up.notified().now_or_never().is_none(), "nobody missed anything");
    }
}

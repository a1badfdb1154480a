//! `/pull/`: clients wait, are woken by what touches them and by nothing else, and miss nothing.

use graftd_tests::{Daemon, GRACE, PATIENCE, encode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(200);

#[test]
fn one_push_wakes_exactly_those_it_touches() {
    /// How long clients wait for what does not come.
    const WAIT: Duration = Duration::from_millis(2_500);
    const CLIENTS: usize = 200;
    let daemon = Daemon::builder().tick(TICK).start();
    // Those that are to be woken wait in every way there is: for a leaf, for a branch, for a fold, for each match, for a
    // path that is not there yet. Beside each stand neighbours on paths that look alike.
    let touched = [
        ("w,7", json!({"w,7": 70})),
        ("b", json!({"b,x,y": 5})),
        ("cpu,,idle", json!({"cpu,,idle": 15})),
        ("cpu,*,idle", json!({"cpu,h2,idle": 20})),
        ("new,path", json!({"new,path,leaf": 1})),
        ("new,*", json!({"new,path,leaf": 1})),
        (",h2,idle", json!({",h2,idle": 20})),
    ];
    let before: Value = (0..CLIENTS).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>().into();
    daemon.push(&json!({"w": before, "b": {"x": {"y": 1, "z": 2}}}));
    daemon.push(
        &json!({"cpu": {"h1": {"idle": 10, "user": 1}, "h2": {"idle": 30, "user": 2}}, "defaultaction": "average"}),
    );
    daemon.push(&json!({"cpux": 1, "newer": {"path": 1}}));
    let neighbours = ["b,x,z", "cpu,h1", "cpu,,user", "cpux", "newer", "new,other", "w,70", "*,h1,idle"];
    let paths: Vec<String> =
        touched.iter().map(|(path, _)| (*path).to_owned()).chain(neighbours.map(str::to_owned)).collect();
    let others = (0..).filter(|n| ![7, 70].contains(n)).map(|n| format!("w,{n}"));
    let paths: Vec<String> = paths.into_iter().chain(others).take(CLIENTS).collect();
    let since = daemon.close_tick();

    let query = |path: &str| format!("/pull/?key-{}&since={since}&wait={}ms", encode(path), WAIT.as_millis());
    let asked: Vec<_> = paths.iter().map(|path| (path.as_str(), daemon.ask(&query(path)))).collect();
    // Should the daemon not have heard the last of them yet: `since` makes it the same.
    let (told, woken) = channel();
    thread::scope(|scope| {
        for (path, asked) in asked {
            let told = told.clone();
            let waits = move || told.send((path, asked.answer(), Instant::now())).expect("somebody listens");
            thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, waits).expect("a thread");
        }
        let pushed = Instant::now();
        daemon.push(
            &json!({"w": {"7": 63}, "b": {"x": {"y": 4}}, "cpu": {"h2": {"idle": 20}}, "new": {"path": {"leaf": 1}}}),
        );
        for place in 0..CLIENTS {
            let (path, answer, at) = woken.recv_timeout(PATIENCE).expect("every client is answered");
            let after = at.saturating_duration_since(pushed);
            let answer = answer.good();
            match touched.iter().find(|(touched, _)| *touched == path) {
                Some((_, changed)) => {
                    assert_eq!(answer.json(), json!([changed]), "{path}");
                    assert!(after < TICK + GRACE, "{path}: woken after {after:?}");
                    assert!(place < touched.len(), "{path}: {place} were answered before");
                }
                None => assert_eq!(answer.json(), json!([]), "{path}: woken after {after:?}"),
            }
        }
    });
}

#[test]
fn nothing_is_missed_between_two_pulls() {
    const VALUES: usize = 1_500;
    // On a slow machine all could be pushed between two pulls: so a pull is waited for now and then.
    const AHEAD: usize = VALUES / 5;
    let daemon = Daemon::builder().tick(Duration::from_millis(20)).start();
    let (pulled, has_pulled) = channel();
    thread::scope(|scope| {
        let daemon = &daemon;
        scope.spawn(move || {
            for n in 1..=VALUES {
                if n % AHEAD == 0 {
                    has_pulled.recv_timeout(PATIENCE).expect("a pull");
                }
                daemon.push(
                    &json!({"n": {"each": {n.to_string(): n}, "sum": n, "last": {"": n, "defaultaction": "last"}}}),
                );
            }
        });
        // What was told, leaf by leaf; each leaf of `each` changes once.
        let mut seen = BTreeSet::new();
        let (mut sum, mut last) = (0, 0);
        let mut since = daemon.get("/get/?key-n").good().tick();
        let mut pulls = 0;
        let began = Instant::now();
        while seen.len() < VALUES || last < VALUES {
            assert!(began.elapsed() < PATIENCE, "{} of {VALUES} were told, the last was {last}", seen.len());
            // Each time a connection of its own. Between two nobody is there to be told, and a tick goes by.
            daemon.close_tick();
            let answer = daemon.request_anew("GET", &format!("/pull/?key-n&since={since}&wait=1s"), &[], b"").good();
            assert!(answer.tick() >= since, "ticks never go back");
            since = answer.tick();
            pulls += 1;
            // Nobody waits for it any more when all is pushed.
            let _ = pulled.send(());
            for changed in answer.json().as_array().expect("a list") {
                for (path, value) in changed.as_object().expect("a leaf") {
                    let value = value.as_u64().expect("a number") as usize;
                    match path.strip_prefix("n,each,") {
                        Some(_) => drop(seen.insert(value)),
                        None if path == "n,sum" => sum = value,
                        None if path == "n,last" => last = value,
                        None => panic!("{path} was not asked for"),
                    }
                }
            }
        }
        assert!(pulls > 3, "{pulls} pulls are no test");
        assert!(seen.into_iter().eq(1..=VALUES));
        assert_eq!((sum, last), (VALUES * (VALUES + 1) / 2, VALUES));
        assert_eq!((daemon.value("n,sum"), daemon.value("n,last")), (json!(sum), json!(last)));
    });
}

#[test]
fn what_is_answered() {
    let daemon = Daemon::builder().tick(Duration::from_millis(50)).start();
    daemon.push(&json!({"br": {"ie": {"6": 1, "7": [8, {"venders": {"sogou": 2}}]}, "x": 1}}));
    // Several keys are one answer, a leaf an entry; only what changed is told, with its new value.
    let since = daemon.close_tick();
    daemon.push(&json!({"br": {"ie": {"7": [1, {"venders": {"sogou": 1}}]}, "x": 1}}));
    let answer = daemon.get(&format!("/pull/?key-br,ie&key-br,x&key-none&since={since}&wait=5s")).good();
    assert_eq!(answer.json(), json!([{"br,ie,7": 9}, {"br,ie,7,venders,sogou": 3}, {"br,x": 2}]));
    // What was told is not told again.
    let again = daemon.get(&format!("/pull/?key-br&since={}&wait=1ms", answer.tick())).good();
    assert_eq!(again.json(), json!([]));
    assert_ne!(again.header("x-tick"), "");
    // The same question from the earlier tick has the same answer.
    let earlier = daemon.get(&format!("/pull/?key=br,ie&key=br,x&since={since}&wait=1ms")).good();
    assert_eq!(earlier.json(), answer.json());
    // A tick of long ago, and one of a future that a clock once showed: all is told.
    for since in ["0", "99999999999999"] {
        let all = daemon.get(&format!("/pull/?key-br,ie&since={since}&wait=1s")).good();
        assert_eq!(all.json(), json!([{"br,ie,6": 1}, {"br,ie,7": 9}, {"br,ie,7,venders,sogou": 3}]), "{since}");
    }
    // A fold is told as its value, once.
    let fold = daemon.get(&format!("/pull/?key-br,,7&since={since}&wait=1s")).good();
    assert_eq!(fold.json(), json!([{"br,,7": 9}]));
}

#[test]
fn a_timeout_answers_nothing() {
    let daemon = Daemon::builder().start();
    let began = Instant::now();
    let answer = daemon.get("/pull/?key-none&wait=300ms").good();
    assert_eq!(answer.json(), json!([]));
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    assert!(answer.tick() > 0);
    // A client that goes away while it waits is no trouble.
    drop(daemon.events("key-none"));
    assert_eq!(daemon.get("/healthz").status, 200);
}

/// The next event's data, as JSON.
#[track_caller]
fn data(events: &graftd_tests::Lines) -> Value {
    loop {
        let line = events.next_within(PATIENCE).expect("an event");
        if let Some(data) = line.strip_prefix("data:") {
            return serde_json::from_str(data.trim()).expect("JSON");
        }
    }
}

#[test]
fn the_same_as_a_stream_of_events() {
    let daemon = Daemon::builder().tick(Duration::from_millis(50)).start();
    daemon.push(&json!({"n": 1, "m": 1}));
    let since = daemon.close_tick();
    let events = daemon.events(&format!("key-n&since={since}"));
    daemon.push(&json!({"n": 1, "m": 1}));
    assert_eq!(data(&events), json!([{"n": 2}]));
    daemon.push(&json!({"m": 1}));
    daemon.push(&json!({"n": 1}));
    assert_eq!(data(&events), json!([{"n": 3}]));
    // An event's id is the tick to go on from, as a browser does by itself when it connects anew.
    let events = daemon.events(&format!("key-m&since={since}"));
    let id = loop {
        let line = events.next_within(PATIENCE).expect("an event");
        if let Some(id) = line.strip_prefix("id:") {
            break id.trim().to_owned();
        }
    };
    assert!(id.parse::<u64>().is_ok_and(|id| id > since), "{id}");
}

#[test]
fn clients_that_wait_do_not_keep_the_daemon_from_stopping() {
    let daemon = Daemon::builder().start();
    let events = daemon.events("key-none");
    let began = Instant::now();
    let status = daemon.stop();
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(5) + GRACE, "{:?}", began.elapsed());
    assert!(events.ends_within(PATIENCE));
}

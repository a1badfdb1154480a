//! What a module tells beside its values, and totals that it tells instead of growth.

use graftd_tests::Daemon;
use serde_json::{Value, json};

const UPTIME: &str = "beat,testhost,uptime";

fn daemon(isolation: &str) -> Daemon {
    let conf = format!("every = \"1s\"\nisolation = {isolation:?}\n");
    let daemon = Daemon::builder().plugins(&["beat"]).conf("beat.on", &conf).start();
    daemon.await_state("beat", "running");
    daemon
}

fn rate(daemon: &Daemon) -> Value {
    daemon.get(&format!("/get/?key-{UPTIME}&as=rate")).good().json()[0][UPTIME].clone()
}

/// Of a clock that stands at a million seconds when the daemon looks at it first.
fn total_and_metadata_arrive(isolation: &str) {
    let daemon = daemon(isolation);
    let found = daemon.get("/api/q/beat,testhost.json?meta=1").good().json();
    let uptime = json!({"type": "double", "units": "s", "slope": "positive", "group": ["tests", "time"], "tmax": 60,
        "CLUSTER": "as written"});
    assert_eq!(found["meta"]["uptime"], uptime, "{found}");
    assert_eq!(found["meta"]["beats"], json!({"title": "Beats <b>&\"</b>", "group": ["tests"]}), "{found}");
    assert!(found["value"]["beats"].is_number() && found["value"]["label"] == "beat", "{found}");

    let stands = daemon.value(UPTIME).as_f64().expect("a number");
    let rate = daemon.await_change("beat", |daemon| rate(daemon).as_f64()).found;
    // A second is a second, as far as a busy machine looks at it in time.
    assert!((0.02..50.0).contains(&rate), "{rate}");
    let later = daemon.value(UPTIME).as_f64().expect("a number");
    assert!(later > stands && later < stands + 600.0, "it stands at {later} after {stands}, and is not their sum");
}

#[test]
fn total_and_metadata_arrive_from_a_module_in_the_daemon() {
    total_and_metadata_arrive("none");
}

#[test]
fn total_and_metadata_arrive_from_a_module_in_a_process_of_its_own() {
    total_and_metadata_arrive("process");
}

#[test]
fn metadata_goes_where_the_tree_goes_and_is_no_part_of_it() {
    let daemon = daemon("none");
    let tree = daemon.tree();
    assert_eq!(tree["beat"]["testhost"].as_object().map(|leaves| leaves.len()), Some(4), "{tree}");
    let refused = daemon.get("/pull/?key-beat&meta=1");
    assert!(refused.status == 400 && refused.body.contains("unknown argument"), "{refused:?}");
    assert!(daemon.get("/get/?key-beat&meta=2").body.contains("meta=2: must be 1"));
}

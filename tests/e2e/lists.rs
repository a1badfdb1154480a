//! What trees and views on pages are made of: lists of a node's children, paths that are looked for, and how modules' states changed.

use graftd_tests::Daemon;
use serde_json::{Value, json};

fn ask(daemon: &Daemon, method: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = daemon.request(method, path, &[("Accept", "application/json")], body.as_bytes());
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}")))
}

#[test]
fn what_was_pushed_is_listed_and_found() {
    let daemon = Daemon::builder().start();
    daemon.push(&json!({ "cpu": { "web1": { "idle": 98 }, "<b>,2": { "idle": 1 } } }));
    let (_, list) = ask(&daemon, "GET", "/api/ls/cpu?limit=1", "");
    assert_eq!((&list["total"], &list["children"][0]["key"]), (&json!(2), &json!("<b>,2")), "{list}");
    let (_, list) = ask(&daemon, "GET", "/api/ls/cpu?after=%3Cb%3E%2C2", "");
    assert_eq!((&list["children"][0]["key"], &list["children"][0]["value"]), (&json!("web1"), &json!(98)), "{list}");
    let (_, found) = ask(&daemon, "GET", "/api/find?q=b%3E+IDLE", "");
    assert_eq!(
        (&found["found"][0]["path"], found["found"].as_array().map(Vec::len)),
        (&json!("cpu,<b>%2C2,idle"), Some(1))
    );
}

#[test]
fn switches_are_in_the_log_of_changes() {
    let daemon = Daemon::builder().plugins(&["load"]).start();
    daemon.await_state("load", "running");
    assert_eq!(ask(&daemon, "POST", "/modules/load/off", "").1["state"], "off");
    let (_, log) = ask(&daemon, "GET", "/modules/log", "");
    let states: Vec<&str> =
        log.as_array().into_iter().flatten().filter_map(|change| change["state"].as_str()).collect();
    assert_eq!(states, ["off", "running", "probing"], "{log}");
}

//! What trees and views on pages are made of: lists of a node's children, paths that are looked for, views that are kept.

use graftd_tests::{Daemon, Folders};
use serde_json::{Value, json};
use std::fs;
use std::sync::Arc;

fn ask(daemon: &Daemon, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut headers = vec![("Accept", "application/json")];
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json"));
    }
    let answer = daemon.request(method, path, &headers, body.as_bytes());
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}")))
}

#[test]
fn views_outlive_a_killed_daemon_and_a_foreign_file_outlives_them() {
    let folders = Arc::new(Folders::new());
    let begin = || Daemon::builder().folders(&folders).start();
    let daemon = begin();
    let web = json!({ "name": "web", "charts": [{ "key": "cpu,,idle" }] });
    assert_eq!(ask(&daemon, "PUT", "/setting/view/web", r#"{"charts":[{"key":"cpu,,idle"}]}"#), (201, web.clone()));
    // What was answered is on the disk.
    daemon.kill();
    let daemon = begin();
    assert_eq!(ask(&daemon, "GET", "/setting/view", ""), (200, json!([web])));
    let file = folders.root().join("data/views.json");
    fs::write(&file, "[1, 2").expect("written");
    for (method, path, body) in [
        ("GET", "/setting/view", ""),
        ("PUT", "/setting/view/web", r#"{"charts":[]}"#),
        ("DELETE", "/setting/view/web", ""),
    ] {
        let (status, told) = ask(&daemon, method, path, body);
        assert_eq!(status, 409, "{told}");
        assert!(told["error"].as_str().is_some_and(|why| why.contains("views.json: is not JSON")), "{told}");
    }
    assert_eq!(fs::read_to_string(&file).expect("read"), "[1, 2");
    fs::remove_file(&file).expect("removed");
    assert_eq!(ask(&daemon, "POST", "/setting/view", "[]"), (200, json!([])));
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

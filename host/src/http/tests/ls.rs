use crate::http::find;
use crate::http::testing::{Server, merge, say, shared, tick};
use crate::limits::{LISTED_BYTES_MAX, LISTED_FOLD_MAX, LOOK_NODES};
use crate::tree::Search;
use serde_json::{Value, json};
use std::time::Duration;

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

fn keys(list: &Value) -> Vec<&str> {
    list["children"].as_array().unwrap().iter().map(|child| child["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn children_are_listed_with_what_they_are() {
    let server = Server::still(None).await;
    merge(
        &server.shared,
        r#"{"a":{"n":1.5,"t":"x","b":true,"<i>,":{"x":2,"y":3},"g":{"x":2,"y":3,"defaultaction":"average"},
            "q":{"v":[2,2,2],"defaultaction":"quantiles"},"d":{"v":["u","w"],"defaultaction":"distinct"},
            "top":{"k":4,"s":{"x":2,"defaultaction":"add"},"defaultaction":"top(7)"}}}"#,
    );
    let tick = tick(&server.shared);
    let reply = server.get("/api/ls/a").await;
    assert_eq!((reply.status, reply.tick(), reply.header("x-truncated")), (200, tick, None), "{}", reply.body);
    let child = |key: &str, value: Value, action: Option<&str>, kind: &str, children: u64| json!({ "key": key, "value": value, "action": action, "kind": kind, "children": children, "changed": tick });
    let children = [
        child("<i>,", json!(5), None, "number", 2),
        child("b", json!(true), None, "text", 0),
        child("d", json!(2), Some("distinct"), "distinct", 1),
        child("g", json!(2.5), Some("average"), "number", 2),
        child("n", json!(1.5), None, "number", 0),
        child("q", json!(2), Some("quantiles"), "quantiles", 1),
        child("t", json!("x"), None, "text", 0),
        child("top", json!(6), Some("top(7)"), "top", 2),
    ];
    assert_eq!(read(&reply.body), json!({ "total": 8, "tick": tick, "children": children }));
    // What hangs below it is no list of keys, although its action is in force there.
    let below = read(&server.get("/api/ls/a,top").await.body);
    let want = [child("k", json!(4), Some("top(7)"), "number", 0), child("s", json!(2), Some("add"), "number", 1)];
    assert_eq!(below["children"], json!(want));
}

#[tokio::test]
async fn a_page_begins_behind_a_key_and_says_whether_there_is_more() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"a":{"c":3,"a,b":1,"b":2,"d":{"x":1}}}"#);
    let first = server.get("/api/ls/a?limit=2").await;
    assert_eq!(keys(&read(&first.body)), ["a,b", "b"]);
    assert_eq!(first.header("x-truncated"), Some("1"));
    let rest = server.get("/api/ls/a?limit=2&after=b").await;
    assert_eq!((keys(&read(&rest.body)), rest.header("x-truncated")), (vec!["c", "d"], None));
    assert_eq!(keys(&read(&server.get("/api/ls/a?after=a%2Cb&limit=1").await.body)), ["b"]);
    assert_eq!(keys(&read(&server.get("/api/ls/").await.body)), ["a"]);
    assert_eq!(keys(&read(&server.get("/api/ls").await.body)), ["a"]);
    assert_eq!(read(&server.get("/api/ls/a,a%252Cb").await.body)["children"], json!([]));
    for (target, status, why) in [
        ("/api/ls/a?limit=0", 400, "limit=0"),
        ("/api/ls/a?limit=1001", 400, "between 1 and 1000"),
        ("/api/ls/a?befor=1", 400, "unknown argument"),
        ("/api/ls/a,*", 400, "key 2"),
        ("/api/ls/a,,x", 400, "key 2"),
        ("/api/ls/%FF", 400, "UTF-8"),
        ("/api/ls/b", 404, "there is no"),
        ("/api/find", 400, "no question"),
        ("/api/find?q=a&limit=1001", 400, "between 1 and 1000"),
    ] {
        let reply = server.get(target).await;
        assert_eq!(reply.status, status, "{target}: {}", reply.body);
        assert!(reply.body.contains(why), "{target}: {}", reply.body);
    }
    let long = "x".repeat(257);
    assert_eq!(server.get(&format!("/api/find?q={long}")).await.status, 400);
}

#[tokio::test]
async fn what_would_take_long_is_listed_without_its_figure_and_long_texts_are_cut() {
    let server = Server::still(None).await;
    let text = "é".repeat(1_000);
    say(&server.shared, |delta| {
        for n in 0..LISTED_FOLD_MAX {
            delta.add(&["large", &n.to_string()], 1.0);
            delta.add(&["small", "x", &(n % 1_000).to_string()], 1.0);
        }
        delta.set_text(&["text"], &text);
    });
    let list = read(&server.get("/api/ls/").await.body);
    let [large, small, shown] = list["children"].as_array().unwrap().as_slice() else { panic!("{list}") };
    assert_eq!((&large["value"], &large["kind"], &large["children"]), (&Value::Null, &json!("branch"), &json!(4_096)));
    assert_eq!((&small["value"], &small["kind"]), (&json!(4_096), &json!("number")));
    assert_eq!(shown["value"], json!(format!("{}…", "é".repeat(128))));
    // Gone through in pieces.
    say(&server.shared, |delta| delta.add(&["large", "x"], 1.0));
    let list = read(&server.get("/api/ls/large?after=4090").await.body);
    assert_eq!((&list["total"], keys(&list)[..3].to_vec()), (&json!(LOOK_NODES + 1), vec!["4091", "4092", "4093"]));
}

#[tokio::test]
async fn what_folds_may_cost_is_no_matter_of_values_of_their_own() {
    let server = Server::still(None).await;
    for branch in 0..20 {
        say(&server.shared, |delta| {
            (0..LISTED_FOLD_MAX).for_each(|n| delta.add(&["a", &format!("{branch:02}"), &n.to_string()], 1.0));
        });
    }
    say(&server.shared, |delta| {
        delta.add(&["a", "leaf"], 7.0);
        delta.set_text(&["a", "text"], "x");
    });
    let list = read(&server.get("/api/ls/a").await.body);
    let told: Vec<(&Value, &Value)> =
        list["children"].as_array().unwrap().iter().map(|child| (&child["value"], &child["kind"])).collect();
    assert_eq!(told[0], (&Value::Null, &json!("branch")));
    assert_eq!(
        told[19..],
        [(&Value::Null, &json!("branch")), (&json!(7), &json!("number")), (&json!("x"), &json!("text"))]
    );
}

#[tokio::test]
async fn paths_are_found_and_told_of() {
    let server = Server::still(None).await;
    merge(&server.shared, r#"{"cpu":{"web,1":{"idle":98.5},"web2":{"idle":1}},"defaultaction":"average"}"#);
    let tick = tick(&server.shared);
    let reply = server.get("/api/find?q=WEB,1+idle&limit=5").await;
    assert_eq!((reply.status, reply.tick(), reply.header("x-truncated")), (200, tick, None), "{}", reply.body);
    let want = r#"{"tick":1001,"found":[{"path":"cpu,web%2C1,idle","value":98.5,"action":"average","kind":"number","children":0,"changed":1001}]}"#;
    assert_eq!(reply.body, want);
    assert_eq!(server.get("/api/find?q=").await.body, r#"{"tick":1001,"found":[]}"#);
    assert_eq!(server.ask("POST", "/api/find?q=a", "", b"").await.status, 405);
}

#[test]
fn a_question_ends_in_time_with_what_was_found() {
    let shared = shared(None);
    say(&shared, |delta| (0..3 * LOOK_NODES).for_each(|n| delta.add(&["a", &n.to_string()], 1.0)));
    let found = |most| {
        let (bytes, _) = find::answer(&shared, Search::new("a 1", 2_000), most, &|| true).into_bytes(true);
        String::from_utf8(bytes).unwrap()
    };
    let (cut, whole) = (found(Duration::ZERO), found(Duration::from_secs(60)));
    assert!(cut.contains("x-truncated: 1") && cut.contains("\"a,1\""), "{cut:.300}");
    assert!(!whole.contains("x-truncated") && whole.len() > cut.len(), "{whole:.300}");
    // Nobody waits: nothing is named.
    let (bytes, _) =
        find::answer(&shared, Search::new("a 1", 2_000), Duration::from_secs(60), &|| false).into_bytes(true);
    assert!(String::from_utf8(bytes).unwrap().ends_with("\"found\":[]}"));
}

#[tokio::test]
async fn names_that_are_long_end_a_page_before_its_limit() {
    let server = Server::still(None).await;
    // Of control characters JSON makes six of one.
    let long = "\u{1}".repeat(16_000);
    let all: Vec<String> = (0..60).map(|n| format!("{n:02}{long}")).collect();
    say(&server.shared, |delta| all.iter().for_each(|key| delta.add(&["a", key], 1.0)));
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let reply = server.get(&format!("/api/ls/a?limit=1000{after}")).await;
        assert!(reply.body.len() < LISTED_BYTES_MAX + 100_000, "{} bytes", reply.body.len());
        let list = read(&reply.body);
        assert_eq!(list["total"], json!(60));
        found.extend(keys(&list).into_iter().map(str::to_owned));
        if reply.header("x-truncated").is_none() {
            break;
        }
        let last = found.last().expect("a page has one node at least").replace('\u{1}', "%01");
        after = format!("&after={last}");
    }
    assert_eq!(found, all);
}

//! All that a tree can hold arrives as it is.

use super::Host;
use graftd_tests::Daemon;
use serde_json::{Value, json};

/// Documents with each kind of value.
fn tell(daemon: &Daemon) {
    daemon.push(&json!([
        {"count": {"a": 3, "b": {"": 2, "c": 5}}},
        {"gauge": {"cpu": {"web1": 12.5, "web2": 2}}, "defaultaction": "average"},
        {"text": {"version": "1.2", "on": true}, "defaultaction": "last"},
        {"peak": {"x": 7}, "defaultaction": "max"},
        {"times": {"x": [0.5, 0.25, 4]}, "defaultaction": "quantiles"},
        {"who": {"x": ["ann", "bob", "ann"]}, "defaultaction": "distinct"},
    ]));
}

const BRANCHES: [&str; 6] = ["count", "gauge", "text", "peak", "times", "who"];

fn all(daemon: &Daemon, prefix: &str) -> Vec<Value> {
    BRANCHES.map(|branch| super::lasting(daemon, &format!("{prefix}{branch}"))).to_vec()
}

#[test]
fn each_kind_of_value_arrives_below_the_prefix() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "prefix = \"site-a\"");
    let (there, here) = (server.start(), agent.start());
    for _ in 0..3 {
        tell(&here);
        there.await_change("site-a", |_| (all(&there, "site-a,") == all(&here, "")).then_some(()));
    }
    assert_eq!(there.value("site-a,count,b,c"), 15.0);
    assert_eq!(there.value("site-a,gauge,cpu,web1"), 12.5);
    assert_eq!(there.value("count"), Value::Null, "nothing hangs beside the prefix");
}

#[test]
fn a_relay_that_comes_later_tells_what_is_set_and_counts_from_then_on() {
    let server = Host::server("top");
    let agent = Host::agent("leaf");
    let (there, here) = (server.start(), agent.start());
    tell(&here);
    let agent = agent.sends_to(&[&server], "");
    there.await_value("text,version", "1.2");
    there.await_value("gauge,cpu,web1", 12.5);
    assert_eq!(there.value("count,a"), Value::Null);
    here.push(&json!({"count": {"a": 4}}));
    there.await_value("count,a", 4);
    assert_eq!(here.value("count,a"), 7.0);
    drop(agent);
}

#[test]
fn a_receiver_that_lost_its_database_gets_what_is_set_and_what_comes() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "");
    let (there, here) = (server.start(), agent.start());
    tell(&here);
    there.await_change("count", |_| (all(&there, "") == all(&here, "")).then_some(()));
    // What it has not acknowledged would be sent to the one that takes its place.
    there.close_tick();
    let has = there.await_number("graftd,top,relayed,leaf,entries");
    here.await_change("graftd,leaf", |_| (super::figure(&here, "leaf", "acknowledged") >= has).then_some(()));
    there.kill();
    std::fs::remove_dir_all(server.folders.root().join("data")).expect("removed");
    std::fs::create_dir(server.folders.root().join("data")).expect("made");
    let there = server.start();
    there.await_value("gauge,cpu,web1", 12.5);
    here.push(&json!({"count": {"a": 1}}));
    there.await_value("count,a", 1);
    assert_eq!(there.value("text,on"), true);
}

#[test]
fn only_the_branches_that_are_named_travel() {
    let server = Host::server("top");
    let agent = Host::agent("leaf").sends_to(&[&server], "branches = [\"count,b\", \"text\"]");
    let (there, here) = (server.start(), agent.start());
    tell(&here);
    there.await_value("text,version", "1.2");
    there.await_value("count,b,c", 5);
    assert_eq!(there.tree(), json!({"count": {"b": here.subtree("count,b")}, "text": here.subtree("text")}));
}

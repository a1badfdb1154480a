//! Every way to call gmetric, run for real: what arrives is what was said.

use super::peers::{program, run};
use super::{FREE, daemon, xml};
use gmod_compat::xml::{Item, Metric, read};
use graftd_tests::{Daemon, encode};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;

fn cases() -> Vec<Value> {
    // The arguments, and what arrived at a gmond 3.7.2 that was called so.
    serde_json::from_str(include_str!("../../fixtures/gmetric.json")).expect("JSON")
}

/// The configurations that the cases name.
fn conf(name: &str, port: u16) -> String {
    let globals = match name {
        "override" => "globals { override_hostname = \"over.example\" override_ip = \"192.0.2.9\" }\n",
        "override_noip" => "globals { override_hostname = \"over.example\" }\n",
        _ => "",
    };
    format!("{globals}udp_send_channel {{ host = 127.0.0.1 port = {port} }}\n")
}

/// The path of a case's metric.
fn path(case: &Value) -> Option<String> {
    let own = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let host = case["host"].as_str()?;
    let host = if host.is_empty() { own.trim() } else { host };
    let escape = |key: &str| key.replace('%', "%25").replace(',', "%2C").replace('*', "%2A");
    Some(format!("ganglia,fleet,{},{}", escape(host), escape(case["name"].as_str()?)))
}

/// 42 is 42.0.
fn same(is: &Value, expected: &Value) -> bool {
    is.as_f64().map_or(is == expected, |x| expected.as_f64() == Some(x))
}

/// Whether all is told that is expected, and once.
fn is_told(told: &Value, expected: &Value) -> bool {
    let list = |value: &Value| if value.is_array() { value.clone() } else { Value::from(vec![value.clone()]) };
    let same = |(key, value): (&String, &Value)| list(&told[key]) == list(value);
    expected.as_object().is_some_and(|expected| expected.iter().all(same))
}

fn told(daemon: &Daemon, path: &str) -> Value {
    daemon.get(&format!("/get/?key-{}&meta=1", encode(path))).good().json()[0]["meta"][path].clone()
}

#[test]
fn all_of_them_arrive_as_what_they_say() {
    let Some(gmetric) = program("gmetric") else { return };
    let (daemon, address) = daemon(FREE);
    let cases = cases();
    assert_eq!(cases.len(), 38);
    // Two of them speak of the same metric.
    let mut last = HashMap::new();
    for case in &cases {
        let name = case["conf"].as_str().expect("a name");
        let file = daemon.folders().write(name, conf(name, address.port()));
        let args = case["args"].as_array().expect("arguments").iter().filter_map(Value::as_str);
        let args: Vec<&str> = ["-c", &file].into_iter().chain(args).collect();
        let (code, said) = run(&gmetric, &args);
        assert_eq!(Value::from(code), case["rc"], "{args:?}: {said}");
        if let Some(path) = path(case) {
            daemon.await_change("ganglia", |daemon| same(&daemon.value(&path), &case["value"]).then_some(()));
            // A value is there with its metadata; only of one that was there before it may come later.
            daemon.await_change("ganglia", |daemon| is_told(&told(daemon, &path), &case["meta"]).then_some(()));
            last.insert(path, case);
        }
    }
    // A lone heartbeat makes the host known, and is no metric.
    assert_eq!(daemon.value("ganglia,fleet,web01.example,heartbeat"), Value::Null);

    // And so it goes out again.
    let document = xml(address);
    let (mut host, mut found) = (String::new(), HashMap::new());
    read(document.as_bytes(), |item| match item {
        Item::Host(of) => host = of.name.into_owned(),
        Item::Metric(metric) => {
            let said = shown(&metric);
            found.insert((host.clone(), metric.name.into_owned()), said);
        }
        Item::Cluster(_) => {}
    })
    .unwrap_or_else(|error| panic!("{error}: {document}"));
    for (key, case) in last {
        let host = key.split(',').nth(2).expect("a host").to_owned();
        let said = &found[&(host, case["name"].as_str().expect("a name").to_owned())];
        assert_eq!(*said, expected(case), "{key}");
    }
}

fn shown(metric: &Metric<'_>) -> [String; 5] {
    let val = metric.val.parse::<f64>().map_or_else(|_| metric.val.to_string(), |x| x.to_string());
    let extra: Vec<String> = metric.extra.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let times = format!("{} {}", metric.tmax, metric.dmax);
    [val, format!("{} {}", metric.kind, metric.slope), metric.units.to_string(), times, extra.join(";")]
}

fn expected(case: &Value) -> [String; 5] {
    let meta = &case["meta"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let val = case["value"].as_f64().map_or_else(|| text(&case["value"]), |x| x.to_string());
    // A text that reads as a number is none by its type, but looks the same.
    let val = if val == "nan" { f64::NAN.to_string() } else { val };
    let mut extra = Vec::new();
    // In the order of the command's packets.
    for (key, name) in [
        ("SPOOF_HOST", "SPOOF_HOST"),
        ("CLUSTER", "CLUSTER"),
        ("group", "GROUP"),
        ("description", "DESC"),
        ("title", "TITLE"),
    ] {
        match &meta[key] {
            Value::Null => {}
            Value::Array(list) => extra.extend(list.iter().map(|value| format!("{name}={}", text(value)))),
            value => extra.push(format!("{name}={}", text(value))),
        }
    }
    let times = format!("{} {}", meta["tmax"], meta["dmax"]);
    [val, format!("{} {}", text(&meta["type"]), text(&meta["slope"])), text(&meta["units"]), times, extra.join(";")]
}

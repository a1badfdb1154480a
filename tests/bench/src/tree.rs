//! Updates of the tree per CPU-second, and bytes a leaf.

use crate::figures::{Median, cpu_seconds, grouped};
use graftd::json::read_documents;
use graftd::tree::{Limits, Tree};
use plugin_api::delta::wire::{Op, Writer};
use std::hint::black_box;
use std::time::Duration;

const HOSTS: usize = 1_000;
const METRICS: usize = 10;
const ROUNDS: usize = 200;

pub(crate) fn run() -> Result<(), String> {
    updates()?;
    for (name, hosts, metrics, key) in [
        ("1,000 hosts of 1,000 metrics", 1_000, 1_000, "metric"),
        ("1,000,000 different URLs of 48 bytes", 1, 1_000_000, "/articles/some-words-of-a-title/and-a-page-"),
    ] {
        memory(name, hosts, metrics, key)?;
    }
    Ok(())
}

fn new_tree() -> Tree {
    Tree::new(Limits::default(), Duration::from_secs(1), 0)
}

/// The same 10,000 series 200 times, as deltas and as JSON.
fn updates() -> Result<(), String> {
    let count = (HOSTS * METRICS * ROUNDS) as f64;
    let host = |h: usize| format!("host{h:04}");
    let mut frame = Writer::new();
    let mut json = String::new();
    for h in 0..HOSTS {
        for m in 0..METRICS {
            frame.entry(&["fleet", &host(h), &format!("metric{m}")], Op::Number((h + m) as f64));
        }
        let metrics: Vec<String> = (0..METRICS).map(|m| format!("\"metric{m}\":{}", h + m)).collect();
        json.push_str(&format!("{{\"fleet\":{{\"{}\":{{{}}}}}}}\n", host(h), metrics.join(",")));
    }
    let mut by_delta = Vec::new();
    let mut by_json = Vec::new();
    for _ in 0..5 {
        let mut tree = new_tree();
        by_delta.push(
            count
                / cpu_seconds(|| {
                    for _ in 0..ROUNDS {
                        let _ = black_box(tree.merge(&[], frame.bytes(), 0));
                        tree.end_tick(0);
                    }
                }),
        );
        let mut tree = new_tree();
        by_json.push(
            count
                / cpu_seconds(|| {
                    for _ in 0..ROUNDS {
                        for line in json.lines() {
                            for frame in read_documents(line.as_bytes()).frames {
                                let _ = black_box(tree.merge(&[], &frame, 0));
                            }
                        }
                        tree.end_tick(0);
                    }
                }),
        );
        if tree.nodes() != 1 + HOSTS + HOSTS * METRICS {
            return Err(format!("the tree has {} nodes", tree.nodes()));
        }
    }
    for (name, figures) in [("deltas", by_delta), ("JSON, a document of ten leaves a host", by_json)] {
        let figure = Median::of(figures);
        println!(
            "tree updates by {name}: {} leaves per CPU-second ({} to {})",
            grouped(figure.mid),
            grouped(figure.min),
            grouped(figure.max)
        );
    }
    Ok(())
}

/// What the tree says it holds, beside what the process grew by.
fn memory(name: &str, hosts: usize, metrics: usize, key: &str) -> Result<(), String> {
    let before = resident_bytes();
    let mut tree = new_tree();
    for h in 0..hosts {
        let mut frame = Writer::new();
        for m in 0..metrics {
            frame.entry(&["fleet", &format!("host{h:04}"), &format!("{key}{m:06}")], Op::Add(1.0));
        }
        tree.merge(&[], frame.bytes(), 0).map_err(|error| error.to_string())?;
    }
    // Counters that grew are kept for their rates a while; at rest they are not.
    for _ in 0..30 {
        tree.end_tick(0);
    }
    let leaves = (hosts * metrics) as f64;
    println!(
        "tree memory, {name}: {:.0} bytes a leaf by its own count, {:.0} by the process's growth",
        tree.memory_bytes() as f64 / leaves,
        (resident_bytes() - before) / leaves
    );
    Ok(())
}

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4_096.0
}

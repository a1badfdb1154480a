//! What classifying costs: `cargo run --release -p user-agent --example measure -- FILE`.
//!
//! FILE has an agent a line. Each is classified once, as by callers that cache; then once more with all regexes
//! compiled. RSS is Linux's `VmRSS`, in kB.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use user_agent::Classifier;

/// One of the classifier's questions.
type Classify<'a> = &'a dyn Fn(&str);

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: measure FILE (with a user agent a line)");
        return ExitCode::FAILURE;
    };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let agents: Vec<&str> = text.lines().collect();
    println!("{} agents", agents.len());
    let rss_start = rss_kb();
    let report = |what: &str, spent: Duration| {
        println!("{what:<34} {:>9.2} µs   RSS +{} kB", spent.as_secs_f64() * 1e6, rss_kb().saturating_sub(rss_start));
    };

    let classifier = Classifier::new();
    report("idle", Duration::ZERO);
    let browser = |agent: &str| drop(classifier.browser(agent));
    let os = |agent: &str| drop(classifier.os(agent));
    let bot = |agent: &str| _ = classifier.is_bot(agent);
    let kinds: [(&str, Classify<'_>); 3] = [("browser", &browser), ("os", &os), ("is_bot", &bot)];
    for (kind, classify) in kinds {
        report(&format!("{kind}: very first call"), time(&mut || classify("")));
        for pass in ["while compiling", "warm"] {
            let mut all: Vec<Duration> = agents.iter().map(|agent| time(&mut || classify(agent))).collect();
            all.sort_unstable();
            let mean = all.iter().sum::<Duration>().as_secs_f64() / all.len().max(1) as f64;
            report(&format!("{kind}: mean {pass}"), Duration::from_secs_f64(mean));
            report(&format!("{kind}: slowest {pass}"), all.last().copied().unwrap_or_default());
        }
    }

    let stuffed = "Zune bot Nokia; Android 4.2; crawler-x iPhone OS Xda MSIE Spider_ ".repeat(1_600);
    let hostile = [("'a' × 100,000", "a".repeat(100_000)), ("100 kB of what rules look for", stuffed)];
    for (what, agent) in hostile {
        for (kind, classify) in kinds {
            classify(&agent);
            let best = (0..20).map(|_| time(&mut || classify(&agent))).min().unwrap_or_default();
            report(&format!("{kind}: {what}"), best);
        }
    }
    ExitCode::SUCCESS
}

fn time(work: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Resident memory of this process, in kB; 0 where there is no `/proc`.
fn rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

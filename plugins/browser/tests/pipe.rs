//! What the pipe finds. How agents are told apart is tested in `user-agent`.

use graft_browser::Browser;
use plugin_api::testkit::{Found, PipeKit};
use plugin_api::{Access, Field, Params, Span};

fn kit() -> PipeKit<Browser> {
    PipeKit::new(&Params::new()).unwrap()
}

/// A record of which only the agent is known.
fn agent(agent: &str) -> Access<'_> {
    let mut record = Access::new(agent);
    record.set_span(Field::Agent, Span::new(0, agent.len() as u32));
    record
}

/// The sum over all paths: no hit is lost.
fn total(found: &Found) -> f64 {
    found.iter().filter_map(|(path, _)| found.number(path)).sum()
}

#[test]
fn hits_are_counted_by_family_and_major_version() {
    let mut kit = kit();
    for (agent_of, expect) in [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox,128"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Safari/605.1.15",
            "Safari,17",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1",
            "Mobile Safari,17",
        ),
        (
            "Mozilla/5.0 (Linux; Android 4.4.2; Nexus 5 Build/KOT49H) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.99 Mobile Safari/537.36",
            "Chrome Mobile,32",
        ),
        ("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)", "IE,7"),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "Chrome,126",
        ),
    ] {
        kit.batch(&[agent(agent_of)]);
        assert_eq!(kit.flush().number(expect), Some(1.0), "{expect}");
    }
}

#[test]
fn equal_agents_share_a_path() {
    let mut kit = kit();
    kit.lines([
        r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0""#,
        r#"192.0.2.2 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0""#,
    ]);
    let found = kit.flush();
    assert_eq!(found.number("Firefox,128"), Some(2.0));
    assert_eq!(found.iter().count(), 1);
}

#[test]
fn what_has_no_agent_is_counted_at_none() {
    let mut kit = kit();
    kit.batch(&[Access::new("")]);
    assert_eq!(kit.flush().number("(none),-"), Some(1.0));
}

#[test]
fn an_agent_that_nobody_knows_is_other() {
    let mut kit = kit();
    kit.batch(&["", " ", "\u{1f480}", "zzz"].map(agent));
    assert_eq!(kit.flush().number("Other,-"), Some(4.0));
}

#[test]
fn a_flood_of_agents_is_counted_in_full() {
    let mut kit = kit();
    for i in 0..20_000 {
        kit.batch(&[agent(&format!("Mozilla/5.0 (X11; Linux x86_64; n {i}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"))]);
    }
    assert!(kit.delta().memory_bytes() < 64 * 1024, "{}", kit.delta().memory_bytes());
    let found = kit.flush();
    assert_eq!(total(&found), 20_000.0);
    assert_eq!(found.iter().count(), 1);
}

#[test]
fn a_long_agent_is_known_by_its_beginning() {
    let mut kit = kit();
    kit.batch(&[agent(&format!(
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0 {}",
        "\u{20ac}".repeat(10_000)
    ))]);
    assert_eq!(kit.flush().number("Firefox,128"), Some(1.0));
}

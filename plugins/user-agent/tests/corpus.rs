//! uap-core's own test cases: what its rules are meant to answer, and what ours do.

use user_agent::{Classifier, Version};

struct Case {
    expect: [&'static str; 4],
    spider: bool,
    agent: &'static str,
}

fn cases(text: &'static str) -> Vec<Case> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.splitn(6, '\t').collect();
            let [family, major, minor, patch, spider, agent] = fields[..] else { panic!("not six fields: {line}") };
            Case { expect: [family, major, minor, patch], spider: spider == "spider", agent }
        })
        .collect()
}

/// Percentage of cases for which it holds; the others are listed.
fn agreement(what: &str, cases: &[Case], holds: impl Fn(&Case) -> Result<(), String>) -> f64 {
    assert!(cases.len() > 400, "the corpus is cut short: {} cases", cases.len());
    let wrong: Vec<_> = cases.iter().filter_map(|case| Some((case.agent, holds(case).err()?))).collect();
    for (agent, why) in &wrong {
        println!("{what}: {why}: {agent}");
    }
    let percent = 100.0 * (cases.len() - wrong.len()) as f64 / cases.len() as f64;
    println!("{what}: {percent:.2} % of {} agree", cases.len());
    percent
}

fn parts<'a>(version: &'a Version<'_>) -> [&'a str; 4] {
    let part = |part: &'a Option<_>| part.as_deref().unwrap_or_default();
    [&version.family, part(&version.major), part(&version.minor), part(&version.patch)]
}

fn same(version: &Version<'_>, expect: &[&str]) -> Result<(), String> {
    let found = &parts(version)[..expect.len()];
    if found == expect { Ok(()) } else { Err(format!("{found:?}, not {expect:?}")) }
}

#[test]
fn browsers() {
    let cases = cases(include_str!("data/browser.tsv"));
    let classifier = Classifier::new();
    let family = agreement("browser family", &cases, |case| same(&classifier.browser(case.agent), &case.expect[..1]));
    let version = agreement("browser version", &cases, |case| same(&classifier.browser(case.agent), &case.expect));
    assert!(family >= 99.5 && version >= 99.5, "browser families {family:.2} %, versions {version:.2} %");
}

#[test]
fn systems() {
    let cases = cases(include_str!("data/os.tsv"));
    let classifier = Classifier::new();
    let family = agreement("system family", &cases, |case| same(&classifier.os(case.agent), &case.expect[..1]));
    let version = agreement("system version", &cases, |case| same(&classifier.os(case.agent), &case.expect));
    assert!(family >= 99.5 && version >= 99.5, "system families {family:.2} %, versions {version:.2} %");
}

/// Not all of them are to agree: uap-core takes for no robot what a phone rule claims before, `HuaweiSymantecSpider`
/// among them.
#[test]
fn robots() {
    let cases = cases(include_str!("data/browser.tsv"));
    let classifier = Classifier::new();
    let percent = agreement("robots", &cases, |case| {
        let bot = classifier.is_bot(case.agent);
        if bot == case.spider { Ok(()) } else { Err(format!("{bot}, not {}", case.spider)) }
    });
    assert!(percent >= 98.5, "{percent:.2} %");
}

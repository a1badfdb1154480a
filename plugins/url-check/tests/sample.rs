//! `sample.on` is TOML, shows every parameter with its true default, and is what the README shows.

use graft_url_check::UrlCheck;
use plugin_api::Collector;
use toml::Table;

const SAMPLE: &str = include_str!("../sample.on");

#[test]
fn the_sample_shows_the_true_defaults() {
    SAMPLE.parse::<Table>().expect("the sample as it stands");
    // `##` explains and `#` shows a default: with every default switched on it is still TOML.
    let shown: Vec<&str> = SAMPLE.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
    let sample: Table = shown.join("\n").parse().expect("the sample with its defaults");
    assert_eq!(sample["plugin"].as_str(), Some("url-check"));
    assert_eq!(sample["every"].as_str(), Some("10s"));
    assert_eq!(sample["path"].as_str(), Some("url-check,{host}"));
    let params = sample["params"].as_table().expect("a table");
    assert_eq!(params.len(), UrlCheck::PARAMS.len());
    for declared in UrlCheck::PARAMS {
        let shown = &params[declared.name.as_str()];
        // What must be given has no default; the sample then shows an example.
        if !declared.default.is_empty() {
            assert_eq!(shown.to_string(), declared.default.as_str(), "{}", declared.name);
        }
    }
}

#[test]
fn the_readme_shows_the_sample() {
    assert!(include_str!("../README.md").contains(SAMPLE));
}

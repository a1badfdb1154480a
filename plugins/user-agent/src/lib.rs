//! What a `User-Agent` header says: browser and version, system and version, robot or not.
//!
//! ```
//! let classifier = user_agent::Classifier::new();
//! let agent = "Mozilla/5.0 (Windows NT 6.1; WOW64; rv:27.0) Gecko/20100101 Firefox/27.0";
//! let browser = classifier.browser(agent);
//! assert_eq!((&*browser.family, browser.major.as_deref()), ("Firefox", Some("27")));
//! let os = classifier.os(agent);
//! assert_eq!((&*os.family, os.major.as_deref()), ("Windows", Some("7")));
//! assert!(!classifier.is_bot(agent));
//! ```
//!
//! The rules are those of uap-core, the list that the ua-parser project keeps for all languages: regexes in order, of
//! which the first that matches holds. A literal search over the agent says which of them can match at all, usually
//! three or four of several hundred; only these are made into programs, once, when first wanted.
//!
//! Why not a crate for it: `ua-parser` is right, but compiles all regexes at the start (35 ms, 13 MB) and brings Unicode
//! tables, a YAML reader and a 3 MB library to each plugin; `woothee` is small, but knows a tenth of the families and
//! names them its own way; `uaparser` and `fast_uaparser` hold all regexes too, and the latter fetches rules while it
//! is built. Why not the crate `regex`: its engines keep caches for each regex, and one that is quick for agents, a
//! DFA, takes more to build than most rules are ever searched for. Why not a backtracker that visits each state once
//! alone: it takes ten times as long, and is there for what a program would take too many steps for.

mod literals;
mod program;
mod regexes;
mod rules;
mod version;

use std::sync::LazyLock;

use rules::{BROWSER, Match, OS, RuleSet, SPIDER};
pub use version::{OTHER, Version};

/// How much of an agent is looked at, in bytes. The longest of uap-core's test cases has 492, and browsers stay under
/// 300; the bound is what a hostile one can cost, since the worst case grows with it.
pub const AGENT_BYTES_MAX: usize = 512;

/// What a robot has in its family's name, in lower case.
const ROBOT_WORDS: [&str; 3] = ["bot", "crawl", "spider"];

/// Browsers of people that the wide net of the last robot rule takes for robots: it looks for `silk`, `yahoo` and
/// `bot`, and there are phones named CUBOT. uap-core has phone rules before it, which are not here.
const PEOPLE: [&str; 9] = [
    "Amazon Silk",
    "Android",
    "Chrome Mobile",
    "Chrome Mobile WebView",
    "Facebook",
    "Mobile Safari UI/WKWebView",
    "NetFront NX",
    "Opera Mobile",
    "YahooMobileMail",
];

/// Tells browsers, systems and robots by their `User-Agent` header.
///
/// A new one costs nothing: what it needs is made at the first call of each kind, and the regex of a rule when an agent
/// first calls for it. All of them take about 2 MB, so nothing is ever thrown away. The methods take `&self` and
/// may be called from several threads, which then wait for each other; callers that see the same agents again should
/// keep the answers.
#[derive(Debug)]
pub struct Classifier {
    browser: LazyLock<RuleSet>,
    os: LazyLock<RuleSet>,
    spider: LazyLock<RuleSet>,
}

impl Default for Classifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Classifier {
    /// A classifier that has yet to make anything.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            browser: LazyLock::new(|| RuleSet::new(&BROWSER)),
            os: LazyLock::new(|| RuleSet::new(&OS)),
            spider: LazyLock::new(|| RuleSet::new(&SPIDER)),
        }
    }

    /// The browser, robot or program, as uap-core names it: `Chrome`, `IE`, `Mobile Safari`, `Googlebot`, [`OTHER`].
    ///
    /// Only the first [`AGENT_BYTES_MAX`] bytes are looked at.
    #[must_use]
    pub fn browser<'a>(&self, agent: &'a str) -> Version<'a> {
        Version::of(self.browser.first(clip(agent)))
    }

    /// The operating system, as uap-core names it: `Windows`, `Mac OS X`, `iOS`, `Android`, [`OTHER`].
    ///
    /// Only the first [`AGENT_BYTES_MAX`] bytes are looked at.
    #[must_use]
    pub fn os<'a>(&self, agent: &'a str) -> Version<'a> {
        Version::of(self.os.first(clip(agent)))
    }

    /// Whether it is a robot: a crawler, a feed fetcher or the like, by uap-core's rules for the device `Spider`, or
    /// by a family that calls itself a bot, crawler or spider. Programs that people run, such as curl, are none.
    ///
    /// Only the first [`AGENT_BYTES_MAX`] bytes are looked at. Costs a call of [`browser`](Self::browser) and more.
    #[must_use]
    pub fn is_bot(&self, agent: &str) -> bool {
        let spider = self.spider.first(clip(agent));
        let sure = |found: &Match<'_>| found.rule.values[0] == "sure";
        if spider.as_ref().is_some_and(sure) {
            return true;
        }
        let family = self.browser(agent).family;
        let name = family.to_ascii_lowercase();
        ROBOT_WORDS.iter().any(|word| name.contains(word)) || (spider.is_some() && !PEOPLE.contains(&&*family))
    }
}

/// The part of an agent that is looked at.
fn clip(agent: &str) -> &str {
    let end = (0..=AGENT_BYTES_MAX.min(agent.len())).rev().find(|&end| agent.is_char_boundary(end));
    end.and_then(|end| agent.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts the browser's and the system's `family major.minor.patch`, and whether it is a robot.
    fn check(agent: &str, browser: &str, os: &str, bot: bool) {
        let classifier = Classifier::new();
        assert_eq!(classifier.browser(agent).to_string(), browser, "browser of {agent}");
        assert_eq!(classifier.os(agent).to_string(), os, "system of {agent}");
        assert_eq!(classifier.is_bot(agent), bot, "robot: {agent}");
    }

    #[test]
    fn knows_the_common_browsers() {
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "Chrome 126.0.0",
            "Windows 10",
            false,
        );
        check("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)", "IE 7.0", "Windows XP", false);
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Mobile Safari 17.5",
            "iOS 17.5",
            false,
        );
        check(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.77 Safari/537.36 OPR/19.0.1326.56",
            "Opera 19.0.1326",
            "Mac OS X 10.9.1",
            false,
        );
        check(
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.6422.53 Mobile Safari/537.36",
            "Chrome Mobile 125.0.6422",
            "Android 14",
            false,
        );
    }

    #[test]
    fn tells_robots_from_people() {
        check(
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Googlebot 2.1",
            "Other",
            true,
        );
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 6_0 like Mac OS X) AppleWebKit/536.26 (KHTML, like Gecko) Version/6.0 Mobile/10A5376e Safari/8536.25 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Googlebot 2.1",
            "iOS 6.0",
            true,
        );
        check("curl/8.5.0", "curl 8.5.0", "Other", false);
        check(
            "Mozilla/5.0 (Linux; U; en-us; KFAPWI Build/JDQ39) AppleWebKit/535.19 (KHTML, like Gecko) Silk/3.13 Safari/535.19 Silk-Accelerated=true",
            "Amazon Silk 3.13",
            "Android",
            false,
        );
        check(
            "Mozilla/5.0 (Linux; Android 4.2.2; CUBOT X6 Build/JDQ39) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/34.0.1847.114 Mobile Safari/537.36",
            "Chrome Mobile 34.0.1847",
            "Android 4.2.2",
            false,
        );
    }

    #[test]
    fn what_no_rule_knows_is_other() {
        for agent in ["", "-", "x", "\u{0}", "Mozilla/5.0", "ÿ€😀"] {
            check(agent, OTHER, OTHER, false);
        }
    }

    #[test]
    fn a_long_agent_is_cut_at_a_whole_character() {
        let firefox = "Firefox/27.0";
        let padded = |pad: usize| format!("{}{firefox}", "€".repeat(pad));
        let fits = (AGENT_BYTES_MAX - firefox.len()) / '€'.len_utf8();
        check(&padded(fits), "Firefox 27.0", OTHER, false);
        check(&padded(AGENT_BYTES_MAX), OTHER, OTHER, false);
        assert_eq!(clip(&padded(AGENT_BYTES_MAX)).len(), AGENT_BYTES_MAX / 3 * 3);
    }
}

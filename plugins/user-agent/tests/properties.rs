//! Holds for any agent, well-meant or not.

use proptest::prelude::*;
use std::sync::LazyLock;
use user_agent::{AGENT_BYTES_MAX, Classifier, Version};

static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(Classifier::new);

/// What a version promises.
fn check(version: &Version<'_>) {
    assert!(!version.family.is_empty());
    for part in [&version.major, &version.minor, &version.patch].into_iter().flatten() {
        assert!(!part.is_empty() && part.trim() == part.as_ref(), "{version:?}");
    }
}

fn classify(agent: &str) -> (Version<'_>, Version<'_>, bool) {
    let (browser, os) = (CLASSIFIER.browser(agent), CLASSIFIER.os(agent));
    check(&browser);
    check(&os);
    (browser, os, CLASSIFIER.is_bot(agent))
}

proptest! {
    #[test]
    fn no_text_panics(agent in any::<String>()) {
        classify(&agent);
    }

    #[test]
    fn no_agent_like_text_panics(agent in r"(Mozilla/[0-9]\.0 \(|Opera|[bB]ot|Android|é|iPhone OS |Chrome/|[ -~]|[0-9._/;:)]|\pL){0,80}") {
        classify(&agent);
    }

    #[test]
    fn what_follows_the_limit_is_not_looked_at(tail in ".{0,40}", pad in "[ -~]{2}") {
        let head = pad.repeat(AGENT_BYTES_MAX / 2);
        let long = format!("{head}{tail}");
        prop_assert_eq!(classify(&long), classify(&head));
    }

    #[test]
    fn the_answer_does_not_depend_on_what_was_asked_before(agent in r"(Chrome|Firefox|MSIE |Windows NT |Safari|[0-9]\.)/?[0-9]{1,2}\.[0-9]") {
        let fresh = Classifier::new();
        prop_assert_eq!(classify(&agent), (fresh.browser(&agent), fresh.os(&agent), fresh.is_bot(&agent)));
    }
}

use super::*;
use crate::conf::{Gmond, parse};

fn groups(text: &str) -> Vec<gmod::Group> {
    let tree = parse("m.pyconf", text.as_bytes(), &|_| None).expect("a text");
    Gmond::from_tree(&tree).expect("groups").collection_groups.iter().map(gmod::Group::from).collect()
}

/// As much of PCRE as these tests need: `^` and one `(.+)` at the end.
fn compile(pattern: &str) -> Result<Search, String> {
    if pattern.contains('[') {
        return Err("missing terminating ]".to_owned());
    }
    let start = pattern.trim_start_matches('^').trim_end_matches("(.+)").to_owned();
    let anchored = pattern.starts_with('^');
    Ok(Box::new(move |name| {
        Ok(name
            .find(&start)
            .filter(|at| !anchored || *at == 0)
            .map(|at| vec![Some(at..name.len()), Some(at + start.len()..name.len())]))
    }))
}

fn plan(text: &str, names: &[&str]) -> (Plan, Vec<String>) {
    let mut remarks = Vec::new();
    let plan = Plan::of(&groups(text), names, &compile, &mut remarks);
    (plan, remarks)
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(1_000 + seconds)
}

/// At which of the first seconds which metrics are due, values being collected for all of them.
fn turns(plan: Plan, seconds: u64) -> String {
    let interval = plan.interval().expect("something is collected").as_secs();
    let mut schedule = Schedule::new(plan);
    let mut out = Vec::new();
    for at in (0..=seconds).step_by(interval as usize) {
        let due = schedule.due(s(at));
        let collected: Vec<_> = due.iter().map(|metric| (*metric, Entered::Number(1.0))).collect();
        schedule.entering(s(at), &collected);
        if !due.is_empty() {
            out.push(format!("{at}:{}", due.iter().map(usize::to_string).collect::<Vec<_>>().join(",")));
        }
    }
    out.join(" ")
}

const NAMES: &[&str] = &["Prefix_one", "prefix_two", "other", "prefix"];

#[test]
fn a_name_is_exact_or_else_a_beginning() {
    for (name, expect) in [("prefix", "3"), ("PREFIX_", "0,1"), ("prefix_t", "1"), ("", "0,1,2,3")] {
        let (plan, remarks) = plan(&format!("collection_group {{ metric {{ name = \"{name}\" }} }}"), NAMES);
        assert_eq!((turns(plan, 0), remarks), (format!("0:{expect}"), vec![]), "{name:?}");
    }
    let (plan, remarks) = self::plan("collection_group { metric { name = nothing } }", NAMES);
    assert_eq!(plan.interval(), None);
    let nothing = "no collection group takes any of its metrics: nothing is collected";
    assert_eq!(remarks, ["m.pyconf:1:20: no metric \"nothing\"", nothing]);
    let (_, remarks) = self::plan(&format!("collection_group {{ {} }}", "metric { name = x } ".repeat(25)), NAMES);
    assert_eq!(remarks.len(), MISSING_TOLD_MAX + 2);
    assert_eq!(remarks[MISSING_TOLD_MAX], "5 names more that no metric has");
    assert_eq!(named("é", &["e\u{301}", "É", "é1"]), [2]);
}

#[test]
fn a_pattern_goes_before_a_name_and_fills_the_title() {
    let text = r#"collection_group {
      metric { name = other name_match = "refix_(.+)" title = "P \1 \2 \x \" }
      metric { name_match = "[" }
    }"#;
    // The conf's own escapes: `\\` is one backslash.
    let (plan, remarks) = plan(&text.replace('\\', r"\\"), NAMES);
    assert_eq!(plan.title(0), Some(r"P one  \x "));
    assert_eq!(plan.title(1), Some(r"P two  \x "));
    assert_eq!(plan.title(2), None);
    assert_eq!(remarks, ["m.pyconf:3:7: name_match \"[\": missing terminating ]; it takes nothing"]);
}

#[test]
fn groups_have_their_turns() {
    let text = "collection_group { collect_every = 10 metric { name = other } }
                collection_group { collect_every = 15 metric { name = prefix title = a } metric { name = other title = b } }
                collection_group { collect_once = yes metric { name = Prefix_one } }";
    let (plan, _) = plan(text, NAMES);
    assert_eq!(plan.interval(), Some(Duration::from_secs(5)));
    // The title that was given last counts.
    assert_eq!((plan.title(2), plan.title(3)), (Some("b"), Some("a")));
    assert_eq!(turns(plan, 30), "0:0,2,3 10:2 15:2,3 20:2 30:2,3");
    let (plan, _) = self::plan(text, NAMES);
    assert_eq!(turns(plan.at(Duration::from_secs(20)), 20), "0:0,2,3 20:2,3");
    assert_eq!(turns(Plan::all(2, Duration::from_secs(7)), 14), "0:0,1 7:0,1 14:0,1");
}

#[test]
fn who_asks_late_or_early_misses_no_turn() {
    let mut schedule = Schedule::new(Plan::all(1, Duration::from_secs(10)));
    let mut due = |ms: u64| !schedule.due(Duration::from_millis(1_000_000 + ms)).is_empty();
    assert!(due(0));
    assert!(due(10_400));
    assert!(due(19_700));
    assert!(!due(20_100));
    // A machine that slept collects once, not for every turn that it missed.
    assert!(due(1_000_000));
    assert!(!due(1_000_001));
    assert!(due(1_010_000));
}

#[test]
fn what_once_could_not_be_collected_is_tried_again() {
    let (plan, _) = plan("collection_group { collect_once = yes collect_every = 5 metric { name = prefix_ } }", NAMES);
    let mut schedule = Schedule::new(plan);
    assert_eq!(schedule.due(s(0)), [0, 1]);
    assert_eq!(schedule.entering(s(0), &[(1, Entered::Number(1.0))]), [0]);
    assert_eq!(schedule.due(s(2)), [0; 0]);
    assert_eq!(schedule.due(s(5)), [0]);
    assert_eq!(schedule.entering(s(5), &[(0, Entered::Text("v".to_owned()))]), [0]);
    assert_eq!(schedule.due(s(1_000)), [0; 0]);
}

/// Which of the values enter, collection by collection, a second apart.
fn check_entering(text: &str, collections: &[(&[f64], &[usize])]) {
    let (plan, _) = plan(text, NAMES);
    let mut schedule = Schedule::new(plan);
    for (second, (values, expect)) in collections.iter().enumerate() {
        let now = s(second as u64);
        let due = schedule.due(now);
        let collected: Vec<_> = due.into_iter().zip(values.iter().map(|value| Entered::Number(*value))).collect();
        assert_eq!(schedule.entering(now, &collected), *expect, "second {second} of {text}");
    }
}

#[test]
fn a_value_moves_by_its_threshold_or_waits() {
    let head = "collection_group { collect_every = 1 time_threshold = 4";
    let all: &[usize] = &[0, 1];
    // Without thresholds all enters.
    check_entering(&format!("{head} metric {{ name = prefix_ }} }}"), &[(&[1.0, 1.0], all), (&[1.0, 1.0], all)]);
    // With them, what moved enough brings the group along, and time does.
    check_entering(
        &format!("{head} metric {{ name = prefix_ value_threshold = 2 }} }}"),
        &[
            (&[1.0, 1.0], all),
            (&[2.0, 1.0], &[]),
            (&[2.9, 1.0], &[]),
            (&[3.0, 1.0], all),
            (&[3.0, 1.0], &[]),
            (&[3.0, 2.0], &[]),
            (&[3.0, 2.0], &[]),
            (&[3.0, 2.0], all),
        ],
    );
    // 0 is every time.
    check_entering(
        &format!("{head} metric {{ name = other value_threshold = 0.0 }} }}"),
        &[(&[1.0], &[0]), (&[1.0], &[0])],
    );
    // One has a threshold, the other does not.
    check_entering(
        &format!("{head} metric {{ name = Prefix_one value_threshold = 2 }} metric {{ name = prefix_two }} }}"),
        &[(&[1.0, 1.0], all), (&[2.0, 1.0], &[1]), (&[5.0, 1.0], all)],
    );
}

#[test]
fn text_enters_when_it_changes() {
    let (plan, _) = plan("collection_group { collect_every = 1 time_threshold = 3 metric { name = other } }", NAMES);
    let mut schedule = Schedule::new(plan);
    let mut enters = |second: u64, value: &str| {
        let due = schedule.due(s(second));
        let collected: Vec<_> = due.into_iter().map(|metric| (metric, Entered::Text(value.to_owned()))).collect();
        !schedule.entering(s(second), &collected).is_empty()
    };
    let turns = ["a", "a", "b", "b", "b"].into_iter().zip(0..).map(|(value, second)| enters(second, value));
    assert_eq!(turns.collect::<Vec<_>>(), [true, false, true, true, false]);
}

proptest::proptest! {
    #[test]
    fn any_groups_are_planned(
        every in proptest::collection::vec((1u32..200, 0u32..100, proptest::prelude::any::<bool>(), ".{0,6}"), 0..6),
        names in proptest::collection::vec(".{0,8}", 0..6), title in ".{0,12}", steps in proptest::collection::vec(0u64..400, 0..40),
    ) {
        let mut groups = groups("collection_group { metric { name = x } metric { name_match = y } }");
        let template = groups.remove(0);
        for (collect_every, time_threshold, collect_once, name) in every {
            let mut group = gmod::Group { collect_every, time_threshold, collect_once, ..template.clone() };
            group.metrics[0].name = Some(name.clone());
            group.metrics[1].name_match = Some(name);
            group.metrics[1].title = Some(title.clone());
            groups.push(group);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let plan = Plan::of(&groups, &names, &compile, &mut Vec::new());
        let mut schedule = Schedule::new(plan);
        let mut now = Duration::ZERO;
        for step in steps {
            now += Duration::from_secs(step);
            let due = schedule.due(now);
            proptest::prop_assert!(due.iter().all(|metric| *metric < names.len()));
            let collected: Vec<_> = due.into_iter().map(|metric| (metric, Entered::Number(step as f64))).collect();
            proptest::prop_assert!(schedule.entering(now, &collected).len() <= collected.len());
        }
    }
}

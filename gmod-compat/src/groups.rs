//! Collection groups: which metrics of a module are collected when, and which of the values enter the tree.
//!
//! Pure in time: whoever collects says what time it is (a monotonic one), gets the metrics that are due, and hands their
//! values back to learn which of them enter.
//!
//! **As gmond:** `name` is exact, or else the beginning of names without regard to case; `name_match` goes before `name` and is
//! searched anywhere; every group is collected at start and then each `collect_every`; a metric in two groups is collected by
//! both and has the title and the threshold that were given last; a value that moved by its threshold brings its whole group
//! along; a module's metric that no group takes is not collected.
//!
//! **Otherwise than gmond:** gmond sends a metric without a threshold each `time_threshold` only, an hour unless told otherwise; here its value
//! enters at each collection, for the tree is asked for what is now. Text enters when it changes, and each `time_threshold`. A
//! pattern that is none, or a title that refers to no group of it, ends gmond; here it is a remark. What `collect_once`
//! could not collect is tried again.

use crate::descriptor::Entered;
use crate::protocol::gmod;
use std::ops::Range;
use std::time::Duration;

/// Names that no metric has and that are told one by one; the rest are counted.
pub const MISSING_TOLD_MAX: usize = 20;

/// Where a pattern matched: the whole first, then its groups; a group may have no part in a match. None: nowhere.
pub type Found = Option<Vec<Option<Range<usize>>>>;

/// Searches a pattern in a name.
pub type Search = Box<dyn Fn(&str) -> Result<Found, String>>;

/// Which metrics are collected when.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    groups: Vec<Group>,
    metrics: Vec<Metric>,
}

#[derive(Clone, Debug)]
struct Group {
    once: bool,
    every: Duration,
    time_threshold: Duration,
    /// Indexes of metrics, in order, each once.
    members: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Metric {
    title: Option<String>,
    threshold: Option<f64>,
}

impl Plan {
    /// All of so many metrics are collected at one interval.
    pub fn all(metrics: usize, every: Duration) -> Plan {
        let group =
            Group { once: false, every, time_threshold: Duration::from_secs(3600), members: (0..metrics).collect() };
        Plan { groups: vec![group], metrics: vec![Metric::default(); metrics] }
    }

    /// What collection groups take of a module's metrics. `compile` makes a PCRE pattern searchable. What is wrong with the
    /// groups is told in `remarks`, and the first [`MISSING_TOLD_MAX`] names that no metric has: they may be another module's.
    pub fn of(
        groups: &[gmod::Group],
        names: &[&str],
        compile: &dyn Fn(&str) -> Result<Search, String>,
        remarks: &mut Vec<String>,
    ) -> Plan {
        let mut plan = Plan { groups: Vec::new(), metrics: vec![Metric::default(); names.len()] };
        let mut missing = 0;
        for group in groups {
            let mut members = Vec::new();
            for metric in &group.metrics {
                let taken = match (&metric.name_match, &metric.name) {
                    (Some(pattern), _) => match matching(pattern, metric.title.as_deref(), names, compile) {
                        Ok(taken) => taken,
                        Err(why) => {
                            remarks.push(format!("{}: name_match {pattern:?}: {why}; it takes nothing", metric.place));
                            continue;
                        }
                    },
                    (None, Some(name)) => {
                        named(name, names).into_iter().map(|index| (index, metric.title.clone())).collect()
                    }
                    (None, None) => Vec::new(),
                };
                if taken.is_empty() {
                    missing += 1;
                    if missing <= MISSING_TOLD_MAX {
                        let wanted = metric.name_match.as_ref().or(metric.name.as_ref());
                        remarks.push(format!("{}: no metric {:?}", metric.place, wanted.map_or("", String::as_str)));
                    }
                }
                for (index, title) in taken {
                    if let Some(place) = plan.metrics.get_mut(index) {
                        *place = Metric { title, threshold: metric.value_threshold };
                    }
                    members.push(index);
                }
            }
            members.sort_unstable();
            members.dedup();
            if !members.is_empty() {
                plan.groups.push(Group {
                    once: group.collect_once,
                    every: Duration::from_secs(group.collect_every.max(1).into()),
                    time_threshold: Duration::from_secs(group.time_threshold.into()),
                    members,
                });
            }
        }
        if missing > MISSING_TOLD_MAX {
            remarks.push(format!("{} names more that no metric has", missing - MISSING_TOLD_MAX));
        }
        if plan.groups.is_empty() && !names.is_empty() {
            remarks.push("no collection group takes any of its metrics: nothing is collected".to_owned());
        }
        plan
    }

    /// The same, all groups at one interval.
    #[must_use]
    pub fn at(mut self, every: Duration) -> Plan {
        self.groups.iter_mut().for_each(|group| group.every = every);
        self
    }

    /// The title that the groups give a metric.
    pub fn title(&self, metric: usize) -> Option<&str> {
        self.metrics.get(metric)?.title.as_deref()
    }

    /// How often to ask what is due: the greatest interval that all others are multiples of. `None` if nothing is ever
    /// collected.
    pub fn interval(&self) -> Option<Duration> {
        let millis = self.groups.iter().map(|group| group.every.as_millis()).fold(0, gcd);
        (millis > 0).then(|| Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The metrics that `name` takes.
fn named(name: &str, names: &[&str]) -> Vec<usize> {
    if let Some(index) = names.iter().position(|known| *known == name) {
        return vec![index];
    }
    let begins = |known: &str| {
        known.as_bytes().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
    };
    (0..names.len()).filter(|index| names.get(*index).is_some_and(|known| begins(known))).collect()
}

/// The metrics that a pattern takes, each with its title.
fn matching(
    pattern: &str,
    title: Option<&str>,
    names: &[&str],
    compile: &dyn Fn(&str) -> Result<Search, String>,
) -> Result<Vec<(usize, Option<String>)>, String> {
    let search = compile(pattern)?;
    let mut taken = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(found) = search(name)? {
            taken.push((index, title.map(|title| filled(title, name, &found))));
        }
    }
    Ok(taken)
}

/// A title with the groups of a match in place of `\1` to `\9`. A lone backslash at its end is left out, as gmond does.
fn filled(title: &str, name: &str, found: &[Option<Range<usize>>]) -> String {
    let mut out = String::with_capacity(title.len());
    let mut rest = title;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        rest = after;
        let digit = rest.chars().next().and_then(|c| c.to_digit(10)).filter(|digit| *digit > 0);
        match digit {
            Some(digit) => {
                rest = rest.get(1..).unwrap_or_default();
                let group = found.get(digit as usize).cloned().flatten();
                out.push_str(group.and_then(|range| name.get(range)).unwrap_or_default());
            }
            None if rest.is_empty() => {}
            None => out.push('\\'),
        }
    }
    out.push_str(rest);
    out
}

/// A plan under way.
#[derive(Debug)]
pub struct Schedule {
    plan: Plan,
    /// When each group is collected next; none before its first time, or when it is over.
    next: Vec<Next>,
    /// When each group is to enter whole, whatever its values are.
    renew: Vec<Duration>,
    /// What entered last of each metric.
    entered: Vec<Option<Entered>>,
    /// The groups that are being collected.
    due: Vec<usize>,
    interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Now,
    At(Duration),
    Never,
}

impl Schedule {
    /// Nothing is collected yet, so that all is due.
    pub fn new(plan: Plan) -> Schedule {
        Schedule {
            next: vec![Next::Now; plan.groups.len()],
            renew: vec![Duration::ZERO; plan.groups.len()],
            entered: vec![None; plan.metrics.len()],
            due: Vec::new(),
            interval: plan.interval().unwrap_or_default(),
            plan,
        }
    }

    /// The metrics to collect now, in order. Whoever asks each [`Plan::interval`], half of one sooner or later, misses no turn.
    pub fn due(&mut self, now: Duration) -> Vec<usize> {
        self.due.clear();
        let mut metrics = Vec::new();
        for (index, (group, next)) in self.plan.groups.iter().zip(&mut self.next).enumerate() {
            let turn = match *next {
                Next::Never => continue,
                Next::Now => now,
                Next::At(turn) if turn <= now + self.interval / 2 => turn,
                Next::At(_) => continue,
            };
            let following = turn + group.every;
            *next = Next::At(if following <= now { now + group.every } else { following });
            self.due.push(index);
            let missing = |metric: &&usize| !group.once || self.entered.get(**metric).is_none_or(Option::is_none);
            metrics.extend(group.members.iter().filter(missing));
        }
        metrics.sort_unstable();
        metrics.dedup();
        metrics
    }

    /// Of what was collected, by metric, the places of the values that enter the tree now. Not to be handed in: metrics
    /// without a value.
    pub fn entering(&mut self, now: Duration, collected: &[(usize, Entered)]) -> Vec<usize> {
        let mut enters = vec![false; collected.len()];
        for &group_index in &self.due {
            let (Some(group), Some(renew)) = (self.plan.groups.get(group_index), self.renew.get(group_index)) else {
                continue;
            };
            let of_group = |metric: usize| group.members.binary_search(&metric).is_ok();
            let whole = *renew <= now
                || collected.iter().any(|(metric, value)| of_group(*metric) && self.crosses(*metric, value));
            let following = now + group.time_threshold;
            for ((metric, value), enters) in collected.iter().zip(&mut enters) {
                *enters |= of_group(*metric) && (whole || self.enters_alone(*metric, value));
            }
            if let Some(renew) = self.renew.get_mut(group_index).filter(|_| whole) {
                *renew = following;
            }
        }
        for ((metric, value), _) in collected.iter().zip(&enters).filter(|(_, enters)| **enters) {
            if let Some(entered) = self.entered.get_mut(*metric) {
                *entered = Some(value.clone());
            }
        }
        for &index in &self.due {
            if let (Some(group), Some(next)) = (self.plan.groups.get(index), self.next.get_mut(index)) {
                let whole = group.members.iter().all(|metric| self.entered.get(*metric).is_some_and(Option::is_some));
                if group.once && whole {
                    *next = Next::Never;
                }
            }
        }
        (0..collected.len()).filter(|place| enters.get(*place) == Some(&true)).collect()
    }

    /// Whether a number moved by its metric's threshold since it entered.
    fn crosses(&self, metric: usize, value: &Entered) -> bool {
        let threshold = self.plan.metrics.get(metric).and_then(|metric| metric.threshold);
        let last = self.entered.get(metric).and_then(Option::as_ref);
        match (threshold, last, value) {
            (Some(threshold), Some(Entered::Number(last)), Entered::Number(value)) => (value - last).abs() >= threshold,
            (Some(_), None, Entered::Number(_)) => true,
            _ => false,
        }
    }

    /// Whether a value enters whatever its group does.
    fn enters_alone(&self, metric: usize, value: &Entered) -> bool {
        let last = self.entered.get(metric).and_then(Option::as_ref);
        match value {
            Entered::Number(_) => self.plan.metrics.get(metric).is_none_or(|metric| metric.threshold.is_none()),
            Entered::Text(_) => last != Some(value),
        }
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;

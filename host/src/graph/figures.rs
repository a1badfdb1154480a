//! Numbers and times as axes and legends tell them, and where an axis has its ticks.

use crate::when::{Civil, civil, unix_s};

/// Prefixes of units (SI), from 10⁻⁹ to 10¹⁸.
const PREFIXES: [&str; 10] = ["n", "µ", "m", "", "k", "M", "G", "T", "P", "E"];

/// Characters of a unit that are shown.
const UNIT_CHARS: usize = 16;

/// What numbers are of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit(String);

impl Unit {
    /// As people write it; `bytes` is `B`.
    pub(crate) fn new(text: &str) -> Unit {
        let text = text.trim();
        let of = |word: &str| text.strip_prefix(word).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let words =
            [("bytes", "B"), ("Bytes", "B"), ("byte", "B"), ("bits", "bit"), ("seconds", "s"), ("percent", "%")];
        let known = words.into_iter().find_map(|(word, short)| Some((short, of(word)?)));
        let (word, rest) = known.unwrap_or(("", text));
        let mut unit = match ["/second", "/sec"].iter().find_map(|end| rest.strip_suffix(end)) {
            Some(rest) => format!("{word}{rest}/s"),
            None => format!("{word}{rest}"),
        };
        // A longer one is none.
        if let Some((end, _)) = unit.char_indices().nth(UNIT_CHARS) {
            unit.truncate(end);
        }
        Unit(unit)
    }

    /// By second.
    pub(crate) fn per_second(&self) -> Unit {
        Unit(format!("{}/s", self.0))
    }

    /// Whether small ones have prefixes too: milliseconds are a unit, and thousandths of a hit are none.
    fn has_small(&self) -> bool {
        matches!(&*self.0, "s" | "V" | "A" | "W" | "m" | "g")
    }

    /// A number with so many digits behind the point at most (all that tell, if none are said), with prefix and unit.
    pub(crate) fn tell(&self, x: f64, step: Option<f64>) -> String {
        if !x.is_finite() {
            return "–".to_owned();
        }
        let of = step.map_or(x.abs(), |step| x.abs().max(step));
        if of >= 1e21 {
            let number = format!("{x:.1e}").replace(".0e", "e").replace('-', "\u{2212}");
            return if self.0.is_empty() { number } else { format!("{number}\u{a0}{}", self.0) };
        }
        let thousands = if of == 0.0 { 0.0 } else { ((of.log10() + 1e-9) / 3.0).floor() };
        let lowest = if self.has_small() { -3.0 } else { 0.0 };
        // A percentage has no thousands, and neither has a count below ten thousand.
        let thousands = if self.0 == "%" || (thousands == 1.0 && of < 10_000.0 && self.0.is_empty()) {
            0.0
        } else {
            f64::clamp(thousands, lowest, 6.0)
        };
        let scale = 1000_f64.powf(thousands);
        let shown = x / scale;
        let digits = match step {
            Some(step) => (-((step / scale).log10() + 1e-9).floor()).clamp(0.0, 9.0),
            None if shown == 0.0 => 0.0,
            None => (2.0 - shown.abs().log10().floor()).clamp(0.0, 6.0),
        };
        let mut number = format!("{shown:.*}", digits as usize);
        if step.is_none() && number.contains('.') {
            number.truncate(number.trim_end_matches('0').trim_end_matches('.').len());
        }
        if number.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) {
            number = "0".to_owned();
        }
        let number = number.replace('-', "\u{2212}");
        let prefix = PREFIXES.get((thousands + 3.0) as usize).copied().unwrap_or_default();
        let unit = &self.0;
        let blank = if prefix.is_empty() && (unit.is_empty() || unit.starts_with('/')) { "" } else { "\u{a0}" };
        format!("{number}{blank}{prefix}{unit}")
    }
}

/// An axis of numbers: where it begins and ends, and how far its ticks are from each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) step: f64,
}

impl Scale {
    /// One that has room for what is from `low` to `high`, with at most so many steps, each 1, 2 or 5 of some power of ten.
    pub(crate) fn of(low: f64, high: f64, steps: usize) -> Scale {
        let (low, high) = if low.is_finite() && high.is_finite() { (low, high) } else { (0.0, 1.0) };
        // What is all the same has something above it and below; and nothing is finer than numbers are.
        let least = (low.abs().max(high.abs()) * 1e-9).max(f64::MIN_POSITIVE * 1e20);
        let (low, high) = match () {
            () if high - low > least => (low, high),
            () if low == 0.0 => (0.0, 1.0),
            () => (low.min(0.0), high.max(0.0)),
        };
        // Halves: what is as large as a number can be has no difference that is one.
        let rough = ((high / 2.0 - low / 2.0) / steps.max(1) as f64 * 2.0).min(f64::MAX);
        let power = 10_f64.powf(rough.log10().floor().clamp(-300.0, 307.0));
        let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| rough <= factor * power * (1.0 + 1e-9));
        let step = (factor.unwrap_or(10.0) * power).min(f64::MAX / 4.0);
        let whole = |x: f64| if x.is_finite() { x } else { f64::MAX.copysign(x) };
        Scale { low: whole((low / step + 1e-9).floor() * step), high: whole((high / step - 1e-9).ceil() * step), step }
    }

    /// Its ticks from the lowest.
    pub(crate) fn ticks(self) -> impl Iterator<Item = f64> {
        let n = ((self.high / self.step - self.low / self.step).round()).clamp(0.0, 100.0) as usize;
        let first = (self.low / self.step).round();
        (0..=n).map(move |i| (first + i as f64) * self.step)
    }

    /// Where a number lies, 0 at the lowest and 1 at the highest.
    pub(crate) fn place(self, x: f64) -> f64 {
        let length = self.high / 2.0 - self.low / 2.0;
        if length > 0.0 { ((x / 2.0 - self.low / 2.0) / length).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// How far ticks of time are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Seconds(i64),
    Days(i64),
    Months(i64),
}

const PACES: [Pace; 28] = {
    use Pace::{Days, Months, Seconds};
    [
        Seconds(1),
        Seconds(2),
        Seconds(5),
        Seconds(10),
        Seconds(15),
        Seconds(30),
        Seconds(60),
        Seconds(120),
        Seconds(300),
        Seconds(600),
        Seconds(900),
        Seconds(1_800),
        Seconds(3_600),
        Seconds(7_200),
        Seconds(10_800),
        Seconds(21_600),
        Seconds(43_200),
        Days(1),
        Days(2),
        Days(7),
        Months(1),
        Months(2),
        Months(3),
        Months(6),
        Months(12),
        Months(24),
        Months(60),
        Months(120),
    ]
};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A tick of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeTick {
    /// In milliseconds since the Unix epoch.
    pub(crate) at_ms: i64,
    pub(crate) label: String,
    /// A new day among hours, a new year among months.
    pub(crate) strong: bool,
}

/// The ticks of a range, in milliseconds since the Unix epoch; at most so many. Times are UTC.
pub(crate) fn time_ticks(from_ms: i64, to_ms: i64, most: usize) -> Vec<TimeTick> {
    let (from, to) = (from_ms.div_euclid(1_000), to_ms.div_euclid(1_000));
    let most = i64::try_from(most.clamp(1, 100)).unwrap_or(1);
    let seconds = |pace: &Pace| match pace {
        Pace::Seconds(s) => *s,
        Pace::Days(days) => days * 86_400,
        Pace::Months(months) => months * 2_629_800,
    };
    let length = to.saturating_sub(from);
    let pace = PACES.iter().find(|pace| length / seconds(pace) <= most).or(PACES.last());
    let Some(pace) = pace.copied() else { return Vec::new() };
    let mut ticks = Vec::new();
    let mut at = first(pace, from);
    while at <= to && ticks.len() <= 100 {
        if at >= from {
            ticks.push(tick(pace, at));
        }
        at = next(pace, at);
    }
    ticks
}

/// The last moment of a pace before a time, or at it.
fn first(pace: Pace, at: i64) -> i64 {
    match pace {
        Pace::Seconds(s) => at.div_euclid(s) * s,
        // The Unix epoch was a Thursday; weeks begin on Monday.
        Pace::Days(7) => (at + 3 * 86_400).div_euclid(7 * 86_400) * 7 * 86_400 - 3 * 86_400,
        Pace::Days(days) => at.div_euclid(days * 86_400) * days * 86_400,
        Pace::Months(months) => {
            let Civil { year, month, .. } = civil(at);
            month_s((year * 12 + month as i64 - 1).div_euclid(months) * months)
        }
    }
}

fn next(pace: Pace, at: i64) -> i64 {
    match pace {
        Pace::Seconds(s) => at + s,
        Pace::Days(days) => at + days * 86_400,
        Pace::Months(months) => {
            let Civil { year, month, .. } = civil(at);
            month_s(year * 12 + month as i64 - 1 + months)
        }
    }
}

/// When a month begins, counted from the year 0.
fn month_s(months: i64) -> i64 {
    unix_s(months.div_euclid(12), months.rem_euclid(12) + 1, 1)
}

fn tick(pace: Pace, at: i64) -> TimeTick {
    let civil = civil(at);
    let (h, m, s) = civil.clock();
    let month = MONTHS[(civil.month + 11) % 12];
    let day = |civil: Civil| format!("{} {month}", civil.day);
    let (label, strong) = match pace {
        Pace::Seconds(_) if (h, m, s) == (0, 0, 0) => (day(civil), true),
        Pace::Seconds(pace) if pace < 60 => (format!("{h:02}:{m:02}:{s:02}"), false),
        Pace::Seconds(_) => (format!("{h:02}:{m:02}"), false),
        Pace::Days(_) => (day(civil), civil.day == 1),
        Pace::Months(pace) if civil.month == 1 || pace >= 12 => (civil.year.to_string(), true),
        Pace::Months(_) => (month.to_owned(), false),
    };
    TimeTick { at_ms: at * 1_000, label, strong }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_shortly() {
        let told = |unit: &str, x: f64| Unit::new(unit).tell(x, None).replace('\u{a0}', " ");
        for (unit, x, want) in [
            ("", 0.0, "0"),
            ("", 8_123.0, "8123"),
            ("", 12_345.0, "12.3 k"),
            ("", 0.051_23, "0.0512"),
            ("", -3.25, "−3.25"),
            ("%", 97.53, "97.5 %"),
            ("bytes/s", 1_536_000.0, "1.54 MB/s"),
            ("bytes", 512.0, "512 B"),
            ("bytes/second", 512.0, "512 B/s"),
            ("bytes/sec", 2_000.0, "2 kB/s"),
            ("connections/second", 3.0, "3 connections/s"),
            ("/second", 3.0, "3/s"),
            ("/secondary", 3.0, "3/secondary"),
            ("s", 0.012_34, "12.3 ms"),
            ("/s", 0.5, "0.5/s"),
            ("", f64::NAN, "–"),
            ("", 1e300, "1e300"),
            ("s", -2.5e200, "−2.5e200 s"),
        ] {
            assert_eq!(told(unit, x), want);
        }
        // Beside each other on an axis they have the same digits.
        assert_eq!([0.0, 0.5, 1.0].map(|x| Unit::default().tell(x, Some(0.5))), ["0", "0.5", "1.0"]);
        assert_eq!(Unit::new("B").tell(2_500.0, Some(500.0)), "2.5\u{a0}kB");
    }

    #[test]
    fn an_axis_has_round_ticks_and_room_for_all() {
        let scale = Scale::of(0.0, 97.0, 5);
        assert_eq!(scale.ticks().collect::<Vec<_>>(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        let numbers = [0.0, 1e-300, 1e-9, 0.3, 1.0, 7.0, 1e6, 1e18, 1e300, f64::MAX];
        for low in numbers.iter().flat_map(|x| [-x, *x]) {
            for high in numbers.iter().flat_map(|x| [-x, *x]).filter(|high| *high >= low) {
                for steps in [1, 4, 9] {
                    let scale = Scale::of(low, high, steps);
                    let ticks: Vec<f64> = scale.ticks().collect();
                    // At the end of all numbers steps are not so round.
                    let most = if low.abs().max(high.abs()) < 1e300 { steps + 3 } else { 16 };
                    assert!((2..=most).contains(&ticks.len()), "{low} {high} {steps}: {scale:?} {ticks:?}");
                    assert!(scale.low.is_finite() && scale.high.is_finite(), "{low} {high}: {scale:?}");
                    let room = scale.step * 1e-6;
                    assert!(scale.low <= low + room && scale.high >= high - room, "{low} {high}: {scale:?}");
                }
            }
        }
        assert_eq!(Scale::of(f64::NAN, f64::INFINITY, 4), Scale::of(0.0, 1.0, 4));
    }

    #[test]
    fn ticks_of_time_lie_where_people_look_for_them() {
        let labels = |from: i64, length: i64| -> Vec<String> {
            time_ticks(from * 1_000, (from + length) * 1_000, 6).into_iter().map(|tick| tick.label).collect()
        };
        // 2026-01-05T00:00:00Z, a Monday.
        let monday = 1_767_571_200;
        assert_eq!(labels(monday - 1_000, 3_600), ["23:50", "5 Jan", "00:10", "00:20", "00:30", "00:40"]);
        assert_eq!(
            labels(monday, 60),
            ["5 Jan", "00:00:10", "00:00:20", "00:00:30", "00:00:40", "00:00:50", "00:01:00"]
        );
        assert_eq!(labels(monday, 86_400), ["5 Jan", "06:00", "12:00", "18:00", "6 Jan"]);
        assert_eq!(labels(monday + 1, 30 * 86_400), ["12 Jan", "19 Jan", "26 Jan", "2 Feb"]);
        assert_eq!(labels(monday - 86_400, 366 * 86_400), ["Mar", "May", "Jul", "Sep", "Nov", "2027"]);
        for length in [1, 59, 3_599, 86_399, 31_536_001, 1_000_000_000] {
            for most in [3, 5, 20] {
                let ticks = time_ticks(monday * 1_000, (monday + length) * 1_000, most);
                assert!(ticks.len() <= most + 2, "{length} {most}: {ticks:?}");
                assert!(ticks.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
            }
        }
    }
}

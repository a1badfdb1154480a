//! Moments as text, all in UTC.

use std::fmt;

/// A moment, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: usize,
    /// From 1.
    pub(crate) day: i64,
    second: i64,
}

/// A moment in seconds since the Unix epoch, taken apart.
pub(crate) fn civil(unix_s: i64) -> Civil {
    Civil::of(unix_s)
}

/// When a day begins, in seconds since the Unix epoch.
pub(crate) fn unix_s(year: i64, month: i64, day: i64) -> i64 {
    days_before(year, month, day) * 86_400
}

impl Civil {
    /// H. Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
    fn of(unix_s: i64) -> Civil {
        let days = unix_s.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Civil {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month: month as usize,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            second: unix_s.rem_euclid(86_400),
        }
    }

    /// Hours, minutes and seconds.
    pub(crate) fn clock(self) -> (i64, i64, i64) {
        (self.second / 3_600, self.second / 60 % 60, self.second % 60)
    }
}

/// `2026-11-22T16:31:08.250Z` (RFC 3339), of milliseconds since the Unix epoch.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    let civil = Civil::of(unix_ms.div_euclid(1_000));
    let (h, m, s) = civil.clock();
    let ms = unix_ms.rem_euclid(1_000);
    format!("{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z", civil.year, civil.month, civil.day)
}

/// The first moment of the year 0, in milliseconds since the Unix epoch.
const YEAR_0_MS: i64 = -62_167_219_200_000;

/// Reads a moment, in milliseconds since the Unix epoch: `now`, `-1h` (before now, and not before the year 0), seconds since the epoch,
/// or RFC 3339, of which what is finer than the day, and the zone (UTC), may be left out.
pub(crate) fn parse_time(text: &str, now_ms: i64) -> Option<i64> {
    if text == "now" {
        return Some(now_ms);
    }
    if let Some(ago) = text.strip_prefix('-').and_then(plugin_api::parse_duration) {
        return now_ms.checked_sub(i64::try_from(ago.as_millis()).ok()?).filter(|at| *at >= YEAR_0_MS);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        // The years up to 9999.
        return (0.0..253_402_300_800.0).contains(&seconds).then_some((seconds * 1e3).round() as i64);
    }
    let (date, rest) = text.split_at_checked(10)?;
    let mut fields = date.split('-').map(digits);
    let (year, month, day) = (fields.next()??, fields.next()??, fields.next()??);
    if fields.next().is_some() || !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    let at_day = days_before(year, month, day) * 86_400_000;
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else { return rest.is_empty().then_some(at_day) };
    let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut fields = clock.split(':').map(digits);
    let (h, m, s) = (fields.next()??, fields.next()??, fields.next().unwrap_or(Some(0))?);
    let fraction_ms = format!("0.{fraction}").parse::<f64>().ok().filter(|_| digits(fraction).is_some())? * 1e3;
    if fields.next().is_some() || h > 23 || m > 59 || s > 60 {
        return None;
    }
    let offset_min = match zone.split_at_checked(1) {
        None | Some(("Z" | "z", "")) => 0,
        Some((sign @ ("+" | "-"), offset)) => {
            let (h, m) = offset.split_once(':')?;
            let minutes = digits(h).filter(|h| *h < 24)? * 60 + digits(m).filter(|m| *m < 60)?;
            if sign == "-" { -minutes } else { minutes }
        }
        Some(_) => return None,
    };
    Some(at_day + ((h * 60 + m - offset_min) * 60 + s) * 1_000 + fraction_ms as i64)
}

/// A number of at most nine digits and nothing else.
fn digits(text: &str) -> Option<i64> {
    let all = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// H. Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// `22/Nov/2026:16:31:08 +0000`, as access logs have it (nginx's `$time_local`), of seconds since the Unix epoch.
pub(crate) struct LogTime(pub(super) i64);

impl fmt::Display for LogTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let civil = Civil::of(self.0);
        let (h, m, s) = civil.clock();
        let month = MONTHS[(civil.month - 1) % 12];
        write!(f, "{:02}/{month}/{:04}:{h:02}:{m:02}:{s:02} +0000", civil.day, civil.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let now = 1_795_365_068_250;
        for (text, want) in [
            ("now", Some(now)),
            ("-1h", Some(now - 3_600_000)),
            ("-7d", Some(now - 7 * 86_400_000)),
            ("1767571200", Some(1_767_571_200_000)),
            ("1767571200.25", Some(1_767_571_200_250)),
            ("2026-01-05", Some(1_767_571_200_000)),
            ("2026-01-05T00:00:00Z", Some(1_767_571_200_000)),
            ("2026-01-05 01:00:00+01:00", Some(1_767_571_200_000)),
            ("2024-02-29T23:59:59.001Z", Some(1_709_251_199_001)),
            ("2026-01-04T18:30-05:30", Some(1_767_571_200_000)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-01-05T24:00:00Z", None),
            ("2026-01-05T00:00:00Zulu", None),
            ("-736000d", Some(now - 736_000 * 86_400_000)),
            ("-744000d", None),
            ("-9223372036854775s", None),
            ("yesterday", None),
            ("", None),
            ("-", None),
            ("1e99", None),
            ("nan", None),
        ] {
            assert_eq!(parse_time(text, now), want, "{text}");
        }
        for ms in [0, 951_782_400_000, 1_795_365_068_250, 4_107_542_400_000] {
            assert_eq!(parse_time(&rfc3339(ms), now), Some(ms));
        }
    }

    #[test]
    fn moments_have_their_text() {
        for (ms, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
            (1_795_365_068_250, "2026-11-22T16:31:08.250Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(ms), want);
        }
        assert_eq!(LogTime(1_795_365_068).to_string(), "22/Nov/2026:16:31:08 +0000");
    }
}

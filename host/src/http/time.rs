//! Moments as text, all in UTC.

use std::fmt;

/// A moment, taken apart.
#[derive(Clone, Copy, Debug)]
struct Civil {
    year: i64,
    month: usize,
    day: i64,
    second: i64,
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

    fn clock(self) -> (i64, i64, i64) {
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

/// `22/Nov/2026:16:31:08 +0000`, as access logs have it (nginx's `$time_local`), of seconds since the Unix epoch.
pub(super) struct LogTime(pub(super) i64);

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

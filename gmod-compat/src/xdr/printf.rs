//! A little printf: one argument, never C's own. gmond sends a format with every value and prints the value by it, and a
//! format that comes over a network must be able to do nothing but that.

use std::fmt::Write;

/// The widest that a value is printed, in characters.
const WIDTH_MAX: usize = 256;

/// Digits behind the point, and at least before it, that a format may ask for.
const PRECISION_MAX: usize = 64;

/// What is to be printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument<'a> {
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
}

/// Prints a value by a format such as `%.1f`, `%u`, `%hu` or `%s`, with text around it or none. `None` when the format cannot
/// print this value: it has no conversion or several, an unknown one, one that needs more arguments, or one of another kind.
///
/// Where C would print another number (`%u` of -1, `%d` of 4,000,000,000, `%d` of 1.5), the number stays what it is, as well as
/// the conversion can show it.
#[must_use]
pub fn format(format: &str, value: Argument<'_>) -> Option<String> {
    let mut out = String::new();
    let mut rest = format;
    let mut done = false;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("%%") {
            out.push('%');
            rest = after;
            continue;
        }
        if std::mem::replace(&mut done, true) {
            return None;
        }
        let (spec, after) = Spec::parse(from.get(1..)?)?;
        spec.print(value, &mut out)?;
        rest = after;
    }
    out.push_str(rest);
    done.then_some(out)
}

/// One conversion: `%-08.3f`.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

impl Spec {
    /// Reads what follows a `%`, and gives what follows that.
    fn parse(text: &str) -> Option<(Spec, &str)> {
        let mut spec = Spec::default();
        let mut rest = text;
        loop {
            let mut chars = rest.chars();
            match chars.next()? {
                '-' => spec.left = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                ' ' => spec.blank = true,
                '#' => spec.alternate = true,
                _ => break,
            }
            rest = chars.as_str();
        }
        (spec.width, rest) = number(rest, WIDTH_MAX)?;
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after, PRECISION_MAX)?;
            (spec.precision, rest) = (Some(precision), after);
        }
        // A length says how wide the argument is on C's stack, where ours is not.
        rest = rest.trim_start_matches(['h', 'l', 'L', 'q', 'j', 'z', 't']);
        let mut chars = rest.chars();
        spec.conversion = chars.next()?;
        Some((spec, chars.as_str()))
    }

    fn print(self, value: Argument<'_>, out: &mut String) -> Option<()> {
        let (sign, body) = match (self.conversion, value) {
            ('s', Argument::Text(text)) => ("", self.cut(text)),
            ('d' | 'i' | 'u' | 'x' | 'X' | 'o', Argument::Number(x)) if x.is_finite() => self.integer(x),
            ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Argument::Number(x)) => self.real(x),
            _ => return None,
        };
        let length = sign.chars().count() + body.chars().count();
        let padding = self.width.saturating_sub(length);
        let digits = body.starts_with(|first: char| first.is_ascii_hexdigit());
        let zeros = self.zero && !self.left && digits && self.conversion != 's';
        let pad = |fill: char, out: &mut String| out.extend(std::iter::repeat_n(fill, padding));
        if !self.left && !zeros {
            pad(' ', out);
        }
        out.push_str(sign);
        if zeros {
            pad('0', out);
        }
        out.push_str(&body);
        if self.left {
            pad(' ', out);
        }
        Some(())
    }

    fn cut(self, text: &str) -> String {
        match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text.to_owned(),
        }
    }

    fn sign(self, negative: bool) -> &'static str {
        match (negative, self.plus, self.blank) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        }
    }

    fn integer(self, x: f64) -> (&'static str, String) {
        let n = x.trunc() as i128;
        // The bits of a negative number are shown as 32, or 64 where it needs them: these conversions have no sign.
        let bits = if n < 0 && n >= i128::from(i32::MIN) { n as u32 as u64 } else { n as u64 };
        let (sign, digits) = match self.conversion {
            'x' => ("", format!("{}{bits:x}", if self.alternate { "0x" } else { "" })),
            'X' => ("", format!("{}{bits:X}", if self.alternate { "0X" } else { "" })),
            'o' => ("", format!("{}{bits:o}", if self.alternate { "0" } else { "" })),
            'u' => (if n < 0 { "-" } else { "" }, n.unsigned_abs().to_string()),
            _ => (self.sign(n < 0), n.unsigned_abs().to_string()),
        };
        let least = self.precision.unwrap_or(0).saturating_sub(digits.len());
        (sign, "0".repeat(least) + &digits)
    }

    fn real(self, x: f64) -> (&'static str, String) {
        let sign = self.sign(x.is_sign_negative() && !x.is_nan());
        let (x, upper) = (x.abs(), self.conversion.is_ascii_uppercase());
        let body = if x.is_nan() {
            "nan".to_owned()
        } else if x.is_infinite() {
            "inf".to_owned()
        } else {
            let precision = self.precision.unwrap_or(6);
            match self.conversion.to_ascii_lowercase() {
                'f' => format!("{x:.precision$}"),
                'e' => scientific(x, precision),
                _ => self.shorter(x, precision.max(1)),
            }
        };
        (sign, if upper { body.to_uppercase() } else { body })
    }

    /// `%g`: that of the two which is shorter, without the zeros at the end.
    fn shorter(self, x: f64, precision: usize) -> String {
        let rounded = scientific(x, precision - 1);
        let exponent = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse::<i64>().ok()).unwrap_or(0);
        if exponent < -4 || exponent >= precision as i64 {
            let Some((digits, exponent)) = rounded.split_once('e') else { return rounded };
            return format!("{}e{exponent}", self.bare(digits));
        }
        let behind = usize::try_from(precision as i64 - 1 - exponent).unwrap_or(0);
        self.bare(&format!("{x:.behind$}")).to_owned()
    }

    fn bare(self, digits: &str) -> &str {
        if self.alternate || !digits.contains('.') {
            return digits;
        }
        digits.trim_end_matches('0').trim_end_matches('.')
    }
}

/// `1.5e+02`: C has a sign and two digits at least in the exponent.
fn scientific(x: f64, precision: usize) -> String {
    let written = format!("{x:.precision$e}");
    let Some((digits, exponent)) = written.split_once('e') else { return written };
    let mut out = digits.to_owned();
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    // Writing to a string cannot fail.
    let _ = write!(out, "e{sign}{exponent:0>2}");
    out
}

/// A number at the start of a text, none being zero, and what follows it. `None` when it is past the limit.
fn number(text: &str, most: usize) -> Option<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let n = if digits.is_empty() { 0 } else { digits.parse::<usize>().ok()? };
    (n <= most).then_some((n, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn number_by(by: &str, x: f64, expected: &str) {
        assert_eq!(format(by, Argument::Number(x)).as_deref(), Some(expected), "{by} of {x}");
    }

    /// What the C library printed for the same.
    #[test]
    fn as_c_prints() {
        for (by, x, expected) in [
            ("%.1f", 25.55, "25.6"),
            ("%.1f", 0.25, "0.2"),
            ("%.0f", 24684096.0, "24684096"),
            ("%.2f", -0.004, "-0.00"),
            ("%f", 1.5, "1.500000"),
            ("%u", 4_000_000_000.0, "4000000000"),
            ("%hu", 60_000.0, "60000"),
            ("%d", -5.0, "-5"),
            ("%ld", 7.0, "7"),
            ("%llu", 7.0, "7"),
            ("%5d|", 42.0, "   42|"),
            ("%-5d|", 42.0, "42   |"),
            ("%05d|", -42.0, "-0042|"),
            ("%+.2f", 1.0, "+1.00"),
            ("% d", 3.0, " 3"),
            ("%.3d", 7.0, "007"),
            ("%x", 255.0, "ff"),
            ("%#X", 255.0, "0XFF"),
            ("%o", 8.0, "10"),
            ("%x", -1.0, "ffffffff"),
            ("%e", 12_345.678, "1.234568e+04"),
            ("%.0e", 0.0, "0e+00"),
            ("%g", 0.0001, "0.0001"),
            ("%g", 0.00001, "1e-05"),
            ("%g", 1_000_000.0, "1e+06"),
            ("%g", 100_000.0, "100000"),
            ("%.3g", 1234.5, "1.23e+03"),
            ("%g", 0.5, "0.5"),
            ("%G", 1e-10, "1E-10"),
            ("%.10g", 2.234567890123, "2.23456789"),
            ("%f", f64::INFINITY, "inf"),
            ("%5.1f", f64::NAN, "  nan"),
            ("%05.1f", f64::NEG_INFINITY, " -inf"),
            ("%d%%", 50.0, "50%"),
            ("~%.1f ms", 1.25, "~1.2 ms"),
        ] {
            number_by(by, x, expected);
        }
        assert_eq!(format("<%-4.2s>", Argument::Text("héllo")).as_deref(), Some("<hé  >"));
    }

    #[test]
    fn a_number_stays_what_it_is() {
        number_by("%u", -1.0, "-1");
        number_by("%d", 4_000_000_000.0, "4000000000");
        number_by("%d", 1.5, "1");
        number_by("%hhd", 300.0, "300");
    }

    #[test]
    fn what_cannot_be_printed_is_not() {
        for by in
            ["", "plain", "%%", "%", "%5", "%n", "%p", "%*d", "%1$d", "%d %d", "%s", "%c", "%1000d", "%.99f", "%é"]
        {
            assert_eq!(format(by, Argument::Number(1.0)), None, "{by}");
        }
        for by in ["%d", "%f", "%n"] {
            assert_eq!(format(by, Argument::Text("x")), None, "{by}");
        }
        assert_eq!(format("%d", Argument::Number(f64::NAN)), None);
    }

    proptest! {
        #[test]
        fn any_format_prints_or_does_not(by in ".{0,12}", x in any::<f64>()) {
            let _ = format(&by, Argument::Number(x));
            let _ = format(&by, Argument::Text(&by));
        }

        #[test]
        fn any_conversion_prints_within_bounds(flags in "[-0+ #]{0,3}", width in 0usize..300, precision in 0usize..80,
            conversion in "[diuxXofFeEgG]", x in any::<f64>()) {
            let by = format!("%{flags}{width}.{precision}{conversion}");
            if let Some(text) = super::format(&by, Argument::Number(x)) {
                // The largest double has 309 digits before the point.
                prop_assert!(text.len() < WIDTH_MAX + 512, "{by} of {x}: {} bytes", text.len());
            }
        }
    }
}

//! Which of the known formats a log is in, told from its first lines.
//!
//! Each format reads all the lines. The one wins that finds most fields in them altogether: it fits most lines, or says most
//! of each. Of two that find the same the simpler one wins, so what is `-` in every line makes no format the better one.

use super::{Decoded, Format, Parser};
use crate::limits::GUESS_LINES;
use plugin_api::{Access, Field, Fields};

/// The formats that are tried, and of those that find the same fields the one that wins first. The first line of
/// `vhost_combined` fits `common` too, which takes the host for the client.
const TRIED: [&str; 6] = ["vhost_combined", "common", "combined", "timed", "json", "w3c"];
/// What a log is taken for of which no line fits.
const OTHERWISE: &str = "combined";

/// The format that a log seems to be in.
#[derive(Clone, Debug)]
pub struct Guess {
    /// The format; `combined` where none fits.
    pub format: Format,
    /// What was chosen and how well it fits, for people: `format "combined": 999 of the first 1000 lines fit`.
    pub said: String,
    /// The part of the lines that fit, from 0 to 1; 0 where there are none.
    pub share: f64,
    /// Lines that were looked at, empty ones and headers left out.
    pub lines: usize,
}

/// Guesses the format of a log from its first lines: [`first_lines`] takes them from the beginning of a file. At most
/// [`GUESS_LINES`] are looked at. Without any line it is `combined`, with a share of 0: who waits for a log to begin asks
/// again.
pub fn guess(first_lines: &[&str]) -> Guess {
    Guesser::default().guess(first_lines)
}

/// The whole lines at the beginning of a log, at most [`GUESS_LINES`], without empty ones. A line without its end is one
/// only where `whole` says that nothing follows.
pub fn first_lines(beginning: &str, whole: bool) -> Vec<&str> {
    let text = if whole { beginning } else { &beginning[..memchr::memrchr(b'\n', beginning.as_bytes()).unwrap_or(0)] };
    let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    lines.filter(|line| !line.is_empty()).take(GUESS_LINES).collect()
}

/// Guesses formats, one after another.
#[derive(Debug)]
pub struct Guesser {
    tried: Vec<(Format, Parser)>,
    decoded: Decoded,
}

impl Default for Guesser {
    fn default() -> Guesser {
        let formats = TRIED.iter().filter_map(|name| Format::compile(name).ok());
        let tried = formats.map(|format| (format.clone(), format.parser(Fields::ALL))).collect();
        Guesser { tried, decoded: Decoded::default() }
    }
}

/// How a format fits.
#[derive(Clone, Copy, Debug, Default)]
struct Fit {
    fields: usize,
    fits: usize,
    lines: usize,
}

impl Guesser {
    /// See [`guess`].
    pub fn guess(&mut self, first_lines: &[&str]) -> Guess {
        let lines: Vec<&str> =
            first_lines.iter().copied().filter(|line| !line.trim_end().is_empty()).take(GUESS_LINES).collect();
        let mut best: Option<(usize, Fit)> = None;
        for (i, (format, parser)) in self.tried.iter_mut().enumerate() {
            let fit = fit(format.spec(), parser, &mut self.decoded, &lines);
            if fit.fields > best.map_or(0, |(_, best)| best.fields) {
                best = Some((i, fit));
            }
        }
        let found = best.and_then(|(i, fit)| Some((self.tried.get(i)?.0.clone(), fit)));
        let Some((format, Fit { fits, lines, .. })) = found else { return self.otherwise(lines.len()) };
        let first = if first_lines.len() >= GUESS_LINES { "the first " } else { "" };
        let verb = if fits == 1 { "fits" } else { "fit" };
        let said = format!("format \"{}\": {fits} of {first}{lines} lines {verb}", format.spec());
        Guess { format, said, share: fits as f64 / lines as f64, lines }
    }

    fn otherwise(&self, lines: usize) -> Guess {
        let named = self.tried.iter().find(|(format, _)| format.spec() == OTHERWISE).or(self.tried.first());
        // All of them are good, as the tests see.
        let format = named.map_or_else(Format::nothing, |(format, _)| format.clone());
        let said = match lines {
            0 => format!("format \"{OTHERWISE}\", for there is no line to guess from"),
            n => format!("format \"{OTHERWISE}\", for none that is known fits any of {n} lines"),
        };
        Guess { format, said, share: 0.0, lines }
    }
}

fn fit<'a>(name: &str, parser: &mut Parser, decoded: &mut Decoded, lines: &[&'a str]) -> Fit {
    let mut fit = Fit::default();
    let mut records: Vec<Access<'a>> = Vec::with_capacity(1);
    parser.begin_file();
    for line in lines {
        records.clear();
        decoded.clear();
        let parsed = parser.parse(line, &mut records, decoded);
        match records.first() {
            Some(record) if name != "timed" || has_times(record) => {
                fit.fits += 1;
                fit.fields += Field::ALL.iter().filter(|&&field| record.text(field).is_some()).count();
            }
            None if parsed.is_ok() => continue,
            _ => {}
        }
        fit.lines += 1;
    }
    decoded.clear();
    fit
}

/// Whether what stands where `timed` has its times may be such: nginx writes them with decimals. Apache's `combinedio` has
/// bytes there.
fn has_times(record: &Access<'_>) -> bool {
    [Field::RequestTime, Field::UpstreamTime]
        .iter()
        .all(|&field| record.text(field).is_none_or(|text| text.contains('.')))
}

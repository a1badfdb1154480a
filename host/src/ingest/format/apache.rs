//! Apache's `LogFormat`.
//!
//! Source: Apache HTTP Server 2.4, `mod_log_config`, "Custom Log Formats" and "Modifiers", and `mod_logio`.

use super::error::FormatError;
use super::item::{Item, Layout, What};
use super::spec::Source;
use super::strftime::Pattern;
use super::time::TimeForm;
use plugin_api::Field;
use std::sync::Arc;

/// Reads a format.
pub(super) fn read(source: &Source) -> Result<Layout, FormatError> {
    let mut layout = Layout::default();
    let mut at = 0;
    while let Some(&c) = source.text.get(at) {
        if c != '%' {
            layout.text(c);
            at += 1;
        } else if source.text.get(at + 1) == Some(&'%') {
            layout.text('%');
            at += 2;
        } else {
            at = directive(source, at, &mut layout)?;
        }
    }
    Ok(layout)
}

/// Reads the directive at `start` and says where it ends.
fn directive(source: &Source, start: usize, layout: &mut Layout) -> Result<usize, FormatError> {
    let text = &source.text;
    let column = source.column(start);
    let mut at = start + 1;
    // Of `%400,501{…}i`, `%!200i`, `%>s`: only which of several statuses matters here.
    let mut last = false;
    let mut argument = None;
    loop {
        match text.get(at) {
            Some('!' | ',' | '<' | '0'..='9') => at += 1,
            Some('>') => {
                last = true;
                at += 1;
            }
            Some('{') if argument.is_none() => {
                let Some(len) = text[at..].iter().position(|&c| c == '}') else {
                    return Err(FormatError::new(source.column(at), "{ without its }"));
                };
                argument = Some(text[at + 1..at + len].iter().collect::<String>());
                at += len + 1;
            }
            _ => break,
        }
    }
    let len = if text.get(at) == Some(&'^') { 3 } else { 1 };
    let letters: String = text[at.min(text.len())..].iter().take(len).collect();
    at += letters.chars().count();
    let name: String = text[start..at].iter().collect();
    let argument = argument.as_deref();

    if letters == "t" && argument.is_none() {
        layout.text('[');
        layout.value(Item::new(column, name, What::Time(TimeForm::Local), 1))?;
        layout.text(']');
        return Ok(at);
    }
    let header = |wanted: &str| argument.is_some_and(|name| name.eq_ignore_ascii_case(wanted));
    let (what, rank) = match letters.as_str() {
        "h" => (What::Text(Field::Addr), 1),
        // `%{c}a` is the peer, which may be a proxy.
        "a" if argument.is_some() => (What::Text(Field::Addr), 2),
        "a" => (What::Text(Field::Addr), 0),
        "u" => (What::Text(Field::User), 0),
        "t" => match Pattern::compile(argument.unwrap_or_default()) {
            Ok(pattern) => (What::Time(TimeForm::Pattern(Arc::new(pattern))), 0),
            Err(part) => {
                let why = format!(
                    "\"{part}\" in the time of {name} is not known: known are %a %b %d %D %e %F %H %I %m %M %p %R %s %S %T %y %Y %z %Z and sec, msec, usec, msec_frac, usec_frac"
                );
                return Err(FormatError::new(column, why));
            }
        },
        "r" => (What::Request, 0),
        "m" => (What::Text(Field::Method), 1),
        "U" => (What::Text(Field::Url), 1),
        "H" => (What::Text(Field::Protocol), 1),
        // After an internal redirect `%s` is the first status and `%>s` the one that was sent.
        "s" => (What::Status, u8::from(!last)),
        "b" | "B" => (What::Bytes, 0),
        "O" => (What::Bytes, 1),
        "D" => (What::RequestTime { per_second: 1e6 }, 0),
        "T" => match argument {
            None | Some("s") => (What::RequestTime { per_second: 1.0 }, 2),
            Some("ms") => (What::RequestTime { per_second: 1e3 }, 1),
            Some("us") => (What::RequestTime { per_second: 1e6 }, 0),
            Some(unit) => {
                let why = format!("unknown unit \"{unit}\" in {name}: known are \"s\", \"ms\" and \"us\"");
                return Err(FormatError::new(column, why));
            }
        },
        "V" => (What::Text(Field::Host), 0),
        "v" => (What::Text(Field::Host), 1),
        "i" if header("Referer") => (What::Text(Field::Referer), 0),
        "i" if header("User-Agent") => (What::Text(Field::Agent), 0),
        "i" if header("Host") => (What::Text(Field::Host), 2),
        "A" | "C" | "E" | "I" | "L" | "P" | "R" | "S" | "X" | "c" | "e" | "f" | "i" | "k" | "l" | "n" | "o" | "p"
        | "q" | "^ti" | "^to" | "^FB" | "^FU" => (What::Other, 0),
        "" => return Err(FormatError::new(column, "% without a directive; a percent sign is written %%")),
        _ => {
            let why = format!("unknown directive {name}; a percent sign is written %%");
            return Err(FormatError::new(column, why));
        }
    };
    let list = letters == "i" && header("X-Forwarded-For");
    layout.value(Item::new(column, name, what, rank).list(list))?;
    Ok(at)
}

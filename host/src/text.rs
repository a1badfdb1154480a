//! Foreign text, made fit to be shown.

use plugin_api::limits::cut;

/// One line of at most so many bytes, without anything that moves a cursor or changes a colour.
#[must_use]
pub(crate) fn one_line(text: String, bytes_max: usize) -> String {
    if text.len() <= bytes_max && !text.contains(char::is_control) {
        return text;
    }
    let mut line: String = cut(&text, bytes_max).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > bytes_max {
        line.push('…');
    }
    line
}

/// The first line of what is told, and what follows it (a traceback, say), each made fit to be shown.
#[must_use]
pub(crate) fn line_and_detail(text: String, line_max: usize, detail_max: usize) -> (String, String) {
    match text.split_once('\n') {
        None => (one_line(text, line_max), String::new()),
        Some((line, detail)) => (one_line(line.to_owned(), line_max), lines(detail, detail_max)),
    }
}

/// Several lines, of which the last ones matter most: of a text that is too long they are kept.
fn lines(text: &str, bytes_max: usize) -> String {
    let mut from = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let tame = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    let kept: String = text[from..].trim_end().chars().map(tame).collect();
    if from > 0 { format!("…{kept}") } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_or_wild_is_tamed() {
        assert_eq!(one_line("as it is".into(), 100), "as it is");
        assert_eq!(one_line("a\nb\x1b[31mc\r".into(), 100), "a b [31mc ");
        assert_eq!(one_line("ééé".into(), 3), "é…");
        let told = |text: &str| line_and_detail(text.into(), 100, 5);
        assert_eq!(told("why"), ("why".into(), String::new()));
        assert_eq!(told("why\na\x1b\nb\n"), ("why".into(), "a \nb".into()));
        assert_eq!(told("why\n123é6789"), ("why".into(), "…6789".into()));
    }
}

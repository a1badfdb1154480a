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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_or_wild_is_tamed() {
        assert_eq!(one_line("as it is".into(), 100), "as it is");
        assert_eq!(one_line("a\nb\x1b[31mc\r".into(), 100), "a b [31mc ");
        assert_eq!(one_line("ééé".into(), 3), "é…");
    }
}

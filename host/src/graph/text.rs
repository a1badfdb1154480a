//! Texts from anybody, made fit for a picture: cleaned, measured, cut.

use crate::limits::GRAPH_TEXT_CHARS;
use std::sync::OnceLock;
use ttf_parser::Face;

/// The font of all pictures. What it lacks comes from the system's.
pub(super) const FONT: &[u8] = include_bytes!("font/Roboto.ttf");

/// Where the font is not to be had (a browser), what stands for it.
pub(super) const FAMILIES: &str = "Roboto,'Noto Sans',system-ui,sans-serif";

/// The name by which the font is found.
pub(super) const FAMILY: &str = "Roboto";

/// The font, taken apart. It is part of the program, and whole.
fn face() -> Option<&'static Face<'static>> {
    static FACE: OnceLock<Option<Face<'static>>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(FONT, 0).ok()).as_ref()
}

/// Whether the font has all that a text needs.
pub(super) fn has_all(text: &str) -> bool {
    face().is_none_or(|face| text.chars().all(|c| face.glyph_index(c).is_some()))
}

/// What a text is in one line of a picture: nothing in it changes the direction of what follows, is no character (XML 1.0, 2.2) or
/// ends a line. What cannot be shown is `U+FFFD`, so that two keys that differ look different from what they seem to be.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == GRAPH_TEXT_CHARS {
            out.push('…');
            break;
        }
        out.push(match c {
            '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
            c if is_wild(c) => '\u{fffd}',
            c => c,
        });
    }
    out
}

/// Controls, what sets directions (Unicode Standard Annex 9, 2) or hides, and what XML cannot have.
fn is_wild(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// How wide a text is, in pixels; of characters that the font lacks, about.
pub(super) fn width(text: &str, size: f32) -> f32 {
    text.chars().map(|c| advance(c) * size).sum()
}

/// In parts of the font's size.
fn advance(c: char) -> f32 {
    if joins(c) {
        return 0.0;
    }
    let Some(face) = face() else { return 0.6 };
    let known = face.glyph_index(c).and_then(|glyph| face.glyph_hor_advance(glyph));
    known.map_or_else(|| if is_wide(c) { 1.2 } else { 0.7 }, |units| f32::from(units) / f32::from(face.units_per_em()))
}

/// What takes a whole square: Chinese, Japanese, Korean, pictures.
pub(super) fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f000..=0x1faff | 0x20000..=0x3fffd | 0x2600..=0x27bf)
}

/// What is drawn onto the character before, or together with it.
pub(super) fn joins(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x64b..=0x65f | 0x200c..=0x200d | 0x20d0..=0x20ff
        | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0x1f3fb..=0x1f3ff | 0xe0100..=0xe01ef)
}

/// The text if it fits into so many pixels, or as much of its beginning as does, and an ellipsis.
pub(super) fn fit(text: &str, size: f32, most: f32) -> String {
    cut(text, most / size, advance)
}

/// The same in the cells of a terminal.
pub(super) fn fit_cells(text: &str, most: usize) -> String {
    cut(text, most as f32, |c| cells(c) as f32)
}

/// The cells that a character takes in a terminal.
fn cells(c: char) -> usize {
    if joins(c) { 0 } else { 1 + usize::from(is_wide(c)) }
}

/// The cells that a text takes.
pub(super) fn width_cells(text: &str) -> usize {
    text.chars().map(cells).sum()
}

fn cut(text: &str, most: f32, advance: impl Fn(char) -> f32) -> String {
    let (mut taken, mut fits, mut before) = (0.0, 0, ' ');
    let room = most - advance('…');
    for (at, c) in text.char_indices() {
        // What joins goes with the character before, and what is joined too.
        if taken <= room && !joins(c) && before != '\u{200d}' {
            fits = at;
        }
        (taken, before) = (taken + advance(c), c);
        if taken > most {
            let begin = text[..fits].trim_end();
            return if room < 0.0 { String::new() } else { format!("{begin}…") };
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_wild_is_left_and_everything_else_is() {
        for kept in ["a,b c", "<b>&\"'", "مرحبا", "中文", "👩\u{200d}💻", "é", "e\u{301}"] {
            assert_eq!(clean(kept), kept);
        }
        assert_eq!(clean("a\u{202e}b\u{0}c\u{1b}[31m\nd\u{2066}"), "a\u{fffd}b\u{fffd}c\u{fffd}[31m d\u{fffd}");
        assert_eq!(clean("\u{ffff}\u{1fffe}\u{feff}"), "\u{fffd}\u{fffd}\u{fffd}");
        let long = clean(&"x".repeat(10_240));
        assert_eq!((long.chars().count(), long.ends_with("x…")), (GRAPH_TEXT_CHARS + 1, true));
    }

    #[test]
    fn a_text_that_does_not_fit_ends_with_an_ellipsis_and_fits() {
        for text in [
            "a long name of something",
            "中文的一个很长的名字",
            "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
            "👩\u{200d}💻👩\u{200d}💻",
        ] {
            assert_eq!(fit(text, 11.0, 10_000.0), text);
            for most in 0_u16..80 {
                let most = f32::from(most);
                let cut = fit(text, 11.0, most);
                assert!(width(&cut, 11.0) <= most + 0.01, "{cut:?} in {most}");
                assert!(cut.is_empty() || cut == text || cut.ends_with('…'), "{cut:?}");
                let begin = cut.trim_end_matches('…');
                assert!(!begin.ends_with('\u{200d}') && !text[begin.len()..].starts_with(joins), "{cut:?}");
            }
        }
    }

    #[test]
    fn the_font_is_there_and_has_figures_of_one_width() {
        assert!(has_all("Ålesund Αθήνα Москва 0123456789 µ…−€\u{fffd}") && !has_all("中"));
        let widths: Vec<f32> = "0123456789".chars().map(advance).collect();
        assert!(widths.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()), "{widths:?}");
    }
}

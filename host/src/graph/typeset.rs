//! Texts of several scripts, set piece by piece, each with the one font that has it.
//!
//! usvg would look for fonts itself, but gives up where two fonts make another number of glyphs of the same text, as they do of
//! every ligature (Arabic, emoji). So it is handed pieces, each with its font and its place.

use super::fonts::{find, has_char, large, small};
use super::text::{has_all, is_wide, joins, width};
use parking_lot::Mutex;
use resvg::usvg::fontdb::{Database, ID};
use resvg::usvg::{FontFamily, FontResolver, Options, Tree};
use rustybuzz::{Face, UnicodeBuffer};
use std::collections::HashMap;
use std::sync::Arc;
use unicode_bidi::{BidiInfo, Level};

/// A part of a text that is set with one font, from left to right.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Which of the setter's fonts; none is ours.
    pub(super) font: Option<usize>,
    /// In pixels.
    pub(super) width: f32,
}

/// What sets the texts of one picture.
#[derive(Debug, Default)]
pub(super) struct Setter {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where a character was found: a picture looks for it once.
    known: HashMap<char, Option<ID>>,
    /// Fonts beside ours, by the number in [`Piece::font`].
    fonts: Vec<ID>,
    /// Looks through all fonts that this picture has cost.
    looks: usize,
    /// The system's fonts, where they are needed.
    system: Option<Arc<Database>>,
}

impl Setter {
    /// The pieces of a text, from left to right.
    pub(super) fn pieces(&self, text: &str, size: f32) -> Vec<Piece> {
        if has_all(text) {
            return vec![Piece { text: text.to_owned(), font: None, width: width(text, size) }];
        }
        let mut state = self.state.lock();
        let system = Arc::clone(state.system.get_or_insert_with(large));
        let mut pieces = Vec::new();
        let bidi = BidiInfo::new(text, Some(Level::ltr()));
        for paragraph in &bidi.paragraphs {
            let (levels, runs) = bidi.visual_runs(paragraph, paragraph.range.clone());
            for run in runs {
                let leftward = levels.get(run.start).is_some_and(Level::is_rtl);
                let mut parts = state.parts(text.get(run).unwrap_or_default(), &system);
                if leftward {
                    parts.reverse();
                }
                for (text, font) in parts {
                    let width =
                        font.and_then(|id| shaped(&system, id, &text, size)).unwrap_or_else(|| width(&text, size));
                    let font = font.map(|id| state.number(id));
                    pieces.push(Piece { text, font, width });
                }
            }
        }
        pieces
    }

    /// An SVG of ours with its texts laid out, whose fonts have the names that [`font_name`] gives.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn lay_out(self, svg: &str) -> Result<Tree, String> {
        let state = self.state.into_inner();
        let fonts = state.system.unwrap_or_else(small);
        let ours = fonts.faces().next().map(|face| face.id);
        let named = state.fonts;
        let select = move |families: &[FontFamily]| {
            let Some(FontFamily::Named(name)) = families.first() else { return ours };
            named.iter().enumerate().find(|(number, _)| *name == font_name(*number)).map(|(_, id)| *id).or(ours)
        };
        let resolver = FontResolver {
            select_font: Box::new(move |font, _| select(font.families())),
            // What no font has is an empty box.
            select_fallback: Box::new(|_, _, _| None),
        };
        let options = Options { fontdb: fonts, font_resolver: resolver, ..Options::default() };
        Tree::from_str(svg, &options).map_err(|error| format!("the picture cannot be read: {error}"))
    }
}

/// How a font is called in an SVG that is laid out here.
pub(super) fn font_name(number: usize) -> String {
    format!("font-{number}")
}

impl State {
    fn number(&mut self, id: ID) -> usize {
        self.fonts.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.fonts.push(id);
            self.fonts.len() - 1
        })
    }

    /// A text of one direction, in its order, divided where its font changes. What a font has goes on in that font, so that blanks
    /// and points divide nothing.
    fn parts(&mut self, text: &str, fonts: &Database) -> Vec<(String, Option<ID>)> {
        let mut parts: Vec<(String, Option<ID>)> = Vec::new();
        let mut buffer = [0; 4];
        for c in text.chars() {
            if let Some((part, font)) = parts.last_mut() {
                // Blanks of fonts with squares are squares.
                let narrow = part.chars().last().is_some_and(|last| !is_wide(last) && !joins(last));
                let common = narrow && !c.is_alphanumeric() && font.is_some_and(|id| has_char(fonts, id, c));
                if joins(c) || common {
                    part.push(c);
                    continue;
                }
            }
            let ours = has_all(c.encode_utf8(&mut buffer));
            let State { known, looks, .. } = self;
            let font = if ours { None } else { *known.entry(c).or_insert_with(|| find(fonts, c, looks)) };
            match parts.last_mut() {
                Some((part, last)) if *last == font => part.push(c),
                _ => parts.push((c.to_string(), font)),
            }
        }
        parts
    }
}

/// How wide a text is in a font, in pixels.
fn shaped(fonts: &Database, id: ID, text: &str, size: f32) -> Option<f32> {
    fonts.with_face_data(id, |data, index| {
        let face = Face::from_slice(data, index)?;
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        let glyphs = rustybuzz::shape(&face, &[], buffer);
        let units: i64 = glyphs.glyph_positions().iter().map(|glyph| i64::from(glyph.x_advance)).sum();
        Some(units as f32 / face.units_per_em() as f32 * size)
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        Setter::default().pieces(text, 11.0).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn what_our_font_has_is_one_piece_and_asks_for_no_other() {
        let setter = Setter::default();
        assert_eq!(setter.pieces("Größe, Ωμέγα", 11.0).len(), 1);
        assert!(setter.state.lock().system.is_none());
        assert!(setter.pieces("中", 11.0).len() == 1 && setter.state.lock().system.is_some());
    }

    #[test]
    fn pieces_stand_as_they_are_read() {
        // Whether there is a font or not: what is written leftwards is one run, and numbers in it stand as numbers do.
        assert_eq!(texts("a مر b").concat(), "a مر b");
        assert_eq!(texts("ab שלום").concat(), "ab שלום");
        let pieces = texts("x שלום 12 y");
        let at = |part: &str| pieces.iter().position(|piece| piece.contains(part));
        assert!(at("x") <= at("12") && at("12") < at("שלום") && at("שלום") <= at("y"), "{pieces:?}");
    }

    #[test]
    fn characters_that_nobody_has_are_not_looked_for_for_ever() {
        let setter = Setter::default();
        // Private use: no two are the same, none has a font that is known.
        for block in 0..40_u32 {
            let text: String = (0..100).filter_map(|i| char::from_u32(0xf_0000 + block * 100 + i)).collect();
            assert_eq!(setter.pieces(&text, 11.0).into_iter().map(|piece| piece.text).collect::<String>(), text);
        }
        assert!(setter.state.lock().looks <= crate::limits::GRAPH_LOOKS_MAX);
    }
}

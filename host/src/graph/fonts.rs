//! The fonts that PNG, JPEG and PDF are made with: ours, and the system's where ours lacks a character.
//!
//! Nothing is read before there is a picture that needs it; most never need the system's.

use super::text::{FAMILY, FONT};
use crate::limits::{GRAPH_LOOKS_MAX, GRAPH_TEXT_CHARS};
use parking_lot::Mutex;
use resvg::usvg::fontdb::{Database, ID, Source, Style};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use ttf_parser::Face;

/// Ours alone.
fn ours() -> Database {
    let mut fonts = Database::new();
    fonts.load_font_source(Source::Binary(Arc::new(FONT)));
    fonts.set_sans_serif_family(FAMILY);
    fonts
}

/// Ours alone: what most pictures need.
pub(super) fn small() -> Arc<Database> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    Arc::clone(FONTS.get_or_init(|| Arc::new(ours())))
}

/// The system's, once they were needed.
static LARGE: OnceLock<Arc<Database>> = OnceLock::new();

/// Whether anything has needed the system's.
#[cfg(test)]
pub(super) fn is_large_read() -> bool {
    LARGE.get().is_some()
}

/// Ours, by the same name, and the system's.
pub(super) fn large() -> Arc<Database> {
    let load = || {
        let mut fonts = ours();
        fonts.load_system_fonts();
        Arc::new(fonts)
    };
    Arc::clone(LARGE.get_or_init(load))
}

/// Which font of the system has a character; none if none has.
#[derive(Debug, Default)]
struct Known {
    fonts: HashMap<char, Option<ID>>,
    /// Those that had some, the newest first: a text is mostly of one script.
    used: Vec<ID>,
}

/// Characters that are remembered: those of many scripts.
const KNOWN_MAX: usize = 64 * GRAPH_TEXT_CHARS;

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// Whether a font has a character.
pub(super) fn has_char(fonts: &Database, id: ID, c: char) -> bool {
    let has = |data: &[u8], index| Face::parse(data, index).is_ok_and(|face| face.glyph_index(c).is_some());
    fonts.with_face_data(id, has).unwrap_or(false)
}

/// Fonts that were used last, which are looked through before all others.
const USED_MAX: usize = 16;

/// A font that has the character. It is looked for in the fonts that were used last, and in all others as long as `looks`, which a
/// picture begins with none of, are not all taken, and after that in the last one alone: a text of characters that nobody has costs no
/// more. A picture asks once for a character.
pub(super) fn find(fonts: &Database, c: char, looks: &mut usize) -> Option<ID> {
    let used = {
        let mut known = KNOWN.lock();
        let known = known.get_or_insert_default();
        if let Some(found) = known.fonts.get(&c) {
            return *found;
        }
        known.used.clone()
    };
    // Files are opened here: no other picture waits for it.
    let spent = *looks >= GRAPH_LOOKS_MAX;
    let mut found = used.iter().copied().take(if spent { 1 } else { USED_MAX }).find(|id| has_char(fonts, *id, c));
    if found.is_none() {
        if spent {
            return None;
        }
        *looks += 1;
        // Upright and of ordinary weight before others.
        let plain = |id: &ID| fonts.face(*id).is_some_and(|face| face.weight.0 == 400 && face.style == Style::Normal);
        let mut all: Vec<ID> = fonts.faces().map(|face| face.id).collect();
        all.sort_by_key(|id| !plain(id));
        found = all.into_iter().find(|id| has_char(fonts, *id, c));
    }
    let mut known = KNOWN.lock();
    let known = known.get_or_insert_default();
    if known.fonts.len() >= KNOWN_MAX {
        known.fonts.clear();
    }
    known.fonts.insert(c, found);
    if let Some(id) = found {
        known.used.retain(|other| *other != id);
        known.used.insert(0, id);
    }
    found
}

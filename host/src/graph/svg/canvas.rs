//! Elements of SVG 1.1, written.

use super::Area;
use crate::graph::styles::Rgb;
use crate::graph::text::{FAMILIES, clean};
use crate::graph::typeset::{Setter, font_name};
use gmod_compat::xml::escape;
use std::fmt::Write;

/// Which end of a text is where it is said to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG under way. Writing to a `String` cannot fail.
#[derive(Debug)]
pub(super) struct Canvas<'s> {
    out: String,
    /// Who sets texts, if it is not whoever shows the SVG.
    setter: Option<&'s Setter>,
}

impl<'s> Canvas<'s> {
    /// An empty picture.
    pub(super) fn new(width: u32, height: u32, title: &str, setter: Option<&'s Setter>) -> Canvas<'s> {
        let mut out = String::with_capacity(16 * 1024);
        let _ = writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" font-family=\"{FAMILIES}\">"
        );
        out.push_str("<title>");
        escape(&clean(title), &mut out);
        out.push_str("</title>\n");
        Canvas { out, setter }
    }

    /// The whole of it.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }

    pub(super) fn rect(&mut self, area: Area, fill: Rgb, opacity: f32) {
        let (x, y, width, height) = (Px(area.x), Px(area.y), Px(area.width.max(0.0)), Px(area.height.max(0.0)));
        let _ = write!(self.out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"");
        self.opacity(opacity);
    }

    /// A straight line, one pixel wide; `dashed` or not.
    pub(super) fn line(&mut self, from: (f32, f32), to: (f32, f32), stroke: Rgb, dashed: bool) {
        let (x1, y1, x2, y2) = (Px(from.0), Px(from.1), Px(to.0), Px(to.1));
        let dash = if dashed { " stroke-dasharray=\"3 3\"" } else { "" };
        let _ = writeln!(self.out, "<path d=\"M{x1} {y1}L{x2} {y2}\" stroke=\"{stroke}\"{dash} fill=\"none\"/>");
    }

    /// A line through points, which may come in several pieces.
    pub(super) fn lines(&mut self, pieces: &[Vec<(f32, f32)>], stroke: Rgb, width: f32) {
        if pieces.is_empty() {
            return;
        }
        self.out.push_str("<path d=\"");
        for piece in pieces {
            self.points(piece);
            if piece.len() == 1 {
                // A line of no length has round ends and is a dot.
                self.out.push_str("h0.01");
            }
        }
        let _ = writeln!(
            self.out,
            "\" stroke=\"{stroke}\" stroke-width=\"{width}\" stroke-linejoin=\"round\" stroke-linecap=\"round\" fill=\"none\"/>"
        );
    }

    /// What lies within points, which may come in several pieces.
    pub(super) fn areas(&mut self, pieces: &[Vec<(f32, f32)>], fill: Rgb, opacity: f32) {
        if pieces.is_empty() {
            return;
        }
        self.out.push_str("<path d=\"");
        for piece in pieces {
            self.points(piece);
            self.out.push('Z');
        }
        let _ = write!(self.out, "\" fill=\"{fill}\"");
        self.opacity(opacity);
    }

    /// A text from anybody, its base line at `y`.
    pub(super) fn text(&mut self, x: f32, y: f32, size: f32, anchor: Anchor, fill: Rgb, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = clean(text);
        let mut pieces = self.setter.map_or_else(Vec::new, |setter| setter.pieces(&text, size));
        // One of our font needs no help.
        if pieces.iter().all(|piece| piece.font.is_none()) {
            return self.piece((x, y), size, anchor, fill, &text, None);
        }
        let whole: f32 = pieces.iter().map(|piece| piece.width).sum();
        let mut x = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - whole / 2.0,
            Anchor::End => x - whole,
        };
        for piece in pieces.drain(..) {
            self.piece((x, y), size, Anchor::Start, fill, &piece.text, piece.font);
            x += piece.width;
        }
    }

    fn piece(&mut self, at: (f32, f32), size: f32, anchor: Anchor, fill: Rgb, text: &str, font: Option<usize>) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let (x, y) = (Px(at.0), Px(at.1));
        let _ = write!(self.out, "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{anchor} fill=\"{fill}\"");
        if let Some(font) = font {
            let _ = write!(self.out, " font-family=\"{}\"", font_name(font));
        }
        // Blanks at the ends of a piece are between it and the next.
        if text.starts_with(' ') || text.ends_with(' ') {
            self.out.push_str(" xml:space=\"preserve\"");
        }
        self.out.push('>');
        escape(text, &mut self.out);
        self.out.push_str("</text>\n");
    }

    fn opacity(&mut self, opacity: f32) {
        if opacity < 1.0 {
            let _ = write!(self.out, " fill-opacity=\"{opacity}\"");
        }
        self.out.push_str("/>\n");
    }

    fn points(&mut self, points: &[(f32, f32)]) {
        for (i, (x, y)) in points.iter().enumerate() {
            let (x, y) = (Px(*x), Px(*y));
            let _ = write!(self.out, "{}{x} {y}", if i == 0 { 'M' } else { 'L' });
        }
    }
}

/// A length with a tenth of a pixel at most.
struct Px(f32);

impl std::fmt::Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round() as i64;
        let (sign, tenths) = (if tenths < 0 { "-" } else { "" }, tenths.unsigned_abs());
        write!(f, "{sign}{}", tenths / 10)?;
        if tenths % 10 == 0 { Ok(()) } else { write!(f, ".{}", tenths % 10) }
    }
}

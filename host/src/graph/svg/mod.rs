//! Pictures as SVG.
//!
//! Everything that comes from anybody is a text between two tags, and goes through [`Canvas::text`], which cleans and escapes it.
//! There is no script, no style sheet, no reference.

mod canvas;
mod list;
mod time;

use super::styles::Theme;
use super::text::{fit, width};
use super::typeset::Setter;
use super::{Body, Look, Picture};
use canvas::{Anchor, Canvas};

/// Size of letters, in pixels.
const SIZE: f32 = 11.0;
/// Of a title.
const TITLE_SIZE: f32 = 14.0;
/// What is left free around everything.
const PAD: f32 = 12.0;

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug)]
struct Area {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
}

/// What parts of a picture share.
struct Sheet<'l> {
    canvas: Canvas<'l>,
    theme: &'static Theme,
    look: &'l Look,
}

/// A picture as SVG; with its texts in pieces where somebody sets them.
pub(super) fn draw<'l>(picture: &Picture, look: &'l Look, setter: Option<&'l Setter>) -> String {
    let (width, height) = (look.width as f32, look.height as f32);
    let theme = look.theme;
    let mut sheet = Sheet { canvas: Canvas::new(look.width, look.height, &picture.title, setter), theme, look };
    let whole = Area { x: 0.0, y: 0.0, width, height };
    sheet.canvas.rect(whole, theme.background, 1.0);
    // A picture as small as a word has room for its lines alone.
    let pad = if height < 60.0 || width < 100.0 { 3.0 } else { PAD };
    let mut area = Area { x: pad, y: pad, width: width - 2.0 * pad, height: height - 2.0 * pad };
    if height >= 60.0 && width >= 100.0 {
        let beside = match &picture.body {
            Body::Time(time) => time::beside(picture, time, look),
            Body::List(_) => String::new(),
        };
        sheet.title(picture, &beside, area);
        let taken = TITLE_SIZE + 8.0;
        (area.y, area.height) = (area.y + taken, area.height - taken);
    }
    match &picture.body {
        Body::Time(time) => time::draw(&mut sheet, picture, time, area),
        Body::List(list) => list::draw(&mut sheet, picture, list, area),
    }
    sheet.canvas.finish()
}

impl Sheet<'_> {
    /// The title, and at the right what there is to say beside it.
    fn title(&mut self, picture: &Picture, beside: &str, area: Area) {
        let base = area.y + TITLE_SIZE - 2.0;
        let beside = fit(beside, SIZE, area.width / 2.0);
        let taken = if beside.is_empty() { 0.0 } else { width(&beside, SIZE) + 12.0 };
        let title = fit(&super::clean(&picture.title), TITLE_SIZE, area.width - taken);
        self.canvas.text(area.x, base, TITLE_SIZE, Anchor::Start, self.theme.ink, &title);
        self.canvas.text(area.x + area.width, base, SIZE, Anchor::End, self.theme.pale, &beside);
    }

    /// Says that there is nothing to be drawn.
    fn nothing(&mut self, words: &str, area: Area) {
        let words = fit(words, SIZE, area.width);
        let (x, y) = (area.x + area.width / 2.0, area.y + area.height / 2.0 + SIZE / 3.0);
        self.canvas.text(x, y, SIZE, Anchor::Middle, self.theme.pale, &words);
    }
}

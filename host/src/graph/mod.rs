//! Pictures of the tree and of its history.
//!
//! What is asked ([`Look`], [`Question`]) becomes a [`Picture`], which has numbers, names and times and nothing of a form
//! ([`gather`]); that becomes SVG ([`svg`]), of which PNG, JPEG and PDF are made ([`raster`], [`pdf`]), or letters for a terminal
//! ([`letters`]). All but `gather` is pure.

mod figures;
mod fonts;
mod gather;
mod layout;
mod letters;
mod look;
mod pdf;
mod raster;
mod styles;
mod svg;
#[cfg(test)]
mod tests;
mod text;
mod typeset;

pub(crate) use figures::Unit;
pub(crate) use gather::{Question, Wrong, gather};
pub(crate) use look::{Form, Look, known};
use styles::Rgb;
use text::clean;
use typeset::Setter;

/// The type of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lines over time.
    Line,
    /// Areas over time, each on top of the one before.
    Stacked,
    /// Bars: over time if a time is named, else of what is there now.
    Bar,
    /// A list of what is there now, the heaviest first.
    Top,
}

impl Kind {
    /// All, as they are written.
    pub(crate) const NAMES: [(&'static str, Kind); 4] =
        [("line", Kind::Line), ("stacked", Kind::Stacked), ("bar", Kind::Bar), ("top", Kind::Top)];
}

/// What is to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) title: String,
    pub(crate) unit: Unit,
    pub(crate) body: Body,
    /// What was left out, if anything was.
    pub(crate) note: String,
}

/// What a picture shows.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Time(Time),
    List(List),
}

/// How values went on.
#[derive(Clone, Debug)]
pub(crate) struct Time {
    pub(crate) kind: Kind,
    /// In milliseconds since the Unix epoch, first and last.
    pub(crate) range: (i64, i64),
    /// Where the axis of values ends, if nothing goes beyond.
    pub(crate) most: Option<f64>,
    pub(crate) lines: Vec<Line>,
    /// In the order of their times.
    pub(crate) markers: Vec<Marker>,
    /// The length of a step in milliseconds, 0 where it is not known.
    pub(crate) step_ms: i64,
}

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) colour: Rgb,
    /// It is filled down to the axis.
    pub(crate) filled: bool,
    /// Times in milliseconds since the Unix epoch, and values; no number where there is a gap.
    pub(crate) points: Vec<(i64, f64)>,
}

impl Line {
    /// The last value that there is.
    pub(crate) fn last(&self) -> f64 {
        self.points.iter().rev().map(|(_, value)| *value).find(|value| !value.is_nan()).unwrap_or(f64::NAN)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) at_ms: i64,
    pub(crate) text: String,
}

/// What is there now.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// Bars beside each other rather than below each other.
    pub(crate) upright: bool,
    /// Names and values, the first first.
    pub(crate) rows: Vec<(String, f64)>,
    pub(crate) colours: Vec<Rgb>,
    /// Rows that there are beside these.
    pub(crate) more: usize,
}

/// Why there are no bytes of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undrawn {
    /// They cannot be made of it; never so for [`Form::Svg`] and [`Form::Txt`].
    Failed(String),
    /// Whoever asked for it has left.
    Left,
}

impl From<String> for Undrawn {
    fn from(why: String) -> Undrawn {
        Undrawn::Failed(why)
    }
}

/// A picture as bytes, for as long as it is `waited_for`: that is asked between what takes long.
///
/// # Errors
/// See [`Undrawn`].
pub(crate) fn draw(picture: &Picture, look: &Look, waited_for: &dyn Fn() -> bool) -> Result<Vec<u8>, Undrawn> {
    let still = || if waited_for() { Ok(()) } else { Err(Undrawn::Left) };
    let laid_out = || {
        let setter = Setter::default();
        let svg = svg::draw(picture, look, Some(&setter));
        still()?;
        let tree = setter.lay_out(&svg)?;
        still()?;
        Ok::<_, Undrawn>(tree)
    };
    let pixels = || {
        let pixels = raster::pixels(&laid_out()?)?;
        still()?;
        Ok::<_, Undrawn>(pixels)
    };
    Ok(match look.form {
        Form::Txt => letters::draw(picture, look).into_bytes(),
        Form::Svg => svg::draw(picture, look, None).into_bytes(),
        Form::Png => raster::png(&pixels()?)?,
        Form::Jpg => raster::jpeg(&pixels()?)?,
        Form::Pdf => pdf::of(&laid_out()?, &clean(&picture.title))?,
    })
}

//! What a picture is to look like, as arguments say it.

use super::Kind;
use super::styles::{STYLES, Style, THEMES, Theme};
use crate::limits::{GRAPH_COLUMNS, GRAPH_PIXELS_MAX, GRAPH_ROWS, GRAPH_SIDE};

/// The form of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Svg,
    Png,
    Jpg,
    Pdf,
    /// Letters, for a terminal.
    Txt,
}

impl Form {
    /// All, as a file's name ends.
    pub(crate) const NAMES: [(&'static str, Form); 6] = [
        ("svg", Form::Svg),
        ("png", Form::Png),
        ("jpg", Form::Jpg),
        ("jpeg", Form::Jpg),
        ("pdf", Form::Pdf),
        ("txt", Form::Txt),
    ];

    /// As HTTP calls it.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Form::Svg => "image/svg+xml",
            Form::Png => "image/png",
            Form::Jpg => "image/jpeg",
            Form::Pdf => "application/pdf",
            Form::Txt => "text/plain; charset=utf-8",
        }
    }
}

/// What a picture is to look like.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) form: Form,
    /// In pixels, or in columns and lines of letters.
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// What stands above it, if not what it shows.
    pub(crate) title: Option<String>,
    pub(crate) style: &'static Style,
    pub(crate) theme: &'static Theme,
    /// That of the style if none is named.
    pub(crate) kind: Option<Kind>,
    /// Whether lines are named; if it is not said, where there are several.
    pub(crate) legend: Option<bool>,
    /// Letters have colours (ECMA-48, 8.3.117).
    pub(crate) ansi: bool,
}

impl Look {
    /// The arguments that it reads.
    pub(crate) const ARGUMENTS: [&'static str; 7] = ["size", "title", "style", "type", "theme", "legend", "ansi"];

    /// What it is if nothing is said.
    pub(crate) fn new(form: Form) -> Look {
        let (width, height) = if form == Form::Txt { (80, 20) } else { (640, 240) };
        let (style, theme) = (&STYLES[0], &THEMES[0]);
        Look { form, width, height, title: None, style, theme, kind: None, legend: None, ansi: false }
    }

    /// Takes an argument.
    ///
    /// # Errors
    /// What it must be, with all that is known.
    pub(crate) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "size" => (self.width, self.height) = self.size(value)?,
            "title" => self.title = Some(value.to_owned()),
            "style" => self.style = of_name(&STYLES, |style| style.name, value)?,
            "theme" => self.theme = of_name(&THEMES, |theme| theme.name, value)?,
            "type" => self.kind = Some(*known(&Kind::NAMES, value)?),
            "legend" => self.legend = Some(*known(&[("on", true), ("off", false)], value)?),
            _ => self.ansi = *known(&[("1", true), ("0", false)], value)?,
        }
        Ok(())
    }

    fn size(&self, value: &str) -> Result<(u32, u32), String> {
        let letters = self.form == Form::Txt;
        let (wide, high) = if letters { (GRAPH_COLUMNS, GRAPH_ROWS) } else { (GRAPH_SIDE, GRAPH_SIDE) };
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
        let read = value.split_once('x').and_then(|(width, height)| number(width).zip(number(height)));
        let fits = |(width, height): &(u32, u32)| {
            wide.contains(width) && high.contains(height) && (letters || width * height <= GRAPH_PIXELS_MAX)
        };
        read.filter(fits).ok_or_else(|| {
            let what = if letters { "columns and lines such as 80x20" } else { "pixels such as 640x240" };
            let all = if letters { String::new() } else { format!(", and not more than {GRAPH_PIXELS_MAX} of them") };
            let (low, high) = ((wide.start(), high.start()), (wide.end(), high.end()));
            format!("must be {what}, from {}x{} to {}x{}{all}", low.0, low.1, high.0, high.1)
        })
    }
}

/// What is called so.
///
/// # Errors
/// All names that there are.
pub(crate) fn known<'k, T>(all: &'k [(&str, T)], value: &str) -> Result<&'k T, String> {
    let found = all.iter().find(|(name, _)| *name == value).map(|(_, found)| found);
    found.ok_or_else(|| one_of(all.iter().map(|(name, _)| *name)))
}

fn of_name<T>(all: &'static [T], name: impl Fn(&T) -> &'static str, value: &str) -> Result<&'static T, String> {
    all.iter().find(|one| name(one) == value).ok_or_else(|| one_of(all.iter().map(&name)))
}

fn one_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    format!("must be one of {}", names.collect::<Vec<_>>().join(", "))
}

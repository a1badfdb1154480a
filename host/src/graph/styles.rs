//! What pictures look like: one table of styles, the two themes, the colours of lines.

use super::Kind;

/// A colour, as SVG and terminals have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rgb(pub(crate) u8, pub(crate) u8, pub(crate) u8);

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

const BLUE: Rgb = Rgb(0x00, 0x72, 0xb2);
const VERMILION: Rgb = Rgb(0xd5, 0x5e, 0x00);
const GREEN: Rgb = Rgb(0x00, 0x9e, 0x73);
const PURPLE: Rgb = Rgb(0xcc, 0x79, 0xa7);
const AMBER: Rgb = Rgb(0xb0, 0x78, 0x00);
const SKY: Rgb = Rgb(0x2e, 0x8f, 0xc9);
const WINE: Rgb = Rgb(0x9b, 0x4f, 0x96);
const GREY: Rgb = Rgb(0x7a, 0x80, 0x87);

/// The colours of lines, in the order in which they are given out. After M. Okabe and K. Ito, "Color universal design", the light ones
/// darker: each stands out from both backgrounds by 3:1 (WCAG 2.2, 1.4.11).
pub(crate) const COLOURS: [Rgb; 8] = [BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY, WINE, GREY];

/// A light or a dark picture.
#[derive(Debug)]
pub(crate) struct Theme {
    pub(crate) name: &'static str,
    pub(crate) background: Rgb,
    /// Of texts.
    pub(crate) ink: Rgb,
    /// Of what is less important: labels of axes.
    pub(crate) pale: Rgb,
    /// Of lines behind everything.
    pub(crate) grid: Rgb,
    /// Of an axis.
    pub(crate) axis: Rgb,
}

/// All themes; the first where none is named.
pub(crate) const THEMES: [Theme; 2] = [
    Theme {
        name: "light",
        background: Rgb(0xff, 0xff, 0xff),
        ink: Rgb(0x1c, 0x21, 0x26),
        pale: Rgb(0x5c, 0x64, 0x6c),
        grid: Rgb(0xe8, 0xea, 0xed),
        axis: Rgb(0xb4, 0xba, 0xc0),
    },
    Theme {
        name: "dark",
        background: Rgb(0x16, 0x19, 0x1d),
        ink: Rgb(0xe6, 0xe9, 0xec),
        pale: Rgb(0x9a, 0xa3, 0xab),
        grid: Rgb(0x2a, 0x2f, 0x35),
        axis: Rgb(0x50, 0x58, 0x60),
    },
];

/// How a picture of some kind of figures is drawn.
#[derive(Debug)]
pub(crate) struct Style {
    pub(crate) name: &'static str,
    /// The type of picture where none is named.
    pub(crate) kind: Kind,
    /// Keys that have a colour and a place of their own, from the bottom of a stack up. Where a branch is asked for and has any of
    /// them, the others below it are left out.
    pub(crate) keys: &'static [Key],
    /// Where the axis of values ends, if what is drawn does not go beyond.
    pub(crate) most: Option<f64>,
    /// The unit of values that tell none.
    pub(crate) unit: &'static str,
}

/// A key that a style knows.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) colour: Rgb,
    /// The line is filled down to the axis.
    pub(crate) filled: bool,
}

const fn key(name: &'static str, colour: Rgb, filled: bool) -> Key {
    Key { name, colour, filled }
}

/// All styles; the first where none is named.
pub(crate) const STYLES: [Style; 4] = [
    Style { name: "default", kind: Kind::Line, keys: &[], most: None, unit: "" },
    Style {
        name: "cpu",
        kind: Kind::Stacked,
        // Guests are part of user and nice already, and how many processors there are is no part of their time.
        keys: &[
            key("user", BLUE, true),
            key("nice", SKY, true),
            key("system", VERMILION, true),
            key("iowait", AMBER, true),
            key("irq", PURPLE, true),
            key("softirq", WINE, true),
            key("steal", GREEN, true),
            key("idle", GREY, true),
        ],
        most: Some(100.0),
        unit: "%",
    },
    Style {
        name: "net",
        kind: Kind::Line,
        keys: &[key("bytes_in", GREEN, true), key("bytes_out", BLUE, false)],
        most: None,
        unit: "bytes/s",
    },
    Style { name: "url", kind: Kind::Top, keys: &[], most: None, unit: "" },
];

impl Style {
    /// What is known of a key: how it is drawn, and its place.
    pub(crate) fn key(&self, name: &str) -> Option<(usize, &Key)> {
        self.keys.iter().enumerate().find(|(_, key)| key.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{COLOURS, Rgb, THEMES};

    /// WCAG 2.2, "relative luminance" and "contrast ratio".
    fn contrast(a: Rgb, b: Rgb) -> f64 {
        let luminance = |Rgb(r, g, b): Rgb| {
            let linear = |part: u8| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn all_can_be_read_and_told_from_the_background() {
        for theme in &THEMES {
            for colour in COLOURS {
                assert!(contrast(colour, theme.background) >= 3.0, "{colour} on {}", theme.name);
            }
            for text in [theme.ink, theme.pale] {
                assert!(contrast(text, theme.background) >= 4.5, "{text} on {}", theme.name);
            }
        }
    }
}

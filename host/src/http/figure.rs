//! One figure of what a path is worth.

use crate::json::{QUANTILES, View, write_number, write_reading};
use crate::tree::Reading;

/// What `as=` can name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Figure {
    /// Its own value, or else the fold of its children; of a sketch the p50, or the estimate.
    Value,
    /// By how much it grows per second.
    Rate,
    /// By how much a key of a `top` may have been counted too low.
    Error,
    /// How many values a sketch has seen.
    Count,
    /// Their sum.
    Sum,
    /// The least of them.
    Min,
    /// The greatest of them.
    Max,
    /// A quantile, 0 to 1.
    Quantile(f64),
}

const NAMED: [(&str, Figure); 7] = [
    ("value", Figure::Value),
    ("rate", Figure::Rate),
    ("error", Figure::Error),
    ("count", Figure::Count),
    ("sum", Figure::Sum),
    ("min", Figure::Min),
    ("max", Figure::Max),
];

impl Figure {
    pub(super) fn parse(name: &str) -> Option<Figure> {
        let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, figure)| *figure);
        named.or_else(|| {
            QUANTILES.iter().find(|(known, _)| *known == name).map(|(_, quantile)| Figure::Quantile(*quantile))
        })
    }

    /// All names, as an error lists them.
    pub(super) fn known() -> String {
        let names = NAMED.iter().map(|(name, _)| *name).chain(QUANTILES.iter().map(|(name, _)| *name));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Writes the figure; `null` where a reading has none. Only sketches know a last minute; all else is as it is.
    pub(super) fn write(self, out: &mut Vec<u8>, reading: &Reading<'_>, last_minute: bool) {
        let figure = match (self, reading) {
            (Figure::Value | Figure::Rate, reading) => {
                return write_reading(out, reading, View::Figure { quantile: 0.5, last_minute });
            }
            (Figure::Quantile(quantile), Reading::Quantiles(_)) => {
                return write_reading(out, reading, View::Figure { quantile, last_minute });
            }
            (figure, Reading::Quantiles(sketch)) => {
                let minute;
                let sketch = if last_minute {
                    minute = sketch.last_minute();
                    &minute
                } else {
                    sketch.total()
                };
                match figure {
                    Figure::Count => Some(sketch.count() as f64),
                    Figure::Sum => Some(sketch.sum()),
                    Figure::Min => sketch.min(),
                    Figure::Max => sketch.max(),
                    _ => None,
                }
            }
            _ => None,
        };
        match figure {
            Some(x) => write_number(out, x),
            None => out.extend_from_slice(b"null"),
        }
    }
}

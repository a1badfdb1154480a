//! Answers written straight from the tree.

use crate::tree::{Folded, NodeRef, Reading, Sketched, Want};
use plugin_api::sketch::{Distinct, Quantiles};

/// The quantiles that are shown of a sketch, with their names.
pub(crate) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)];

/// How a node is to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Values, or how fast they grow.
    pub want: Want,
    /// Levels below the node asked for; what hangs deeper is folded into one value.
    pub depth: usize,
    /// Nodes to write at most.
    pub limit: usize,
}

/// What to write of a [`Reading`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum View {
    /// A sketch as an object, all else as it is.
    Whole,
    /// One figure: of quantiles this one, of a distinct count the estimate; of the last minute if so asked.
    Figure {
        /// The quantile, 0 to 1.
        quantile: f64,
        /// Of the last minute rather than since the start.
        last_minute: bool,
    },
}

/// What `write_view` can walk: a node or a fold of nodes.
pub trait Source {
    /// Its own value.
    fn own(&self, want: Want) -> Option<Reading<'_>>;
    /// Its own value, or the fold of its children.
    fn value(&self, want: Want) -> Option<Reading<'_>>;
    /// Calls `each` with its children until that says stop.
    fn each_child(&self, each: &mut dyn FnMut(&str, &dyn Source) -> bool);
    /// Whether nothing hangs below it.
    fn is_leaf(&self) -> bool;
    /// Whether it only waits for its value.
    fn is_bare(&self) -> bool;
}

impl Source for NodeRef<'_> {
    fn own(&self, want: Want) -> Option<Reading<'_>> {
        NodeRef::own(*self, want)
    }
    fn value(&self, want: Want) -> Option<Reading<'_>> {
        NodeRef::value(*self, want)
    }
    fn each_child(&self, each: &mut dyn FnMut(&str, &dyn Source) -> bool) {
        for child in self.children() {
            if !each(child.key(), &child) {
                return;
            }
        }
    }
    fn is_leaf(&self) -> bool {
        NodeRef::is_leaf(*self)
    }
    fn is_bare(&self) -> bool {
        NodeRef::is_bare(*self)
    }
}

impl Source for Folded<'_> {
    fn own(&self, _: Want) -> Option<Reading<'_>> {
        Folded::own(self).cloned()
    }
    fn value(&self, _: Want) -> Option<Reading<'_>> {
        Folded::value(self)
    }
    fn each_child(&self, each: &mut dyn FnMut(&str, &dyn Source) -> bool) {
        for (key, child) in self.children() {
            if !each(key, child) {
                return;
            }
        }
    }
    fn is_leaf(&self) -> bool {
        self.children().next().is_none()
    }
    fn is_bare(&self) -> bool {
        Source::is_leaf(self) && Folded::value(self).is_none()
    }
}

/// How many nodes may still be written, over several nodes of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Nodes that may still be written.
    pub left: usize,
    /// Something did not fit.
    pub cut: bool,
}

impl Room {
    /// Room for so many nodes.
    #[must_use]
    pub fn new(nodes: usize) -> Room {
        Room { left: nodes, cut: false }
    }

    /// Takes room for a node, if there is any.
    pub fn take(&mut self) -> bool {
        self.cut |= self.left == 0;
        self.left = self.left.saturating_sub(1);
        !self.cut
    }
}

/// Writes a node with what hangs below it, in the shape in which documents come in. Whether all of it fitted into the
/// limit.
pub fn write_view(out: &mut Vec<u8>, source: &dyn Source, shape: Shape) -> bool {
    let mut room = Room::new(shape.limit);
    room.take();
    write_view_in(out, source, shape, &mut room);
    !room.cut
}

/// As [`write_view`], in the room that is left of an answer; the node itself has taken its own. The shape's limit does
/// not count.
pub fn write_view_in(out: &mut Vec<u8>, source: &dyn Source, shape: Shape, room: &mut Room) {
    write_source(out, source, shape, shape.depth, room);
}

fn write_source(out: &mut Vec<u8>, source: &dyn Source, shape: Shape, depth: usize, room: &mut Room) {
    if source.is_leaf() || depth == 0 {
        return match source.value(shape.want) {
            Some(reading) => write_reading(out, &reading, View::Whole),
            None => out.extend_from_slice(b"{}"),
        };
    }
    out.push(b'{');
    let mut first = true;
    if let Some(own) = source.own(shape.want) {
        out.extend_from_slice(b"\"\":");
        match &own {
            Reading::Quantiles(sketch) => write_quantiles(out, sketch),
            Reading::Distinct(sketch) => write_distinct(out, sketch),
            other => write_reading(out, other, View::Whole),
        }
        first = false;
    }
    source.each_child(&mut |key, child| {
        if child.is_bare() {
            return true;
        }
        if shape.want == Want::Rate && child.is_leaf() && child.value(shape.want).is_none() {
            // A gauge or a text has no rate: it is left out rather than shown as null.
            return true;
        }
        if !room.take() {
            return false;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        write_string(out, key);
        out.push(b':');
        write_source(out, child, shape, depth - 1, room);
        true
    });
    out.push(b'}');
}

/// Writes a value. A sketch is an object under `""`, as the tree shows it, or one figure.
pub fn write_reading(out: &mut Vec<u8>, reading: &Reading<'_>, view: View) {
    match (reading, view) {
        (Reading::Number(x), _) => write_number(out, *x),
        (Reading::Bool(flag), _) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        (Reading::Text(text), _) => write_string(out, text),
        (Reading::Quantiles(sketch), View::Whole) => {
            out.extend_from_slice(b"{\"\":");
            write_quantiles(out, sketch);
            out.push(b'}');
        }
        (Reading::Distinct(sketch), View::Whole) => {
            out.extend_from_slice(b"{\"\":");
            write_distinct(out, sketch);
            out.push(b'}');
        }
        (Reading::Quantiles(sketch), View::Figure { quantile, last_minute }) => {
            let figure =
                if last_minute { sketch.last_minute().quantile(quantile) } else { sketch.total().quantile(quantile) };
            write_optional(out, figure);
        }
        (Reading::Distinct(sketch), View::Figure { last_minute, .. }) => {
            let figure = if last_minute { sketch.last_minute().estimate() } else { sketch.total().estimate() };
            write_number(out, figure.round());
        }
    }
}

fn write_quantiles(out: &mut Vec<u8>, sketch: &Sketched<'_, Quantiles>) {
    out.push(b'{');
    write_quantile_figures(out, sketch.total());
    out.extend_from_slice(b",\"last_minute\":{");
    write_quantile_figures(out, &sketch.last_minute());
    out.extend_from_slice(b"}}");
}

fn write_quantile_figures(out: &mut Vec<u8>, sketch: &Quantiles) {
    out.extend_from_slice(b"\"count\":");
    write_number(out, sketch.count() as f64);
    out.extend_from_slice(b",\"sum\":");
    write_number(out, sketch.sum());
    for (name, figure) in [("min", sketch.min()), ("max", sketch.max())] {
        member(out, name);
        write_optional(out, figure);
    }
    for (name, quantile) in QUANTILES {
        member(out, name);
        write_optional(out, sketch.quantile(quantile));
    }
}

fn write_distinct(out: &mut Vec<u8>, sketch: &Sketched<'_, Distinct>) {
    out.extend_from_slice(b"{\"distinct\":");
    write_number(out, sketch.total().estimate().round());
    out.extend_from_slice(b",\"last_minute\":{\"distinct\":");
    write_number(out, sketch.last_minute().estimate().round());
    out.extend_from_slice(b"}}");
}

fn member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_optional(out: &mut Vec<u8>, x: Option<f64>) {
    match x {
        Some(x) => write_number(out, x),
        None => out.extend_from_slice(b"null"),
    }
}

/// Writes a number: `60`, not `60.0`.
pub fn write_number(out: &mut Vec<u8>, x: f64) {
    /// Up to here every whole number is one f64, so writing it as an integer loses nothing.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    // Writing to a Vec cannot fail.
    let _ = if x.fract() == 0.0 && x.abs() <= WHOLE_MAX {
        serde_json::to_writer(&mut *out, &(x as i64))
    } else if x.is_finite() {
        serde_json::to_writer(&mut *out, &x)
    } else {
        serde_json::to_writer(&mut *out, &())
    };
}

/// Writes a text in quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::read_documents;
    use crate::tree::{Hit, Limits, Pattern, Tree};
    use std::time::Duration;

    fn tree(json: &str) -> Tree {
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        let documents = read_documents(json.as_bytes());
        assert_eq!(documents.faults, []);
        for frame in documents.frames {
            tree.merge(&[], &frame, 0).unwrap();
        }
        tree
    }

    fn written(tree: &Tree, path: &str, depth: usize, limit: usize) -> String {
        let mut out = Vec::new();
        let shape = Shape { want: Want::Value, depth, limit };
        for (_, hit) in tree.select(&Pattern::parse(path).unwrap(), Want::Value, 10) {
            match hit {
                Hit::Node(node) => write_view(&mut out, &node, shape),
                Hit::Folded(folded) => write_view(&mut out, &folded, shape),
            };
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_pushed_is_written_back() {
        let json = r#"{"a":{"":1.5,"b":"x\n","c":{"d":true,"\u0001":-7}}}"#;
        let tree = tree(json);
        assert_eq!(written(&tree, "", 64, 100), json);
        assert_eq!(written(&tree, "", 2, 100), r#"{"a":{"":1.5,"b":"x\n","c":-7}}"#);
        assert_eq!(written(&tree, "", 64, 3), r#"{"a":{"":1.5,"b":"x\n"}}"#);
        assert_eq!(written(&tree, "a,,d", 64, 100), "true");
    }

    #[test]
    fn sketches_are_objects_under_the_empty_key() {
        let tree =
            tree(r#"[{"t":{"a":[1,1,1]},"defaultaction":"quantiles"},{"v":["x","y","x"],"defaultaction":"distinct"}]"#);
        let t = written(&tree, "t,a", 64, 100);
        let figures = r#""count":3,"sum":3,"min":1,"max":1,"p50":1,"p90":1,"p95":1,"p99":1,"p999":1"#;
        assert_eq!(t, format!(r#"{{"":{{{figures},"last_minute":{{{figures}}}}}}}"#));
        assert_eq!(written(&tree, "v", 64, 100), r#"{"":{"distinct":2,"last_minute":{"distinct":2}}}"#);
    }
}

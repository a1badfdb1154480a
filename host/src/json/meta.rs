//! What is told of values beside them, as JSON.

use super::write::{Room, write_number, write_string};
use crate::limits::META_ANSWER_BYTES;
use crate::tree::{Meta, NodeRef, encode_key};

/// The keys whose text is a number of seconds.
const SECONDS: [&str; 2] = ["tmax", "dmax"];

/// The key that is always a list: most values are in one group, but none is in one group alone by its nature.
const LIST: &str = "group";

/// How much metadata may still be written in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaRoom {
    nodes: Room,
    /// Bytes that may still be written; a node that is begun is written whole.
    bytes: usize,
}

impl MetaRoom {
    /// Room for that of so many nodes, and for [`META_ANSWER_BYTES`].
    #[must_use]
    pub fn new(nodes: usize) -> MetaRoom {
        MetaRoom { nodes: Room::new(nodes), bytes: META_ANSWER_BYTES }
    }

    /// Whether something did not fit.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.nodes.cut
    }

    fn take(&mut self) -> bool {
        self.nodes.cut |= self.bytes == 0;
        self.nodes.take()
    }
}

/// Writes the metadata of a node, and of what hangs up to `depth` levels below it, as members of an object that the caller
/// has opened: `"PATH":{"units":"s","group":["a"]}`. `at` is the path of the node itself. What has no value yet is left out,
/// as it is where values are written.
pub fn write_metas(out: &mut Vec<u8>, node: NodeRef<'_>, at: &str, depth: usize, room: &mut MetaRoom) {
    node.each_meta(depth, &mut |keys, node, meta| {
        if node.is_bare() {
            return true;
        }
        if !room.take() {
            return false;
        }
        let begin = out.len();
        let mut path = at.to_owned();
        for key in keys {
            if !path.is_empty() {
                path.push(',');
            }
            encode_key(key, &mut path);
        }
        separate(out);
        write_string(out, &path);
        out.push(b':');
        write_meta(out, meta);
        room.bytes = room.bytes.saturating_sub(out.len() - begin);
        true
    });
}

/// A comma, unless this is the first member.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

/// Writes an object with a member a key, in the order in which keys came first. What came more than once is a list.
fn write_meta(out: &mut Vec<u8>, meta: Meta<'_>) {
    out.push(b'{');
    for (i, (key, value)) in meta.pairs().enumerate() {
        if meta.pairs().take(i).any(|(other, _)| other == key) {
            continue;
        }
        separate(out);
        write_string(out, key);
        out.push(b':');
        let values = || meta.pairs().filter(|(other, _)| *other == key).map(|(_, value)| value);
        if key == LIST || values().nth(1).is_some() {
            for (i, value) in values().enumerate() {
                out.push(if i == 0 { b'[' } else { b',' });
                write_value(out, key, value);
            }
            out.push(b']');
        } else {
            write_value(out, key, value);
        }
    }
    out.push(b'}');
}

fn write_value(out: &mut Vec<u8>, key: &str, value: &str) {
    let seconds = if SECONDS.contains(&key) { value.parse::<f64>().ok() } else { None };
    match seconds.filter(|seconds| seconds.is_finite()) {
        Some(seconds) => write_number(out, seconds),
        None => write_string(out, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Limits, Tree};
    use plugin_api::Delta;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn tree(feed: impl FnOnce(&mut Delta)) -> Tree {
        let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
        let mut delta = Delta::new();
        feed(&mut delta);
        tree.merge(&[], delta.flush(), 0).unwrap();
        tree
    }

    fn written(tree: &Tree, at: &str, depth: usize, room: &mut MetaRoom) -> Value {
        let mut out = vec![b'{'];
        write_metas(&mut out, tree.root(), at, depth, room);
        out.push(b'}');
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_member_a_key_and_a_list_for_what_comes_often() {
        let tree = tree(|out| {
            out.set(&["a,b", "c"], 1.0);
            let pairs = [
                ("units", "\"<&\n"),
                ("group", "one"),
                ("tmax", "60"),
                ("dmax", "never"),
                ("CLUSTER", "x"),
                ("twice", "1"),
                ("twice", "2"),
                ("slope", "5"),
            ];
            out.meta(&["a,b", "c"], &pairs);
            out.meta(&["a,b"], &[("group", "x"), ("ip", ""), ("group", "y"), ("tmax", "inf")]);
            out.meta(&["a,b", "new"], &[("units", "s")]);
        });
        let inner = json!({"group": ["x", "y"], "ip": "", "tmax": "inf"});
        let leaf = json!({"units": "\"<&\n", "group": ["one"], "tmax": 60, "dmax": "never", "CLUSTER": "x",
            "twice": ["1", "2"], "slope": "5"});
        let mut room = MetaRoom::new(10);
        assert_eq!(written(&tree, "", 9, &mut room), json!({"a%2Cb": inner, "a%2Cb,c": leaf}));
        assert_eq!(room.nodes, Room { left: 8, cut: false });
        assert_eq!(written(&tree, "x,*", 1, &mut room), json!({"x,*,a%2Cb": inner}));
        assert_eq!(written(&tree, "", 0, &mut room), json!({}));
        let mut narrow = MetaRoom::new(1);
        assert_eq!(written(&tree, "", 9, &mut narrow), json!({"a%2Cb": inner}));
        assert!(narrow.is_cut() && !room.is_cut());
    }

    #[test]
    fn metadata_is_bounded_by_its_bytes() {
        let long = "x".repeat(plugin_api::limits::META_BYTES_MAX);
        let tree = tree(|out| {
            for i in 0..1_000 {
                out.set(&[&i.to_string()], 1.0);
                out.meta(&[&i.to_string()], &[("description", &long)]);
            }
        });
        let (mut out, mut room) = (vec![b'{'], MetaRoom::new(100_000));
        for _ in 0..8 {
            write_metas(&mut out, tree.root(), "", 9, &mut room);
        }
        assert!(room.is_cut());
        assert!((META_ANSWER_BYTES..META_ANSWER_BYTES + 9_000).contains(&out.len()), "{}", out.len());
    }
}

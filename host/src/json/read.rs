//! Documents that are pushed, read straight into deltas.
//!
//! An object is a node; a number, text or boolean a leaf; `""` inside an object the node's own value; an array merges
//! its elements one after another into one node. `defaultaction` at the top of a document is the action of each
//! key that the document names, deeper it is the action of the object it stands in.

use crate::tree::encode_path;
use plugin_api::Action;
use plugin_api::delta::wire::{Op, Writer};
use plugin_api::limits::{DEPTH_MAX, KEY_BYTES_MAX, TEXT_BYTES_MAX};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The key that gives a document, or an object in it, its action.
const DEFAULT_ACTION: &str = "defaultaction";

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line and column, or the document's number and the path in it.
    pub at: String,
    /// What is wrong there.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

/// The documents of a push: each good one as a frame, and what is wrong with the others.
#[derive(Debug, Default)]
pub struct Documents {
    /// The good ones, each to be merged whole.
    pub frames: Vec<Vec<u8>>,
    /// The others.
    pub faults: Vec<Fault>,
}

/// Reads a document, or an array of documents. What is broken as JSON ends the reading there; what is wrong in one
/// document (a bad action, too deep a nesting) costs that document alone.
#[must_use]
pub fn read_documents(text: &[u8]) -> Documents {
    let mut documents = Documents::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = Top(&mut documents).deserialize(&mut json).and_then(|()| json.end());
    if let Err(error) = read {
        documents.faults.push(syntax(&error));
        if text.trim_ascii_start().first() == Some(&b'{') {
            // One document, with something broken behind it: what it was meant to be is anybody's guess.
            documents.frames.clear();
        }
    }
    documents
}

fn syntax(error: &serde_json::Error) -> Fault {
    let why = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    Fault {
        at: format!("line {} column {}", error.line(), error.column()),
        why: why.strip_suffix(&position).unwrap_or(&why).to_owned(),
    }
}

/// The whole of what is pushed.
struct Top<'d>(&'d mut Documents);

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document (an object) or an array of documents")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut document = Document::new(1);
        document.object(map)?;
        document.finish(self.0);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut number = 1;
        while let Some(document) = seq.next_element_seed(Element(Document::new(number)))? {
            document.finish(self.0);
            number += 1;
        }
        Ok(())
    }
}

/// One document of an array of them.
struct Element(Document);

impl<'de> DeserializeSeed<'de> for Element {
    type Value = Document;

    fn deserialize<D: Deserializer<'de>>(mut self, json: D) -> Result<Document, D::Error> {
        Node(&mut self.0).deserialize(json)?;
        Ok(self.0)
    }
}

/// A document on its way into a frame.
struct Document {
    /// Its place among those pushed, from 1.
    number: usize,
    body: Writer,
    /// Actions hold for what stands before them in the text too, so they are written ahead of it.
    actions: Writer,
    /// The keys at its top, for a `defaultaction` there.
    named: Vec<String>,
    top_action: Option<Action>,
    /// Objects and arrays around what is being read.
    depth: usize,
    /// Inside `""`: an object there would be a sketch.
    own_value: bool,
    fault: Option<Fault>,
}

impl Document {
    fn new(number: usize) -> Document {
        Document {
            number,
            body: Writer::new(),
            actions: Writer::new(),
            named: Vec::new(),
            top_action: None,
            depth: 0,
            own_value: false,
            fault: None,
        }
    }

    fn finish(mut self, documents: &mut Documents) {
        if let Some(fault) = self.fault {
            documents.faults.push(fault);
            return;
        }
        if let Some(action) = self.top_action {
            let deeper = std::mem::take(&mut self.actions);
            for key in &self.named {
                self.actions.entry(&[key], Op::Action(action));
            }
            self.actions.append(&deeper);
        }
        if self.actions.entries() == 0 {
            documents.frames.push(self.body.into_bytes());
        } else {
            self.actions.append(&self.body);
            documents.frames.push(self.actions.into_bytes());
        }
    }

    /// Notes the first thing that is wrong; the rest of the document is then only passed over.
    fn fail(&mut self, why: impl fmt::Display) {
        if self.fault.is_none() {
            let path = encode_path(self.body.path());
            let path = if path.len() > 200 { format!("{}…", &path[..path.floor_char_boundary(200)]) } else { path };
            let at = match path.as_str() {
                "" => format!("document {}", self.number),
                path => format!("document {}, {path}", self.number),
            };
            self.fault = Some(Fault { at, why: why.to_string() });
        }
    }

    fn leaf(&mut self, op: Op<'_>) {
        if self.depth == 0 {
            self.fail("a document must be an object, such as {\"hits\": 1}");
        } else if self.body.path().is_empty() {
            self.fail("a document has no value of its own, only its keys have");
        } else {
            self.body.here(op);
        }
    }

    /// Goes a level deeper, if that is allowed.
    fn deeper<E>(&mut self, read: impl FnOnce(&mut Document) -> Result<(), E>) -> Result<bool, E> {
        if self.depth == DEPTH_MAX {
            self.fail(format_args!("nested deeper than {DEPTH_MAX}"));
        }
        if self.fault.is_some() {
            return Ok(false);
        }
        self.depth += 1;
        read(self)?;
        self.depth -= 1;
        Ok(true)
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        if self.own_value {
            self.fail(
                "an object under \"\" is a sketch, which cannot be pushed; push its numbers with the action quantiles",
            );
        }
        let whole = self.deeper(|document| {
            while let Some(member) = map.next_key_seed(Key(&mut *document))? {
                document.member(member, &mut map)?;
            }
            Ok(())
        })?;
        if !whole {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn member<'de, A: MapAccess<'de>>(&mut self, member: Member, map: &mut A) -> Result<(), A::Error> {
        match member {
            Member::Bad => map.next_value::<IgnoredAny>().map(|_| ()),
            Member::Action => {
                let action: serde_json::Value = map.next_value()?;
                match action.as_str().map(str::parse::<Action>) {
                    Some(Ok(action)) if self.body.path().is_empty() => self.top_action = Some(action),
                    Some(Ok(action)) => self.actions.entry(&self.body.path(), Op::Action(action)),
                    Some(Err(error)) => self.fail(error),
                    None => self.fail(format_args!("{DEFAULT_ACTION} must be a text, such as \"add\"")),
                }
                Ok(())
            }
            Member::Own => {
                let outer = std::mem::replace(&mut self.own_value, true);
                map.next_value_seed(Node(self))?;
                self.own_value = outer;
                Ok(())
            }
            Member::Child => {
                map.next_value_seed(Node(self))?;
                self.body.leave();
                Ok(())
            }
        }
    }
}

/// What a key of an object is for. A child's key has been entered.
#[derive(Clone, Copy)]
enum Member {
    Child,
    Own,
    Action,
    Bad,
}

struct Key<'d>(&'d mut Document);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Member, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Member, E> {
        let document = self.0;
        Ok(match key {
            "" => Member::Own,
            DEFAULT_ACTION => Member::Action,
            _ if key.len() > KEY_BYTES_MAX => {
                document.fail(format_args!("a key of {} bytes; at most {KEY_BYTES_MAX} are allowed", key.len()));
                Member::Bad
            }
            _ => {
                if document.depth == 1 {
                    document.named.push(key.to_owned());
                }
                document.body.enter(key);
                Member::Child
            }
        })
    }
}

/// A value inside a document: it goes where the document's writer is.
struct Node<'d>(&'d mut Document);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text, true, false, an object or an array")
    }

    fn visit_u64<E>(self, n: u64) -> Result<(), E> {
        self.0.leaf(Op::Number(n as f64));
        Ok(())
    }

    fn visit_i64<E>(self, n: i64) -> Result<(), E> {
        self.0.leaf(Op::Number(n as f64));
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, x: f64) -> Result<(), E> {
        if !x.is_finite() {
            return Err(E::custom("not a finite number"));
        }
        self.0.leaf(Op::Number(x));
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.0.leaf(Op::Bool(flag));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if text.len() > TEXT_BYTES_MAX {
            self.0.fail(format_args!("a text of {} bytes; at most {TEXT_BYTES_MAX} are allowed", text.len()));
        } else {
            self.0.leaf(Op::Text(text));
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.fail("null is no value; leave the key out");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.object(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.0.depth == 0 {
            self.0.fail("a document must be an object, not an array");
        }
        let document = self.0;
        let whole = document.deeper(|document| {
            while seq.next_element_seed(Node(&mut *document))?.is_some() {}
            Ok(())
        })?;
        if !whole {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Limits, Tree};
    use plugin_api::delta::wire::Reader;
    use proptest::prelude::*;
    use std::time::Duration;

    fn entries(json: &str) -> Vec<String> {
        let documents = read_documents(json.as_bytes());
        assert_eq!(documents.faults, [], "{json}");
        let mut all = Vec::new();
        for frame in documents.frames {
            let mut reader = Reader::new(&frame).unwrap();
            while let Some(entry) = reader.next_entry().unwrap() {
                all.push(format!("{}={:?}", encode_path(reader.path().iter().copied()), entry.op));
            }
        }
        all
    }

    fn fault(json: &str) -> String {
        let documents = read_documents(json.as_bytes());
        assert_eq!(documents.frames.len(), 0, "{json}");
        documents.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_document_becomes_entries_in_order_after_its_actions() {
        assert_eq!(
            entries(
                r#"{"br":{"ie":[{"6":3},{"7":[8,{"venders":{"sogou":2}}]}],"":1,"defaultaction":"max"},"defaultaction":"add"}"#
            ),
            [
                "br=Action(Add)",
                "br=Action(Max)",
                "br,ie,6=Number(3.0)",
                "br,ie,7=Number(8.0)",
                "br,ie,7,venders,sogou=Number(2.0)",
                "br=Number(1.0)",
            ]
        );
        assert_eq!(entries(r#"[{"a":true},{"b":"x"}]"#), ["a=Bool(true)", "b=Text(\"x\")"]);
        assert_eq!(entries("[]"), [] as [&str; 0]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let deep = format!("{}1{}", "{\"k\":".repeat(100), "}".repeat(100));
        for (json, want) in [
            ("{\"a\":NaN}", "line 1 column 6: expected value"),
            ("{\"a\":1e999}", "line 1 column 10: number out of range"),
            ("{\"a\":1", "line 1 column 6: EOF while parsing an object"),
            ("", "line 1 column 0: EOF while parsing a value"),
            ("{} x", "line 1 column 4: trailing characters"),
            ("{\"a\":{\"b\":null}}", "document 1, a,b: null is no value; leave the key out"),
            ("[[{\"a\":1}]]", "document 1: a document must be an object, not an array"),
            ("[7]", "document 1: a document must be an object, such as {\"hits\": 1}"),
            ("{\"\":7}", "document 1: a document has no value of its own, only its keys have"),
            ("{\"a\":{\"\":{\"p50\":1}}}", "document 1, a: an object under \"\" is a sketch"),
            ("{\"a\":1,\"defaultaction\":\"sum\"}", "document 1: unknown action \"sum\"; known are add"),
            (&deep, "nested deeper than 64"),
        ] {
            let said = fault(json);
            assert!(said.contains(want), "{json}: {said}");
        }
        let long = format!("{{\"a\":{{\"{}\":1}}}}", "k".repeat(1 << 20));
        assert_eq!(fault(&long), "document 1, a: a key of 1048576 bytes; at most 16384 are allowed");
    }

    #[test]
    fn a_bad_document_costs_itself_alone() {
        let documents = read_documents(br#"[{"a":1},{"b":null,"c":{"d":[1,2]}},{"e":2}]"#);
        assert_eq!((documents.frames.len(), documents.faults.len()), (2, 1));
        assert_eq!(documents.faults[0].at, "document 2, b");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}:,\"a-c0-9 .eE+-]{0,60}") {
            let documents = read_documents(text.as_bytes());
            let mut tree = Tree::new(Limits::default(), Duration::from_secs(1), 0);
            for frame in documents.frames {
                tree.merge(&[], &frame, 0).unwrap();
            }
        }
    }
}

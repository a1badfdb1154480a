//! Documents that are pushed, read straight into deltas.
//!
//! An object is a node; a number, text or boolean a leaf; `""` inside an object the node's own value; an array merges
//! its elements one after another into one node. `defaultaction` at the top of a document is the action of each
//! key that the document names, deeper it is the action of the object it stands in.

use crate::limits::PUSH_FAULTS_MAX;
use crate::tokens::Tokens;
use crate::tree::encode_path;
use plugin_api::Action;
use plugin_api::delta::wire::{Op, Writer};
use plugin_api::limits::{DEPTH_MAX, KEY_BYTES_MAX, TEXT_BYTES_MAX};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::str::FromStr;

/// The key that gives a document, or an object in it, its action.
const DEFAULT_ACTION: &str = "defaultaction";

/// The key under which a document carries the daemon's token, where there is no header for it.
const TOKEN: &str = "token";

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

/// The documents of a push: each good one as a frame, and what is wrong with the first of the others.
#[derive(Debug, Default)]
pub struct Documents {
    /// The good ones, each to be merged whole. One that says nothing, such as `{}`, makes none.
    pub frames: Vec<Vec<u8>>,
    /// How many are good, those that say nothing among them.
    pub good: u64,
    /// What is wrong with the others: the first [`PUSH_FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// How many others there are.
    pub rejected: u64,
}

/// Reads documents, and arrays of documents, one behind another: lines of JSON, say. What is broken as JSON costs its line where it
/// has one of its own, else it ends the reading there; what is wrong in one document (a bad action, too deep a nesting) costs
/// that document alone.
#[must_use]
pub fn read_documents(text: &[u8]) -> Documents {
    let mut documents = Documents::default();
    let first = next_value(text, Place::default()).unwrap_or_default();
    // What stands there may be no value at all, but not a text that is none from its beginning.
    let go_on = |broken: Broken, at: Place| {
        let may_be_lines = at.at > first.at || text.get(at.at) == Some(&b'{');
        if may_be_lines { broken.passed_over(text, at) } else { None }
    };
    // The faults of a text that has one value name no line.
    let Some(mut rest) = documents.value(text, first).unwrap_or_else(|broken| go_on(broken, first)) else {
        return documents;
    };
    documents.faults.iter_mut().for_each(|fault| fault.stands_in_line(first.line + 1));
    loop {
        let faults = documents.faults.len();
        let next = documents.value(text, rest).unwrap_or_else(|broken| go_on(broken, rest));
        documents.faults[faults..].iter_mut().for_each(|fault| fault.stands_in_line(rest.line + 1));
        match next {
            Some(next) => rest = next,
            None => return documents,
        }
    }
}

/// Where a value begins.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Bytes before it.
    at: usize,
    /// Lines before it.
    line: usize,
}

/// How far a text has been read, to go back there.
#[derive(Clone, Copy, Debug)]
struct Mark {
    frames: usize,
    good: u64,
    rejected: u64,
    faults: usize,
}

/// A value that is no JSON.
struct Broken {
    /// The line in which that is seen, from 0, and whether it is seen at the beginning of it.
    line: usize,
    at_its_begin: bool,
}

impl Broken {
    /// Where the next one begins, if this had a line of its own: else nobody knows what belongs to it.
    fn passed_over(&self, text: &[u8], begins: Place) -> Option<Place> {
        if text.get(begins.at) == Some(&b'[') {
            return None;
        }
        let end = begins.at + memchr::memchr(b'\n', &text[begins.at..])?;
        let next = next_value(text, Place { at: end, line: begins.line })?;
        let own = self.line == begins.line || self.line == begins.line + 1 && self.at_its_begin;
        (own || is_cut_off(&text[begins.at..end]) && has_own_line(&text[next.at..])).then_some(next)
    }
}

/// A line that goes on in the next one, or was cut off: what stands below looked like a part of it.
fn is_cut_off(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

/// A document that is whole in its line: then it is no part of what stands above.
fn has_own_line(text: &[u8]) -> bool {
    let line = memchr::memchr(b'\n', text).map_or(text, |end| &text[..end]);
    line.first() == Some(&b'{') && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

fn lines_before(text: &[u8], end: usize) -> usize {
    memchr::memchr_iter(b'\n', &text[..end]).count()
}

/// Where the next value begins behind what is white.
fn next_value(text: &[u8], behind: Place) -> Option<Place> {
    let white = text[behind.at..].iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))?;
    let at = behind.at + white;
    Some(Place { at, line: behind.line + lines_before(&text[behind.at..], white) })
}

impl Documents {
    /// Reads one text more, as [`read_documents`] does.
    ///
    /// A document that came without a header may carry one of the daemon's tokens as its member `token`. Given them, such a
    /// member is taken out, so that no reader of the tree sees it; a member `token` that says something else stays.
    pub fn read(&mut self, text: &[u8], tokens: Option<&Tokens>) {
        let before = self.mark();
        let mut json = serde_json::Deserializer::from_slice(text);
        let read = Top { documents: self, tokens }.deserialize(&mut json).and_then(|()| json.end());
        if let Err(error) = read {
            if text.trim_ascii_start().first() == Some(&b'{') {
                self.put_back(before);
            }
            self.reject(syntax(&error));
        }
    }

    /// Reads the value that begins there; where the next one begins, if there is another.
    ///
    /// # Errors
    /// It is no JSON; that is noted among the faults.
    fn value(&mut self, text: &[u8], begins: Place) -> Result<Option<Place>, Broken> {
        let before = self.mark();
        let mut json = serde_json::Deserializer::from_slice(&text[begins.at..]);
        let read = Top { documents: self, tokens: None }.deserialize(&mut json);
        let error = match read {
            Ok(()) => {
                let at = begins.at + json.into_iter::<IgnoredAny>().byte_offset();
                if text[at..].trim_ascii_start().is_empty() {
                    return Ok(None);
                }
                let line = begins.line + lines_before(&text[begins.at..], at - begins.at);
                let behind = Place { at, line };
                match next_value(text, behind) {
                    None => return Ok(None),
                    Some(next) if matches!(text[next.at], b'{' | b'[') => return Ok(Some(next)),
                    Some(next) if next.line > line && !matches!(text[next.at], b'}' | b']' | b',' | b':') => {
                        return Ok(Some(next));
                    }
                    // What is broken right behind it may have been meant to be a part of it.
                    Some(next) => trailing(text, next, begins),
                }
            }
            Err(error) => {
                let mut fault = syntax(&error);
                let line = begins.line + error.line().saturating_sub(1);
                if begins.at > 0 {
                    let column = if line == begins.line {
                        error.column() + begins.at - start_of_line(text, begins.at)
                    } else {
                        error.column()
                    };
                    fault.at = format!("line {} column {column}", line + 1);
                }
                (fault, Broken { line, at_its_begin: error.column() <= 1 })
            }
        };
        let (fault, broken) = error;
        if text[begins.at..].trim_ascii_start().first() == Some(&b'{') {
            self.put_back(before);
        }
        self.reject(fault);
        Err(broken)
    }

    fn mark(&self) -> Mark {
        Mark { frames: self.frames.len(), good: self.good, rejected: self.rejected, faults: self.faults.len() }
    }

    /// One document, with something broken behind it: what it was meant to be is anybody's guess. It is rejected once, for that.
    fn put_back(&mut self, to: Mark) {
        self.frames.truncate(to.frames);
        self.faults.truncate(to.faults);
        (self.good, self.rejected) = (to.good, to.rejected);
    }

    fn reject(&mut self, fault: Fault) {
        self.rejected += 1;
        if self.faults.len() < PUSH_FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

fn start_of_line(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1)
}

/// Something stands behind a value, in its last line, that no value begins with.
fn trailing(text: &[u8], found: Place, begins: Place) -> (Fault, Broken) {
    let column = found.at - start_of_line(text, found.at) + 1;
    let at = format!("line {} column {column}", found.line + 1);
    // Where that was the only line of the value, the next one is another's.
    let line = if found.line == begins.line { begins.line } else { usize::MAX };
    (Fault { at, why: "trailing characters".to_owned() }, Broken { line, at_its_begin: false })
}

impl Fault {
    /// It is one of several values' of a text: the line where that begins tells which.
    fn stands_in_line(&mut self, line: usize) {
        if let Some(inside) = self.at.strip_prefix("document ") {
            self.at = match inside.strip_prefix('1').filter(|inside| inside.is_empty() || inside.starts_with(',')) {
                Some(inside) => format!("line {line}{inside}"),
                None => format!("line {line}, {}", self.at),
            };
        }
    }
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
struct Top<'d> {
    documents: &'d mut Documents,
    tokens: Option<&'d Tokens>,
}

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
        let mut document = Document::new(1, self.tokens);
        document.object(map)?;
        document.finish(self.documents);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut number = 1;
        while let Some(document) = seq.next_element_seed(Element(Document::new(number, self.tokens)))? {
            document.finish(self.documents);
            number += 1;
        }
        Ok(())
    }
}

/// One document of an array of them.
struct Element<'t>(Document<'t>);

impl<'de, 't> DeserializeSeed<'de> for Element<'t> {
    type Value = Document<'t>;

    fn deserialize<D: Deserializer<'de>>(mut self, json: D) -> Result<Document<'t>, D::Error> {
        Node(&mut self.0).deserialize(json)?;
        Ok(self.0)
    }
}

/// A document on its way into a frame.
struct Document<'t> {
    /// Its place among those pushed, from 1.
    number: usize,
    body: Writer,
    /// Actions hold for what stands before them in the text too, so they are written ahead of it.
    actions: Writer,
    /// The keys at its top, for a `defaultaction` there.
    named: Names,
    top_action: Option<Action>,
    /// Objects and arrays around what is being read.
    depth: usize,
    /// Inside `""`: an object there would be a sketch.
    own_value: bool,
    fault: Option<Fault>,
    /// What its member `token` must not bring into the tree.
    tokens: Option<&'t Tokens>,
    token_taken: bool,
}

/// Keys one after another: a document may have millions of short ones, each too small for an allocation of its own.
#[derive(Default)]
struct Names {
    text: String,
    ends: Vec<usize>,
}

impl Names {
    fn push(&mut self, key: &str) {
        self.text.push_str(key);
        self.ends.push(self.text.len());
    }

    fn each(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.text[std::mem::replace(&mut start, *end)..*end])
    }
}

impl<'t> Document<'t> {
    fn new(number: usize, tokens: Option<&'t Tokens>) -> Document<'t> {
        Document {
            number,
            body: Writer::new(),
            actions: Writer::new(),
            named: Names::default(),
            top_action: None,
            depth: 0,
            own_value: false,
            fault: None,
            tokens,
            token_taken: false,
        }
    }

    fn finish(mut self, documents: &mut Documents) {
        if let Some(fault) = self.fault {
            documents.reject(fault);
            return;
        }
        if let Some(action) = self.top_action {
            let deeper = std::mem::take(&mut self.actions);
            // What is left of a token is its key, and that must not come back as a node.
            for key in self.named.each().filter(|key| !(self.token_taken && *key == TOKEN)) {
                self.actions.entry(&[key], Op::Action(action));
            }
            self.actions.append(&deeper);
        }
        let says_nothing = self.actions.entries() == 0 && self.body.entries() == 0;
        // A token alone opens a connection; it is no document.
        documents.good += u64::from(!(says_nothing && self.token_taken));
        if says_nothing {
            return;
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

    fn text(&mut self, text: &str) {
        if let Some(tokens) = self.tokens
            && self.body.path() == [TOKEN]
            && tokens.rights(text.as_bytes()).is_some()
        {
            self.token_taken = true;
        } else if text.len() > TEXT_BYTES_MAX {
            self.fail(format_args!("a text of {} bytes; at most {TEXT_BYTES_MAX} are allowed", text.len()));
        } else {
            self.leaf(Op::Text(text));
        }
    }

    /// Goes a level deeper, if that is allowed.
    fn deeper<E>(&mut self, read: impl FnOnce(&mut Document<'t>) -> Result<(), E>) -> Result<bool, E> {
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
                match map.next_value_seed(Named)? {
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

/// The name of an action; `None` when it is no text. What else stands there is passed over, not kept.
struct Named;

impl<'de> DeserializeSeed<'de> for Named {
    type Value = Option<Result<Action, <Action as FromStr>::Err>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Named {
    type Value = Option<Result<Action, <Action as FromStr>::Err>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an action")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Some(name.parse()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(seq).map(|_| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map).map(|_| None)
    }
}

struct Key<'d, 't>(&'d mut Document<'t>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Member, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
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
                    document.named.push(key);
                }
                document.body.enter(key);
                Member::Child
            }
        })
    }
}

/// A value inside a document: it goes where the document's writer is.
struct Node<'d, 't>(&'d mut Document<'t>);

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
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
        self.0.text(text);
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
mod tests;

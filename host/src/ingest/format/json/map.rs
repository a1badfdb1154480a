//! Which key is which field.
//!
//! `json` is the keys that are [known](super::known); `json:addr=client.ip,request_time=dur/1000` [gives](super::given) fields keys of
//! its own.

use super::super::error::FormatError;
use super::given::Given;
use super::known::known;
use plugin_api::{Field, Fields};

/// What is taken from a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Field(Field),
    /// Method, target and protocol in one.
    Request,
}

impl Target {
    /// What messages and maps call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Target::Field(field) => field.name(),
            Target::Request => "request",
        }
    }

    /// The fields that it fills.
    fn fields(self) -> Fields {
        match self {
            Target::Field(field) => Fields::of(&[field]),
            Target::Request => Fields::of(&[Field::Method, Field::Url, Field::Protocol]),
        }
    }

    pub(super) fn all() -> impl Iterator<Item = Target> {
        Field::ALL.into_iter().map(Target::Field).chain([Target::Request])
    }

    /// Whether a line that has it is one of a request, and not any that a program logs.
    fn tells(self) -> bool {
        !matches!(self, Target::Field(Field::Time | Field::Host | Field::User | Field::Protocol))
    }
}

/// What a key's value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Source {
    pub(super) target: Target,
    /// The lowest is the best source of its fields.
    pub(super) rank: u8,
    /// So many of it are a second, where that was told.
    pub(super) per_second: Option<f64>,
}

/// A key that is known.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    key: Box<[u8]>,
    pub(super) source: Option<Source>,
    /// The source's field is wanted, as far as it is known.
    pub(super) wanted: bool,
    /// Where its value is an object: the number of the level in that.
    pub(super) inner: Option<usize>,
    /// Something within that object is wanted.
    pub(super) enter: bool,
    /// It tells that the line is one of a request.
    pub(super) tells: bool,
}

/// The known keys of an object. They stand where their hash says, or after it; most others are told from them by one look.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// A power of two of places, at least twice as many as keys.
    places: Box<[Option<Entry>]>,
}

impl Level {
    fn new(entries: Vec<Entry>) -> Level {
        let mut level = Level { places: vec![None; (entries.len() * 4).next_power_of_two()].into() };
        for entry in entries {
            let mask = level.places.len() - 1;
            let mut at = hash(&entry.key) & mask;
            while level.places[at].is_some() {
                at = (at + 1) & mask;
            }
            level.places[at] = Some(entry);
        }
        level
    }

    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<&Entry> {
        let mask = self.places.len() - 1;
        let mut at = hash(key) & mask;
        loop {
            let entry = self.places[at].as_ref()?;
            if *entry.key == *key {
                return Some(entry);
            }
            at = (at + 1) & mask;
        }
    }
}

#[inline]
fn hash(key: &[u8]) -> usize {
    let [first, .., last] = key else { return key.len() };
    let middle = key[key.len() / 2];
    key.len() + usize::from(*first) * 7 + usize::from(middle) * 31 + usize::from(*last) * 151
}

/// A compiled map.
#[derive(Clone, Debug)]
pub(in super::super) struct Map {
    levels: Vec<Level>,
    fields: Fields,
}

/// A key's way from the line's object, and what it is.
pub(super) type Way = (Vec<String>, Source);

impl Map {
    /// Compiles `json`, or `json:` and a map.
    pub(in super::super) fn compile(spec: &str) -> Result<Map, FormatError> {
        let given = match spec.split_once(':') {
            Some((_, map)) => Given::read(map, spec.chars().count() - map.chars().count())?,
            None => Given::default(),
        };
        let is_left = |(path, source): &&Way| {
            !given.targets.contains(&source.target) && !given.ways.iter().any(|(given, _)| given == path)
        };
        let left = given.ways.iter().chain(known().iter().filter(is_left));
        let mut ways: Vec<(&[String], Source)> = Vec::with_capacity(given.ways.len() + known().len());
        ways.extend(left.map(|(path, source)| (path.as_slice(), *source)));
        let fields = ways.iter().fold(Fields::NONE, |all, (_, source)| all.union(source.target.fields()));
        // Those that are known are sorted already.
        ways.sort_by_key(|(path, _)| *path);
        let mut levels = Vec::new();
        build(&mut levels, &ways);
        Ok(Map { levels, fields })
    }

    /// The fields that a line may have.
    pub(in super::super) fn fields(&self) -> Fields {
        self.fields
    }

    /// The levels, the line's own object first, with what is wanted.
    pub(super) fn levels_for(&self, wants: Fields) -> Box<[Level]> {
        let mut levels: Box<[Level]> = self.levels.clone().into();
        // What is inside another stands after it.
        for i in (0..levels.len()).rev() {
            let (before, after) = levels.split_at_mut(i + 1);
            for entry in before[i].places.iter_mut().flatten() {
                let wanted = |target: Target| Field::ALL.iter().any(|&f| wants.has(f) && target.fields().has(f));
                entry.wanted = entry.source.is_some_and(|source| wanted(source.target));
                let inner = entry.inner.and_then(|inner| after.get(inner - i - 1));
                entry.enter = inner.is_some_and(|inner| inner.places.iter().flatten().any(|e| e.wanted || e.enter));
            }
        }
        levels
    }
}

/// Makes a level of keys and, after it, those within. The ways are sorted, so those by way of one key are together.
fn build(levels: &mut Vec<Level>, ways: &[(&[String], Source)]) -> usize {
    let number = levels.len();
    levels.push(Level::new(Vec::new()));
    let mut entries = Vec::new();
    for here in ways.chunk_by(|(a, _), (b, _)| a.first() == b.first()) {
        let Some((key, _)) = here.first().and_then(|(path, _)| path.split_first()) else { continue };
        // The way that ends here is the shortest, and so the first.
        let source = here.first().filter(|(path, _)| path.len() == 1).map(|(_, source)| *source);
        let within = &here[usize::from(source.is_some())..];
        let within: Vec<(&[String], Source)> = within.iter().map(|(path, source)| (&path[1..], *source)).collect();
        entries.push(Entry {
            key: key.as_bytes().into(),
            source,
            wanted: false,
            tells: here.iter().any(|(_, source)| source.target.tells()),
            inner: (!within.is_empty()).then(|| build(levels, &within)),
            enter: false,
        });
    }
    levels[number] = Level::new(entries);
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_known_twice() {
        let mut paths: Vec<_> = known().iter().map(|(path, _)| path).collect();
        paths.sort();
        let doubled: Vec<_> = paths.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert!(doubled.is_empty(), "{doubled:?}");
    }

    #[test]
    fn each_key_is_found_and_no_other() {
        let levels = Map::compile("json").unwrap().levels_for(Fields::ALL);
        for (path, source) in known() {
            let mut level = &levels[0];
            for key in &path[..path.len() - 1] {
                let entry = level.find(key.as_bytes()).expect("an object on the way");
                assert!(entry.enter);
                level = &levels[entry.inner.expect("an object on the way")];
            }
            let entry = level.find(path[path.len() - 1].as_bytes()).expect("a known key");
            assert_eq!((entry.source, entry.wanted), (Some(*source), true), "{path:?}");
        }
        for key in ["", "x", "statu", "status2", "Status", "requests", "remote-addr"] {
            assert!(levels[0].find(key.as_bytes()).is_none(), "{key}");
        }
    }
}

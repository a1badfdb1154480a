//! Which key is which field.
//!
//! `json` is the keys that are known; `json:addr=client.ip,request_time=dur/1000` gives fields keys of its own. A dot goes
//! into an object, a number after a slash says how many of the value's unit are a second. A backslash takes `. , = /` and
//! itself as they are. A field that is given has no other keys; given several times it is taken from the first that is
//! there, given without a key from nowhere.

use super::super::error::FormatError;
use plugin_api::{Field, Fields};

/// Objects inside each other on the way to a key.
const DEPTH_MAX: usize = 8;
/// Keys that a format gives.
const GIVEN_MAX: usize = 100;

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

    fn all() -> impl Iterator<Item = Target> {
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
type Way = (Vec<String>, Source);

impl Map {
    /// Compiles `json`, or `json:` and a map.
    pub(in super::super) fn compile(spec: &str) -> Result<Map, FormatError> {
        let mut given = match spec.split_once(':') {
            Some((_, map)) => Given::read(map, spec.chars().count() - map.chars().count())?,
            None => Given::default(),
        };
        let mut ways = std::mem::take(&mut given.ways);
        for way in known() {
            if !given.targets.contains(&way.1.target) && !ways.iter().any(|(path, _)| *path == way.0) {
                ways.push(way);
            }
        }
        let fields = ways.iter().fold(Fields::NONE, |all, (_, source)| all.union(source.target.fields()));
        let mut levels = Vec::new();
        let mut sorted: Vec<(&[String], Source)> =
            ways.iter().map(|(path, source)| (path.as_slice(), *source)).collect();
        sorted.sort_unstable_by_key(|(path, _)| *path);
        build(&mut levels, &sorted);
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

/// What a format gives.
#[derive(Default)]
struct Given {
    ways: Vec<Way>,
    /// What was given, if only to have no key.
    targets: Vec<Target>,
}

impl Given {
    /// Reads `addr=client.ip,…`, which stands after so many characters.
    fn read(map: &str, before: usize) -> Result<Given, FormatError> {
        let mut given = Given::default();
        let mut column = before + 1;
        for part in split(map, ',') {
            given.part(part, column)?;
            column += part.chars().count() + 1;
        }
        Ok(given)
    }

    fn part(&mut self, part: &str, column: usize) -> Result<(), FormatError> {
        let column = column + part.chars().take_while(|c| c.is_whitespace()).count();
        let part = part.trim();
        let error = |at: usize, why: String| Err(FormatError::new(column + at, why));
        if part.is_empty() {
            return Ok(());
        }
        let Some((name, path)) = part.split_once('=') else {
            return error(0, format!("\"{part}\" is no FIELD=KEY, such as addr=client.ip"));
        };
        let at = name.chars().count() + 1;
        let (name, path) = (name.trim(), path.trim());
        let Some(target) = Target::all().find(|target| target.name() == name) else {
            let known: Vec<&str> = Target::all().map(Target::name).collect();
            let near = known.iter().map(|known| (strsim::levenshtein(name, known), known)).min();
            let hint = near.filter(|(apart, _)| *apart <= 2).map(|(_, known)| format!("; did you mean \"{known}\"?"));
            let (known, hint) = (known.join(", "), hint.unwrap_or_default());
            return error(0, format!("unknown field \"{name}\": known are {known}{hint}"));
        };
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
        if path.is_empty() {
            return Ok(());
        }
        let mut per_second = None;
        let mut pieces = split(path, '/').into_iter();
        let (path, unit) = (pieces.next().unwrap_or_default(), pieces.next());
        if let Some(unit) = unit {
            let timed = matches!(target, Target::Field(Field::RequestTime | Field::UpstreamTime | Field::Time));
            let number: Option<f64> = unit.trim().parse().ok().filter(|n| *n > 0.0 && f64::is_finite(*n));
            if !timed || number.is_none() || pieces.next().is_some() {
                let why = format!(
                    "/{unit} says how many are a second, of request_time, upstream_time and time only: /1000; a slash in a key is written \\/"
                );
                return error(at + path.chars().count(), why);
            }
            per_second = number;
        }
        let keys: Vec<String> = split(path.trim(), '.').into_iter().map(plain).collect();
        if keys.iter().any(String::is_empty) {
            return error(at, format!("a key of \"{path}\" is empty; a dot in a key is written \\."));
        }
        if keys.len() > DEPTH_MAX {
            return error(at, format!("more than {DEPTH_MAX} objects inside each other"));
        }
        if self.ways.len() == GIVEN_MAX {
            return error(0, format!("more than {GIVEN_MAX} keys"));
        }
        if let Some((_, other)) = self.ways.iter().find(|(path, _)| *path == keys) {
            return error(at, format!("\"{path}\" is {} already, and a key gives one field", other.target.name()));
        }
        let rank = self.ways.iter().filter(|(_, source)| source.target == target).count() as u8;
        self.ways.push((keys, Source { target, rank, per_second }));
        Ok(())
    }
}

/// The parts between `mark`s that no backslash stands before.
fn split(text: &str, mark: char) -> Vec<&str> {
    let (mut parts, mut from, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == mark && !escaped {
            parts.push(&text[from..at]);
            from = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[from..]);
    parts
}

/// A key without its backslashes.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

/// The keys that are known, each field's best first. `>` goes into an object, `/` is as in a map.
///
/// Sources: nginx's variables; Caddy `http.log.access`; Traefik, "Access Logs"; Envoy's JSON examples; Elastic Common Schema.
const KNOWN: [(Target, &str); 13 + 1] = [
    (
        Target::Field(Field::Addr),
        "remote_addr client_ip clientip client_addr remote_ip ClientHost ip request>client_ip request>remote_ip client>ip \
         source>ip client.ip source.ip client remote ClientAddr remoteAddress remote_address",
    ),
    (Target::Field(Field::User), "remote_user user username user_id ClientUsername user>name user.name"),
    (
        Target::Field(Field::Time),
        "msec ts time_iso8601 StartUTC time_local timestamp @timestamp time start_time datetime date",
    ),
    (
        Target::Field(Field::Method),
        "request_method method RequestMethod http_method request>method http>request>method http.request.method verb",
    ),
    (
        Target::Field(Field::Url),
        "request_uri url uri RequestPath request_url request_path request>uri request>url url>original url.original path \
         url>path url.path target document_uri",
    ),
    (
        Target::Field(Field::Protocol),
        "server_protocol protocol proto RequestProtocol request>proto request>protocol http_version",
    ),
    (
        Target::Field(Field::Status),
        "status status_code response_code DownstreamStatus response>status http>response>status_code \
         http.response.status_code statusCode OriginStatus",
    ),
    (
        Target::Field(Field::Bytes),
        "body_bytes_sent bytes_sent bytes size DownstreamContentSize response_size response>size \
         http>response>body>bytes http.response.body.bytes response_bytes",
    ),
    (
        Target::Field(Field::Referer),
        "http_referer referer referrer http_referrer request_Referer request>headers>Referer request>headers>referer \
         http>request>referrer http.request.referrer",
    ),
    (
        Target::Field(Field::Agent),
        "http_user_agent user_agent useragent userAgent user-agent agent request_User-Agent request>headers>User-Agent \
         request>headers>user-agent user_agent>original user_agent.original",
    ),
    (
        Target::Field(Field::RequestTime),
        "request_time duration latency response_time elapsed duration_ms/1000 latency_ms/1000 response_time_ms/1000 \
         elapsed_ms/1000 Duration/1000000000",
    ),
    (
        Target::Field(Field::UpstreamTime),
        "upstream_response_time upstream_time upstream_service_time/1000 OriginDuration/1000000000",
    ),
    (
        Target::Field(Field::Host),
        "host http_host server_name vhost virtual_host authority RequestHost request>host domain url>domain url.domain",
    ),
    (Target::Request, "request request_line"),
];

fn known() -> impl Iterator<Item = Way> {
    KNOWN.into_iter().flat_map(|(target, keys)| {
        keys.split_whitespace().enumerate().map(move |(i, written)| {
            let (path, unit) =
                written.split_once('/').map_or((written, None), |(path, unit)| (path, unit.parse().ok()));
            let path = path.split('>').map(str::to_owned).collect();
            // What says one thing is better than what has to be taken apart, but for what has lost its query.
            let whole = target == Target::Request;
            let lost_query = target == Target::Field(Field::Url) && ["uri", "path", "document_uri"].contains(&written);
            let rank = i as u8
                + if whole {
                    50
                } else if lost_query {
                    100
                } else {
                    0
                };
            (path, Source { target, rank, per_second: unit })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_known_twice() {
        let mut paths: Vec<_> = known().map(|(path, _)| path).collect();
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
            assert_eq!((entry.source, entry.wanted), (Some(source), true), "{path:?}");
        }
        for key in ["", "x", "statu", "status2", "Status", "requests", "remote-addr"] {
            assert!(levels[0].find(key.as_bytes()).is_none(), "{key}");
        }
    }
}

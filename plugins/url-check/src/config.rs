//! What is to be checked, as `[params]` says.

use crate::check::{Check, Expect};
use crate::limits::{CHECKS_MAX, HEADERS_MAX, NAME_BYTES_MAX, PARALLEL_MAX, TIMEOUT_MIN, TURN_MAX};
use crate::tls::{Shared, Trust};
use fetch::Target;
use fetch::http::header::{HeaderName, HeaderValue};
use fetch::http::{HeaderMap, Method};
use memchr::memmem::Finder;
use plugin_api::{Entry, Error, Params, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// How a check that says nothing of it is done.
const TIMEOUT: Duration = Duration::from_secs(5);
const PARALLEL: u64 = 16;

/// Keys of a check's table.
const KEYS: &str = "name, url, method, expect, contains, timeout, headers, follow, insecure, ca";

/// Reads which checks there are, and how many are done at a time.
pub(crate) fn read(params: &Params) -> Result<(Vec<Check>, usize), Error> {
    let timeout = within(params.duration("timeout")?.unwrap_or(TIMEOUT))
        .map_err(|why| Error::config(format_args!("params: \"timeout\": {why}")))?;
    let parallel = match params.count("parallel")?.unwrap_or(PARALLEL) {
        parallel @ 1..=PARALLEL_MAX => parallel as usize,
        other => {
            return Err(Error::config(format_args!("params: \"parallel\" must be 1 to {PARALLEL_MAX}, not {other}")));
        }
    };
    let listed: &[Value] = match params.get("urls") {
        None => &[],
        Some(Value::List(listed)) => listed,
        Some(one @ Value::Text(_)) => std::slice::from_ref(one),
        Some(_) => {
            return Err(Error::config("params: \"urls\" must be a list of URLs, or of tables that have a \"url\""));
        }
    };
    if listed.is_empty() {
        return Err(Error::config(
            "params: \"urls\" is missing: name what is to be checked, such as [\"https://shop.example/\"]",
        ));
    }
    if listed.len() > CHECKS_MAX {
        return Err(Error::config(format_args!("params: \"urls\" has {} URLs: at most {CHECKS_MAX}", listed.len())));
    }
    let mut shared = Shared::new();
    let mut names = BTreeSet::new();
    let mut checks = Vec::with_capacity(listed.len());
    for (i, listed) in listed.iter().enumerate() {
        let check = check(listed, timeout, &mut shared).map_err(|why| {
            Error::config(format_args!("params: \"urls\": number {}, {}: {why}", i + 1, shown(listed)))
        })?;
        if !names.insert(check.name.clone()) {
            let name = check.name;
            return Err(Error::config(format_args!(
                "params: \"urls\": number {}: {name:?} is there twice; give one another \"name\"",
                i + 1
            )));
        }
        checks.push(check);
    }
    Ok((checks, parallel))
}

/// How an entry is called where something is wrong with it. A password is nobody's to see.
fn shown(listed: &Value) -> String {
    match listed {
        Value::Text(url) => format!("{:?}", without_user(url)),
        Value::Table(entries) => {
            let named = |key| entries.iter().find(|entry| entry.name == key);
            match named("name").or_else(|| named("url")).map(|entry| &entry.value) {
                Some(Value::Text(text)) => format!("{:?}", without_user(text)),
                _ => "a table".to_owned(),
            }
        }
        _ => "no URL".to_owned(),
    }
}

/// A URL without `user:password@`.
fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{behind}")
}

fn within(timeout: Duration) -> Result<Duration, String> {
    if (TIMEOUT_MIN..=TURN_MAX).contains(&timeout) {
        Ok(timeout)
    } else {
        Err(format!("must be {TIMEOUT_MIN:?} to {TURN_MAX:?}, not {timeout:?}"))
    }
}

fn check(listed: &Value, timeout: Duration, shared: &mut Shared) -> Result<Check, String> {
    let table = match listed {
        Value::Text(url) => Params::new().with("url", url.as_str()),
        Value::Table(entries) => table(entries)?,
        _ => return Err("must be a URL or a table that has a \"url\"".to_owned()),
    };
    let plain = |error: Error| error.message().trim_start_matches("params: ").to_owned();
    let url = table.text("url").map_err(plain)?.ok_or("has no \"url\"")?;
    let target = Target::parse(url)?;
    let name = table.text("name").map_err(plain)?.map_or_else(|| without_user(url), str::to_owned);
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(format!("\"name\" must have 1 to {NAME_BYTES_MAX} bytes"));
    }
    let method = match table.text("method").map_err(plain)?.unwrap_or("GET") {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        "OPTIONS" => Method::OPTIONS,
        other => return Err(format!("\"method\" must be \"GET\", \"HEAD\" or \"OPTIONS\", not {other:?}")),
    };
    let contains = table.text("contains").map_err(plain)?.filter(|text| !text.is_empty());
    if contains.is_some() && method == Method::HEAD {
        return Err("\"contains\" needs a body, which an answer to HEAD does not have".to_owned());
    }
    let timeout = table.duration("timeout").map_err(plain)?.map_or(Ok(timeout), within);
    let insecure = table.flag("insecure").map_err(plain)?.unwrap_or(false);
    let trust = match (table.text("ca").map_err(plain)?, insecure) {
        (Some(_), true) => return Err("\"ca\" and \"insecure\" exclude each other".to_owned()),
        (Some(file), false) => Trust::File(file.to_owned()),
        (None, true) => Trust::Anyone,
        (None, false) => Trust::System,
    };
    let follow = table.flag("follow").map_err(plain)?.unwrap_or(false);
    // One that follows redirects may come to https from anywhere.
    let tls = if target.is_tls() || follow { Some(shared.tls(&trust)?) } else { None };
    Ok(Check {
        name,
        target,
        method,
        headers: headers(table.get("headers"))?,
        expect: table.get("expect").map_or(Ok(Expect::default()), expect)?,
        contains: contains.map(|text| Finder::new(text).into_owned()),
        timeout: timeout.map_err(|why| format!("\"timeout\" {why}"))?,
        follow,
        tls,
    })
}

fn table(entries: &[Entry]) -> Result<Params, String> {
    let mut params = Params::new();
    for entry in entries {
        if !KEYS.split(", ").any(|key| entry.name == key) {
            return Err(format!("unknown key {:?}; there are {KEYS}", entry.name.as_str()));
        }
        params = params.with(&entry.name, entry.value.clone());
    }
    Ok(params)
}

fn headers(value: Option<&Value>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let entries: &[Entry] = match value {
        None => &[],
        Some(Value::Table(entries)) => entries,
        Some(_) => return Err("\"headers\" must be a table of texts".to_owned()),
    };
    if entries.len() > HEADERS_MAX {
        return Err(format!("\"headers\" has {}: at most {HEADERS_MAX}", entries.len()));
    }
    for Entry { name, value } in entries {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("\"headers\": {:?} is no name", name.as_str()))?;
        if key == "connection" || key == "content-length" || key == "transfer-encoding" {
            return Err(format!("\"headers\": {key} is not to be chosen"));
        }
        let text = match value {
            Value::Text(text) => text.as_str(),
            _ => return Err(format!("\"headers\": {key} must be text")),
        };
        let text = HeaderValue::from_str(text)
            .map_err(|_| format!("\"headers\": {key} has letters that a header cannot have"))?;
        headers.insert(key, text);
    }
    Ok(headers)
}

/// `200`, `"2xx"`, `[200, "3xx"]`
fn expect(value: &Value) -> Result<Expect, String> {
    let wrong = || "\"expect\" must be a status such as 200, a class such as \"2xx\", or a list of them".to_owned();
    let one = |value: &Value| match value {
        Value::Integer(status) => {
            u16::try_from(*status).ok().filter(|status| (100..=599).contains(status)).map(|status| (status, status))
        }
        Value::Text(class) => {
            let class =
                class.strip_suffix("xx").and_then(|class| class.parse().ok()).filter(|class| (1..=5).contains(class));
            class.map(|class: u16| (class * 100, class * 100 + 99))
        }
        _ => None,
    };
    let list = match value {
        Value::List(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let ranges: Option<Vec<_>> = list.iter().map(one).collect();
    ranges.filter(|ranges| !ranges.is_empty()).map(Expect).ok_or_else(wrong)
}

//! A module's parameters as bytes: a kind (u8) and what belongs to it; lengths and counts are u32, little endian.

use plugin_api::{Entry, Params, Value};

/// Tables and lists in each other. A `.on` nested deeper is refused long before.
const DEPTH_MAX: usize = 64;

/// Why parameters cannot be handed over or be read.
const TOO_DEEP: &str = "parameters nested too deep";
const CUT: &str = "cut parameters";

/// Writes them.
///
/// # Errors
/// They are nested too deep.
pub fn encode(params: &Params) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    let entries: Vec<(&str, &Value)> = params.iter().collect();
    put_size(&mut out, entries.len());
    for (name, value) in entries {
        put_text(&mut out, name);
        put(&mut out, value, DEPTH_MAX)?;
    }
    Ok(out)
}

fn put(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), &'static str> {
    let deeper = depth.checked_sub(1).ok_or(TOO_DEEP)?;
    match value {
        Value::Bool(flag) => out.extend_from_slice(&[0, u8::from(*flag)]),
        Value::Integer(n) => {
            out.push(1);
            out.extend_from_slice(&n.to_le_bytes());
        }
        Value::Float(x) => {
            out.push(2);
            out.extend_from_slice(&x.to_le_bytes());
        }
        Value::Text(text) => {
            out.push(3);
            put_text(out, text);
        }
        Value::List(list) => {
            out.push(4);
            put_size(out, list.len());
            for item in list {
                put(out, item, deeper)?;
            }
        }
        Value::Table(entries) => {
            out.push(5);
            put_size(out, entries.len());
            for entry in entries {
                put_text(out, &entry.name);
                put(out, &entry.value, deeper)?;
            }
        }
    }
    Ok(())
}

fn put_size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_size(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Reads them.
///
/// # Errors
/// These are no parameters.
pub fn decode(mut bytes: &[u8]) -> Result<Params, &'static str> {
    let mut params = Params::new();
    for _ in 0..take_size(&mut bytes)? {
        let name = take_text(&mut bytes)?;
        params = params.with(name, take(&mut bytes, DEPTH_MAX)?);
    }
    if bytes.is_empty() { Ok(params) } else { Err("more than parameters") }
}

fn take(bytes: &mut &[u8], depth: usize) -> Result<Value, &'static str> {
    let deeper = depth.checked_sub(1).ok_or(TOO_DEEP)?;
    let [kind] = take_bytes::<1>(bytes)?;
    Ok(match kind {
        0 => Value::Bool(take_bytes::<1>(bytes)? != [0]),
        1 => Value::Integer(i64::from_le_bytes(take_bytes(bytes)?)),
        2 => Value::Float(f64::from_le_bytes(take_bytes(bytes)?)),
        3 => Value::Text(take_text(bytes)?.into()),
        4 => {
            let mut list = Vec::new();
            for _ in 0..take_size(bytes)? {
                list.push(take(bytes, deeper)?);
            }
            Value::List(list.into())
        }
        5 => {
            let mut entries = Vec::new();
            for _ in 0..take_size(bytes)? {
                let name = take_text(bytes)?.into();
                entries.push(Entry { name, value: take(bytes, deeper)? });
            }
            Value::Table(entries.into())
        }
        _ => return Err("a parameter of an unknown kind"),
    })
}

fn take_size(bytes: &mut &[u8]) -> Result<usize, &'static str> {
    Ok(u32::from_le_bytes(take_bytes(bytes)?) as usize)
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, &'static str> {
    let length = take_size(bytes)?;
    let (text, rest) = bytes.split_at_checked(length).ok_or(CUT)?;
    *bytes = rest;
    std::str::from_utf8(text).map_err(|_| "a parameter that is no text")
}

fn take_bytes<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(CUT)?;
    *bytes = rest;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            (-1e9..1e9).prop_map(Value::Float),
            ".{0,8}".prop_map(|text| Value::Text(text.into())),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|list| Value::List(list.into())),
                prop::collection::vec((".{1,4}", inner), 0..4).prop_map(|entries| {
                    let entries = entries.into_iter().map(|(name, value)| Entry { name: name.into(), value });
                    Value::Table(entries.collect::<Vec<_>>().into())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn parameters_arrive_as_they_were(entries in prop::collection::vec((".{1,6}", value()), 0..6)) {
            let params = entries.into_iter().fold(Params::new(), |params, (name, value)| params.with(&name, value));
            prop_assert_eq!(decode(&encode(&params).expect("not deep")), Ok(params));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |levels: usize| (1..levels).fold(Value::Bool(true), |value, _| Value::List(vec![value].into()));
        assert!(encode(&Params::new().with("a", nest(DEPTH_MAX))).is_ok());
        assert_eq!(encode(&Params::new().with("a", nest(DEPTH_MAX + 1))), Err(TOO_DEEP));
        // A list that says it is in a list, and so on: one, "a", then lists of one.
        let mut bytes = vec![1, 0, 0, 0, 1, 0, 0, 0, b'a'];
        for _ in 0..100_000 {
            bytes.extend_from_slice(&[4, 1, 0, 0, 0]);
        }
        assert_eq!(decode(&bytes), Err(TOO_DEEP));
    }
}

//! Values as gmond's own `mod_python` converted them: measured with gmond 3.7.2 under Python 2.7, and what is kinder here.

use gmod_compat::descriptor::{Entered, Misfit, Value, ValueKind};
use serde_json::Value as Json;
use std::env;
use std::path::{Path, PathBuf};

/// What the measured module returned, by the second part of its metrics' names.
fn returned(kind: &str, what: &str) -> Option<Value> {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    let int = |n: i128| Some(Value::Int(n));
    match (kind, what) {
        ("u", "str") | (_, "strsp") => text(" 17"),
        ("i", "str") => text("-17"),
        ("f" | "d", "str") => text("2.5"),
        (_, "strneg") => text("-3"),
        (_, "strbig") => text("99999999999"),
        (_, "strexp") => text("1e3"),
        (_, "strbad") => text("x"),
        (_, "strempty") => text(""),
        (_, "bool") => int(1),
        ("f", "int") => int(3),
        ("i", "int") => int(-42),
        (_, "int") => int(42),
        ("s", "neg") => int(-7),
        (_, "neg") => int(-1),
        ("u" | "i", "big") => int(1 << 70).filter(|_| kind == "u"),
        (_, "2p31") => int(1 << 31),
        (_, "2p32") => int((1 << 32) + 5),
        (_, "2p70") => int(1 << 70),
        ("d", "long") => int(1_000_000_000_000_000),
        ("s", "float") => Some(Value::Float(3.5)),
        (_, "float") => Some(Value::Float(3.25)),
        (_, "inf") => Some(Value::Float(f64::INFINITY)),
        (_, "nan") => Some(Value::Float(f64::NAN)),
        (_, "nul") => text("a\0b"),
        (_, "quote") => text("say \"hi\""),
        (_, "xml") => text("<a&\"b\">"),
        (_, "none") => Some(Value::None),
        (_, "list") => Some(Value::Other("list".to_owned())),
        (_, "tuple") => Some(Value::Other("tuple".to_owned())),
        // Made up by the measured module as an exception, a subclass, Latin-1, a unicode object; or of an unknown length.
        _ => None,
    }
}

/// Where something else than gmond's value is meant to enter: the reason, or the value.
fn kinder(name: &str) -> Option<&'static str> {
    Some(match name {
        "u_none" | "f_none" | "s_none" => "returned None",
        "s_list" => "returned a list; only numbers and text are values",
        "s_tuple" => "returned a tuple; only numbers and text are values",
        "u_strbad" | "f_strbad" => "returned \"x\", which is no number",
        "u_strempty" => "returned \"\", which is no number",
        "u_float" | "i_float" => "3",
        "d_2p70" => "1180591620717411300000",
        "f_inf" | "f_nan" => "nothing",
        _ => return None,
    })
}

/// Records too long to be kept with the code, in the folder that `GRAFTD_SAMPLES` names, or in the `data` folder of something
/// that lies beside the checkout.
fn measured() -> Option<PathBuf> {
    const NAME: &str = "gmond/modpy_conversions.json";
    if let Some(folder) = env::var_os("GRAFTD_SAMPLES") {
        return Some(Path::new(&folder).join(NAME)).filter(|file| file.is_file());
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?;
    let folders = std::fs::read_dir(beside).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("data").join(NAME)).find(|file| file.is_file())
}

#[test]
fn values_are_those_of_gmond_or_kinder() {
    let Some(file) = measured() else {
        eprintln!("skipped: the measured values are not here; GRAFTD_SAMPLES names the folder that they lie in");
        return;
    };
    let json: Json = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
    let mut compared = 0;
    for (name, metric) in json["metrics"].as_object().expect("metrics") {
        let Some((letter, what)) = name.split_once('_') else { continue };
        let Some(kind) = [("s", "string"), ("u", "uint"), ("i", "int"), ("f", "float"), ("d", "double")]
            .into_iter()
            .find_map(|(short, kind)| (short == letter).then_some(kind))
        else {
            continue;
        };
        let Some(value) = returned(letter, what) else { continue };
        let got = match ValueKind::named(kind).convert(&value) {
            Ok(Some(Entered::Number(number))) => format!("{number}"),
            Ok(Some(Entered::Text(text))) => text,
            Ok(None) => "nothing".to_owned(),
            Err(misfit @ (Misfit::None | Misfit::Type(_) | Misfit::NoNumber(_))) => misfit.to_string(),
        };
        let gmonds = match &metric["values"][0][2] {
            Json::String(text) => text.clone(),
            number => number.as_f64().map_or_else(String::new, |number| format!("{number}")),
        };
        assert_eq!(got, kinder(name).unwrap_or(&gmonds), "{name}: {value:?}");
        compared += 1;
    }
    assert!(compared > 35, "{compared} values were compared");
}

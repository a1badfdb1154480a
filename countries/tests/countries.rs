//! What is found in a file, and that it is held once. `test.mmdb` is made by the plugin's `make_db.py`.

use countries::{Countries, address};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DATABASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/geo/tests/test.mmdb");

/// A copy of the database that a test has for itself.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Copy {
        let file = std::env::temp_dir().join(format!("countries-{}-{name}.mmdb", std::process::id()));
        fs::copy(DATABASE, &file).unwrap();
        Copy(file)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn of<'c>(countries: &'c Countries, text: &str) -> Option<&'c str> {
    countries.of(address(text)?)
}

#[test]
fn addresses_have_countries() {
    let countries = Countries::open(Path::new(DATABASE)).unwrap();
    for (text, want) in [
        ("192.0.2.1", Some("DE")),
        ("198.51.100.127", Some("FR")),
        ("198.51.100.128", Some("JP")),
        ("::ffff:192.0.2.3", Some("DE")),
        ("2001:db8:1::7", Some("BR")),
        ("203.0.113.1", None),
        ("10.0.0.1", None),
        ("::1", None),
        ("client.example", None),
        ("", None),
        ("192.0.2.1.9", None),
    ] {
        assert_eq!(of(&countries, text), want, "{text}");
    }
    assert_eq!(format!("{countries:?}"), "Countries { type: \"Test-Country\", .. }");
}

#[test]
fn a_file_is_held_once_and_read_anew_when_it_is_another() {
    let copy = Copy::new("shared");
    let first = Countries::open(&copy.0).unwrap();
    assert!(Arc::ptr_eq(&first, &Countries::open(&copy.0).unwrap()));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let file = copy.0.clone();
            std::thread::spawn(move || Countries::open(&file).unwrap())
        })
        .collect();
    assert!(threads.into_iter().all(|thread| Arc::ptr_eq(&first, &thread.join().unwrap())));
    // As an update puts it there. Whoever has the old one keeps it.
    let bytes = fs::read(DATABASE).unwrap();
    let update: Vec<u8> = bytes.windows(2).map(|two| if two == b"DE" { b'A' } else { two[0] }).collect();
    let aside = copy.0.with_extension("new");
    fs::write(&aside, [&update[..], &bytes[bytes.len() - 1..]].concat()).unwrap();
    fs::rename(&aside, &copy.0).unwrap();
    let second = Countries::open(&copy.0).unwrap();
    assert_eq!((of(&first, "192.0.2.1"), of(&second, "192.0.2.1")), (Some("DE"), Some("AE")));
    assert!(Arc::ptr_eq(&second, &Countries::open(&copy.0).unwrap()));
    // What nobody has any more is not held.
    let weak = Arc::downgrade(&second);
    drop(second);
    assert_eq!(weak.strong_count(), 0);
    assert_eq!(of(&Countries::open(&copy.0).unwrap(), "192.0.2.1"), Some("AE"));
}

#[test]
fn what_is_no_database_is_refused() {
    for file in [
        "/no/such/file.mmdb",
        "/dev/zero",
        env!("CARGO_MANIFEST_DIR"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ] {
        let why = Countries::open(Path::new(file)).unwrap_err();
        assert!(why.starts_with(&format!("cannot read {file:?}: ")) && !why.contains('\n'), "{why}");
    }
}

#[test]
fn a_damaged_one_is_refused_or_knows_less() {
    let copy = Copy::new("damaged");
    let whole = fs::read(DATABASE).unwrap();
    let mut opened = 0;
    for at in 0..whole.len() {
        for flip in [0xff, 0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            fs::write(&copy.0, &damaged).unwrap();
            let Ok(countries) = Countries::open(&copy.0) else { continue };
            opened += 1;
            for text in ["192.0.2.1", "198.51.100.1", "2001:db8:2::1", "203.0.113.1", "::1"] {
                let _ = of(&countries, text);
            }
        }
    }
    assert!(opened > whole.len(), "{opened}");
}

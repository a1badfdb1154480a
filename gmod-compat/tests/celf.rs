//! Modules of gmond's C interface are told from other shared objects: those that the tests compile, those that a
//! distribution ships, and bytes that are neither.

use gmod_compat::celf::{Found, MAGIC, VERSION, imports, modules};
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Compiles a fixture and gives its bytes.
fn compiled(source: &str, options: &[&str]) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/c").join(source);
    let mut out: PathBuf = std::env::temp_dir();
    let options_as_name: String = options.concat().chars().filter(char::is_ascii_alphanumeric).collect();
    let stem = source.file_stem().unwrap().to_string_lossy();
    out.push(format!("graftd-celf-{}-{stem}-{options_as_name}.so", std::process::id()));
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-w", "-o"])
        .arg(&out)
        .args(options)
        .arg(&source)
        .status()
        .expect("cc");
    assert!(done.success(), "{source:?} {options:?}");
    let bytes = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();
    bytes
}

fn small() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| compiled("small.c", &[]))
}

fn symbols(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.symbol.as_str()).collect()
}

#[test]
fn a_module_is_found_by_its_content_and_named_by_its_symbol() {
    let found = modules(small());
    assert_eq!(found, [Found { symbol: "small_module".to_owned(), version: VERSION, magic: MAGIC }]);
    assert_eq!(found[0].misfit(), None);
    assert_eq!(symbols(&modules(&compiled("small.c", &["-DTWO"]))), ["other_module", "small_module"]);
    assert_eq!(symbols(&modules(&compiled("small.c", &["-DDOUBTFUL"]))), ["small_module"]);
    assert_eq!(symbols(&modules(&compiled("values.c", &["-Wl,--strip-all"]))), ["values_module"]);
}

#[test]
fn a_module_for_another_gmond_is_found_and_told() {
    let found = modules(&compiled("small.c", &["-DVERSION=20070222"]));
    assert_eq!(
        found[0].misfit().unwrap(),
        "is a gmond module for another gmond: interface 20070222, magic 0x474d3332, and graftd speaks 20080913, \
         0x474d3332 (gmond 3.1.2 to 3.7); build it against these"
    );
    assert!(modules(&compiled("small.c", &["-DMAGIC=0x474D3331UL"]))[0].misfit().unwrap().contains("magic 0x474d3331"));
    assert_eq!(modules(&compiled("small.c", &["-DMAGIC=0x12345678UL"])), []);
}

#[test]
fn imports_are_those_names_that_others_have() {
    assert!(imports(&compiled("small.c", &["-DUNRESOLVED"]), |name| name == "nobody_has_this"));
    assert!(!imports(small(), |name| name == "nobody_has_this" || name == "small_module"));
    assert!(!imports(b"\x7fELF", |_| true));
}

#[test]
fn other_files_are_none() {
    for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &std::fs::read(std::env::current_exe().unwrap()).unwrap()] {
        assert_eq!(modules(bytes), []);
    }
    for part in 0..small().len() {
        modules(&small()[..part]);
    }
}

/// Where a distribution puts gmond's modules.
const SHIPPED: [&str; 3] =
    ["/usr/lib/x86_64-linux-gnu/ganglia", "/usr/lib/aarch64-linux-gnu/ganglia", "/usr/lib/ganglia"];

#[test]
fn shipped_modules_are_found_where_there_are_any() {
    let mut seen = 0;
    for entry in SHIPPED.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some(name) = stem.strip_prefix("mod") else { continue };
        let found = modules(&std::fs::read(&path).unwrap());
        assert_eq!(symbols(&found), [format!("{name}_module")], "{path:?}");
        assert_eq!(found[0].misfit(), None, "{path:?}");
        seen += 1;
    }
    eprintln!("{seen} shipped modules seen");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        modules(&bytes);
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.extend(bytes);
        modules(&elf);
        imports(&elf, |_| false);
    }

    #[test]
    fn no_meddling_with_a_module_makes_it_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        header in proptest::collection::vec((0_usize..512, prop::sample::select(vec![0_u8, 1, 127, 128, 255])), 0..4),
    ) {
        let mut bytes = small().to_vec();
        for (at, to) in changes {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        for (at, to) in header {
            bytes[at] = to;
        }
        prop_assert!(modules(&bytes).len() <= 16);
        imports(&bytes, |_| false);
    }
}

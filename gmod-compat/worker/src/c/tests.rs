//! Modules of our own, compiled here: every type of value, what a module is given, and what goes wrong.

use super::*;
use gmod_compat::descriptor::{Entered, Slope, ValueKind};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Modules that are opened side by side see each other's symbols, as they do in gmond; tests do without that.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A compiled fixture; its file goes with it.
struct Compiled(PathBuf);

impl Drop for Compiled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn compiled(source: &str, options: &[&str]) -> Compiled {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/c").join(source);
    let name: String = options.concat().chars().filter(char::is_ascii_alphanumeric).collect();
    let stem = source.file_stem().unwrap().to_string_lossy();
    let out = std::env::temp_dir().join(format!("graftd-c-{}-{stem}-{name}.so", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-w", "-o"]).arg(&out).args(options).arg(source);
    assert!(cc.status().expect("cc").success());
    Compiled(out)
}

/// The error of opening a fixture.
fn refused(source: &str, options: &[&str], opening: &Opening<'_>) -> String {
    let _alone = alone();
    match CModule::open(&compiled(source, options).0, opening) {
        Ok(_) => panic!("{source} {options:?} was opened"),
        Err(why) => why.to_string(),
    }
}

/// Whether libganglia and libapr are here; says so if not.
pub(super) fn has_libraries() -> bool {
    match Libraries::open() {
        Ok(libraries) if libraries.without_ganglia().is_none() => true,
        Ok(libraries) => {
            eprintln!("skipped: {}", libraries.without_ganglia().unwrap_or_default());
            false
        }
        Err(why) => {
            eprintln!("skipped: {why}");
            false
        }
    }
}

fn open(file: &Compiled, opening: &Opening<'_>) -> CModule {
    CModule::open(&file.0, opening).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn every_type_is_read_as_what_it_is_and_the_module_gets_what_it_was_promised() {
    if !has_libraries() {
        return;
    }
    let _alone = alone();
    let file = compiled("values.c", &[]);
    let param = [("port".to_owned(), "6379".to_owned()), ("Empty".to_owned(), String::new())];
    let mut module = open(
        &file,
        &Opening { params: Some("one text"), param: &param, symbol: Some("values_module"), ..Opening::default() },
    );
    let names: Vec<_> = module.descriptors().iter().map(|descriptor| descriptor.name.clone()).collect();
    assert_eq!(
        names,
        ["a_string", "a_ushort", "a_short", "a_uint", "an_int", "a_float", "a_double", "bare", "full"],
        "of those that init made, all but the one that has no type"
    );
    assert_eq!(
        module.remarks(),
        [
            "an_unknown: its type 0 is none of gmond's (1 to 7), so gmond never sends it; left out",
            "metric number 10 of its table has an empty name; left out",
            "bare: is in its table twice; the later counts",
        ]
    );
    let values: Vec<_> = (0..names.len()).map(|index| module.value(index).unwrap()).collect();
    assert_eq!(
        values,
        [
            Value::Text("one text,port=6379,Empty=,values_module".to_owned()),
            Value::Int(65535),
            Value::Int(-2),
            Value::Int(4_294_967_295),
            Value::Int(-7),
            Value::Float(12.5),
            Value::Float(1e300),
            Value::Int(8),
            Value::Text("x".repeat(SAMPLE_TEXT_BYTES)),
        ]
    );
    assert_eq!(module.value(9).unwrap_err(), "has no metric number 9");
    let first = &module.descriptors()[0];
    assert_eq!(first.groups, ["one", "two"]);
    assert_eq!(first.host("here"), "elsewhere");
    let pairs = [("TITLE", "The text"), ("Owner", "tests"), ("SPOOF_HOST", "192.0.2.7:elsewhere")];
    assert_eq!(first.extra, pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let meta = first.meta(&Entered::Text(String::new()));
    assert!(meta.iter().any(|(key, value)| key == "title" && value == "The text"), "{meta:?}");
    let kinds: Vec<_> = module.descriptors().iter().map(|descriptor| descriptor.kind.clone()).collect();
    let expected = ["string", "uint16", "int16", "uint32", "int32", "float", "double", "uint32", "string"];
    assert_eq!(kinds, expected.map(ValueKind::named));
    assert_eq!(module.descriptors()[6].slope, Slope::Derivative);
    let bare = Descriptor { name: "bare".to_owned(), kind: ValueKind::Uint(32), ..Descriptor::default() };
    assert_eq!(module.descriptors()[7], bare);
    module.close();
}

#[test]
fn a_module_that_reads_the_configuration_is_given_it() {
    if !has_libraries() {
        return;
    }
    let _alone = alone();
    let file = compiled("small.c", &["-DCONFIG"]);
    let text =
        b"cluster { name = \"from_the_text\" }\nmodules { module { name = \"small_module\" path = \"small.so\" } }\n";
    let module = open(&file, &Opening { config: Some(text), ..Opening::default() });
    assert_eq!(module.descriptors()[0].name, "from_the_text");
    let module = open(&file, &Opening::default());
    assert_eq!(module.descriptors()[0].name, "unspecified", "gmond's own default");
}

#[test]
fn a_file_is_opened_by_its_descriptor_too() {
    let _alone = alone();
    let Ok(_) = Libraries::open() else { return };
    let file = compiled("small.c", &[]);
    let open_file = std::fs::File::open(&file.0).unwrap();
    drop(file);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open_file));
    let mut module = CModule::open(Path::new(&path), &Opening::default()).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(module.value(0), Ok(Value::Int(1)));
}

#[test]
fn what_cannot_run_is_told() {
    if !has_libraries() {
        return;
    }
    let none = Opening::default();
    for (options, opening, start) in [
        (&["-DINIT_FAILS"][..], &none, "its init returned 1, by which"),
        (&["-DVERSION=20070222"], &none, "is a gmond module for another gmond: interface 20070222,"),
        (
            &["-DMAGIC=0x474D3331UL"],
            &none,
            "is a gmond module for another gmond: interface 20080913, magic 0x474d3331,",
        ),
        (&["-DMAGIC=1UL"], &none, "holds no gmond module: it exports no `struct mmodule`"),
        (&["-DUNRESOLVED"], &none, "cannot be loaded: undefined symbol: nobody_has_this; gmond's modules may use"),
        (&["-DWITHOUT_HANDLER"], &none, "its small_module has no handler"),
        (&["-DTWO"], &none, "holds several modules; write name = \"…\" with one of other_module, small_module"),
        (
            &[],
            &Opening { symbol: Some("smal_module"), ..none },
            "holds no module smal_module; write name = \"…\" with the one that it holds: small_module",
        ),
        (&[], &Opening { params: Some("a\0b"), ..none }, "\"a\\0b\" holds a NUL, which no C module can read"),
        (
            &["-Dsmall_module=python_module"],
            &none,
            "is gmond's own host of Python modules, and graftd runs those itself",
        ),
    ] {
        let why = refused("small.c", options, opening);
        assert!(why.starts_with(start), "{options:?}: {why}");
    }
    let why = CModule::open(Path::new("/nowhere/modx.so"), &none).err().unwrap().to_string();
    assert!(why.starts_with("cannot be opened: No such file"), "{why}");
}

#[test]
fn a_module_without_a_table_has_no_metrics_and_says_so() {
    let _alone = alone();
    let Ok(_) = Libraries::open() else { return };
    let module = open(&compiled("small.c", &["-DWITHOUT_METRICS"]), &Opening::default());
    assert_eq!(module.descriptors(), []);
    assert_eq!(module.remarks(), ["its table of metrics is missing (NULL)"]);
}

const CHILD: &str = "GRAFTD_TEST_C_MODULE";

/// Opens, samples and ends a module in a process of its own, and gives what became of it.
fn in_a_child(source: &str, options: &[&str]) -> Output {
    let file = compiled(source, options);
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "c::tests::the_child", "--nocapture"])
        .env(CHILD, &file.0)
        .output()
        .unwrap()
}

/// Does nothing unless a test has started this process for it.
#[test]
fn the_child() {
    let Some(file) = std::env::var_os(CHILD) else { return };
    let mut module = CModule::open(Path::new(&file), &Opening::default()).unwrap_or_else(|why| panic!("{why}"));
    eprintln!("value: {:?}", module.value(0));
    module.close();
    eprintln!("closed");
}

#[test]
fn a_crash_or_exit_ends_the_process_and_nothing_else() {
    use std::os::unix::process::ExitStatusExt;
    if !has_libraries() {
        return;
    }
    let crashed = in_a_child("small.c", &["-DCRASHES"]);
    assert_eq!(crashed.status.signal(), Some(11), "{crashed:?}");
    assert_eq!(in_a_child("small.c", &["-DINIT_EXITS"]).status.code(), Some(3));
    let whole = in_a_child("values.c", &[]);
    let said = String::from_utf8_lossy(&whole.stderr);
    assert!(whole.status.success() && said.contains("values: cleaned up\nclosed\n"), "{whole:?}");
}

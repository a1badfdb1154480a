//! Modules of gmond in C: those that are compiled here, and those that Debian ships.

use crate::driver::{Setup, first_line, setup};
use gmod_compat::protocol::gmod::Language;
use plugin_api::{ErrorKind, Params, Value};
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let stem = source.file_stem().expect("a file").to_string_lossy();
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{stem}-{name}-{}.so", std::process::id()));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-w", "-o"]).arg(&out).args(options).arg(source);
    assert!(cc.status().expect("cc").success());
    Compiled(out)
}

fn c_setup(file: &Path) -> Setup {
    let mut setup = setup(file);
    setup.start.language = Language::C;
    setup
}

/// Debian's packages with the libraries and the modules are installed; says so if not.
fn debian(module: &str) -> Option<PathBuf> {
    const FOLDERS: [&str; 3] =
        ["/usr/lib/x86_64-linux-gnu/ganglia", "/usr/lib/aarch64-linux-gnu/ganglia", "/usr/lib/ganglia"];
    let found =
        FOLDERS.iter().map(|folder| Path::new(folder).join(format!("mod{module}.so"))).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: mod{module}.so is not installed (libganglia1, ganglia-modules-linux)");
    }
    found
}

#[test]
fn every_value_enters_the_tree_with_what_is_said_of_it() {
    if debian("cpu").is_none() {
        return;
    }
    let file = compiled("values.c", &[]);
    let mut setup = c_setup(&file.0).params(Params::new().with("port", Value::from(6379)));
    setup.start.c_params = Some("one text".to_owned());
    let (mut worker, told) = setup.run();
    assert!(!told.is_pipe);
    assert_eq!(told.declared.every_ms, Some(10_000));
    assert_eq!(told.declared.remarks.len(), 3, "{:?}", told.declared.remarks);
    let sample = worker.collect(0);
    assert_eq!(sample.fault(), "");
    let full = "x".repeat(64);
    assert_eq!(
        sample.line(),
        format!(
            "elsewhere,a_string=\"one text,port=6379,values_module\" me,a_double=1{} me,a_float=12.5 me,a_short=-2 \
             me,a_uint=total 4294967295 me,a_ushort=65535 me,an_int=-7 me,bare=8 me,full=\"{full}\"",
            "0".repeat(300)
        )
    );
    let meta = |path: &str| {
        let pairs = sample.meta[path].iter().map(|(key, value)| format!("{key}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        meta("me,a_ushort"),
        "type=uint16 units=things slope=both title=a_ushort description=A short format=%hu tmax=60 dmax=0 source=gmond"
    );
    let spoofed = meta("elsewhere,a_string");
    for part in ["title=The text", "group=one group=two", "spoof=192.0.2.7:elsewhere", "Owner=tests"] {
        assert!(spoofed.contains(part), "{spoofed}");
    }
    assert!(worker.collect(10).meta.is_empty(), "it is told once");
    let (status, words) = worker.end();
    assert!(status.success() && words.contains("values: cleaned up"), "{status} {words}");
}

#[test]
fn a_module_that_reads_the_configuration_finds_its_block_in_it() {
    if debian("cpu").is_none() {
        return;
    }
    let file = compiled("small.c", &["-DCONFIG"]);
    let (mut worker, _) = c_setup(&file.0).run();
    // What it names its metric after is not in its block, so it is gmond's default.
    assert_eq!(worker.collect(0).line(), "me,unspecified=1");
}

#[test]
fn what_cannot_run_says_why_and_whether_it_may_yet() {
    if debian("cpu").is_none() {
        return;
    }
    for (options, kind, why) in [
        (&["-DINIT_FAILS"][..], ErrorKind::Failed, "its init returned 1, by which"),
        (&["-DVERSION=20070222"], ErrorKind::Config, "is a gmond module for another gmond"),
        (&["-DMAGIC=1UL"], ErrorKind::Config, "holds no gmond module"),
        (&["-DUNRESOLVED"], ErrorKind::Failed, "cannot be loaded: undefined symbol: nobody_has_this"),
        (&["-DTWO"], ErrorKind::Config, "holds several modules"),
    ] {
        let file = compiled("small.c", options);
        let error = c_setup(&file.0).refused();
        let start = format!("{}: {why}", file.0.display());
        assert!(error.kind() == kind && first_line(&error).starts_with(&start), "{options:?}: {error}");
    }
    let file = compiled("small.c", &["-DTWO"]);
    let mut setup = c_setup(&file.0);
    setup.start.symbol = Some("other_module".to_owned());
    assert_eq!(setup.run().0.collect(0).line(), "me,one=1");
}

#[test]
fn a_module_that_crashes_ends_its_process() {
    use std::os::unix::process::ExitStatusExt;
    if debian("cpu").is_none() {
        return;
    }
    let file = compiled("small.c", &["-DCRASHES"]);
    let (mut worker, _) = c_setup(&file.0).run();
    let clock = plugin_api::Clock::new(1, 1);
    worker.say(gmod_compat::protocol::wire::tag::COLLECT, &gmod_compat::protocol::wire::clock_bytes(clock));
    assert!(worker.hear_if_any().is_none());
    assert_eq!(worker.ended().0.signal(), Some(11));
}

/// How many metrics each of Debian's modules has everywhere; those that make them up have as many as there are things.
const METRICS: [(&str, Option<usize>); 10] = [
    ("cpu", Some(11)),
    ("disk", Some(3)),
    ("fs", None),
    // Its rates are no numbers (NaN) until some seconds have passed between two samples.
    ("io", None),
    ("load", Some(3)),
    ("mem", Some(8)),
    ("multicpu", None),
    ("net", Some(4)),
    ("proc", Some(2)),
    ("sys", Some(6)),
];

#[test]
fn debians_modules_run_in_the_worker() {
    for (name, metrics) in METRICS {
        let Some(file) = debian(name) else { return };
        let mut setup = c_setup(&file);
        setup.start.symbol = Some(format!("{name}_module"));
        let (mut worker, told) = setup.run();
        assert_eq!(told.declared.remarks, Vec::<String>::new(), "{name}");
        let first = worker.collect(0);
        // A module that finds nothing to sample says so.
        assert!(first.fault().is_empty() || first.fault() == "it has no metrics", "{name}: {}", first.fault());
        let second = worker.collect(10);
        for (path, meta) in first.meta.iter().chain(&second.meta) {
            let get = |key| meta.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str());
            assert!(
                get("type").is_some() && get("group").is_some() && get("source") == Some("gmond"),
                "{path} {meta:?}"
            );
        }
        if let Some(metrics) = metrics {
            assert_eq!(first.meta.len() + second.meta.len(), metrics, "{name}");
        }
        assert!(worker.end().0.success(), "{name}");
    }
}

#[test]
fn a_group_of_the_configuration_says_what_is_sampled_and_how_it_is_called() {
    let Some(file) = debian("load") else { return };
    let setup = c_setup(&file).groups(
        "collection_group { collect_every = 20 metric { name = load_one title = \"One\" } metric { name = cpu_user } }",
    );
    let (mut worker, told) = setup.run();
    assert_eq!(told.declared.every_ms, Some(20_000));
    let sample = worker.collect(0);
    assert_eq!(sample.entries.keys().collect::<Vec<_>>(), ["me,load_one"]);
    assert!(sample.meta["me,load_one"].contains(&("title".to_owned(), "One".to_owned())));
}

//! What kind of Python a source is, where its packages and helpers lie, and what running it costs.

use crate::driver::{Folder, first_line, module, setup};
use plugin_api::ErrorKind;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_source_of_python_2_runs_as_it_did_and_is_converted_once() {
    let (mut worker, told) = setup(&module("of_python_2.py")).run();
    let keep = told.keep.expect("the conversion");
    let sample = worker.collect(0);
    assert_eq!(sample.line(), "me,half=3 me,helped=8");
    assert_eq!(sample.fault(), "1 of 3 metrics failed; failing: KeyError: 'missing' (of_python_2.py:15)");
    let error = sample.error.expect("one failed");
    assert!(error.message().contains("line 15, in failing\n    raise KeyError, \"missing\"\n"), "{error}");
    let (status, words) = worker.end();
    assert!(status.success(), "{status}");
    assert_eq!(words, "loaded\nfirst\nhelped\nthe end\n");
    // The next start has it already.
    let mut again = setup(&module("of_python_2.py"));
    again.kept = keep;
    let (mut worker, told) = again.run();
    assert_eq!((worker.collect(0).line(), told.keep), ("me,half=3 me,helped=8".to_owned(), None));
    // What was kept by another version, or is broken, does no harm.
    let mut broken = setup(&module("of_python_2.py"));
    broken.kept = b"nothing that can be read".to_vec();
    let (mut worker, told) = broken.run();
    assert_eq!(worker.collect(0).line(), "me,half=3 me,helped=8");
    assert!(told.keep.is_some());
}

#[test]
fn a_source_of_python_3_is_looked_at_once() {
    let (_worker, told) = setup(&module("values.py")).run();
    let keep = told.keep.expect("that it is of Python 3");
    let mut again = setup(&module("values.py"));
    again.kept = keep;
    assert_eq!(again.run().1.keep, None);
}

#[test]
fn a_module_of_python_3_may_have_a_helper_of_python_2() {
    let folder = Folder::new();
    fs::write(folder.path().join("old_helper.py"), "print 'old'\ndef value(name): return 7 / 2\n").expect("a file");
    let file = folder.path().join("m.py");
    let source = "def metric_init(params):\n    import old_helper\n    \
                  return {'name': f'{1}', 'value_type': 'double', 'call_back': lambda name: old_helper.value(name) + 1 / 2}\n";
    fs::write(&file, source).expect("a file");
    let (mut worker, told) = setup(&file).run();
    assert_eq!(worker.collect(0).line(), "me,1=3.5");
    // What was converted while the module was made is kept too.
    assert!(told.keep.expect("a conversion").len() > 200);
}

#[test]
fn what_neither_python_reads_is_told_with_its_line() {
    let folder = Folder::new();
    let file = folder.path().join("m.py");
    fs::write(&file, "print 'old'\ndef metric_init(params)\n    pass\n").expect("a file");
    let error = setup(&file).refused();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        first_line(&error).starts_with("import: SyntaxError: ") && first_line(&error).ends_with("(m.py:2)"),
        "{error}"
    );
    assert!(!error.message().contains("graftd_py2"), "{error}");
    // A source of Python 3 is told its mistake by Python 3, and a bracket where it opens.
    let good = "import os\ndef metric_init(params: dict):\n    return []\n";
    for (source, line) in [("y = = 2\n", 4), ("y = (1,\nz = 2\n", 4)] {
        fs::write(&file, format!("{good}{source}")).expect("a file");
        let error = setup(&file).refused();
        assert!(first_line(&error).ends_with(&format!("(m.py:{line})")), "{error}");
        assert!(!error.message().contains("graftd_py2"), "{error}");
    }
    // Nor are the layer's frames shown of what a helper raises while it is imported.
    fs::write(folder.path().join("old_helper.py"), "print 'old'\nraise KeyError, 'helper'\n").expect("a file");
    fs::write(&file, "import old_helper\nprint 'never'\n").expect("a file");
    let error = setup(&file).refused();
    assert!(error.message().contains("old_helper.py\", line 2") && error.message().contains("KeyError"), "{error}");
    assert!(!error.message().contains("graftd_py2"), "{error}");
}

/// A virtual environment, as `python -m venv` makes one, of this version.
fn environment(folder: &Folder, version: &str) -> String {
    let root = folder.path().join("venv");
    let minor = version.split('.').take(2).collect::<Vec<_>>().join(".");
    let packages = root.join(format!("lib/python{minor}/site-packages"));
    fs::create_dir_all(&packages).expect("a folder");
    fs::create_dir_all(root.join("bin")).expect("a folder");
    fs::create_dir_all(root.join("extra")).expect("a folder");
    fs::create_dir_all(root.join("hidden")).expect("a folder");
    let base = env!("GRAFTD_PYTHON");
    symlink(base, root.join("bin/python")).expect("a link");
    let home = std::path::Path::new(base).parent().expect("a folder").display();
    fs::write(root.join("pyvenv.cfg"), format!("home = {home}\nversion = {version}\n")).expect("a file");
    fs::write(packages.join("in_packages.py"), "who = 'packages'\n").expect("a file");
    fs::write(root.join("extra/by_path.py"), "who = 'path'\n").expect("a file");
    fs::write(root.join("hidden/by_code.py"), "who = 'code'\n").expect("a file");
    let hidden = root.join("hidden");
    let pth = format!(
        "../../../extra\nimport sys; print('code of a .pth'); sys.path.append({hidden:?}); sys.modules['made'] = sys\n"
    );
    fs::write(packages.join("a.pth"), pth).expect("a file");
    root.to_string_lossy().into_owned()
}

#[test]
fn an_environment_brings_its_packages_and_code_in_pth_files_waits_until_it_is_needed() {
    let folder = Folder::new();
    let file = folder.path().join("m.py");
    let metrics = "def metric_init(params): return {'name': 'who', 'value_type': 'string', 'call_back': who}\n";
    let run = |source: &str, venv: Option<&str>| {
        fs::write(&file, format!("{source}\n{metrics}")).expect("a file");
        let mut setup = setup(&file);
        setup.start.python = venv.map(str::to_owned);
        setup
    };
    let venv = environment(&folder, concat!(env!("GRAFTD_PYTHON_VERSION"), ".99"));
    let easy =
        "import in_packages, by_path, sys\ndef who(name): return in_packages.who + by_path.who + str(sys.prefix)";
    let (mut worker, _) = run(easy, Some(&venv)).run();
    assert_eq!(worker.collect(0).line(), format!("me,who=\"packagespath{venv}\""));
    assert_eq!(worker.end().1, "");
    let late = "import by_code, made, sys\ndef who(name): return by_code.who + str(made is sys)";
    let (mut worker, _) = run(late, Some(&venv)).run();
    assert_eq!(worker.collect(0).line(), "me,who=\"codeTrue\"");
    assert_eq!(worker.end().1, "code of a .pth\n");
    let error = run(easy, None).refused();
    assert!(first_line(&error).contains("No module named 'in_packages'"), "{error}");
    let error = run(easy, Some("/nowhere")).refused();
    assert_eq!(
        first_line(&error),
        "python = \"/nowhere\": there is no bin/python; give the folder of a virtual environment"
    );
    let other = Folder::new();
    let error = run(easy, Some(&environment(&other, "3.2.1"))).refused();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(first_line(&error).contains("an environment of Python 3.2, and graftd-gmod has "), "{error}");
}

#[test]
fn an_installed_package_goes_before_the_modules_own_name() {
    // As gmond has it, where the modules' folder is the last on the path: json.py imports Python's json.
    let folder = Folder::new();
    let file = folder.path().join("json.py");
    let source = "import json\n\ndef metric_init(params):\n    \
                  return {'name': json.dumps([1]), 'value_type': 'string', 'call_back': lambda name: __name__ + __file__[-7:]}\n";
    fs::write(&file, source).expect("a file");
    let (mut worker, _) = setup(&file).run();
    assert_eq!(worker.collect(0).line(), "me,[1]=\"jsonjson.py\"");
}

#[test]
fn a_folder_that_cannot_be_named_is_reached_by_its_descriptor() {
    let mut setup = setup(&module("descriptors.py"));
    setup.start.folder = Some("/nowhere/that/can/be/opened".to_owned());
    setup.folder = Some(module(""));
    let (mut worker, _) = setup.run();
    assert_eq!(worker.collect(0).entries["me,helped"], "\"helped helped\"");
}

#[test]
fn a_module_in_python_3_costs_no_more_than_it_may() {
    let (mut worker, _) = setup(&module("helper_only.py")).run();
    assert_eq!(worker.collect(0).line(), "me,one=1");
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).expect("it runs");
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("told").trim().trim_end_matches(" kB");
    let rss_kib: u64 = rss.parse().expect("a number");
    assert!(rss_kib < 16 * 1024, "{rss_kib} KiB");
}

//! `graftd import-gmond`: an installation of ganglia is brought over, and what it ran runs here.

use graftd_tests::{Daemon, Folders, HOST, Ran, fixture, graftd, workspace};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// An installation in a folder of the test's, and folders to bring it into.
struct Setup {
    folders: Arc<Folders>,
}

impl Setup {
    fn new() -> Setup {
        let setup = Setup { folders: Arc::new(Folders::new()) };
        let root = setup.root();
        copy_all(&fixture("gmond"), &root);
        let conf = fs::read_to_string(root.join("etc/gmond.conf")).expect("the fixture");
        fs::write(root.join("etc/gmond.conf"), conf.replace("@ROOT@", &root.display().to_string())).expect("written");
        fs::create_dir(root.join("lib")).expect("a folder");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-w", "-o"]).arg(root.join("lib/modvalues.so"));
        assert!(cc.arg(workspace().join("gmod-compat/tests/fixtures/c/values.c")).status().expect("cc").success());
        setup
    }

    /// Where the installation lies.
    fn root(&self) -> PathBuf {
        self.folders.root().join("ganglia")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.root().join(name), text).expect("written");
    }

    fn import(&self, more: &[&str]) -> Ran {
        let from = self.root().join("etc").display().to_string();
        let mut args = vec!["import-gmond".to_owned(), from];
        for (flag, folder) in [("--conf", "conf"), ("--plugins", "plugins")] {
            args.extend([flag.to_owned(), self.folders.root().join(folder).display().to_string()]);
        }
        args.extend(more.iter().map(|word| (*word).to_owned()));
        graftd(args)
    }

    /// What lies in the conf and plugins folders now: `conf/tally.on` and its text, or its size if it is none.
    fn files(&self) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        for folder in ["conf", "plugins"] {
            for entry in fs::read_dir(self.folders.root().join(folder)).expect("a folder") {
                let entry = entry.expect("a file");
                let bytes = fs::read(entry.path()).expect("a file");
                let text = String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().len().to_string());
                out.insert(format!("{folder}/{}", entry.file_name().display()), text);
            }
        }
        out
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the fixture") {
        let entry = entry.expect("a file");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_all(&entry.path(), &to),
            false => _ = fs::copy(entry.path(), to).expect("copied"),
        }
    }
}

#[test]
fn what_gmond_ran_comes_over_and_a_second_time_changes_nothing() {
    let setup = Setup::new();
    let dry = setup.import(&["--dry-run"]).good().stdout;
    assert!(dry.contains("14 files would be brought over, 0 there already\n"), "{dry}");
    assert_eq!((dry.matches("would bring /").count(), dry.contains("brought  ")), (14, false), "{dry}");
    assert!(setup.files().is_empty(), "a dry run writes nothing");

    let said = setup.import(&[]).good().stdout;
    let files = setup.files();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "conf/asleep.off",
            "conf/gmond.on",
            "conf/left.on",
            "conf/modvalues.on",
            "conf/right.off",
            "conf/spare.off",
            "conf/tally.on",
            "plugins/asleep.py",
            "plugins/left.py",
            "plugins/modvalues.so",
            "plugins/right.py",
            "plugins/spare.py",
            "plugins/tally.py",
            "plugins/tally_help.py",
        ]
    );
    let pyconf = fs::read_to_string(fixture("gmond/etc/conf.d/tally.pyconf")).expect("the fixture");
    assert_eq!(files["conf/tally.on"], format!("# imported by graftd from /etc/ganglia/conf.d/tally.pyconf\n{pyconf}"));
    for part in ["cluster = \"Shop\"", "owner = \"ops\"", "location = \"1,2,3\"", "udp = [\"127.0.0.1:8649\"]"] {
        assert!(files["conf/gmond.on"].contains(part), "{}", files["conf/gmond.on"]);
    }
    assert!(files["conf/gmond.on"].contains("tcp = [\"127.0.0.1:8655\"]\n"), "{}", files["conf/gmond.on"]);
    assert!(files["conf/left.on"].contains("name = \"left\"") && !files["conf/left.on"].contains("name = \"right\""));
    assert!(files["conf/modvalues.on"].contains("a_ushort") && !files["conf/modvalues.on"].contains("heartbeat"));
    for part in [
        "note     /etc/ganglia/conf.d/pair.pyconf:3:3: enabled = no: it comes over as right.off",
        "gmond.conf:26:3: core_metrics is part of gmond itself",
        "gmond.conf:34:3: python_module is gmond's host of Python modules",
        "gmond.conf:13:1: not needed: what modules say is in the tree",
        "gmond.conf:17:1: gmond listened on 239.2.11.71:8649; gmond.on has that as a comment",
        "14 files brought over, 0 there already\n",
    ] {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
    for entry in fs::read_dir(setup.folders.root().join("plugins")).expect("a folder") {
        let mode = entry.expect("a file").metadata().expect("its rights").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }

    let again = setup.import(&[]).good().stdout;
    assert!(again.ends_with("nothing to do: 14 files are there already\n"), "{again}");
    assert_eq!(setup.files(), files);
}

#[test]
fn what_somebody_wrote_or_switched_stays() {
    let setup = Setup::new();
    setup.import(&[]).good();
    let conf = |name: &str| setup.folders.root().join("conf").join(name);
    fs::write(conf("tally.on"), "every = \"5s\"\n").expect("written");
    fs::rename(conf("left.on"), conf("left.off")).expect("renamed");
    let before = setup.files();
    let report = setup.import(&["--json"]).good().json();
    assert_eq!(setup.files(), before, "left.off is there, and no left.on beside it");
    let state = |name: &str| {
        let files = report["files"].as_array().expect("a list");
        let file = files.iter().find(|file| file["path"].as_str().is_some_and(|path| path.ends_with(name)));
        file.map_or(Value::Null, |file| file["state"].clone())
    };
    assert_eq!([state("conf/tally.on"), state("conf/left.off")], [json!("kept"), json!("there")]);
    assert_eq!(report["dry_run"], json!(false));
    let said = setup.import(&[]).good().stdout;
    assert!(said.contains("tally.on: it differs from what would come from"), "{said}");
    setup.import(&["--force"]).good();
    assert!(setup.files()["conf/tally.on"].starts_with("# imported by graftd"));
}

#[test]
fn what_cannot_come_over_is_told_with_its_place() {
    let setup = Setup::new();
    setup.write("etc/conf.d/lost.pyconf", "\nmodules { module { name = lost language = python } }");
    let ran = setup.import(&[]);
    ran.failed(1, &["one thing could not be brought over"]);
    assert!(ran.stdout.contains("missing  /etc/ganglia/conf.d/lost.pyconf:2:11: there is no lost.py; name its folder"));
    // What others can write is not believed, and that is told before it is wondered at.
    let plugins = setup.folders.root().join("plugins");
    fs::set_permissions(&plugins, fs::Permissions::from_mode(0o777)).expect("opened to all");
    setup.import(&[]).failed(1, &["things could not be brought over"]);

    setup.write("etc/conf.d/lost.pyconf", "modules { module { name = lost language = }");
    setup.import(&[]).failed(2, &["lost.pyconf:1:43: `language` has no value"]);
    let nowhere = setup.root().join("nowhere").display().to_string();
    graftd(["import-gmond", &nowhere]).failed(2, &["nowhere: No such file"]);
    let python = ["--python-modules", &nowhere];
    setup.import(&python).failed(2, &["nowhere: is no folder"]);
    graftd(
        ["import-gmond", &setup.folders.root().join("data").display().to_string(), "--python-modules"]
            .into_iter()
            .chain([setup.folders.root().join("data").display().to_string().as_str()]),
    )
    .failed(2, &["neither a gmond.conf"]);
}

#[test]
fn links_that_lead_out_of_the_folder_are_named_and_not_followed() {
    let setup = Setup::new();
    let secret = setup.folders.write("secret.py", "SECRET = 1\ndef metric_init(params): return []\n");
    let conf = setup.folders.write("secret.pyconf", "modules { module { name = tally language = python } }\n");
    let at = |name: &str| setup.root().join(name);
    symlink(&secret, at("python_modules/stolen.py")).expect("a link");
    symlink(setup.folders.root(), at("python_modules/outside")).expect("a link");
    symlink(&conf, at("etc/conf.d/aside.pyconf")).expect("a link");
    symlink(&conf, at("etc/beside.pyconf")).expect("a link");
    // One that stays is followed.
    symlink("tally_help.py", at("python_modules/another_help.py")).expect("a link");
    let ran = setup.import(&[]);
    ran.failed(1, &["4 things could not be brought over"]);
    for (link, to) in [("stolen.py", &*secret), ("conf.d/aside.pyconf", &conf), ("etc/beside.pyconf", &conf)] {
        let told = |line: &&str| line.contains(&format!("{link}: a link that leads out of ")) && line.contains(to);
        assert!(ran.stdout.lines().any(|line| told(&line)), "{link}: {ran:?}");
    }
    let files = setup.files();
    assert!(files.contains_key("plugins/another_help.py") && files.len() == 15, "{files:?}");
    assert!(!files.values().any(|text| text.contains("SECRET")), "{files:?}");

    // What gmond.conf itself is, whoever wants it names.
    fs::rename(at("etc/gmond.conf"), at("gmond.conf")).expect("moved");
    symlink(at("gmond.conf"), at("etc/gmond.conf")).expect("a link");
    setup.import(&[]).failed(2, &["etc/gmond.conf: a link that leads out of"]);
}

#[test]
fn what_was_off_because_it_was_broken_is_on_once_it_is_mended() {
    let setup = Setup::new();
    fs::remove_file(setup.root().join("etc/gmond.conf")).expect("removed");
    let python = setup.root().join("python_modules").display().to_string();
    let import = || setup.import(&["--python-modules", &python]);
    let good = fs::read_to_string(setup.root().join("etc/conf.d/tally.pyconf")).expect("the fixture");
    setup.write("etc/conf.d/tally.pyconf", "modules { module { name = tally language = }");
    import().failed(1, &["one thing could not be brought over"]);
    assert!(setup.files()["conf/tally.off"].contains("cannot be read, so it is off"), "{:?}", setup.files());
    // Again the same.
    import().failed(1, &["one thing could not be brought over"]);
    setup.write("etc/conf.d/tally.pyconf", &good);
    import().good();
    let files = setup.files();
    assert!(files["conf/tally.on"].ends_with(&good) && !files.contains_key("conf/tally.off"), "{files:?}");

    // What somebody switched off stays off, and what somebody wrote stays.
    let conf = |name: &str| setup.folders.conf(name);
    fs::rename(conf("tally.on"), conf("tally.off")).expect("renamed");
    fs::write(conf("left.off"), "# Its configuration cannot be read, so it is off. Mend that, and import again.\n")
        .expect("written");
    fs::remove_file(conf("left.on")).expect("removed");
    let before = setup.files();
    import().good();
    assert_eq!(setup.files(), before);
}

#[test]
fn a_shelf_of_modules_without_a_gmond_conf_is_enough() {
    let setup = Setup::new();
    for gone in ["etc/gmond.conf", "etc/conf.d/pair.pyconf"] {
        fs::remove_file(setup.root().join(gone)).expect("removed");
    }
    let folder = setup.root().join("python_modules").display().to_string();
    setup.import(&["--python-modules", &folder]).good();
    let files = setup.files();
    assert!(
        files.contains_key("conf/tally.on")
            && files.contains_key("conf/left.off")
            && !files.contains_key("conf/gmond.on")
    );
}

#[test]
fn what_came_over_runs() {
    let setup = Setup::new();
    setup.import(&[]).good();
    // The ports of the fixture are ganglia's own; who else has them on this machine is not this test's affair.
    let gmond = setup.folders.conf("gmond.on");
    let text = fs::read_to_string(&gmond).expect("it came over").replace(":8649", ":0").replace(":8655", ":0");
    fs::write(&gmond, text).expect("written");
    let daemon = Daemon::builder().folders(&setup.folders).start();
    daemon.await_state("gmond", "running");
    assert!(daemon.await_number(&format!("tally,{HOST},tally_count")) > 41.0);
    assert_eq!(daemon.await_number(&format!("left,{HOST},left_side")), 7.0);
    for name in ["right", "asleep", "spare"] {
        assert_eq!(daemon.module(name)["state"], "off", "{name}");
    }
    if !Path::new("/usr/lib/x86_64-linux-gnu/libganglia.so.0").exists() {
        graftd_tests::skipped("no libganglia1 here, so no C module runs");
        return;
    }
    assert_eq!(daemon.await_number(&format!("modvalues,{HOST},a_ushort")), 65_535.0);
    // The group of gmond.conf names one metric of the module, and that is all that is sampled.
    let values = daemon.subtree(&format!("modvalues,{HOST}"));
    assert_eq!(values, json!({"a_ushort": 65_535}));
}

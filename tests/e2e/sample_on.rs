//! What is shipped as configuration is good as it stands.

use graftd_tests::{Folders, graftd, workspace};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// A database is the user's choice: the samples name one that is nobody's here, so the tests' own stands in.
fn with_database(text: &str) -> String {
    let database = workspace().join("plugins/geo/tests/test.mmdb");
    let lines = text.lines().map(|line| match line.starts_with("database = ") {
        true => format!("database = {:?}", database.display().to_string()),
        false => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A sample with every default that it shows switched on.
fn with_defaults(text: &str) -> String {
    let shown = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    shown.collect::<Vec<_>>().join("\n")
}

fn check(folders: &Folders) -> Vec<(String, String, String)> {
    let args = folders.args();
    let ran = graftd(["check", "--json"].into_iter().chain(args.iter().map(String::as_str)));
    let findings = ran.json();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let findings = findings.as_array().expect("a list").iter();
    let findings: Vec<_> = findings.map(|f| (text(f, "name"), text(f, "state"), text(f, "what"))).collect();
    // Tokens and certificates that a sample names as an example are nobody's here.
    let (lacking, findings): (Vec<_>, Vec<_>) = findings.into_iter().partition(|(_, state, _)| state == "lacks");
    let rejected: Vec<_> = findings.iter().filter(|(_, state, _)| state == "rejected").collect();
    let code = if lacking.is_empty() { 0 } else { 2 };
    let is_told = lacking.is_empty() || ran.stderr.starts_with(&format!("graftd: {} files that", lacking.len()));
    assert!(rejected.is_empty() && ran.code == code && is_told, "{rejected:?} {}", ran.stderr);
    findings
}

/// The names of the plugins that there are: folders whose crate is a cdylib.
fn plugins() -> Vec<String> {
    let folders = files(&workspace().join("plugins")).into_iter();
    let is_plugin =
        |folder: &PathBuf| fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains("cdylib"));
    folders.filter(is_plugin).map(|folder| folder.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn every_plugin_has_a_readme_and_a_sample_that_loads() {
    let names = plugins();
    assert!(names.len() >= 15, "{names:?}");
    let plain = Folders::new().plugins(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let shown = Folders::new().plugins(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for name in &names {
        let folder = workspace().join("plugins").join(name);
        let sample =
            fs::read_to_string(folder.join("sample.on")).unwrap_or_else(|error| panic!("{name}/sample.on: {error}"));
        assert!(folder.join("README.md").is_file(), "{name}/README.md is missing");
        plain.write_conf(&format!("{name}.on"), &with_database(&sample));
        // Under another name, so that the `plugin` it shows is put to use.
        shown.write_conf(&format!("my-{name}.on"), &with_database(&with_defaults(&sample)));
    }
    let found = check(&plain);
    let found: Vec<_> = found.iter().map(|(name, state, _)| (name.as_str(), state.as_str())).collect();
    let expected: Vec<_> = names.iter().map(|name| (name.as_str(), "ok")).collect();
    assert_eq!(found, expected);
    // The path that a sample shows is the one that the plugin takes by itself.
    let at = |findings: Vec<(String, String, String)>| {
        findings.into_iter().map(|(_, _, what)| what.split(" (").next().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(at(check(&shown)), at(check(&plain)));
}

#[test]
fn the_shipped_conf_folder_loads() {
    let shipped = files(&workspace().join("conf"));
    let folders = Folders::new().plugins(&plugins().iter().map(String::as_str).collect::<Vec<_>>());
    let mut switched = 0;
    for file in &shipped {
        let name = file.file_name().expect("a name").to_string_lossy();
        let text = fs::read_to_string(file).expect("a file");
        folders.write_conf(&name, &text);
        switched += usize::from(name.ends_with(".on") || name.ends_with(".off"));
    }
    let found = check(&folders);
    assert!(switched > 0 && shipped.iter().any(|file| file.ends_with("graftd.conf")), "{shipped:?}");
    // What needs something that is the user's to name is shipped switched off: a log, a database, ports, servers, another daemon. All else runs.
    let off: Vec<_> = found
        .iter()
        .filter(|(_, state, _)| state != "ok")
        .map(|(name, state, _)| (name.as_str(), state.as_str()))
        .collect();
    assert_eq!(off, ["access-log", "geo", "gmond", "nats", "nginx", "relay", "url-check"].map(|name| (name, "off")));

    // What is off is good too, once it is switched on; and so is graftd.conf with each default that it shows.
    let on = Folders::new().plugins(&plugins().iter().map(String::as_str).collect::<Vec<_>>());
    for file in &shipped {
        let name = file.file_name().expect("a name").to_string_lossy().replace(".off", ".on");
        let text = fs::read_to_string(file).expect("a file");
        on.write_conf(&name, &with_database(&with_defaults(&text)));
    }
    assert!(check(&on).iter().all(|(_, state, _)| state == "ok"));
}

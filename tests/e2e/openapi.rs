//! `/openapi.json`, by schemathesis: what it describes is asked some thousand times with values that fit and values that do not, and each
//! answer must be one that it describes.

use graftd_tests::{Daemon, Folders, binary, workspace};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

const TOKEN: &str = "correct-horse-battery-staple";

/// How many are to be asked at least.
const CASES: u64 = 5_000;

/// The program in a folder beside what was built, which stays; or why there is none.
fn schemathesis() -> Result<PathBuf, String> {
    let cache = binary().ancestors().nth(2).expect("target/release/graftd").join("schemathesis");
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let lock = File::create(cache.join("lock")).map_err(|error| format!("{}: {error}", cache.display()))?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| format!("{}: {error}", cache.display()))?;
    let place = cache.join("venv");
    let program = place.join("bin/schemathesis");
    let pinned = workspace().join("tests/schemathesis/requirements.txt");
    let wanted = fs::read_to_string(&pinned).map_err(|error| format!("{}: {error}", pinned.display()))?;
    let has = place.join("installed.txt");
    if fs::read_to_string(&has).is_ok_and(|has| has == wanted) {
        return Ok(program);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
    let mut pip = Command::new(place.join("bin/python3"));
    pip.args(["-m", "pip", "-q", "--disable-pip-version-check", "--retries", "1", "--timeout", "20", "install"]);
    run(pip.args(["--no-deps", "--only-binary", ":all:", "-r"]).arg(&pinned))?;
    fs::write(&has, wanted).map_err(|error| format!("{}: {error}", has.display()))?;
    Ok(program)
}

fn run(command: &mut Command) -> Result<(), String> {
    let what = format!("{command:?}");
    let ran = command.output().map_err(|error| format!("{what}: {error}"))?;
    if ran.status.success() {
        return Ok(());
    }
    let said = [ran.stdout, ran.stderr].concat();
    Err(format!("{what} ended with {}: {}", ran.status, String::from_utf8_lossy(&said).trim()))
}

#[test]
fn every_answer_is_one_that_is_described() {
    let schemathesis = match schemathesis() {
        Ok(program) => program,
        Err(why) => {
            graftd_tests::skipped(format_args!("schemathesis cannot be had from PyPI: {why}"));
            return;
        }
    };
    let folders = Arc::new(Folders::new());
    let token = folders.write("token", TOKEN);
    let daemon = Daemon::builder()
        .folders(&folders)
        .settings(&format!("token_file = {token:?}"))
        .plugins(&["status", "load", "request-time", "visitors"])
        .conf("load.off", "")
        .conf("broken.on", "evry = 1")
        .start();
    let folder = workspace().join("tests/schemathesis");
    let report = folders.root().join("report.json");
    let description =
        daemon.request("GET", "/openapi.json", &[("Authorization", &format!("Bearer {TOKEN}"))], b"").good();
    let description = folders.write("openapi.json", description.body);
    let url = format!("http://{}", daemon.http());
    let mut command = Command::new(schemathesis);
    // What it keeps, it keeps in the folder where it runs.
    command.current_dir(folders.root()).env("GRAFTD_TOKEN", TOKEN).env("GRAFTD_URL", &url).env("PYTHONPATH", &folder);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    command.arg("--config-file").arg(folder.join("schemathesis.toml")).args(["run", &description, "--url", &url]);
    command.arg("--no-color");
    command.args(["--report", "json", "--report-json-path"]).arg(&report);
    let ran = command.output().expect("schemathesis runs");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let report: Value = serde_json::from_slice(&fs::read(report).expect("a report")).expect("JSON");
    let (asked, operations) = (&report["test_cases"]["generated"], &report["operations"]);
    println!("{asked} cases of {} operations in {} s", operations["tested"], report["running_time"]);
    assert!(asked.as_u64() >= Some(CASES), "{asked} cases are too few");
    assert_eq!(operations["tested"], operations["total"], "{operations}");
    // It is as well as it was.
    assert_eq!(daemon.get("/readyz").good().json()["ready"], true);
    let token = format!("Bearer {TOKEN}");
    for family in
        ["/get/?key-&depth=1", "/api/ls/", "/modules", "/setting/view", "/trend/?key-load", "/graph/load.svg?type=top"]
    {
        let asked = daemon.request("GET", family, &[("Authorization", &token), ("Accept", "*/*")], b"");
        assert_eq!(asked.status, 200, "{family}: {}", asked.body);
    }
}

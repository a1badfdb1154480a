//! A namespace of the tests' own: foreign modules talk to their defaults' ports, and those are not to be this machine's.

use graftd_tests::fixtures::may_read_all;
use std::env;
use std::process::{Command, Stdio};

/// Set where a test runs inside.
const INSIDE: &str = "GRAFTD_TEST_INSIDE";

/// What the first process inside does: there is nothing but `lo`, and nothing in `/tmp`, where foreign modules leave this
/// and that. It stays, for whoever is orphaned becomes its child.
const FIRST: &str =
    "ip link set lo up && mount -t tmpfs -o mode=1777 tmpfs /tmp && \"$0\" \"$@\"; ended=$?; exit $ended";

/// Runs a test's body in a network of its own, in which only loopback is, with a `/tmp` of its own, and among processes of
/// its own, which end with it: the test calls itself there, by its name. Where that cannot be, it says why.
///
/// # Panics
/// The body does.
#[track_caller]
pub fn within(test: &str, body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    if let Err(why) = possible() {
        graftd_tests::skipped(why);
        return;
    }
    let own = env::current_exe().expect("the test knows its own file");
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", FIRST]);
    unshare.arg(own).args(["--exact", test, "--nocapture", "--test-threads", "1"]);
    let ran = unshare.env(INSIDE, "1").stdin(Stdio::null()).output().expect("unshare was there a moment ago");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("running 1 test\n"), "{test} is not the test's name: {said}");
    eprintln!("{said}");
    assert!(ran.status.success(), "{test} fails inside: see above");
}

/// Whether there can be such a namespace.
fn possible() -> Result<(), String> {
    if !may_read_all() {
        return Err("a network of its own is for root only".to_owned());
    }
    let tried = Command::new("unshare")
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "ip", "link", "set", "lo", "up"])
        .output();
    match tried {
        Ok(ran) if ran.status.success() => Ok(()),
        Ok(ran) => Err(format!("no network of its own: {}", String::from_utf8_lossy(&ran.stderr).trim())),
        Err(error) => Err(format!("no network of its own: unshare (util-linux): {error}")),
    }
}

//! Tests that cannot be made here.

use std::fmt::Display;
use std::io::{Write, stderr};

/// Says that a test is left out, and why. It is not printed as other words are: what a test prints that ends well, nobody sees.
pub fn skipped(why: impl Display) {
    // Where nobody can hear it, nothing is lost.
    let _ = writeln!(stderr(), "skipped: {why}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn why_a_test_is_left_out_is_seen_although_it_ends_well() {
        const NAME: &str = "skip::tests::why_a_test_is_left_out_is_seen_although_it_ends_well";
        const INNER: &str = "GRAFTD_TEST_SKIPS";
        if std::env::var_os(INNER).is_some() {
            return skipped("there is no moon");
        }
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let ran = command.args([NAME, "--exact"]).env(INNER, "1").output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success() && said.contains("skipped: there is no moon\n"), "{said}");
    }
}

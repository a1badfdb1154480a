//! A clock that is wrong ages nothing, and what is counted is right all the same.

use super::{Faults, HOST, Server, await_lines, check, commit, data, folders, settle};
use graftd_tests::graftd;

const YEAR_MS: i64 = 365 * 86_400_000;

/// Each sample of a path that is kept as it was committed.
fn samples(folders: &graftd_tests::Folders, path: &str) -> Vec<String> {
    let ran = graftd(["trend", "export", "--data", &data(folders).display().to_string(), path]).good();
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_clock_that_is_years_off_ages_nothing() {
    for start_wrong in [false, true] {
        for years in [20, -20] {
            let folders = folders("start = \"begin\"");
            let mut server = Server::new(&folders, 11);
            let faults = Faults::new(&folders, 11);
            let daemon = faults.start(&folders);
            for n in 1..=3 {
                daemon.push(&serde_json::json!({"before": n}));
                commit(&daemon);
            }
            server.write();
            await_lines(&daemon, server.writer.lines);
            commit(&daemon);
            let kept = samples(&folders, "before");
            assert!(!kept.is_empty());
            let daemon = if start_wrong {
                assert_eq!(daemon.stop().code(), Some(0));
                faults.shift(years * YEAR_MS);
                faults.start(&folders)
            } else {
                faults.shift(years * YEAR_MS);
                daemon
            };
            server.write();
            await_lines(&daemon, server.writer.lines);
            for _ in 0..3 {
                commit(&daemon);
            }
            let clock = format!("graftd,{HOST},trend,clock");
            let way = if years > 0 { "ahead" } else { "behind" };
            daemon.await_change(&clock, |daemon| {
                let answer = daemon.get("/readyz");
                let told = daemon.value(&clock);
                let told = told.as_str().is_some_and(|why| why.contains(way) && why.contains("days"));
                (told && answer.status == 200 && answer.body.contains(way)).then_some(())
            });
            assert_eq!(daemon.stop().code(), Some(0));
            let found = samples(&folders, "before");
            assert!(kept.iter().all(|sample| found.contains(sample)), "{kept:?} is not in {found:?}");
            check(&folders);
            // It is right again.
            faults.shift(0);
            let daemon = faults.start(&folders);
            server.write();
            await_lines(&daemon, server.writer.lines);
            commit(&daemon);
            daemon.await_value(&clock, "");
            assert_eq!(daemon.stop().code(), Some(0));
            // Everything that can be packed and aged is.
            graftd(["trend", "compact", "--data", &data(&folders).display().to_string()]).good();
            let found = samples(&folders, "before");
            assert!(kept.iter().all(|sample| found.contains(sample)), "{kept:?} is not in {found:?}");
            check(&folders);
            settle(&folders, &server.writer);
        }
    }
}

#[test]
fn what_is_written_while_the_clock_is_set_back_by_hours_is_not_what_is_there_in_the_end() {
    let folders = folders("start = \"begin\"");
    let faults = Faults::new(&folders, 12);
    let daemon = faults.start(&folders);
    let push = |n: i64| {
        daemon.push(&serde_json::json!({"shop": {"sold": n}}));
        commit(&daemon);
    };
    push(1);
    faults.shift(-2 * 3_600_000);
    push(2);
    check(&folders);
    faults.shift(0);
    commit(&daemon);
    check(&folders);
    assert_eq!(super::last(&daemon, "shop,sold"), Some(3.0));
}

//! Calls that the database makes fail at any moment: writes, parts of writes, reads, syncs that were done and that were not.

use super::{Faults, Server, await_lines, await_written, check, commit, folders, settle, turns};

#[test]
fn a_line_counts_once_whatever_call_of_the_disk_fails() {
    let folders = folders("start = \"begin\"");
    let mut server = Server::new(&folders, 3);
    let faults = Faults::new(&folders, 3);
    let mut failures = 0;
    for turn in 0..turns(6, 100) {
        let daemon = faults.start(&folders);
        for _ in 0..2 {
            // From now and then to nearly always.
            faults.one_in([3, 10, 40][server.chance.below(3) as usize]);
            for _ in 0..1 + server.chance.below(5) {
                server.write();
                server.pause(400);
            }
            if turn % 3 == 0 {
                break;
            }
            // The live tree goes on meanwhile.
            await_lines(&daemon, server.writer.lines);
            faults.one_in(0);
            await_written(&daemon);
            commit(&daemon);
        }
        failures += daemon.value(&format!("graftd,{},trend,failed", super::HOST)).as_f64().unwrap_or(0.0) as u64;
        // While calls fail, or when all is well again.
        daemon.kill();
        faults.one_in(0);
        check(&folders);
        server.write();
    }
    println!("{} calls failed, and {failures} commits", faults.failed());
    assert!(failures > 0, "no commit failed");
    settle(&folders, &server.writer);
}

//! The daemon stands still at any moment, and goes on, or is killed as it stands.

use super::{Server, check, folders, settle, start, turns};

#[test]
fn a_line_counts_once_whenever_the_daemon_stands_still() {
    let folders = folders("start = \"begin\"");
    let mut server = Server::new(&folders, 2);
    for turn in 0..turns(8, 100) {
        let daemon = start(&folders);
        for _ in 0..1 + server.chance.below(4) {
            server.write();
            server.pause(150);
            daemon.pause();
            server.write();
            server.pause(300);
            if turn % 2 == 0 {
                daemon.resume();
            }
        }
        // As it stands, or just as it goes on.
        daemon.kill();
        check(&folders);
        server.write();
    }
    settle(&folders, &server.writer);
}

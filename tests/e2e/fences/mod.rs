//! What faulty plugins do, and what it costs: each of them runs in a real daemon, and what was seen is the table of
//! `docs/FENCES.md`.

mod fate;
mod rows;
mod table;

use graftd_tests::workspace;
use std::collections::VecDeque;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

/// Rows that are tried at a time: most of them wait for a time limit.
const AT_A_TIME: usize = 4;

/// With `GRAFTD_BLESS=1` the table is written anew instead of compared.
#[test]
fn every_fault_has_its_row() {
    let rows = rows::all();
    let todo: Mutex<VecDeque<usize>> = Mutex::new((0..rows.len()).collect());
    let done = Mutex::new(vec![None; rows.len()]);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let Some(next) = todo.lock().expect("the rows").pop_front() else { return };
                        let row = &rows[next];
                        // The others are tried all the same: one run shows all that is wrong.
                        match catch_unwind(AssertUnwindSafe(|| fate::meet(row))) {
                            Ok(seen) => done.lock().expect("the rows")[next] = Some(seen),
                            Err(_) => eprintln!("--- that was: {} ({})", row.what, row.place),
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().expect("each row is caught");
        }
    });
    let seen: Vec<String> = done.into_inner().expect("the rows").into_iter().flatten().collect();
    assert_eq!(seen.len(), rows.len(), "rows that came out otherwise are named above");
    let found = table::of(&rows, &seen);
    let file = workspace().join("docs/FENCES.md");
    if std::env::var_os("GRAFTD_BLESS").is_some() {
        fs::write(&file, &found).expect("written");
    }
    let told = fs::read_to_string(&file).unwrap_or_default();
    for (told, found) in told.lines().zip(found.lines()) {
        assert_eq!(told, found, "docs/FENCES.md tells otherwise; GRAFTD_BLESS=1 writes it anew");
    }
    assert_eq!(told, found);
}

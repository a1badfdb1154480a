//! What faulty modules in Python do, and what it costs: each of them runs in a real daemon, and what was seen is the table
//! of `docs/FENCES-PYTHON.md`.
//!
//! Some kill whatever they may, so they run among processes of their own.

mod fate;
mod one;
mod rows;
mod table;

use crate::namespace;
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
fn every_fault_in_python_has_its_row() {
    namespace::within("python_fences::every_fault_in_python_has_its_row", || {
        let rows = rows::all();
        let todo: Mutex<VecDeque<usize>> = Mutex::new((0..rows.len()).collect());
        let done = Mutex::new(vec![None; rows.len()]);
        thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
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
                });
            }
        });
        let seen: Vec<fate::Shown> = done.into_inner().expect("the rows").into_iter().flatten().collect();
        assert_eq!(seen.len(), rows.len(), "rows that came out otherwise are named above");
        let found = table::of(&rows, &seen);
        let file = workspace().join("docs/FENCES-PYTHON.md");
        if std::env::var_os("GRAFTD_BLESS").is_some() {
            fs::write(&file, &found).expect("written");
        }
        let told = fs::read_to_string(&file).unwrap_or_default();
        for (told, found) in told.lines().zip(found.lines()) {
            assert_eq!(told, found, "docs/FENCES-PYTHON.md tells otherwise; GRAFTD_BLESS=1 writes it anew");
        }
        assert_eq!(told, found);
    });
}

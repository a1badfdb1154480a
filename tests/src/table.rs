//! Tables of `docs/` that a test writes: what many cases came to, a row each.

use crate::workspace;
use std::collections::VecDeque;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

/// Rows that are tried at a time: most of them wait for a time limit.
const AT_A_TIME: usize = 4;

/// Tries each row, some at a time, and gives what was seen of them, in their order.
///
/// # Panics
/// Rows panicked. All are tried before that, and each that did is named.
pub fn try_rows<R: Sync, S: Send>(
    rows: &[R],
    name: impl Fn(&R) -> String + Sync,
    meet: impl Fn(&R) -> S + Sync,
) -> Vec<S> {
    let todo: Mutex<VecDeque<usize>> = Mutex::new((0..rows.len()).collect());
    let done: Mutex<Vec<Option<S>>> = Mutex::new(rows.iter().map(|_| None).collect());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let Some(next) = todo.lock().expect("the rows").pop_front() else { return };
                    let row = &rows[next];
                    // The others are tried all the same: one run shows all that is wrong.
                    match catch_unwind(AssertUnwindSafe(|| meet(row))) {
                        Ok(seen) => done.lock().expect("the rows")[next] = Some(seen),
                        Err(_) => eprintln!("--- that was: {}", name(row)),
                    }
                }
            });
        }
    });
    let seen: Vec<S> = done.into_inner().expect("the rows").into_iter().flatten().collect();
    assert_eq!(seen.len(), rows.len(), "rows that came out otherwise are named above");
    seen
}

/// Holds a page of `docs/` against what was found. With `GRAFTD_BLESS=1` it is written anew instead.
///
/// # Panics
/// The page tells otherwise.
#[track_caller]
pub fn check_page(page: &str, found: &str) {
    let file = workspace().join(page);
    if std::env::var_os("GRAFTD_BLESS").is_some() {
        fs::write(&file, found).expect("written");
    }
    let told = fs::read_to_string(&file).unwrap_or_default();
    for (told, found) in told.lines().zip(found.lines()) {
        assert_eq!(told, found, "{page} tells otherwise; GRAFTD_BLESS=1 writes it anew");
    }
    assert_eq!(told, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_tried_and_stands_where_it_did() {
        let rows: Vec<usize> = (0..50).collect();
        assert_eq!(
            try_rows(&rows, usize::to_string, |row| row * 2),
            rows.iter().map(|row| row * 2).collect::<Vec<_>>()
        );
    }

    #[test]
    fn one_row_that_fails_keeps_no_other_from_being_tried_and_fails_the_whole() {
        let tried = Mutex::new(0);
        let whole = catch_unwind(AssertUnwindSafe(|| {
            try_rows(&[1, 2, 3, 4, 5, 6, 7, 8], i32::to_string, |row| {
                *tried.lock().unwrap() += 1;
                assert_ne!(*row, 2, "comes out otherwise");
            })
        }));
        assert_eq!((whole.is_err(), tried.into_inner().unwrap()), (true, 8));
    }
}

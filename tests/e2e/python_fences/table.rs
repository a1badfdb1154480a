//! The table.

use super::fate::Shown;
use super::rows::Row;
use std::fmt::Write;

const HEAD: &str = "# Fences of modules in Python

What faulty modules in Python do, and what it costs. Each row is a module of `tests/fixtures/python/` that a test drops into a
running daemon, beside a pipe and a collector in Rust and another module in Python, which must not notice: the pipe counts every
line, the others go on with their interval and are never made anew, and the daemon ends in order when it is told to. The table is
written by that test, where the daemon is root; it fails when a row comes out otherwise.

*where* is when the module does it: while it is imported, in `metric_init`, in its third callback, or in `metric_cleanup`.
*traceback* is where in the module's own files the traceback ends that `/modules` shows.

| what it does | where | what the daemon did | what `/modules` said | traceback |
|---|---|---|---|---|
";

/// The page, from what was seen of each row.
pub fn of(rows: &[Row], seen: &[Shown]) -> String {
    let mut page = HEAD.to_owned();
    for (row, seen) in rows.iter().zip(seen) {
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let (said, traceback) = (cell(&seen.said), cell(&seen.traceback));
        let _ = writeln!(page, "| {} | {} | {} | {said} | {traceback} |", row.what, row.place, row.fate.did());
    }
    page
}

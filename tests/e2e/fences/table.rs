//! The table.

use super::rows::Row;
use std::fmt::Write;

const HEAD: &str = "# Fences

What faulty plugins do, and what it costs. Each row is a plugin of `tests/fixtures/` that a test drops into a running daemon,
beside a pipe and a collector that must not notice: the pipe counts every line, the collector goes on with its interval, and the
daemon ends in order when it is told to. The table is written by that test; it fails when a row comes out otherwise.

*where* is where the fault shows: `probe`, in the process in which the daemon tries a plugin before it lets it in; `daemon`, in the
daemon's own process, because it did not show in the probe; `isolated`, in the process that `isolation = \"process\"` gives it.

| what it does | where | what the daemon did | what `/modules` said |
|---|---|---|---|
";

/// The page, from what was seen of each row.
pub fn of(rows: &[Row], seen: &[String]) -> String {
    let mut page = HEAD.to_owned();
    for (row, seen) in rows.iter().zip(seen) {
        let seen = seen.replace('|', "\\|").replace('\n', " ");
        let _ = writeln!(page, "| {} | {} | {} | {seen} |", row.what, row.place, row.fate.did());
    }
    page
}

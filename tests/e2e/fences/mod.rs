//! What faulty plugins do, and what it costs: each of them runs in a real daemon, and what was seen is the table of
//! `docs/FENCES.md`.

mod fate;
mod rows;
mod table;

use graftd_tests::table::{check_page, try_rows};

/// With `GRAFTD_BLESS=1` the table is written anew instead of compared.
#[test]
fn every_fault_has_its_row() {
    let rows = rows::all();
    let seen = try_rows(&rows, |row| format!("{} ({})", row.what, row.place), fate::meet);
    check_page("docs/FENCES.md", &table::of(&rows, &seen));
}

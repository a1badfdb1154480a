//! What faulty modules in Python do, and what it costs: each of them runs in a real daemon, and what was seen is the table
//! of `docs/FENCES-PYTHON.md`.
//!
//! Some kill whatever they may, so they run among processes of their own.

mod fate;
mod one;
mod rows;
mod table;

use crate::namespace;
use graftd_tests::table::{check_page, try_rows};

/// With `GRAFTD_BLESS=1` the table is written anew instead of compared.
#[test]
fn every_fault_in_python_has_its_row() {
    namespace::within("python_fences::every_fault_in_python_has_its_row", || {
        let rows = rows::all();
        let seen = try_rows(&rows, |row| format!("{} ({})", row.what, row.place), fate::meet);
        check_page("docs/FENCES-PYTHON.md", &table::of(&rows, &seen));
    });
}

//! Reads what ganglia's users already have.

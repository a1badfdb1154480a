//! `graftd-gmod`: runs gmond's modules, Python and C, each in a process of its own that graftd starts.

fn main() {}

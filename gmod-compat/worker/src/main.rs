//! `graftd-gmod`: runs gmond's modules, Python and C, each in a process of its own that graftd starts.

#[cfg_attr(not(test), expect(dead_code))]
mod c;

fn main() {}

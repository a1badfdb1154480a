//! graftd
fn main() {}

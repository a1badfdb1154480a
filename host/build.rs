//! Has what a daemon at rest runs lie together in the program: see `at-rest.ld`.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=at-rest.ld");
    let is = |what: &str, wanted: &str| env::var(what).is_ok_and(|is| is == wanted);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bin=graftd=-Xlinker");
        // From the workspace's root, where cargo has members linked: a checkout that is moved goes on with what it has built.
        println!("cargo:rustc-link-arg-bin=graftd=--script=host/at-rest.ld");
    }
}

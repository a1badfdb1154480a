//! The build script of the collectors that an agent has by default: what they run at rest lies together. See `at-rest.ld`.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=../at-rest.rs");
    println!("cargo:rerun-if-changed=../at-rest.ld");
    let is = |what: &str, wanted: &str| env::var(what).is_ok_and(|is| is == wanted);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-cdylib=-Xlinker");
        // From the workspace's root, as the program's own.
        println!("cargo:rustc-link-arg-cdylib=--script=plugins/at-rest.ld");
    }
}

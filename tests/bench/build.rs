//! Every plugin exports its root module under one name, which is what a loader looks for. Linked together they clash; nobody
//! looks for the name here, so the first may have it.
fn main() {
    println!("cargo::rustc-link-arg=-Wl,--allow-multiple-definition");
    println!("cargo::rerun-if-changed=build.rs");
}

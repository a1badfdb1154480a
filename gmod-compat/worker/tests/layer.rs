//! The layer that runs Python 2 on Python 3 is Python, and so are its tests (`python/tests`). They are run here by the Python
//! that the worker is linked with, and compare with a real 2.7 where there is one, else with what one said (`expected.json`).

use std::process::Command;

fn passes(file: &str) {
    let python = std::env::var("PYO3_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python)
        .args(["-W", "ignore", "-m", "unittest", file])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/python/tests"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{python} does not start: {error}"));
    assert!(output.status.success(), "{file}:\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn old_code_does_what_it_did_under_python_2() {
    passes("test_same");
}

#[test]
fn nobody_else_sees_anything_of_the_layer() {
    passes("test_layer");
}

#[test]
fn python_2_is_told_from_python_3() {
    passes("test_detection");
}

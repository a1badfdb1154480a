//! Lets the binary find the libpython that it was linked with, also where that is no library of the system's.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
}

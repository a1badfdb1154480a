//! `graftd-gmod`: runs one of gmond's modules, Python or C, or a pipe in Python, in a process of its own; or several of them in
//! one that they share.
//!
//! graftd starts it, fenced in already: its orders come by the socket that is its standard input, the module's file as an
//! open descriptor, and what the module prints goes to standard error, which graftd keeps the end of.
//!
//! `orders.rs` is the conversation with the daemon, `shared.rs` many of them at a time, `sampler.rs` what all modules of gmond have in common, `python/` the
//! interpreter and what runs in it, `c/` modules in C.

mod about;
mod c;
mod c_source;
mod inherited;
mod orders;
mod pattern;
mod python;
mod sampler;
mod shared;

use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str = "graftd-gmod runs gmond's modules for graftd, which starts it.

  graftd-gmod --about              says which Python it has, as a line of JSON
  graftd-gmod --image-fd N [--folder-fd M]
                                   runs the module whose file is open as N, its folder as M; orders come by standard input
  graftd-gmod --shared [--folder-fd M]
                                   runs the modules that come by standard input, each with a socket and a file of its own
";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let done = match words.as_slice() {
        ["--about"] => about::print(),
        ["--image-fd", image] => orders::follow(image, None),
        ["--image-fd", image, "--folder-fd", folder] => orders::follow(image, Some(folder)),
        ["--shared"] => shared::follow(None),
        ["--shared", "--folder-fd", folder] => shared::follow(Some(folder)),
        ["--version" | "-V"] => {
            println!("graftd-gmod {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        ["--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("graftd-gmod: {why}");
            ExitCode::FAILURE
        }
    }
}

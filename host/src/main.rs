//! `graftd`: the command line.

use clap::Parser;
use graftd::cli::{self, Cli};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("graftd: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

//! The daemon's tokens: out of files, or out of the environment.

use super::Failure;
use crate::conf::{DaemonConf, TokenFiles, lie_elsewhere, read_text};
use crate::limits::TOKEN_BYTES_MIN;
use crate::module::{Folders, open_anywhere};
use crate::tokens::{Access, Tokens};
use std::fmt::Display;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Others than its owner and group may read it.
const OTHERS_READ: u32 = 0o004;

/// The tokens, where they are needed or set. Off loopback anybody could read and push, so there is no going without.
///
/// # Errors
/// One is needed and not there, cannot be believed, or is none.
pub(super) fn tokens(conf: &DaemonConf, folders: &Folders) -> Result<Tokens, Failure> {
    let files = &conf.tokens;
    let tokens = Tokens {
        all: token("token_file", files.all.as_deref(), "GRAFTD_TOKEN", folders)?,
        read: token("read_token_file", files.read.as_deref(), "GRAFTD_READ_TOKEN", folders)?,
        write: token("write_token_file", files.write.as_deref(), "GRAFTD_WRITE_TOKEN", folders)?,
    };
    let all = [("token_file", &tokens.all), ("read_token_file", &tokens.read), ("write_token_file", &tokens.write)];
    for (i, (name, token)) in all.iter().enumerate() {
        if let Some((other, _)) = all[i + 1..].iter().find(|(_, other)| token.is_some() && *token == *other) {
            let (name, other) = (source(files, name), source(files, other));
            return Err(Failure::usage(format_args!(
                "{name} and {other} say the same token; leave both out and name it with token_file, which allows everything"
            )));
        }
    }
    if tokens.ask_for(Access::Read) && !tokens.ask_for(Access::Write) {
        let read = source(files, "read_token_file");
        return Err(Failure::usage(format_args!(
            "{read} is set and no token for writing is: who may not read could push and switch all the same; name a file with \
             another token: write_token_file"
        )));
    }
    check(conf, &tokens)?;
    Ok(tokens)
}

/// Where a token comes from: the key that names its file, or the variable of the environment.
fn source(files: &TokenFiles, key: &str) -> String {
    let (file, variable) = match key {
        "token_file" => (&files.all, "GRAFTD_TOKEN"),
        "read_token_file" => (&files.read, "GRAFTD_READ_TOKEN"),
        _ => (&files.write, "GRAFTD_WRITE_TOKEN"),
    };
    match file {
        Some(file) => format!("{key} ({})", file.display()),
        None => format!("${variable} (of the environment)"),
    }
}

/// Whoever can be reached from other hosts asks for a token, whatever is wanted.
fn check(conf: &DaemonConf, tokens: &Tokens) -> Result<(), Failure> {
    let read_and_write = [("http", Some(conf.http)), ("push", Some(conf.push)), ("relay", conf.relay)];
    let open = |address: &SocketAddr| !address.ip().is_loopback();
    let reachable = read_and_write.into_iter().filter_map(|(what, address)| Some((what, address.filter(open)?)));
    for (what, address) in reachable {
        let (lacks, file) = match what {
            _ if !tokens.ask_for(Access::Write) => ("a token is needed", "token_file"),
            "http" if !tokens.ask_for(Access::Read) => ("a token for reading is needed too", "read_token_file"),
            _ => continue,
        };
        return Err(Failure::usage(format_args!(
            "{what} = {address} is reachable from other hosts, so {lacks}: put one into a file (openssl rand -hex 32 > \
             /etc/graftd/token; chmod 600 /etc/graftd/token) and name it in graftd.conf: {file} = \"/etc/graftd/token\""
        )));
    }
    Ok(())
}

/// A token as its file has it, else as the environment has it.
fn token(name: &str, file: Option<&Path>, variable: &str, folders: &Folders) -> Result<Option<String>, Failure> {
    let bad = |why: &dyn Display| match file {
        Some(file) => Failure::usage(format_args!("{name} {}: {why}", file.display())),
        None => Failure::usage(format_args!("${variable}: {why}")),
    };
    let text = match file {
        Some(file) => {
            let opened = open_anywhere(file, folders).map_err(|why| {
                let hint = folders.conf.as_deref().map_or_else(String::new, |folder| lie_elsewhere([file], folder));
                Failure::usage(format_args!("{name}: {why}{hint}"))
            })?;
            if opened.metadata().is_ok_and(|meta| meta.mode() & OTHERS_READ != 0) {
                tracing::warn!(
                    "{name} {}: everybody on this host can read it; chmod o-r makes it a secret",
                    file.display()
                );
            }
            read_text(&opened, file).map_err(|why| Failure::usage(format_args!("{name}: {why}")))?
        }
        None => match std::env::var(variable) {
            Ok(text) if !text.trim().is_empty() => text,
            Ok(_) | Err(std::env::VarError::NotPresent) => return Ok(None),
            Err(error) => return Err(bad(&error)),
        },
    };
    let token = text.trim();
    if token.len() < TOKEN_BYTES_MIN {
        return Err(bad(&format_args!("a token must have at least {TOKEN_BYTES_MIN} characters")));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(bad(&"a token must be letters, digits and signs of ASCII, without spaces: it travels in a header"));
    }
    Ok(Some(token.to_owned()))
}

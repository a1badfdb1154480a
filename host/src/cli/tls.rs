//! `graftd tls`: certificates for who has none.

use super::Failure;
use super::error::print;
use crate::clock::Timepiece;
use crate::conf::DaemonConf;
use crate::limits::TLS_CERT_DAYS;
use crate::tls;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Make certificates, for https://, for pushes by TCP and for relays.
#[derive(Args, Debug)]
pub(super) struct Tls {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    SelfSigned(SelfSigned),
}

/// Make an authority of your own and a certificate by it; again in the same folder, and the certificate is renewed.
///
/// The folder gets ca.pem (for clients, to believe the daemon), cert.pem and key.pem (for the daemon), and ca-key.pem, which
/// makes further certificates: keep that where the daemon is not. All of them are readable by you alone.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  graftd tls self-signed --name metrics.example --name 192.0.2.7 --out /etc/graftd/tls"
)]
struct SelfSigned {
    /// Name or address by which clients call the daemon; several are named one by one [default: those of the
    /// certificate that lies there, else this host's name]
    #[arg(long, value_name = "HOST")]
    name: Vec<String>,
    /// Folder to put them into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Tls {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.what {
            What::SelfSigned(made) => made.run(),
        }
    }
}

impl SelfSigned {
    fn run(self) -> Result<(), Failure> {
        let before = match tls::made_for(&self.out) {
            Ok(before) => before.unwrap_or_default(),
            // Whoever names them does not need those that are in it.
            Err(_) if !self.name.is_empty() => Vec::new(),
            Err(why) => return Err(Failure::work(format_args!("{why}; say for which it is to be: --name HOST"))),
        };
        let mut names = if self.name.is_empty() { before.clone() } else { self.name };
        if names.is_empty() {
            names.push(DaemonConf::default().host_name());
        }
        let called = names[0].clone();
        for own in ["localhost", "127.0.0.1", "::1"] {
            if !names.iter().any(|name| name == own) {
                names.push(own.to_owned());
            }
        }
        let made = tls::make(&names, &self.out, Timepiece::start().unix_ms()).map_err(Failure::work)?;
        let at = |file: &Path| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string();
        let by = if made.renewed { "by the authority that was there" } else { "by an authority of its own" };
        print(&format!("{}: good for {TLS_CERT_DAYS} days and for {}, {by}", at(&made.cert), names.join(", ")))?;
        let gone: Vec<&str> = before.iter().filter(|name| !names.contains(name)).map(String::as_str).collect();
        if !gone.is_empty() {
            print(&format!("no longer for: {}", gone.join(", ")))?;
        }
        if made.renewed {
            return print("A daemon that has it takes it up within seconds; clients notice nothing.");
        }
        print(&format!("\nNext, in graftd.conf:\n\n[tls]\ncert = {:?}\nkey = {:?}", at(&made.cert), at(&made.key)))?;
        print(&format!(
            "\nThe daemon's user must be able to read both. Copy {} to each client, and ask there:\n\n  graftd get '' \
             --depth 1 --url https://{called}:8650 --ca ca.pem\n\nA relay that sends here has in its relay.on: tls = true and ca = \"FILE\". Keep {} away from both.",
            at(&made.ca),
            at(&made.ca_key)
        ))
    }
}

//! Certificates for who has none: an authority of one's own, and a certificate by it.

use super::files;
use super::names::names;
use crate::limits::{TLS_CA_DAYS, TLS_CERT_DAYS};
use crate::when::rfc3339;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const DAY_MS: i64 = 86_400_000;

/// Where what was made lies.
#[derive(Debug)]
pub(crate) struct Made {
    /// For clients: whom to believe.
    pub(crate) ca: PathBuf,
    /// What makes further certificates.
    pub(crate) ca_key: PathBuf,
    /// For the daemon.
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// The authority was there before.
    pub(crate) renewed: bool,
}

/// For which names and addresses the certificate is that lies in a folder; none where there is no certificate.
///
/// # Errors
/// It cannot be read.
pub(crate) fn made_for(out: &Path) -> Result<Option<Vec<String>>, String> {
    let file = out.join("cert.pem");
    let opened = match fs::File::open(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| format!("{}: {error}", file.display()))?,
    };
    let chain = files::certificates(opened, &file)?;
    let found = chain.first().and_then(|own| names(own));
    found.map(Some).ok_or_else(|| format!("{}: for which names it is cannot be read", file.display()))
}

/// Makes a certificate for these names and addresses in a folder, by the authority that lies there, or by a new one.
/// Everything is for its owner's eyes alone (0600).
///
/// # Errors
/// A name is none; a file cannot be read or written; there is a certificate by another authority.
pub(crate) fn make(wanted: &[String], out: &Path, now_ms: i64) -> Result<Made, String> {
    let at = |name: &str| out.join(name);
    let mut made =
        Made { ca: at("ca.pem"), ca_key: at("ca-key.pem"), cert: at("cert.pem"), key: at("key.pem"), renewed: false };
    let cannot = |why: &dyn Display| format!("{}: {why}", out.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(|error| cannot(&error))?;
    let there = |file: &Path| file.symlink_metadata().is_ok();
    let issuer = match (there(&made.ca), there(&made.ca_key)) {
        (true, true) => {
            made.renewed = true;
            let text =
                fs::read_to_string(&made.ca_key).map_err(|error| format!("{}: {error}", made.ca_key.display()))?;
            let key = KeyPair::from_pem(&text).map_err(|error| format!("{}: {error}", made.ca_key.display()))?;
            Issuer::new(authority(&key, now_ms)?, key)
        }
        (false, false) if !there(&made.cert) && !there(&made.key) => {
            let key = KeyPair::generate().map_err(|error| cannot(&error))?;
            let params = authority(&key, now_ms)?;
            let certificate = params.self_signed(&key).map_err(|error| cannot(&error))?;
            write(&made.ca_key, &key.serialize_pem())?;
            write(&made.ca, &certificate.pem())?;
            Issuer::new(params, key)
        }
        _ => {
            return Err(cannot(
                &"some of ca.pem, ca-key.pem, cert.pem and key.pem lie there, and not the whole authority (ca.pem and \
                  ca-key.pem) that could renew the others; name another folder, or move them away",
            ));
        }
    };
    let mut params = CertificateParams::new(wanted).map_err(|error| format!("{}: {error}", wanted.join(", ")))?;
    params.distinguished_name = named(wanted.first().map_or("graftd", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A relay shows the same one to its receiver.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    lasts(&mut params, now_ms, TLS_CERT_DAYS)?;
    let key = KeyPair::generate().map_err(|error| cannot(&error))?;
    let certificate = params.signed_by(&key, &issuer).map_err(|error| cannot(&error))?;
    write(&made.key, &key.serialize_pem())?;
    write(&made.cert, &certificate.pem())?;
    Ok(made)
}

/// An authority is known by its name, so each key has one of its own, and always the same.
fn authority(key: &KeyPair, now_ms: i64) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("graftd authority {:08x}", crc32fast::hash(key.public_key_raw())));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasts(&mut params, now_ms, TLS_CA_DAYS)?;
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// From yesterday, for clocks that are behind, for so many days.
fn lasts(params: &mut CertificateParams, now_ms: i64, days: i64) -> Result<(), String> {
    let day = |ms: i64| {
        let text = rfc3339(ms);
        let part = |range| text.get(range).and_then(|part: &str| part.parse::<u16>().ok());
        let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
        Some(date_time_ymd(year.into(), month.try_into().ok()?, day.try_into().ok()?))
    };
    let odd = || "the clock of this host says an odd date; set it".to_owned();
    params.not_before = day(now_ms - DAY_MS).ok_or_else(odd)?;
    params.not_after = day(now_ms + days * DAY_MS).ok_or_else(odd)?;
    Ok(())
}

/// Writes a file whole or not at all.
fn write(file: &Path, text: &str) -> Result<(), String> {
    let aside = file.with_extension("pem.new");
    let write = || {
        let _ = fs::remove_file(&aside);
        let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        fs::rename(&aside, file)
    };
    write().map_err(|error: std::io::Error| format!("{}: cannot be written: {error}", file.display()))
}

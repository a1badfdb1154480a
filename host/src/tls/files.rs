//! Certificates and keys as they lie on the disk (PEM, RFC 7468).

use crate::limits::CONF_BYTES_MAX;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Everybody may read it, or write it, or run it.
const OTHERS: u32 = 0o007;

fn read(opened: File, file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = opened.take(CONF_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    if bytes.len() as u64 > CONF_BYTES_MAX {
        return Err(format!("{}: larger than {CONF_BYTES_MAX} bytes", file.display()));
    }
    Ok(bytes)
}

/// The certificates of a file, in their order.
///
/// # Errors
/// There is none, or one is broken.
pub(super) fn certificates(opened: File, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bad = |why: &dyn Display| format!("{}: {why}", file.display());
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(opened, file)?).collect();
    let found = found.map_err(|error| bad(&format_args!("is no PEM: {error}")))?;
    if found.is_empty() {
        return Err(bad(&"there is no certificate in it, which begins with -----BEGIN CERTIFICATE-----"));
    }
    Ok(found)
}

/// The private key of a file.
///
/// # Errors
/// There is none, or others can read it.
pub(super) fn key(opened: File, file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bad = |why: &dyn Display| format!("{}: {why}", file.display());
    if opened.metadata().is_ok_and(|meta| meta.mode() & OTHERS != 0) {
        return Err(bad(&"everybody on this host can read the key; chmod o= keeps it a secret"));
    }
    PrivateKeyDer::from_pem_slice(&read(opened, file)?).map_err(|error| {
        bad(&format_args!("there is no private key in it, which begins with -----BEGIN PRIVATE KEY-----: {error}"))
    })
}

/// Whom to believe.
///
/// # Errors
/// As [`certificates`]'.
pub(super) fn roots(opened: File, file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(opened, file)? {
        roots.add(certificate).map_err(|error| format!("{}: cannot be believed: {error}", file.display()))?;
    }
    Ok(roots)
}

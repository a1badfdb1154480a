//! The side that checks a certificate.

use super::stream::Stream;
use super::{files, provider};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Makes streams of sockets that were connected.
#[derive(Clone)]
pub(crate) struct Connector(Arc<ClientConfig>);

impl Connector {
    /// Believes what the certificates of a file have signed, else what this system believes; `identity` is a certificate
    /// and its key, for who asks for one.
    ///
    /// # Errors
    /// A file cannot be read or is none of these.
    pub(crate) fn open(ca: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Connector, String> {
        let open = |file: &Path| File::open(file).map_err(|error| format!("{}: {error}", file.display()));
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities(ca)?);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = files::certificates(open(cert)?, cert)?;
                let own = files::key(open(key)?, key)?;
                builder.with_client_auth_cert(chain, own).map_err(|error| {
                    format!("{} and {} do not belong together: {error}", cert.display(), key.display())
                })?
            }
        };
        Ok(Connector(Arc::new(config)))
    }

    /// For who makes streams by itself.
    pub(crate) fn config(&self) -> ClientConfig {
        ClientConfig::clone(&self.0)
    }

    /// Makes a stream of a socket. `host` is the name or address that the certificate has to be for.
    ///
    /// # Errors
    /// It is not for that, or not to be believed; the other side speaks no TLS.
    pub(crate) async fn connect(&self, stream: TcpStream, host: &str) -> io::Result<Stream> {
        let stream = TlsConnector::from(Arc::clone(&self.0)).connect(name(host)?, stream).await?;
        Ok(Stream::Client(Box::new(stream)))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

fn name(host: &str) -> io::Result<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned())
        .map_err(|_| io::Error::other(format!("{host:?} is no name that a certificate is for")))
}

/// The certificates of a file, else those that this system believes.
///
/// # Errors
/// There are none.
pub(crate) fn authorities(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    if let Some(ca) = ca {
        let open = File::open(ca).map_err(|error| format!("{}: {error}", ca.display()))?;
        return files::certificates(open, ca);
    }
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        let none = "this system has no certificates that could be believed (package ca-certificates)";
        return Err(format!("{none}; name a file: --ca FILE"));
    }
    Ok(found)
}

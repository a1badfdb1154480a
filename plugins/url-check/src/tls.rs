//! TLS, and what the server shows of itself by it.

use crate::limits::{BLOCK_BYTES, CA_BYTES_MAX};
use fetch::{Connection, Stream, why};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, SliceReader};

/// Whom a server's certificate must come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// The authorities of this system.
    System,
    /// Those in a file.
    File(String),
    /// Anybody.
    Anyone,
}

/// What checks have in common. The authorities are held once, however many checks trust them.
#[derive(Debug)]
pub(crate) struct Shared {
    provider: Arc<CryptoProvider>,
    verifiers: BTreeMap<Trust, Option<Arc<WebPkiServerVerifier>>>,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        Shared { provider: Arc::new(ring::default_provider()), verifiers: BTreeMap::new() }
    }

    /// What a check needs to speak TLS.
    ///
    /// # Errors
    /// A file with certificates cannot be read or has none, or this system has none.
    pub(crate) fn tls(&mut self, trust: &Trust) -> Result<Tls, String> {
        let trusted = match self.verifiers.get(trust) {
            Some(verifier) => verifier.clone(),
            None => {
                let verifier = verifier(&self.provider, trust)?;
                self.verifiers.insert(trust.clone(), verifier.clone());
                verifier
            }
        };
        let seen = Arc::new(Seen { trusted, provider: Arc::clone(&self.provider), ends: Mutex::new(None) });
        let versions =
            ClientConfig::builder_with_provider(Arc::clone(&self.provider)).with_safe_default_protocol_versions();
        let mut config = versions
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        // Each handshake is a whole one: the certificate is to be seen each time.
        config.resumption = rustls::client::Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { config: Arc::new(config), seen })
    }
}

fn verifier(provider: &Arc<CryptoProvider>, trust: &Trust) -> Result<Option<Arc<WebPkiServerVerifier>>, String> {
    let (from, certificates) = match trust {
        Trust::Anyone => return Ok(None),
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            ("this system has no certificates of authorities; install ca-certificates, or".to_owned(), found.certs)
        }
        Trust::File(file) => {
            let read = |file| {
                let mut bytes = Vec::new();
                File::open(file)?.take(CA_BYTES_MAX).read_to_end(&mut bytes).map(|_| bytes)
            };
            let bytes = read(file).map_err(|error| format!("{file}: {error}"))?;
            let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
            (format!("{file}: has no certificate;"), found.map_err(|error| format!("{file}: {error}"))?)
        }
    };
    let mut roots = RootCertStore::empty();
    // Some of a system's may be too old to be understood; the others do.
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(format!("{from} name a file in PEM by \"ca\", or trust anybody by \"insecure\""));
    }
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    built.map(Some).map_err(|error| error.to_string())
}

/// How one check speaks TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    seen: Arc<Seen>,
}

impl Tls {
    /// Makes a connection one by TLS.
    ///
    /// # Errors
    /// The server speaks none, or is not trusted, or the time is over.
    pub(crate) async fn shake_hands<'r>(&self, host: &str, stream: Stream<'r>) -> Result<TlsStream<'r>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("TLS: {host} is no name of a host"))?;
        let tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(|error| format!("TLS: {error}"))?;
        let mut stream = TlsStream { stream, tls, block: vec![0; BLOCK_BYTES] };
        while stream.tls.is_handshaking() {
            stream.step().await.map_err(|error| match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                Some(inner) => format!("TLS: {}", inner as &Error),
                None => why(&error, "shaking hands for TLS"),
            })?;
        }
        Ok(stream)
    }

    /// When the certificate ends that was shown last, in milliseconds since the Unix epoch; and forgets it.
    pub(crate) fn take_end(&self) -> Option<i64> {
        self.seen.ends.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A connection by TLS.
#[derive(Debug)]
pub(crate) struct TlsStream<'r> {
    stream: Stream<'r>,
    tls: ClientConnection,
    block: Vec<u8>,
}

impl TlsStream<'_> {
    /// Sends what there is to send, or else reads what comes.
    async fn step(&mut self) -> io::Result<()> {
        if self.tls.wants_write() {
            return self.send().await;
        }
        let length = self.stream.read(&mut self.block).await?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut come = self.block.get(..length).unwrap_or_default();
        while !come.is_empty() {
            self.tls.read_tls(&mut come)?;
            if let Err(error) = self.tls.process_new_packets() {
                // The server is told why, if it still listens.
                let _ = self.send().await;
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes)?;
        }
        self.stream.write_all(&bytes).await
    }
}

impl Connection for TlsStream<'_> {
    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.step().await?,
                read => return read,
            }
        }
    }

    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // It takes no more than its buffer has room for.
            let taken = self.tls.writer().write(bytes)?;
            bytes = bytes.get(taken..).unwrap_or_default();
            self.send().await?;
        }
        Ok(())
    }
}

/// Looks at a certificate before it is judged, for one that ended is refused, and when it ended is wanted all the same.
struct Seen {
    /// None where anybody is trusted.
    trusted: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    ends: Mutex<Option<i64>>,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = ends(end_entity);
        match &self.trusted {
            Some(trusted) => trusted.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// When a certificate ends, in milliseconds since the Unix epoch; not known where it is not what it should be.
fn ends(certificate: &CertificateDer<'_>) -> Option<i64> {
    let certificate = Certificate::decode(&mut SliceReader::new(certificate).ok()?).ok()?;
    let not_after = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(not_after.as_millis()).ok()
}

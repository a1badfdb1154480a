//! The side with a certificate.

use super::stream::Stream;
use super::{files, provider};
use crate::conf::TlsFiles;
use crate::limits::{TLS_HANDSHAKE_MAX, TLS_LOOK_EVERY};
use crate::module::{Folders, open_anywhere};
use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsAcceptor;

/// What a handshake begins with (RFC 8446, 5.1): no document, no line and no request does.
const HANDSHAKE: u8 = 0x16;

/// Makes streams of sockets that were accepted.
pub(crate) struct Acceptor {
    files: TlsFiles,
    folders: Folders,
    config: RwLock<Arc<ServerConfig>>,
    seen: Mutex<Seen>,
}

/// What a file was when it was looked at: device, inode, length, and nanoseconds of its last change, be it of its rights alone.
type Stamp = Option<(u64, u64, u64, i64)>;

/// What the files were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    /// When they were loaded.
    loaded: Vec<Stamp>,
    /// Why they could not be since; it is said once.
    why: Option<String>,
    /// At the last look.
    last: Vec<Stamp>,
}

/// Why a connection is none.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// It speaks without TLS and comes from another host. It can be told so.
    Plain(TcpStream),
    /// The handshake failed.
    Failed(io::Error),
}

impl Acceptor {
    /// With the certificate that these files have.
    ///
    /// # Errors
    /// One cannot be read or believed, is none, or they do not belong together.
    pub(crate) fn open(files: &TlsFiles, folders: &Folders) -> Result<Arc<Acceptor>, String> {
        let stamps = stamps(files);
        let config = load(files, folders)?;
        Ok(Arc::new(Acceptor {
            files: files.clone(),
            folders: folders.clone(),
            config: RwLock::new(config),
            seen: Mutex::new(Seen { loaded: stamps.clone(), last: stamps, why: None }),
        }))
    }

    /// Looks every few seconds whether the files were renewed, for ever.
    pub(crate) async fn follow(self: Arc<Acceptor>) {
        let mut every = interval(TLS_LOOK_EVERY);
        loop {
            every.tick().await;
            let acceptor = Arc::clone(&self);
            // It fails when the daemon stops.
            let _ = tokio::task::spawn_blocking(move || acceptor.look()).await;
        }
    }

    /// Takes up what was renewed; what cannot be taken up leaves all as it was. Certificate and key are written one after
    /// the other: they are loaded when they have stood still from one look to the next.
    pub(super) fn look(&self) {
        let stamps = stamps(&self.files);
        let mut seen = self.seen.lock();
        let still = seen.last == stamps;
        seen.last.clone_from(&stamps);
        if !still || seen.loaded == stamps {
            return;
        }
        // What fails is tried again at the next look: it may have been for want of a descriptor.
        match load(&self.files, &self.folders) {
            Ok(config) => {
                *self.config.write() = config;
                (seen.loaded, seen.why) = (stamps, None);
                tracing::info!("tls: the certificate {} was renewed", self.files.cert.display());
            }
            Err(why) if seen.why.as_ref() == Some(&why) => {}
            Err(why) => {
                tracing::error!("tls: {why}; the certificate before goes on");
                seen.why = Some(why);
            }
        }
    }

    /// Makes a stream of a socket whose first byte comes within some time. One that speaks without TLS is taken as it is where it comes from this
    /// very host: nobody else hears it.
    ///
    /// # Errors
    /// It speaks without TLS and comes from elsewhere, or there is no agreement.
    pub(crate) async fn take(&self, stream: TcpStream, peer: IpAddr, patience: Duration) -> Result<Stream, NotTaken> {
        let late = |_| NotTaken::Failed(io::ErrorKind::TimedOut.into());
        let mut first = [0];
        match timeout(patience, stream.peek(&mut first)).await.map_err(late)? {
            Ok(1..) if first[0] != HANDSHAKE && peer.to_canonical().is_loopback() => Ok(Stream::Plain(stream)),
            Ok(1..) if first[0] != HANDSHAKE => Err(NotTaken::Plain(stream)),
            Ok(1..) => timeout(TLS_HANDSHAKE_MAX, self.accept(stream)).await.map_err(late)?.map_err(NotTaken::Failed),
            Ok(0) => Err(NotTaken::Failed(io::ErrorKind::UnexpectedEof.into())),
            Err(error) => Err(NotTaken::Failed(error)),
        }
    }

    /// Makes a stream of a socket whose other side speaks TLS. It takes as long as that likes.
    ///
    /// # Errors
    /// There is no agreement.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let config = Arc::clone(&self.config.read());
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        Ok(Stream::Server(Box::new(stream)))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    let all = [Some(&files.cert), Some(&files.key), files.client_ca.as_ref()];
    let stamp =
        |meta: fs::Metadata| (meta.dev(), meta.ino(), meta.len(), meta.ctime() * 1_000_000_000 + meta.ctime_nsec());
    all.into_iter().flatten().map(|file| fs::metadata(file).ok().map(stamp)).collect()
}

fn load(files: &TlsFiles, folders: &Folders) -> Result<Arc<ServerConfig>, String> {
    let chain = files::certificates(open_anywhere(&files.cert, folders)?, &files.cert)?;
    let key = files::key(open_anywhere(&files.key, folders)?, &files.key)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let roots = files::roots(open_anywhere(ca, folders)?, ca)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("{}: {error}", ca.display()))?)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(|error| {
        format!("{} and {} do not belong together: {error}", files.cert.display(), files.key.display())
    })?;
    Ok(Arc::new(config))
}

//! What tests of other rooms need: connections with TLS.

use super::{Acceptor, Connector, Stream, make};
use crate::conf::TlsFiles;
use crate::module::Folders;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// What a socket of a [pair](Sides::pair) holds, and what waits on its way; the kernel takes twice as much for each.
pub(crate) const SOCKET_BYTES: usize = 256 * 1024;

/// Both sides: one has a certificate for `localhost`, the other believes it.
pub(crate) struct Sides {
    pub(crate) acceptor: Arc<Acceptor>,
    pub(crate) connector: Connector,
    _folder: TempDir,
}

impl Sides {
    pub(crate) fn new() -> Sides {
        let folder = tempfile::tempdir().unwrap();
        let now = crate::clock::Timepiece::start().unix_ms();
        let made = make(&["localhost".to_owned()], folder.path(), now).unwrap();
        let files = TlsFiles { cert: made.cert.clone(), key: made.key.clone(), client_ca: None };
        Sides {
            acceptor: Acceptor::open(&files, &Folders::default()).unwrap(),
            connector: Connector::open(Some(&made.ca), None).unwrap(),
            _folder: folder,
        }
    }

    /// A client and its server, whose sockets hold little.
    pub(crate) async fn pair(&self) -> (Stream, Stream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (client, server) = (client.unwrap(), accepted.unwrap().0);
        for socket in [&client, &server] {
            let socket = socket2::SockRef::from(socket);
            socket.set_recv_buffer_size(SOCKET_BYTES).unwrap();
            socket.set_send_buffer_size(SOCKET_BYTES).unwrap();
        }
        let (client, server) = tokio::join!(self.connector.connect(client, "localhost"), self.acceptor.accept(server));
        (client.unwrap(), server.unwrap())
    }

    /// The same; the client takes nothing, and so much is on its way that the server can write no more.
    pub(crate) async fn stuck(&self) -> (Stream, Stream) {
        let (client, mut server) = self.pair().await;
        for _ in 0..1_000 {
            let more = async {
                server.write_all(&[b'x'; 8 * 1024]).await?;
                server.flush().await
            };
            match timeout(Duration::from_millis(50), more).await {
                Ok(written) => written.unwrap(),
                Err(_) => return (client, server),
            }
        }
        panic!("it takes everything");
    }
}

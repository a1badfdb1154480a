//! A slow line is none that is dead, with TLS as without.

use super::*;
use crate::conf::TlsFiles;
use crate::module::Folders;
use crate::relay::wire::{Message, Reading, write};
use crate::trend::Place;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpListener;

/// A receiver's side with a certificate for this host, and a sender's that believes it.
fn sides(folder: &Path) -> (Arc<Acceptor>, RelayTls) {
    crate::tls::make(&["127.0.0.1".to_owned()], folder, crate::clock::Timepiece::start().unix_ms()).unwrap();
    let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem"), client_ca: None };
    let tls = RelayTls { ca: Some(folder.join("ca.pem")), ..RelayTls::default() };
    (Acceptor::open(&files, &Folders::default()).unwrap(), tls)
}

/// Carries bytes one way, for as long as there are any left that it may.
async fn carry(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    left: &AtomicUsize,
) {
    let mut piece = [0; 1_000];
    loop {
        let most = left.load(Ordering::Acquire).min(piece.len());
        if most == 0 {
            return std::future::pending().await;
        }
        let Ok(read @ 1..) = from.read(&mut piece[..most]).await else { return };
        // It may have been set anew while nothing came.
        let _ = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| Some(left.saturating_sub(read)));
        to.write_all(&piece[..read]).await.unwrap();
    }
}

#[tokio::test]
async fn a_part_of_an_entry_is_a_sign_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let (acceptor, tls) = sides(folder.path());
    let connector = open(Some(&tls)).await.unwrap().unwrap();
    let (ends, begins) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (to, via) = (ends.local_addr().unwrap(), begins.local_addr().unwrap());
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let carried = Arc::clone(&left);
    tokio::spawn(async move {
        let (from, to) = (begins.accept().await.unwrap().0, TcpStream::connect(to).await.unwrap());
        let ((from, back), (answers, to)) = (from.into_split(), to.into_split());
        let any = AtomicUsize::new(usize::MAX);
        tokio::join!(carry(from, to, &carried), carry(answers, back, &any));
    });
    let client = async { connect(TcpStream::connect(via).await.unwrap(), "127.0.0.1", Some((&connector, &tls))).await };
    let server = async {
        let (socket, from) = ends.accept().await.unwrap();
        accept(socket, from, Some(&acceptor)).await
    };
    let (client, server) = tokio::join!(client, server);
    let (mut client, (server, told)) = (client.unwrap(), server.unwrap());
    assert!(client.is_secure() && server.is_secure() && told.is_none());
    let mut reading = Reading::new(split(server).0);
    write(&mut client, &Message::Ping.encode()).await.unwrap();
    assert_eq!(reading.next(100).await.unwrap(), Message::Ping);
    let heard = reading.heard();
    // Less than a record may have (RFC 8446, 5.1).
    left.store(10_000, Ordering::Release);
    let entry = Message::Entry { place: Place { number: 1, tag: 1 }, data: vec![3; 100_000] };
    write(&mut client, &entry.encode()).await.unwrap();
    let _ = timeout(Duration::from_millis(500), reading.next(1 << 20)).await.unwrap_err();
    assert!(reading.heard() > heard, "nothing was deciphered of 10,000 bytes");
}

#[tokio::test]
async fn what_is_no_file_of_certificates_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (_, tls) = sides(folder.path());
    for (ca, key, want) in
        [("/nowhere", "key.pem", "/nowhere"), ("key.pem", "key.pem", "key.pem"), ("ca.pem", "ca.pem", "ca.pem")]
    {
        let file = |name: &str| folder.path().join(name);
        let tls = RelayTls { ca: Some(file(ca)), identity: Some((file("cert.pem"), file(key))), ..tls.clone() };
        let why = open(Some(&tls)).await.unwrap_err();
        assert!(why.contains(want) && why.contains("in relay.on"), "{why}");
    }
    assert!(open(None).await.unwrap().is_none());
}

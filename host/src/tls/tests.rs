use super::*;
use crate::conf::TlsFiles;
use crate::module::Folders;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// 2026-11-26.
const NOW: i64 = 1_795_651_200_000;

const PATIENCE: Duration = Duration::from_secs(20);

fn made(out: &Path, name: &str) -> Made {
    make(&[name.to_owned(), "127.0.0.1".to_owned()], out, crate::clock::Timepiece::start().unix_ms()).unwrap()
}

fn files(made: &Made, client_ca: Option<PathBuf>) -> TlsFiles {
    TlsFiles { cert: made.cert.clone(), key: made.key.clone(), client_ca }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

/// What a client says arrives, and is answered; or why not.
async fn talk(acceptor: &Acceptor, connector: &Connector, host: &str) -> Result<(), String> {
    let (client, server) = pair().await;
    let peer = server.peer_addr().unwrap().ip();
    let serve = async {
        let mut stream = acceptor.take(server, peer, PATIENCE).await.map_err(|error| format!("{error:?}"))?;
        assert!(stream.is_secure() && stream.goes_on().await.map_err(|error| error.to_string())?);
        stream.ready().await.unwrap();
        let mut read = Vec::with_capacity(3);
        assert_eq!((stream.try_read(&mut read).unwrap(), read.as_slice()), (3, &b"hel"[..]));
        let mut rest = [0; 2];
        stream.read_exact(&mut rest).await.unwrap();
        stream.write_all(&rest).await.unwrap();
        stream.shutdown().await.unwrap();
        Ok::<_, String>(())
    };
    let ask = async {
        let mut stream = connector.connect(client, host).await.map_err(|error| error.to_string())?;
        let said = async {
            stream.write_all(b"hello").await?;
            stream.flush().await?;
            let mut read = String::new();
            stream.read_to_string(&mut read).await?;
            assert_eq!(read, "lo");
            assert!(!stream.goes_on().await?, "it was ended in order");
            std::io::Result::Ok(())
        };
        said.await.map_err(|error| error.to_string())
    };
    let (served, asked) = tokio::join!(serve, ask);
    asked.and(served)
}

#[tokio::test]
async fn what_is_made_is_believed_for_its_names_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) =
        (made(&folder.path().join("one"), "web.example"), made(&folder.path().join("other"), "web.example"));
    let acceptor = Acceptor::open(&files(&one, None), &Folders::default()).unwrap();
    let connector = Connector::open(Some(&one.ca), None).unwrap();
    for name in ["web.example", "127.0.0.1", "[127.0.0.1]"] {
        talk(&acceptor, &connector, name).await.unwrap();
    }
    assert!(talk(&acceptor, &connector, "other.example").await.unwrap_err().contains("not valid for name"));
    let stranger = Connector::open(Some(&other.ca), None).unwrap();
    assert!(talk(&acceptor, &stranger, "web.example").await.is_err());
    for file in [&one.ca, &one.ca_key, &one.cert, &one.key] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let one = made(folder.path(), "web.example");
    let acceptor = Acceptor::open(&files(&one, None), &Folders::default()).unwrap();
    let connector = Connector::open(Some(&one.ca), None).unwrap();
    let again = made(folder.path(), "new.example");
    assert!(again.renewed);
    talk(&acceptor, &connector, "web.example").await.unwrap();
    acceptor.look();
    talk(&acceptor, &connector, "web.example").await.unwrap();
    // They stand still now.
    acceptor.look();
    talk(&acceptor, &connector, "new.example").await.unwrap();
    assert!(talk(&acceptor, &connector, "web.example").await.is_err());
    fs::write(&one.cert, "nonsense").unwrap();
    (0..3).for_each(|_| acceptor.look());
    talk(&acceptor, &connector, "new.example").await.unwrap();
    // One whose key others can read is not taken up until they cannot, though nothing of it is written then.
    assert!(made(folder.path(), "last.example").renewed);
    fs::set_permissions(&one.key, fs::Permissions::from_mode(0o644)).unwrap();
    (0..3).for_each(|_| acceptor.look());
    talk(&acceptor, &connector, "new.example").await.unwrap();
    fs::set_permissions(&one.key, fs::Permissions::from_mode(0o600)).unwrap();
    (0..2).for_each(|_| acceptor.look());
    talk(&acceptor, &connector, "last.example").await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_put_in_the_place_of_one_as_long_and_as_old_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let one = made(folder.path(), "web.example");
    // What copies files over others may keep their times: all that it cannot keep is when they were changed.
    let longest = 8_192;
    let put = |file: &Path, mut bytes: Vec<u8>| {
        bytes.resize(longest, b'\n');
        fs::write(file, bytes).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        fs::File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
    };
    [&one.cert, &one.key].into_iter().for_each(|file| put(file, fs::read(file).unwrap()));
    let acceptor = Acceptor::open(&files(&one, None), &Folders::default()).unwrap();
    let connector = Connector::open(Some(&one.ca), None).unwrap();
    talk(&acceptor, &connector, "web.example").await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    [&one.ca, &one.ca_key].into_iter().for_each(|file| {
        fs::copy(file, elsewhere.path().join(file.file_name().unwrap())).unwrap();
    });
    let new = made(elsewhere.path(), "new.example");
    put(&one.cert, fs::read(&new.cert).unwrap());
    put(&one.key, fs::read(&new.key).unwrap());
    (0..2).for_each(|_| acceptor.look());
    talk(&acceptor, &connector, "new.example").await.unwrap();
}

#[tokio::test]
async fn a_client_may_have_to_show_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) =
        (made(&folder.path().join("one"), "web.example"), made(&folder.path().join("other"), "a.example"));
    let acceptor = Acceptor::open(&files(&one, Some(other.ca.clone())), &Folders::default()).unwrap();
    let with = |identity| Connector::open(Some(&one.ca), identity).unwrap();
    talk(&acceptor, &with(Some((&other.cert, &other.key))), "web.example").await.unwrap();
    assert!(talk(&acceptor, &with(Some((&one.cert, &one.key))), "web.example").await.is_err());
    assert!(talk(&acceptor, &with(None), "web.example").await.is_err());
}

#[tokio::test]
async fn without_tls_only_this_host_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let acceptor = Acceptor::open(&files(&made(folder.path(), "x"), None), &Folders::default()).unwrap();
    for (peer, plain) in [("127.0.0.1", true), ("::ffff:127.0.0.1", true), ("::1", true), ("10.0.0.1", false)] {
        let (mut client, server) = pair().await;
        client.write_all(b"GET").await.unwrap();
        match acceptor.take(server, peer.parse().unwrap(), PATIENCE).await {
            Ok(Stream::Plain(_)) => assert!(plain, "{peer}"),
            Err(NotTaken::Plain(_)) => assert!(!plain, "{peer}"),
            other => panic!("{peer}: {other:?}"),
        }
    }
    // Who says nothing, or nonsense, is not waited for.
    let (_client, server) = pair().await;
    let taken = acceptor.take(server, [10, 0, 0, 1].into(), Duration::from_millis(20)).await;
    assert!(matches!(taken, Err(NotTaken::Failed(error)) if error.kind() == std::io::ErrorKind::TimedOut));
    let (mut client, server) = pair().await;
    client.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).await.unwrap();
    assert!(matches!(acceptor.take(server, [10, 0, 0, 1].into(), PATIENCE).await, Err(NotTaken::Failed(_))));
}

#[test]
fn what_is_wrong_with_files_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (made(&folder.path().join("one"), "x"), made(&folder.path().join("other"), "x"));
    let open = |cert: &Path, key: &Path| {
        let files = TlsFiles { cert: cert.to_owned(), key: key.to_owned(), client_ca: None };
        Acceptor::open(&files, &Folders::default()).unwrap_err()
    };
    assert!(open(&one.cert, &other.key).contains("do not belong together"));
    assert!(open(&one.key, &one.key).contains("no certificate"));
    assert!(open(&one.cert, &one.cert).contains("no private key"));
    assert!(open(Path::new("/nowhere"), &one.key).contains("/nowhere"));
    fs::set_permissions(&one.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open(&one.cert, &one.key).contains("chmod o="));
    fs::remove_file(&one.ca).unwrap();
    assert!(make(&["x".to_owned()], &folder.path().join("one"), NOW).unwrap_err().contains("ca-key.pem"));
    assert!(make(&["\u{e9}\u{1}".to_owned()], &folder.path().join("three"), NOW).is_err());
}

#[tokio::test]
async fn an_end_does_not_wait_for_ever_for_who_takes_nothing() {
    let sides = testing::Sides::new();
    let (client, mut server) = sides.stuck().await;
    let ended = timeout(PATIENCE, server.end(Duration::from_millis(50))).await.expect("it has ended");
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    drop(client);
    let (mut client, mut server) = sides.pair().await;
    server.end(PATIENCE).await.unwrap();
    assert!(!client.goes_on().await.unwrap(), "it was ended in order");
}

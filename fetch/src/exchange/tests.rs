use super::*;
use crate::room::Room;
use proptest::prelude::*;
use std::io;

/// A server that says what it has to say in pieces, and closes.
struct Server {
    says: Vec<u8>,
    at: usize,
    piece: usize,
    heard: Vec<u8>,
}

impl Connection for Server {
    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.piece.min(into.len()).min(self.says.len() - self.at);
        into[..length].copy_from_slice(&self.says[self.at..][..length]);
        self.at += length;
        Ok(length)
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.heard.extend_from_slice(bytes);
        Ok(())
    }
}

const WANTED: Wanted = Wanted { body_max: 100_000, body: true, redirect: true };

fn ask(says: &[u8], piece: usize, wanted: Wanted, method: Method) -> (Result<Option<Next>, String>, Answer, String) {
    let mut server = Server { says: says.to_vec(), at: 0, piece, heard: Vec::new() };
    let mut request = Request::new(());
    *request.uri_mut() = "http://user:secret@shop.example:8080/a/b?c=d".parse().unwrap();
    *request.method_mut() = method;
    let mut answer = Answer::default();
    let result = Room::default().finish(exchange(&mut server, request, wanted, &mut answer));
    (result, answer, String::from_utf8(server.heard).unwrap())
}

fn get(says: impl AsRef<[u8]>) -> (Result<Option<Next>, String>, Answer) {
    let (result, answer, _) = ask(says.as_ref(), usize::MAX, WANTED, Method::GET);
    (result, answer)
}

#[test]
fn a_request_names_the_host_and_who_asks() {
    let (_, _, heard) = ask(b"", 1, WANTED, Method::GET);
    assert!(heard.starts_with("GET /a/b?c=d HTTP/1.1\r\n") && heard.ends_with("\r\n\r\n"), "{heard}");
    for line in ["host: shop.example:8080\r\n", "authorization: Basic dXNlcjpzZWNyZXQ=\r\n"] {
        assert!(heard.to_ascii_lowercase().contains(&line.to_ascii_lowercase()), "{heard}");
    }
}

#[test]
fn each_kind_of_body_is_read_in_pieces_of_any_length() {
    let bodies: [&[u8]; 5] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n003\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
    ];
    for says in bodies {
        for piece in (1..20).chain([1_000]) {
            let (result, answer, _) = ask(says, piece, WANTED, Method::GET);
            let shown = String::from_utf8_lossy(says);
            assert!(matches!(result, Ok(None)), "{result:?} {shown}");
            assert_eq!((answer.status, answer.bytes, answer.body.as_slice()), (200, 5, &b"hello"[..]), "{shown}");
            assert!(answer.first_byte.is_some() && !answer.cut);
        }
    }
}

#[test]
fn what_has_no_body_is_not_waited_for() {
    let (result, answer, _) = ask(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 100, WANTED, Method::HEAD);
    assert_eq!((result.unwrap().is_none(), answer.status, answer.bytes), (true, 200, 0));
    let (result, answer) = get("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!((result.unwrap().is_none(), answer.status, answer.bytes), (true, 204, 0));
}

#[test]
fn what_breaks_off_says_where() {
    for (says, status, why) in [
        ("", 0, "closed without an answer"),
        ("HTTP/1.1 200 OK\r\nContent-", 0, "closed within its header"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 200, "closed within the body, after 5 bytes"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 200, "closed within the body"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", 0, "no HTTP"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", 200, "no HTTP"),
        ("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", 0, "no HTTP"),
    ] {
        let (result, answer) = get(says);
        let said = result.expect_err(says);
        assert!(said.contains(why), "{says:?}: {said}");
        assert_eq!(answer.status, status, "{says:?}");
    }
}

#[test]
fn nothing_is_read_without_end() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(10 * HEAD_BYTES_MAX));
    let (result, _) = get(head);
    assert!(result.unwrap_err().contains("header has more than 65536 bytes"));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1_000));
    assert!(get(many).0.unwrap_err().contains("no HTTP"));
    for head in ["Content-Length: 1000000", "Connection: close"] {
        let says = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{}", "x".repeat(1_000_000));
        let (result, answer) = get(says);
        assert_eq!((result.unwrap().is_none(), answer.bytes, answer.cut), (true, 100_000, true), "{head}");
        assert_eq!(answer.body.len(), 100_000);
    }
    let says = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n{}", "x".repeat(1_000_000));
    let (result, answer, _) = ask(says.as_bytes(), 999, Wanted { body: false, ..WANTED }, Method::GET);
    assert_eq!((result.unwrap().is_none(), answer.bytes, answer.body.len()), (true, 100_000, 0));
}

#[test]
fn a_redirect_says_where_it_leads_if_that_is_asked() {
    let says = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 2\r\n\r\nhi");
    for (to, uri) in [
        ("/x", "http://shop.example:8080/x"),
        ("x", "http://shop.example:8080/a/x"),
        ("https://other.example/", "https://other.example/"),
    ] {
        let next = get(says(to)).0.unwrap().expect("a redirect").uri;
        let plain = next.to_string().replace("user:secret@", "");
        assert_eq!(plain, uri);
    }
    let (result, answer) = get(says("http://a b/"));
    assert!(result.unwrap_err().contains("leads nowhere"));
    assert_eq!(answer.status, 302);
    // Nobody needs to know where to.
    let (result, ..) = ask(says("http://a b/").as_bytes(), 9, Wanted { redirect: false, ..WANTED }, Method::GET);
    assert!(result.unwrap().is_none());
}

proptest! {
    #[test]
    fn garbage_never_panics(
        garbage in proptest::collection::vec(any::<u8>(), 0..200),
        bites in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        kind in 0..3_usize,
        piece in 1..64_usize,
    ) {
        let good: [&[u8]; 3] = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n003\r\nllo\r\n0\r\n\r\n",
            b"HTTP/1.1 301 Moved\r\nLocation: //x/y?z\r\n\r\n",
        ];
        let mut bitten = good[kind].to_vec();
        for (at, byte) in bites {
            let at = at.index(bitten.len());
            bitten[at] = byte;
        }
        for says in [garbage.clone(), bitten, [good[kind], &garbage].concat()] {
            let (_, answer, _) = ask(&says, piece, WANTED, Method::GET);
            prop_assert!(answer.body.len() as u64 == answer.bytes && answer.bytes <= WANTED.body_max as u64);
        }
    }
}

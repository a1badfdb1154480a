//! Servers on loopback that answer as a test says, by http or https, well or badly.

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::spawn;

/// Starts a server; each connection is a thread's, and it ends with the test.
pub fn serve(address: &str, answer: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).expect("a port");
    let at = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            spawn(move || answer(stream));
        }
    });
    at
}

/// Reads a request to the end of its header.
pub fn heard(stream: &mut impl Read) -> String {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length > 0) {
        request.push(byte[0]);
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// A server that answers each request with the same.
pub fn says(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    serve("127.0.0.1", move |mut stream| {
        heard(&mut stream);
        let _ = stream.write_all(&answer);
    })
}

/// An authority, and certificates from it.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("good");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate, as a file.
    pub fn file(&self, name: &str) -> PathBuf {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, self.certificate.pem()).expect("written");
        file
    }

    /// A server by https that says the same to each, with a certificate for a host that ends with a year.
    pub fn says(&self, host: &str, last_year: i32, answer: &'static str) -> SocketAddr {
        let mut params = CertificateParams::new([host.to_owned()]).expect("good");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("good");
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).expect("good");
        let config = Arc::new(config);
        serve("127.0.0.1", move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("good");
            let mut stream = StreamOwned::new(connection, stream);
            if !heard(&mut stream).is_empty() {
                let _ = stream.write_all(answer.as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        })
    }
}

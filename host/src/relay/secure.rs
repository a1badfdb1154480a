//! TLS between relays: who shows a certificate, who checks it, and in words of the two files in which it is set why it does not
//! come about.

use crate::conf::RelayTls;
use crate::limits::{RELAY_HELLO_MAX, RELAY_SLOW_BYTES, TLS_HANDSHAKE_MAX};
use crate::tls::{Acceptor, Connector, NotTaken, Stream};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// What is answered to a sender without TLS where TLS is wanted.
pub(super) const TLS_ALONE: &str = "this daemon takes relays from other hosts by TLS alone; write tls = true into relay.on, and \
                                    ca = \"FILE\" if the authority of its certificate is one of your own";

/// How records of TLS begin that the two sides say first (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;
const ALERT: u8 = 0x15;

/// What is wrong where a peer's first byte is one of TLS and it is read as it came.
pub(super) fn is_tls(first: u8) -> Option<&'static str> {
    match first {
        HANDSHAKE => Some(
            "it speaks TLS, and this daemon has no certificate; name one in [tls] of graftd.conf here, or take tls out of \
             its relay.on",
        ),
        ALERT => Some("it speaks TLS; write tls = true into relay.on"),
        _ => None,
    }
}

/// What makes a sender's connections secure; nothing where TLS is not wanted. The files are read anew each time, for they may be
/// renewed.
///
/// # Errors
/// A file is not what it should be.
pub(super) async fn open(tls: Option<&RelayTls>) -> Result<Option<Connector>, String> {
    let Some(tls) = tls.cloned() else { return Ok(None) };
    let open = move || {
        let identity = tls.identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        Connector::open(tls.ca.as_deref(), identity)
    };
    let opened = spawn_blocking(open).await.map_err(|error| error.to_string())?;
    opened.map(Some).map_err(|why| format!("{why} (ca, cert and key in relay.on)"))
}

/// Makes a sender's stream. `host` is what the certificate has to be for, unless the `.on` says otherwise.
///
/// # Errors
/// In words: the receiver is not believed, or speaks no TLS.
pub(super) async fn connect(
    socket: TcpStream,
    host: &str,
    by: Option<(&Connector, &RelayTls)>,
) -> Result<Stream, String> {
    let Some((connector, tls)) = by else { return Ok(Stream::Plain(socket)) };
    let host = tls.server_name.as_deref().unwrap_or(host);
    match timeout(TLS_HANDSHAKE_MAX, connector.connect(socket, host)).await {
        Ok(Ok(stream)) => Ok(in_steps(stream)),
        Ok(Err(error)) => Err(not_connected(&error, host, tls)),
        Err(_) => Err(format!("no TLS within {TLS_HANDSHAKE_MAX:?}; does it speak that?")),
    }
}

/// Makes a receiver's stream. One that is not secure although it has to be is given with what its sender is to be told.
///
/// # Errors
/// There is none: in words, or without any where nobody said anything.
pub(super) async fn accept(
    socket: TcpStream,
    from: SocketAddr,
    by: Option<&Acceptor>,
) -> Result<(Stream, Option<&'static str>), Option<String>> {
    let Some(acceptor) = by else { return Ok((Stream::Plain(socket), None)) };
    match acceptor.take(socket, from.ip(), RELAY_HELLO_MAX).await {
        Ok(stream) => Ok((in_steps(stream), None)),
        Err(NotTaken::Plain(socket)) => Ok((Stream::Plain(socket), Some(TLS_ALONE))),
        Err(NotTaken::Failed(error)) => Err(not_accepted(&error)),
    }
}

/// Has what is written gathered in steps so small that each is a sign of life.
fn in_steps(mut stream: Stream) -> Stream {
    match &mut stream {
        Stream::Plain(_) => {}
        Stream::Server(tls) => tls.get_mut().1.set_buffer_limit(Some(RELAY_SLOW_BYTES)),
        Stream::Client(tls) => tls.get_mut().1.set_buffer_limit(Some(RELAY_SLOW_BYTES)),
    }
    stream
}

/// What TLS says to an error of a connection's.
fn of_tls(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Why a sender does not believe a receiver.
fn not_connected(error: &io::Error, host: &str, tls: &RelayTls) -> String {
    use CertificateError as Of;
    let whom = match &tls.ca {
        Some(ca) => Cow::from(format!("{} does not have", ca.display())),
        None => Cow::from("this system does not know"),
    };
    match of_tls(error) {
        Some(Error::InvalidCertificate(Of::UnknownIssuer | Of::BadSignature)) => format!(
            "its certificate is by an authority that {whom}; name the file with that in relay.on: ca = \"FILE\" (ca.pem of graftd tls \
             self-signed)"
        ),
        Some(Error::InvalidCertificate(Of::NotValidForName | Of::NotValidForNameContext { .. })) => format!(
            "its certificate is not for {host}; write into relay.on what it is for: server_name = \"NAME\", or have one made there \
             that is: graftd tls self-signed --name {host}"
        ),
        Some(Error::InvalidCertificate(Of::Expired | Of::ExpiredContext { .. })) => {
            "its certificate has expired; have it renewed there".to_owned()
        }
        Some(Error::InvalidCertificate(Of::NotValidYet | Of::NotValidYetContext { .. })) => {
            "its certificate is not good yet; set the clocks of both hosts".to_owned()
        }
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it speaks no TLS; name a certificate in [tls] of graftd.conf there, or take tls out of relay.on".to_owned()
        }
        _ => ended(error),
    }
}

/// Why a connection is over, on either side. A sender hears so what a receiver thinks of its certificate.
pub(super) fn ended(error: &io::Error) -> String {
    use AlertDescription as Of;
    match of_tls(error) {
        Some(Error::AlertReceived(Of::CertificateRequired)) => {
            "it asks for a certificate; name one in relay.on: cert = \"FILE\" and key = \"FILE\"".to_owned()
        }
        Some(Error::AlertReceived(Of::UnknownCA | Of::DecryptError)) => {
            "it does not believe the certificate of this relay: cert in relay.on has to be by an authority of client_ca in its \
             graftd.conf"
                .to_owned()
        }
        Some(Error::AlertReceived(Of::CertificateExpired)) => {
            "it says that the certificate of this relay has expired; renew cert in relay.on".to_owned()
        }
        // Ended without a word, as one that is killed does.
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "the other side closed the connection".to_owned(),
        _ => error.to_string(),
    }
}

/// Why a receiver has no agreement with a sender.
fn not_accepted(error: &io::Error) -> Option<String> {
    use AlertDescription as Of;
    let why = match of_tls(error) {
        Some(Error::AlertReceived(Of::UnknownCA | Of::DecryptError)) => {
            "it does not know the authority of this daemon's certificate; ca in its relay.on has to name that"
        }
        Some(Error::AlertReceived(Of::BadCertificate)) => {
            "this daemon's certificate is not for the name by which it calls; have one made that is, or set server_name in its relay.on"
        }
        Some(Error::AlertReceived(Of::CertificateExpired)) => {
            "this daemon's certificate has expired, or is not good yet by its clock; renew what [tls] of graftd.conf names"
        }
        Some(Error::NoCertificatesPresented) => {
            "it shows no certificate, and client_ca in graftd.conf asks for one; name it in its relay.on: cert and key"
        }
        Some(Error::InvalidCertificate(_)) => {
            return Some(format!("its certificate is not good, by client_ca in graftd.conf: {error}"));
        }
        // Somebody looked whether anybody is there.
        None if error.kind() == io::ErrorKind::UnexpectedEof => return None,
        None if error.kind() == io::ErrorKind::TimedOut => "no TLS in time",
        _ => return Some(format!("no TLS: {error}")),
    };
    Some(why.to_owned())
}

#[cfg(test)]
mod tests;

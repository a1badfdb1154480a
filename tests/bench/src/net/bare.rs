//! A server that does nothing but send: what a delivery costs the kernel, and so nobody can do without.

use super::command;
use crate::peer::{Peer, folder, free_port};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;

/// The word by which this program is told to be one.
pub(crate) const ROLE: &str = "bare-sender";

/// Starts one; and who tells it what to send, a line a message.
pub(super) fn start() -> Result<(Peer, TcpStream), String> {
    let (port, told) = (free_port()?, free_port()?);
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = command(&this);
    command.args([ROLE, &port.to_string(), &told.to_string()]);
    let peer = Peer::start("bare sender", &mut command, port, folder()?)?;
    let publisher = TcpStream::connect(("127.0.0.1", told)).map_err(|error| format!("bare sender: {error}"))?;
    Ok((peer, publisher))
}

/// Sends each line that comes on the second port to all that are connected to the first.
pub(crate) fn run(ports: &[String]) -> Result<(), String> {
    let listen = |port: Option<&String>| {
        let port = port.and_then(|port| port.parse().ok()).ok_or("two ports")?;
        TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).map_err(|error| error.to_string())
    };
    let (told, listener) = (listen(ports.get(1))?, listen(ports.first())?);
    let clients = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let accept = || {
            for mut stream in listener.incoming().flatten() {
                let opened = stream.set_nodelay(true).and_then(|()| stream.write_all(b"\r\n\r\n"));
                if opened.is_ok() && stream.set_nonblocking(true).is_ok() {
                    clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(stream);
                }
            }
        };
        scope.spawn(accept);
        let (publisher, _) = told.accept().map_err(|error| error.to_string())?;
        for line in BufReader::new(publisher).lines() {
            let line = line.map_err(|error| error.to_string())?;
            let mut clients = clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            clients.retain_mut(|client| client.write(line.as_bytes()).is_ok());
        }
        // Nobody is left who could tell it anything.
        std::process::exit(0)
    })
}

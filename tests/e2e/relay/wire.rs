//! A wire between two daemons that can be cut: it has an address of its own, and leads to wherever the receiver listens.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Debug, Default)]
struct State {
    /// Nowhere while nobody listens, or it is cut.
    to: Option<SocketAddr>,
    /// Both ends of each connection that is open, by its number.
    open: Vec<(u64, TcpStream)>,
    connections: u64,
    cut: bool,
}

/// A wire; it takes connections for as long as the test runs.
#[derive(Debug)]
pub(super) struct Wire {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Wire {
    pub(super) fn new() -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for from in listener.incoming().flatten() {
                let mut state = shared.lock().expect("a wire");
                let Some(to) = state.to.filter(|_| !state.cut) else { continue };
                let Ok(to) = TcpStream::connect(to) else { continue };
                state.connections += 1;
                let this = state.connections;
                for end in [&from, &to] {
                    state.open.push((this, end.try_clone().expect("a socket")));
                }
                for (mut from, mut to) in
                    [(from.try_clone().expect("a socket"), to.try_clone().expect("a socket")), (to, from)]
                {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        let mut piece = [0; 4096];
                        while let Ok(read @ 1..) = from.read(&mut piece) {
                            if to.write_all(&piece[..read]).is_err() {
                                break;
                            }
                        }
                        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                        shared.lock().expect("a wire").open.retain(|(of, _)| *of != this);
                    });
                }
            }
        });
        Wire { address, state }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// It leads there from now on.
    pub(super) fn leads_to(&self, to: Option<SocketAddr>) {
        self.state.lock().expect("a wire").to = to;
    }

    /// Breaks what is open, in the midst of whatever is being said.
    pub(super) fn snap(&self) {
        for (_, end) in self.state.lock().expect("a wire").open.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Lets nothing through, until it is mended.
    pub(super) fn cut(&self) {
        self.state.lock().expect("a wire").cut = true;
        self.snap();
    }

    pub(super) fn mend(&self) {
        self.state.lock().expect("a wire").cut = false;
    }
}

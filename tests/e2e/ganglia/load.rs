//! Something to count: requests at a steady pace, so that no figure is zero and rates are about the same whenever they are taken.

use super::peers::{APACHE, MARIADB, MEMCACHED, REDIS};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two rounds of requests.
const PACE: Duration = Duration::from_millis(50);

/// Requests at a steady pace, until it is dropped.
#[derive(Debug)]
pub struct Load {
    stop: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts it; whoever is not there is let be.
    pub fn start(packages: Option<&PathBuf>) -> Load {
        let mut load = Load { stop: Vec::new(), threads: Vec::new() };
        load.spawn(|stop| while_it_may(stop, &mut connection(REDIS), redis));
        load.spawn(|stop| while_it_may(stop, &mut connection(MEMCACHED), memcached));
        load.spawn(|stop| while_it_may(stop, &mut Some(()), |(), _| apache()));
        if let Some(packages) = packages.cloned() {
            load.spawn(move |stop| mariadb(stop, &packages));
        }
        load
    }

    fn spawn(&mut self, work: impl FnOnce(&Receiver<()>) + Send + 'static) {
        let (stop, stopped) = channel();
        self.stop.push(stop);
        self.threads.push(thread::spawn(move || work(&stopped)));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn connection(port: u16) -> Option<BufReader<TcpStream>> {
    TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).ok().map(BufReader::new)
}

/// A round at a time, for as long as there is somebody and nobody has stopped it.
fn while_it_may<P>(stop: &Receiver<()>, peer: &mut Option<P>, round: impl Fn(&mut P, u64) -> Option<()>) {
    let Some(peer) = peer else { return };
    for turn in 0.. {
        if round(peer, turn).is_none() || stop.recv_timeout(PACE) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn ask(peer: &mut BufReader<TcpStream>, request: &str, lines: usize) -> Option<()> {
    peer.get_mut().write_all(request.as_bytes()).ok()?;
    let mut line = String::new();
    (0..lines).try_for_each(|_| peer.read_line(&mut line).ok().filter(|read| *read > 0).map(|_| ()))
}

fn redis(peer: &mut BufReader<TcpStream>, turn: u64) -> Option<()> {
    ask(peer, &format!("SET key{} {turn}\r\n", turn % 100), 1)?;
    // A length and the value.
    ask(peer, &format!("GET key{}\r\n", turn % 100), 2)
}

fn memcached(peer: &mut BufReader<TcpStream>, turn: u64) -> Option<()> {
    ask(peer, &format!("set key{} 0 0 5\r\nvalue\r\n", turn % 100), 1)?;
    // VALUE, the value, END.
    ask(peer, &format!("get key{}\r\n", turn % 100), 3)?;
    ask(peer, "get nothing\r\n", 1)
}

fn apache() -> Option<()> {
    let mut peer = connection(APACHE)?;
    peer.get_mut().write_all(b"GET /server-status?auto HTTP/1.0\r\n\r\n").ok()?;
    peer.read_to_end(&mut Vec::new()).ok().map(|_| ())
}

/// The protocol of MySQL is left to whoever speaks it.
fn mariadb(stop: &Receiver<()>, packages: &PathBuf) {
    let program = format!(
        "import itertools, sys, pymysql\n\
         db = pymysql.connect(host='127.0.0.1', port={MARIADB}, user='your_user', password='your_password', \
         db='load_of_the_test', autocommit=True)\n\
         for turn in sys.stdin:\n\
         \x20   with db.cursor() as cursor:\n\
         \x20       cursor.execute('REPLACE INTO numbers VALUES (%s)', int(turn) % 100)\n\
         \x20       cursor.execute('SELECT COUNT(*) FROM numbers')\n"
    );
    let mut python = Command::new("python3");
    python.args(["-c", &program]).env("PYTHONPATH", packages).stdin(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = python.spawn() else { return };
    let mut turns = child.stdin.take();
    while_it_may(stop, &mut turns, |turns, turn| writeln!(turns, "{turn}").and_then(|()| turns.flush()).ok());
    drop(turns);
    let _ = child.wait();
}

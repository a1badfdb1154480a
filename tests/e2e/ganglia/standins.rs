//! Stand-ins for two servers that Debian has not, or not in the version that a module knows: they tell figures of our own
//! in the form that the real ones had.

use graftd_tests::PATIENCE;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// The port that `riak.pyconf` names.
const RIAK: u16 = 8_098;

/// `varnishstat -1` as versions 2 and 3 had it: name, value, a rate, a description. Its counters rise by the clock.
const VARNISHSTAT: &str = "\
now=$(date +%s)
n=$((now % 1000000))
echo \"client_conn $((n * 2)) 2.00 Client connections accepted\"
echo \"client_req $((n * 10)) 10.00 Client requests received\"
echo \"cache_hit $((n * 8)) 8.00 Cache hits\"
echo \"cache_miss $((n * 2)) 2.00 Cache misses\"
echo \"backend_conn $((n * 2)) 2.00 Backend conn. success\"
echo \"n_object 4711 . N struct object\"
echo \"n_wrk 500 . N worker threads\"
echo \"s_bodybytes $((n * 3000)) 3000.00 Total body bytes\"
echo \"uptime $n 1.00 Client uptime\"
";

/// Figures as `/stats` of Riak tells them, of every JSON type that it has.
const STATS: &str = r#"{"vnode_gets": 12, "vnode_gets_total": 5000000000, "node_gets": 7, "node_get_fsm_time_mean": 1234,
"node_get_fsm_time_95": 2345.75, "node_puts": 3, "node_puts_total": 4711, "read_repairs": 0, "cpu_nprocs": 431,
"cpu_avg1": 0.25, "mem_total": 8589934592, "mem_allocated": "undefined", "nodename": "riak@127.0.0.1",
"sys_process_count": 1024, "pbc_active": true, "ring_members": ["riak@127.0.0.1"], "ignored_gossip_total": 2}"#;

/// Puts the script beside the modules, and gives its path.
pub fn varnishstat(folder: &Path) -> PathBuf {
    let script = folder.join("varnishstat.sh");
    fs::write(&script, VARNISHSTAT).expect("a script");
    script
}

/// Answers for Riak, until the test ends.
pub fn riak() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], RIAK))).expect("a port of our own network");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever went away has no answer.
            let _ = answer(&stream);
        }
    });
}

fn answer(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let _lines = head.count();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{STATS}",
        STATS.len()
    )
}

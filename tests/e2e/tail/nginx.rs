//! A real nginx writes, wrk drives it, and both kinds of rotation and of a daemon's end happen meanwhile: each line counts
//! once.

use super::survival::{Chance, show};
use super::{LOG, folders, start};
use crate::gmond::peers::program;
use graftd_tests::{Daemon, Folders, HOST, PATIENCE, fixture};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Rounds: each has a rotation by renaming, one by copying and cutting, and an end of the daemon.
const ROUNDS: u64 = 20;

/// How long a foreign program is left alone before it is looked at again: it tells nobody what it has done.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Below it the fixture `numbered` takes squares.
const MODULUS: u64 = 8_191;

/// What happens in a round.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Rename,
    CopyAndCut,
    End,
    Start,
}

/// nginx with a folder of its own, and the log that it writes.
struct Nginx {
    child: Child,
    port: u16,
    log: PathBuf,
    rotated: u64,
}

impl Nginx {
    /// Starts it on a free port, and waits until it listens.
    fn start(program: &Path, folders: &Folders) -> Nginx {
        let prefix = folders.root().join("nginx");
        let log = folders.root().join("logs/access.log");
        for folder in [prefix.as_path(), log.parent().expect("a folder")] {
            fs::create_dir_all(folder).expect("made");
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        fs::write(prefix.join("nginx.conf"), conf(port, &log)).expect("written");
        let said = File::create(prefix.join("said")).expect("a file");
        let mut nginx = Command::new(program);
        nginx.arg("-p").arg(&prefix).args(["-c", "nginx.conf", "-e", "errors.log"]);
        nginx.stdin(Stdio::null()).stdout(said.try_clone().expect("a file")).stderr(said);
        let nginx = Nginx { child: nginx.spawn().expect("it starts"), port, log, rotated: 0 };
        until("nginx listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        nginx
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signalled");
    }

    fn beside(&mut self) -> PathBuf {
        self.rotated += 1;
        self.log.with_file_name(format!("access.log.{}", self.rotated))
    }

    /// Renames the log and has it opened anew. The worker may go on writing into the old one for a moment.
    fn rename(&mut self) {
        let to = self.beside();
        fs::rename(&self.log, to).expect("renamed");
        self.signal(Signal::USR1);
        until("nginx has opened its log anew", || self.log.is_file());
    }

    /// Copies the log and cuts it. Lines that come between the two would be lost to everybody: the one process that writes stands
    /// still meanwhile.
    fn copy_and_cut(&mut self) {
        let to = self.beside();
        let worker = self.worker();
        kill_process(worker, Signal::STOP).expect("stopped");
        until("nginx's worker stands still", || state(worker) == Some('T'));
        fs::copy(&self.log, to).expect("copied");
        fs::OpenOptions::new().write(true).open(&self.log).and_then(|file| file.set_len(0)).expect("cut");
        kill_process(worker, Signal::CONT).expect("goes on");
    }

    /// Its one child.
    fn worker(&self) -> Pid {
        let master = self.child.id();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).expect("children");
        let worker = children.split_ascii_whitespace().next().and_then(|pid| pid.parse().ok());
        worker.and_then(Pid::from_raw).expect("a worker")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Told to, the master ends its worker, which would outlive it otherwise.
        let _ = kill_process(self.worker(), Signal::CONT);
        self.signal(Signal::TERM);
        let _ = self.child.wait();
    }
}

/// The number of a line is its bytes too.
fn conf(port: u16, log: &Path) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {name};\n")).collect();
    format!(
        "daemon off;\nuser root root;\nworker_processes 1;\npid nginx.pid;\nerror_log errors.log;\n\
         events {{ worker_connections 64; }}\nhttp {{\n{temporary}access_log off;\nkeepalive_requests 100000000;\n\
         log_format numbered '$remote_addr - - [$time_local] \"$request\" $status $number \"-\" \"test\"';\n\
         server {{\nlisten 127.0.0.1:{port};\nlocation = /end {{ return 204; }}\n\
         location ~ ^/n/(?<number>[0-9]+)$ {{ access_log {} numbered; return 200; }}\n}}\n}}\n",
        log.display()
    )
}

/// The letter of a process's state (proc(5)).
fn state(process: Pid) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[track_caller]
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(LOOK_AGAIN);
    }
}

/// Has lines of these numbers written, over a third of a second at least.
fn drive(wrk: &Path, port: u16, first: u64, last: u64) -> Child {
    let mut command = Command::new(wrk);
    command.args(["-t1", "-c4", "-d10m", "-s"]).arg(fixture("wrk/numbered.lua"));
    let batch = ((last - first) / 300).max(1);
    let numbers = [first, last, batch, 4].map(|number| number.to_string());
    command.arg(format!("http://127.0.0.1:{port}/")).arg("--").args(numbers);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("wrk starts")
}

/// What happens in a round, in any order; the daemon is started after its end.
fn deeds(chance: &mut Chance) -> [Deed; 4] {
    let mut deeds = [Deed::Rename, Deed::CopyAndCut, Deed::End, Deed::Start];
    for last in (1..deeds.len()).rev() {
        let other = chance.below(last as u64 + 1) as usize;
        deeds.swap(last, other);
    }
    let place = |deed| deeds.iter().position(|other| *other == deed).unwrap_or_default();
    let (end, start) = (place(Deed::End), place(Deed::Start));
    if start < end {
        deeds.swap(start, end);
    }
    deeds
}

/// The numbers of all lines in a folder: what nginx has written, whatever became of its files.
fn written(folder: &Path) -> Vec<u64> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let text = fs::read_to_string(entry.path()).expect("a log");
        numbers.extend(text.lines().map(|line| -> u64 {
            let number = line.split("/n/").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
            number.unwrap_or_else(|| panic!("no line of ours: {line}"))
        }));
    }
    numbers.sort_unstable();
    numbers
}

/// Lines, the sum of their numbers twice (by URL and by bytes), and the sum of the squares: a line that is lost and one that is
/// doubled do not make up for each other in all of them.
fn counted(daemon: &Daemon) -> [u64; 5] {
    let paths = ["status,200", "bytes,2xx", "numbered,count", "numbered,sum", "numbered,squares"];
    paths.map(|path| daemon.value(&format!("{LOG},{path}")).as_f64().unwrap_or(0.0) as u64)
}

fn expected(numbers: &[u64]) -> [u64; 5] {
    let (lines, sum) = (numbers.len() as u64, numbers.iter().sum());
    [lines, sum, lines, sum, numbers.iter().map(|number| (number % MODULUS).pow(2)).sum()]
}

#[track_caller]
fn await_all(daemon: &Daemon, all: [u64; 5], log: &Path) {
    daemon.await_change(&format!("graftd,{HOST},log,{LOG}"), |daemon| {
        let found = counted(daemon);
        if found[0] > all[0] || found[1] > all[1] {
            show(log);
            panic!("{found:?} is more than {all:?}: {}", daemon.stderr());
        }
        (found == all).then_some(())
    });
}

#[test]
fn each_line_of_nginx_counts_once_through_rotations_restarts_and_kills() {
    let (Some(nginx), Some(wrk)) = (program("nginx"), program("wrk")) else { return };
    let lines = if std::env::var_os("GRAFTD_SOAK").is_some() { 1_000_000 } else { 60_000 };
    let folders = folders("start = \"begin\"\nformat = \"combined\"");
    folders.copy_plugins(&["numbered-a"]);
    fs::rename(folders.plugin("numbered-a.so"), folders.plugin("numbered.so")).expect("renamed");
    let mut nginx = Nginx::start(&nginx, &folders);
    let mut chance = Chance(2);
    let mut daemon = Some(start(&folders));
    let each = lines / ROUNDS;
    for round in 0..ROUNDS {
        let mut wrk = drive(&wrk, nginx.port, round * each + 1, (round + 1) * each);
        for deed in deeds(&mut chance) {
            // There is nothing to wait for: the moments are to be any.
            sleep(Duration::from_millis(chance.below(150)));
            match deed {
                Deed::Rename => nginx.rename(),
                Deed::CopyAndCut => nginx.copy_and_cut(),
                Deed::End => {
                    let daemon = daemon.take().expect("it runs");
                    if round % 2 == 0 { daemon.kill() } else { assert_eq!(daemon.stop().code(), Some(0)) }
                }
                Deed::Start => daemon = Some(start(&folders)),
            }
        }
        assert!(wrk.wait().expect("wrk ends").success());
    }
    assert_eq!(nginx.rotated, 2 * ROUNDS);
    let numbers = written(nginx.log.parent().expect("a folder"));
    assert!(numbers.iter().copied().eq(1..=lines), "nginx wrote {} lines of {lines}", numbers.len());
    let all = expected(&numbers);
    println!("{lines} lines, {} rotations, {ROUNDS} ends: {all:?}", nginx.rotated);
    show(&nginx.log);
    let daemon = daemon.expect("it runs");
    await_all(&daemon, all, &nginx.log);
    // And it stays so.
    daemon.stop();
    let daemon = start(&folders);
    assert_eq!(counted(&daemon), all);
    let mut wrk = drive(&wrk, nginx.port, lines + 1, lines + 100);
    assert!(wrk.wait().expect("wrk ends").success());
    let numbers: Vec<u64> = (1..=lines + 100).collect();
    await_all(&daemon, expected(&numbers), &nginx.log);
}

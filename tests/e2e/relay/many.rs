//! Fifty agents, a relay and a server: whichever of them is killed, paused or cut off, each count is there once.

use super::exact::{Chance, turns};
use super::wire::Wire;
use super::{Host, Log, sum};
use graftd_tests::Daemon;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const AGENTS: usize = 50;

/// Threads that meddle, each with agents of its own.
const HANDS: usize = 4;

/// How long all that waits may take to come through at the end: a pause of the sender's before it connects anew is in it.
const CATCH_UP_MAX: Duration = Duration::from_secs(120);

/// Of what was done, how often.
#[derive(Debug, Default)]
struct Done {
    kills: AtomicU64,
    pauses: AtomicU64,
    cuts: AtomicU64,
    /// Kills and pauses of the relay and the server.
    above: AtomicU64,
}

/// One that counts, and is meddled with.
struct Agent {
    host: Host,
    /// Every second has one.
    log: Option<Log>,
    daemon: Option<Daemon>,
    /// The least and the most that was pushed: of a push that was not answered nobody knows.
    pushed: (u64, u64),
}

impl Agent {
    fn new(at: usize, wire: &Wire) -> Agent {
        let name = format!("a{at:02}");
        let host = Host::bare(&name);
        host.folders.write_conf("relay.on", &format!("to = \"{}\"\nevery = \"500ms\"", wire.address()));
        let mut log = None;
        if at.is_multiple_of(2) {
            host.folders.copy_plugins(&["status", "bytes"]);
            let text =
                "plugin = \"access-log\"\nfile = \"../logs/access.log\"\nformat = \"timed\"\nstart = \"begin\"\n";
            host.folders.write_conf("fleet.on", &format!("{text}prefix = \"fleet,{name}\""));
            log = Some(Log::of(&host));
        }
        Agent { host, log, daemon: None, pushed: (0, 0) }
    }

    fn start(&mut self) {
        self.daemon = Some(self.host.builder().tick(Duration::from_millis(250)).arg("--role").arg("agent").start());
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    fn document(&self, n: u64) -> Value {
        json!({"by": {&self.host.name: n}, "all": n})
    }

    /// Something happens on it.
    fn count(&mut self, chance: &mut Chance) {
        if let Some(log) = &mut self.log {
            log.write(1 + chance.below(100));
            if chance.below(20) == 0 {
                log.turn_over();
            }
        }
        if self.log.is_none() || chance.below(4) == 0 {
            let n = 1 + chance.below(100);
            // Some wait for their commit: these are not lost, whatever comes.
            let (url, committed) = if chance.below(3) == 0 { ("/push?wait=commit", n) } else { ("/push", 0) };
            self.daemon().post(url, "application/json", self.document(n).to_string().as_bytes()).good();
            self.pushed = if committed > 0 {
                // All before it are in the same commit, or in one before.
                (self.pushed.1 + n, self.pushed.1 + n)
            } else {
                (self.pushed.0, self.pushed.1 + n)
            };
        }
    }

    /// Dies, in half of the cases in the midst of a push, and begins anew.
    fn die(&mut self, chance: &mut Chance) {
        let daemon = self.daemon.take().expect("it runs");
        let n = 1 + chance.below(100);
        let asked = (chance.below(2) == 0)
            .then(|| daemon.ask_post("/push?wait=commit", "application/json", &self.document(n).to_string()));
        daemon.kill();
        drop(asked);
        self.start();
        // What it counts from here on goes on from what it has kept.
        let known = self.daemon().value(&format!("by,{}", self.host.name)).as_f64().unwrap_or(0.0) as u64;
        let most = self.pushed.1 + n;
        assert!((self.pushed.0..=most).contains(&known), "{}: {known}, not {:?}", self.host.name, self.pushed);
        self.pushed = (known, known);
    }

    /// Waits until all that happened is in its tree, and marks the end. What it has counted then.
    fn end(&mut self) -> (u64, u64, u64) {
        let name = &self.host.name;
        let lines = self.log.as_ref().map_or(0, |log| log.lines);
        if lines > 0 {
            super::await_sums(self.daemon(), &format!("fleet,{name}"), (lines, sum(lines)));
        }
        let known = self.daemon().value(&format!("by,{name}")).as_f64().unwrap_or(0.0) as u64;
        assert_eq!(known, self.pushed.1, "{name}: all that was pushed since it began");
        let mark = json!({"end": {name: 1}}).to_string();
        self.daemon().post("/push?wait=commit", "application/json", mark.as_bytes()).good();
        (lines, sum(lines), known)
    }
}

/// The relay and the server.
struct Above {
    hosts: [Host; 2],
    daemons: [Option<Daemon>; 2],
}

impl Above {
    fn new() -> Above {
        let server = Host::server("top");
        let mut middle = Host::server("middle").sends_to(&[&server], "");
        middle.wire = None;
        Above { hosts: [server, middle], daemons: [None, None] }
    }

    fn start(&mut self, which: usize, wires: &[Wire]) {
        let host = &self.hosts[which];
        let daemon = host.start();
        if host.wire.is_none() {
            wires.iter().for_each(|wire| wire.leads_to(daemon.listens("relay")));
        }
        self.daemons[which] = Some(daemon);
    }

    fn meddle(&mut self, wires: &[Wire], chance: &mut Chance, done: &Done) {
        let which = chance.below(2) as usize;
        match chance.below(5) {
            0 | 1 => {
                self.daemons[which].take().expect("it runs").kill();
                self.start(which, wires);
                done.above.fetch_add(1, Ordering::Relaxed);
            }
            2 | 3 => {
                pause(self.daemons[which].as_ref().expect("it runs"), chance);
                done.above.fetch_add(1, Ordering::Relaxed);
            }
            // All of the agents at once, or the relay.
            _ if which == 0 => self.hosts[0].wire.as_ref().expect("it receives").snap(),
            _ => wires.iter().for_each(Wire::snap),
        }
    }
}

/// Stands still for a moment: in the long run now and then for so long that others give it up.
fn pause(daemon: &Daemon, chance: &mut Chance) {
    let long = chance.below(30) == 0;
    daemon.pause();
    sleep(Duration::from_millis(if long { turns(1_500, 25_000) } else { chance.below(600) }));
    daemon.resume();
}

fn meddle(agents: &mut [Agent], wires: &[Wire], above: &mut Option<Above>, chance: &mut Chance, done: &Done) {
    for _ in 0..4 {
        let which = chance.below(agents.len() as u64) as usize;
        agents[which].count(chance);
    }
    if let Some(above) = above
        && chance.below(3) == 0
    {
        return above.meddle(wires, chance, done);
    }
    let which = chance.below(agents.len() as u64) as usize;
    let agent = &mut agents[which];
    // Its own, whoever holds it.
    let at: usize = agent.host.name[1..].parse().expect("a number");
    match chance.below(6) {
        0 | 1 => {
            agent.die(chance);
            done.kills.fetch_add(1, Ordering::Relaxed);
        }
        2 => {
            pause(agent.daemon(), chance);
            done.pauses.fetch_add(1, Ordering::Relaxed);
        }
        3 => wires[at].mend(),
        turn => {
            if turn == 4 {
                wires[at].snap();
            } else {
                wires[at].cut();
            }
            done.cuts.fetch_add(1, Ordering::Relaxed);
        }
    }
    // The moment is to be any.
    sleep(Duration::from_millis(chance.below(60)));
}

fn seed() -> u64 {
    let given = std::env::var("GRAFTD_FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_micros() as u64))
}

/// What the server has: lines and their sums by agent, and what was pushed.
fn number(tree: &Value, path: &[&str]) -> u64 {
    path.iter().fold(tree, |at, key| &at[*key]).as_f64().unwrap_or(0.0) as u64
}

#[test]
fn what_fifty_agents_count_is_at_the_server_once_whatever_dies() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("sockets of all of them");
    let seed = seed();
    println!("seed: GRAFTD_FUZZ_SEED={seed}");
    let wires: Vec<Wire> = (0..AGENTS).map(|_| Wire::new()).collect();
    let mut above = Above::new();
    (0..2).for_each(|which| above.start(which, &wires));
    let mut above = [Some(above), None, None, None];
    let mut agents: Vec<Agent> = wires.iter().enumerate().map(|(at, wire)| Agent::new(at, wire)).collect();
    let done = Done::default();
    let span = Duration::from_secs(turns(15, 600));
    let (done_ref, wires_ref) = (&done, &wires);
    scope(|scope| {
        for ((hand, agents), above) in agents.chunks_mut(AGENTS.div_ceil(HANDS)).enumerate().zip(&mut above) {
            scope.spawn(move || {
                agents.iter_mut().for_each(Agent::start);
                let mut chance = Chance(seed ^ hand as u64);
                let began = Instant::now();
                while began.elapsed() < span {
                    meddle(agents, wires_ref, above, &mut chance, done_ref);
                }
            });
        }
    });
    println!("{done:?}");
    for (what, times) in
        [("kills", &done.kills), ("pauses", &done.pauses), ("cuts", &done.cuts), ("above", &done.above)]
    {
        assert!(times.load(Ordering::Relaxed) > 0, "no {what}");
    }
    let [Some(above), ..] = above else { panic!("the relay and the server are there") };
    wires.iter().for_each(Wire::mend);
    let counted: Vec<(u64, u64, u64)> = agents.iter_mut().map(Agent::end).collect();
    let server = above.daemons[0].as_ref().expect("it runs");
    // Entries come in their order: who has the mark of an agent has all before it, and had all that came twice.
    let began = Instant::now();
    while server.value("end").as_f64() != Some(AGENTS as f64) {
        assert!(began.elapsed() < CATCH_UP_MAX, "seed {seed}: the ends of {}", server.subtree("end"));
        sleep(Duration::from_millis(100));
    }
    println!("caught up within {:.1} s", began.elapsed().as_secs_f64());
    let (fleet, by) = (server.subtree("fleet"), server.subtree("by"));
    let found: Vec<(u64, u64, u64)> = agents
        .iter()
        .map(|agent| {
            let name = &*agent.host.name;
            let of = |path: &[&str]| number(&fleet, path);
            (of(&[name, "status", "200"]), of(&[name, "bytes", "2xx"]), number(&by, &[name]))
        })
        .collect();
    for ((agent, found), counted) in agents.iter().zip(&found).zip(&counted) {
        assert_eq!(found, counted, "seed {seed}: lines, their sum and pushes of {}", agent.host.name);
    }
    let whole = |path: &str| server.value(path).as_f64().unwrap_or(0.0) as u64;
    let all = counted.iter().fold((0, 0, 0), |all, one| (all.0 + one.0, all.1 + one.1, all.2 + one.2));
    println!("{} lines of {} bytes, {} pushed", all.0, all.1, all.2);
    assert_eq!((whole("fleet,,status,200"), whole("fleet,,bytes,2xx"), whole("all")), all, "seed {seed}: in sum");
    assert!(all.0 > 0 && all.2 > 0);
    assert!(!server.stderr().contains("ERROR"), "{}", server.stderr());
}

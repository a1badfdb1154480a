//! `graftd run`: the daemon.

use super::tokens::tokens;
use super::{Dirs, Failure, dirs};
use crate::clock::Timepiece;
use crate::conf::{DaemonConf, Prefix, Role, TlsFiles, lie_elsewhere};
use crate::core::{Core, CoreParts, Counters, Event, Events, Live, Logs, Shared};
use crate::http;
use crate::ingest::format::Format;
use crate::ingest::sources::Sources;
use crate::ingest::{LOG_OWN, LOG_PUSH, LogHandle, LogParts, Remember, push};
use crate::limits::{BUILT_INS_READY_MAX, EVENTS_MAX, LOCK_AGAIN, LOCK_PATIENCE, SMALL_THREADS_REST, STOP_GRACE};
use crate::memory::{self, Program, Settling};
use crate::module::{
    self, Blamed, BuiltIns, Changes, Disposer, Folders, Loader, Registry, Watch, guard_signals, install_crash_handler,
};
use crate::relay::{self, Relays};
use crate::tls::Acceptor;
use crate::tokens::Tokens;
use crate::tree::Tree;
use crate::trend::{Both, Elsewhere, FILE, Keeper, Kept, OpenError, Own, Remote, Restored, Retention, Store};
use crate::views::Views;
use crate::when::rfc3339;
use clap::Args;
use parking_lot::{Mutex, RwLock};
use rustix::fs::FlockOperation;
use rustix::process::{Resource, Rlimit, getpid, getrlimit, kill_process, setrlimit};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;

/// Run the daemon.
///
/// It loads the plugins, serves the tree, and follows changes in both folders while it runs. When all listens it says
/// so in one line on stdout: `graftd: ready http=ADDR push=ADDR`, and behind it where relays connect (`relay=ADDR`) and built-in modules listen (`gmond=ADDR`). SIGTERM and SIGINT stop it, SIGHUP has it look through both folders.
#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    dirs: Dirs,
    /// Folder for what the daemon keeps [default: data/ of the checkout, or /var/lib/graftd]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where HTTP listens; port 0 takes a free one [default: 127.0.0.1:8650]
    #[arg(long, value_name = "ADDR", value_parser = listens)]
    http: Option<SocketAddr>,
    /// Where pushes by TCP and UDP are taken [default: 127.0.0.1:8651]
    #[arg(long, value_name = "ADDR", value_parser = listens)]
    push: Option<SocketAddr>,
    /// What the daemon is for: server, or agent, which has no pages and keeps no history [default: server]
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Where relays of other daemons connect; nowhere unless it is said
    #[arg(long, value_name = "ADDR", value_parser = listens)]
    relay: Option<SocketAddr>,
    /// Serve the pages from this folder and not from the program: host/web/dist, which `npm run watch` in host/web makes anew at each change
    #[arg(long, value_name = "DIR")]
    web: Option<PathBuf>,
    /// Say more: every step of every module
    #[arg(long, short)]
    verbose: bool,
}

/// Who is let in, and how nobody else hears it.
type Secrets = (Tokens, Option<Arc<Acceptor>>);

/// Where to listen.
fn listens(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.trim_start_matches(':').parse::<u16>().ok();
        let port = port.map_or_else(|| "8652".to_owned(), |port| port.to_string());
        format!("must be an address and a port, such as 127.0.0.1:{port}; 0.0.0.0:{port} is reached from other hosts")
    })
}

/// Bound, but not served yet.
struct Listeners {
    http: TcpListener,
    push_tcp: TcpListener,
    push_udp: UdpSocket,
    relay: Option<TcpListener>,
}

impl Run {
    pub(super) fn run(self) -> Result<(), Failure> {
        let level = if self.verbose { tracing::Level::DEBUG } else { tracing::Level::INFO };
        // A second subscriber is only tried where a test runs two daemons in a process.
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            // A log that cannot be written must not end the daemon.
            .log_internal_errors(false)
            .finish();
        // How its connections fare, relays by NATS say in their own words.
        let ours = filter_fn(|of| !of.target().starts_with("async_nats")).with_max_level_hint(level);
        let _ = tracing::subscriber::set_global_default(log.with(ours));
        let folders = self.dirs.folders()?;
        let mut conf = dirs::daemon_conf(&folders)?;
        conf.role = self.role.unwrap_or(conf.role);
        conf.http = self.http.unwrap_or(conf.http);
        conf.push = self.push.unwrap_or(conf.push);
        conf.relay = self.relay.or(conf.relay);
        if let Some(folder) = &self.web {
            if !folder.is_dir() {
                return Err(Failure::usage(format_args!("--web {}: there is no such folder", folder.display())));
            }
            conf.web = Some(std::path::absolute(folder).unwrap_or_else(|_| folder.clone()));
        }
        let tokens = tokens(&conf, &folders)?;
        let open = |files: &TlsFiles| {
            Acceptor::open(files, &folders).map_err(|why| {
                let files = files.each().map(|(_, file)| file);
                let hint = folders.conf.as_deref().map_or_else(String::new, |folder| lie_elsewhere(files, folder));
                Failure::usage(format_args!("[tls] {why}{hint}"))
            })
        };
        let tls = conf.tls.as_ref().map(open).transpose()?;
        let lost = |error: io::Error| Failure::work(format_args!("the current folder: {error}"));
        let folders = folders.absolute().map_err(lost)?;
        let data = std::path::absolute(dirs::data(self.data.as_deref())?).map_err(lost)?;
        // Plugins are loaded from copies in it.
        match module::check_folder(&data) {
            Err(why) if !folders.allow_unsafe_permissions => {
                return Err(Failure::usage(format_args!("the data folder: {why}")));
            }
            _ => {}
        }
        let _lock = lock(&data)?;
        raise_descriptors();
        let small = conf.role == Role::Agent;
        if small {
            memory::one_heap();
        }
        // Two threads serve any number of idle clients, and leave the other cores to the pipes. An agent has few: this one serves
        // them, and no other has to be woken for it.
        let mut runtime = if small { Builder::new_current_thread() } else { Builder::new_multi_thread() };
        if small {
            runtime.thread_keep_alive(SMALL_THREADS_REST);
        }
        let runtime = runtime
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| Failure::work(format_args!("threads cannot be started: {error}")))?;
        let deadline = runtime.block_on(serve(conf, (tokens, tls), folders, &data))?;
        runtime.shutdown_timeout(left(deadline));
        Ok(())
    }
}

async fn serve(conf: DaemonConf, secrets: Secrets, folders: Folders, data: &Path) -> Result<Instant, Failure> {
    let listeners = listen(&conf).await?;
    let (http, push) = (address(listeners.http.local_addr())?, address(listeners.push_tcp.local_addr())?);
    let relay = listeners.relay.as_ref().map(|relay| address(relay.local_addr())).transpose()?;
    let clock = Timepiece::start();
    let settling = (conf.role == Role::Agent).then(|| Settling::new(Program::now(), Instant::now()));
    let (events, inbox) = Events::new(EVENTS_MAX);
    let broken = |what: &'static str| move |error: io::Error| Failure::work(format_args!("{what}: {error}"));
    let disposer = Disposer::start().map_err(broken("a thread"))?;
    let shared = Arc::new(shared(conf, secrets, clock, events.clone(), &disposer, data)?);
    shared.relays.raw_logs.dispose_by(&disposer);
    let kept = keep(&shared, data, &events)?;
    clear_leftovers(data);
    let blamed = Arc::new(Blamed::read(data, &rfc3339(clock.unix_ms())));
    if let Err(error) = install_crash_handler(&Blamed::died_file(data)) {
        tracing::warn!("a plugin that kills the daemon will not be known: {error}");
    }
    let grace = grace().map_err(broken("a thread"))?;
    // Before any plugin is there that could meddle with them.
    let signals = Signals::listen().map_err(broken("signals"))?;
    guard_signals();
    let aside = data.join(format!("{ASIDE}{}", std::process::id()));
    let loader = Loader::start(&aside, data, &shared.host, &events, &folders, blamed, settling.is_some())
        .map_err(broken("the folder of plugins on their way, in the data folder"))?;
    for folder in folders.both() {
        if folder.is_dir() {
            tracing::info!("modules come from {}", folder.display());
        } else {
            tracing::warn!("{} is not there; it is waited for", folder.display());
        }
    }
    tracing::info!("what is kept lies in {}", data.display());
    let watch = Watch::start(&folders, events.clone()).map_err(broken("watching the folders"))?;
    let registry = Registry::new(folders, loader, disposer.clone(), BuiltIns::new(&shared, &disposer));
    let (listening, built_ins) = oneshot::channel();
    let parts = CoreParts { shared: Arc::clone(&shared), registry, settling, kept, events: inbox, listening };
    let core = core_thread(parts).map_err(broken("the core"))?;

    let (stop, stopping) = watch::channel(false);
    let tcp = tokio::spawn(push::serve_tcp(listeners.push_tcp, Arc::clone(&shared)));
    let udp = tokio::spawn(push::serve_udp(listeners.push_udp, Arc::clone(&shared)));
    let renewed = shared.tls.clone().map(|acceptor| tokio::spawn(acceptor.follow()));
    let relayed = listeners.relay.map(|listener| tokio::spawn(relay::serve(listener, Arc::clone(&shared))));
    let mut until = stopping.clone();
    let web = tokio::spawn(http::serve(listeners.http, Arc::clone(&shared), async move {
        // A dropped sender stops as well.
        let _ = until.wait_for(|stop| *stop).await;
    }));
    let mut ready = format!("graftd: ready http={http} push={push}");
    if let Some(relay) = relay {
        ready.push_str(&format!(" relay={relay}"));
    }
    if let Ok(Ok(addresses)) = tokio::time::timeout(BUILT_INS_READY_MAX, built_ins).await {
        addresses.iter().for_each(|(name, address)| ready.push_str(&format!(" {name}={address}")));
    }
    // Whoever started it may not read this.
    let _ = writeln!(io::stdout(), "{ready}");
    let scheme = if shared.tls.is_some() { "https" } else { "http" };
    tracing::info!("look at {scheme}://{http}/ or ask: graftd get '' --depth 1 --url {scheme}://{http}");
    let signal = signals.wait(&events).await;
    tracing::info!("{signal}: stopping");
    let deadline = Instant::now() + STOP_GRACE;
    module::stopping();
    let _ = grace.send(deadline);
    drop(watch);
    tcp.abort();
    udp.abort();
    for task in relayed.map(|task| task.abort_handle()).into_iter().chain(renewed.map(|task| task.abort_handle())) {
        task.abort();
    }
    let _ = stop.send(true);
    // Requests under way are answered, if they end in time.
    let _ = tokio::time::timeout(left(deadline) / 2, web).await;
    let _ = tokio::time::timeout(left(deadline), events.send_async(Event::Stop)).await;
    let stopped = tokio::task::spawn_blocking(move || {
        let stopped = core.recv_timeout(left(deadline)).is_ok();
        disposer.finish(left(deadline) / 2);
        stopped
    });
    if !stopped.await.unwrap_or(false) {
        tracing::warn!("some threads do not end; they are left behind");
    }
    // Whatever could not be loaded from it any more, nobody needs.
    let _ = fs::remove_dir_all(&aside);
    Ok(deadline)
}

/// Makes the tree and how far sources were read what they were when the last daemon ended, and begins to keep them. What
/// cannot be kept must not keep the daemon from running, unless it would be harmed.
fn keep(shared: &Shared, data: &Path, events: &Events) -> Result<Option<Kept>, Failure> {
    let began = Instant::now();
    let mut tree = shared.tree.write();
    let conf = &shared.conf;
    let store = match conf.engine.store.clone().filter(|_| conf.role != Role::Agent) {
        Some(store) => Some(Arc::new(Store::new(store).map_err(|why| Failure::usage(format_args!("[trend]: {why}")))?)),
        None => None,
    };
    let elsewhere = conf.engine.store.as_ref().zip(store.clone()).map(|(conf, store)| Elsewhere {
        store,
        host: shared.host.clone(),
        buffer_bytes: conf.buffer_bytes,
        alone: !shared.conf.engine.own,
    });
    let retention = Retention::from(conf.trend);
    let opened = Keeper::open(data, &mut tree, shared.clock.monotonic_ms(), retention, elsewhere, events.clone());
    match opened {
        Ok((keeper, Restored { sources, nodes, lost, newest })) => {
            if nodes > 0 || !sources.is_empty() {
                let sources = sources.len();
                tracing::info!(
                    "{nodes} nodes and the positions of {sources} sources are as they were, in {:?}",
                    began.elapsed()
                );
            }
            if lost > 0 {
                tracing::warn!(
                    "{lost} nodes that were kept could not be made again: there is no room for them, or they are damaged"
                );
            }
            shared.relays.keep(keeper.spooler(), &sources);
            *shared.positions.lock() = sources;
            if shared.conf.role != Role::Agent {
                // It is the only one that sets it.
                let file = data.join(FILE);
                let reads = conf.engine.store.as_ref().is_some_and(|store| store.read.is_some());
                let remote = store
                    .filter(|_| reads)
                    .map(|store| Remote::new(file.clone(), store, shared.host.clone(), !conf.engine.own));
                let _ = shared.trend.set(match remote {
                    Some(remote) if conf.engine.own => Box::new(Both(Own::new(file), remote)),
                    Some(remote) => Box::new(remote),
                    None => Box::new(Own::new(file)),
                });
            }
            shared.live.tick(tree.tick());
            // What there is now is what is kept.
            let mark = tree.mark();
            Ok(Some(Kept { keeper, mark, newest }))
        }
        Err(OpenError::Foreign(why)) => Err(Failure::work(why)),
        Err(OpenError::Failed(why)) => {
            tracing::error!(
                "{why}; nothing is kept: what the tree holds, and how far logs were read, is lost when the daemon ends"
            );
            *shared.commit_error.lock() = Some(why);
            Ok(None)
        }
    }
}

/// What is left of a grace.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Ends the process when the grace is over that it is told of, whatever its threads do: at the end of a process destructors of
/// its libraries run, and a plugin's may not come back. It is started before there is any plugin: one that hangs while it is
/// unloaded holds the loader's lock, and without that no thread can be started, nor anything be logged.
fn grace() -> io::Result<Sender<Instant>> {
    let (over, told) = channel::<Instant>();
    thread::Builder::new().name("graftd-grace".to_owned()).spawn(move || {
        if let Ok(deadline) = told.recv() {
            thread::sleep(left(deadline));
            let _ = kill_process(getpid(), rustix::process::Signal::KILL);
        }
    })?;
    Ok(over)
}

/// Keeps other daemons off the data folder for as long as this lives.
pub(super) fn lock(data: &Path) -> Result<fs::File, Failure> {
    let said = |error: io::Error| Failure::work(format_args!("{}: {error}", data.display()));
    let open = fs::File::open(data).map_err(said)?;
    let began = Instant::now();
    loop {
        match rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive) {
            // A daemon that was killed just when it started a process leaves the lock to that, until it runs another program.
            Err(rustix::io::Errno::WOULDBLOCK) if began.elapsed() < LOCK_PATIENCE => thread::sleep(LOCK_AGAIN),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let data = data.display();
                return Err(Failure::work(format_args!(
                    "another graftd keeps its data in {data}; name another folder with --data DIR"
                )));
            }
            Err(error) => return Err(said(error.into())),
            Ok(()) => return Ok(open),
        }
    }
}

/// As many descriptors as the system lets have: each client and each module in a process of its own takes some.
fn raise_descriptors() {
    let now = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum }) {
        tracing::debug!("the limit of descriptors stays as it is: {error}");
    }
}

/// Starts the core's thread; the receiver hears when it has ended.
fn core_thread(parts: CoreParts) -> io::Result<std::sync::mpsc::Receiver<()>> {
    let (ended, end) = channel();
    thread::Builder::new().name("graftd-core".to_owned()).spawn(move || {
        drop(Core::run(parts));
        // Nobody listens any more when the grace is over.
        let _ = ended.send(());
    })?;
    Ok(end)
}

fn shared(
    conf: DaemonConf,
    (tokens, tls): Secrets,
    clock: Timepiece,
    events: Events,
    disposer: &Disposer,
    data: &Path,
) -> Result<Shared, Failure> {
    let host = conf.host_name();
    let format = |name: &str| Format::compile(name).map_err(Failure::work);
    // Times are there or they are not: whoever pushes lines has either.
    let formats = vec![format("timed")?, format("combined")?];
    let log = |name: &str, prefix: &[&str], remember| {
        let prefix = Prefix::fixed(prefix.iter().map(|key| (*key).to_owned()).collect());
        let parts = LogParts {
            name: name.to_owned(),
            prefix,
            formats: formats.clone(),
            tick: conf.tick,
            clock,
            remember,
            events: events.clone(),
            disposer: disposer.clone(),
            position: None,
            forwards: None,
        };
        LogHandle::start(parts).map_err(|error| Failure::work(format_args!("the log {name}: {error}")))
    };
    let (own, push) = (log(LOG_OWN, &[LOG_OWN], Remember::Last)?, log(LOG_PUSH, &[], Remember::First)?);
    let logs = Logs::new(own, push);
    // Ticks are numbered by the time they would have if the daemon had always run, so no restart goes back.
    let tick_base = (clock.unix_ms().max(0) as u128 / conf.tick.as_millis()) as u64;
    Ok(Shared {
        tree: RwLock::new(Tree::new(conf.limits.into(), conf.tick, tick_base)),
        host,
        sources: Sources::new(&conf.intake),
        tls,
        tokens,
        clock,
        events,
        modules: RwLock::default(),
        module_changes: Changes::of(conf.role),
        views: Views::of(data),
        logs,
        ready: AtomicBool::new(false),
        counters: Counters::default(),
        live: Live::new(tick_base),
        positions: Mutex::default(),
        begun: Mutex::default(),
        commit_error: Mutex::default(),
        clock_doubt: Mutex::default(),
        relays: Relays::default(),
        trend: OnceLock::new(),
        conf,
    })
}

async fn listen(conf: &DaemonConf) -> Result<Listeners, Failure> {
    let cannot = |what: &'static str, address: SocketAddr| {
        move |error: io::Error| {
            let hint = if error.kind() == io::ErrorKind::AddrInUse {
                format!("; does a graftd run already? --{what} 127.0.0.1:0 takes a free port")
            } else {
                String::new()
            };
            Failure::work(format_args!("{what} cannot listen on {address}: {error}{hint}"))
        }
    };
    let http = TcpListener::bind(conf.http).await.map_err(cannot("http", conf.http))?;
    let relay = match conf.relay {
        Some(address) => Some(TcpListener::bind(address).await.map_err(cannot("relay", address))?),
        None => None,
    };
    // TCP and UDP share a port number; a free one for TCP may be taken for UDP.
    const TRIES: usize = 20;
    let mut tried = 0;
    loop {
        let push_tcp = TcpListener::bind(conf.push).await.map_err(cannot("push", conf.push))?;
        let address = push_tcp.local_addr().map_err(cannot("push", conf.push))?;
        match UdpSocket::bind(address).await {
            Ok(push_udp) => return Ok(Listeners { http, push_tcp, push_udp, relay }),
            Err(_) if conf.push.port() == 0 && tried < TRIES => tried += 1,
            Err(error) => return Err(cannot("push", conf.push)(error)),
        }
    }
}

fn address(address: io::Result<SocketAddr>) -> Result<SocketAddr, Failure> {
    address.map_err(|error| Failure::work(format_args!("a listener has no address: {error}")))
}

/// Folders of this name and a process's number hold plugins on their way into that process.
const ASIDE: &str = "loaded-";

/// Removes what daemons that were killed have left behind.
fn clear_leftovers(data: &Path) {
    for entry in fs::read_dir(data).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(ASIDE)?.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// What ends the daemon. Listened for before it says that it is ready: from then on it can be stopped in order.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// No end: the folders are looked through again.
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn wait(mut self, events: &Events) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    events.send_async(Event::Files).await;
                }
            }
        }
    }
}

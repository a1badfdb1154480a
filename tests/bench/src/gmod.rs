//! Modules in Python: what a worker holds, how long it takes to start, what twenty of them take beside their own code, and
//! how many records a pipe in Python folds.

use crate::boundary::{BATCH, with_records};
use crate::figures::{Median, cpu_of, grouped};
use gmod_compat::protocol::gmod::{Language, Start};
use graftd::worker::{Gmod, Worker, WorkerConf};
use graftd_tests::{Daemon, Folders};
use plugin_api::{Access, Clock, Params};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const RUNS: usize = 9;
const LIMIT: Duration = Duration::from_secs(30);
const MEMORY_BYTES: u64 = 512 << 20;

/// How many modules the daemon has, and for how long its CPU time is counted.
const MODULES: usize = 20;
const WATCHED: Duration = Duration::from_secs(40);

/// Passes over the records in a measurement of a pipe.
const PASSES: usize = 20;

/// A module as gmond's own example is one: a random number and a constant, in the Python that is told.
fn example(python: u32) -> String {
    let shout = if python == 2 { "print 'called', name" } else { "name" };
    format!(
        "import random\n\
         descriptors = list()\n\
         Random_Max = 50\n\
         Constant_Value = 50\n\n\
         def Random_Numbers(name):\n    \
             return int(random.uniform(0, Random_Max))\n\n\
         def Constant_Number(name):\n    \
             if Random_Max > 1000:\n        {shout}\n    \
             return int(Constant_Value)\n\n\
         def metric_init(params):\n    \
             global descriptors\n    \
             d1 = {{'name': 'Random_Numbers', 'call_back': Random_Numbers, 'time_max': 90, 'value_type': 'uint', 'units': 'N',\n          \
                   'slope': 'both', 'format': '%u', 'description': 'Random numbers', 'groups': 'example,random'}}\n    \
             d2 = {{'name': 'Constant_Number', 'call_back': Constant_Number, 'time_max': 90, 'value_type': 'uint', 'units': 'N',\n          \
                   'slope': 'zero', 'format': '%hu', 'description': 'Constant number'}}\n    \
             descriptors = [d1, d2]\n    \
             return descriptors\n\n\
         def metric_cleanup():\n    pass\n"
    )
}

/// Two counters a record and a look at a third field.
const PIPE: &str = "import graft\n\n\
    def process(arr):\n    \
        graft.add(arr[3] or '-', arr[6])\n    \
        graft.add('bytes', n=arr[7] or 0)\n";

pub(crate) fn run() -> Result<(), String> {
    for python in [3, 2] {
        start_and_idle(python)?;
    }
    pipe()?;
    twenty()
}

/// The binaries lie beside this one.
fn beside(name: &str) -> Result<PathBuf, String> {
    Ok(std::env::current_exe().map_err(|error| error.to_string())?.with_file_name(name))
}

fn start(file: &Path, kept: &[u8]) -> Result<Worker, String> {
    let order = Start {
        plugin: "example".to_owned(),
        language: Language::Python,
        file: file.display().to_string(),
        folder: None,
        host: "host".to_owned(),
        every_ms: 10_000,
        every_of_on_ms: None,
        groups: None,
        debug_level: 0,
        python: None,
        symbol: None,
        c_params: None,
    };
    let worker = Worker::start(&WorkerConf {
        exe: &beside("graftd")?,
        plugin: file,
        // Where the python3 lies in somebody's home, the worker may read it all the same.
        gmod: Some(Gmod { exe: &beside("graftd-gmod")?, start: &order, kept, folder: None, reads_all: true }),
        cancel: None,
        printed: None,
        params: &Params::new(),
        start_limit: LIMIT,
        time_limit: LIMIT,
        memory_bytes: MEMORY_BYTES,
    });
    worker.map_err(|error| format!("{}: {error}", file.display()))
}

fn start_and_idle(python: u32) -> Result<(), String> {
    let folders = Folders::new();
    let file = PathBuf::from(folders.write("example.py", example(python)));
    let began = Instant::now();
    let mut first = start(&file, &[])?;
    let first_ms = began.elapsed().as_secs_f64() * 1e3;
    let kept = first.take_kept().unwrap_or_default();
    drop(first);
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let began = Instant::now();
        let mut worker = start(&file, &kept)?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        let mut frame = Vec::new();
        for _ in 0..3 {
            worker.collect(Clock::new(0, 0), &mut frame).map_err(|error| error.to_string())?;
        }
        sizes.push(worker.usage().map_or(0.0, |usage| usage.rss_bytes as f64 / f64::from(1 << 20)));
    }
    let (times, sizes) = (Median::of(times), Median::of(sizes));
    println!(
        "gmod, an example in Python {python}: started in {:.0} ms ({:.0} to {:.0}; the first time {first_ms:.0}), RSS {:.1} MiB ({:.1} to {:.1})",
        times.mid, times.min, times.max, sizes.mid, sizes.min, sizes.max
    );
    Ok(())
}

fn pipe() -> Result<(), String> {
    let folders = Folders::new();
    let file = PathBuf::from(folders.write("hits.py", PIPE));
    with_records(|records| fold(&mut start(&file, &[])?, records))
}

fn fold(worker: &mut Worker, records: &[Access<'_>]) -> Result<(), String> {
    let clock = Clock::new(0, 0);
    let (mut walls, mut frame) = (Vec::new(), Vec::new());
    let mut used = Duration::ZERO;
    for run in 0..=RUNS {
        let before = worker.usage().map_or(Duration::ZERO, |usage| usage.cpu);
        let began = Instant::now();
        let fed =
            (0..PASSES).try_for_each(|_| records.chunks(BATCH).try_for_each(|batch| worker.process(clock, batch)));
        fed.and_then(|()| worker.flush(clock, &mut frame)).map_err(|error| error.to_string())?;
        frame.clear();
        if run > 0 {
            walls.push((PASSES * records.len()) as f64 / began.elapsed().as_secs_f64());
            used += worker.usage().map_or(Duration::ZERO, |usage| usage.cpu) - before;
        }
    }
    let by_cpu = (RUNS * PASSES * records.len()) as f64 / used.as_secs_f64();
    let walls = Median::of(walls);
    println!(
        "gmod, a pipe in Python: {} records/s by the clock ({} to {}), {} a second of the worker's CPU",
        grouped(walls.mid),
        grouped(walls.min),
        grouped(walls.max),
        grouped(by_cpu)
    );
    Ok(())
}

/// A daemon with modules beside one without any: what the first takes more, its workers and their keepers included.
fn twenty() -> Result<(), String> {
    let bare = Daemon::builder().start();
    let full = Daemon::builder().start();
    for nth in 0..MODULES {
        let name = format!("example{nth}");
        let text =
            example(3).replace("Numbers'", &format!("Numbers{nth}'")).replace("Number'", &format!("Number{nth}'"));
        let file = full.folders().write(&format!("{name}.py"), text);
        full.put_plugin(&format!("{name}.py"), Path::new(&file));
    }
    for nth in 0..MODULES {
        full.await_state(&format!("example{nth}"), "running");
    }
    let cpu = |daemon: &Daemon| cpu_of(daemon.process());
    let before = (cpu(&bare), cpu(&full));
    let began = Instant::now();
    thread::sleep(WATCHED);
    let after = (cpu(&bare), cpu(&full));
    let seconds = began.elapsed().as_secs_f64();
    let share = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64() / seconds * 100.0;
    let (bare, full) = (share(before.0, after.0), share(before.1, after.1));
    println!(
        "gmod, {MODULES} modules every 10 s: {:.2} % of a core, their own code included (a daemon with them {full:.2} %, without any {bare:.2} %)",
        full - bare
    );
    Ok(())
}

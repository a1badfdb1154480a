//! History in a real Prometheus and a real VictoriaMetrics: what they say is what the daemon's own file says.

use super::push;
use crate::collectors::url_check::certificates;
use crate::gmond::free_port;
use crate::gmond::peers::{await_listener, program};
use graftd_tests::{Daemon, Folders, PATIENCE, graftd};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How often a daemon of these tests commits.
const COMMIT: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Prometheus,
    Victoria,
}

const KINDS: [Kind; 2] = [Kind::Prometheus, Kind::Victoria];

/// A store that is asked and written to at a port, while it runs.
struct Store {
    kind: Kind,
    program: PathBuf,
    port: u16,
    folders: Arc<Folders>,
    more: Vec<String>,
    running: Option<Child>,
}

impl Store {
    /// Starts it; none where it is not installed.
    fn start(kind: Kind) -> Option<Store> {
        Store::start_with(kind, |_| Vec::new())
    }

    /// The same, with more arguments.
    fn start_with(kind: Kind, more: impl Fn(&Folders) -> Vec<String>) -> Option<Store> {
        let program = program(match kind {
            Kind::Prometheus => "prometheus",
            Kind::Victoria => "victoria-metrics",
        })?;
        let folders = Arc::new(Folders::new());
        let _ = folders.write("prometheus.yml", "");
        let more = more(&folders);
        let mut store = Store { kind, program, port: free_port(), folders, more, running: None };
        store.go_on();
        Some(store)
    }

    fn go_on(&mut self) {
        let (port, root) = (self.port, self.folders.root().display());
        let args = match self.kind {
            Kind::Prometheus => vec![
                format!("--config.file={root}/prometheus.yml"),
                format!("--storage.tsdb.path={root}/store"),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--web.enable-remote-write-receiver".to_owned(),
            ],
            Kind::Victoria => {
                vec![format!("-storageDataPath={root}/store"), format!("-httpListenAddr=127.0.0.1:{port}")]
            }
        };
        let log = std::fs::File::create(self.folders.root().join("peer.log")).expect("a log");
        let mut command = Command::new(&self.program);
        command.args(args).args(&self.more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running = Some(command.spawn().expect("it starts"));
        await_listener(port, &self.folders);
    }

    /// Ends it as the system does: what it has said that it has is on its disk.
    fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        kill_process(Pid::from_child(&child), Signal::TERM).expect("told");
        child.wait().expect("ended");
    }

    fn settings(&self, engine: &str) -> String {
        let at = format!("http://127.0.0.1:{}", self.port);
        format!(
            "commit = \"{}ms\"\n[trend]\nengine = {engine}\nwrite = \"{at}/api/v1/write\"\nread = \"{at}/\"",
            COMMIT.as_millis()
        )
    }

    /// What it says of an expression in PromQL: the values of now.
    fn query(&self, promql: &str) -> Vec<(Value, String)> {
        let mut url = ureq::get(format!("http://127.0.0.1:{}/api/v1/query", self.port)).query("query", promql);
        url = url.query("nocache", "1");
        let Ok(mut answer) = url.call() else { return Vec::new() };
        let answer: Value = serde_json::from_slice(&answer.body_mut().read_to_vec().expect("a body")).expect("JSON");
        let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        found.iter().map(|it| (it["metric"].clone(), it["value"][1].as_str().expect("a value").to_owned())).collect()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_secs_f64()
}

/// Asks again until it is so.
#[track_caller]
fn until<T: PartialEq + std::fmt::Debug>(expected: &T, mut ask: impl FnMut() -> T) {
    let began = Instant::now();
    loop {
        let found = ask();
        if found == *expected {
            return;
        }
        if began.elapsed() > PATIENCE {
            assert_eq!(found, *expected);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until the commit of now has another time than that of before.
fn next_commit() {
    // The time of history is the wall clock's.
    thread::sleep(COMMIT);
}

fn start(folders: &Arc<Folders>, settings: &str) -> Daemon {
    Daemon::builder().folders(folders).host("web1").settings(settings).start()
}

/// A counter, gauges of hosts, a key that no metric can be called by, and a node that goes.
fn tell(daemon: &Daemon, n: u32) {
    let gauge = |x: f64| json!([{"": x, "defaultaction": "average"}]);
    push(
        daemon,
        &json!({
            "shop": {"sold": n % 3},
            "cpu": {"h1": {"idle": gauge(90.25 + f64::from(n % 4))}, "h2": {"idle": gauge(80.0)}, "defaultaction": "average"},
            "request-time": {"2xx": {"a,b": {"\"é\\": n}}, "defaultaction": "max"},
        }),
    );
}

const QUESTIONS: [&str; 16] = [
    "key-shop,sold&step=raw",
    "key-shop,sold&step=1s",
    "key-shop,sold&step=1s&as=rate",
    "key-shop&step=all&as=rate",
    "key-shop,sold&step=2s&as=count",
    "key-cpu,,idle&step=raw",
    "key-cpu,*,idle&step=1s",
    "key-cpu,h2,idle&step=1s",
    "key-cpu,h1,idle&step=2s&as=mean,min,max,last,sum,count",
    "key-cpu&step=1s&fold=max",
    "key-*,&step=1s",
    "key-request-time&step=1s",
    "key-request-time,2xx,a%252Cb,%22é%5C&step=raw",
    "key-cpu,*,idle&step=2s&format=csv",
    "key-nothing&step=1s",
    "key-cpu,h1,idle&key-shop,sold&step=1s",
];

/// What each question is answered with.
fn answers(daemon: &Daemon, from: f64, to: f64, engine: &str) -> Vec<(&'static str, String)> {
    let ask = |question: &&'static str| {
        let answer = daemon.get(&format!("/trend/?{question}&from={from}&to={to}{engine}"));
        (*question, answer.body)
    };
    QUESTIONS.iter().map(ask).collect()
}

#[test]
fn a_store_says_what_the_file_says_though_it_was_away_and_the_daemon_was_killed() {
    for kind in KINDS {
        let Some(mut store) = Store::start(kind) else { continue };
        let folders = Arc::new(Folders::new());
        let settings = store.settings("[\"sqlite\", \"prometheus\"]");
        let daemon = start(&folders, &settings);
        let from = now().floor() - 1.0;
        for n in 1..=5 {
            tell(&daemon, n);
            next_commit();
        }
        store.stop();
        for n in 6..=9 {
            tell(&daemon, n);
            next_commit();
        }
        daemon.await_change("graftd,web1,trend,remote", |daemon| {
            let told = daemon.subtree("graftd,web1,trend,remote");
            let waits = told["waiting"].as_f64() > Some(0.0) && told["failed"].as_f64() > Some(0.0);
            let says = told["error"].as_str().is_some_and(|why| why.contains("/api/v1/write: "));
            (waits && says).then_some(())
        });
        daemon.kill();
        let daemon = start(&folders, &settings);
        for n in 10..=12 {
            tell(&daemon, n);
            next_commit();
        }
        let to = now().floor() + 1.0;
        // What is asked is over.
        thread::sleep(Duration::from_secs(2));
        store.go_on();
        let own = answers(&daemon, from, to, "&engine=sqlite");
        assert!(own[0].1.contains("\"shop,sold\"") && own[12].1.contains("12]"), "{own:?}");
        until(&own, || answers(&daemon, from, to, "&engine=prometheus"));
        daemon.await_change("graftd,web1,trend,remote", |daemon| {
            let told = daemon.subtree("graftd,web1,trend,remote");
            // What is refused is told for a while.
            let is_well = told["error"] == "" || told["refused"].as_f64() > Some(0.0);
            let is_well = is_well && told["dropped"].as_f64() == Some(0.0);
            (is_well && told["sent"].as_f64() > Some(30.0)).then_some(())
        });
        // What was written when the store went away may be there twice, which Prometheus refuses; nothing else is.
        let told = daemon.subtree("graftd,web1,trend,remote");
        assert!(told["refused"].as_f64() < Some(30.0), "{told}");
    }
}

#[test]
fn numbers_that_are_in_a_store_alone_are_asked_of_it() {
    for kind in KINDS {
        let Some(mut store) = Store::start(kind) else { continue };
        let folders = Arc::new(Folders::new());
        let settings = store.settings("\"prometheus\"");
        let daemon = start(&folders, &settings);
        for n in 1..=3 {
            tell(&daemon, n);
            push(
                &daemon,
                &json!({"time": [{"": [n, 2, 3], "defaultaction": "quantiles"}], "app": {"version": format!("1.{n}")}}),
            );
            next_commit();
        }
        let ask = |daemon: &Daemon, query: &str| daemon.get(&format!("/trend/?{query}&from=-1m")).good().json();
        let last = |daemon: &Daemon, query: &str| {
            let answer = ask(daemon, query);
            answer[0].as_object().and_then(|lines| lines.values().next()?["values"].as_array()?.last()?.as_f64())
        };
        until(&Some(3.0), || last(&daemon, "key-shop,sold&step=1s"));
        until(&Some(86.625), || last(&daemon, "key-cpu,,idle&step=1s"));
        // Texts and sketches are the file's.
        assert_eq!(last(&daemon, "key-time&step=all&as=count"), Some(9.0));
        let events = ask(&daemon, "key-app,version");
        assert_eq!(events[0]["app,version"]["events"].as_array().map(Vec::len), Some(3), "{events}");
        // The names are such as others have, and the figures of sketches are there.
        let h1 = "cpu{job=\"graftd\",instance=\"web1\",k1=\"h1\",k2=\"idle\",k0=\"\"}";
        until(&vec!["93.25".to_owned()], || store.query(h1).into_iter().map(|(_, value)| value).collect());
        until(&vec!["9".to_owned()], || {
            store.query("sum(sum_over_time(time{q=\"count\"}[1m]))").into_iter().map(|(_, value)| value).collect()
        });
        let odd =
            || store.query("request_time{k0=\"request-time\"}").into_iter().map(|(labels, _)| labels["k3"].clone());
        until(&vec![json!("\"é\\")], || odd().collect::<Vec<_>>());
        // Another engine is none of it.
        daemon.get("/trend/?key-cpu&engine=sqlite").refused(400, &["engine"]);
        store.stop();
        daemon
            .get("/trend/?key-shop,sold")
            .refused(503, &["the store (trend.read) does not answer: http", "/api/v1/series"]);
        // What is no number is there all the same.
        assert_eq!(last(&daemon, "key-time&step=all&as=count"), Some(9.0));
        assert!(last(&daemon, "key-time&step=all&as=p50").is_some_and(|p50| (1.9..2.1).contains(&p50)));
        daemon.stop();
        let data = super::data(&folders);
        let checked = graftd(["trend", "check", "--data", &data]).good();
        assert!(checked.stderr.contains("elsewhere"), "{} {}", checked.stdout, checked.stderr);
    }
}

/// What a store has of some days ago: a value each ten seconds, for four hours from the beginning of a day on.
fn old(begin: u64) -> Vec<(u64, f64)> {
    (0..4 * 360).map(|n| (begin + n * 10, f64::from(u32::try_from(n * 7_919 % 1_000).expect("small")) / 4.0)).collect()
}

/// Puts it there, as if a daemon had sent it.
fn put_old(store: &mut Store, samples: &[(u64, f64)]) {
    let name = "old{job=\"graftd\",instance=\"web1\",k1=\"x\"}";
    match store.kind {
        Kind::Victoria => {
            let lines: String = samples.iter().map(|(at, x)| format!("{name} {x} {}\n", at * 1_000)).collect();
            let url = format!("http://127.0.0.1:{}/api/v1/import/prometheus", store.port);
            ureq::post(url).send(&lines).expect("taken");
        }
        Kind::Prometheus => {
            store.stop();
            let lines: String = samples.iter().map(|(at, x)| format!("{name} {x} {at}\n")).collect();
            let file = store.folders.write("old.txt", format!("{lines}# EOF\n"));
            let blocks = store.folders.root().join("store");
            let mut promtool = Command::new(store.program.with_file_name("promtool"));
            promtool.args(["tsdb", "create-blocks-from", "openmetrics", &file]).arg(blocks);
            assert!(promtool.stdout(Stdio::null()).status().expect("it runs").success());
            store.go_on();
        }
    }
}

#[test]
fn what_is_long_is_summed_up_by_the_store() {
    for kind in KINDS {
        let Some(mut store) = Store::start(kind) else { continue };
        let begin = (now() as u64 / 86_400 - 5) * 86_400;
        let samples = old(begin);
        put_old(&mut store, &samples);
        let daemon = start(&Arc::new(Folders::new()), &store.settings("\"prometheus\""));
        // So many commits are more than are read one by one.
        let (from, to) = (begin - 2 * 86_400, begin + 5 * 86_400);
        for step in [600, 3_600, 86_400] {
            let query = format!("key-old,x&from={from}&to={to}&step={step}&as=count,sum,min,max,last");
            let ask = || {
                let answer = daemon.get(&format!("/trend/?{query}")).good().json();
                let line = answer[0]["old,x"].clone();
                let at = ((begin - from) / step) as usize;
                let of = |name: &str| -> Vec<Option<f64>> {
                    let values = line[name].as_array().into_iter().flatten().skip(at);
                    values.take((14_400_u64.div_ceil(step)) as usize).map(Value::as_f64).collect()
                };
                ["count", "sum", "min", "max", "last"].map(of)
            };
            let steps: Vec<&[(u64, f64)]> = samples.chunks((step / 10) as usize).collect();
            let of = |figure: fn(&mut dyn Iterator<Item = f64>) -> f64| -> Vec<Option<f64>> {
                steps.iter().map(|step| Some(figure(&mut step.iter().map(|(_, x)| *x)))).collect()
            };
            let expected = [
                of(|all| all.count() as f64),
                of(|all| all.sum()),
                of(|all| all.fold(f64::INFINITY, f64::min)),
                of(|all| all.fold(f64::NEG_INFINITY, f64::max)),
                of(|all| all.last().expect("a value")),
            ];
            until(&expected, ask);
        }
    }
}

#[test]
fn a_store_may_ask_for_a_password_and_have_a_certificate_of_its_own() {
    let secured = |folders: &Folders| {
        certificates(folders);
        // That of `secret:1`.
        let hash = "$2y$04$abcdefghijklmnopqrstuuLdY4wmx4VwIImgTn2NDEazUN2VZO2Da";
        let text = format!(
            "tls_server_config:\n  cert_file: nginx/cert.pem\n  key_file: nginx/key.pem\nbasic_auth_users:\n  graft: {hash}\n"
        );
        vec![format!("--web.config.file={}", folders.write("web.yml", text))]
    };
    let Some(store) = Store::start_with(Kind::Prometheus, secured) else { return };
    let root = store.folders.root().display();
    let password = store.folders.write("password", "graft:wrong\n");
    let settings = store.settings("\"prometheus\"").replace("http://127.0.0.1", "https://localhost");
    let settings = format!("{settings}\nca = \"{root}/ca.pem\"\npassword_file = {password:?}");
    let daemon = start(&Arc::new(Folders::new()), &settings);
    push(&daemon, &json!({"shop": {"sold": 3}}));
    // It is not lost for that: what is wrong can be put right.
    daemon.await_change("graftd,web1,trend,remote", |daemon| {
        let told = daemon.subtree("graftd,web1,trend,remote");
        (told["error"].as_str()?.contains("answered 401") && told["waiting"].as_f64() > Some(0.0)).then_some(())
    });
    daemon.get("/trend/?key-shop,sold").refused(503, &["the store (trend.read) refuses: http", "answered 401"]);
    let _ = store.folders.write("password", "graft:secret:1\n");
    until(&Some(3.0), || {
        let answer = daemon.get("/trend/?key-shop,sold&step=1s&from=-1m").json();
        answer[0]["shop,sold"]["values"].as_array()?.last()?.as_f64()
    });
    assert_eq!(daemon.subtree("graftd,web1,trend,remote")["refused"].as_f64(), Some(0.0));
}

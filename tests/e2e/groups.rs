//! Branches that hang under values of the lines: `by` in a pipe's `.on`, `{vhost}` in a log's prefix.

use graftd_tests::{Daemon, Folders, Ran, graftd, plugin};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lines whose virtual host and request time are known.
const FORMAT: &str = r#"$host $remote_addr [$time_local] "$request" $status $body_bytes_sent $request_time"#;

fn line(host: &str, request: &str, status: u16, seconds: &str) -> String {
    format!("{host} 192.0.2.1 [01/May/2025:00:00:00 +0000] \"{request} HTTP/1.1\" {status} 10 {seconds}\n")
}

/// A request as it is pushed.
fn pushed(method: &str, path: &str) -> String {
    format!("192.0.2.1 - - [01/May/2025:00:00:00 +0000] \"{method} {path} HTTP/1.1\" 200 10 \"-\" \"curl/8.5.0\"\n")
}

fn ingest(folders: &Folders, lines: &str) -> Ran {
    let log = folders.write("access.log", lines);
    let args = folders.args();
    let all = ["ingest", "--json", "--format", FORMAT, &log];
    graftd(all.into_iter().chain(args.iter().map(String::as_str)))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

#[test]
fn pipes_hang_under_the_virtual_host_whatever_they_fold() {
    let folders = Folders::new().plugins(&["status", "url", "request-time", "visitors"]);
    folders.write_conf("status.on", "by = [\"vhost\", \"method\"]\n");
    folders.write_conf("url.on", "[params]\nby = [\"vhost\"]\nk = 2\n");
    folders.write_conf("request-time.on", "by = \"vhost\"\n");
    folders.write_conf("visitors.on", "by = \"vhost\"\n");
    let mut lines = String::new();
    for (host, request, status, seconds, times) in [
        ("shop.example", "GET /a", 200, "0.5", 700),
        ("Shop.Example:8080", "POST /b?q=1", 404, "2.0", 300),
        ("shop.example", "GET /c", 200, "0.5", 2),
        ("blog.example", "GET /a", 200, "8.0", 900),
        ("-", "GET /a", 200, "1.0", 40),
    ] {
        lines.push_str(&line(host, request, status, seconds).repeat(times));
    }
    // The lines of all hosts among each other.
    let mut mixed: Vec<&str> = lines.lines().collect();
    let count = mixed.len();
    for at in 0..count {
        mixed.swap(at, at * 7_919 % count);
    }
    let tree = ingest(&folders, &(mixed.join("\n") + "\n")).good().json();

    let status = json!({
        "shop.example": {"GET": {"200": 702}, "POST": {"404": 300}},
        "blog.example": {"GET": {"200": 900}},
        "-": {"GET": {"200": 40}},
    });
    assert_eq!(tree["status"], status);
    let url = &tree["url"];
    assert_eq!((&url["blog.example"], &url["-"]), (&json!({"/a": 900}), &json!({"/a": 40})));
    let shop = url["shop.example"].as_object().expect("a top");
    assert_eq!(shop.values().map(number).sum::<f64>(), 1002.0, "exact in all: {shop:?}");
    assert_eq!((&shop["/a"], &shop["/b"]), (&json!(700), &json!(300)));
    let times = |host: &str, class: &str, figure: &str| number(&tree["request_time"][host][class][""][figure]);
    assert_eq!((times("shop.example", "2xx", "count"), times("blog.example", "2xx", "count")), (702.0, 900.0));
    assert!((times("shop.example", "4xx", "p50") / 2.0 - 1.0).abs() < 0.011, "{tree}");
    assert!((times("blog.example", "2xx", "p99") / 8.0 - 1.0).abs() < 0.011, "{tree}");
    assert_eq!(tree["visitors"]["blog.example"][""]["distinct"], 1);
}

#[test]
fn what_is_beyond_the_bound_is_counted_together_and_exactly() {
    let folders = Folders::new().plugins(&["status", "url"]);
    folders.write_conf("status.on", "by = \"vhost\"\nby_max = 3\n");
    folders.write_conf("url.on", "by = [\"vhost\", \"status\"]\n");
    let hosts = 250_usize;
    let lines: String = (0..4_000).map(|at| line(&format!("h{}.example", at % hosts), "GET /", 200, "1")).collect();
    let tree = ingest(&folders, &lines).good().json();
    let each = 4_000 / hosts;
    let rest = 4_000 - 3 * each;
    assert_eq!(
        tree["status"],
        json!({
            "h0.example": {"200": each}, "h1.example": {"200": each}, "h2.example": {"200": each},
            "(other)": {"200": rest},
        })
    );
    // By default a hundred; what has no room hangs as deep as all other.
    let url = tree["url"].as_object().expect("groups");
    assert_eq!(url.len(), 101);
    assert_eq!(url["(other)"], json!({"(other)": {"/": 4_000 - 100 * each}}));
    assert!(url.values().all(|codes| codes.as_object().is_some_and(|codes| codes.len() == 1)));
}

/// Folders with a log, and its `.on`.
fn tailed(prefix: &str, plugins: &[&str]) -> (Arc<Folders>, fs::File) {
    let folders = Arc::new(Folders::new());
    folders.copy_plugins(plugins);
    let log = folders.root().join("access.log");
    let file = OpenOptions::new().create(true).append(true).open(&log).expect("opened");
    let text = format!(
        "plugin = \"access-log\"\nfile = {:?}\nformat = '{FORMAT}'\nstart = \"begin\"\nprefix = \"{prefix}\"\n",
        log.display().to_string()
    );
    folders.write_conf("web.on", &text);
    (folders, file)
}

#[test]
fn all_pipes_of_a_log_hang_under_its_virtual_hosts() {
    for (prefix, below) in [("{vhost}", ""), ("web,{vhost},all", "web,")] {
        let (folders, mut log) = tailed(prefix, &["status", "bytes", "url"]);
        folders.write_conf("url.on", "by = \"method\"\n");
        let lines = line("Shop.example:443", "GET /a", 200, "1").repeat(30)
            + &line("blog.example", "GET /", 404, "1").repeat(20)
            + &line("-", "POST /", 200, "1").repeat(10);
        log.write_all(lines.as_bytes()).expect("written");
        let daemon = Daemon::builder().folders(&folders).start();
        let at = |host: &str, path: &str| {
            let all = if below.is_empty() { "" } else { "all," };
            format!("{below}{host},{all}{path}")
        };
        daemon.await_value(&at("-", "status,200"), 10);
        for (path, count) in [
            (at("shop.example", "status,200"), 30),
            (at("shop.example", "bytes,2xx"), 300),
            (at("blog.example", "status,404"), 20),
            (at("blog.example", "url,GET,/"), 20),
            (at("-", "url,POST,/"), 10),
        ] {
            assert_eq!(daemon.value(&path), json!(count), "{path}");
        }
        if !below.is_empty() {
            // Across all of them; where they are at the top the daemon's own log is among them.
            assert_eq!(daemon.value(&at("", "status,200")), 40);
        }
        // What others push has no part in it.
        daemon.push_log(&pushed("GET", "/"));
        assert_eq!(daemon.subtree("status"), json!({"200": 1}));
    }
}

/// A pipe in Python that counts, and keeps something in a variable of its own.
const METHODS: &str = "
import graft
seen = 0
def process(arr):
    global seen
    seen += 1
    graft.add('hits')
    graft.add('url', arr[4])
    return {'status': {str(arr[6]): 1}}
";

#[test]
fn a_pipe_in_another_process_is_grouped_as_one_in_the_daemon() {
    let daemon = Daemon::builder()
        .plugins(&["status", "url"])
        .conf("here.on", "plugin = \"url\"\npath = \"here\"\nby = \"method\"\n")
        .conf("apart.on", "plugin = \"url\"\npath = \"apart\"\nby = \"method\"\nisolation = \"process\"\n")
        .conf("in_python.on", "by = \"method\"\nby_max = 2\n")
        .start();
    let file = daemon.folders().write("in_python.py.new", METHODS);
    daemon.put_plugin("in_python.py", Path::new(&file));
    for name in ["here", "apart", "in_python"] {
        daemon.await_state(name, "running");
    }
    for round in 0..3 {
        let lines: String = (0..600)
            .map(|at| pushed(["GET", "POST", "PUT", "HEAD"][at % 4], &format!("/{}", (at + round) % 3)))
            .collect();
        daemon.push_log(&lines);
    }
    let here = daemon.subtree("here");
    assert_eq!((number(&here["GET"]["/0"]), here.as_object().map(serde_json::Map::len)), (150.0, Some(4)));
    assert_eq!(daemon.subtree("apart"), here);
    let each = json!({"hits": 450, "url": {"/0": 150, "/1": 150, "/2": 150}, "status": {"200": 450}});
    let rest = json!({"hits": 900, "url": {"/0": 300, "/1": 300, "/2": 300}, "status": {"200": 900}});
    assert_eq!(daemon.subtree("in_python"), json!({"GET": each, "POST": each, "(other)": rest}));
}

#[test]
fn a_grouped_pipe_is_swapped_while_lines_flow_and_nothing_is_lost() {
    let daemon = Daemon::builder()
        .conf("numbered.on", "by = \"method\"\nby_max = 2\n")
        .tick(std::time::Duration::from_millis(50))
        .start();
    let builds = [("a", plugin("numbered-a")), ("b", plugin("numbered-b"))];
    daemon.put_plugin("numbered.so", &builds[0].1);
    daemon.await_state("numbered", "running");
    // These are kept apart from now on, whatever comes first after a swap.
    daemon.push_log(&(pushed("GET", "/n/0") + &pushed("POST", "/n/0")));
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let streaming = scope.spawn(|| {
            let mut sent = 0_u64;
            while !stop.load(Ordering::Acquire) {
                let numbers = sent + 1..=sent + 300;
                let lines: String =
                    numbers.map(|n| pushed(["GET", "PUT", "POST"][n as usize % 3], &format!("/n/{n}"))).collect();
                daemon.push_log(&lines);
                sent += 300;
            }
            sent
        });
        let end = End(&stop);
        for swap in 1..=20_usize {
            let (build, file) = &builds[swap % 2];
            let hits = || daemon.value(&format!("numbered,,build,{build}")).as_f64().unwrap_or(0.0);
            let before = hits();
            daemon.put_plugin("numbered.so", file);
            daemon.await_change("numbered", |_| (hits() > before).then_some(()));
        }
        drop(end);
        streaming.join().expect("the stream")
    });
    let sum = sent * (sent + 1) / 2;
    assert_eq!((daemon.value("numbered,,count"), daemon.value("numbered,,sum")), (json!(sent + 2), json!(sum)));
    let third = sent / 3;
    let counts = ["GET", "POST", "(other)", "PUT"].map(|group| daemon.value(&format!("numbered,{group},count")));
    assert_eq!(counts, [json!(third + 1), json!(third + 1), json!(third), Value::Null]);
}

#[test]
fn a_grouped_successor_that_fails_in_one_group_gives_all_back() {
    let daemon = Daemon::builder()
        .plugins(&["unruly"])
        .conf("unruly.on", "by = \"method\"\n[params]\nat = \"process\"\n")
        .start();
    daemon.await_state("unruly", "running");
    let lines = pushed("GET", "/").repeat(10) + &pushed("POST", "/bad").repeat(5) + &pushed("PUT", "/").repeat(3);
    daemon.push_log(&lines);
    let does = "by = \"method\"\n[params]\nat = \"process\"\ndoes = \"panic\"\non = \"/bad\"\n";
    let since = daemon.module("unruly")["since"].clone();
    daemon.folders().write_conf("unruly.on", does);
    daemon.await_change("graftd", |daemon| {
        let module = daemon.module("unruly");
        (module["state"] == "running" && module["since"] != since).then_some(())
    });
    // Those that it has folded before it failed are folded by the one before, and by nobody else.
    daemon.push_log(&lines);
    let rejected = daemon.await_state("unruly", "rejected").found;
    assert!(rejected["why"].as_str().is_some_and(|why| why.contains("the one before goes on")), "{rejected}");
    assert_eq!(daemon.subtree("unruly"), json!({"GET": {"hits": 20}, "POST": {"hits": 10}, "PUT": {"hits": 6}}));
}

/// The plugin's own database, which knows networks that are kept for documentation.
const COUNTRIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/geo/tests/test.mmdb");

/// Requests of clients in Germany, France and Brazil, and of some whose country nobody knows.
fn from_everywhere(times: usize) -> String {
    let from = |addr: &str, path: &str, status: u16| {
        format!("{addr} - - [01/May/2025:00:00:00 +0000] \"GET {path} HTTP/1.1\" {status} 10 \"-\" \"curl/8.5.0\"\n")
    };
    let lines = [
        from("192.0.2.1", "/a", 200),
        from("::ffff:192.0.2.77", "/a", 404),
        from("198.51.100.7", "/b", 200),
        from("2001:db8:1::7", "/a", 200),
        from("203.0.113.1", "/a", 200),
        from("client.example", "/c", 200),
    ];
    lines.concat().repeat(times)
}

#[test]
fn pipes_hang_under_the_country_of_the_client() {
    let folders = Folders::new().plugins(&["status", "url", "geo", "bytes"]);
    let database = format!("by_database = \"{COUNTRIES}\"\n");
    folders.write_conf("status.on", &format!("[params]\nby = [\"geo\"]\n{database}"));
    folders.write_conf("url.on", &format!("by = [\"status\", \"geo\"]\n{database}[params]\nk = 2\n"));
    folders.write_conf("bytes.on", &format!("by = \"geo\"\nby_max = 2\n{database}"));
    folders.write_conf("geo.on", &format!("by = \"geo\"\n{database}[params]\ndatabase = \"{COUNTRIES}\"\n"));
    let log = folders.write("access.log", from_everywhere(500));
    let args = folders.args();
    for threads in ["1", "2"] {
        let all = ["ingest", "--json", "--threads", threads, &log];
        let tree = graftd(all.into_iter().chain(args.iter().map(String::as_str))).good().json();
        let status = json!({
            "DE": {"200": 500, "404": 500}, "FR": {"200": 500}, "BR": {"200": 500}, "-": {"200": 1_000},
        });
        assert_eq!(tree["status"], status);
        assert_eq!(tree["url"]["404"], json!({"DE": {"/a": 500}}));
        assert_eq!(tree["url"]["200"]["-"], json!({"/a": 500, "/c": 500}));
        // Bounded, and exact.
        assert_eq!(
            tree["bytes"],
            json!({"DE": {"2xx": 5_000, "4xx": 5_000}, "FR": {"2xx": 5_000}, "(other)": {"2xx": 15_000}})
        );
        let geo = json!({"DE": {"DE": 1_000}, "FR": {"FR": 500}, "BR": {"BR": 500}, "-": {"(unknown)": 1_000}});
        assert_eq!(tree["geo"], geo);
    }
}

#[test]
fn a_daemon_takes_a_new_database_when_its_pipe_is_reloaded() {
    let folders = Arc::new(Folders::new().plugins(&["status"]));
    let file = folders.write("countries.mmdb", fs::read(COUNTRIES).expect("the database"));
    folders.write_conf("status.on", &format!("by = \"geo\"\nby_database = \"{file}\"\nisolation = \"process\"\n"));
    let daemon = Daemon::builder().folders(&folders).start();
    daemon.await_state("status", "running");
    daemon.push_log(&from_everywhere(10));
    let counted = json!({"DE": {"200": 10, "404": 10}, "FR": {"200": 10}, "BR": {"200": 10}, "-": {"200": 20}});
    assert_eq!(daemon.subtree("status"), counted);

    // What is no database leaves the pipe that runs alone.
    let _ = folders.write("countries.mmdb", "nonsense");
    let reload = |state: &str| {
        let _ = daemon.post("/modules/status/reload", "", b"").good();
        daemon.await_state("status", state)
    };
    let rejected = reload("rejected").found;
    assert!(rejected["why"].as_str().is_some_and(|why| why.contains("status.on:2: \"by_database\"")), "{rejected}");
    daemon.push_log(&from_everywhere(10));
    assert_eq!(daemon.subtree("status")["FR"], json!({"200": 20}));

    let mut bytes = fs::read(COUNTRIES).expect("the database");
    let at = bytes.windows(2).position(|two| two == b"FR").expect("a code");
    bytes[at..at + 2].copy_from_slice(b"CH");
    let _ = folders.write("countries.mmdb", bytes);
    reload("running");
    daemon.push_log(&from_everywhere(10));
    let found = daemon.subtree("status");
    assert_eq!((&found["FR"], &found["CH"]), (&json!({"200": 20}), &json!({"200": 10})), "{found}");
}

/// Ends the stream when it is dropped.
struct End<'s>(&'s AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn groups_that_cannot_be_are_refused_with_their_line_and_a_way_out() {
    for (name, text, words) in [
        (
            "status",
            "# x\nby = [\"vhosts\"]\n",
            &["status.on:2: \"by\": unknown \"vhosts\"; did you mean \"vhost\"?"][..],
        ),
        (
            "status",
            "[params]\nby = \"geo\"\nby_database = \"/nowhere/x.mmdb\"\n",
            &["status.on:3: \"by_database\": cannot read \"/nowhere/x.mmdb\": No such file"],
        ),
        (
            "status",
            "isolation = \"process\"\nby = \"geo\"\nby_database = \"/dev/null\"\n",
            &["status.on:3: \"by_database\": cannot read \"/dev/null\": it is no file"],
        ),
        ("status", "by = \"vhost\"\nby_max = 0\n", &["status.on:2: \"by_max\" must be between 1 and"]),
        ("load", "every = \"1s\"\nby = \"vhost\"\n", &["load.on:2: \"by\" is for pipes"]),
        ("load", "[params]\nby = \"vhost\"\n", &["load.on:2: \"by\" is for pipes"]),
        (
            "web",
            "plugin = \"access-log\"\nfile = \"/x\"\nprefix = \"www.{vhost}\"\n",
            &["web.on:3: \"prefix\": {vhost} must be a key of its own, as in \"web,{vhost}\""],
        ),
        ("status", "path = \"status,{vhost}\"\n", &["status.on:1: \"path\"", "{host}", "by = [\"vhost\"]"]),
    ] {
        let folders = Folders::new().plugins(&["status", "load"]);
        folders.write_conf(&format!("{name}.on"), text);
        let args = folders.args();
        let ran = graftd(["check"].into_iter().chain(args.iter().map(String::as_str)));
        assert_eq!(ran.code, 2, "{text}: {}", ran.stdout);
        for word in words {
            assert!(ran.stdout.contains(word), "{text}: {}", ran.stdout);
        }
    }
}

//! What an nginx says of itself by `stub_status`: `nginx,{host},active`.

mod status;

use fetch::http::Request;
use fetch::http::header::{ACCEPT, CONNECTION, HeaderValue, USER_AGENT};
use fetch::{Answer, Room, Target, Wanted, dial, exchange};
use plugin_api::{Collector, Delta, Error, ParamDecl, Params, export_collector, limits};
use status::Status;
use std::path::Path;
use std::time::{Duration, Instant};

const URL: &str = "http://127.0.0.1/nginx_status";
const TIMEOUT: Duration = Duration::from_secs(5);

/// A plugin that is tried has 10 s for its first sample.
const TIMEOUT_MAX: Duration = Duration::from_secs(8);
const TIMEOUT_MIN: Duration = Duration::from_millis(10);

/// Bytes of the page that are read. It has 110.
const PAGE_BYTES_MAX: usize = 4 * 1024;

/// Bytes of an error that are shown.
const ERROR_BYTES_MAX: usize = 512;

/// How long a value stays that no longer holds: until the tick is over.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Asks one nginx.
#[derive(Debug)]
pub struct Nginx {
    target: Target,
    timeout: Duration,
    /// Whether the tree may have gauges of it: a daemon that was started anew has those of before.
    told: bool,
}

impl Collector for Nginx {
    const PARAMS: &'static [ParamDecl] = &[
        // Nobody's nginx is asked unless somebody wants it: so it has no default. A `.on` that does not say it means this host's.
        ParamDecl::new("url", "", "where its stub_status is, such as \"http://127.0.0.1/nginx_status\"; http only"),
        ParamDecl::new("socket", "\"\"", "the Unix socket that it listens at; the URL's host is then only a name"),
        ParamDecl::new("timeout", "\"5s\"", "how long an answer may take, 10ms to 8s"),
    ];

    fn new(params: &Params) -> Result<Nginx, Error> {
        let url = params.text("url")?.unwrap_or(URL);
        let target = Target::parse(url).map_err(|why| Error::config(format_args!("params: \"url\" {why}")))?;
        if target.is_tls() {
            return Err(Error::config(
                "params: \"url\" has the scheme \"https\": only \"http\" is asked; let nginx listen on loopback or a Unix socket",
            ));
        }
        let target = match params.text("socket")?.filter(|socket| !socket.is_empty()) {
            Some(socket) if !socket.starts_with('/') => {
                return Err(Error::config(format_args!(
                    "params: \"socket\" must be a whole path such as \"/run/nginx.sock\", not {socket:?}"
                )));
            }
            Some(socket) => target.at_socket(Path::new(socket)),
            None => target,
        };
        let timeout = params.duration("timeout")?.unwrap_or(TIMEOUT);
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
            let why = format_args!("params: \"timeout\" must be {TIMEOUT_MIN:?} to {TIMEOUT_MAX:?}, not {timeout:?}");
            return Err(Error::config(why));
        }
        Ok(Nginx { target, timeout, told: true })
    }

    fn collect(&mut self, out: &mut Delta) -> Result<(), Error> {
        let room = Room::default();
        let asked = room.finish(self.ask(&room));
        out.set(&["up"], f64::from(u8::from(asked.is_ok())));
        out.meta(&["up"], &[("title", "Answers"), GROUP]);
        match &asked {
            Ok(status) => {
                tell(out, status);
                out.set_text(&["error"], "");
            }
            Err(why) => {
                // How many connections one has that does not answer is not known; what it counted is not less for that.
                if self.told {
                    GAUGES.iter().for_each(|(key, ..)| out.lifetime(&[key], AT_ONCE));
                }
                out.set_text(&["error"], limits::cut(why, ERROR_BYTES_MAX));
            }
        }
        out.meta(&["error"], &[("title", "What is wrong"), GROUP]);
        self.told = asked.is_ok();
        Ok(())
    }
}

impl Nginx {
    async fn ask(&self, room: &Room) -> Result<Status, String> {
        let mut stream = dial(room, &self.target, Instant::now() + self.timeout).await?.stream;
        let mut request = Request::new(());
        *request.uri_mut() = self.target.uri().clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("text/plain"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("graftd-nginx/", env!("CARGO_PKG_VERSION"))));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let mut answer = Answer::default();
        let wanted = Wanted { body_max: PAGE_BYTES_MAX, body: true, redirect: false };
        exchange(&mut stream, request, wanted, &mut answer).await?;
        if answer.status != 200 {
            return Err(format!(
                "status {} from {}; is stub_status on there?",
                answer.status,
                self.target.uri().path()
            ));
        }
        Status::read(&String::from_utf8_lossy(&answer.body))
            .ok_or_else(|| format!("what is at {} is not stub_status's; is it on there?", self.target.uri().path()))
    }
}

const GROUP: (&str, &str) = ("group", "nginx");

/// A figure: its key, unit and title, and where it stands.
type Figure = (&'static str, &'static str, &'static str, fn(&Status) -> u64);

const GAUGES: [Figure; 4] = [
    ("active", "connections", "Active connections", |status| status.active),
    ("reading", "connections", "Reading a request", |status| status.reading),
    ("writing", "connections", "Writing an answer", |status| status.writing),
    ("waiting", "connections", "Idle connections", |status| status.waiting),
];

/// Since nginx was started.
const TOTALS: [Figure; 4] = [
    ("accepts", "connections", "Accepted connections", |status| status.accepts),
    ("handled", "connections", "Handled connections", |status| status.handled),
    ("dropped", "connections", "Dropped connections", Status::dropped),
    ("requests", "requests", "Requests", |status| status.requests),
];

fn tell(out: &mut Delta, status: &Status) {
    for (key, units, title, of) in GAUGES {
        out.set(&[key], of(status) as f64);
        // For ever: it may have been taken away.
        out.lifetime(&[key], Duration::ZERO);
        out.meta(&[key], &[("units", units), ("title", title), GROUP]);
    }
    for (key, units, title, of) in TOTALS {
        out.total(&[key], of(status) as f64);
        out.meta(&[key], &[("units", units), ("title", title), ("slope", "positive"), GROUP]);
    }
}

export_collector!(Nginx, path = "nginx,{host}");

//! One check: what is asked, and what came of it.

use crate::limits::{BODY_BYTES_MAX, ERROR_BYTES_MAX, REDIRECTS_MAX};
use crate::tls::Tls;
use fetch::http::header::{ACCEPT, CONNECTION, HeaderValue, USER_AGENT};
use fetch::http::{HeaderMap, Method, Request};
use fetch::{Answer, Next, Room, Target, Wanted, dial, exchange};
use memchr::memmem::Finder;
use plugin_api::limits::cut;
use std::fmt;
use std::time::{Duration, Instant};

/// What is to be checked.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) expect: Expect,
    pub(crate) contains: Option<Finder<'static>>,
    pub(crate) timeout: Duration,
    pub(crate) follow: bool,
    /// For https; none where it cannot come to that.
    pub(crate) tls: Option<Tls>,
}

/// Which statuses are good: from one to another, each.
#[derive(Debug)]
pub(crate) struct Expect(pub(crate) Vec<(u16, u16)>);

impl Default for Expect {
    /// 2xx and 3xx: a redirect is an answer.
    fn default() -> Expect {
        Expect(vec![(200, 399)])
    }
}

impl Expect {
    fn takes(&self, status: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { " or " } else { "" })?;
            match (first, last) {
                (first, last) if first == last => write!(f, "{first}")?,
                (200, 399) => f.write_str("2xx or 3xx")?,
                (first, _) => write!(f, "{}xx", first / 100)?,
            }
        }
        Ok(())
    }
}

/// What came of a check. What was not reached is not there.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) status: Option<u16>,
    pub(crate) resolve: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) tls: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) total: Option<Duration>,
    pub(crate) bytes: Option<u64>,
    /// When the certificate ends, in milliseconds since the Unix epoch.
    pub(crate) ends_ms: Option<i64>,
    /// Empty if all is well.
    pub(crate) error: String,
}

impl Check {
    /// Does it, within its time.
    pub(crate) async fn run(&self, room: &Room) -> Outcome {
        let began = Instant::now();
        let mut outcome = Outcome::default();
        let ran = self.asked(room, began, &mut outcome).await;
        outcome.ends_ms = self.tls.as_ref().and_then(Tls::take_end);
        match ran {
            Ok(()) => outcome.total = Some(began.elapsed()),
            Err(why) => {
                // How long an answer took that was not as it should be is known as well.
                outcome.total = outcome.bytes.map(|_| began.elapsed());
                let why = why.replace(char::is_control, " ");
                cut(&why, ERROR_BYTES_MAX).clone_into(&mut outcome.error);
            }
        }
        outcome
    }

    async fn asked(&self, room: &Room, began: Instant, outcome: &mut Outcome) -> Result<(), String> {
        let until = began + self.timeout;
        let (mut target, mut method) = (self.target.clone(), self.method.clone());
        for _ in 0..=REDIRECTS_MAX {
            let mut answer = Answer::default();
            let next = self.once(room, &target, method, until, outcome, &mut answer).await;
            outcome.status = Some(answer.status).filter(|status| *status > 0);
            outcome.first_byte = answer.first_byte.map(|at| at.saturating_duration_since(began));
            let Some(next) = next? else {
                outcome.bytes = Some(answer.bytes);
                return self.judge(&answer);
            };
            target = Target::of(&next.uri).map_err(|why| format!("a redirect to what {why}"))?;
            method = next.method;
        }
        Err(format!("more than {REDIRECTS_MAX} redirects"))
    }

    /// One request; where it leads on to, if it was answered by a redirect that is to be followed.
    async fn once(
        &self,
        room: &Room,
        target: &Target,
        method: Method,
        until: Instant,
        outcome: &mut Outcome,
        answer: &mut Answer,
    ) -> Result<Option<Next>, String> {
        let dialled = dial(room, target, until).await?;
        let add = |sum: &mut Option<Duration>, time: Duration| *sum = Some(sum.unwrap_or_default() + time);
        add(&mut outcome.resolve, dialled.resolve);
        add(&mut outcome.connect, dialled.connect);
        let request = self.request(target, method);
        let wanted = Wanted { body_max: BODY_BYTES_MAX, body: self.contains.is_some(), redirect: self.follow };
        let mut stream = dialled.stream;
        match &self.tls {
            Some(tls) if target.is_tls() => {
                let began = Instant::now();
                let mut stream = tls.shake_hands(target.host(), stream).await?;
                add(&mut outcome.tls, began.elapsed());
                exchange(&mut stream, request, wanted, answer).await
            }
            _ => exchange(&mut stream, request, wanted, answer).await,
        }
    }

    fn request(&self, target: &Target, method: Method) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = target.uri().clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("graftd-url-check/", env!("CARGO_PKG_VERSION"))));
        // They may have what opens a door: not for whoever a redirect leads to.
        if target.is_same_place(&self.target) {
            headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        request
    }

    fn judge(&self, answer: &Answer) -> Result<(), String> {
        if !self.expect.takes(answer.status) {
            return Err(format!("status {}, not {}", answer.status, self.expect));
        }
        match &self.contains {
            Some(text) if text.find(&answer.body).is_none() => {
                let within =
                    if answer.cut { format!("in its first {BODY_BYTES_MAX} bytes") } else { "there".to_owned() };
                Err(format!("{:?} is not {within}", String::from_utf8_lossy(text.needle())))
            }
            _ => Ok(()),
        }
    }
}

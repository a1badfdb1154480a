//! One request, as a pipe sees it: every field borrowed from the block of log it stands in.
//!
//! A record is flat and small (text is an offset and a length into its line), so that a batch of some
//! hundred stays in the processor's cache while every pipe walks over it.

use abi_stable::{StableAbi, std_types::RStr};

/// A field of an access-log record.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Address of the client: nginx `$remote_addr`, Apache `%h` or `%a`.
    Addr,
    /// The authenticated user: `$remote_user`, `%u`.
    User,
    /// When the request was taken, as the log writes it: `$time_local`, `%t`.
    Time,
    /// `GET`, `POST`, …
    Method,
    /// The request's target as it came, with its query.
    Url,
    /// `HTTP/1.1`.
    Protocol,
    /// The status code: `$status`, `%>s`.
    Status,
    /// Bytes of the body sent: `$body_bytes_sent`, `%b`.
    Bytes,
    /// The `Referer` header.
    Referer,
    /// The `User-Agent` header.
    Agent,
    /// Seconds spent on the request: `$request_time`, `%T`, `%D`.
    RequestTime,
    /// Seconds spent by the upstreams: `$upstream_response_time`.
    UpstreamTime,
    /// The name of the virtual host: `$host`, `%v`.
    Host,
}

impl Field {
    /// How many fields there are.
    pub const COUNT: usize = 13;

    /// Every field, in the order of its number.
    pub const ALL: [Field; Field::COUNT] = [
        Field::Addr,
        Field::User,
        Field::Time,
        Field::Method,
        Field::Url,
        Field::Protocol,
        Field::Status,
        Field::Bytes,
        Field::Referer,
        Field::Agent,
        Field::RequestTime,
        Field::UpstreamTime,
        Field::Host,
    ];

    /// The field's name, as messages and a map of JSON fields spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Field::Addr => "addr",
            Field::User => "user",
            Field::Time => "time",
            Field::Method => "method",
            Field::Url => "url",
            Field::Protocol => "protocol",
            Field::Status => "status",
            Field::Bytes => "bytes",
            Field::Referer => "referer",
            Field::Agent => "agent",
            Field::RequestTime => "request_time",
            Field::UpstreamTime => "upstream_time",
            Field::Host => "host",
        }
    }
}

/// A set of [`Field`]s: what a pipe reads, so that the host need not decode the rest.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fields(u32);

impl Fields {
    /// No field: the pipe only counts records.
    pub const NONE: Fields = Fields(0);
    /// Every field.
    pub const ALL: Fields = Fields((1 << Field::COUNT) - 1);

    /// The set of these fields.
    #[must_use]
    pub const fn of(fields: &[Field]) -> Fields {
        let mut bits = 0;
        let mut i = 0;
        while i < fields.len() {
            bits |= 1 << fields[i] as u32;
            i += 1;
        }
        Fields(bits)
    }

    /// The fields that are in either set.
    #[must_use]
    pub const fn union(self, other: Fields) -> Fields {
        Fields(self.0 | other.0)
    }

    /// Whether `field` is in the set.
    #[inline]
    #[must_use]
    pub const fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u32) != 0
    }
}

/// Where a field stands in its line, in bytes.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The log has no such field, or the record has `-` there.
    pub const ABSENT: Span = Span { start: u32::MAX, end: 0 };

    /// The bytes from `start` up to `end`.
    #[inline]
    #[must_use]
    pub const fn new(start: u32, end: u32) -> Span {
        Span { start, end }
    }
}

/// One request of an access log, borrowed from the block it was read in.
///
/// A field that the log does not have, and one that the record leaves out with `-`, is `None`.
/// All text is UTF-8: the host replaces what is not before a pipe sees it, and takes the log's own
/// quoting (`\"`, `\x22`) off.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Access<'a> {
    line: RStr<'a>,
    time_ms: i64,
    bytes: u64,
    request_time: f64,
    upstream_time: f64,
    spans: [Span; Field::COUNT],
    /// Where the target's path ends in the line; [`UNKNOWN`] where nobody has looked.
    path_end: u32,
    /// The agent's number in its log, 0 if it has none.
    agent_number: u32,
    status: u16,
}

/// No place in any line.
const UNKNOWN: u32 = u32::MAX;

impl<'a> Access<'a> {
    /// A record of `line` in which no field has been found yet. What follows is for whoever parses logs.
    #[inline]
    #[must_use]
    pub fn new(line: &'a str) -> Access<'a> {
        Access {
            line: RStr::from_str(line),
            time_ms: i64::MIN,
            bytes: u64::MAX,
            request_time: f64::NAN,
            upstream_time: f64::NAN,
            spans: [Span::ABSENT; Field::COUNT],
            path_end: UNKNOWN,
            agent_number: 0,
            status: 0,
        }
    }

    /// Says where a field's text stands in the line.
    #[inline]
    pub fn set_span(&mut self, field: Field, span: Span) {
        self.spans[field as usize] = span;
    }

    /// Says where the target's path ends in the line: at its first `?`, else where the target does.
    #[inline]
    pub fn set_path_end(&mut self, end: u32) {
        self.path_end = end;
    }

    /// Sets the number that stands for the agent's text, see [`Access::agent_number`].
    #[inline]
    pub fn set_agent_number(&mut self, number: u32) {
        self.agent_number = number;
    }

    /// Where a field's text stands in the line, in bytes.
    #[inline]
    #[must_use]
    pub fn span(&self, field: Field) -> Option<core::ops::Range<usize>> {
        let Span { start, end } = self.spans[field as usize];
        (start <= end).then_some(start as usize..end as usize)
    }

    /// Sets the status as a number (100 to 999).
    #[inline]
    pub fn set_status(&mut self, status: u16) {
        self.status = status;
    }

    /// Sets the bytes sent.
    #[inline]
    pub fn set_bytes(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// Sets the time of the request, in milliseconds since the Unix epoch.
    #[inline]
    pub fn set_time_ms(&mut self, ms: i64) {
        self.time_ms = ms;
    }

    /// Sets the seconds spent on the request.
    #[inline]
    pub fn set_request_time(&mut self, seconds: f64) {
        self.request_time = seconds;
    }

    /// Sets the seconds spent by all upstreams together.
    #[inline]
    pub fn set_upstream_time(&mut self, seconds: f64) {
        self.upstream_time = seconds;
    }

    /// The whole line.
    #[inline]
    #[must_use]
    pub fn line(&self) -> &'a str {
        self.line.as_str()
    }

    /// A field's text.
    #[inline]
    #[must_use]
    pub fn text(&self, field: Field) -> Option<&'a str> {
        let Span { start, end } = self.spans[field as usize];
        self.line.as_str().get(start as usize..end as usize)
    }

    /// Address of the client.
    #[inline]
    #[must_use]
    pub fn addr(&self) -> Option<&'a str> {
        self.text(Field::Addr)
    }

    /// The authenticated user.
    #[inline]
    #[must_use]
    pub fn user(&self) -> Option<&'a str> {
        self.text(Field::User)
    }

    /// When the request was taken, in milliseconds since the Unix epoch.
    #[inline]
    #[must_use]
    pub fn time_ms(&self) -> Option<i64> {
        (self.time_ms != i64::MIN).then_some(self.time_ms)
    }

    /// `GET`, `POST`, …
    #[inline]
    #[must_use]
    pub fn method(&self) -> Option<&'a str> {
        self.text(Field::Method)
    }

    /// The request's target as it came, with its query.
    #[inline]
    #[must_use]
    pub fn url(&self) -> Option<&'a str> {
        self.text(Field::Url)
    }

    /// The request's target without its query.
    #[inline]
    #[must_use]
    pub fn path(&self) -> Option<&'a str> {
        if self.path_end == UNKNOWN {
            return self.url().map(|url| memchr::memchr(b'?', url.as_bytes()).map_or(url, |query| &url[..query]));
        }
        self.line.as_str().get(self.spans[Field::Url as usize].start as usize..self.path_end as usize)
    }

    /// `HTTP/1.1`.
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> Option<&'a str> {
        self.text(Field::Protocol)
    }

    /// The status code.
    #[inline]
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        (self.status != 0).then_some(self.status)
    }

    /// The status code as it stands in the log, `-` where there is none.
    #[inline]
    #[must_use]
    pub fn status_text(&self) -> &'a str {
        self.text(Field::Status).unwrap_or("-")
    }

    /// The status's class: `2xx`, `4xx`, …; `-` where there is no status.
    #[inline]
    #[must_use]
    pub fn status_class(&self) -> &'static str {
        const CLASSES: [&str; 10] = ["-", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx"];
        CLASSES[usize::from(self.status / 100).min(9)]
    }

    /// Bytes of the body sent; a `-` in the log is none.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        (self.bytes != u64::MAX).then_some(self.bytes)
    }

    /// The `Referer` header.
    #[inline]
    #[must_use]
    pub fn referer(&self) -> Option<&'a str> {
        self.text(Field::Referer)
    }

    /// The `User-Agent` header.
    #[inline]
    #[must_use]
    pub fn agent(&self) -> Option<&'a str> {
        self.text(Field::Agent)
    }

    /// A number that stands for the agent's text: in all that one pipe is given, the same number is the same text (a
    /// text may have several numbers). 0 where the host has given none. See [`Cache::get_numbered`](crate::Cache::get_numbered).
    #[inline]
    #[must_use]
    pub fn agent_number(&self) -> u32 {
        self.agent_number
    }

    /// Seconds spent on the request.
    #[inline]
    #[must_use]
    pub fn request_time(&self) -> Option<f64> {
        (!self.request_time.is_nan()).then_some(self.request_time)
    }

    /// Seconds spent by all upstreams together.
    #[inline]
    #[must_use]
    pub fn upstream_time(&self) -> Option<f64> {
        (!self.upstream_time.is_nan()).then_some(self.upstream_time)
    }

    /// The name of the virtual host.
    #[inline]
    #[must_use]
    pub fn host(&self) -> Option<&'a str> {
        self.text(Field::Host)
    }
}

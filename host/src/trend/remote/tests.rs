//! From a commit to a store, whatever that says.

mod over;

use super::buffer::{self, Buffer, Told};
use super::link::Link;
use super::send;
use super::store::Store;
use super::{answer, write};
use crate::conf::StoreConf;
use crate::tree::{Fed, Kept, More, Row};
use crate::trend::history::{History, Retention};
use crate::trend::pending::Pending;
use crate::trend::relays::Relays;
use crate::trend::sqlite::Database;
use graftd_fuzz::Random;
use plugin_api::sketch::Quantiles;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const START: i64 = 1_767_571_200_000;
const EVERY: i64 = 10_000;

/// Samples by their labels: times, and values as bits.
type Samples = BTreeMap<String, Vec<(i64, u64)>>;

/// A store that answers each request as it is told to by what is in it; what it took comes out at the other end.
fn store(answer: impl Fn(usize, &Samples) -> &'static str + Send + 'static) -> (Store, Receiver<Samples>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let write = format!("http://{}/api/v1/write", listener.local_addr().expect("an address"));
    let (took, taken) = channel();
    thread::spawn(move || {
        let mut number = 0;
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let mut reader = BufReader::new(stream);
            loop {
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                if length == 0 || reader.read_exact(&mut body).is_err() {
                    break;
                }
                let samples = unpacked(&body);
                let says = answer(number, &samples);
                number += 1;
                if says.starts_with('2') && took.send(samples).is_err() {
                    return;
                }
                let text = format!("HTTP/1.1 {says}\r\nContent-Length: 3\r\n\r\nwhy");
                if reader.get_mut().write_all(text.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    let conf = StoreConf {
        write,
        read: None,
        headers: BTreeMap::new(),
        token_file: None,
        password_file: None,
        ca: None,
        buffer_bytes: 0,
    };
    (Store::new(conf).expect("a store"), taken)
}

/// Reads what a request has, as a store does.
fn unpacked(body: &[u8]) -> Samples {
    let bytes = snap::raw::Decoder::new().decompress_vec(body).expect("packed");
    let mut all = Samples::new();
    for (_, series) in fields(&bytes) {
        let (mut labels, mut samples) = (Vec::new(), Vec::new());
        for (key, field) in fields(series) {
            match key {
                0x0a => {
                    let texts: Vec<String> =
                        fields(field).iter().map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect();
                    labels.push(texts.join("="));
                }
                _ => {
                    let bits = u64::from_le_bytes(field[1..9].try_into().expect("a value"));
                    samples.push((number(&mut &field[10..]).cast_signed(), bits));
                }
            }
        }
        labels.retain(|label| !label.starts_with("job=") && !label.starts_with("instance="));
        all.insert(labels.join(" "), samples);
    }
    all
}

/// The fields of a message, all of which have a length.
fn fields(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut all = Vec::new();
    while let Some((key, rest)) = bytes.split_first() {
        bytes = rest;
        let length = usize::try_from(number(&mut bytes)).expect("a length");
        let (field, rest) = bytes.split_at(length);
        all.push((*key, field));
        bytes = rest;
    }
    all
}

fn number(bytes: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    n
}

/// A file that is committed to.
struct Held {
    database: Database,
    history: History,
    buffer: Buffer,
    folder: tempfile::TempDir,
}

impl Held {
    fn new(limit: u64) -> Held {
        let folder = tempfile::tempdir().expect("a folder");
        Held::open(folder, limit)
    }

    fn open(folder: tempfile::TempDir, limit: u64) -> Held {
        let mut database = Database::open(&folder.path().join("graftd.db")).expect("a database");
        let retention = Retention { raw_ms: 1, minute_ms: 1, ten_minutes_ms: 1, day_ms: 1 };
        let history = History::open(database.connection(), retention).expect("a history");
        let buffer = Buffer::open(database.connection(), Arc::default(), limit).expect("a buffer");
        Held { database, history, buffer, folder }
    }

    fn link(&self) -> Arc<Link> {
        self.buffer.link()
    }

    fn send_to(&self, store: Store) {
        let file = self.folder.path().join("graftd.db");
        send::start(&file, self.link(), Arc::new(store), "web1".to_owned()).expect("a thread");
    }

    /// A commit at a time after the start, by a clock that has just come beyond all that may have its stamp, or not.
    fn commit(&mut self, at: i64, over: bool, fill: &mut Pending) {
        self.commit_by(if over { EVERY } else { -EVERY }, at, fill);
    }

    /// A commit at a time after the start, by a clock that is so much before or behind it.
    fn commit_by(&mut self, clock: i64, at: i64, fill: &mut Pending) {
        let pending = Pending {
            unix_ms: START + at + clock,
            stamp: START + at,
            every_ms: EVERY,
            history: true,
            elsewhere: true,
            ..std::mem::take(fill)
        };
        let relays = Relays::new(self.database.connection()).expect("an id");
        let link = self.link();
        let mut state = link.state.lock();
        let mut store = (&mut self.buffer, &mut *state);
        let written = self.database.write(&pending, &relays, Some(&mut store), self.history.next(), None);
        written.expect("written");
        let (buffer, state) = store;
        buffer.written(state);
        self.history.committed(START + at, std::iter::empty());
        link.wake();
    }

    fn numbers(&mut self, at: i64, over: bool, numbers: &[(u64, &str, f64)]) {
        let rows = numbers.iter().map(|(id, path, value)| {
            let more = More { path: Some((*path).into()), ..More::default() };
            (*id, Row { id: *id, value: Kept::Number(*value), more: Some(Box::new(more)) })
        });
        self.commit(at, over, &mut Pending { rows: rows.collect(), ..Pending::default() });
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

fn next(taken: &Receiver<Samples>) -> Samples {
    taken.recv_timeout(PATIENCE).expect("something comes")
}

fn of(pairs: &[(&str, &[(i64, f64)])]) -> Samples {
    let told = |samples: &[(i64, f64)]| samples.iter().map(|(at, x)| (START + at, x.to_bits())).collect();
    pairs.iter().map(|(name, samples)| ((*name).to_owned(), told(samples))).collect()
}

#[test]
fn what_a_store_cannot_take_now_it_is_sent_again() {
    for says in ["503 Down", "429 Slow\r\nRetry-After: 0", "401 Who", "404 Where", "307 There\r\nLocation: /x"] {
        let (store, taken) = store(move |number, _| if number < 2 { says } else { "204 Done" });
        let mut held = Held::new(1 << 20);
        held.send_to(store);
        held.numbers(0, true, &[(1, "cpu,idle", 7.5), (2, "a-b", 1.0)]);
        assert_eq!(next(&taken), of(&[("__name__=a_b k0=a-b", &[(0, 1.0)]), ("__name__=cpu k1=idle", &[(0, 7.5)])]));
        let told = held.link().figures();
        assert_eq!((told.failed, told.refused, told.dropped), (2, 0, 0), "{says}");
    }
}

#[test]
fn what_a_store_refuses_is_left_out_and_the_rest_is_saved() {
    // It has the value of the first time already, as after a crash, and of another series it wants none.
    let refuses = |_, samples: &Samples| {
        let bad = samples.iter().any(|(name, all)| name == "__name__=bad" || all.iter().any(|(at, _)| *at == START));
        if bad { "400 Bad" } else { "200 OK" }
    };
    let (store, taken) = store(refuses);
    let mut held = Held::new(1 << 20);
    held.numbers(0, false, &[(1, "a", 1.0), (2, "b", 2.0)]);
    held.numbers(EVERY, true, &[(1, "a", 3.0), (2, "bad", 4.0), (3, "c", 5.0)]);
    held.send_to(store);
    let mut all = Samples::new();
    while all.len() < 2 {
        all.extend(next(&taken));
    }
    assert_eq!(all, of(&[("__name__=a", &[(EVERY, 3.0)]), ("__name__=c", &[(EVERY, 5.0)])]));
    held.numbers(2 * EVERY, true, &[(4, "d", 1.0)]);
    assert_eq!(next(&taken), of(&[("__name__=d", &[(2 * EVERY, 1.0)])]));
    let told = held.link().figures();
    assert_eq!(told.refused, 3, "{told:?}");
    // It is not forgotten because something else was taken since.
    assert!(told.error.contains("answered 400"), "{told:?}");
}

#[test]
fn one_series_that_a_store_refuses_takes_nothing_along_though_it_is_refused_at_many_times() {
    const SERIES: u64 = 40;
    const TIMES: i64 = 20;
    let (store, taken) = store(|_, samples| if samples.contains_key("__name__=n k1=7") { "400 Bad" } else { "200 OK" });
    let mut held = Held::new(1 << 20);
    let paths: Vec<String> = (0..SERIES).map(|id| format!("n,{id}")).collect();
    for at in 0..TIMES {
        let numbers: Vec<(u64, &str, f64)> =
            (1..).zip(&paths).map(|(id, path)| (id, path.as_str(), at as f64)).collect();
        held.numbers(at * EVERY, at == TIMES - 1, &numbers);
    }
    held.send_to(store);
    let most = (SERIES - 1) * TIMES.cast_unsigned();
    let mut all = 0;
    while all < most {
        all += next(&taken).values().map(|samples| samples.len() as u64).sum::<u64>();
    }
    // What comes after is sent when all before is done.
    held.numbers(TIMES * EVERY, true, &[(100, "end", 1.0)]);
    assert_eq!(next(&taken), of(&[("__name__=end", &[(TIMES * EVERY, 1.0)])]));
    assert_eq!((all, held.link().figures().refused), (most, TIMES.cast_unsigned()));
}

#[test]
fn what_has_been_taken_of_a_request_is_not_sent_again_where_the_rest_cannot_be() {
    // The first half is taken, then the store goes away, and has that of the first time when it is back.
    let answer = |number, _: &Samples| match number {
        0 => "400 Bad",
        1 => "200 OK",
        2 | 3 => "503 Down",
        _ => "204 Done",
    };
    let (store, taken) = store(answer);
    let mut held = Held::new(1 << 20);
    held.numbers(0, false, &[(1, "a", 1.0)]);
    held.numbers(EVERY, true, &[(1, "a", 2.0)]);
    held.send_to(store);
    assert_eq!(next(&taken), of(&[("__name__=a", &[(0, 1.0)])]));
    assert_eq!(next(&taken), of(&[("__name__=a", &[(EVERY, 2.0)])]));
}

#[test]
fn of_one_time_a_store_is_told_one_value() {
    let (store, taken) = store(|_, _| "200 OK");
    let mut held = Held::new(1 << 20);
    held.send_to(store);
    let mut sketch = Quantiles::new();
    sketch.observe_n(2.0, 3);
    let fed = || BTreeMap::from([(5, Fed::Quantiles(Box::new(sketch.clone())))]);
    let rows = |value: f64| {
        let path = |path: &str| Some(Box::new(More { path: Some(path.into()), ..More::default() }));
        let number = Row { id: 1, value: Kept::Number(value), more: path("a") };
        let sketch = Row { id: 5, value: Kept::Quantiles(Box::default()), more: path("time") };
        [(1, number), (5, sketch)].into_iter().collect()
    };
    // Its time is not over: another may come.
    held.commit(0, false, &mut Pending { rows: rows(1.0), fed: fed(), ..Pending::default() });
    held.commit(0, true, &mut Pending { rows: rows(2.0), fed: fed(), ..Pending::default() });
    let first = next(&taken);
    assert_eq!(first["__name__=a"], [(START, 2.0_f64.to_bits())]);
    assert_eq!(first["__name__=time q=count"], [(START, 6.0_f64.to_bits())]);
    assert_eq!(first["__name__=time q=sum"], [(START, 12.0_f64.to_bits())]);
    // It is over, and sent: what comes with its stamp all the same waits for the next.
    held.numbers(0, true, &[(1, "a", 3.0), (2, "b", 4.0)]);
    held.commit(EVERY, true, &mut Pending { fill: vec![(1, 9.0), (3, 8.0)], gone: vec![2], ..Pending::default() });
    let second = next(&taken);
    assert_eq!(second["__name__=a"], [(START + EVERY, 3.0_f64.to_bits())]);
    assert_eq!(second["__name__=b"], [(START + EVERY, write::STALE)]);
}

#[test]
fn a_daemon_that_goes_on_at_the_time_at_which_it_was_killed_tells_one_value_of_it() {
    let mut held = Held::new(1 << 20);
    held.numbers(0, false, &[(1, "a", 1.0)]);
    held.numbers(EVERY, false, &[(1, "a", 2.0), (2, "b", 2.0)]);
    let Held { folder, database, .. } = held;
    drop(database);
    let (store, taken) = store(|_, _| "200 OK");
    let mut held = Held::open(folder, 1 << 20);
    held.send_to(store);
    held.numbers(EVERY, false, &[(1, "a", 3.0)]);
    assert_eq!(next(&taken), of(&[("__name__=a", &[(0, 1.0), (EVERY, 2.0)]), ("__name__=b", &[(EVERY, 2.0)])]));
    held.numbers(EVERY, true, &[(3, "c", 3.0)]);
    held.numbers(2 * EVERY, true, &[(4, "d", 4.0)]);
    let last = [("__name__=a", 3.0_f64), ("__name__=c", 3.0), ("__name__=d", 4.0)];
    let told = |x: f64| vec![(START + 2 * EVERY, x.to_bits())];
    assert_eq!(next(&taken), last.iter().map(|(name, x)| ((*name).to_owned(), told(*x))).collect());
}

#[test]
fn a_value_that_stays_is_told_beside_the_time_of_the_commit() {
    let (store, taken) = store(|_, _| "200 OK");
    let mut held = Held::new(1 << 20);
    held.send_to(store);
    held.numbers(0, true, &[(1, "a", 1.0), (2, "b", 2.0)]);
    next(&taken);
    let rows = [(1, Row { id: 1, value: Kept::Number(3.0), more: None })].into_iter().collect();
    held.commit(EVERY, true, &mut Pending { rows, fill: vec![(1, 3.0), (2, 2.0)], ..Pending::default() });
    let told = next(&taken);
    assert_eq!(told["__name__=a"], [(START + EVERY, 3.0_f64.to_bits())]);
    assert_eq!(told["__name__=b"], [(START + EVERY + send::FILL_MS, 2.0_f64.to_bits())]);
}

#[test]
fn what_waits_outlives_the_daemon_and_keeps_within_its_limit() {
    let mut held = Held::new(1 << 20);
    let many: Vec<(u64, String, f64)> = (1..=5_000).map(|id| (id, format!("n,{id}"), id as f64)).collect();
    let numbers: Vec<(u64, &str, f64)> = many.iter().map(|(id, path, x)| (*id, path.as_str(), *x)).collect();
    held.numbers(0, true, &numbers);
    let before = held.link().figures();
    assert_eq!((before.waiting, before.dropped), (5_000, 0));
    let Held { folder, database, .. } = held;
    drop(database);
    // A daemon with less room.
    let mut held = Held::open(folder, 70_000);
    assert_eq!(held.link().figures().waiting, 5_000);
    held.numbers(EVERY, true, &numbers);
    let told = held.link().figures();
    assert!(told.waiting_bytes <= 70_000, "{told:?}");
    assert_eq!(told.waiting + told.dropped, 10_000);
    let (store, taken) = store(|_, _| "200 OK");
    held.send_to(store);
    let mut samples: Vec<(i64, u64)> = Vec::new();
    while (samples.len() as u64) < told.waiting {
        samples.extend(next(&taken).into_values().flatten());
    }
    // What is left is the newest.
    assert!((4_000..=7_000).contains(&samples.len()), "{}", samples.len());
    assert_eq!(samples.iter().filter(|(at, _)| *at == START + EVERY).count(), 5_000);
    // What was sent goes with the next commit. What was taken has been sent when it was answered.
    let began = Instant::now();
    while held.link().figures().sent < told.waiting {
        assert!(began.elapsed() < PATIENCE, "{:?}", held.link().figures());
        thread::yield_now();
    }
    held.numbers(2 * EVERY, false, &[(1, "n,1", 0.0)]);
    assert_eq!(held.link().figures().waiting, 1);
}

#[test]
fn rows_come_back_and_others_do_not_panic() {
    let told = |id, figure, fill, x: f64| Told { id, figure, fill, bits: x.to_bits() };
    let rows = [
        vec![told(1, None, false, 1.5), told(2, None, true, -0.0), told(u64::MAX >> 1, None, false, f64::MAX)],
        vec![told(7, Some(0), false, 1.0), told(7, Some(9), false, 2.0), told(300, Some(4), false, 3.0)],
    ];
    let encoded: Vec<Vec<u8>> = rows.iter().map(|row| buffer::encode(row)).collect();
    for (row, bytes) in rows.iter().zip(&encoded) {
        assert_eq!(buffer::decode(bytes).as_ref(), Ok(row));
    }
    let (cases, seed) = (graftd_fuzz::cases(), graftd_fuzz::seed());
    let mut good = 0;
    for case in 0..cases {
        let mut random = Random::of(seed, case);
        let mut bytes = encoded[random.below(2)].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            match random.below(3) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, random.next() as u8),
            }
        }
        good += u64::from(buffer::decode(&bytes).is_ok());
    }
    graftd_fuzz::walked("rows that wait", good, cases, 5..=95);
}

#[test]
fn whatever_a_store_answers_is_an_answer_or_none() {
    const ANSWER: &[u8] = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"cpu","job":"graftd","k1":"h\"1","rest":"a,b"},"values":[[1767571200.001,"0.5"],[1767571201,"NaN"],[1767571202,null]]}]}}"#;
    let (cases, seed) = (graftd_fuzz::cases(), graftd_fuzz::seed());
    let mut good = 0;
    #[derive(serde::Deserialize)]
    struct All {
        data: answer::Found,
    }
    for case in 0..cases {
        let mut random = Random::of(seed, case);
        let mut bytes = ANSWER.to_vec();
        for _ in 0..random.below(3) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.next() as u8,
                1 => bytes[at] = b"\"[]{},:0e-+.\\"[random.below(13)],
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\"[]{},:0e-+.\\"[random.below(13)]),
            }
        }
        let Ok(all) = serde_json::from_slice::<All>(&bytes) else { continue };
        good += 1;
        for series in all.data.result {
            super::labels::path_of(&series.metric.0);
        }
    }
    graftd_fuzz::walked("answers of a store", good, cases, 20..=90);
}

//! Times that are over: of each a store is told one value, and nothing is lost that comes late.

use super::*;
use crate::trend::remote::send::{ROWS_MAX, SAMPLES_MAX};
use rusqlite::params;

/// Puts rows where they wait, as commits did that nobody sent: times after the start, and values of series `n,ID`.
fn leave(held: &Held, rows: &[(i64, Vec<(u64, f64)>)]) {
    let file = held.folder.path().join("graftd.db");
    let mut connection = rusqlite::Connection::open(file).expect("opened");
    let transaction = connection.transaction().expect("begun");
    for (at, values) in rows {
        let told: Vec<Told> =
            values.iter().map(|(id, x)| Told { id: *id, figure: None, fill: false, bits: x.to_bits() }).collect();
        let put = "INSERT INTO outgoing(stamp, samples, data) VALUES(?, ?, ?)";
        let row = params![START + at, told.len() as i64, buffer::encode(&told)];
        transaction.execute(put, row).expect("put");
        for (id, _) in values {
            let named = "INSERT OR IGNORE INTO series(id, path) VALUES(?, ?)";
            transaction.execute(named, params![id.cast_signed(), format!("n,{id}")]).expect("named");
        }
    }
    transaction.commit().expect("written");
}

/// All that a store is told up to a series `end`; nothing twice.
fn until_the_end(taken: &Receiver<Samples>) -> BTreeMap<(String, i64), f64> {
    let mut all = BTreeMap::new();
    loop {
        let told = next(taken);
        let end = told.contains_key("__name__=end");
        for (name, samples) in told {
            for (at, bits) in samples {
                let before = all.insert((name.clone(), at - START), f64::from_bits(bits));
                assert_eq!(before, None, "{name} at {}", at - START);
            }
        }
        if end {
            return all;
        }
    }
}

fn again(held: Held) -> Held {
    let Held { folder, database, buffer, .. } = held;
    drop((database, buffer));
    Held::open(folder, 1 << 30)
}

#[test]
fn after_an_outage_of_many_commits_a_time_each_time_is_told_once() {
    let held = Held::new(1 << 30);
    // The last row that is read at once is the first of a time.
    let mut rows = vec![(0, vec![(1, 0.5)])];
    for at in 1..=i64::try_from(ROWS_MAX).expect("a few") {
        let value = |n: i64| (at * 10 + n) as f64;
        rows.extend((0..2).map(|n| (at * EVERY, vec![(1, value(n)), (2 + n.cast_unsigned(), value(n))])));
    }
    leave(&held, &rows);
    let mut held = again(held);
    let (store, taken) = store(|_, _| "200 OK");
    held.send_to(store);
    let end = (ROWS_MAX as i64 + 1) * EVERY;
    held.numbers(end, true, &[(9, "end", 1.0)]);
    let all = until_the_end(&taken);
    assert_eq!(all.len(), 1 + 3 * ROWS_MAX + 1);
    for at in 1..=ROWS_MAX as i64 {
        assert_eq!(all[&("__name__=n k1=1".to_owned(), at * EVERY)], (at * 10 + 1) as f64);
    }
}

#[test]
fn a_time_that_has_more_than_is_read_at_once_is_told_once_too() {
    let held = Held::new(1 << 30);
    let chunk = |from: u64| (from..from + 2_000).map(|id| (id, id as f64)).collect::<Vec<_>>();
    let chunks = SAMPLES_MAX as u64 / 2_000 + 1;
    let mut rows: Vec<_> = (0..chunks).map(|n| (0, chunk(1 + n * 2_000))).collect();
    // The last has been read before there is no room, the first has not.
    let last = chunks * 2_000;
    rows.push((0, vec![(1, -1.0), (last, -2.0)]));
    rows.push((0, vec![(1, -3.0)]));
    leave(&held, &rows);
    let mut held = again(held);
    let (store, taken) = store(|_, _| "200 OK");
    held.send_to(store);
    held.numbers(EVERY, true, &[(1 << 40, "end", 1.0)]);
    let all = until_the_end(&taken);
    assert_eq!(all.len() as u64, last + 1);
    let of = |id: u64| all[&(format!("__name__=n k1={id}"), 0)];
    assert_eq!((of(1), of(last), of(2)), (-3.0, -2.0, 2.0));
}

#[test]
fn what_a_daemon_before_may_have_sent_is_not_told_again_with_other_values() {
    let (before, told) = store(|_, _| "200 OK");
    let mut held = Held::new(1 << 20);
    held.send_to(before);
    held.numbers(0, true, &[(1, "a", 1.0), (2, "b", 1.0)]);
    assert_eq!(next(&told)["__name__=a"], [(START, 1.0_f64.to_bits())]);
    // It is killed before it has noted that; the clock of the next is behind.
    let mut held = again(held);
    let (after, told) = store(|_, _| "200 OK");
    held.send_to(after);
    let rows = [(1, Row { id: 1, value: Kept::Number(2.0), more: None })].into_iter().collect();
    held.commit(0, false, &mut Pending { rows, whole: vec![(1, 2.0), (2, 1.0)], ..Pending::default() });
    assert_eq!(next(&told), of(&[("__name__=a", &[(0, 1.0)]), ("__name__=b", &[(0, 1.0)])]));
    held.numbers(EVERY, true, &[(3, "c", 3.0)]);
    // What had not changed is not told as if it had.
    let mut all = of(&[("__name__=a", &[(EVERY, 2.0)]), ("__name__=c", &[(EVERY, 3.0)])]);
    all.extend(of(&[("__name__=b", &[(EVERY + send::FILL_MS, 1.0)])]));
    assert_eq!(next(&told), all);
}

#[test]
fn a_daemon_that_goes_on_before_a_time_is_over_adds_to_it() {
    let number = |value| [(1, Row { id: 1, value: Kept::Number(value), more: None })].into_iter().collect();
    let mut held = Held::new(1 << 20);
    held.numbers(0, true, &[(1, "a", 1.0)]);
    held.commit_by(-EVERY / 2, EVERY, &mut Pending { rows: number(2.0), fed: fed(1), ..Pending::default() });
    // It is killed, and the next has the same time.
    let mut held = again(held);
    let (after, told) = store(|_, _| "200 OK");
    held.send_to(after);
    held.commit_by(EVERY / 5, EVERY, &mut Pending { rows: number(3.0), fed: fed(2), ..Pending::default() });
    assert_eq!(next(&told), of(&[("__name__=a", &[(0, 1.0)])]));
    feed(&mut held, 2 * EVERY, true, 4);
    let all = next(&told);
    assert_eq!(all["__name__=a"], [(START + EVERY, 3.0_f64.to_bits())]);
    // The figures of what the second was fed are told with its next.
    assert_eq!(all[COUNT].iter().map(|(_, bits)| f64::from_bits(*bits)).sum::<f64>(), 7.0);
}

#[test]
fn a_clock_that_is_put_back_by_hours_begins_anew_and_is_told_until_it_has_caught_up() {
    const HOUR: i64 = 3_600_000;
    let (store, taken) = store(|_, _| "200 OK");
    let mut held = Held::new(1 << 20);
    held.send_to(store);
    for at in [8 * HOUR, 5 * HOUR, 7 * HOUR + HOUR / 2, 8 * HOUR + EVERY] {
        held.numbers(at, true, &[(1, "a", 1.0)]);
        assert_eq!(next(&taken), of(&[("__name__=a", &[(at, 1.0)])]));
    }
}

/// A sketch that was fed so many numbers.
fn fed(n: u32) -> BTreeMap<u64, Fed> {
    let mut sketch = Quantiles::new();
    sketch.observe_n(2.0, u64::from(n));
    BTreeMap::from([(5, Fed::Quantiles(Box::new(sketch)))])
}

fn feed(held: &mut Held, at: i64, over: bool, n: u32) {
    let more = More { path: Some("time".into()), ..More::default() };
    let row = Row { id: 5, value: Kept::Quantiles(Box::default()), more: Some(Box::new(more)) };
    held.commit(at, over, &mut Pending { rows: [(5, row)].into_iter().collect(), fed: fed(n), ..Pending::default() });
}

fn count(at: i64, n: u32) -> Vec<(i64, u64)> {
    vec![(START + at, f64::from(n).to_bits())]
}

const COUNT: &str = "__name__=time q=count";

#[test]
fn what_sketches_were_fed_in_a_time_that_is_over_is_told_with_the_next() {
    let (store, taken) = store(|_, _| "200 OK");
    let mut held = Held::new(1 << 20);
    held.send_to(store);
    feed(&mut held, 0, true, 1);
    assert_eq!(next(&taken)[COUNT], count(0, 1));
    feed(&mut held, 0, true, 2);
    feed(&mut held, 0, true, 4);
    // With what is fed by then, and where nothing is.
    feed(&mut held, EVERY, true, 8);
    assert_eq!(next(&taken)[COUNT], count(EVERY, 14));
    feed(&mut held, EVERY, true, 16);
    held.numbers(2 * EVERY, true, &[(1, "a", 1.0)]);
    assert_eq!(next(&taken)[COUNT], count(2 * EVERY, 16));
}

#[test]
fn what_sketches_were_fed_at_the_time_of_the_daemon_before_is_told_with_the_next() {
    let mut held = Held::new(1 << 20);
    feed(&mut held, 0, false, 1);
    let mut held = again(held);
    let (store, taken) = store(|_, _| "200 OK");
    held.send_to(store);
    feed(&mut held, 0, false, 2);
    assert_eq!(next(&taken)[COUNT], count(0, 1));
    feed(&mut held, EVERY, true, 4);
    assert_eq!(next(&taken)[COUNT], count(EVERY, 6));
}

#[test]
fn a_value_that_stays_is_told_with_the_next_time_where_one_is_over() {
    let (store, taken) = store(|_, _| "200 OK");
    let mut held = Held::new(1 << 20);
    held.send_to(store);
    held.numbers(0, true, &[(1, "a", 1.0), (2, "b", 2.0)]);
    next(&taken);
    held.commit(0, true, &mut Pending { fill: vec![(1, 1.0), (2, 2.0)], ..Pending::default() });
    held.numbers(EVERY, true, &[(1, "a", 3.0)]);
    let told = next(&taken);
    assert_eq!(told["__name__=a"], [(START + EVERY, 3.0_f64.to_bits())]);
    assert_eq!(told["__name__=b"], [(START + EVERY + send::FILL_MS, 2.0_f64.to_bits())]);
}

#[test]
fn a_commit_that_failed_and_is_there_all_the_same_is_not_forgotten() {
    let mut held = Held::new(1 << 20);
    let pending = Pending {
        fed: fed(1),
        unix_ms: START - EVERY,
        stamp: START,
        every_ms: EVERY,
        history: true,
        ..Pending::default()
    };
    let relays = Relays::new(held.database.connection()).expect("an id");
    let link = held.link();
    let mut state = link.state.lock();
    let mut store = (&mut held.buffer, &mut *state);
    held.database.write(&pending, &relays, Some(&mut store), held.history.next(), None).expect("written");
    drop(state);
    // The disk did not say so.
    held.buffer.failed(held.database.connection());
    held.buffer.tried(true);
    let (to, taken) = self::store(|_, _| "200 OK");
    held.send_to(to);
    feed(&mut held, 0, true, 2);
    assert_eq!(next(&taken)[COUNT], count(0, 3));
}

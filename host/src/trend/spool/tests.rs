//! What is promised, folded, dropped and told of a spool.

use super::*;

const STREAM: Stream<'static> = Stream { relay: "up", tag: 7 };

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(TABLES).unwrap();
    connection.execute_batch("CREATE TABLE info(key TEXT PRIMARY KEY, value ANY) STRICT").unwrap();
    connection
}

fn within<T>(connection: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> T {
    let transaction = connection.transaction().unwrap();
    let done = work(&transaction).unwrap();
    transaction.commit().unwrap();
    done
}

/// An entry that adds 1 at `n`, and sets a gauge.
fn entry(n: u64, gauge: f64) -> Vec<Packed> {
    let mut fold = Fold::default();
    fold.feed(&["n", &n.to_string()], Op::Add(1.0));
    fold.feed(&["gauge"], Op::Set(gauge));
    pack(fold, 1).0
}

/// What all that waits adds up to, and the gauge as it is at the end.
fn all(connection: &Connection) -> (f64, f64) {
    let mut select = connection.prepare("SELECT data FROM spool ORDER BY number").unwrap();
    let found = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    let (mut sum, mut gauge) = (0.0, f64::NAN);
    for data in found {
        let frame = unpack(&data.unwrap()).unwrap();
        let mut reader = Reader::new(&frame).unwrap();
        while let Some(entry) = reader.next_entry().unwrap() {
            match entry.op {
                Op::Add(n) => sum += n,
                Op::Set(x) => gauge = x,
                _ => {}
            }
        }
    }
    (sum, gauge)
}

fn numbers(connection: &Connection, peer: Option<&str>) -> Vec<i64> {
    let sql = "SELECT number FROM spool WHERE peer IS ? ORDER BY number";
    let mut select = connection.prepare(sql).unwrap();
    select.query_map([peer], |row| row.get(0)).unwrap().map(std::result::Result::unwrap).collect()
}

#[test]
fn what_is_promised_goes_to_nobody_else_and_is_not_folded() {
    let mut db = database();
    let window = RELAY_WINDOW_ENTRIES as u64;
    for i in 0..3 * window {
        within(&mut db, |to| STREAM.append(to, &entry(i % 5, i as f64)));
    }
    let met = within(&mut db, |to| {
        let met = STREAM.meet(to, ("a", "a:1"), [None, None])?;
        STREAM.promise(to, "a")?;
        Ok(met)
    });
    assert_eq!(met, Ok(false));
    assert_eq!(numbers(&db, Some("a")), (1..=RELAY_WINDOW_ENTRIES).collect::<Vec<_>>());
    // Folded: all but these, and nothing is lost.
    let size = STREAM.size(&db).unwrap().1;
    within(&mut db, |to| STREAM.shrink(to, size / 2));
    assert!(STREAM.size(&db).unwrap().1 <= size / 2);
    assert_eq!(numbers(&db, Some("a")).len() as u64, window);
    assert_eq!(all(&db), (3.0 * window as f64, (3 * window - 1) as f64));
    // It has some, and leaves: what may have been sent waits for it.
    within(&mut db, |to| STREAM.acknowledged(to, "a", 10));
    within(&mut db, |to| STREAM.take_back(to, "a", 20));
    assert_eq!(numbers(&db, Some("a")), (11..=20).collect::<Vec<_>>());
    within(&mut db, |to| STREAM.promise(to, "b"));
    assert!(numbers(&db, Some("b")).iter().all(|number| *number > 20));
    assert_eq!(STREAM.load(&db).unwrap().dropped, 0);
}

#[test]
fn who_is_not_waited_for_any_more_has_its_entries_told_anew_without_what_was_set() {
    let mut db = database();
    for (address, id) in [("a:1", "a"), ("b:1", "b")] {
        within(&mut db, |to| STREAM.append(to, &entry(1, 5.0)));
        assert_eq!(within(&mut db, |to| STREAM.meet(to, (id, address), [None, None])), Ok(false));
        within(&mut db, |to| STREAM.promise(to, id));
    }
    within(&mut db, |to| STREAM.append(to, &entry(1, 9.0)));
    within(&mut db, |to| STREAM.keep_to(to, &["b:1".to_owned()]));
    assert_eq!((numbers(&db, Some("b")), numbers(&db, None)), (vec![2], vec![3, 4]));
    assert_eq!(all(&db), (3.0, 9.0));
    // Another receiver answers in its place.
    assert_eq!(within(&mut db, |to| STREAM.meet(to, ("c", "b:1"), [None, None])), Ok(true));
    assert_eq!((numbers(&db, Some("b")), numbers(&db, None)), (vec![], vec![3, 4, 5]));
    assert_eq!(all(&db), (3.0, 9.0));
}

#[test]
fn entries_of_a_copy_are_known_by_their_tags() {
    let mut db = database();
    for life in 1..4 {
        within(&mut db, |to| Stream { relay: "up", tag: life }.append(to, &entry(1, 0.0)));
    }
    let mut meets = |number, tag| {
        within(&mut db, |to| STREAM.meet(to, ("a", "a:1"), [Some(Place { number, tag }), None]))
            .map(drop)
            .map_err(|why| why.contains("copied"))
    };
    assert_eq!((meets(1, 1), meets(2, 2), meets(3, 3)), (Ok(()), Ok(()), Ok(())));
    assert_eq!((meets(2, 1), meets(3, 9), meets(4, 3)), (Err(true), Err(true), Err(true)));
}

#[test]
fn what_lives_wrote_that_are_not_remembered_any_more_can_be_folded() {
    let mut db = database();
    let mut random = graftd_fuzz::Random::new(1);
    let lives = RELAY_LINEAGE_MAX.cast_unsigned() + 300;
    for life in 0..lives {
        let mut packed = entry(life % 5, 0.0);
        if life < 250 {
            // So large that the oldest are folded by themselves.
            let mut fold = Fold::default();
            let text: String = (0..3_000).map(|_| format!("{:016x}", random.next())).collect();
            fold.feed(&["text"], Op::Text(&text));
            fold.feed(&["n", "text"], Op::Add(1.0));
            packed = pack(fold, 1).0;
        }
        within(&mut db, |to| Stream { relay: "up", tag: life + 1 }.append(to, &packed));
    }
    let oldest = STREAM.oldest(&db, 0).unwrap();
    let remembered: i64 = db.query_row("SELECT min(number) FROM lineage", [], |row| row.get(0)).unwrap();
    assert!(oldest.last().unwrap().0 < remembered, "{} are folded at once", oldest.len());
    let limit = 1 << 20;
    within(&mut db, |to| STREAM.shrink(to, limit));
    let load = STREAM.load(&db).unwrap();
    assert!(load.bytes <= limit && load.folded > 0 && load.dropped == 0, "{load:?}");
    assert_eq!(all(&db).0, lives as f64);
}

#[test]
fn what_has_nothing_in_common_is_dropped_oldest_first_and_counted() {
    let mut db = database();
    for i in 0..100 {
        let mut fold = Fold::default();
        for k in 0..20u64 {
            let key = (i * 1_000 + k).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            fold.feed(&[&format!("{key:x}")], Op::Add(1.0));
        }
        within(&mut db, |to| STREAM.append(to, &pack(fold, 1).0));
    }
    within(&mut db, |to| STREAM.shrink(to, 4_000));
    let load = STREAM.load(&db).unwrap();
    assert!(load.bytes <= 4_000 && load.dropped > 0, "{load:?}");
    let left = all(&db).0;
    assert_eq!(load.dropped_leaves as f64 + left, 2_000.0, "each has added 1: {load:?}");
    let first = id(&db).unwrap();
    assert_eq!(id(&db).unwrap(), first);
    assert_ne!(renew(&db).unwrap(), first);
    assert_eq!(STREAM.load(&db).unwrap().entries, 0);
}

#[test]
fn lines_are_never_folded_nor_dropped() {
    use crate::relay::{Outgoing, Piece, RawLines, RawOrigin, pack_raw};
    let mut db = database();
    let mut random = graftd_fuzz::Random::new(2);
    let mut lines = |n: u64| {
        // They do not pack well.
        let text: String = (0..10).map(|_| format!("{:016x}", random.next())).chain([n.to_string()]).collect();
        let origin = RawOrigin { host: "h".to_owned(), log: "l".to_owned(), ..RawOrigin::default() };
        let piece = Piece { origin: origin.into(), header: None, lines: RawLines::Whole(text.into_bytes()) };
        pack_raw(&Outgoing { pieces: vec![piece.into()], prefix: Vec::new() })
    };
    let mut sent = Vec::new();
    for n in 0..60 {
        within(&mut db, |to| STREAM.append(to, &entry(n % 5, n as f64)));
        if n % 3 == 0 {
            let lines = lines(n);
            sent.push(lines[0].data.clone());
            within(&mut db, |to| STREAM.append(to, &lines));
        }
    }
    let found = |db: &Connection| -> Vec<Vec<u8>> {
        let mut select = db.prepare("SELECT data FROM spool ORDER BY number").unwrap();
        let all = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap().map(std::result::Result::unwrap);
        all.filter(|data| is_raw(data)).collect()
    };
    let raw = STREAM.raw_bytes(&db).unwrap();
    assert_eq!(raw, sent.iter().map(|data| data.len() as u64).sum::<u64>());
    // There is room for the lines and little else: the others are folded around them, and nothing of them is lost.
    assert!((2_000..6_000).contains(&raw) && STREAM.size(&db).unwrap().1 > 2_000, "{raw}");
    within(&mut db, |to| STREAM.shrink(to, raw + 2_000));
    assert!(STREAM.size(&db).unwrap().1 <= 2_000 && found(&db) == sent);
    assert_eq!(STREAM.load(&db).unwrap().dropped, 0);
    // Who reads lines is to wait long before; even so the others keep a quarter, and only they are dropped.
    within(&mut db, |to| STREAM.shrink(to, 200));
    let load = STREAM.load(&db).unwrap();
    assert!(STREAM.size(&db).unwrap().1 <= 50 && load.dropped > 0 && found(&db) == sent, "{load:?}");
    // A receiver that is not waited for any more may have had some: they go to the next.
    assert_eq!(within(&mut db, |to| STREAM.meet(to, ("a", "a:1"), [None, None])), Ok(false));
    within(&mut db, |to| STREAM.promise(to, "a"));
    assert!(numbers(&db, None).is_empty());
    within(&mut db, |to| STREAM.keep_to(to, &["b:1".to_owned()]));
    assert!(found(&db) == sent && numbers(&db, Some("a")).is_empty());
}

/// Else each commit would read all that waits, twice.
#[test]
fn how_much_waits_is_told_without_a_look_at_it() {
    let mut db = database();
    let plan = |db: &Connection, sql: &str| -> String {
        let mut select = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = select.query_map(["up", "0"], |row| row.get::<_, String>(3)).unwrap();
        steps.map(std::result::Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    let (size, oldest) = (plan(&db, SIZE), plan(&db, OLDEST));
    assert!(size.contains("USING COVERING INDEX spool_kind (relay=? AND <expr>=?)"), "{size}");
    assert!(oldest.contains("USING INDEX spool_kind (relay=? AND <expr>=? AND number>?)"), "{oldest}");
    // A file of an older graftd has it from the first start on.
    within(&mut db, |to| STREAM.append(to, &entry(1, 1.0)));
    let size = STREAM.size(&db).unwrap();
    db.execute_batch("DROP INDEX spool_kind").unwrap();
    assert!(STREAM.size(&db).is_err());
    db.execute_batch(INDEXES).unwrap();
    assert!(STREAM.size(&db).unwrap() == size && size.0 == 1);
}

#[test]
fn what_a_stream_had_is_known_when_the_stream_is_gone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut db = Connection::open(file.path()).unwrap();
    db.execute_batch(TABLES).unwrap();
    db.execute_batch("CREATE TABLE info(key TEXT PRIMARY KEY, value ANY) STRICT").unwrap();
    within(&mut db, |to| {
        (0..5).try_for_each(|n| STREAM.append(to, &entry(n, 0.0)))?;
        STREAM.promise(to, "other")?;
        STREAM.acknowledged(to, "other", 1)
    });
    let published = || SpoolReader::open(file.path()).unwrap().published("up").unwrap();
    assert_eq!(published(), None);
    within(&mut db, |to| STREAM.acknowledged(to, "nats:graftd@1", 3));
    // Said again, and late.
    within(&mut db, |to| STREAM.acknowledged(to, "nats:graftd@1", 2));
    assert_eq!(published(), Some(Place { number: 3, tag: 7 }));
    renew(&db).unwrap();
    assert_eq!(published(), None);
}

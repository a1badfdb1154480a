//! A worker that is hostile: the daemon comes to an end with it, in time, whatever it is sent.

use super::link::{Broken, Link, Wanted};
use super::{Worker, WorkerError};
use crate::module::Declared;
use gmod_compat::protocol::records::Encoder;
use gmod_compat::protocol::reply;
use gmod_compat::protocol::wire::{self, tag};
use plugin_api::delta::wire::{Op, Writer};
use plugin_api::{Access, Clock, Error, Field, Fields};
use proptest::prelude::*;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_millis(60);

/// The daemon's side of a worker, and what a worker and its keeper would hold.
fn pair() -> (Worker, UnixStream, UnixStream) {
    let (data, worker_end) = UnixStream::pair().expect("a pair");
    let (control, keeper_end) = UnixStream::pair().expect("a pair");
    let wants = Fields::of(&[Field::Url]);
    let worker = Worker {
        link: Link::new(data, control).expect("a link"),
        keeper: None,
        member: None,
        declared: Declared::default(),
        is_pipe: true,
        wants,
        group: (0, true),
        encoder: Encoder::new(wants),
        time_limit: LIMIT,
        memory_bytes: 1 << 20,
        ahead: 0,
        since: Instant::now(),
        kept: None,
        told: Duration::ZERO,
        broken: None,
        printed: None,
    };
    (worker, worker_end, keeper_end)
}

fn clock() -> Clock {
    Clock::new(1, 1)
}

/// What a collect comes to that is answered so.
fn answered(tag: u8, body: &[u8]) -> (Result<(), WorkerError>, Vec<u8>) {
    let (mut worker, mut peer, _keeper) = pair();
    let mut message = Vec::new();
    wire::put(&mut message, tag, body);
    peer.write_all(&message).expect("written");
    let mut frame = Vec::new();
    (worker.collect(clock(), &mut frame), frame)
}

#[test]
fn a_frame_that_is_not_whole_is_a_lie() {
    let mut writer = Writer::new();
    writer.entry(&["a"], Op::Add(1.0));
    let good = writer.into_bytes();
    assert_eq!(answered(tag::FRAME, &good), (Ok(()), good.clone()));
    let (cut, frame) = answered(tag::FRAME, &good[..good.len() - 1]);
    assert!(matches!(&cut, Err(WorkerError::Lied(what)) if what.contains("malformed delta")), "{cut:?}");
    assert!(frame.is_empty());
    // A frame's version alone is no frame with nothing in it but a frame all the same; nonsense is not.
    assert!(matches!(answered(tag::FRAME, b"\xff").0, Err(WorkerError::Lied(_))));
}

#[test]
fn an_answer_to_nothing_is_a_lie() {
    for tag in [tag::DONE, tag::LOADED, tag::HELLO, tag::READY, tag::STARTED, 99] {
        let (result, _) = answered(tag, &[]);
        assert!(matches!(result, Err(WorkerError::Lied(_))), "{tag}: {result:?}");
    }
    // One batch, answered twice.
    let (mut worker, mut peer, _keeper) = pair();
    worker.process(clock(), &[Access::new("x")]).expect("written");
    let mut twice = Vec::new();
    wire::put(&mut twice, tag::DONE, &[1, 0, 0, 0]);
    wire::put(&mut twice, tag::DONE, &[1, 0, 0, 0]);
    peer.write_all(&twice).expect("written");
    let result = worker.flush(clock(), &mut Vec::new());
    assert!(matches!(result, Err(WorkerError::Lied(_))), "{result:?}");
}

#[test]
fn more_batches_than_there_were_or_none_is_a_lie() {
    for folded in [0, 2, u32::MAX] {
        let (mut worker, mut peer, _keeper) = pair();
        worker.process(clock(), &[Access::new("x")]).expect("written");
        let mut message = Vec::new();
        wire::put(&mut message, tag::DONE, &u32::to_le_bytes(folded));
        peer.write_all(&message).expect("written");
        let result = worker.flush(clock(), &mut Vec::new());
        assert!(matches!(result, Err(WorkerError::Lied(_))), "{folded}: {result:?}");
    }
}

#[test]
fn what_is_announced_and_does_not_come_is_late_and_takes_no_memory() {
    let (mut worker, mut peer, _keeper) = pair();
    peer.write_all(&wire::head(tag::FRAME, 60 << 20)).expect("written");
    peer.write_all(&[0; 100]).expect("written");
    let began = Instant::now();
    let result = worker.collect(clock(), &mut Vec::new());
    assert_eq!(result, Err(WorkerError::Late { doing: "its collect()", limit: LIMIT }));
    assert!(began.elapsed() >= LIMIT && worker.link.held_bytes() < 1 << 20);
    // It stays so.
    assert_eq!(worker.process(clock(), &[]), result);
}

#[test]
fn one_that_talks_on_and_on_is_late() {
    let (mut worker, mut peer, _keeper) = pair();
    peer.write_all(&wire::head(tag::FRAME, 60 << 20)).expect("written");
    // A byte now and then; it ends when nobody listens any more.
    let talking = std::thread::spawn(move || while peer.write_all(&[0]).is_ok() {});
    let began = Instant::now();
    let result = worker.collect(clock(), &mut Vec::new());
    assert_eq!(result, Err(WorkerError::Late { doing: "its collect()", limit: LIMIT }));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(worker);
    talking.join().expect("ended");
    // What has come and is not read is no reason to wait on.
    let (mut worker, mut peer, _keeper) = pair();
    peer.write_all(&[0]).expect("written");
    assert_eq!(worker.link.wait(Wanted::Answer, Instant::now()), Err(Broken::Late));
}

#[test]
fn one_that_reads_nothing_is_late() {
    let (mut worker, mut peer, _keeper) = pair();
    // It talks all the while, which is no sign of work.
    peer.write_all(&[0; 1_000]).expect("written");
    let line = "x".repeat(1 << 20);
    let mut record = Access::new(&line);
    record.set_span(Field::Url, plugin_api::Span::new(0, 1 << 20));
    let batch = [record; 4];
    assert_eq!(worker.process(clock(), &batch), Err(WorkerError::Late { doing: "its process()", limit: LIMIT }));
}

#[test]
fn what_the_pipe_said_before_it_ended_counts() {
    let said = Error::failed("so it is");
    let ended = || {
        let (mut worker, mut peer, keeper) = pair();
        worker.process(clock(), &[Access::new("x")]).expect("written");
        let mut message = Vec::new();
        wire::put(&mut message, tag::FAILED, &reply::failed(&said));
        peer.write_all(&message).expect("written");
        drop((peer, keeper));
        worker
    };
    assert_eq!(ended().flush(clock(), &mut Vec::new()), Err(WorkerError::Module(said.clone())));
    // Also where it is heard of because there is nobody to write to.
    assert_eq!(ended().process(clock(), &[Access::new("x")]), Err(WorkerError::Module(said.clone())));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_bytes_come_to_an_end(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        tag in prop::option::of(16u8..24),
        closes in any::<bool>(),
    ) {
        let (mut worker, mut peer, keeper) = pair();
        let mut sent = Vec::new();
        match tag {
            Some(tag) => wire::put(&mut sent, tag, &bytes),
            None => sent.clone_from(&bytes),
        }
        peer.write_all(&sent).expect("written");
        let held = (!closes).then_some((peer, keeper));
        let began = Instant::now();
        let mut frame = Vec::new();
        let result = worker.collect(clock(), &mut frame);
        prop_assert!(frame.is_empty() || result.is_ok());
        let _ = worker.process(clock(), &[Access::new("x")]);
        let _ = worker.flush(clock(), &mut frame);
        prop_assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        drop(held);
    }
}

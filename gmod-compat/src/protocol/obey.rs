//! How a worker follows its daemon's orders, whatever its module is written in.

use super::limits::FRAME_BYTES_MAX;
use super::records::{self, Shape, recycle};
use super::reply;
use super::wire::{self, Messages, tag};
use plugin_api::{Access, Clock, Error, Fields};
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// A module that is made, as orders see it.
pub trait Body {
    /// The fields that it reads, if it is a pipe; none if it is a collector.
    fn wants(&self) -> Option<Fields>;

    /// Folds a batch: asked of pipes alone.
    ///
    /// # Errors
    /// The module's own.
    fn fold(&mut self, clock: Clock, batch: &[Access<'_>]) -> Result<(), Error>;

    /// What comes is of this group, which a pipe keeps apart from others; at first it is 0. Asked of pipes alone.
    fn turn_to(&mut self, group: u32);

    /// Appends what it has to say: what a pipe has folded since the last time, or a collector's sample.
    fn tell(&mut self, clock: Clock, frame: &mut Vec<u8>) -> Told;
}

/// What a flush or a sample came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// The frame is all.
    Whole,
    /// The frame is what worked.
    Partly(Error),
    /// Nothing worked.
    Failed(Error),
}

impl From<Result<(), Error>> for Told {
    fn from(done: Result<(), Error>) -> Told {
        match done {
            Ok(()) => Told::Whole,
            Err(error) => Told::Failed(error),
        }
    }
}

/// Batches that are answered together at most. The daemon is woken by an answer, which costs more than a batch.
const ANSWERED_TOGETHER: u32 = 4;

/// How long an answer may wait for the next batch to be folded: the daemon measures its limit from the last answer on.
const ANSWER_WAITS: Duration = Duration::from_millis(1);

/// Has the module do as the daemon orders until there are no more orders. What the module fails of is an answer.
///
/// # Errors
/// The daemon is gone, or says what makes no sense.
pub fn obey(mut daemon: impl Write, mut orders: Messages<impl Read>, module: &mut impl Body) -> io::Result<()> {
    let shape = module.wants().map(Shape::of);
    // Records keep their memory from batch to batch, and so does the frame.
    let mut kept_records: Vec<Access<'static>> = Vec::new();
    let mut frame = Vec::new();
    let (mut folded, mut answered) = (0u32, Instant::now());
    loop {
        // Never while it may have to wait for the next order.
        let together = orders.has_one() && folded < ANSWERED_TOGETHER && answered.elapsed() < ANSWER_WAITS;
        if folded > 0 && !together {
            answer_batches(&mut daemon, &mut folded)?;
            answered = Instant::now();
        }
        let Some((order, body)) = orders.next()? else { return Ok(()) };
        frame.clear();
        let told = match (order, &shape) {
            (tag::BATCH, Some(shape)) => {
                if folded == 0 {
                    answered = Instant::now();
                }
                let mut batch = recycle(std::mem::take(&mut kept_records));
                let clock = records::decode(shape, body, &mut batch).map_err(nonsense)?;
                let done = module.fold(clock, &batch);
                kept_records = recycle(batch);
                match done {
                    Ok(()) => {
                        folded += 1;
                        continue;
                    }
                    Err(error) => Told::Failed(error),
                }
            }
            (tag::GROUP, Some(_)) => {
                let group = body.first_chunk().ok_or_else(|| nonsense("a group without a number"))?;
                module.turn_to(u32::from_le_bytes(*group));
                continue;
            }
            (tag::FLUSH, Some(_)) | (tag::COLLECT, None) => module.tell(clock(body)?, &mut frame),
            _ => return Err(nonsense("an order that this module cannot follow")),
        };
        answer_batches(&mut daemon, &mut folded)?;
        match told {
            Told::Failed(error) => say(&mut daemon, tag::FAILED, &reply::failed(&error))?,
            _ if frame.len() > FRAME_BYTES_MAX => {
                let most = FRAME_BYTES_MAX / (1024 * 1024);
                let error = Error::failed(format_args!("more than {most} MiB to say at once"));
                say(&mut daemon, tag::FAILED, &reply::failed(&error))?;
            }
            Told::Whole => say(&mut daemon, tag::FRAME, &frame)?,
            Told::Partly(error) => say(&mut daemon, tag::PARTLY, &reply::partly(&error, &frame))?,
        }
    }
}

fn answer_batches(daemon: impl Write, folded: &mut u32) -> io::Result<()> {
    match std::mem::take(folded) {
        0 => Ok(()),
        folded => say(daemon, tag::DONE, &folded.to_le_bytes()),
    }
}

fn clock(body: &[u8]) -> io::Result<Clock> {
    wire::take_clock(body).map(|(clock, _)| clock).ok_or_else(|| nonsense("an order without a time"))
}

/// Says something to the daemon.
///
/// # Errors
/// It is gone.
pub fn say(mut daemon: impl Write, tag: u8, body: &[u8]) -> io::Result<()> {
    let mut message = Vec::with_capacity(wire::HEAD + body.len());
    wire::put(&mut message, tag, body);
    daemon.write_all(&message)
}

/// The error for orders that make no sense.
pub fn nonsense(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use super::super::records::Encoder;
    use super::super::reply::Reply;
    use super::super::wire::clock_bytes;
    use super::*;
    use plugin_api::Field;

    /// Counts records; says how many, or what it is to fail of.
    struct Counting {
        is_pipe: bool,
        records: usize,
        fold_fails: bool,
        says: Told,
        bytes: usize,
        groups: Vec<u32>,
    }

    impl Counting {
        fn new(is_pipe: bool, says: Told) -> Counting {
            Counting { is_pipe, records: 0, fold_fails: false, says, bytes: 1, groups: Vec::new() }
        }
    }

    impl Body for Counting {
        fn wants(&self) -> Option<Fields> {
            self.is_pipe.then(|| Fields::of(&[Field::Url]))
        }

        fn fold(&mut self, _: Clock, batch: &[Access<'_>]) -> Result<(), Error> {
            self.records += batch.len();
            if self.fold_fails { Err(Error::failed("cannot fold")) } else { Ok(()) }
        }

        fn turn_to(&mut self, group: u32) {
            self.groups.push(group);
        }

        fn tell(&mut self, _: Clock, frame: &mut Vec<u8>) -> Told {
            frame.resize(frame.len() + self.bytes, u8::try_from(self.records).unwrap());
            self.says.clone()
        }
    }

    fn order(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        wire::put(&mut bytes, tag, body);
        bytes
    }

    fn tick(tag: u8) -> Vec<u8> {
        order(tag, &clock_bytes(Clock::new(1, 1)))
    }

    fn batch() -> Vec<u8> {
        let mut encoder = Encoder::new(Fields::of(&[Field::Url]));
        assert!(encoder.encode(Clock::new(1, 1), &[Access::new("/a")]).is_empty());
        encoder.parts().concat()
    }

    /// What it answers, and how it ends.
    fn answers(module: &mut Counting, orders: &[Vec<u8>]) -> (Vec<(u8, Vec<u8>)>, io::Result<()>) {
        let (orders, mut said) = (orders.concat(), Vec::new());
        let done = obey(&mut said, Messages::of(&orders[..]), module);
        let (mut messages, mut answers) = (Messages::of(&said[..]), Vec::new());
        while let Some((tag, body)) = messages.next().unwrap() {
            answers.push((tag, body.to_vec()));
        }
        (answers, done)
    }

    #[test]
    fn batches_are_answered_before_what_comes_behind_them_and_never_more_than_four_at_once() {
        let mut module = Counting::new(true, Told::Whole);
        let mut orders = vec![batch(); 10];
        orders.push(tick(tag::FLUSH));
        let (answers, done) = answers(&mut module, &orders);
        done.unwrap();
        let (last, batches) = answers.split_last().unwrap();
        assert_eq!((last, module.records), (&(tag::FRAME, vec![10]), 10));
        let counts: Vec<u32> = batches
            .iter()
            .map(|(tag, body)| match Reply::decode(*tag, body) {
                Ok(Reply::Done(count)) => count,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(counts.iter().sum::<u32>() == 10 && counts.iter().all(|count| (1..=4).contains(count)), "{counts:?}");
    }

    #[test]
    fn what_fails_is_an_answer_and_the_next_order_is_followed() {
        let failed = |why: &str| (tag::FAILED, reply::failed(&Error::failed(why)));
        let mut module = Counting { fold_fails: true, ..Counting::new(true, Told::Whole) };
        let (said, done) = answers(&mut module, &[batch(), tick(tag::FLUSH)]);
        done.unwrap();
        assert_eq!(said, [failed("cannot fold"), (tag::FRAME, vec![1])]);

        let mut module = Counting::new(false, Told::Failed(Error::failed("nothing")));
        let (said, done) = answers(&mut module, &[tick(tag::COLLECT), tick(tag::COLLECT)]);
        done.unwrap();
        assert_eq!(said, [failed("nothing"), failed("nothing")]);

        let half = Error::failed("half");
        let (said, _) = answers(&mut Counting::new(false, Told::Partly(half.clone())), &[tick(tag::COLLECT)]);
        assert_eq!(said, [(tag::PARTLY, reply::partly(&half, &[0]))]);

        for says in [Told::Whole, Told::Partly(half)] {
            let mut module = Counting { bytes: FRAME_BYTES_MAX + 1, ..Counting::new(false, says) };
            assert_eq!(answers(&mut module, &[tick(tag::COLLECT)]).0, [failed("more than 64 MiB to say at once")]);
        }
    }

    #[test]
    fn a_group_is_told_before_its_records_and_is_no_batch() {
        let mut encoder = Encoder::new(Fields::of(&[Field::Url]));
        let mut orders = vec![batch()];
        for group in [7, 0] {
            encoder.turn_to(group);
            assert!(encoder.encode(Clock::new(1, 1), &[Access::new("/a")]).is_empty());
            orders.push(encoder.parts().concat());
        }
        orders.extend([order(tag::GROUP, &9u32.to_le_bytes()), tick(tag::FLUSH)]);
        let mut module = Counting::new(true, Told::Whole);
        let (answers, done) = answers(&mut module, &orders);
        done.unwrap();
        assert_eq!((module.records, module.groups), (3, vec![7, 0, 9]));
        let done = answers.iter().filter(|(tag, _)| *tag == tag::DONE);
        assert_eq!(done.map(|(_, count)| u32::from(count[0])).sum::<u32>(), 3);
    }

    #[test]
    fn an_order_that_makes_no_sense_is_the_end() {
        let wrong = [
            (true, tick(tag::COLLECT)),
            (false, tick(tag::FLUSH)),
            (false, batch()),
            (true, order(tag::BATCH, b"no batch")),
            (true, order(tag::FLUSH, b"no time")),
            (true, order(tag::GROUP, b"no")),
            (false, order(tag::GROUP, &[0; 4])),
            (true, order(tag::START, b"")),
            (true, order(tag::HELLO, b"")),
        ];
        for (is_pipe, order) in wrong {
            let mut module = Counting::new(is_pipe, Told::Whole);
            let (said, done) = answers(&mut module, &[order, tick(tag::FLUSH)]);
            assert_eq!(done.unwrap_err().kind(), io::ErrorKind::InvalidData);
            assert!(said.is_empty() && module.records == 0, "{said:?}");
        }
    }
}

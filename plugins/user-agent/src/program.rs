//! A regex as a short program, and how it is run.
//!
//! It is run as Perl does: where there is a choice the first way is taken, and the next when that comes to nothing. That may take
//! for ever, so a run has a number of steps; who has used them up asks another engine. For nearly all agents this is many
//! times as quick as those that visit each state once: a run of bytes of a class is one step, and it goes back only to where
//! what follows can begin.

mod make;
mod set;

pub(crate) use set::Set;

use crate::rules::Slots;
use memchr::memchr;
use regex_automata::util::primitives::NonMaxUsize;

/// Something to do; then the next follows.
#[derive(Debug)]
enum Op {
    /// These bytes stand here.
    Bytes(Box<[u8]>),
    /// One byte of these.
    One(Set),
    /// As many bytes of a set as can be, or as few. The set may be all bytes but one. What follows begins with one of `then`, if
    /// that is known.
    Run {
        set: Set,
        all_but: Option<u8>,
        min: usize,
        max: usize,
        greedy: bool,
        then: Option<Set>,
    },
    /// What follows, or else what is at that place. What follows begins with one of these bytes, if that is known.
    Or {
        begins: Option<Set>,
        other: usize,
    },
    /// One of several ways.
    Choice(Box<Choice>),
    /// What is at that place, or else what follows.
    OrNext {
        other: usize,
    },
    /// Goes on at that place.
    Go(usize),
    /// A group begins or ends here.
    Save(usize),
    Start,
    End,
    /// A word begins or ends here, or else does not.
    Word(bool),
}

/// Ways to go on, in order: those that can come to something.
#[derive(Debug)]
struct Choice {
    /// By the byte that stands there: which of the lists.
    of_byte: [u8; 256],
    /// Places of the program. The first is for the end of a text.
    lists: Vec<Vec<usize>>,
}

/// A regex.
#[derive(Debug)]
pub(crate) struct Program {
    ops: Vec<Op>,
}

/// Where to go on when a way comes to nothing.
#[derive(Debug)]
enum Back {
    /// At an operation and a place of the text.
    To { op: usize, at: usize },
    /// After a run that ends at this place or before, `low` at least.
    Shorter { op: usize, low: usize, at: usize },
    /// After a run that goes on at this place, to `high` at most.
    Longer { op: usize, high: usize, at: usize },
    /// The next way of a list of a choice.
    Way { op: usize, list: u8, next: usize, at: usize },
    /// A slot is again what it was.
    Slot { slot: usize, was: Option<NonMaxUsize> },
}

/// What runs work in.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    back: Vec<Back>,
}

/// There were more steps to do than allowed.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Program {
    /// Whether it matches at that place of a text; then `slots` are those of its groups, the whole match not among them. Takes
    /// from `steps`.
    pub(crate) fn matches(
        &self,
        text: &[u8],
        start: usize,
        slots: &mut Slots,
        scratch: &mut Scratch,
        steps: &mut usize,
    ) -> Result<Option<usize>, TooMany> {
        let back = &mut scratch.back;
        back.clear();
        let (mut op, mut at) = (0, start);
        loop {
            *steps = steps.checked_sub(1).ok_or(TooMany)?;
            let Some(this) = self.ops.get(op) else { return Ok(Some(at)) };
            let next = match this {
                Op::Bytes(bytes) => {
                    let rest = text.get(at..).unwrap_or_default();
                    let stand = rest.first() == bytes.first() && rest.starts_with(bytes);
                    stand.then_some((op + 1, at + bytes.len()))
                }
                Op::One(set) => text.get(at).is_some_and(|&byte| set.has(byte)).then_some((op + 1, at + 1)),
                Op::Run { set, all_but, min, max, greedy, then } => {
                    let rest = text.get(at..).unwrap_or_default();
                    let run = run(&rest[..rest.len().min(*max)], set, *all_but);
                    *steps = steps.saturating_sub(run / 16);
                    match (run >= *min, greedy) {
                        (false, _) => None,
                        (true, true) => shorter(text, at + min, at + run, then.as_ref()).map(|end| {
                            if end > at + min {
                                back.push(Back::Shorter { op, low: at + min, at: end - 1 });
                            }
                            (op + 1, end)
                        }),
                        (true, false) => {
                            if run > *min {
                                back.push(Back::Longer { op, high: at + run, at: at + min + 1 });
                            }
                            Some((op + 1, at + min))
                        }
                    }
                }
                Op::Or { begins, other } => match begins {
                    Some(set) if !text.get(at).is_some_and(|&byte| set.has(byte)) => Some((*other, at)),
                    _ => {
                        back.push(Back::To { op: *other, at });
                        Some((op + 1, at))
                    }
                },
                Op::Choice(choice) => {
                    let list = text.get(at).map_or(0, |&byte| choice.of_byte[usize::from(byte)]);
                    way(choice, back, (op, list, 0, at))
                }
                Op::OrNext { other } => {
                    back.push(Back::To { op: op + 1, at });
                    Some((*other, at))
                }
                Op::Go(other) => Some((*other, at)),
                Op::Save(slot) => {
                    if let Some(slot_now) = slots.get_mut(*slot) {
                        back.push(Back::Slot { slot: *slot, was: *slot_now });
                        *slot_now = NonMaxUsize::new(at);
                    }
                    Some((op + 1, at))
                }
                Op::Start => (at == 0).then_some((op + 1, at)),
                Op::End => (at == text.len()).then_some((op + 1, at)),
                Op::Word(wanted) => (word_bound(text, at) == *wanted).then_some((op + 1, at)),
            };
            match next.or_else(|| self.go_back(text, slots, back)) {
                Some(next) => (op, at) = next,
                None => return Ok(None),
            }
        }
    }

    /// The next way, when one has come to nothing.
    fn go_back(&self, text: &[u8], slots: &mut Slots, back: &mut Vec<Back>) -> Option<(usize, usize)> {
        loop {
            match back.pop()? {
                Back::To { op, at } => return Some((op, at)),
                Back::Way { op, list, next, at } => {
                    if let Op::Choice(choice) = &self.ops[op] {
                        return way(choice, back, (op, list, next, at));
                    }
                }
                Back::Slot { slot, was } => slots[slot] = was,
                Back::Shorter { op, low, at } => {
                    let then = match &self.ops[op] {
                        Op::Run { then, .. } => then.as_ref(),
                        _ => None,
                    };
                    if let Some(end) = shorter(text, low, at, then) {
                        if end > low {
                            back.push(Back::Shorter { op, low, at: end - 1 });
                        }
                        return Some((op + 1, end));
                    }
                }
                Back::Longer { op, high, at } => {
                    if at < high {
                        back.push(Back::Longer { op, high, at: at + 1 });
                    }
                    return Some((op + 1, at));
                }
            }
        }
    }
}

/// How many bytes from the first on are in a set.
#[inline]
fn run(text: &[u8], set: &Set, all_but: Option<u8>) -> usize {
    let end = match all_but {
        Some(byte) => memchr(byte, text),
        None => text.iter().position(|&byte| !set.has(byte)),
    };
    end.unwrap_or(text.len())
}

/// The way of that number of a list of a choice; the next is noted.
#[inline]
fn way(
    choice: &Choice,
    back: &mut Vec<Back>,
    (op, list, number, at): (usize, u8, usize, usize),
) -> Option<(usize, usize)> {
    let ways = &choice.lists[usize::from(list)];
    if number + 1 < ways.len() {
        back.push(Back::Way { op, list, next: number + 1, at });
    }
    Some((*ways.get(number)?, at))
}

/// The last place from `low` to `high` where what follows can begin.
#[inline]
fn shorter(text: &[u8], low: usize, high: usize, then: Option<&Set>) -> Option<usize> {
    match then {
        None => Some(high),
        Some(set) => {
            let places = text.get(low..text.len().min(high + 1))?;
            places.iter().rposition(|&byte| set.has(byte)).map(|place| low + place)
        }
    }
}

/// Whether a word of ASCII begins or ends at a place.
fn word_bound(text: &[u8], at: usize) -> bool {
    let word = |at: usize| text.get(at).is_some_and(|&byte| byte == b'_' || byte.is_ascii_alphanumeric());
    at.checked_sub(1).is_some_and(word) != word(at)
}

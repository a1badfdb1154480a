//! Makes a program of a regex.

use super::{Choice, Op, Program, Set};
use crate::rules::Slots;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Operations of the longest program. Regexes that take more are left to the other engine.
const OPS_MAX: usize = 1_024;

impl Program {
    /// `None` for a regex that is too long, or that has something which no rule has.
    pub(crate) fn of(hir: &Hir) -> Option<Program> {
        let mut ops = Vec::new();
        add(hir, &mut ops)?;
        // From the last to the first, what follows is known.
        for op in (0..ops.len()).rev() {
            let then = begins_at(&ops, op + 1);
            if let Op::Run { then: known, greedy: true, .. } = &mut ops[op] {
                *known = then;
            }
        }
        Some(Program { ops })
    }

    /// The bytes with which a match begins, if it has one at least.
    pub(crate) fn starts(hir: &Hir) -> Option<Set> {
        let mut set = Set::EMPTY;
        (!begins(hir, &mut set)).then_some(set)
    }

    /// The bytes that it takes.
    #[cfg(test)]
    pub(crate) fn memory_usage(&self) -> usize {
        let choices = self.ops.iter().map(|op| match op {
            Op::Choice(choice) => choice.lists.iter().flatten().count() * size_of::<usize>() + size_of::<Choice>(),
            _ => 0,
        });
        self.ops.capacity() * size_of::<Op>() + choices.sum::<usize>()
    }
}

/// The bytes with one of which what is at that place begins, if that is simple to tell.
fn begins_at(ops: &[Op], mut op: usize) -> Option<Set> {
    loop {
        return match ops.get(op)? {
            Op::Bytes(bytes) => Some(bytes.iter().copied().take(1).collect()),
            Op::One(set) => Some(set.clone()),
            Op::Run { set, min, .. } if *min > 0 => Some(set.clone()),
            Op::Save(_) => {
                op += 1;
                continue;
            }
            Op::Go(other) if *other > op => {
                op = *other;
                continue;
            }
            Op::Or { begins: Some(set), other } if *other > op => {
                let mut set = set.clone();
                set.add_all(&begins_at(ops, *other)?);
                Some(set)
            }
            _ => None,
        };
    }
}

fn add(hir: &Hir, ops: &mut Vec<Op>) -> Option<()> {
    if ops.len() > OPS_MAX {
        return None;
    }
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => ops.push(Op::Bytes(literal.0.clone())),
        HirKind::Class(class) => ops.push(Op::One(set(class)?)),
        HirKind::Look(look) => ops.push(match look {
            Look::Start => Op::Start,
            Look::End => Op::End,
            Look::WordAscii => Op::Word(true),
            Look::WordAsciiNegate => Op::Word(false),
            _ => return None,
        }),
        HirKind::Capture(capture) => {
            let slot = 2 * usize::try_from(capture.index).ok()?;
            let kept = slot < Slots::default().len();
            if kept {
                ops.push(Op::Save(slot));
            }
            add(&capture.sub, ops)?;
            if kept {
                ops.push(Op::Save(slot + 1));
            }
        }
        HirKind::Repetition(repetition) => add_repetition(repetition, ops)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| add(part, ops))?,
        HirKind::Alternation(parts) => add_choice(parts, ops)?,
    }
    Some(())
}

fn add_choice(parts: &[Hir], ops: &mut Vec<Op>) -> Option<()> {
    let choice = ops.len();
    ops.push(Op::Go(choice));
    let (mut ways, mut ends) = (Vec::new(), Vec::new());
    for part in parts {
        ways.push((ops.len(), Program::starts(part)));
        add(part, ops)?;
        ends.push(ops.len());
        ops.push(Op::Go(choice));
    }
    let end = ops.len();
    ends.into_iter().for_each(|place| ops[place] = Op::Go(end));
    ops[choice] = match &ways[..] {
        [(_, begins), (other, _)] => Op::Or { begins: begins.clone(), other: *other },
        _ => Op::Choice(Box::new(Choice::of(&ways)?)),
    };
    Some(())
}

impl Choice {
    /// Of ways, and what they begin with if that is known.
    fn of(ways: &[(usize, Option<Set>)]) -> Option<Choice> {
        let open = |set: &Option<Set>, byte: Option<u8>| match (set, byte) {
            (None, _) => true,
            (Some(set), byte) => byte.is_some_and(|byte| set.has(byte)),
        };
        let list = |byte| ways.iter().filter(|(_, set)| open(set, byte)).map(|&(way, _)| way).collect::<Vec<usize>>();
        let mut any = Set::EMPTY;
        ways.iter().filter_map(|(_, set)| set.as_ref()).for_each(|set| any.add_all(set));
        let mut choice = Choice { of_byte: [0; 256], lists: vec![list(None)] };
        // At all other bytes it is as at the end.
        for byte in (0..=u8::MAX).filter(|&byte| any.has(byte)) {
            let ways = list(Some(byte));
            let known = choice.lists.iter().position(|list| *list == ways);
            let place = known.unwrap_or(choice.lists.len());
            if known.is_none() {
                choice.lists.push(ways);
            }
            choice.of_byte[usize::from(byte)] = u8::try_from(place).ok()?;
        }
        Some(choice)
    }
}

fn add_repetition(repetition: &Repetition, ops: &mut Vec<Op>) -> Option<()> {
    let Repetition { min, max, greedy, sub } = repetition;
    let (min, max) = (*min as usize, max.map(|max| max as usize));
    let byte = match sub.kind() {
        HirKind::Class(class) => Some(set(class)?),
        HirKind::Literal(literal) if literal.0.len() == 1 => Some(literal.0.iter().copied().collect()),
        _ => None,
    };
    if let Some(set) = byte {
        let all_but = set.all_but();
        let max = max.unwrap_or(usize::MAX);
        ops.push(Op::Run { set, all_but, min, max, greedy: *greedy, then: None });
        return Some(());
    }
    (0..min).try_for_each(|_| add(sub, ops))?;
    // Once more, or on to the end.
    let once_more = |ops: &mut Vec<Op>| {
        let or = ops.len();
        ops.push(Op::Go(or));
        add(sub, ops)?;
        Some(or)
    };
    let or = |ops: &mut Vec<Op>, or: usize, end: usize| {
        ops[or] = match greedy {
            true => Op::Or { begins: Program::starts(sub), other: end },
            false => Op::OrNext { other: end },
        };
    };
    match max {
        Some(max) => {
            let ors = (min..max).map(|_| once_more(ops)).collect::<Option<Vec<usize>>>()?;
            let end = ops.len();
            ors.into_iter().for_each(|place| or(ops, place, end));
        }
        // What matches nothing would go on for ever.
        None if sub.properties().minimum_len() == Some(0) => return None,
        None => {
            let place = once_more(ops)?;
            ops.push(Op::Go(place));
            let end = ops.len();
            or(ops, place, end);
        }
    }
    Some(())
}

/// Adds the bytes with which something can begin, and says whether it can match nothing.
fn begins(hir: &Hir, all: &mut Set) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            literal.0.first().into_iter().for_each(|&byte| all.add(byte));
            literal.0.is_empty()
        }
        HirKind::Class(class) => match set(class) {
            Some(set) => {
                all.add_all(&set);
                false
            }
            None => true,
        },
        HirKind::Capture(capture) => begins(&capture.sub, all),
        HirKind::Repetition(repetition) => begins(&repetition.sub, all) || repetition.min == 0,
        HirKind::Concat(parts) => parts.iter().all(|part| begins(part, all)),
        // All of them are to be added.
        HirKind::Alternation(parts) => parts.iter().fold(false, |empty, part| begins(part, all) | empty),
    }
}

/// `None` if it has what is no byte.
fn set(class: &Class) -> Option<Set> {
    match class {
        Class::Bytes(class) => Some(class.iter().flat_map(|range| range.start()..=range.end()).collect()),
        // So the parser has it where it has made a class of single characters.
        Class::Unicode(class) => {
            let ranges =
                class.iter().map(|range| Some(u8::try_from(range.start()).ok()?..=u8::try_from(range.end()).ok()?));
            let ranges = ranges.collect::<Option<Vec<_>>>()?;
            ranges.iter().all(|range| range.end().is_ascii()).then(|| ranges.into_iter().flatten().collect())
        }
    }
}

//! A fixed format's values as steps, one after another.

use super::item::{End, Item, Layout, What};
use super::quick::{Quick, RequestParts};
use super::scan::Literal;
use super::time::TimeForm;
use plugin_api::{Field, Fields};

/// One value: what to do with it, and where it ends.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) quick: Quick,
    pub(super) act: Act,
    pub(super) end: End,
    /// The field of [`Act::Text`].
    pub(super) field: Field,
    /// The parts that [`Act::Request`] is for.
    pub(super) parts: RequestParts,
    /// How long the value is, for [`Act::SkipTime`].
    pub(super) len: usize,
    /// For [`Act::RequestTime`].
    pub(super) per_second: f64,
    /// For [`Act::Time`], and whether anybody wants it.
    pub(super) time: (TimeForm, bool),
    pub(super) literal: Literal,
    /// The literal and the steps after it as they look when they have nothing to say: ` - - [`. Then one
    /// comparison leaps over them.
    pub(super) leap: Literal,
    /// How many steps further on it ends; 0 where there is no such leap.
    pub(super) leap_steps: usize,
    /// What errors call it.
    pub(super) name: &'static str,
}

/// What to do with a value. It carries nothing, so that a step is one jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Skip,
    Text,
    Addr,
    Request,
    Status,
    Bytes,
    /// A time is read even if nobody wants it where its text may hold what ends it.
    Time,
    /// A time that nobody wants and that is nearly always of the same length.
    SkipTime,
    RequestTime,
    UpstreamTime,
}

impl Step {
    /// The steps of a format, for those fields.
    pub(super) fn all(layout: &Layout, wants: Fields) -> Box<[Step]> {
        let mut steps: Box<[Step]> = layout.items.iter().map(|item| Step::new(item, wants)).collect();
        for i in (0..steps.len()).rev() {
            let (leap, passed) = leap(&layout.items[i..], &steps[i + 1..]);
            steps[i].leap = Literal::new(&leap);
            steps[i].leap_steps = if passed > 0 { passed + 1 } else { 0 };
            steps[i].quick = Quick::with_those_after(&steps[i..]);
        }
        steps
    }

    fn new(item: &Item, wants: Fields) -> Step {
        let wanted = |field| item.gives.has(field) && wants.has(field);
        let either = |act, field| if wanted(field) { act } else { Act::Skip };
        let mut step = Step {
            quick: Quick::None,
            act: Act::Skip,
            end: item.end,
            field: Field::Addr,
            parts: RequestParts {
                method: wanted(Field::Method),
                url: wanted(Field::Url),
                protocol: wanted(Field::Protocol),
            },
            len: 0,
            per_second: 1.0,
            time: (TimeForm::Local, wanted(Field::Time)),
            literal: Literal::new(&item.literal),
            leap: Literal::new(""),
            leap_steps: 0,
            name: item.what.name(),
        };
        step.act = match &item.what {
            What::Other => Act::Skip,
            What::Text(Field::Addr) => either(Act::Addr, Field::Addr),
            What::Text(field) => {
                step.field = *field;
                either(Act::Text, *field)
            }
            What::Request if step.parts.method || step.parts.url || step.parts.protocol => Act::Request,
            What::Request => Act::Skip,
            What::Status => either(Act::Status, Field::Status),
            What::Bytes => either(Act::Bytes, Field::Bytes),
            What::Time(form) => {
                let border = item.literal.bytes().next();
                let read = wanted(Field::Time) || border.is_none_or(|byte| form.may_hold(byte));
                step.time.0 = form.clone();
                step.len = form.len().unwrap_or_default();
                if read {
                    Act::Time
                } else if step.len > 0 {
                    Act::SkipTime
                } else {
                    Act::Skip
                }
            }
            What::RequestTime { per_second } => {
                step.per_second = *per_second;
                either(Act::RequestTime, Field::RequestTime)
            }
            What::UpstreamTime => either(Act::UpstreamTime, Field::UpstreamTime),
        };
        step.quick = Quick::of(&step);
        step
    }
}

/// What stands after the first item if those that follow are all `-`, as far as it fits a word, and how
/// many of them that is.
fn leap(items: &[Item], after: &[Step]) -> (String, usize) {
    let mut text = items[0].literal.clone();
    let mut passed = 0;
    for (item, step) in items[1..].iter().zip(after) {
        let dash = format!("{text}-{}", item.literal);
        let ends = matches!(item.end, End::Literal | End::Quote) && !item.literal.starts_with('-');
        if !ends || !matches!(step.act, Act::Skip | Act::Text) || dash.len() > size_of::<u64>() {
            break;
        }
        text = dash;
        passed += 1;
    }
    (text, passed)
}

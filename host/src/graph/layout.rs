//! What lines come to in a picture of some width: stacked, thinned, and between which values.

use super::figures::Scale;
use super::{Kind, Line, Time};
use std::cmp::Ordering;

/// Layers on top of each other: the times that all share, and for each line from where to where it goes at each of them.
pub(super) struct Stack {
    pub(super) times: Vec<i64>,
    pub(super) layers: Vec<Vec<(f64, f64)>>,
}

/// Stacks lines. What is below nothing counts as nothing; where no line has a value there is a gap (no number). One line by itself is a
/// bar, which may go below nothing.
///
/// Where there are more times than a picture of so many pixels can show, those stay at which the whole is what it was first and last in a
/// pixel, least and greatest, and a gap; of bars the greatest, and what is least below nothing.
pub(super) fn stack(time: &Time, pixels: usize) -> Stack {
    let (lines, range) = (&time.lines, time.range);
    let inside = |at: &i64| (range.0..=range.1).contains(at);
    let mut times: Vec<i64> = lines.iter().flat_map(|line| &line.points).map(|(at, _)| *at).filter(inside).collect();
    times.sort_unstable();
    times.dedup();
    let bar = time.kind == Kind::Bar;
    let alone = bar && lines.len() == 1;
    if times.len() > pixels.saturating_mul(if bar { 1 } else { 4 }) {
        let mut whole = vec![f64::NAN; times.len()];
        for line in lines {
            for (whole, value) in whole.iter_mut().zip(values_at(line, &times)).filter(|(_, value)| value.is_finite()) {
                let own = if alone { value } else { value.max(0.0) };
                *whole = if whole.is_nan() { own } else { *whole + own };
            }
        }
        let points: Vec<(i64, f64)> = times.into_iter().zip(whole).collect();
        let kept =
            thinned(&points, range, pixels, |same, kept| if bar { greatest(same, kept) } else { edges(same, kept) });
        times = kept.into_iter().map(|(at, _)| at).collect();
    }
    let mut top = vec![f64::NAN; times.len()];
    let mut layers = Vec::with_capacity(lines.len());
    for line in lines {
        let mut layer = Vec::with_capacity(times.len());
        for (value, top) in values_at(line, &times).zip(&mut top) {
            let low = if top.is_nan() { 0.0 } else { *top };
            if value.is_finite() {
                *top = low + if alone { value } else { value.max(0.0) };
            }
            layer.push((low, *top));
        }
        layers.push(layer);
    }
    // What came first at a time at which only later ones have a value is as high as nothing.
    for layer in &mut layers {
        for (place, (_, high)) in layer.iter_mut().enumerate() {
            if high.is_nan() && top.get(place).is_some_and(|top| !top.is_nan()) {
                *high = 0.0;
            }
        }
    }
    Stack { times, layers }
}

/// What a line is at each of some times, which are in their order as its points are; no number where it has none.
fn values_at<'l>(line: &'l Line, times: &'l [i64]) -> impl Iterator<Item = f64> + 'l {
    let mut points = line.points.iter().peekable();
    times.iter().map(move |at| {
        while points.next_if(|(time, _)| time < at).is_some() {}
        points.peek().filter(|(time, _)| time == at).map_or(f64::NAN, |(_, value)| *value)
    })
}

/// The values that a picture has room for.
pub(super) fn scale(time: &Time, steps: usize, pixels: usize) -> Scale {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut feed = |value: f64| {
        if value.is_finite() {
            (low, high) = (low.min(value), high.max(value));
        }
    };
    match time.kind {
        Kind::Line => time.lines.iter().flat_map(|line| &line.points).for_each(|(_, value)| feed(*value)),
        _ if time.lines.len() == 1 => {
            time.lines.iter().flat_map(|line| &line.points).for_each(|(_, value)| feed(*value));
        }
        _ => stack(time, pixels).layers.iter().flatten().for_each(|(_, high)| feed(*high)),
    }
    if low > high {
        return Scale::of(0.0, time.most.unwrap_or(1.0), steps);
    }
    // What hardly changes is looked at from near; what is filled begins at nothing.
    let filled = time.kind != Kind::Line || time.lines.iter().any(|line| line.filled);
    let near = !filled && time.most.is_none() && low > 0.0 && high - low < 0.2 * high;
    if !near {
        (low, high) = (low.min(0.0), high.max(0.0));
    }
    if let Some(most) = time.most {
        high = high.max(most);
        // Shares that add up to a little more for being rounded are no more.
        if high < most * 1.01 {
            high = most;
        }
    }
    Scale::of(low, high, steps)
}

/// Points so that there are not more than five to a pixel: of more, first, least, greatest, last, and a gap where there are some.
pub(super) fn thin(points: &[(i64, f64)], range: (i64, i64), pixels: usize) -> Vec<(i64, f64)> {
    if points.len() <= pixels * 4 { points.to_vec() } else { thinned(points, range, pixels, edges) }
}

/// Points of which those of each pixel are chosen from.
fn thinned(
    points: &[(i64, f64)],
    range: (i64, i64),
    pixels: usize,
    choose: impl Fn(&[(i64, f64)], &mut Vec<(i64, f64)>),
) -> Vec<(i64, f64)> {
    let length = range.1.saturating_sub(range.0).max(1) as f64;
    let pixel = |at: i64| (at.saturating_sub(range.0) as f64 / length * pixels as f64).floor();
    let (mut thinned, mut kept) = (Vec::with_capacity(pixels * 4), Vec::new());
    for same in points.chunk_by(|a, b| pixel(a.0) == pixel(b.0)) {
        choose(same, &mut kept);
        kept.sort_by_key(|(at, _)| *at);
        kept.dedup_by_key(|(at, _)| *at);
        thinned.append(&mut kept);
    }
    thinned
}

fn by_value(a: &&(i64, f64), b: &&(i64, f64)) -> Ordering {
    a.1.total_cmp(&b.1)
}

/// First, least, greatest and last, and a gap.
fn edges(same: &[(i64, f64)], kept: &mut Vec<(i64, f64)>) {
    let finite = || same.iter().filter(|(_, value)| value.is_finite());
    let (first, last) = (same.first(), same.last());
    let is_gap = |point: Option<&(i64, f64)>| point.is_some_and(|(_, value)| !value.is_finite());
    // A gap at an edge goes on in the next pixel, perhaps, and stays where it is.
    let gap = if is_gap(first) || is_gap(last) { None } else { same.iter().find(|point| is_gap(Some(point))) };
    kept.extend([first, finite().min_by(by_value), finite().max_by(by_value), gap, last].into_iter().flatten());
}

/// The greatest, and what is least below nothing.
fn greatest(same: &[(i64, f64)], kept: &mut Vec<(i64, f64)>) {
    let finite = || same.iter().filter(|(_, value)| value.is_finite());
    kept.extend(finite().max_by(by_value));
    kept.extend(finite().min_by(by_value).filter(|(_, least)| *least < 0.0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Rgb;

    fn line(points: &[(i64, f64)]) -> Line {
        Line { name: String::new(), colour: Rgb(0, 0, 0), filled: false, points: points.to_vec() }
    }

    fn time(kind: Kind, range: (i64, i64), lines: Vec<Line>) -> Time {
        Time { kind, range, most: None, lines, markers: Vec::new(), step_ms: 0 }
    }

    #[test]
    fn layers_lie_on_each_other_and_gaps_stay() {
        const NAN: f64 = f64::NAN;
        let lines = vec![line(&[(1, 1.0), (2, NAN), (3, NAN)]), line(&[(1, 2.0), (2, 5.0), (3, NAN), (4, -1.0)])];
        let stacked = stack(&time(Kind::Stacked, (0, 10), lines), 100);
        assert_eq!(stacked.times, [1, 2, 3, 4]);
        assert_eq!(stacked.layers[0][0], (0.0, 1.0));
        assert_eq!(stacked.layers[1][0], (1.0, 3.0));
        assert_eq!((stacked.layers[0][1], stacked.layers[1][1]), ((0.0, 0.0), (0.0, 5.0)));
        assert!(stacked.layers.iter().all(|layer| layer[2].1.is_nan()));
        assert_eq!(stacked.layers[1][3], (0.0, 0.0));
    }

    #[test]
    fn a_peak_is_seen_however_many_points_there_are() {
        let mut points: Vec<(i64, f64)> = (0..100_000).map(|i| (i, (i % 7) as f64)).collect();
        points[55_555].1 = 1e6;
        points[77_777].1 = f64::NAN;
        let thinned = thin(&points, (0, 100_000), 300);
        assert!(thinned.len() <= 300 * 4 + 8, "{}", thinned.len());
        assert!(thinned.contains(&(55_555, 1e6)));
        assert!(thinned.iter().any(|(at, value)| *at == 77_777 && value.is_nan()));
        assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(thin(&points[..5], (0, 100_000), 300), points[..5]);
    }

    #[test]
    fn gaps_do_not_add_up_however_many_there_are() {
        let value = |i: i64| if i % 2 == 0 { (i % 7) as f64 } else { f64::NAN };
        let mut points: Vec<(i64, f64)> = (0..200_000).map(|i| (i, value(i))).collect();
        points[155_554].1 = 1e6;
        points[177_776].1 = -1e6;
        for thinned in [
            thin(&points, (0, 200_000), 40),
            stack(&time(Kind::Stacked, (0, 200_000), vec![line(&points), line(&points)]), 40)
                .times
                .iter()
                .map(|at| points[*at as usize])
                .collect(),
        ] {
            assert!(thinned.len() <= 40 * 5, "{}", thinned.len());
            let gaps = thinned.iter().filter(|(_, value)| value.is_nan()).count();
            assert!((40..=80).contains(&gaps), "{gaps}");
            assert!(thinned.contains(&(155_554, 1e6)));
            assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
        assert!(thin(&points, (0, 200_000), 40).contains(&(177_776, -1e6)));
        // A gap of more than a pixel stays where it is.
        let long: Vec<(i64, f64)> =
            (0..10_000).map(|i| (i, if (2_550..5_050).contains(&i) { f64::NAN } else { 1.0 })).collect();
        let thinned = thin(&long, (0, 10_000), 40);
        let missing: Vec<i64> = thinned.iter().filter(|(_, value)| value.is_nan()).map(|(at, _)| *at).collect();
        assert_eq!((missing.first(), missing.last()), (Some(&2_749), Some(&5_000)));
        assert!(thinned.contains(&(2_549, 1.0)) && thinned.contains(&(5_050, 1.0)));
    }

    #[test]
    fn bars_are_as_many_as_pixels() {
        let mut points: Vec<(i64, f64)> = (0..200_000).map(|i| (i, (i % 7) as f64)).collect();
        points[55_555].1 = 1e6;
        points[77_777].1 = -1e6;
        let alone = stack(&time(Kind::Bar, (0, 200_000), vec![line(&points)]), 300);
        assert!(alone.times.len() <= 301, "{}", alone.times.len());
        for (at, value) in [(55_555, 1e6), (77_777, -1e6)] {
            let place = alone.times.iter().position(|time| *time == at);
            assert_eq!(place.map(|place| alone.layers[0][place]), Some((0.0, value)));
        }
        // On top of each other they are those of one time: that at which they are the most.
        let both = stack(&time(Kind::Bar, (0, 200_000), vec![line(&points), line(&points)]), 300);
        assert_eq!(both.times.len(), 300);
        let place = both.times.iter().position(|time| *time == 55_555).expect("the peak");
        assert_eq!((both.layers[0][place], both.layers[1][place]), ((0.0, 1e6), (1e6, 2e6)));
    }
}

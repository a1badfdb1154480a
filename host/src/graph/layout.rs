//! What lines come to in a picture of some width: stacked, thinned, and between which values.

use super::figures::Scale;
use super::{Kind, Line, Time};

/// Layers on top of each other: the times that all share, and for each line from where to where it goes at each of them.
pub(super) struct Stack {
    pub(super) times: Vec<i64>,
    pub(super) layers: Vec<Vec<(f64, f64)>>,
}

/// Stacks lines. What is below nothing counts as nothing; where no line has a value there is a gap (no number).
pub(super) fn stack(lines: &[Line]) -> Stack {
    let mut times: Vec<i64> = lines.iter().flat_map(|line| &line.points).map(|(at, _)| *at).collect();
    times.sort_unstable();
    times.dedup();
    let mut top = vec![f64::NAN; times.len()];
    let mut layers = Vec::with_capacity(lines.len());
    for line in lines {
        let mut points = line.points.iter().peekable();
        let mut layer = Vec::with_capacity(times.len());
        for (at, top) in times.iter().zip(&mut top) {
            while points.next_if(|(time, _)| time < at).is_some() {}
            let value = points.peek().filter(|(time, _)| time == at).map_or(f64::NAN, |(_, value)| *value);
            let low = if top.is_nan() { 0.0 } else { *top };
            if value.is_finite() {
                *top = low + value.max(0.0);
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

/// The values that a picture has room for.
pub(super) fn scale(time: &Time, steps: usize) -> Scale {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut feed = |value: f64| {
        if value.is_finite() {
            (low, high) = (low.min(value), high.max(value));
        }
    };
    match time.kind {
        Kind::Line => time.lines.iter().flat_map(|line| &line.points).for_each(|(_, value)| feed(*value)),
        _ if time.lines.len() == 1 => {
            time.lines.iter().flat_map(|line| &line.points).for_each(|(_, value)| feed(*value))
        }
        _ => stack(&time.lines).layers.iter().flatten().for_each(|(_, high)| feed(*high)),
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

/// Points so that there are not more than four to a pixel: of more, first, least, greatest and last.
pub(super) fn thin(points: &[(i64, f64)], range: (i64, i64), pixels: usize) -> Vec<(i64, f64)> {
    let length = range.1.saturating_sub(range.0).max(1) as f64;
    if points.len() <= pixels * 4 {
        return points.to_vec();
    }
    let pixel = |at: i64| (at.saturating_sub(range.0) as f64 / length * pixels as f64).floor();
    let mut thinned = Vec::with_capacity(pixels * 4);
    for same in points.chunk_by(|a, b| pixel(a.0) == pixel(b.0) && a.1.is_nan() == b.1.is_nan()) {
        let by_value = |a: &&(i64, f64), b: &&(i64, f64)| a.1.total_cmp(&b.1);
        let mut kept: Vec<(i64, f64)> =
            [same.first(), same.iter().min_by(by_value), same.iter().max_by(by_value), same.last()]
                .into_iter()
                .flatten()
                .copied()
                .collect();
        kept.sort_by_key(|(at, _)| *at);
        kept.dedup_by_key(|(at, _)| *at);
        thinned.extend(kept);
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Rgb;

    fn line(points: &[(i64, f64)]) -> Line {
        Line { name: String::new(), colour: Rgb(0, 0, 0), filled: false, points: points.to_vec() }
    }

    #[test]
    fn layers_lie_on_each_other_and_gaps_stay() {
        const NAN: f64 = f64::NAN;
        let stacked = stack(&[line(&[(1, 1.0), (2, NAN), (3, NAN)]), line(&[(1, 2.0), (2, 5.0), (3, NAN), (4, -1.0)])]);
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
}

//! A picture of how values went on.

use super::canvas::Anchor;
use super::{Area, PAD, SIZE, Sheet};
use crate::graph::figures::{Scale, time_ticks};
use crate::graph::layout::{scale, stack, thin};
use crate::graph::text::{fit, width};
use crate::graph::{Kind, Line, Look, Picture, Time};

/// Pixels between two ticks of the axis of values, and of that of times.
const VALUE_TICKS: f32 = 36.0;
const TIME_TICKS: f32 = 72.0;

/// Pixels of a line of the legend.
const LEGEND: f32 = 17.0;

/// What stands beside the title: the one line's last value, and what was left out.
pub(super) fn beside(picture: &Picture, time: &Time, look: &Look) -> String {
    let last = match &*time.lines {
        [line] if look.legend != Some(true) => picture.unit.tell(line.last(), None),
        _ => String::new(),
    };
    [picture.note.clone(), last].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// Where times and values lie.
struct Plot {
    area: Area,
    range: (i64, i64),
    scale: Scale,
}

impl Plot {
    fn x(&self, at: i64) -> f32 {
        let length = self.range.1.saturating_sub(self.range.0).max(1) as f64;
        let share = (at.saturating_sub(self.range.0) as f64 / length).clamp(0.0, 1.0);
        self.area.x + self.area.width * share as f32
    }

    fn y(&self, value: f64) -> f32 {
        self.area.y + self.area.height * (1.0 - self.scale.place(value) as f32)
    }

    /// How many times lie beside each other.
    fn pixels(&self) -> usize {
        self.area.width.max(1.0) as usize
    }

    /// Where nothing is.
    fn floor(&self) -> f32 {
        self.y(0.0)
    }
}

pub(super) fn draw(sheet: &mut Sheet<'_>, picture: &Picture, time: &Time, area: Area) {
    let labelled = area.width >= 140.0 && area.height >= 60.0;
    let mut inner = area;
    let legend = if sheet.look.legend.unwrap_or(time.lines.len() > 1) && labelled {
        legend(picture, time, area)
    } else {
        Vec::new()
    };
    let rows = legend.last().map_or(0, |entry: &Entry<'_>| entry.row + 1);
    inner.height -= rows as f32 * LEGEND + if rows > 0 { 4.0 } else { 0.0 };
    let steps = ((inner.height - 18.0) / VALUE_TICKS).clamp(1.0, 10.0) as usize;
    let scale = scale(time, steps, inner.width.max(1.0) as usize);
    let ticks: Vec<(f64, String)> =
        scale.ticks().map(|tick| (tick, picture.unit.tell(tick, Some(scale.step)))).collect();
    if labelled {
        let widest = ticks.iter().map(|(_, label)| width(label, SIZE)).fold(0.0, f32::max).min(area.width / 3.0);
        (inner.x, inner.width) = (inner.x + widest + 7.0, inner.width - widest - 7.0);
        (inner.y, inner.height) = (inner.y + SIZE / 2.0, inner.height - SIZE / 2.0 - SIZE - 8.0);
    }
    let plot = Plot { area: inner, range: time.range, scale };
    axes(sheet, &plot, &ticks, labelled, area);
    if time.lines.is_empty() && time.markers.is_empty() {
        sheet.nothing("nothing in this time", inner);
    }
    match time.kind {
        Kind::Stacked => layers(sheet, &plot, time),
        Kind::Bar => bars(sheet, &plot, time),
        Kind::Line | Kind::Top => time.lines.iter().for_each(|line| draw_line(sheet, &plot, line)),
    }
    markers(sheet, &plot, time, labelled);
    let below = area.y + area.height - rows as f32 * LEGEND;
    for entry in legend {
        entry.draw(sheet, below);
    }
}

fn axes(sheet: &mut Sheet<'_>, plot: &Plot, ticks: &[(f64, String)], labelled: bool, area: Area) {
    let Area { x, y, width: wide, height } = plot.area;
    let theme = sheet.theme;
    for (tick, label) in ticks {
        let at = plot.y(*tick).round() + 0.5;
        let colour = if *tick == 0.0 { theme.axis } else { theme.grid };
        sheet.canvas.line((x, at), (x + wide, at), colour, false);
        if labelled {
            let label = fit(label, SIZE, area.width / 3.0);
            sheet.canvas.text(x - 7.0, at + SIZE / 3.0, SIZE, Anchor::End, theme.pale, &label);
        }
    }
    if !labelled {
        return;
    }
    let base = y + height + SIZE + 5.0;
    let mut free = x - 4.0;
    for tick in time_ticks(plot.range.0, plot.range.1, (wide / TIME_TICKS).max(1.0) as usize) {
        let at = plot.x(tick.at_ms);
        let half = width(&tick.label, SIZE) / 2.0;
        sheet.canvas.line((at.round() + 0.5, y + height), (at.round() + 0.5, y + height + 4.0), theme.axis, false);
        // A label that would stand in another, or out of the picture, is left out.
        if at - half < free || at + half > x + wide + PAD - 2.0 {
            continue;
        }
        let colour = if tick.strong { theme.ink } else { theme.pale };
        sheet.canvas.text(at, base, SIZE, Anchor::Middle, colour, &tick.label);
        free = at + half + 8.0;
    }
    if x - area.x >= width("UTC", SIZE - 2.0) + 4.0 {
        sheet.canvas.text(area.x, base, SIZE - 2.0, Anchor::Start, theme.pale, "UTC");
    }
}

/// Points that follow each other, as pieces between gaps.
fn pieces(points: &[(i64, f64)], plot: &Plot) -> Vec<Vec<(f32, f32)>> {
    let inside = |at: i64| at >= plot.range.0 && at <= plot.range.1;
    let shown: Vec<(i64, f64)> = points.iter().copied().filter(|(at, _)| inside(*at)).collect();
    let thinned = thin(&shown, plot.range, plot.pixels());
    let pieces = thinned.split(|(_, value)| !value.is_finite()).filter(|piece| !piece.is_empty());
    pieces.map(|piece| piece.iter().map(|(at, value)| (plot.x(*at), plot.y(*value))).collect()).collect()
}

fn draw_line(sheet: &mut Sheet<'_>, plot: &Plot, line: &Line) {
    let pieces = pieces(&line.points, plot);
    if line.filled {
        let floor = plot.floor();
        let down = |piece: &Vec<(f32, f32)>| {
            let (first, last) = (piece.first()?.0, piece.last()?.0);
            Some(piece.iter().copied().chain([(last, floor), (first, floor)]).collect())
        };
        let filled: Vec<Vec<(f32, f32)>> = pieces.iter().filter_map(down).collect();
        sheet.canvas.areas(&filled, line.colour, 0.3);
    }
    sheet.canvas.lines(&pieces, line.colour, if plot.area.height < 60.0 { 1.2 } else { 1.6 });
}

fn layers(sheet: &mut Sheet<'_>, plot: &Plot, time: &Time) {
    let stacked = stack(time, plot.pixels());
    for (line, layer) in time.lines.iter().zip(&stacked.layers) {
        let points: Vec<(i64, (f64, f64))> = stacked.times.iter().copied().zip(layer.iter().copied()).collect();
        let mut areas = Vec::new();
        for piece in points.split(|(_, (_, high))| !high.is_finite()).filter(|piece| !piece.is_empty()) {
            let edge = |of: fn(&(f64, f64)) -> f64| piece.iter().map(move |(at, both)| (plot.x(*at), plot.y(of(both))));
            let (mut high, mut low): (Vec<_>, Vec<_>) = (edge(|both| both.1).collect(), edge(|both| both.0).collect());
            widen(&mut high, &mut low);
            areas.push(high.into_iter().chain(low.into_iter().rev()).collect());
        }
        sheet.canvas.areas(&areas, line.colour, 0.85);
    }
}

/// What was there for less than a pixel is a pixel wide, and as it was at its highest: much that comes and goes is still seen.
fn widen(high: &mut Vec<(f32, f32)>, low: &mut Vec<(f32, f32)>) {
    let (Some(first), Some(last)) = (high.first(), high.last()) else { return };
    if last.0 - first.0 >= 1.0 {
        return;
    }
    let middle = f32::midpoint(first.0, last.0);
    let top = high.iter().zip(&*low).min_by(|a, b| a.0.1.total_cmp(&b.0.1)).map(|(high, low)| (high.1, low.1));
    if let Some((top, bottom)) = top {
        *high = vec![(middle - 0.5, top), (middle + 0.5, top)];
        *low = vec![(middle - 0.5, bottom), (middle + 0.5, bottom)];
    }
}

fn bars(sheet: &mut Sheet<'_>, plot: &Plot, time: &Time) {
    let stacked = stack(time, plot.pixels());
    let length = time.range.1.saturating_sub(time.range.0).max(1) as f64;
    // Without steps, as wide as the nearest two lie apart.
    let apart = stacked.times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    let step = if time.step_ms > 0 { time.step_ms } else { apart.min().unwrap_or(1) };
    let wide = (step as f64 / length * f64::from(plot.area.width)) as f32;
    let wide = (wide - (wide * 0.2).clamp(0.0, 4.0)).max(1.0);
    for (line, layer) in time.lines.iter().zip(&stacked.layers) {
        let mut bars = Vec::new();
        for (at, (low, high)) in stacked.times.iter().zip(layer).filter(|(_, (_, high))| high.is_finite()) {
            let (low, high) = (plot.y(*low), plot.y(*high));
            // Bars of a pixel stand side by side, wherever in it they were.
            let x = plot.x(*at);
            let x = if wide > 1.0 { x } else { plot.area.x + (x - plot.area.x).floor() + 0.5 };
            let left = (x - wide / 2.0).max(plot.area.x);
            let right = (x + wide / 2.0).min(plot.area.x + plot.area.width);
            if right > left && (low - high).abs() > 0.05 {
                bars.push(vec![(left, low), (left, high), (right, high), (right, low)]);
            }
        }
        sheet.canvas.areas(&bars, line.colour, 0.9);
    }
}

fn markers(sheet: &mut Sheet<'_>, plot: &Plot, time: &Time, labelled: bool) {
    let Area { x, y, width: wide, height } = plot.area;
    let (right, mut free) = (x + wide, x);
    for marker in time.markers.iter().filter(|marker| (plot.range.0..=plot.range.1).contains(&marker.at_ms)) {
        let at = plot.x(marker.at_ms).round() + 0.5;
        sheet.canvas.line((at, y), (at, y + height), sheet.theme.pale, true);
        let text = fit(&marker.text, SIZE - 1.0, (wide / 3.0).min(160.0));
        let length = width(&text, SIZE - 1.0);
        // At the right edge it stands before its line.
        let begin = if at + 4.0 + length <= right { at + 4.0 } else { at - 4.0 - length };
        if labelled && begin >= free {
            sheet.canvas.text(begin, y + SIZE, SIZE - 1.0, Anchor::Start, sheet.theme.ink, &text);
            free = begin + length + 8.0;
        }
    }
}

/// An entry of the legend.
struct Entry<'p> {
    line: Option<&'p Line>,
    name: String,
    value: String,
    x: f32,
    row: usize,
}

/// The legend, in as many rows as there is room for.
fn legend<'p>(picture: &Picture, time: &'p Time, area: Area) -> Vec<Entry<'p>> {
    let most = ((area.height * 0.4 / LEGEND) as usize).max(1);
    let mut entries: Vec<Entry<'p>> = Vec::new();
    let (mut x, mut row) = (0.0, 0);
    // The names of stacks are read as they lie: from the top.
    let order: Vec<&Line> =
        if time.kind == Kind::Stacked { time.lines.iter().rev().collect() } else { time.lines.iter().collect() };
    for (i, line) in order.iter().enumerate() {
        let value = picture.unit.tell(line.last(), None);
        let name = fit(&line.name, SIZE, (area.width - width(&value, SIZE) - 40.0).clamp(20.0, 240.0));
        let taken = 15.0 + width(&name, SIZE) + 5.0 + width(&value, SIZE) + 16.0;
        if x > 0.0 && x + taken - 16.0 > area.width {
            (x, row) = (0.0, row + 1);
        }
        if row == most {
            // The last that has room says how many have none.
            let more = format!("+ {} more", order.len() - i);
            let (x, last) = entries.last().map_or((0.0, 0), |last| (last.end(), last.row));
            if x + width(&more, SIZE) <= area.width {
                entries.push(Entry { line: None, name: more, value: String::new(), x, row: last });
            } else if let Some(last) = entries.last_mut() {
                *last = Entry {
                    line: None,
                    name: format!("+ {} more", order.len() - i + 1),
                    value: String::new(),
                    x: last.x,
                    row: last.row,
                };
            }
            break;
        }
        entries.push(Entry { line: Some(line), name, value, x, row });
        x += taken;
    }
    for entry in &mut entries {
        entry.x += area.x;
    }
    entries
}

impl Entry<'_> {
    /// Where the next may begin.
    fn end(&self) -> f32 {
        self.x + 15.0 + width(&self.name, SIZE) + 5.0 + width(&self.value, SIZE) + 16.0
    }

    fn draw(&self, sheet: &mut Sheet<'_>, top: f32) {
        let y = top + self.row as f32 * LEGEND;
        let base = y + 10.0;
        let Some(line) = self.line else {
            return sheet.canvas.text(self.x, base, SIZE, Anchor::Start, sheet.theme.pale, &self.name);
        };
        sheet.canvas.rect(Area { x: self.x, y: y + 1.0, width: 10.0, height: 10.0 }, line.colour, 1.0);
        let x = self.x + 15.0;
        sheet.canvas.text(x, base, SIZE, Anchor::Start, sheet.theme.ink, &self.name);
        let x = x + width(&self.name, SIZE) + 5.0;
        sheet.canvas.text(x, base, SIZE, Anchor::Start, sheet.theme.pale, &self.value);
    }
}

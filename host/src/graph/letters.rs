//! Pictures made of letters, for a terminal: lines of braille dots, bars of blocks.

use super::figures::time_ticks;
use super::layout::{scale, stack, thin};
use super::styles::Rgb;
use super::text::{fit_cells, is_wide, joins, width_cells};
use super::{Body, Kind, List, Look, Picture, Time, clean};
use std::fmt::Write;

/// Dots of a letter (Unicode, Braille Patterns): two beside each other, four below each other.
const DOTS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Blocks from the left, in eighths.
const EIGHTHS: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Blocks from below, in eighths.
const LOWER: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What layers are told apart by where there are no colours.
const SHADES: [char; 4] = ['█', '▓', '▒', '░'];

/// Stands in the second cell of a letter that takes two.
const TAKEN: char = '\0';

/// A picture as lines of text.
pub(super) fn draw(picture: &Picture, look: &Look) -> String {
    let (width, height) = (look.width as usize, look.height as usize);
    let mut sheet = Sheet { out: String::new(), ansi: look.ansi };
    let last = match &picture.body {
        Body::Time(Time { lines, .. }) if lines.len() == 1 => picture.unit.tell(lines[0].last(), None),
        _ => String::new(),
    };
    let beside: Vec<&str> = [&*picture.note, &*last].into_iter().filter(|part| !part.is_empty()).collect();
    let beside = fit_cells(&beside.join("  "), width / 2);
    let taken = width_cells(&beside);
    let title = fit_cells(&clean(&picture.title), width.saturating_sub(taken + 2));
    let gap = width.saturating_sub(width_cells(&title) + taken);
    sheet.end_line(&format!("{title}{:gap$}{beside}", ""));
    match &picture.body {
        Body::Time(time) => sheet.time(picture, time, look, width, height.saturating_sub(1)),
        Body::List(list) => sheet.list(picture, list, width, height.saturating_sub(1)),
    }
    sheet.out
}

/// Letters under way. Writing to a `String` cannot fail.
struct Sheet {
    out: String,
    ansi: bool,
}

/// Letters in columns and lines.
struct Grid {
    width: usize,
    cells: Vec<(char, Option<Rgb>)>,
}

impl Grid {
    fn new(width: usize, height: usize) -> Grid {
        Grid { width, cells: vec![(' ', None); width * height] }
    }

    fn put(&mut self, column: usize, row: usize, letter: char, colour: Option<Rgb>) {
        if column < self.width
            && let Some(cell) = self.cells.get_mut(row * self.width + column)
        {
            *cell = (letter, colour);
        }
    }

    /// Writes a text that is not written upon any more.
    fn write(&mut self, mut column: usize, row: usize, text: &str) {
        for letter in text.chars().filter(|letter| !joins(*letter)) {
            self.put(column, row, letter, None);
            column += 1;
            if is_wide(letter) {
                self.put(column, row, TAKEN, None);
                column += 1;
            }
        }
    }

    /// Adds a dot, counted from the upper left.
    fn dot(&mut self, x: usize, y: usize, colour: Rgb) {
        let (column, row) = (x / 2, y / 4);
        if column < self.width
            && let Some(cell) = self.cells.get_mut(row * self.width + column)
        {
            let before = u32::from(cell.0).checked_sub(0x2800).filter(|dots| *dots < 256).unwrap_or(0);
            let letter = char::from_u32(0x2800 + (before | u32::from(DOTS[x % 2][y % 4]))).unwrap_or(' ');
            *cell = (letter, Some(colour));
        }
    }
}

impl Sheet {
    fn end_line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn coloured(&self, text: &str, colour: Option<Rgb>) -> String {
        match colour.filter(|_| self.ansi) {
            Some(Rgb(r, g, b)) => format!("\x1b[38;2;{r};{g};{b}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }

    /// A row of letters, as few changes of colour as there need to be.
    fn cells(&self, cells: &[(char, Option<Rgb>)]) -> String {
        let same = |a: &(char, Option<Rgb>), b: &(char, Option<Rgb>)| a.1 == b.1;
        let texts = cells.chunk_by(same).map(|run| {
            let text: String = run.iter().map(|(letter, _)| *letter).filter(|letter| *letter != TAKEN).collect();
            self.coloured(&text, run.first().and_then(|(_, colour)| *colour))
        });
        texts.collect()
    }

    fn time(&mut self, picture: &Picture, time: &Time, look: &Look, width: usize, height: usize) {
        let legend =
            if look.legend.unwrap_or(time.lines.len() > 1) { self.legend(picture, time, width) } else { Vec::new() };
        let legend = &legend[..legend.len().min(height / 3)];
        let rows = height.saturating_sub(legend.len() + 1).max(1);
        let scale = scale(time, (rows / 3).max(1), width * 2);
        let ticks: Vec<(usize, String)> = scale
            .ticks()
            .map(|tick| {
                let row = ((1.0 - scale.place(tick)) * (rows - 1) as f64).round() as usize;
                (row, picture.unit.tell(tick, Some(scale.step)))
            })
            .collect();
        let margin = ticks.iter().map(|(_, label)| width_cells(label)).max().unwrap_or(0).min(width / 3);
        let columns = width.saturating_sub(margin + 2).max(1);
        let mut grid = Grid::new(columns, rows);
        let length = time.range.1.saturating_sub(time.range.0).max(1) as f64;
        let share = |at: i64| (at.saturating_sub(time.range.0) as f64 / length).clamp(0.0, 1.0);
        for marker in &time.markers {
            let column = (share(marker.at_ms) * (columns - 1) as f64).round() as usize;
            (0..rows).for_each(|row| grid.put(column, row, '┊', None));
        }
        if time.kind == Kind::Line {
            for line in &time.lines {
                let (x_most, y_most) = ((columns * 2 - 1) as f64, (rows * 4 - 1) as f64);
                let place = |(at, value): (i64, f64)| {
                    ((share(at) * x_most).round() as i64, ((1.0 - scale.place(value)) * y_most).round() as i64)
                };
                let points = thin(&line.points, time.range, columns * 2);
                for piece in points.split(|(_, value)| !value.is_finite()).filter(|piece| !piece.is_empty()) {
                    let mut before = place(piece[0]);
                    for point in piece {
                        let now = place(*point);
                        straight(before, now, |x, y| grid.dot(x, y, line.colour));
                        before = now;
                    }
                }
            }
        } else {
            self.layers(&mut grid, time, &scale, rows, share);
        }
        let mut free = 0;
        for marker in &time.markers {
            let column = (share(marker.at_ms) * (columns - 1) as f64).round() as usize;
            let text = fit_cells(&clean(&marker.text), columns.saturating_sub(column + 2).min(24));
            if column >= free && !text.is_empty() {
                grid.write(column + 1, 0, &text);
                free = column + width_cells(&text) + 2;
            }
        }
        for (row, cells) in grid.cells.chunks(columns).enumerate() {
            let label = ticks.iter().find(|(at, _)| *at == row).map_or("", |(_, label)| label);
            let label = fit_cells(label, margin);
            let gap = margin.saturating_sub(width_cells(&label));
            let edge = if label.is_empty() { '│' } else { '┤' };
            let cells = self.cells(cells);
            self.end_line(&format!("{:gap$}{label} {edge}{cells}", ""));
        }
        let mut labels = vec![' '; width];
        let mut free = margin + 2;
        for tick in time_ticks(time.range.0, time.range.1, columns / 12) {
            let begin =
                (margin + 2 + (share(tick.at_ms) * columns as f64) as usize).saturating_sub(tick.label.len() / 2);
            if begin >= free && begin + tick.label.len() <= width {
                tick.label.chars().enumerate().for_each(|(i, letter)| labels[begin + i] = letter);
                free = begin + tick.label.len() + 2;
            }
        }
        self.end_line(&labels.into_iter().collect::<String>());
        for line in legend {
            self.end_line(line);
        }
    }

    /// Areas on top of each other: of each column the nearest time.
    fn layers(
        &self,
        grid: &mut Grid,
        time: &Time,
        scale: &super::figures::Scale,
        rows: usize,
        share: impl Fn(i64) -> f64,
    ) {
        let columns = grid.width;
        let stacked = stack(time, columns * 2);
        for column in 0..columns {
            let middle = (column as f64 + 0.5) / columns as f64;
            let after = stacked.times.partition_point(|at| share(*at) < middle);
            let nearest =
                [after.checked_sub(1), Some(after)].into_iter().flatten().filter(|i| *i < stacked.times.len());
            let far = |i: &usize| (share(stacked.times[*i]) - middle).abs();
            let Some(nearest) = nearest.min_by(|a, b| far(a).total_cmp(&far(b))) else { continue };
            // Where there is nothing near there is a gap.
            let step = f64::max(
                time.step_ms as f64 / time.range.1.saturating_sub(time.range.0).max(1) as f64,
                1.0 / columns as f64,
            );
            if far(&nearest) > step {
                continue;
            }
            for (i, (line, layer)) in time.lines.iter().zip(&stacked.layers).enumerate() {
                let (low, high) = layer[nearest];
                let eighths = |value: f64| (scale.place(value) * (rows * 8) as f64).round() as usize;
                if !high.is_finite() || eighths(high) <= eighths(low) {
                    continue;
                }
                for row in eighths(low) / 8..eighths(high).div_ceil(8) {
                    let filled = (eighths(high) - row * 8).min(8);
                    let letter = if filled < 8 || self.ansi { LOWER[filled] } else { SHADES[i % SHADES.len()] };
                    grid.put(column, rows - 1 - row.min(rows - 1), letter, Some(line.colour));
                }
            }
        }
    }

    fn legend(&self, picture: &Picture, time: &Time, width: usize) -> Vec<String> {
        let (mut lines, mut taken) = (vec![String::new()], 0);
        for (i, line) in time.lines.iter().enumerate() {
            let value = fit_cells(&picture.unit.tell(line.last(), None), width / 3);
            let name = fit_cells(&clean(&line.name), (width / 2).max(8));
            let length = width_cells(&name) + width_cells(&value) + 3;
            if taken > 0 && taken + length > width {
                lines.push(String::new());
                taken = 0;
            }
            let mark =
                if time.kind == Kind::Line { '●' } else { SHADES[if self.ansi { 0 } else { i % SHADES.len() }] };
            if let Some(to) = lines.last_mut() {
                let _ = write!(to, "{} {name} {value}  ", self.coloured(&mark.to_string(), Some(line.colour)));
            }
            taken += length + 2;
        }
        lines
    }

    fn list(&mut self, picture: &Picture, list: &List, width: usize, height: usize) {
        let all = list.rows.len() + list.more;
        let n = if all > height { height.saturating_sub(1) } else { all }.min(list.rows.len());
        let values: Vec<String> = list.rows.iter().take(n).map(|(_, value)| picture.unit.tell(*value, None)).collect();
        let shown: Vec<String> = list.rows.iter().take(n).map(|(name, _)| clean(name)).collect();
        let names = shown.iter().map(|name| width_cells(name)).max().unwrap_or(0).min(width / 2);
        let figures = values.iter().map(|value| width_cells(value)).max().unwrap_or(0).min(width / 3);
        let bars = width.saturating_sub(names + figures + 2);
        let most = list.rows.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        for ((((_, value), name), colour), figure) in list.rows.iter().zip(&shown).zip(&list.colours).zip(&values) {
            let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
            let eighths = (share * (bars * 8) as f64).round() as usize;
            let mut bar = "█".repeat(eighths / 8);
            if !eighths.is_multiple_of(8) {
                bar.push(EIGHTHS[eighths % 8]);
            }
            let (name, figure) = (fit_cells(name, names), fit_cells(figure, figures));
            let (after, before) =
                (names - width_cells(&name), bars - bar.chars().count() + figures - width_cells(&figure) + 1);
            let bar = self.coloured(&bar, Some(*colour));
            self.end_line(&format!("{name}{:after$} {bar}{:before$}{figure}", "", ""));
        }
        if n < all {
            self.end_line(&format!("+ {} more", all - n));
        } else if all == 0 {
            self.end_line(&fit_cells("there are no numbers here", width));
        }
    }
}

/// Calls `dot` with what lies between two dots (J. Bresenham's way).
fn straight(from: (i64, i64), to: (i64, i64), mut dot: impl FnMut(usize, usize)) {
    let (dx, dy) = ((to.0 - from.0).abs(), -(to.1 - from.1).abs());
    let (sx, sy) = ((to.0 - from.0).signum(), (to.1 - from.1).signum());
    let ((mut x, mut y), mut error) = (from, dx + dy);
    loop {
        dot(x.max(0) as usize, y.max(0) as usize);
        if (x, y) == to {
            return;
        }
        let twice = 2 * error;
        if twice >= dy {
            (error, x) = (error + dy, x + sx);
        }
        if twice <= dx {
            (error, y) = (error + dx, y + sy);
        }
    }
}

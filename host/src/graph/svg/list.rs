//! A picture of what is there now: rows, the heaviest first, or bars beside each other.

use super::canvas::Anchor;
use super::{Area, SIZE, Sheet};
use crate::graph::text::{fit, width};
use crate::graph::{List, Picture};

/// Pixels of a row, and of a bar that stands.
const ROW: f32 = 19.0;
const COLUMN: f32 = 30.0;

pub(super) fn draw(sheet: &mut Sheet<'_>, picture: &Picture, list: &List, area: Area) {
    if list.rows.is_empty() {
        return sheet.nothing("there are no numbers here", area);
    }
    if list.upright { columns(sheet, picture, list, area) } else { rows(sheet, picture, list, area) }
}

/// How many of the rows are shown, and what is said of the others.
fn shown(list: &List, room: f32) -> (usize, String) {
    let room = room.max(1.0) as usize;
    let all = list.rows.len() + list.more;
    if all <= room {
        return (list.rows.len(), String::new());
    }
    let shown = room.saturating_sub(1).max(1).min(list.rows.len());
    (shown, format!("+ {} more", all - shown))
}

fn rows(sheet: &mut Sheet<'_>, picture: &Picture, list: &List, area: Area) {
    let (n, more) = shown(list, area.height / ROW);
    let theme = sheet.theme;
    let values: Vec<String> = list.rows.iter().take(n).map(|(_, value)| picture.unit.tell(*value, None)).collect();
    let widest = |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| width(text, SIZE)).fold(0.0, f32::max);
    let names = widest(&mut list.rows.iter().take(n).map(|(name, _)| name.as_str())).min(area.width * 0.42);
    let figures = widest(&mut values.iter().map(String::as_str)).min(area.width * 0.3);
    let (left, right) = (area.x + names + 8.0, area.x + area.width - figures - 8.0);
    let most = list.rows.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    for (i, (((name, value), colour), figure)) in list.rows.iter().zip(&list.colours).zip(&values).enumerate() {
        let y = area.y + i as f32 * ROW;
        let base = y + 13.0;
        sheet.canvas.text(area.x, base, SIZE, Anchor::Start, theme.ink, &fit(name, SIZE, names + 0.5));
        let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) as f32 } else { 0.0 };
        if right - left >= 8.0 {
            let bar = Area { x: left, y: y + 4.0, width: ((right - left) * share).max(1.0), height: ROW - 8.0 };
            sheet.canvas.rect(bar, *colour, 1.0);
        }
        let figure = fit(figure, SIZE, figures + 0.5);
        sheet.canvas.text(area.x + area.width, base, SIZE, Anchor::End, theme.ink, &figure);
    }
    let base = area.y + n as f32 * ROW + 13.0;
    sheet.canvas.text(area.x, base, SIZE, Anchor::Start, theme.pale, &more);
}

fn columns(sheet: &mut Sheet<'_>, picture: &Picture, list: &List, area: Area) {
    let (n, more) = shown(list, area.width / COLUMN);
    let theme = sheet.theme;
    let slots = n + usize::from(!more.is_empty());
    let wide = (area.width / slots as f32).min(120.0);
    let labelled = area.height >= 50.0;
    let (top, floor) =
        if labelled { (area.y + 14.0, area.y + area.height - 16.0) } else { (area.y, area.y + area.height) };
    let most = list.rows.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    for (i, ((name, value), colour)) in list.rows.iter().take(n).zip(&list.colours).enumerate() {
        let x = area.x + i as f32 * wide;
        let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) as f32 } else { 0.0 };
        let height = ((floor - top) * share).max(1.0);
        let side = (wide * 0.12).min(8.0);
        sheet.canvas.rect(Area { x: x + side, y: floor - height, width: wide - 2.0 * side, height }, *colour, 1.0);
        if labelled {
            let middle = x + wide / 2.0;
            let figure = fit(&picture.unit.tell(*value, None), SIZE, wide - 2.0);
            sheet.canvas.text(middle, floor - height - 4.0, SIZE, Anchor::Middle, theme.pale, &figure);
            let name = fit(name, SIZE, wide - 4.0);
            sheet.canvas.text(middle, floor + 13.0, SIZE, Anchor::Middle, theme.ink, &name);
        }
    }
    let y = floor.round() + 0.5;
    sheet.canvas.line((area.x, y), (area.x + slots as f32 * wide, y), theme.axis, false);
    if labelled {
        let more = fit(&more, SIZE, wide);
        sheet.canvas.text(area.x + n as f32 * wide + 2.0, floor - 4.0, SIZE, Anchor::Start, theme.pale, &more);
    }
}

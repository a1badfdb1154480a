//! `/trend/`: how values went on.

use super::answer::{Answer, Refusal};
use super::args::decode;
use super::get::apart;
use super::web::Web;
use crate::conf::{Role, nearest};
use crate::core::Shared;
use crate::json::{write_number, write_string};
use crate::limits::{PATHS_MAX, TREND_ASKED_AT_ONCE, TREND_STEPS, TREND_STEPS_MAX, TREND_VALUES_MAX};
use crate::tree::Pattern;
use crate::trend::{Ask, AskError, Axis, Engine, Figure, Fold, Line, Range, Retention, Told, Trend, step_for};
use crate::when::parse_time;
use plugin_api::parse_duration;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use warp::http::StatusCode;
use warp::http::header::HeaderValue;

const CSV: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8");

const KNOWN: [&str; 7] = ["from", "to", "step", "as", "fold", "format", "engine"];

/// Questions that read at a time: each may hold some hundreds of megabytes.
static ASKED_AT_ONCE: Semaphore = Semaphore::const_new(TREND_ASKED_AT_ONCE);

/// What is asked for.
struct Asked {
    keys: Vec<Pattern>,
    range: Range,
    step_ms: i64,
    one: bool,
    figures: Vec<Figure>,
    fold: Option<Fold>,
    csv: bool,
    /// Where history is asked for, if there is more of it than one.
    engine: Option<Engine>,
    /// No end was named: the last step is the last that has anything.
    open: bool,
}

/// `/trend/?key-br,ie&from=-1h&to=now&step=1m`: an object a key, with a member a match:
/// `{"br,ie":{"from":1767571200,"step":60,"values":[3,null,5]}}`. With `step=raw`, `"times":[…]` in the place of `from` and
/// `step`, unless these lie evenly. Times are seconds since the Unix epoch. `null` is a gap: the daemon was not there, or the
/// node was not.
///
/// `as=` gives another figure than the node's action does, `fold=` folds otherwise than it, `format=csv` gives a table. With
/// `as=p50,p99` a member a figure stands for `values`: `{"from":…,"step":…,"p50":[…],"p99":[…]}`. Of a text:
/// `{"events":[[1767571200,"1.2"],[1767574800,null]]}`, the first of which held as the range began; `null` where the node went.
///
/// # Errors
/// 400 for arguments that are not known or ask for too much; 503 where no history is kept or it cannot be read.
pub(super) async fn trend(web: &Web, query: &str) -> Result<Answer, Refusal> {
    let commit_ms = i64::try_from(web.shared.conf.commit.as_millis()).unwrap_or(i64::MAX);
    let retention = Retention::from(web.shared.conf.trend);
    let asked = Asked::read(query, web.shared.clock.unix_ms(), commit_ms, &retention)?;
    let shared = Arc::clone(&web.shared);
    in_turn(&ASKED_AT_ONCE, move || {
        let trend = history(&shared, asked.engine, "/trend/")?;
        let (mut found, mut values) = (Vec::new(), 0);
        for pattern in &asked.keys {
            let ask = Ask {
                pattern: pattern.clone(),
                range: asked.range,
                step_ms: asked.step_ms,
                one: asked.one,
                figures: asked.figures.clone(),
                fold: asked.fold,
                commit_ms,
            };
            let answer = trend.ask(&ask).map_err(|error| unanswered("/trend/", pattern, error))?;
            values += answer.1.iter().map(Line::values).sum::<usize>();
            if values > TREND_VALUES_MAX {
                return Err(bad(format_args!(
                    "the answer has more than {TREND_VALUES_MAX} values: ask for a longer step, a shorter time or fewer keys"
                )));
            }
            found.push(answer);
        }
        if asked.open {
            cut(&mut found);
        }
        Ok(if asked.csv { csv(&found, &asked.figures) } else { json(&found, &asked.figures) })
    })
    .await?
}

/// Where history is asked for, for a family of URLs.
///
/// # Errors
/// 404 where none is kept, 503 where its file could not be opened, 400 where the engine is none of this daemon's.
pub(super) fn history<'s>(shared: &'s Shared, engine: Option<Engine>, family: &str) -> Result<&'s dyn Trend, Refusal> {
    let Some(trend) = shared.trend.get() else {
        if shared.conf.role == Role::Agent {
            let why = format_args!("{family}: this daemon is an agent, and keeps no history");
            return Err(Refusal::new(StatusCode::NOT_FOUND, why));
        }
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format_args!("{family}: this daemon keeps no history, for its database could not be opened; see its log"),
        ));
    };
    let trend: &dyn Trend = &**trend;
    match engine {
        None => Ok(trend),
        Some(engine) => trend.of(engine).ok_or_else(|| bad("engine: this daemon reads no history there")),
    }
}

/// Why history does not answer what a family of URLs asks of it.
pub(super) fn unanswered(family: &str, pattern: &Pattern, error: AskError) -> Refusal {
    match error {
        AskError::TooMuch(why) => Refusal::bad(format_args!("{family}: key-{pattern}: {why}")),
        AskError::Elsewhere(why) => {
            // It may have answered, with another status than it should have.
            let does = if why.contains(" answered ") { "refuses" } else { "does not answer" };
            let why = format_args!("{family}: the store (trend.read) {does}: {why}");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why)
        }
        AskError::Failed(error) => {
            let why = format_args!("{family}: history cannot be read: {error}");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why)
        }
    }
}

/// Does work that blocks when there is a turn for it. Whoever waits for it may go meanwhile, which does not end it: the turn is over
/// when the work is.
async fn in_turn<T: Send + 'static>(
    turns: &'static Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    // It is never closed.
    let turn = turns.acquire().await;
    apart(move || {
        let _turn = turn;
        work()
    })
    .await
}

fn bad(why: impl std::fmt::Display) -> Refusal {
    Refusal::bad(format_args!("/trend/: {why}"))
}

impl Asked {
    fn read(query: &str, now: i64, commit_ms: i64, retention: &Retention) -> Result<Asked, Refusal> {
        let mut keys = Vec::new();
        let mut given: [Option<String>; KNOWN.len()] = Default::default();
        for written in query.split('&').filter(|written| !written.is_empty()) {
            let (name, value) = written.split_once('=').unwrap_or((written, ""));
            let text = |written| {
                decode(written, true).ok_or_else(|| bad(format_args!("the escapes in {written:?} do not spell UTF-8")))
            };
            let (name, value) = (text(name)?, text(value)?);
            let path =
                if name == "key" { Some(&*value) } else { name.strip_prefix("key-").filter(|_| value.is_empty()) };
            if let Some(path) = path {
                keys.push(Pattern::parse(path).map_err(|error| bad(format_args!("path {path:?}: {error}")))?);
                continue;
            }
            let Some(place) = KNOWN.iter().position(|known| *known == name) else {
                let near = nearest(&name, KNOWN).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
                return Err(bad(format_args!(
                    "unknown argument {name:?}{near}; known are key-PATH, key=PATH, {}",
                    KNOWN.join(", ")
                )));
            };
            if given[place].replace(value.into_owned()).is_some() {
                return Err(bad(format_args!("{name} is given twice")));
            }
        }
        if keys.is_empty() || keys.len() > PATHS_MAX {
            return Err(bad(format_args!(
                "{} keys; ask for 1 to {PATHS_MAX}, such as /trend/?key-status,200&from=-1h",
                keys.len()
            )));
        }
        let [from, to, step, figure, fold, format, engine] = given;
        let time = |name: &str, text: Option<String>, default: i64| {
            match text {
            None => Ok(default),
            Some(text) => parse_time(&text, now).ok_or_else(|| {
                bad(format_args!(
                    "{name}={text}: must be a time such as -1h, now, 1767571200 (seconds since 1970) or 2026-01-05T00:00:00Z"
                ))
            }),
        }
        };
        let open = to.is_none();
        // What was committed last may have the time of the commit that is about to come.
        let to = time("to", to, now + commit_ms)?;
        let range = Range { from: time("from", from, if open { now } else { to } - 3_600_000)?, to };
        if range.from >= range.to {
            return Err(bad("from must be before to"));
        }
        let one = step.as_deref() == Some("all");
        let finest_ms = retention.finest_ms(range.from, now);
        let step_ms =
            if one { range.to.saturating_sub(range.from) } else { step_of(step.as_deref(), range, finest_ms)? };
        let figures = figures(figure.as_deref().unwrap_or("value"))?;
        let fold = named("fold", fold, &Fold::NAMES)?;
        let csv = named("format", format, &[("json", false), ("csv", true)])?.unwrap_or(false);
        let engine = named("engine", engine, &Engine::NAMES)?;
        Ok(Asked { keys, range, step_ms, one, figures, fold, csv, engine, open })
    }
}

/// Several figures are joined by commas.
fn figures(text: &str) -> Result<Vec<Figure>, Refusal> {
    let mut all = Vec::new();
    for name in text.split(',') {
        if let Some(figure) = named("as", Some(name.to_owned()), &Figure::NAMES)?
            && !all.contains(&figure)
        {
            all.push(figure);
        }
    }
    Ok(all)
}

fn named<T: Copy>(name: &str, value: Option<String>, known: &[(&str, T)]) -> Result<Option<T>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    let found = known.iter().find(|(name, _)| *name == value).map(|(_, found)| *found);
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| bad(format_args!("{name}={value}: must be one of {}", names())))
}

/// The length of a step: as told, or so that there are not more than can be seen, and none is shorter than what is kept.
fn step_of(text: Option<&str>, range: Range, finest_ms: i64) -> Result<i64, Refusal> {
    let length = range.to.saturating_sub(range.from);
    let step = match text {
        Some(text) => match read_step(text) {
            Some(0) => return Ok(0),
            Some(step) => step,
            None => return Err(bad(format_args!("step={text}: must be raw, all, or {STEP_KNOWN}"))),
        },
        None => step_for(range, finest_ms, TREND_STEPS),
    };
    if length / step > TREND_STEPS_MAX {
        return Err(bad(format_args!(
            "{} steps are more than {TREND_STEPS_MAX}: ask for a longer step",
            length / step
        )));
    }
    Ok(step)
}

/// What a step may be beside `raw`.
pub(super) const STEP_KNOWN: &str = "a duration from 1s to 400d such as 10s, 1m, 1h or 1d";

/// A step that is told, in milliseconds; 0 for each commit.
pub(super) fn read_step(text: &str) -> Option<i64> {
    if text == "raw" {
        return Some(0);
    }
    let seconds = || text.parse().ok().map(Duration::from_secs);
    let step = parse_duration(text).or_else(seconds).and_then(|step| i64::try_from(step.as_millis()).ok());
    step.filter(|step| (1_000..=400 * DAY_MS).contains(step))
}

const DAY_MS: i64 = 86_400_000;

/// Leaves off the steps at the end that nothing has anything in.
fn cut(found: &mut [(Axis, Vec<Line>)]) {
    let used = |line: &Vec<f64>| line.iter().rposition(|value| !value.is_nan()).map_or(0, |at| at + 1);
    let most = found.iter().flat_map(|(_, lines)| lines).flat_map(figures_of).map(used).max().unwrap_or(0);
    for (axis, lines) in found {
        axis.truncate(most);
        for line in lines {
            if let Told::Figures(figures) = &mut line.told {
                figures.iter_mut().for_each(|values| values.truncate(most));
            }
        }
    }
}

fn figures_of(line: &Line) -> &[Vec<f64>] {
    match &line.told {
        Told::Figures(figures) => figures,
        Told::Events(_) => &[],
    }
}

fn json(found: &[(Axis, Vec<Line>)], asked: &[Figure]) -> Answer {
    let values: usize = found.iter().map(|(axis, lines)| axis.len() * lines.len()).sum();
    let mut out = Vec::with_capacity(256 + values * 8);
    out.push(b'[');
    for (i, (axis, lines)) in found.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.push(b'{');
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(&mut out, &line.path);
            out.extend(b":{");
            match &line.told {
                Told::Figures(figures) => {
                    write_axis(&mut out, axis);
                    for (figure, values) in asked.iter().zip(figures) {
                        out.push(b',');
                        write_string(&mut out, if asked.len() == 1 { "values" } else { figure.name() });
                        out.push(b':');
                        write_list(&mut out, values, |out, value| write_number(out, *value));
                    }
                }
                Told::Events(events) => {
                    out.extend(b"\"events\":");
                    write_list(&mut out, events, |out, (time, text)| {
                        out.push(b'[');
                        write_number(out, seconds(*time));
                        out.push(b',');
                        match text {
                            Some(text) => write_string(out, text),
                            None => out.extend(b"null"),
                        }
                        out.push(b']');
                    });
                }
            }
            out.push(b'}');
        }
        out.push(b'}');
    }
    out.push(b']');
    Answer::json(out)
}

fn write_list<T>(out: &mut Vec<u8>, list: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn write_axis(out: &mut Vec<u8>, axis: &Axis) {
    match axis.evenly() {
        Some((from, step)) => {
            out.extend(b"\"from\":");
            write_number(out, seconds(from));
            out.extend(b",\"step\":");
            write_number(out, seconds(step));
        }
        None => {
            out.extend(b"\"times\":");
            let places: Vec<usize> = (0..axis.len()).collect();
            write_list(out, &places, |out, place| write_number(out, seconds(axis.at(*place))));
        }
    }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}

/// A row a time, a column a line and figure; the first row has their names. What happened is a table a line.
fn csv(found: &[(Axis, Vec<Line>)], asked: &[Figure]) -> Answer {
    let mut out = Vec::new();
    for same in found.chunk_by(|(a, _), (b, _)| a == b) {
        // Lines of one axis are one table; raw ones may differ from key to key.
        let Some((axis, _)) = same.first() else { continue };
        let lines = || same.iter().flat_map(|(_, lines)| lines);
        let columns: Vec<&Vec<f64>> = lines().flat_map(figures_of).collect();
        let texts: Vec<&Line> = lines().filter(|line| matches!(line.told, Told::Events(_))).collect();
        if !columns.is_empty() || texts.is_empty() {
            out.extend(b"time");
            for line in lines().filter(|line| matches!(line.told, Told::Figures(_))) {
                for figure in asked {
                    out.push(b',');
                    match asked.len() {
                        1 => write_quoted(&mut out, &line.path),
                        _ => write_quoted(&mut out, &format!("{} {}", line.path, figure.name())),
                    }
                }
            }
            out.push(b'\n');
            for place in 0..axis.len() {
                write_number(&mut out, seconds(axis.at(place)));
                for values in &columns {
                    out.push(b',');
                    if let Some(value) = values.get(place).filter(|value| !value.is_nan()) {
                        write_number(&mut out, *value);
                    }
                }
                out.push(b'\n');
            }
        }
        for line in texts {
            let Told::Events(events) = &line.told else { continue };
            out.extend(b"time,");
            write_quoted(&mut out, &line.path);
            out.push(b'\n');
            for (time, text) in events {
                write_number(&mut out, seconds(*time));
                out.push(b',');
                if let Some(text) = text {
                    write_quoted(&mut out, text);
                }
                out.push(b'\n');
            }
        }
    }
    Answer::new(StatusCode::OK, CSV, out)
}

fn write_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend(text.replace('"', "\"\"").bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::{Asked, DAY_MS, in_turn};
    use crate::conf::TrendConf;
    use crate::trend::Retention;
    use std::sync::mpsc::channel;
    use tokio::sync::Semaphore;

    #[test]
    fn no_step_is_shorter_than_what_is_kept_unless_it_is_asked_for() {
        let now = 20_000 * DAY_MS + DAY_MS / 2;
        let retention = Retention::from(TrendConf::default());
        for (query, step_ms) in [
            ("from=-1h", 10_000),
            ("from=-3d&to=-71h", 60_000),
            ("from=-3d&to=-71h&step=10s", 10_000),
            ("from=-31d&to=-743h", 600_000),
            ("from=-400d", DAY_MS),
            ("from=-400d&to=-399d", DAY_MS),
            ("from=-1d", 300_000),
        ] {
            let asked = Asked::read(&format!("key-a&{query}"), now, 10_000, &retention);
            assert_eq!(asked.ok().map(|asked| asked.step_ms), Some(step_ms), "{query}");
        }
        // Where the ten minutes go early, days are there.
        let retention = Retention { raw_ms: DAY_MS, minute_ms: DAY_MS, ten_minutes_ms: 2 * DAY_MS, ..retention };
        let asked = Asked::read("key-a&from=-30d", now, 10_000, &retention);
        assert_eq!(asked.ok().map(|asked| asked.step_ms), Some(DAY_MS));
    }

    #[tokio::test]
    async fn a_turn_is_as_long_as_its_work_and_not_as_its_client() {
        static TURNS: Semaphore = Semaphore::const_new(1);
        let (go_on, wait) = channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let asked = tokio::spawn(in_turn(&TURNS, move || {
            let _ = begun.send(());
            let _ = wait.recv();
        }));
        begins.await.expect("begun");
        asked.abort();
        assert!(asked.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(TURNS.available_permits(), 0, "the work is still under way");
        go_on.send(()).expect("it waits");
        // The next one has its turn when that has ended.
        assert!(in_turn(&TURNS, || 7).await.is_ok_and(|seven| seven == 7));
    }
}

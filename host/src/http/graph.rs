//! `/graph/`: pictures of the tree and of its history.

use super::answer::{Answer, Refusal};
use super::args::decode;
use super::trend::{STEP_KNOWN, history, read_step, unanswered};
use super::turn::in_turn_within;
use super::web::Web;
use crate::conf::{Role, nearest};
use crate::graph::{Form, Look, Question, Undrawn, Wrong, draw, gather, known};
use crate::limits::GRAPH_MARKED_MAX;
use crate::tree::Pattern;
use crate::trend::{Figure, Fold, Retention};
use crate::when::parse_time;
use std::sync::Arc;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

/// An SVG that is opened by itself runs nothing and loads nothing, whatever is in it.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'self'");

/// The arguments beside those of [`Look`].
const KNOWN: [&str; 7] = ["from", "to", "step", "as", "fold", "units", "markers"];

/// `/graph/PATH.svg?size=640x240&style=cpu&from=-1d`: a picture; `.png`, `.jpg`, `.pdf` and `.txt` as well. All of the URL after
/// `/graph/` is one path, decoded once. A branch without a value of its own is drawn with a line a child.
///
/// # Errors
/// 400 for what is not known, with all that is; 404 where nothing is at the path and nothing was; 503 where history cannot be read, or
/// there are too many pictures under way.
pub(super) async fn graph(web: &Web, rest: &str, query: &str) -> Result<Answer, Refusal> {
    if web.shared.conf.role == Role::Agent {
        let why = "this daemon is an agent, and makes no pictures; ask the one that it relays to";
        return Err(Refusal::new(StatusCode::NOT_FOUND, why));
    }
    let shared = Arc::clone(&web.shared);
    let now_ms = shared.clock.unix_ms();
    let (question, look) = read(web, rest, query, now_ms)?;
    in_turn_within(web.patience.picture, &web.drawing, "/graph/", move |waited_for| {
        let picture = gather(&shared.tree, shared.trend.get().map(|trend| &**trend), &question, &look, waited_for);
        let picture = picture.map_err(|wrong| match wrong {
            Wrong::Missing => {
                let why = format_args!(
                    "there is no {:?} in the tree, and was none in this time; /get/?key-&depth=1 shows its branches",
                    question.pattern.to_string()
                );
                Refusal::new(StatusCode::NOT_FOUND, why)
            }
            Wrong::Asked(why) => bad(why),
            Wrong::History(pattern, error) => unanswered("/graph/", &pattern, error),
            // Nobody reads it.
            Wrong::Left => Refusal::stopping(),
            Wrong::NoHistory => match history(&shared, None, "/graph/") {
                Err(refusal) => refusal,
                Ok(_) => Refusal::stopping(),
            },
        })?;
        let bytes = draw(&picture, &look, waited_for).map_err(|undrawn| match undrawn {
            Undrawn::Failed(why) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format_args!("/graph/: {why}")),
            // Nobody reads it.
            Undrawn::Left => Refusal::stopping(),
        })?;
        let answer = Answer::new(StatusCode::OK, HeaderValue::from_static(look.form.content_type()), bytes);
        Ok(if look.form == Form::Svg { answer.header(CONTENT_SECURITY_POLICY, POLICY) } else { answer })
    })
    .await?
}

fn bad(why: impl std::fmt::Display) -> Refusal {
    Refusal::bad(format_args!("/graph/: {why}"))
}

/// What is asked for, and how it is to look.
fn read(web: &Web, rest: &str, query: &str, now_ms: i64) -> Result<(Question, Look), Refusal> {
    let text = |written, plus| {
        decode(written, plus).ok_or_else(|| bad(format_args!("the escapes in {written:?} do not spell UTF-8")))
    };
    let parse = |path: &str| Pattern::parse(path).map_err(|error| bad(format_args!("path {path:?}: {error}")));
    let whole = text(rest, false)?;
    let named = whole.rsplit_once('.').and_then(|(path, end)| Some((path, *known(&Form::NAMES, end).ok()?)));
    let Some((path, form)) = named else {
        let forms = Form::NAMES.map(|(name, _)| format!(".{name}")).join(", ");
        return Err(bad(format_args!("{whole:?} must end with one of {forms}, as in /graph/cpu.svg")));
    };
    let mut look = Look::new(form);
    let shared = &web.shared;
    let mut question = Question {
        pattern: parse(path)?,
        from: None,
        to: None,
        step_ms: None,
        figures: Vec::new(),
        fold: None,
        markers: Vec::new(),
        unit: None,
        now_ms,
        commit_ms: i64::try_from(shared.conf.commit.as_millis()).unwrap_or(i64::MAX),
        retention: Retention::from(shared.conf.trend),
    };
    let mut seen = Vec::new();
    for written in query.split('&').filter(|written| !written.is_empty()) {
        let (name, value) = written.split_once('=').unwrap_or((written, ""));
        let (name, value) = (text(name, true)?, text(value, true)?);
        let wrong = |wanted: &dyn std::fmt::Display| bad(format_args!("{name}={value}: {wanted}"));
        let all = || KNOWN.into_iter().chain(Look::ARGUMENTS);
        if !all().any(|known| known == name) {
            let near = nearest(&name, all()).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            let all: Vec<&str> = all().collect();
            return Err(bad(format_args!("unknown argument {name:?}{near}; known are {}", all.join(", "))));
        }
        if name == "markers" {
            question.markers.push(parse(&value)?);
            if question.markers.len() > GRAPH_MARKED_MAX {
                return Err(bad(format_args!("more than {GRAPH_MARKED_MAX} markers: a * in one is several")));
            }
            continue;
        }
        if seen.contains(&name) {
            return Err(bad(format_args!("{name} is given twice")));
        }
        let time = || {
            let wanted = "must be a time such as -1h, now, 1767571200 (seconds since 1970) or 2026-01-05T00:00:00Z";
            parse_time(&value, now_ms).map(Some).ok_or_else(|| wrong(&wanted))
        };
        match &*name {
            "from" => question.from = time()?,
            "to" => question.to = time()?,
            "step" => {
                let step = read_step(&value).ok_or_else(|| wrong(&format_args!("must be raw, or {STEP_KNOWN}")))?;
                question.step_ms = Some(step);
            }
            "as" => {
                for one in value.split(',') {
                    let figure = *known(&Figure::NAMES, one).map_err(|wanted| wrong(&wanted))?;
                    if !question.figures.contains(&figure) {
                        question.figures.push(figure);
                    }
                }
            }
            "fold" => question.fold = Some(*known(&Fold::NAMES, &value).map_err(|wanted| wrong(&wanted))?),
            "units" => question.unit = Some(value.into_owned()),
            _ => look.set(&name, &value).map_err(|wanted| wrong(&wanted))?,
        }
        seen.push(name);
    }
    Ok((question, look))
}

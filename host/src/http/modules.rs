//! `/modules`: what runs, and the switches.

use super::answer::{Answer, Refusal};
use super::args::decode;
use super::assets::{self, Page};
use super::page::{escaped, frame};
use super::route::text;
use super::web::Web;
use crate::conf::{Isolation, Role};
use crate::core::{Switch, SwitchError};
use crate::module::{Change, Kind, ModuleStatus, State};
use crate::tree::encode_path;
use crate::when::rfc3339;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use warp::http::header::{ACCEPT, HeaderValue, LOCATION};
use warp::http::{HeaderMap, StatusCode};

/// Every module with its state: JSON for who asks for it, else a page. Where the pages are not built, and for an agent, that page is one
/// that stands still.
///
/// # Errors
/// 503: the daemon is stopping.
pub(super) async fn list(web: &Web, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let page_wanted = wants_page(headers);
    let modules = web.shared.modules.read().clone();
    if page_wanted
        && web.shared.conf.role != Role::Agent
        && let Some(built) = assets::built(web, Page::Modules, || content(&modules)).await?
    {
        return Ok(built);
    }
    if page_wanted {
        return Ok(Answer::page(page(&modules)));
    }
    Ok(Answer::json(Value::Array(modules.iter().map(shown).collect()).to_string()))
}

/// `/modules/log`: the last changes of modules' states since the daemon began, the newest first.
pub(super) fn log(web: &Web) -> Answer {
    let changes = web.shared.module_changes.newest_first();
    let shown = |change: Change| json!({ "at": rfc3339(change.at_ms), "name": change.name, "state": change.state.name(), "why": change.why });
    Answer::json(Value::Array(changes.into_iter().map(shown).collect()).to_string())
}

/// `NAME/on`, `NAME/off` and `NAME/reload`, taken apart. The name is still as it stands in the URL.
pub(super) fn switch_of(rest: &str) -> Option<(&str, Switch)> {
    let (name, to) = rest.rsplit_once('/')?;
    let to = match to {
        "on" => Switch::On,
        "off" => Switch::Off,
        "reload" => Switch::Reload,
        _ => return None,
    };
    Some((name, to))
}

/// Switches a module; answers how it is when the change is under way.
///
/// # Errors
/// 404 when there is no such module, 409 when it cannot be switched as things are.
pub(super) async fn switch(web: &Web, name: &str, to: Switch, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let name = decode(name, false)
        .ok_or_else(|| Refusal::bad(format_args!("/modules/: the escapes in {name:?} do not spell UTF-8")))?;
    web.shared.events.switch(name.clone().into_owned(), to).await.map_err(|error| {
        let status = match error {
            SwitchError::Unknown(_) => StatusCode::NOT_FOUND,
            SwitchError::Failed(_) => StatusCode::CONFLICT,
        };
        Refusal::new(status, format_args!("module {name:?}: {error}"))
    })?;
    if text(headers, &ACCEPT).is_some_and(|accept| accept.contains("text/html")) {
        // From the page's own buttons: back to it.
        return Ok(Answer::new(StatusCode::SEE_OTHER, super::answer::TEXT, "")
            .header(LOCATION, HeaderValue::from_static("/modules")));
    }
    let modules = web.shared.modules.read().clone();
    let module = modules.iter().find(|module| module.name == *name);
    // A module that is nothing but its conf file can be gone by now.
    let gone = || gone(&name, web.shared.clock.unix_ms());
    Ok(Answer::json(module.map_or_else(gone, shown).to_string()))
}

/// JSON only for who says so.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    !text(headers, &ACCEPT).is_some_and(|accept| accept.contains("application/json"))
}

fn shown(module: &ModuleStatus) -> Value {
    let counts = module.stats.counts();
    let seconds = |ns: u64| ns as f64 / 1e9;
    let mut shown = json!({
        "name": module.name,
        "kind": module.kind.name(),
        "file": module.file.to_string_lossy(),
        "state": module.state.name(),
        "since": rfc3339(module.since_ms),
        "why": module.why,
        "next": module.next_ms.map(rfc3339),
        "isolation": module.isolation.as_str(),
        "runs": module.runs,
        "branch": module.branch.as_ref().map(|keys| encode_path(keys.iter().map(String::as_str))),
        "calls": counts.calls,
        "errors": counts.errors,
        "cpu": seconds(counts.cpu_ns),
        "late": counts.late,
        "lateness": seconds(counts.late_ns),
        "restarts": counts.restarts,
    });
    if !module.detail.is_empty() {
        shown["traceback"] = module.detail.as_str().into();
    }
    shown
}

/// A module that is there no more, with all that is told of those that are.
fn gone(name: &str, now_ms: i64) -> Value {
    let mut shown = shown(&ModuleStatus {
        name: name.to_owned(),
        kind: Kind::Unknown,
        file: PathBuf::new(),
        state: State::Stopped,
        since_ms: now_ms,
        why: "it is gone".to_owned(),
        detail: String::new(),
        next_ms: None,
        isolation: Isolation::None,
        runs: false,
        branch: None,
        stats: Arc::default(),
    });
    shown["file"] = Value::Null;
    shown
}

fn page(modules: &[ModuleStatus]) -> String {
    frame("Modules", "", &content(modules))
}

/// What the page says.
fn content(modules: &[ModuleStatus]) -> String {
    let mut main = String::from("<h1>Modules</h1>\n");
    if modules.is_empty() {
        main.push_str("<p>There are none. Drop a plugin into the plugins folder, and it appears here.</p>\n");
        return main;
    }
    main.push_str(
        "<table>\n<caption>What is grafted into the tree. The buttons rename the file in the conf folder.</caption>\n\
         <thead><tr><th scope=\"col\">Module</th><th scope=\"col\">Kind</th><th scope=\"col\">State</th>\
         <th scope=\"col\">Since</th><th scope=\"col\">Why</th><th scope=\"col\">Switch</th></tr></thead>\n<tbody>\n",
    );
    for module in modules {
        let since = rfc3339(module.since_ms);
        let mut why = module.why.clone();
        if module.state == State::Rejected && module.runs && !why.ends_with("goes on") {
            why.push_str(" (the one before goes on)");
        }
        if let Some(next) = module.next_ms {
            let _ = write!(why, " (next try {})", rfc3339(next));
        }
        let _ = write!(
            main,
            "<tr><th scope=\"row\" title=\"{file}\">{name}</th><td>{kind}</td><td class=\"state {state}\">{state}</td>\
             <td><time datetime=\"{since}\">{since}</time></td><td>{why}{traceback}</td><td>",
            file = escaped(&module.file.to_string_lossy()),
            name = escaped(&module.name),
            kind = kind_of(module),
            state = module.state.name(),
            why = escaped(&why),
            traceback = traceback_of(module),
        );
        let switches: &[&str] = if module.state == State::Off { &["on"] } else { &["off", "reload"] };
        let name = in_url(&module.name);
        for to in switches {
            let _ = write!(
                main,
                "<form method=\"post\" action=\"/modules/{name}/{to}\"><button aria-label=\"{label} {to}\">{to}</button></form>",
                label = escaped(&module.name),
            );
        }
        main.push_str("</td></tr>\n");
    }
    main.push_str("</tbody>\n</table>\n");
    main
}

/// What there is to read beyond the line that says why, folded away.
fn traceback_of(module: &ModuleStatus) -> String {
    if module.detail.is_empty() {
        return String::new();
    }
    format!(
        "<details><summary>Traceback</summary><pre>{}</pre></details>",
        module.detail.lines().map(escaped).collect::<Vec<_>>().join("\n")
    )
}

/// What a module does, and where, if that is not the daemon's process.
fn kind_of(module: &ModuleStatus) -> String {
    match module.isolation {
        Isolation::None => module.kind.name().to_owned(),
        Isolation::Process => format!("{}, isolated", module.kind.name()),
    }
}

/// A name as a segment of a URL's path.
fn in_url(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_on_the_page_and_a_segment_in_its_urls() {
        let module = ModuleStatus {
            name: "a<b\"/ c".to_owned(),
            kind: Kind::Pipe,
            file: "x&y.on".into(),
            state: State::Off,
            since_ms: 0,
            why: "<script>".to_owned(),
            detail: "File \"<x>\"".to_owned(),
            next_ms: Some(1_000),
            isolation: Isolation::None,
            runs: false,
            branch: Some(vec!["cpu".to_owned(), "a,b".to_owned()].into()),
            stats: std::sync::Arc::default(),
        };
        let page = page(&[module]);
        assert!(page.contains("a&lt;b&quot;/ c"), "{page}");
        assert!(page.contains("action=\"/modules/a%3Cb%22%2F%20c/on\""), "{page}");
        assert!(page.contains("&lt;script&gt; (next try 1970-01-01T00:00:01.000Z)"), "{page}");
        assert!(page.contains("<pre>File &quot;&lt;x&gt;&quot;</pre>"), "{page}");
        assert!(!page.contains("<script>"), "{page}");
        assert_eq!(switch_of("a%2Fb/reload"), Some(("a%2Fb", Switch::Reload)));
        assert_eq!(switch_of("a/b"), None);
    }

    #[test]
    fn of_one_that_is_gone_all_is_told_that_is_told_of_others() {
        let gone = gone("cpu", 0);
        assert_eq!((&gone["state"], &gone["calls"], &gone["file"]), (&json!("stopped"), &json!(0), &Value::Null));
        let described: Value = serde_json::from_str(include_str!("openapi/schemas.json")).unwrap();
        let mut wanted: Vec<&str> =
            described["Module"]["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let mut told: Vec<&str> = gone.as_object().unwrap().keys().map(String::as_str).collect();
        wanted.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, wanted);
    }
}

//! The built pages: their frame, and the scripts and styles that they are drawn by.
//!
//! `host/web` is built into `host/web/dist`; `build.rs` puts that into the program, and `graftd run --web DIR` serves a folder
//! in its place, as it is at each request. A script's name has its content's hash in it, so a browser keeps it for good.

use super::answer::{Answer, Refusal};
use super::get::apart;
use super::page::{escaped, frame};
use super::route::text;
use super::web::Web;
use crate::limits::WEB_FILE_BYTES_MAX;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;
use warp::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use warp::http::{HeaderMap, StatusCode};
use warp::hyper::body::Bytes;

const SHELL: &str = include_str!("page/shell.html");
const UNBUILT: &str = include_str!("page/unbuilt.html");

/// A file of the built pages, as it lies in the program; packed it is empty where it was not packed.
struct Embedded {
    name: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
    brotli: &'static [u8],
}

static EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// One that tests ask for, whether the pages are built or not.
#[cfg(test)]
static TRIED: Embedded = Embedded { name: "tried-0.js", plain: b"as it is", gzip: b"by gzip", brotli: b"by brotli" };

fn embedded(name: &str) -> Option<&'static Embedded> {
    #[cfg(test)]
    if name == TRIED.name {
        return Some(&TRIED);
    }
    EMBEDDED.iter().find(|file| file.name == name)
}

/// The pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Front,
    Realtime,
    Trend,
    Diff,
    Modules,
    Views,
}

impl Page {
    /// All of them, as the navigation lists them.
    const ALL: [Page; 6] = [Page::Front, Page::Realtime, Page::Trend, Page::Diff, Page::Modules, Page::Views];

    /// What its script is called, its heading, and where it is.
    fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Page::Front => ("front", "Overview", "/"),
            Page::Realtime => ("realtime", "Realtime", "/realtime/"),
            Page::Trend => ("trend", "Trend", "/trend/view/"),
            Page::Diff => ("diff", "Compare", "/diff/"),
            Page::Modules => ("modules", "Modules", "/modules"),
            Page::Views => ("views", "Views", "/setting/view"),
        }
    }

    /// The page that is at a path, if there is one.
    pub(super) fn at(path: &str) -> Option<Page> {
        Some(match path {
            "/realtime" | "/realtime/" => Page::Realtime,
            "/trend/view" | "/trend/view/" => Page::Trend,
            "/diff" | "/diff/" => Page::Diff,
            "/setting/view" | "/setting/view/" => Page::Views,
            _ if path.strip_prefix("/realtime/view/").is_some_and(is_segment) => Page::Realtime,
            _ if path
                .strip_prefix("/diff/")
                .and_then(|two| two.split_once('/'))
                .is_some_and(|(_, b)| !b.contains('/')) =>
            {
                Page::Diff
            }
            _ => return None,
        })
    }
}

fn is_segment(rest: &str) -> bool {
    !rest.is_empty() && !rest.contains('/')
}

/// What `build.mjs` says of what it made.
#[derive(Clone, Debug, Default, Deserialize)]
struct Manifest {
    pages: HashMap<String, Script>,
    head: Head,
}

/// A page's script and the parts that it begins with.
#[derive(Clone, Debug, Default, Deserialize)]
struct Script {
    script: String,
    #[serde(default)]
    parts: Vec<String>,
}

/// What stands in the head of all pages.
#[derive(Clone, Debug, Default, Deserialize)]
struct Head {
    script: String,
    style: String,
    icon: String,
}

static MANIFEST: LazyLock<Option<Manifest>> = LazyLock::new(|| {
    let file = EMBEDDED.iter().find(|file| file.name == "manifest.json")?;
    serde_json::from_slice(file.plain).ok()
});

/// The frame of a page, around which its script draws; where the pages are not built, how to build them (503).
///
/// # Errors
/// 503: the daemon is stopping.
pub(super) async fn page(web: &Web, page: Page) -> Result<Answer, Refusal> {
    if let Some(answer) = built(web, page, String::new).await? {
        return Ok(answer);
    }
    let (_, title, _) = page.told();
    let mut answer = Answer::page(frame(title, "", &UNBUILT.replace("{title}", title)));
    answer.status = StatusCode::SERVICE_UNAVAILABLE;
    Ok(answer)
}

/// The same; `None` where the pages are not built. What is `drawn` already is seen until the script draws, and stays where none runs: it is
/// HTML, and empty where there is nothing.
///
/// # Errors
/// 503: the daemon is stopping.
pub(super) async fn built(web: &Web, page: Page, drawn: impl FnOnce() -> String) -> Result<Option<Answer>, Refusal> {
    let manifest = match &web.shared.conf.web {
        None => MANIFEST.clone(),
        Some(folder) => {
            let path = folder.join("manifest.json");
            apart(move || read(&path).and_then(|bytes| serde_json::from_slice(&bytes).ok())).await?
        }
    };
    let shell = manifest.and_then(|manifest| shell(web, page, &manifest, drawn));
    Ok(shell.map(|html| Answer::page(html).header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))))
}

fn shell(web: &Web, page: Page, manifest: &Manifest, drawn: impl FnOnce() -> String) -> Option<String> {
    let (name, title, _) = page.told();
    let script = manifest.pages.get(name)?;
    let mut nav = String::new();
    for other in Page::ALL {
        let (_, title, to) = other.told();
        let here = if other == page { " aria-current=\"page\"" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(nav, "<a href=\"{to}\"{here}>{title}</a>");
    }
    let mut parts = String::new();
    for part in &script.parts {
        let _ = writeln!(parts, "<link rel=\"modulepreload\" href=\"/assets/{}\">", escaped(part));
    }
    let said = [
        ("{title}", Cow::Borrowed(title)),
        ("{page}", name.into()),
        ("{nav}", nav.into()),
        ("{parts}", parts.into()),
        ("{script}", escaped(&script.script).into()),
        ("{head}", escaped(&manifest.head.script).into()),
        ("{style}", escaped(&manifest.head.style).into()),
        ("{icon}", escaped(&manifest.head.icon).into()),
        ("{tick}", web.shared.conf.tick.as_millis().to_string().into()),
        ("{token}", if web.guard.asks() { "1" } else { "0" }.into()),
        // Last: what a host is called is no place for anything else.
        ("{host}", escaped(&web.shared.host).into()),
    ];
    let fill = |html: &str| said.iter().fold(html.to_owned(), |html, (place, what)| html.replace(place, what));
    // Apart from the frame: what somebody else wrote is in it.
    let (before, behind) = SHELL.split_once("{drawn}")?;
    let drawn = match drawn() {
        drawn if drawn.is_empty() => format!("<p class=\"state loading\" role=\"status\">{title} is being drawn…</p>"),
        drawn => drawn,
    };
    Some([fill(before), drawn, fill(behind)].concat())
}

/// `/assets/NAME`: packed as the browser takes it, and kept there for good.
///
/// # Errors
/// 404 for a name that is none of these, 503 when the daemon is stopping.
pub(super) async fn asset(web: &Web, name: &str, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let missing = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            format_args!("there is no /assets/{name}; a page that is loaded anew names those there are"),
        )
    };
    let kind = content_type(name).ok_or_else(missing)?;
    let accepted = text(headers, &ACCEPT_ENCODING).unwrap_or_default();
    let (packing, body) = match &web.shared.conf.web {
        None => {
            let file = embedded(name).ok_or_else(missing)?;
            let packed = [("br", file.brotli), ("gzip", file.gzip)];
            let (packing, bytes) = packed
                .into_iter()
                .find(|(packing, bytes)| !bytes.is_empty() && accepts(accepted, packing))
                .unwrap_or(("", file.plain));
            (packing, Bytes::from_static(bytes))
        }
        Some(folder) => {
            let path = folder.join(name);
            ("", apart(move || read(&path)).await?.ok_or_else(missing)?.into())
        }
    };
    // The name tells the content; packed it is another sequence of bytes.
    let etag = format!("\"{name}{}{packing}\"", if packing.is_empty() { "" } else { "." });
    let known = text(headers, &IF_NONE_MATCH).is_some_and(|known| known.split(',').any(|one| one.trim() == etag));
    let mut answer =
        if known { Answer::new(StatusCode::NOT_MODIFIED, kind, "") } else { Answer::new(StatusCode::OK, kind, body) };
    if let Ok(etag) = HeaderValue::try_from(etag) {
        answer = answer.header(ETAG, etag);
    }
    if !packing.is_empty() && !known {
        answer = answer.header(CONTENT_ENCODING, HeaderValue::from_static(packing));
    }
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    Ok(answer.header(CACHE_CONTROL, forever).header(VARY, HeaderValue::from_static("accept-encoding")))
}

/// Whether an `Accept-Encoding` takes a coding (RFC 9110, 12.5.3): named or by `*`, and not with a weight of zero.
fn accepts(said: &str, coding: &str) -> bool {
    let weight = |wanted: &str| {
        said.split(',').find_map(|one| {
            let mut parts = one.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(wanted))?;
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            Some(weight.is_none_or(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0)))
        })
    };
    weight(coding).or_else(|| weight("*")).unwrap_or(false)
}

/// What a file is, by its name's ending; `None` for one that is not served, and for what is no plain name.
fn content_type(name: &str) -> Option<HeaderValue> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.starts_with('.') || !name.bytes().all(plain) {
        return None;
    }
    Some(HeaderValue::from_static(match name.rsplit_once('.')?.1 {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        _ => return None,
    }))
}

/// A file of the folder that `--web` names.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(WEB_FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_pages_are_told_from_others() {
        for (path, page) in [
            ("/realtime/", Some(Page::Realtime)),
            ("/realtime/view/my%2Fview", Some(Page::Realtime)),
            ("/realtime/view/", None),
            ("/realtime/view/a/b", None),
            ("/diff/", Some(Page::Diff)),
            ("/diff/a,b/c", Some(Page::Diff)),
            ("/diff/a", None),
            ("/diff/a/b/c", None),
            ("/trend/", None),
            ("/trend/view/", Some(Page::Trend)),
            ("/setting/view", Some(Page::Views)),
            ("/setting/view/a", None),
        ] {
            assert_eq!(Page::at(path), page, "{path}");
        }
    }

    #[test]
    fn an_encoding_is_taken_by_name_or_star_and_not_with_no_weight() {
        for (said, brotli) in [
            ("gzip, deflate, br", true),
            ("BR;q=0.5", true),
            ("br;q=0, *", false),
            ("*", true),
            ("gzip", false),
            ("", false),
            ("br;q=x", false),
            ("brx", false),
        ] {
            assert_eq!(accepts(said, "br"), brotli, "{said}");
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for (name, kind) in [
            ("front-AB12.js", Some("text/javascript; charset=utf-8")),
            ("style-AB12.css", Some("text/css; charset=utf-8")),
            ("../../etc/passwd.js", None),
            ("..", None),
            (".gitignore", None),
            ("%2e%2e/x.js", None),
            ("a/b.js", None),
            ("manifest.json", None),
            ("a.js.gz", None),
            ("", None),
        ] {
            assert_eq!(content_type(name), kind.map(HeaderValue::from_static), "{name:?}");
        }
    }

    #[test]
    fn what_is_embedded_is_whole() {
        // Where `make build` has not been, there is nothing, and pages say so.
        if EMBEDDED.is_empty() {
            let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist/manifest.json").exists();
            assert!(!built, "the pages are built, and not in the program");
            return;
        }
        let manifest = MANIFEST.clone().expect("a manifest that can be read");
        let there = |name: &String| {
            EMBEDDED.iter().any(|file| file.name == name && !file.gzip.is_empty() && !file.brotli.is_empty())
        };
        for page in Page::ALL {
            let script = &manifest.pages[page.told().0];
            assert!(there(&script.script) && script.parts.iter().all(there), "{page:?}");
        }
        let Head { script, style, icon } = manifest.head;
        assert!([script, style, icon].iter().all(there));
    }
}

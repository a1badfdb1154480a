//! The first page, and the frame of all pages.

use super::answer::{Answer, Refusal};
use super::assets::{self, Page};
use super::web::Web;
use gmod_compat::xml::escape;
use warp::http::StatusCode;
use warp::http::header::HeaderValue;

const FRAME: &str = include_str!("page/frame.html");
const FIRST: &str = include_str!("page/first.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// `/`; and what it is made of where the pages are not built.
///
/// # Errors
/// 503: the daemon is stopping.
pub(super) async fn serve(web: &Web, path: &str) -> Result<Answer, Refusal> {
    if path == "/"
        && let Some(built) = assets::built(web, Page::Front, String::new).await?
    {
        return Ok(built);
    }
    Ok(plain(web, path))
}

fn plain(web: &Web, path: &str) -> Answer {
    let text = |kind, text: &'static str| Answer::new(StatusCode::OK, HeaderValue::from_static(kind), text);
    match path {
        "/page.css" => text("text/css; charset=utf-8", STYLE),
        "/page.js" => text("text/javascript; charset=utf-8", SCRIPT),
        _ => {
            let mut address = web.address;
            if address.ip().is_unspecified() {
                // It listens everywhere: from this very machine this address will do.
                address.set_ip(if address.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    std::net::Ipv6Addr::LOCALHOST.into()
                });
            }
            let token = if web.guard.asks() { " -H 'Authorization: Bearer TOKEN'" } else { "" };
            let main = FIRST
                .replace("{address}", &escaped(&address.to_string()))
                .replace("{token}", token)
                .replace("{host}", &escaped(&web.shared.host));
            Answer::page(frame("graftd", "<script src=\"/page.js\" defer></script>", &main))
        }
    }
}

/// A page: what all have in common, around what this one says.
pub(super) fn frame(title: &str, head: &str, main: &str) -> String {
    FRAME.replace("{title}", title).replace("{head}", head).replace("{main}", main)
}

/// A text as it stands in HTML, in an attribute's quotes too.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_no_quotes_and_begins_no_element() {
        assert_eq!(escaped("<a b='c' d=\"e\">&amp;"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;amp;");
        assert_eq!(escaped("é\t\u{0}\u{1b}[31m\u{ffff}"), "é&#9;\u{fffd}\u{fffd}[31m\u{fffd}");
    }
}

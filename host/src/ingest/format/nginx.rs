//! nginx's `log_format`.
//!
//! Source: nginx, `ngx_http_log_module` and the alphabetical index of variables.

use super::error::FormatError;
use super::item::{Item, Layout, What};
use super::spec::Source;
use super::time::TimeForm;
use plugin_api::Field;

/// Reads a format. Every `$name` is legal, for modules and maps define their own; those that no field is
/// for are passed over.
pub(super) fn read(source: &Source) -> Result<Layout, FormatError> {
    let text = &source.text;
    let mut layout = Layout::default();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        if c != '$' {
            layout.text(c);
            at += 1;
            continue;
        }
        let column = source.column(at);
        let braced = text.get(at + 1) == Some(&'{');
        let start = at + 1 + usize::from(braced);
        let name: String =
            text[start.min(text.len())..].iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').collect();
        at = start + name.len();
        if braced && text.get(at) != Some(&'}') {
            return Err(FormatError::new(column, "${ without its }"));
        }
        at += usize::from(braced);
        if name.is_empty() {
            return Err(FormatError::new(column, "$ without the name of a variable"));
        }
        layout.value(variable(column, &name))?;
    }
    Ok(layout)
}

fn variable(column: usize, name: &str) -> Item {
    let (what, rank) = match name {
        "remote_addr" => (What::Text(Field::Addr), 0),
        "remote_user" => (What::Text(Field::User), 0),
        "msec" => (What::Time(TimeForm::Seconds), 0),
        "time_iso8601" => (What::Time(TimeForm::Iso), 1),
        "time_local" => (What::Time(TimeForm::Local), 1),
        "request" => (What::Request, 1),
        "request_method" => (What::Text(Field::Method), 0),
        "request_uri" => (What::Text(Field::Url), 0),
        // These two are the target after rewrites, decoded and without its query.
        "uri" | "document_uri" => (What::Text(Field::Url), 2),
        "server_protocol" => (What::Text(Field::Protocol), 0),
        "status" => (What::Status, 0),
        "body_bytes_sent" => (What::Bytes, 0),
        "bytes_sent" => (What::Bytes, 1),
        "http_referer" => (What::Text(Field::Referer), 0),
        "http_user_agent" => (What::Text(Field::Agent), 0),
        "request_time" => (What::RequestTime { per_second: 1.0 }, 0),
        "upstream_response_time" => (What::UpstreamTime, 0),
        "host" => (What::Text(Field::Host), 0),
        "http_host" => (What::Text(Field::Host), 1),
        "server_name" => (What::Text(Field::Host), 2),
        _ => (What::Other, 0),
    };
    let list = name.starts_with("upstream_") || name.ends_with("_x_forwarded_for");
    Item::new(column, format!("${name}"), what, rank).list(list)
}

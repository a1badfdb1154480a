//! `/openapi.json`: what all URLs take and answer.
//!
//! A file a family of URLs lies in `openapi/`: what is particular to it. What any request may be answered, and the headers that all
//! answers have, are added here. There, a text in the place of a response is a refusal with this description.

use super::answer::Answer;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;
use warp::hyper::body::Bytes;

const BASE: &str = include_str!("openapi/base.json");

/// What bodies are.
const SCHEMAS: &str = include_str!("openapi/schemas.json");

/// The paths, a file a family.
const PATHS: [&str; 11] = [
    include_str!("openapi/get.json"),
    include_str!("openapi/list.json"),
    include_str!("openapi/pull.json"),
    include_str!("openapi/trend.json"),
    include_str!("openapi/graph.json"),
    include_str!("openapi/push.json"),
    include_str!("openapi/modules.json"),
    include_str!("openapi/views.json"),
    include_str!("openapi/login.json"),
    include_str!("openapi/health.json"),
    include_str!("openapi/pages.json"),
];

/// Methods, as a path has them.
const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// The description.
pub(super) fn serve() -> Answer {
    // Whom nobody asks for it does not have it.
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    Answer::json(TEXT.get_or_init(|| description().to_string().into()).clone())
}

/// The same, put together.
pub(super) fn description() -> Value {
    // A test sees that each is an object.
    let read = |text| serde_json::from_str::<Value>(text).unwrap_or_default();
    let mut whole = read(BASE);
    whole["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let mut paths = Map::new();
    for text in PATHS {
        if let Value::Object(family) = read(text) {
            paths.extend(family);
        }
    }
    for path in paths.values_mut() {
        for method in METHODS {
            if let Some(operation) = path.get_mut(method) {
                complete(operation);
            }
        }
    }
    whole["components"]["schemas"] = read(SCHEMAS);
    whole["paths"] = Value::Object(paths);
    let shared = whole["components"]["responses"].as_object_mut();
    shared.into_iter().flatten().for_each(|(_, response)| with_headers(response));
    whole
}

/// Adds to an operation what any may be answered.
fn complete(operation: &mut Value) {
    let open = operation["security"].as_array().is_some_and(Vec::is_empty);
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut() {
        if let Value::String(why) = response {
            *response = refusal(why, status);
        }
        with_headers(response);
    }
    let mut add = |status: &str, response: Value| {
        responses.entry(status).or_insert(response);
    };
    if !open {
        add("401", json!({ "$ref": "#/components/responses/Token" }));
    }
    for (status, name) in [("403", "Forbidden"), ("405", "Method"), ("429", "Crowd"), ("431", "Head")] {
        add(status, json!({ "$ref": format!("#/components/responses/{name}") }));
    }
}

/// A refusal, described.
fn refusal(why: &str, status: &str) -> Value {
    let mut response = json!({
        "description": why,
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } },
    });
    if matches!(status, "429" | "503") {
        response["headers"] = json!({ "Retry-After": { "$ref": "#/components/headers/RetryAfter" } });
    }
    response
}

/// With the headers that every answer of ours has; one without a content is not ours.
fn with_headers(response: &mut Value) {
    if response.get("content").is_none() {
        return;
    }
    for (header, name) in [("Cache-Control", "CacheControl"), ("X-Content-Type-Options", "ContentTypeOptions")] {
        if response["headers"].get(header).is_none() {
            response["headers"][header] = json!({ "$ref": format!("#/components/headers/{name}") });
        }
    }
}

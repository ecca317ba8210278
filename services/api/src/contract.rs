//! The contract as machines read it (`/openapi.json`, `/asyncapi.json`), and a page to read and try it (`/docs`), which works offline.

mod asyncapi;
mod frames;
mod openapi;
mod operations;

use std::sync::LazyLock;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::{Map, Value};

const PAGE: &str = include_str!("contract/docs.html");
const SCRIPT: &str = include_str!("contract/docs.js");
const STYLE: &str = include_str!("contract/docs.css");

/// What REST takes and answers, and what of it comes in frames too.
static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(|| read(include_str!("contract/schemas.json")));
/// An example of each body, answer and frame, by its schema's name.
static EXAMPLES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| read(include_str!("contract/examples.json")));

static OPENAPI: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
static ASYNCAPI: LazyLock<String> = LazyLock::new(|| asyncapi::document().to_string());

/// The documents' routes.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let script = ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT);
    Router::new()
        .route("/openapi.json", get(|| async { json(&OPENAPI) }))
        .route("/asyncapi.json", get(|| async { json(&ASYNCAPI) }))
        .route("/docs", get(|| async { ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE) }))
        .route("/docs.js", get(|| async { script }))
        .route("/docs.css", get(|| async { ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }))
}

/// A file of ours.
fn read(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("it is JSON: a test reads it")
}

fn json(document: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}

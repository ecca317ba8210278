//! The contract as machines read it (`/openapi.json`, `/asyncapi.json`), and pages to read and try it (`/docs`,
//! `/docs/websocket`), which work offline.

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

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The pages, and what they are made of: path, type, text.
const FILES: [(&str, &str, &str); 7] = [
    ("/docs", HTML, include_str!("contract/docs/rest.html")),
    ("/docs/websocket", HTML, include_str!("contract/docs/websocket.html")),
    ("/docs/rest.js", SCRIPT, include_str!("contract/docs/rest.js")),
    ("/docs/websocket.js", SCRIPT, include_str!("contract/docs/websocket.js")),
    ("/docs/session.js", SCRIPT, include_str!("contract/docs/session.js")),
    ("/docs/parts.js", SCRIPT, include_str!("contract/docs/parts.js")),
    ("/docs/style.css", STYLE, include_str!("contract/docs/style.css")),
];
/// They run, show and ask what comes from here, and nothing else; no text becomes markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// What REST takes and answers, and what of it comes in frames too.
static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(|| read(include_str!("contract/schemas.json")));
/// An example of each body, answer and frame, by its schema's name.
static EXAMPLES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| read(include_str!("contract/examples.json")));

static OPENAPI: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
static ASYNCAPI: LazyLock<String> = LazyLock::new(|| asyncapi::document().to_string());

pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let documents = Router::new()
        .route("/openapi.json", get(|| async { json(&OPENAPI) }))
        .route("/asyncapi.json", get(|| async { json(&ASYNCAPI) }));
    FILES.into_iter().fold(documents, |router, (path, kind, text)| {
        let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
        router.route(path, get(move || async move { (headers, text) }))
    })
}

/// A file of ours.
fn read(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("it is JSON: a test reads it")
}

fn json(document: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}

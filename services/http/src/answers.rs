//! Answers that every port gives alike: problems (RFC 9457) and the headers that stand on everything.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use ringside_types::security::SECURITY_HEADERS;
use ringside_websocket::handshake::write_refusal;
use serde_json::json;

/// The media type of a problem.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// An extension of the answers to requests that bore a valid token: their connections go last when room is needed.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated;

pub(crate) fn problem(status: u16, code: &str, detail: &str) -> String {
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let body = json!({
        "type": format!("urn:ringside:problem:{code}"),
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    });
    body.to_string()
}

/// A refusal as bytes, with the headers that stand on every answer; the connection ends with it.
pub(crate) fn refusal(status: u16, code: &str, detail: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let body = problem(status, code, detail);
    let headers: Vec<(&str, &str)> = SECURITY_HEADERS.iter().chain(headers).copied().collect();
    let mut answer = Vec::new();
    write_refusal(&mut answer, status, &headers, PROBLEM_JSON, body.as_bytes());
    answer
}

/// The answer to a path that nobody serves.
pub async fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, "not_found", "There is nothing at this path.")
}

/// The answer to a method that a path does not take.
pub async fn method_not_allowed(method: Method) -> Response {
    let detail = format!("{method} is not allowed here; the Allow header says what is.");
    answer(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &detail)
}

fn answer(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = problem(status.as_u16(), code, detail);
    (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
}

/// Middleware that puts the security headers on every answer. An answer that says itself what it may do, or how long it
/// is kept, knows better.
pub async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let own = [header::CONTENT_SECURITY_POLICY, header::CACHE_CONTROL];
    for (name, value) in SECURITY_HEADERS {
        let name = HeaderName::from_static(name);
        if !(own.contains(&name) && response.headers().contains_key(&name)) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

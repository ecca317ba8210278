//! What somebody tries who means harm: forged tokens, stolen tokens, fields that are not theirs to set, lists of
//! accounts.

pub(super) mod accounts;
pub(super) mod assignment;
pub(super) mod forged_tokens;
pub(super) mod refresh_tokens;
pub(super) mod rows;

use hyper::Method;
use ringside_test_client::rest::{Answer, Rest};
use serde_json::{Value, json};

use crate::test_server::Failed;

/// A request under `/api/v1`.
async fn request(
    rest: &Rest,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Result<Answer, Failed> {
    Ok(rest.call(method, &format!("/api/v1{path}"), token, body.as_ref()).await?)
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

async fn refresh(rest: &Rest, token: &str) -> Result<Answer, Failed> {
    request(rest, Method::POST, "/auth/refresh", None, Some(json!({ "refresh_token": token }))).await
}

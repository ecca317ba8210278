//! `/users`: one's own profile, others', and who is found.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use ringside_application::service::people::{ProfilePatch, ProfileService as _};
use ringside_application::service::{Caller, FieldError, PageRequest, ServiceError};
use ringside_types::UserId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::show;
use crate::auth::events::{AccessAction, AccessEvent};
use crate::client::{JsonBody, Path, Query, id, list_limit};
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;

#[derive(Deserialize)]
pub(crate) struct SearchQuery {
    #[serde(default)]
    q: String,
    limit: Option<usize>,
    cursor: Option<String>,
}

pub(crate) async fn own<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let profile = app.services.users().own(caller.user_id).await?;
    Ok(Json(show::own(&profile)))
}

pub(crate) async fn change<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    body: JsonBody,
) -> Result<Json<Value>, Problem> {
    let patch = patch_of(body.read()?)?;
    let profile = app.services.users().change(caller.user_id, patch).await?;
    Ok(Json(show::own(&profile)))
}

pub(crate) async fn erase<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Extension<AccessEvent>), Problem> {
    app.services.users().erase(caller.user_id).await?;
    let event = AccessEvent::granted(AccessAction::AccountErase, caller.user_id);
    Ok((StatusCode::NO_CONTENT, Extension(event)))
}

pub(crate) async fn user<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    let user: UserId = id(&user)?;
    let seen = app.services.users().seen(caller.user_id, &[user]).await?;
    let seen = seen.first().ok_or_else(|| Problem::not_found("There is no such user."))?;
    Ok(Json(show::seen(seen)))
}

pub(crate) async fn search<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Value>, Problem> {
    let part = PageRequest { cursor: query.cursor, limit: list_limit(query.limit)? };
    let listed = app.services.users().search(caller.user_id, &query.q, part).await?;
    let items: Vec<Value> = listed.items.iter().map(show::seen).collect();
    Ok(Json(json!({"items": items, "next_cursor": listed.next_cursor})))
}

const EXPIRY: &str = "`status_expires_at` must be a time like 2027-01-31T18:00:00Z, or null for never.";

/// These five fields, and no other: whatever else the body holds is passed over.
fn patch_of(body: Map<String, Value>) -> Result<ProfilePatch, Problem> {
    let mut patch = ProfilePatch::default();
    let mut wrong = Vec::new();
    for (key, value) in body {
        match (key.as_str(), value) {
            ("display_name", Value::String(text)) => patch.display_name = Some(text),
            ("avatar_url", Value::String(text)) => patch.avatar_url = Some(text),
            ("status_message", Value::String(text)) => patch.status_message = Some(text),
            ("status_expires_at", Value::Null) => patch.status_expires_at = Some(None),
            ("status_expires_at", time @ Value::String(_)) => match serde_json::from_value(time) {
                Ok(until) => patch.status_expires_at = Some(Some(until)),
                Err(_) => wrong.push(("status_expires_at", EXPIRY)),
            },
            ("status_expires_at", _) => wrong.push(("status_expires_at", EXPIRY)),
            ("avatar_url", Value::Null) => patch.avatar_url = Some(String::new()),
            ("status_message", Value::Null) => patch.status_message = Some(String::new()),
            ("settings", settings @ Value::Object(_)) => patch.settings = Some(settings.to_string()),
            ("settings", _) => wrong.push(("settings", "`settings` must be an object.")),
            ("display_name", _) => wrong.push(("display_name", "`display_name` must be text.")),
            ("avatar_url", _) => wrong.push(("avatar_url", "`avatar_url` must be text, or null for none.")),
            ("status_message", _) => {
                wrong.push(("status_message", "`status_message` must be text, or null for none."));
            }
            _ => {}
        }
    }
    if wrong.is_empty() {
        return Ok(patch);
    }
    let fields =
        wrong.into_iter().map(|(field, message)| FieldError { field: field.into(), message: message.into() });
    Err(ServiceError::Invalid(fields.collect()).into())
}

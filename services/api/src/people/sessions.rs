//! `/auth/sessions` and `/users/me/password`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use ringside_application::service::Caller;
use ringside_application::service::people::SessionService as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ListQuery, show};
use crate::auth::events::{AccessAction, AccessEvent};
use crate::client::{Address, Field, Fields, JsonBody, Path, Query, TEXT, id};
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;

#[derive(Deserialize)]
struct PasswordBody {
    current: String,
    new: String,
}

impl Fields for PasswordBody {
    const FIELDS: &'static [Field] =
        &[Field::required::<String>("current", TEXT), Field::required::<String>("new", TEXT)];
}

pub(crate) async fn list<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let listed = app.services.users().sessions(caller.user_id, false, query.part()?).await?;
    let items: Vec<Value> =
        listed.items.iter().map(|session| show::session(session, caller.session_id)).collect();
    Ok(Json(json!({"items": items, "next_cursor": listed.next_cursor})))
}

pub(crate) async fn end<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
) -> Result<(StatusCode, Extension<AccessEvent>), Problem> {
    app.services.users().end_session(caller.user_id, id(&session)?).await?;
    let event = AccessEvent::granted(AccessAction::SessionEnd, caller.user_id);
    Ok((StatusCode::NO_CONTENT, Extension(event)))
}

pub(crate) async fn change_password<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Address(address): Address,
    body: JsonBody,
) -> Result<(StatusCode, Extension<AccessEvent>), Problem> {
    let PasswordBody { current, new } = body.read()?;
    let (action, user) = (AccessAction::PasswordChange, caller.user_id);
    let changed = app.services.users().change_password(caller, address, current, new).await;
    changed.map_err(|error| AccessEvent::problem(action, Some(user), error))?;
    Ok((StatusCode::NO_CONTENT, Extension(AccessEvent::granted(action, user))))
}

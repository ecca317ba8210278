//! `/users/me/contacts` and `/users/me/blocks`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use ringside_application::service::people::{ProfileService as _, RelationService as _};
use ringside_application::service::{Caller, ChannelService as _, PageRequest};
use ringside_ports::people::relations::{Contact, ContactState};
use ringside_types::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ListQuery, show};
use crate::client::{Field, Fields, JsonBody, Path, Query, id, list_limit};
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;

#[derive(Deserialize)]
pub(crate) struct ContactsQuery {
    state: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct RequestBody {
    user_id: UserId,
}

impl Fields for RequestBody {
    const FIELDS: &'static [Field] = &[Field::required::<UserId>("user_id", "a user's id: a UUID")];
}

pub(crate) async fn contacts<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ContactsQuery>,
) -> Result<Json<Value>, Problem> {
    let state = query.state.map(|name| {
        let detail = "`state` is `outgoing`, `incoming` or `accepted`.";
        ContactState::from_name(&name).ok_or_else(|| Problem::bad_request(detail))
    });
    let part = PageRequest { cursor: query.cursor, limit: list_limit(query.limit)? };
    let listed = app.services.users().contacts(caller.user_id, state.transpose()?, part).await?;
    let ids: Vec<UserId> = listed.items.iter().map(|contact| contact.user_id).collect();
    let users = app.services.users().seen(caller.user_id, &ids).await?;
    let items: Vec<Value> = listed.items.iter().map(|contact| show::contact(contact, &users)).collect();
    Ok(Json(json!({"items": items, "next_cursor": listed.next_cursor})))
}

pub(crate) async fn request_contact<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    body: JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let RequestBody { user_id } = body.read()?;
    let (contact, is_new) = app.services.users().request_contact(caller.user_id, user_id).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, shown(&app, caller, &contact).await?))
}

pub(crate) async fn accept_contact<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(other): Path<String>,
) -> Result<Json<Value>, Problem> {
    let contact = app.services.users().accept_contact(caller.user_id, id(&other)?).await?;
    shown(&app, caller, &contact).await
}

pub(crate) async fn remove_contact<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(other): Path<String>,
) -> Result<StatusCode, Problem> {
    app.services.users().remove_contact(caller.user_id, id(&other)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn blocks<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let listed = app.services.users().blocks(caller.user_id, query.part()?).await?;
    let ids: Vec<UserId> = listed.items.iter().map(|block| block.user_id).collect();
    let users = app.services.users().seen(caller.user_id, &ids).await?;
    let items: Vec<Value> = listed.items.iter().map(|block| show::block(block, &users)).collect();
    Ok(Json(json!({"items": items, "next_cursor": listed.next_cursor})))
}

pub(crate) async fn block<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(other): Path<String>,
) -> Result<StatusCode, Problem> {
    let other = id(&other)?;
    app.services.users().block(caller.user_id, other).await?;
    app.services.channels().settled(caller.user_id, other).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn unblock<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(other): Path<String>,
) -> Result<StatusCode, Problem> {
    let other = id(&other)?;
    app.services.users().unblock(caller.user_id, other).await?;
    app.services.channels().settled(caller.user_id, other).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn shown<S: Services>(app: &App<S>, caller: Caller, contact: &Contact) -> Result<Json<Value>, Problem> {
    let users = app.services.users().seen(caller.user_id, &[contact.user_id]).await?;
    Ok(Json(show::contact(contact, &users)))
}

//! Channels and members.

pub(crate) mod changes;
pub(crate) mod invitations;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use ringside_application::service::{
    Caller, ChannelService as _, CreateChannel, FieldError, MessageService as _, PageRequest, ServiceError,
};
use ringside_ports::channels::ChannelKind;
use ringside_ports::presence::Account;
use ringside_types::{ChannelId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth::charge;
use crate::client::{Field, Fields, JsonBody, Path, Query, TEXT, id, list_limit};
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;
use crate::views;

/// So many others in one request count as one channel more in the limit of who brings them in.
const OTHERS_PER_TOKEN: usize = 50;
const KINDS: &str = "`dm`, `group`, `private` or `public`";
const USERS: &str = "a list of user ids: UUIDs";

#[derive(Deserialize)]
struct CreateBody {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    member_ids: Vec<UserId>,
    #[serde(default)]
    description: Option<String>,
}

impl Fields for CreateBody {
    const FIELDS: &'static [Field] = &[
        Field::required::<String>("type", KINDS),
        Field::optional::<Option<String>>("name", TEXT),
        Field::optional::<Vec<UserId>>("member_ids", USERS),
        Field::optional::<Option<String>>("description", TEXT),
    ];
}

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<String>,
}

impl ListQuery {
    pub(crate) fn part(self) -> Result<PageRequest, Problem> {
        Ok(PageRequest { cursor: self.cursor, limit: list_limit(self.limit)? })
    }
}

#[derive(Deserialize)]
struct AddBody {
    #[serde(default)]
    user_ids: Vec<UserId>,
    #[serde(default)]
    user_id: Option<UserId>,
}

impl Fields for AddBody {
    const FIELDS: &'static [Field] = &[
        Field::optional::<Vec<UserId>>("user_ids", USERS),
        Field::optional::<Option<UserId>>("user_id", "a user's id: a UUID"),
    ];
}

pub(crate) async fn create<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    body: JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let body: CreateBody = body.read()?;
    let kind = ChannelKind::from_name(&body.kind).ok_or_else(|| {
        let message = format!("`type` must be {KINDS}.");
        ServiceError::Invalid(vec![FieldError { field: "type".into(), message }])
    })?;
    charge_for(&app, caller.user_id, &body.member_ids).await?;
    let wish = CreateChannel {
        name: body.name.unwrap_or_default(),
        kind,
        member_ids: body.member_ids,
        description: body.description.unwrap_or_default(),
    };
    let (channel, is_new) = app.services.channels().create(caller.user_id, wish).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let (channel, membership) = app.services.channels().channel(caller.user_id, channel.id).await?;
    let view = views::own_channel(&app.services, caller.user_id, &channel, membership.as_ref()).await?;
    Ok((status, Json(view)))
}

/// Takes what it costs to bring these into a channel, a new one or another; oneself costs nothing, and so does anybody
/// where the operator has switched the limit of all requests off.
async fn charge_for<S: Services>(app: &App<S>, caller: UserId, member_ids: &[UserId]) -> Result<(), Problem> {
    let others = member_ids.iter().filter(|member| **member != caller).count();
    if others > 0 {
        let tokens = u32::try_from(1 + others / OTHERS_PER_TOKEN).unwrap_or(u32::MAX);
        let limits = &app.config.limits;
        let per_minute = if limits.rest_per_minute == 0 { 0 } else { limits.channels_per_minute };
        charge(app, Account::ChannelsMade(caller), per_minute, tokens).await?;
    }
    Ok(())
}

pub(crate) async fn list<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let listed = app.services.channels().list(caller.user_id, query.part()?).await?;
    let ids: Vec<ChannelId> = listed.items.iter().map(|item| item.channel.id).collect();
    let summaries = app.services.messages().summaries(caller.user_id, &ids).await?;
    let mine: Vec<_> = listed.items.iter().map(|mine| (&mine.channel, Some(&mine.membership))).collect();
    let mut items = views::channels(&app.services, caller.user_id, &mine).await?;
    for (item, summary) in items.iter_mut().zip(&summaries) {
        let last = views::bare_messages(app.services.users(), summary.last_message.as_slice()).await?;
        item["unread_count"] = summary.unread_count.into();
        item["last_message"] = last.into_iter().next().unwrap_or(Value::Null);
    }
    Ok(Json(json!({"items": items, "next_cursor": listed.next_cursor})))
}

pub(crate) async fn channel<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (channel, membership) = app.services.channels().channel(caller.user_id, id(&channel)?).await?;
    Ok(Json(views::own_channel(&app.services, caller.user_id, &channel, membership.as_ref()).await?))
}

pub(crate) async fn members<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let listed = app.services.channels().members(caller.user_id, id(&channel)?, query.part()?).await?;
    let items = views::members(app.services.users(), &listed.items).await?;
    Ok(Json(json!({"items": items, "next_cursor": listed.next_cursor})))
}

pub(crate) async fn add_members<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    body: JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let AddBody { mut user_ids, user_id } = body.read()?;
    user_ids.extend(user_id);
    charge_for(&app, caller.user_id, &user_ids).await?;
    let added = app.services.channels().add_members(caller.user_id, id(&channel)?, user_ids).await?;
    let items = views::members(app.services.users(), &added).await?;
    Ok((StatusCode::CREATED, Json(json!({"items": items, "next_cursor": null}))))
}

pub(crate) async fn remove_member<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.services.channels().remove_member(caller.user_id, id(&channel)?, id(&user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

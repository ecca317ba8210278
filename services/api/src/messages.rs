//! Messages: history, one, and sending.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use ringside_application::service::{Caller, HistoryRange, MessageService as _, NewMessage, SendOutcome};
use ringside_types::{ChannelId, ClientId, MessageId};
use ringside_wire::command::SendPayload;
use ringside_wire::message::ContentType;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::client::{Field, Fields, JsonBody, Path, Query, TEXT, id, list_limit};
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;
use crate::views;

#[derive(Deserialize)]
pub(crate) struct HistoryQuery {
    before: Option<MessageId>,
    after: Option<MessageId>,
    around: Option<MessageId>,
    limit: Option<usize>,
    cursor: Option<MessageId>,
}

impl Fields for SendPayload<'_> {
    const FIELDS: &'static [Field] = &[
        Field::optional::<String>("content", TEXT),
        Field::optional::<ContentType>("content_type", "`text`, `image`, `file` or `reply`"),
        Field::optional::<Option<MessageId>>("reply_to", "a message's id, as text"),
        Field::optional::<Option<Map<String, Value>>>("metadata", "an object"),
        // The path has it; a frame's payload is welcome here.
        Field::optional::<Option<ChannelId>>("channel_id", "a UUID"),
    ];
}

pub(crate) async fn history<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Value>, Problem> {
    if query.around.is_some() && (query.before.is_some() || query.after.is_some()) {
        return Err(Problem::bad_request("`around` goes without `before` and `after`."));
    }
    // The cursor goes on in the direction of the first answer: older, or newer where `after` alone was asked.
    let upwards = query.after.is_some() && query.before.is_none();
    let range = HistoryRange {
        before: if upwards { None } else { query.cursor.or(query.before) },
        after: if upwards { query.cursor.or(query.after) } else { query.after },
        around: query.around.filter(|_| query.cursor.is_none()),
        limit: list_limit(query.limit)?,
    };
    let (rows, has_more) = app.services.messages().history(caller.user_id, id(&channel)?, range).await?;
    let end = if upwards { rows.first() } else { rows.last() };
    let next_cursor = end.filter(|_| has_more).map(|row| row.message_id);
    let items = views::messages(&app.services, caller.user_id, &rows).await?;
    Ok(Json(json!({"items": items, "next_cursor": next_cursor})))
}

pub(crate) async fn message<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, message)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let row = app.services.messages().message(caller.user_id, id(&channel)?, id(&message)?).await?;
    let mut items = views::messages(&app.services, caller.user_id, &[row]).await?;
    Ok(Json(items.pop().unwrap_or(Value::Null)))
}

pub(crate) async fn send<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let channel_id: ChannelId = id(&channel)?;
    let client_id = idempotency_key(&headers)?;
    let payload: SendPayload<'_> = body.read()?;
    let send = payload.validated(client_id, channel_id).map_err(Problem::unfit)?;
    if send.content.len() + send.metadata.len() > app.config.limits.message_bytes_max() as usize {
        let detail = format!("A message holds at most {} bytes.", app.config.limits.message_bytes_max());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail));
    }
    let outgoing = NewMessage {
        client_id,
        channel_id,
        content: send.content.into_owned(),
        content_type: send.content_type,
        reply_to: send.reply_to,
        metadata: send.metadata.to_owned(),
    };
    match app.services.messages().send(caller.user_id, outgoing).await? {
        SendOutcome::Stored(row) => {
            let mut items = views::messages(&app.services, caller.user_id, &[row]).await?;
            Ok((StatusCode::CREATED, Json(items.pop().unwrap_or(Value::Null))))
        }
        SendOutcome::Received => {
            Ok((StatusCode::ACCEPTED, Json(json!({"status": "received", "client_id": client_id}))))
        }
    }
}

pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<ClientId, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(ClientId(Uuid::now_v7())) };
    let key = key.to_str().ok().map(|key| key.trim_matches('"'));
    key.and_then(|key| key.parse().ok()).ok_or_else(|| Problem::bad_request("`Idempotency-Key` is a UUID."))
}

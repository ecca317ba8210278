//! Messages that are there: edits, deletions, reactions, pins, threads.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ringside_application::service::{Amendment, Caller, MessageService as _, PageRequest, SendOutcome};
use ringside_types::MessageId;
use ringside_wire::amendment::{Change, EditPayload};
use serde_json::{Value, json};

use crate::channels::ListQuery;
use crate::client::{Field, Fields, JsonBody, Path, Query, TEXT, id};
use crate::messages::idempotency_key;
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;
use crate::views;

type Ids = Path<(String, String)>;

impl Fields for EditPayload<'_> {
    const FIELDS: &'static [Field] = &[Field::required::<String>("content", TEXT)];
}

pub(crate) async fn edit<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, message)): Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    let payload: EditPayload<'_> = body.read()?;
    if payload.content.len() > app.config.limits.message_bytes_max() as usize {
        let detail = format!("A message holds at most {} bytes.", app.config.limits.message_bytes_max());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail));
    }
    let change = Change::Edit(payload.content.into_owned().into());
    match amend(&app, caller, (&channel, &message), &headers, change).await? {
        SendOutcome::Stored(row) => {
            let mut items = views::messages(&app.services, caller.user_id, &[row]).await?;
            Ok(Json(items.pop().unwrap_or(Value::Null)).into_response())
        }
        SendOutcome::Received => Ok(received()),
    }
}

pub(crate) async fn delete<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, message)): Ids,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    done(amend(&app, caller, (&channel, &message), &headers, Change::Delete).await?)
}

pub(crate) async fn react<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, message, emoji)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let change = Change::React { emoji: emoji.into(), removed: false };
    done(amend(&app, caller, (&channel, &message), &headers, change).await?)
}

pub(crate) async fn unreact<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, message, emoji)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let change = Change::React { emoji: emoji.into(), removed: true };
    done(amend(&app, caller, (&channel, &message), &headers, change).await?)
}

pub(crate) async fn pin<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, message)): Ids,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    done(amend(&app, caller, (&channel, &message), &headers, Change::Pin(true)).await?)
}

pub(crate) async fn unpin<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, message)): Ids,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    done(amend(&app, caller, (&channel, &message), &headers, Change::Pin(false)).await?)
}

pub(crate) async fn pins<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let part: PageRequest = query.part()?;
    let before = part.cursor.as_deref().map(cursor).transpose()?;
    let pins = app.services.messages().pins(caller.user_id, id(&channel)?, before, part.limit);
    let (rows, next_cursor) = pins.await?;
    let items = views::messages(&app.services, caller.user_id, &rows).await?;
    Ok(Json(json!({"items": items, "next_cursor": next_cursor})))
}

pub(crate) async fn thread<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, message)): Ids,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let part: PageRequest = query.part()?;
    let after = part.cursor.as_deref().map(cursor).transpose()?;
    let replies =
        app.services.messages().thread(caller.user_id, id(&channel)?, id(&message)?, after, part.limit);
    let (rows, has_more) = replies.await?;
    let next_cursor = rows.last().filter(|_| has_more).map(|row| row.message_id);
    let items = views::messages(&app.services, caller.user_id, &rows).await?;
    Ok(Json(json!({"items": items, "next_cursor": next_cursor})))
}

/// A cursor that is a record's id.
fn cursor(text: &str) -> Result<MessageId, Problem> {
    text.parse().map_err(|_| Problem::bad_request("`cursor` is not from an earlier answer; leave it out."))
}

async fn amend<S: Services>(
    app: &App<S>,
    caller: Caller,
    (channel, message): (&str, &str),
    headers: &HeaderMap,
    change: Change<'static>,
) -> Result<SendOutcome, Problem> {
    let change = change.validated().map_err(|refused| Problem::unfit(vec![refused]))?;
    let client_id = idempotency_key(headers)?;
    let wish = Amendment { client_id, channel_id: id(channel)?, message_id: id(message)?, change };
    Ok(app.services.messages().amend(caller.user_id, wish).await?)
}

#[expect(clippy::needless_pass_by_value, clippy::unnecessary_wraps, reason = "it ends every handler")]
fn done(sent: SendOutcome) -> Result<Response, Problem> {
    match sent {
        SendOutcome::Stored(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        SendOutcome::Received => Ok(received()),
    }
}

/// The log has it durably; it will be done.
fn received() -> Response {
    (StatusCode::ACCEPTED, Json(json!({"status": "received"}))).into_response()
}

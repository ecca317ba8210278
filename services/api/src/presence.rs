//! Receipts, and who is there.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use ringside_application::presence_view::PresenceView;
use ringside_application::service::Caller;
use ringside_application::service::presence::{PresenceService as _, ReceiptService as _, ReceiptView};
use ringside_types::UserId;
use ringside_types::limits::LIST_MAX;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::channels::ListQuery;
use crate::client::{Path, Query, id};
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;

pub(crate) async fn receipts<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let listed = app.services.receipts().receipts(caller.user_id, id(&channel)?, query.part()?).await?;
    let items: Vec<Value> = listed.items.iter().map(receipt).collect();
    Ok(Json(json!({"items": items, "next_cursor": listed.next_cursor})))
}

fn receipt(view: &ReceiptView) -> Value {
    json!({
        "user_id": view.user_id,
        "last_delivered_id": view.last_delivered_id,
        "last_read_id": view.last_read_id,
    })
}

#[derive(Deserialize)]
pub(crate) struct UsersQuery {
    user_ids: String,
}

pub(crate) async fn presence<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<UsersQuery>,
) -> Result<Json<Value>, Problem> {
    let ids = query.user_ids.split(',').map(str::trim).filter(|id| !id.is_empty());
    let users: Result<Vec<UserId>, _> = ids.map(str::parse).collect();
    let mut users = users.map_err(|_| Problem::bad_request("`user_ids` are UUIDs, with commas between."))?;
    users.sort_unstable();
    users.dedup();
    if users.len() > LIST_MAX {
        return Err(Problem::bad_request(format!("`user_ids` names at most {LIST_MAX} users.")));
    }
    let seen = app.services.presence_views().presence(caller.user_id, &users).await?;
    let items: Vec<Value> = seen.iter().map(presence_views).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

fn presence_views(view: &PresenceView) -> Value {
    json!({
        "user_id": view.user_id,
        "status": view.status.name(),
        "status_message": (!view.status_message.is_empty()).then_some(&view.status_message),
        "last_seen_at": view.last_seen_at,
    })
}

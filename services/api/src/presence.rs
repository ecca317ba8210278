//! Receipts.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use ringside_ports::service::Caller;
use ringside_ports::service::presence::{ReceiptService as _, ReceiptView};
use serde_json::{Value, json};

use crate::channels::ListQuery;
use crate::client::{Query, id};
use crate::problem::Problem;
use crate::router::{App, Services};

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

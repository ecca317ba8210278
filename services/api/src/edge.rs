//! `/edge`: where clients find the edge.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::{Extensions, HeaderMap};
use ringside_http::{Reached, peer};
use serde_json::{Value, json};

use crate::router::App;
use crate::services::Services;

pub(crate) async fn edge<S: Services>(
    State(app): State<Arc<App<S>>>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Json<Value> {
    let peer = peer(extensions.get::<ConnectInfo<SocketAddr>>());
    let reached = Reached::of(&headers, peer, &app.config.trusted_proxies);
    Json(json!({"url": app.config.edge.url_for(&reached)}))
}

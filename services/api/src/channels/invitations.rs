//! Invitations into channels: `/channels/{id}/invitations`, `/users/me/invitations`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use ringside_application::service::people::ProfileService as _;
use ringside_application::service::{Caller, ChannelService as _};
use ringside_types::UserId;
use serde_json::{Value, json};

use super::charge_for;
use crate::client::{Path, id};
use crate::people::show;
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;
use crate::views;

pub(crate) async fn invite<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let user: UserId = id(&user)?;
    charge_for(&app, caller.user_id, &[user]).await?;
    app.services.channels().invite(caller.user_id, id(&channel)?, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn withdraw<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path((channel, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.services.channels().withdraw_invitation(caller.user_id, id(&channel)?, id(&user)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Invitations that wait for the caller, all of them.
pub(crate) async fn waiting<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let invitations = app.services.channels().invitations(caller.user_id).await?;
    let inviters: Vec<UserId> = invitations.iter().map(|invitation| invitation.inviter_id).collect();
    let users = app.services.users().seen(caller.user_id, &inviters).await?;
    let items: Vec<Value> =
        invitations.iter().map(|invitation| show::channel_invitation(invitation, &users)).collect();
    Ok(Json(json!({"items": items, "next_cursor": null})))
}

pub(crate) async fn accept<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
) -> Result<Json<Value>, Problem> {
    let accepted = app.services.channels().accept_invitation(caller.user_id, id(&channel)?).await?;
    let (channel, membership) = accepted;
    Ok(Json(views::own_channel(&app.services, caller.user_id, &channel, membership.as_ref()).await?))
}

pub(crate) async fn decline<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
    Path(channel): Path<String>,
) -> Result<StatusCode, Problem> {
    app.services.channels().withdraw_invitation(caller.user_id, id(&channel)?, caller.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

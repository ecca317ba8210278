//! Registering, signing in, staying signed in, signing out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use ringside_ports::service::{Credentials, Registration, SignedIn, UserService as _};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::events::{AccessAction, AccessEvent};
use crate::client::{Address, JsonBody};
use crate::problem::Problem;
use crate::router::{App, Services};
use crate::views;

#[derive(Deserialize)]
struct RegisterBody {
    email: String,
    username: String,
    password: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    invitation: Option<String>,
}

#[derive(Deserialize)]
struct LoginBody {
    login: String,
    password: String,
    #[serde(default)]
    device: Option<String>,
}

#[derive(Deserialize)]
struct RefreshBody {
    refresh_token: String,
}

/// The answer to who has got a session, and what the operator is told of it.
type Granted = (Extension<AccessEvent>, Json<Value>);

fn granted(action: AccessAction, signed: &SignedIn) -> Granted {
    (Extension(AccessEvent::granted(action, signed.user.id)), Json(views::signed_in(signed)))
}

pub(crate) async fn register<S: Services>(
    State(app): State<Arc<App<S>>>,
    Address(address): Address,
    body: JsonBody,
) -> Result<(StatusCode, Granted), Problem> {
    let RegisterBody { email, username, password, display_name, invitation } = body.read()?;
    let wish = Registration { email, username, password, display_name, invitation, address };
    let limit = app.config.limits.register_per_minute_per_address;
    let signed = app.services.users().register(wish).await.map_err(|error| {
        AccessEvent::problem(AccessAction::Register, None, error).of_limit_if_limited(limit)
    })?;
    Ok((StatusCode::CREATED, granted(AccessAction::Register, &signed)))
}

pub(crate) async fn login<S: Services>(
    State(app): State<Arc<App<S>>>,
    Address(address): Address,
    body: JsonBody,
) -> Result<Granted, Problem> {
    let LoginBody { login, password, device } = body.read()?;
    let credentials = Credentials { login, password, device: device.unwrap_or_default(), address };
    let limit = app.config.limits.login_failures_per_minute;
    let signed = app.services.users().login(credentials).await.map_err(|error| {
        AccessEvent::problem(AccessAction::SignIn, None, error).of_limit_if_limited(limit)
    })?;
    Ok(granted(AccessAction::SignIn, &signed))
}

pub(crate) async fn refresh<S: Services>(
    State(app): State<Arc<App<S>>>,
    body: JsonBody,
) -> Result<Granted, Problem> {
    let body: RefreshBody = body.read()?;
    let signed = app.services.users().refresh(&body.refresh_token).await;
    let signed = signed.map_err(|error| AccessEvent::problem(AccessAction::Refresh, None, error))?;
    Ok(granted(AccessAction::Refresh, &signed))
}

pub(crate) async fn logout<S: Services>(
    State(app): State<Arc<App<S>>>,
    body: JsonBody,
) -> Result<StatusCode, Problem> {
    let body: RefreshBody = body.read()?;
    app.services.users().logout(&body.refresh_token).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn jwks<S: Services>(State(app): State<Arc<App<S>>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], app.services.users().jwks())
}

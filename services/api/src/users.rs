//! Registering, signing in, staying signed in, signing out.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use ringside_ports::service::{Credentials, Registration, UserService as _};
use serde::Deserialize;
use serde_json::Value;

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

pub(crate) async fn register<S: Services>(
    State(app): State<Arc<App<S>>>,
    Address(address): Address,
    body: JsonBody,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let RegisterBody { email, username, password, display_name, invitation } = body.read()?;
    let wish = Registration { email, username, password, display_name, invitation, address };
    let limit = app.config.limits.register_per_minute_per_address;
    let signed = app
        .services
        .users()
        .register(wish)
        .await
        .map_err(|error| Problem::from(error).of_limit_if_limited(limit))?;
    Ok((StatusCode::CREATED, Json(views::signed_in(&signed))))
}

pub(crate) async fn login<S: Services>(
    State(app): State<Arc<App<S>>>,
    Address(address): Address,
    body: JsonBody,
) -> Result<Json<Value>, Problem> {
    let LoginBody { login, password, device } = body.read()?;
    let credentials = Credentials { login, password, device: device.unwrap_or_default(), address };
    let limit = app.config.limits.login_failures_per_minute;
    let signed = app
        .services
        .users()
        .login(credentials)
        .await
        .map_err(|error| Problem::from(error).of_limit_if_limited(limit))?;
    Ok(Json(views::signed_in(&signed)))
}

pub(crate) async fn refresh<S: Services>(
    State(app): State<Arc<App<S>>>,
    body: JsonBody,
) -> Result<Json<Value>, Problem> {
    let body: RefreshBody = body.read()?;
    let signed = app.services.users().refresh(&body.refresh_token).await?;
    Ok(Json(views::signed_in(&signed)))
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

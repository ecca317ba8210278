//! Registering, signing in, staying signed in, signing out.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use ringside_application::service::{Credentials, Registration, SignedIn, UserService as _};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::events::{AccessAction, AccessEvent};
use crate::client::{Address, Field, Fields, JsonBody, TEXT};
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;
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

impl Fields for RegisterBody {
    const FIELDS: &'static [Field] = &[
        Field::required::<String>("email", TEXT),
        Field::required::<String>("username", TEXT),
        Field::required::<String>("password", TEXT),
        Field::optional::<Option<String>>("display_name", TEXT),
        Field::optional::<Option<String>>("invitation", TEXT),
    ];
}

#[derive(Deserialize)]
struct LoginBody {
    login: String,
    password: String,
    #[serde(default)]
    device: Option<String>,
}

impl Fields for LoginBody {
    const FIELDS: &'static [Field] = &[
        Field::required::<String>("login", TEXT),
        Field::required::<String>("password", TEXT),
        Field::optional::<Option<String>>("device", TEXT),
    ];
}

#[derive(Deserialize)]
struct RefreshBody {
    refresh_token: String,
}

impl Fields for RefreshBody {
    const FIELDS: &'static [Field] = &[Field::required::<String>("refresh_token", TEXT)];
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
    let wish = match body.read() {
        Ok(RegisterBody { email, username, password, display_name, invitation }) => {
            Registration { email, username, password, display_name, invitation, address }
        }
        // What can be read is looked at all the same: one answer names all that is wrong.
        Err(problem) => {
            let faults = app.services.users().faults(&legible(&body, address)).await;
            return Err(problem.and(faults.unwrap_or_default()));
        }
    };
    let limit = app.config.limits.register_per_minute_per_address;
    let signed = app.services.users().register(wish).await.map_err(|error| {
        AccessEvent::problem(AccessAction::Register, None, error).of_limit_if_limited(limit)
    })?;
    Ok((StatusCode::CREATED, granted(AccessAction::Register, &signed)))
}

/// What can be read of a registration that is not whole.
fn legible(body: &JsonBody, address: IpAddr) -> Registration {
    let object = body.object();
    let text = |field: &str| object.get(field).and_then(Value::as_str).map(str::to_owned);
    Registration {
        email: text("email").unwrap_or_default(),
        username: text("username").unwrap_or_default(),
        password: text("password").unwrap_or_default(),
        display_name: text("display_name"),
        invitation: None,
        address,
    }
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

pub(crate) async fn jwks<S: Services>(State(app): State<Arc<App<S>>>) -> Result<impl IntoResponse, Problem> {
    Ok(([(header::CONTENT_TYPE, "application/jwk-set+json")], app.services.users().jwks().await?))
}

//! Who makes a request, and how many they have left.

pub(crate) mod events;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use ringside_application::service::UserService as _;
use ringside_application::service::refusal::RefusalReason;
use ringside_http::Authenticated;
use ringside_ports::presence::{Account, Charge, Rate, RateDecision, network};

use crate::client::Address;
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;
use events::{AccessAction, AccessEvent};

/// Lets a request with a good access token through, as one of the caller's requests of this minute.
pub(crate) async fn authenticated<S: Services>(
    State(app): State<Arc<App<S>>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer(request.headers()).ok_or_else(|| {
        Problem::unauthorized("Send an access token: `Authorization: Bearer <token>`.")
            .of_event(AccessEvent::refused(AccessAction::Request, RefusalReason::NoToken.name()))
    })?;
    let caller = app.services.users().verify(token).await;
    let caller = caller.map_err(|error| AccessEvent::problem(AccessAction::Request, None, error))?;
    let limit = app.config.limits.rest_per_minute;
    let account = Account::UserRequests(caller.user_id);
    let remaining = charge(&app, account, limit, 1).await?;
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(Authenticated);
    tell_limit(&mut response, limit, remaining);
    Ok(response)
}

/// Lets a request without a token through, as one of its address's of this minute.
pub(crate) async fn by_address<S: Services>(
    State(app): State<Arc<App<S>>>,
    Address(address): Address,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let limit = app.config.limits.sign_ins_per_minute_per_address;
    let account = Account::AddressSignIns(network(address));
    let remaining = match charge(&app, account, limit, 1).await {
        Ok(remaining) => remaining,
        Err(problem) => {
            let action = match request.uri().path().rsplit('/').next() {
                Some("login") => AccessAction::SignIn,
                Some("refresh") => AccessAction::Refresh,
                _ => return Err(problem),
            };
            return Err(problem.of_event(AccessEvent::refused(action, "rate_limited")));
        }
    };
    let mut response = next.run(request).await;
    tell_limit(&mut response, limit, remaining);
    Ok(response)
}

/// Says what is left of a minute's limit; an answer that another limit refused tells of that one.
fn tell_limit(response: &mut Response, limit: u32, remaining: u32) {
    if limit == 0 || response.status() == StatusCode::TOO_MANY_REQUESTS {
        return;
    }
    let headers = response.headers_mut();
    // A token comes back every 60 s / limit; the bucket is whole again when all that is missing is back.
    let reset_s = u64::from(limit.saturating_sub(remaining)) * 60 / u64::from(limit);
    headers.insert("ratelimit-limit", HeaderValue::from(limit));
    headers.insert("ratelimit-remaining", HeaderValue::from(remaining));
    headers.insert("ratelimit-reset", HeaderValue::from(reset_s));
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    // Of two nobody knows which one counts.
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let text = line.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Takes tokens of a minute's limit, all of them where it would be more; the number left. Where the engine of limits
/// fails, requests pass: that is decided around it.
pub(crate) async fn charge<S: Services>(
    app: &App<S>,
    account: Account,
    limit: u32,
    tokens: u32,
) -> Result<u32, Problem> {
    if limit == 0 {
        return Ok(0);
    }
    let rate = Rate { per_minute: limit, burst: limit };
    match app.services.charge(Charge { account, rate, tokens: tokens.min(limit) }).await? {
        RateDecision::Refused { retry_after_ms } => {
            Err(Problem::rate_limited(retry_after_ms).of_limit(limit))
        }
        RateDecision::Granted { remaining } => Ok(remaining),
    }
}

//! All routes, over any implementation of the services' contracts.

pub mod table;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use futures_util::FutureExt as _;
use ringside_http::{EdgeAddress, method_not_allowed, not_found, security_headers};
use ringside_types::Limits;
use ringside_types::forwarded::TrustedProxies;

use crate::channels::{changes, invitations};
use crate::edge;
use crate::people::places::Places;
use crate::people::{export, profiles, relations, sessions};
use crate::problem::Problem;
use crate::services::Services;
use crate::{amendments, auth, channels, contract, messages, presence, users};

use table::UNIMPLEMENTED;

/// A request, its body included, must be answered in this time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What an operator sets of the API.
#[derive(Clone, Debug)]
pub struct Config {
    /// What users are held to.
    pub limits: Limits,
    /// Proxies whose `X-Forwarded-*` headers count.
    pub trusted_proxies: TrustedProxies,
    /// Where clients find the edge.
    pub edge: EdgeAddress,
}

pub(crate) struct App<S> {
    pub(crate) services: S,
    pub(crate) config: Config,
    /// The exports that run.
    pub(crate) exports: Places,
}

/// Builds the API. Its fallback may be replaced: whatever is none of its paths can be something else's.
pub fn router<S: Services>(services: S, config: Config) -> Router {
    let app = Arc::new(App { services, config, exports: Places::default() });
    let by_address = Router::new()
        .route("/auth/login", post(users::login::<S>))
        .route("/auth/refresh", post(users::refresh::<S>))
        .route("/auth/logout", post(users::logout::<S>))
        .route_layer(from_fn_with_state(app.clone(), auth::by_address::<S>));
    // Registering is counted by the service, once its fields are valid.
    let open = Router::new()
        .route("/auth/register", post(users::register::<S>))
        .route("/auth/jwks.json", get(users::jwks::<S>))
        .merge(by_address);
    let guarded = people::<S>()
        .route("/channels", get(channels::list::<S>).post(channels::create::<S>))
        .route("/channels/discover", get(changes::discover::<S>))
        .route(
            "/channels/{id}",
            get(channels::channel::<S>).patch(changes::change::<S>).delete(changes::delete::<S>),
        )
        .route("/channels/{id}/mute", put(changes::mute::<S>).delete(changes::unmute::<S>))
        .route("/channels/{id}/members", get(channels::members::<S>).post(channels::add_members::<S>))
        .route(
            "/channels/{id}/members/{user_id}",
            delete(channels::remove_member::<S>).patch(changes::set_role::<S>),
        )
        .route(
            "/channels/{id}/invitations/{user_id}",
            put(invitations::invite::<S>).delete(invitations::withdraw::<S>),
        )
        .route("/channels/{id}/messages", get(messages::history::<S>).post(messages::send::<S>))
        .route(
            "/channels/{id}/messages/{mid}",
            get(messages::message::<S>).patch(amendments::edit::<S>).delete(amendments::delete::<S>),
        )
        .route("/channels/{id}/messages/{mid}/thread", get(amendments::thread::<S>))
        .route(
            "/channels/{id}/messages/{mid}/reactions/{emoji}",
            put(amendments::react::<S>).delete(amendments::unreact::<S>),
        )
        .route("/channels/{id}/pins", get(amendments::pins::<S>))
        .route("/channels/{id}/pins/{mid}", put(amendments::pin::<S>).delete(amendments::unpin::<S>))
        .route("/channels/{id}/receipts", get(presence::receipts::<S>))
        .route("/presence", get(presence::presence::<S>))
        .route("/edge", get(edge::edge::<S>))
        .route_layer(from_fn_with_state(app.clone(), auth::authenticated::<S>));
    let api = unimplemented(open.merge(guarded))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found);
    Router::new()
        .merge(contract::routes())
        .nest("/api/v1", api)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(from_fn(timeout))
        .layer(from_fn(catch_panic))
        .layer(from_fn(security_headers))
        .with_state(app)
}

fn people<S: Services>() -> Router<Arc<App<S>>> {
    let me = get(profiles::own::<S>).patch(profiles::change::<S>).delete(profiles::erase::<S>);
    let contact = put(relations::accept_contact::<S>).delete(relations::remove_contact::<S>);
    Router::new()
        .route("/auth/sessions", get(sessions::list::<S>))
        .route("/auth/sessions/{id}", delete(sessions::end::<S>))
        .route("/users/me", me)
        .route("/users/me/password", put(sessions::change_password::<S>))
        .route("/users/me/export", get(export::export::<S>))
        .route("/users/me/contacts", get(relations::contacts::<S>).post(relations::request_contact::<S>))
        .route("/users/me/contacts/{id}", contact)
        .route("/users/me/blocks", get(relations::blocks::<S>))
        .route("/users/me/blocks/{id}", put(relations::block::<S>).delete(relations::unblock::<S>))
        .route("/users/me/invitations", get(invitations::waiting::<S>))
        .route(
            "/users/me/invitations/{channel_id}",
            put(invitations::accept::<S>).delete(invitations::decline::<S>),
        )
        .route("/users/search", get(profiles::search::<S>))
        .route("/users/{id}", get(profiles::user::<S>))
}

/// Adds the rows that have no handler yet.
fn unimplemented<S: Services>(mut api: Router<Arc<App<S>>>) -> Router<Arc<App<S>>> {
    for (path, methods) in UNIMPLEMENTED {
        let mut route = MethodRouter::new();
        for method in methods {
            route = match *method {
                "GET" => route.get(not_implemented),
                "POST" => route.post(not_implemented),
                "PUT" => route.put(not_implemented),
                "PATCH" => route.patch(not_implemented),
                _ => route.delete(not_implemented),
            };
        }
        api = api.route(path, route);
    }
    api
}

async fn not_implemented() -> Problem {
    Problem::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", "This part of the API is not built yet.")
}

async fn timeout(request: Request, next: Next) -> Response {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = "The request was not complete, or not done, within 30 seconds.";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail).into_response()
        }
    }
}

/// A handler that panics is answered for all the same.
async fn catch_panic(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        // What it says may be of someone's content.
        Err(_) => {
            tracing::error!(%method, path, "a request broke its handler");
            let detail = "The server made a mistake. It may have been done all the same.";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::header;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for() {
        async fn broken() {
            panic!("somebody's content")
        }
        let router = Router::new().fallback(broken).layer(from_fn(catch_panic));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let answer = router.oneshot(request).await.expect("answers");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}

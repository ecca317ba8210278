//! What the API's requests leave for whoever runs the server: counts by route and status, a line in the log for each
//! refusal of somebody who wanted in, and an entry in the audit log.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use ringside_api::{AccessAction, AccessEvent};
use ringside_http::forwarded_headers;
use ringside_types::forwarded::TrustedProxies;

use crate::audit::{Actor, Audit, Entry, Outcome};

/// The route of what no route of the API is for: the web client's files, and paths that nobody serves.
const OTHER: &str = "other";
/// A refusal for this reason is no entry of the audit log: whoever is beyond a limit could fill it.
const RATE_LIMITED: &str = "rate_limited";

/// There are as many as the API has routes, methods and statuses.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GrantLabels {
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    action: &'static str,
    reason: &'static str,
}

/// Counts requests, and records who got access and who didn't.
#[derive(Debug)]
pub(crate) struct Observer {
    requests: Family<RequestLabels, Counter>,
    granted: Family<GrantLabels, Counter>,
    refused: Family<RefusalLabels, Counter>,
    audit: Audit,
    trusted: TrustedProxies,
}

impl Observer {
    pub(crate) fn new(audit: Audit, trusted: TrustedProxies) -> Self {
        let granted = Family::default();
        for action in [AccessAction::Register, AccessAction::SignIn, AccessAction::Refresh] {
            // A rate needs a beginning.
            drop(granted.get_or_create(&GrantLabels { action: action.name() }));
        }
        Self { requests: Family::default(), granted, refused: Family::default(), audit, trusted }
    }

    /// Adds the counts to what `/metrics` shows.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Requests that reached the API or the web client's files, by the route's template";
        registry.register("http_requests", help, self.requests.clone());
        let help = "Sign-ins, registrations, renewals and changes of one's own access that were granted";
        registry.register("access_granted", help, self.granted.clone());
        registry.register(
            "access_refused",
            "The same that were refused, and access tokens",
            self.refused.clone(),
        );
    }

    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    fn count(&self, method: &'static str, route: &str, status: u16) {
        let labels = RequestLabels { method, route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
    }

    async fn note(&self, event: AccessEvent, address: IpAddr) {
        let AccessEvent { action, account, refused } = event;
        let name = action.name();
        match refused {
            None => {
                self.granted.get_or_create(&GrantLabels { action: name }).inc();
            }
            Some(reason) => {
                self.refused.get_or_create(&RefusalLabels { action: name, reason }).inc();
                let account = account.map(tracing::field::display);
                // A place of its own: tokens that have expired must not keep guesses of passwords out of the log.
                if action == AccessAction::Request {
                    tracing::info!(reason, %address, account, "an access token was refused");
                } else {
                    tracing::info!(action = name, reason, %address, account, "access was refused");
                }
            }
        }
        if !is_audited(action, refused) {
            return;
        }
        let is_own = refused.is_none() || action == AccessAction::PasswordChange;
        let actor = account.filter(|_| is_own).map_or(Actor::Anonymous, Actor::User);
        let entry = Entry {
            target: account.map(|account| account.to_string()),
            address: Some(address),
            outcome: if refused.is_some() { Outcome::Refused } else { Outcome::Granted },
            reason: refused,
            ..Entry::new(actor, name)
        };
        self.audit.record(entry).await;
    }
}

/// Whether an attempt is an entry of the audit log. What strangers can do without end is none: they could fill it.
fn is_audited(action: AccessAction, refused: Option<&str>) -> bool {
    match (action, refused) {
        (_, Some(RATE_LIMITED)) | (AccessAction::Request | AccessAction::Register, Some(_)) => false,
        // Every quarter of an hour of everyone who is there.
        (AccessAction::Refresh | AccessAction::Request, None) => false,
        _ => true,
    }
}

/// The same router, seen by an observer.
pub(super) fn observed(router: Router, observer: Arc<Observer>) -> Router {
    router.layer(from_fn_with_state(observer, observe))
}

async fn observe(State(observer): State<Arc<Observer>>, request: Request, next: Next) -> Response {
    let method = method_name(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip());
    let address = observer.trusted.client(peer, &forwarded_headers(request.headers()));
    let response = next.run(request).await;
    let route = route.as_ref().map_or(OTHER, MatchedPath::as_str);
    observer.count(method, route, response.status().as_u16());
    if let Some(event) = response.extensions().get::<AccessEvent>() {
        observer.note(*event, address).await;
    }
    response
}

/// One of few names: a client may send any.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.iter().position(|known| known == method).map_or(OTHER, |at| NAMES[at])
}

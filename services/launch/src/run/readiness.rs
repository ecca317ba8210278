//! What an operator and an orchestrator look at: `/health`, `/ready`, `/metrics`, and `/status` in a browser.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::get;
use ringside_web::Pages;

use super::metrics::Metrics;
use crate::roles::Probe;

/// Whether this process can serve: as its roles say, each of itself.
#[derive(Clone)]
pub(super) struct Readiness {
    probes: Arc<[Probe]>,
    draining: Arc<AtomicBool>,
}

impl Readiness {
    pub(super) fn new(probes: Vec<Probe>) -> Self {
        Self { probes: probes.into(), draining: Arc::default() }
    }

    /// From now on nobody is to be sent here.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn missing(&self) -> Option<&'static str> {
        if self.draining.load(Ordering::Relaxed) {
            return Some("draining");
        }
        self.probes.iter().find_map(|missing| missing())
    }

    pub(super) fn is_ready(&self) -> bool {
        self.missing().is_none()
    }
}

#[derive(Clone)]
struct Shown {
    ready: Readiness,
    metrics: Arc<Metrics>,
}

/// The admin port's routes.
pub(super) fn routes(ready: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(readiness))
        .route("/metrics", get(figures))
        .method_not_allowed_fallback(ringside_http::method_not_allowed)
        .with_state(Shown { ready, metrics })
        .layer(from_fn(ringside_http::security_headers))
        .fallback_service(Pages::status().routes())
}

async fn readiness(State(shown): State<Shown>) -> (StatusCode, String) {
    match shown.ready.missing() {
        None => (StatusCode::OK, "ready\n".into()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn figures(State(shown): State<Shown>) -> impl IntoResponse {
    let text = shown.metrics.text().await;
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}

//! Where a request comes from, and what it says: its path, query and body.

mod body;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use ringside_http::{forwarded_headers, peer};
use ringside_types::limits::{LIST_DEFAULT, LIST_MAX};
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;

pub(crate) use body::{Field, Fields, JsonBody, TEXT};

/// The client's address: the peer's, or what a trusted proxy says of it.
pub(crate) struct Address(pub(crate) IpAddr);

impl<S: Services> FromRequestParts<Arc<App<S>>> for Address {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App<S>>) -> Result<Self, Problem> {
        let peer = peer(parts.extensions.get::<ConnectInfo<SocketAddr>>());
        Ok(Self(app.config.trusted_proxies.client(peer, &forwarded_headers(&parts.headers))))
    }
}

/// The path's parameters.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// The query, checked by the caller.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| Problem::bad_request(error.body_text()))
    }
}

/// A list's `limit`: from 1 to 100.
pub(crate) fn list_limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(LIST_DEFAULT),
        Some(limit) if (1..=LIST_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::bad_request(format!("`limit` is from 1 to {LIST_MAX}."))),
    }
}

/// An id in a path: what can't be one names nothing.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found("There is nothing under this id."))
}

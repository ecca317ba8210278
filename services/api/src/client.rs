//! Where a request comes from, and what its body says.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use ringside_types::forwarded::{Forwarded, ForwardedHeaders, TrustedProxies};
use ringside_types::limits::{LIST_DEFAULT, LIST_MAX};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::problem::Problem;
use crate::router::{App, Services};

/// Bytes of a JSON body at the most: a message of the largest size, escaped.
pub(crate) const BODY_BYTES_MAX: usize = 512 * 1024;
/// A body must be complete within this time: 17 KB a second for the largest.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The client's address: the peer's, or what a trusted proxy says of it.
pub(crate) struct Address(pub(crate) IpAddr);

impl<S: Services> FromRequestParts<Arc<App<S>>> for Address {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App<S>>) -> Result<Self, Problem> {
        let peer = peer(parts.extensions.get::<ConnectInfo<SocketAddr>>());
        Ok(Self(app.config.trusted_proxies.client(peer, &forwarded_headers(&parts.headers))))
    }
}

/// The other end of a request's connection.
pub(crate) fn peer(info: Option<&ConnectInfo<SocketAddr>>) -> IpAddr {
    info.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip()).to_canonical()
}

/// What proxies have written into a request.
pub fn forwarded_headers(headers: &HeaderMap) -> ForwardedHeaders<'_> {
    let [addresses, hosts, schemes] = TrustedProxies::HEADERS
        .map(|name| headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect());
    ForwardedHeaders { addresses, hosts, schemes }
}

/// How a client reached us: by the name in `Host`, or as a trusted proxy says.
#[derive(Clone, Copy, Debug)]
pub struct Reached<'a> {
    /// The header `Host`: a name or address, perhaps with a port.
    pub host: &'a str,
    /// What a trusted proxy says.
    pub forwarded: Forwarded<'a>,
}

impl<'a> Reached<'a> {
    /// Reads the headers of a request that came from this peer.
    pub fn of(headers: &'a HeaderMap, peer: IpAddr, trusted: &TrustedProxies) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        Self { host, forwarded: trusted.forwarded(peer, &forwarded_headers(headers)) }
    }
}

/// A JSON body, read whole.
pub(crate) struct JsonBody(pub(crate) Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let detail = "Send the body as `Content-Type: application/json`.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let too_large = || {
            let detail = format!("The body is larger than {BODY_BYTES_MAX} bytes.");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
        };
        let body: Body = request.into_body();
        // What says beforehand that it is too large is not read; nor is a client that asks told to go on.
        if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let too_late = || {
            let detail = format!("The body was not complete within {} seconds.", BODY_TIMEOUT.as_secs());
            Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail)
        };
        let read = timeout(BODY_TIMEOUT, whole(body)).await.map_err(|_| too_late())?;
        match read {
            Ok(Some(bytes)) => Ok(Self(bytes)),
            Ok(None) => Err(too_large()),
            Err(_) => Err(Problem::bad_request("The body ended early, or its chunks can't be read.")),
        }
    }
}

/// All of a body; `None`: it is larger than [`BODY_BYTES_MAX`]. What comes is copied: a piece of a few bytes would keep
/// the whole buffer that it was read into.
async fn whole(mut body: Body) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > BODY_BYTES_MAX {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}

impl JsonBody {
    /// Reads the body; unknown fields are ignored.
    pub(crate) fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        // A derived reader would take an array for an object.
        if self.0.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Problem::bad_request("The body is a JSON object."));
        }
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, error) = (error.path().to_string(), error.into_inner());
            if error.is_data() { misfit(&path, &error) } else { no_json(&error) }
        })?;
        json.end().map_err(|error| no_json(&error))?;
        Ok(read)
    }
}

fn no_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("The body is not JSON: {error}."))
}

/// Names the field that doesn't fit. A missing one has no place of its own: its path ends at the object that lacks it,
/// and serde's words name it.
fn misfit(path: &str, error: &serde_json::Error) -> Problem {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
    let missing = words.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    let field = match (path, missing) {
        (".", Some(name)) => name.to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
        (path, None) => path.to_owned(),
    };
    let message = if missing.is_some() { "is missing".to_owned() } else { format!("does not fit: {words}") };
    Problem::invalid("Some fields are not valid.", vec![(field.into(), message)])
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

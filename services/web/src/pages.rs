//! Serving the files of `assets/`.
//!
//! They are served, each under its own name and nothing else: no listing, no default but
//! `index.html`. A release build holds them; a debug build reads them from that folder at each request.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::uri::Uri;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use ringside_http::{EdgeAddress, Reached, method_not_allowed, not_found, security_headers};
use ringside_types::forwarded::TrustedProxies;
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::CompressionLayer;

/// What is served, by the end of its name. Anything else in the folder is there for its readers.
const TYPES: [(&str, &str); 6] = [
    ("html", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("webmanifest", "application/manifest+json"),
];
/// The page of a folder.
const INDEX: &str = "index.html";
/// The status page's files, which are no part of the client.
const STATUS: &str = "status";
/// A name is no longer than this.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a file's SHA-256 that make its entity tag: two files never share one by chance.
const TAG_BYTES: usize = 16;

#[derive(RustEmbed)]
#[folder = "assets"]
#[allow_missing = true]
struct Files;

/// Some of the files, at some path, under a policy of theirs.
#[derive(Clone)]
pub struct Pages {
    /// The path of the index; the other files are below it.
    at: &'static str,
    /// The edge that the pages may connect to, besides their own port.
    edge: Option<EdgeAddress>,
    /// Proxies that say how a browser reached them.
    trusted: TrustedProxies,
}

impl Pages {
    /// The web client. It may connect to its own port, and to this edge.
    pub fn client(edge: EdgeAddress, trusted: TrustedProxies) -> Self {
        Self { at: "", edge: Some(edge), trusted }
    }

    /// The status page: it speaks to its own port alone.
    pub fn status() -> Self {
        Self { at: "/status", edge: None, trusted: TrustedProxies::default() }
    }

    /// Serves them, compressed where the browser takes it; whatever is none of them is a problem, 404.
    pub fn routes(self) -> Router {
        let compressed = CompressionLayer::new().gzip(true);
        Router::new().fallback(serve).with_state(self).layer(compressed).layer(from_fn(security_headers))
    }

    /// The policy for a browser that reached us in this way.
    fn policy(&self, request: &Request<Body>) -> HeaderValue {
        let Some(edge) = &self.edge else { return policy(&[]) };
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |info| info.0);
        let reached = Reached::of(request.headers(), peer.ip(), &self.trusted);
        policy(&edge_origins(&edge.url_for(&reached)))
    }

    /// The file at a path, and its type.
    fn find(&self, path: &str) -> Option<(EmbeddedFile, &'static str)> {
        let name = match path.strip_prefix(self.at)? {
            "" => INDEX,
            "/" if self.at.is_empty() => INDEX,
            rest => rest.strip_prefix('/')?,
        };
        let kind = kind(name)?;
        let is_status = name.split('/').next() == Some(STATUS);
        let file = match self.at {
            "" if is_status => None,
            "" => Files::get(name),
            _ => Files::get(&format!("{STATUS}/{name}")),
        };
        Some((file?, kind))
    }
}

/// What a page may do: run, show and fetch what comes from here. No inline code, no frame around it, and nothing from
/// elsewhere: not even an avatar's picture, whose host would learn who reads what and from where.
///
/// The one policy of trusted types is for the service worker's address, which browsers count as code.
fn policy(edge_origins: &[String]) -> HeaderValue {
    let edge: String = edge_origins.iter().map(|origin| format!(" {origin}")).collect();
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{edge}; \
         manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types ringside"
    );
    HeaderValue::from_str(&text).expect("origins are ASCII: they were parsed from addresses and URIs")
}

/// Origins under which pages find the edge of this URL: a local one by both of its names. None for an IPv6 literal,
/// which a policy has no words for; the client comes through the WebSocket proxy then, on its page's own port.
fn edge_origins(url: &str) -> Vec<String> {
    let Ok(url) = url.parse::<Uri>() else { return Vec::new() };
    let (Some(scheme), Some(host)) = (url.scheme_str(), url.host()) else { return Vec::new() };
    if !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
        return Vec::new();
    }
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let hosts = match host {
        "127.0.0.1" | "localhost" => vec!["127.0.0.1", "localhost"],
        host => vec![host],
    };
    hosts.into_iter().map(|host| format!("{scheme}://{host}{port}")).collect()
}

/// The type of what is served under this name; `None`: nothing is. A name is plain: no empty or hidden part, no escape.
fn kind(name: &str) -> Option<&'static str> {
    let is_plain = |part: &str| {
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_known)
    };
    if name.len() > NAME_BYTES_MAX || !name.split('/').all(is_plain) {
        return None;
    }
    let (_, end) = name.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| *known == end).map(|(_, kind)| *kind)
}

async fn serve(State(pages): State<Pages>, request: Request<Body>) -> Response {
    let Some((file, kind)) = pages.find(request.uri().path()) else {
        return not_found().await;
    };
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let refusal = method_not_allowed(request.method().clone()).await;
        return ([(header::ALLOW, "GET, HEAD")], refusal).into_response();
    }
    let tag: String =
        file.metadata.sha256_hash()[..TAG_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let is_known = is_known(request.headers(), &tag);
    let head = [
        // A weak one: it names the file, which travels in more than one form.
        (header::ETAG, HeaderValue::from_str(&format!("W/{tag}")).expect("a tag is hexadecimal")),
        // A kept copy is asked about each time: a new release shows at once, an old one costs no bytes.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, pages.policy(&request)),
    ];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(header::CONTENT_TYPE, kind)], Body::from(file.data)).into_response()
}

/// Whether the client says that it has the file with this tag (RFC 9110 §13.1.2: compared weakly).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let held = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut held = held.flat_map(|value| value.split(',')).map(str::trim);
    held.any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_known_kinds_are_served() {
        for name in ["index.html", "app/shell.js", "vendor/preact.js", "app.webmanifest"] {
            assert!(kind(name).is_some(), "{name}");
        }
        for name in [
            "",
            "README.md",
            "html",
            "app/",
            "/app.js",
            "app//a.js",
            "../Cargo.toml",
            "vendor/../index.html",
            "a/./b.js",
            ".hidden.js",
            ".git/a.js",
            "%2e%2e/a.js",
            "a\\b.js",
            "a b.js",
            "a.JS",
            "index.html.gz",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
        assert_eq!(kind(&format!("{}.js", "a".repeat(NAME_BYTES_MAX))), None);
    }

    #[test]
    fn the_edge_is_named_as_pages_may_find_it() {
        let check = |url: &str, expected: &[&str]| assert_eq!(edge_origins(url), expected, "{url}");
        check("ws://127.0.0.1:8081/ws", &["ws://127.0.0.1:8081", "ws://localhost:8081"]);
        check("wss://localhost:1/ws", &["wss://127.0.0.1:1", "wss://localhost:1"]);
        check("wss://chat.example.org/ws", &["wss://chat.example.org"]);
        check("ws://[::1]:8081/ws", &[]);
        check("nonsense", &[]);
        check("ws://a;script-src:1/ws", &[]);
    }
}

//! Who may connect: the request's path, origin and token.

use ringside_types::UnixMillis;
use ringside_types::forwarded::{Forwarded, ForwardedHeaders, TrustedProxies};
use ringside_types::security::SECURITY_HEADERS;
use ringside_websocket::handshake::{
    Refusal, Request, write_refusal, write_refusal_head, write_switching_protocols,
};
use serde_json::json;

use crate::delivery::AdmitRefusal;
use crate::origins::Origins;
use crate::token::{Claims, TokenError, Verifier};

/// The subprotocol that the server selects, where a client offers it.
pub(crate) const PROTOCOL: &str = "ringside.v1";
const BEARER_PREFIX: &str = "bearer.";
const PATH: &str = "/ws";

/// Why handshakes are refused, each in a word: for metrics and logs.
pub const REFUSAL_REASONS: [&str; 17] = [
    "bad_request",
    "wrong_method",
    "wrong_version",
    "headers_too_large",
    "wrong_path",
    "origin",
    "no_token",
    "invalid_token",
    "expired_token",
    "session_ended",
    "too_many_connections",
    "rate_limited",
    "unavailable",
    "draining",
    "full",
    "timeout",
    "early_frames",
];

/// Why fresh tokens of open connections are refused, each in a word.
pub const AUTH_REFUSAL_REASONS: [&str; 3] = ["invalid_token", "expired_token", "other_session"];

/// Why a handshake is refused.
#[derive(Debug)]
pub(crate) enum HandshakeRefusal {
    Request(Refusal),
    Path,
    Origin,
    NoToken,
    Token(TokenError),
    TooManyConnections,
    RateLimited { retry_after_ms: u64 },
    SessionEnded,
    Unavailable,
    Draining,
    Full,
    Timeout,
    EarlyBytes,
}

/// A request that may be upgraded, once the node lets it in.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) claims: Claims,
    /// The answer 101, ready to be sent.
    pub(crate) answer: Vec<u8>,
}

/// Judges a request, in the order of the contract: version before token.
pub(crate) fn judge(
    request: &Request<'_>,
    origins: &Origins,
    forwarded: Forwarded<'_>,
    verifier: &Verifier,
    now: UnixMillis,
) -> Result<Accepted, HandshakeRefusal> {
    if request.path() != PATH {
        return Err(HandshakeRefusal::Path);
    }
    let key = request.upgrade().map_err(HandshakeRefusal::Request)?;
    // Absent is accepted: tokens are never ambient, so only a browser's page is held to the list.
    let host = request.header("host").and_then(|host| str::from_utf8(host).ok()).unwrap_or_default();
    if let Some(origin) = request.origin()
        && !origins.admit(origin, host, forwarded)
    {
        return Err(HandshakeRefusal::Origin);
    }
    let mut protocols = request.protocols();
    let offers_protocol = protocols.any(|offered| offered == PROTOCOL);
    let token = bearer(request).ok_or(HandshakeRefusal::NoToken)?;
    let claims = verifier.verify(token, now).map_err(HandshakeRefusal::Token)?;
    let mut answer = Vec::new();
    write_switching_protocols(&mut answer, key, offers_protocol.then_some(PROTOCOL));
    Ok(Accepted { claims, answer })
}

/// What proxies have written into a request.
pub(crate) fn forwarded_headers<'a>(request: &Request<'a>) -> ForwardedHeaders<'a> {
    let fields = request.fields();
    let [addresses, hosts, schemes] = TrustedProxies::HEADERS
        .map(|name| fields.all(name).filter_map(|value| str::from_utf8(value).ok()).collect());
    ForwardedHeaders { addresses, hosts, schemes }
}

fn bearer<'a>(request: &'a Request<'_>) -> Option<&'a str> {
    if let Some(text) = request.authorization() {
        let (scheme, token) = text.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then_some(token.trim());
    }
    // A browser's token counts only beside the protocol that is then selected.
    let offers_protocol = request.protocols().any(|offered| offered == PROTOCOL);
    request.protocols().find_map(|offered| offered.strip_prefix(BEARER_PREFIX)).filter(|_| offers_protocol)
}

impl From<AdmitRefusal> for HandshakeRefusal {
    fn from(refusal: AdmitRefusal) -> Self {
        match refusal {
            AdmitRefusal::TooManyConnections => Self::TooManyConnections,
            AdmitRefusal::RateLimited { retry_after_ms } => Self::RateLimited { retry_after_ms },
            AdmitRefusal::SessionEnded => Self::SessionEnded,
            AdmitRefusal::Unavailable => Self::Unavailable,
        }
    }
}

impl HandshakeRefusal {
    /// One of [`REFUSAL_REASONS`].
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Request(Refusal::Malformed(_)) => "bad_request",
            Self::Request(Refusal::Method) => "wrong_method",
            Self::Request(Refusal::Version) => "wrong_version",
            Self::Request(Refusal::TooLarge) => "headers_too_large",
            Self::Path => "wrong_path",
            Self::Origin => "origin",
            Self::NoToken => "no_token",
            Self::Token(TokenError::Invalid) => "invalid_token",
            Self::Token(TokenError::Expired) => "expired_token",
            Self::SessionEnded => "session_ended",
            Self::TooManyConnections => "too_many_connections",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Draining => "draining",
            Self::Full => "full",
            Self::Timeout => "timeout",
            Self::EarlyBytes => "early_frames",
        }
    }

    fn parts(&self) -> (u16, &'static str, String) {
        let own = |status, code, text: &str| (status, code, text.to_owned());
        match self {
            Self::Request(refusal) => {
                let code = match refusal.status() {
                    405 => "method_not_allowed",
                    426 => "upgrade_required",
                    431 => "headers_too_large",
                    _ => "bad_request",
                };
                (refusal.status(), code, refusal.to_string())
            }
            Self::Path => own(404, "not_found", "Connect to /ws."),
            Self::Origin => own(403, "forbidden", "Pages of this origin may not connect here."),
            Self::NoToken => own(401, "unauthorized", "Send an access token with the handshake."),
            Self::Token(error) => own(401, "unauthorized", &error.to_string()),
            Self::SessionEnded => own(401, "unauthorized", "This session has ended; sign in again."),
            Self::TooManyConnections => {
                own(429, "rate_limited", "You have as many connections as are allowed; close one.")
            }
            Self::RateLimited { .. } => {
                own(429, "rate_limited", "Too many connections and frames of yours in a short time; wait.")
            }
            Self::Unavailable => own(503, "unavailable", "The server can't let you in now; try again soon."),
            Self::Draining => own(503, "unavailable", "This edge is stopping; connect to another."),
            Self::Full => {
                own(503, "unavailable", "This edge holds as many connections as it may; try again soon.")
            }
            Self::Timeout => own(408, "request_timeout", "The handshake was not complete within 10 seconds."),
            Self::EarlyBytes => own(400, "bad_request", "Wait for the answer before you send frames."),
        }
    }

    /// Appends the answer; to HEAD it has no body.
    pub(crate) fn write(&self, out: &mut Vec<u8>, is_head: bool) {
        let (status, code, detail) = self.parts();
        let mut headers = SECURITY_HEADERS.to_vec();
        let seconds;
        match self {
            Self::RateLimited { retry_after_ms } => {
                seconds = retry_after_ms.div_ceil(1_000).to_string();
                headers.push(("Retry-After", &seconds));
            }
            Self::Request(refusal) => headers.extend(refusal.headers()),
            // All of them live, and nobody knows when their user leaves one.
            Self::TooManyConnections => headers.push(("Retry-After", "30")),
            Self::Unavailable | Self::Draining | Self::Full => {
                headers.push(("Retry-After", "2"));
            }
            _ if status == 401 => headers.push(("WWW-Authenticate", "Bearer")),
            _ => {}
        }
        let title = match status {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            426 => "Upgrade Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        let body = json!({
            "type": format!("urn:ringside:problem:{code}"),
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
        });
        let (kind, body) = ("application/problem+json", body.to_string());
        if is_head {
            write_refusal_head(out, status, &headers, kind, body.len());
        } else {
            write_refusal(out, status, &headers, kind, body.as_bytes());
        }
    }
}

//! Heads for both sides, appended to the caller's buffer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

/// RFC 6455 §1.3.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`: base64, ASCII.
#[must_use]
pub fn accept_key(key: &str) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    let mut accept = [0; 28];
    let len = STANDARD.encode_slice(digest, &mut accept).expect("20 bytes are 28 in base64");
    assert_eq!(len, accept.len());
    accept
}

/// `Sec-WebSocket-Key` for a nonce: base64, ASCII.
#[must_use]
pub fn client_key(nonce: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    let len = STANDARD.encode_slice(nonce, &mut key).expect("16 bytes are 24 in base64");
    assert_eq!(len, key.len());
    key
}

/// Appends the 101 for the `key` of [`super::Request::upgrade`]. `protocol` is one of those that the client
/// offered.
pub fn write_switching_protocols(out: &mut Vec<u8>, key: &str, protocol: Option<&str>) {
    out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    write_field(out, "Upgrade", b"websocket");
    write_field(out, "Connection", b"Upgrade");
    write_field(out, "Sec-WebSocket-Accept", &accept_key(key));
    if let Some(protocol) = protocol {
        write_field(out, "Sec-WebSocket-Protocol", protocol.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends an answer other than 101. It always ends the connection (`Connection: close`): what the client
/// sent behind its request is not HTTP. An answer to HEAD is [`write_refusal_head`].
///
/// # Panics
/// If a header holds a control character: the caller's mistake.
pub fn write_refusal(
    out: &mut Vec<u8>,
    status: u16,
    headers: &[(&str, &str)],
    content_type: &str,
    body: &[u8],
) {
    write_refusal_head(out, status, headers, content_type, body.len());
    out.extend_from_slice(body);
}

/// Appends the head of [`write_refusal`] for a body of this length, which HEAD leaves out (RFC 9110 §9.3.2).
///
/// # Panics
/// If a header holds a control character: the caller's mistake.
pub fn write_refusal_head(
    out: &mut Vec<u8>,
    status: u16,
    headers: &[(&str, &str)],
    content_type: &str,
    body_len: usize,
) {
    out.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason_phrase(status)).as_bytes());
    write_field(out, "Connection", b"close");
    write_field(out, "Content-Type", content_type.as_bytes());
    write_field(out, "Content-Length", body_len.to_string().as_bytes());
    for (name, value) in headers {
        write_field(out, name, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the client's request for `target` (path and query) at `host` (with the port, unless it is the
/// scheme's own).
/// `nonce` is 16 random bytes, to be given to [`super::ResponseParser`] as well. `headers` may hold
/// `Authorization`, `Origin`, `Sec-WebSocket-Protocol`.
///
/// # Panics
/// If the target holds white space, or a header a control character: the caller's mistake.
pub fn write_request(out: &mut Vec<u8>, host: &str, target: &str, nonce: [u8; 16], headers: &[(&str, &str)]) {
    assert!(
        target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic()),
        "no target: {target:?}"
    );
    out.extend_from_slice(b"GET ");
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_field(out, "Host", host.as_bytes());
    write_field(out, "Upgrade", b"websocket");
    write_field(out, "Connection", b"Upgrade");
    write_field(out, "Sec-WebSocket-Key", &client_key(nonce));
    write_field(out, "Sec-WebSocket-Version", super::VERSION.as_bytes());
    for (name, value) in headers {
        write_field(out, name, value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    let is_clean = |bytes: &[u8]| !bytes.iter().any(u8::is_ascii_control);
    assert!(is_clean(name.as_bytes()) && is_clean(value), "control character in header {name}");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The phrases of the statuses that an edge answers with; a client needs none (RFC 9112 §4).
fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "",
    }
}

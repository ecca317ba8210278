//! The server's side: the upgrade request.

use super::fields::{Fields, ascii, is_token};
use super::head::{Head, HeadError};
use super::refusal::{Malformed, Refusal};

/// Receives one request, byte by byte if need be.
///
/// Holds what has arrived of it, at most [`super::MAX_HEAD_BYTES`]; the caller drops it with the answer.
#[derive(Debug, Default)]
pub struct RequestParser {
    head: Head,
}

impl RequestParser {
    /// A parser that has seen nothing; allocates with the first bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the request held so far.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.head.len()
    }

    /// Whether the request's method is HEAD: its answer has no body.
    #[must_use]
    pub fn asks_head(&self) -> bool {
        self.head.starts_with(b"HEAD ")
    }

    /// Takes the next input. `None` asks for more; otherwise the request, and how many bytes of `input`
    /// belong to it: the rest is for the [`crate::Connection`], if the answer is a 101.
    ///
    /// # Errors
    /// The refusal to answer with, as early as it is certain; the parser keeps to it.
    pub fn receive(&mut self, input: &[u8]) -> Result<Option<(Request<'_>, usize)>, Refusal> {
        match self.head.receive(input) {
            Ok(None) => Ok(None),
            Ok(Some(consumed)) => {
                let (first_line, lines) = self.head.split();
                Ok(Some((Request::parse(first_line, lines)?, consumed)))
            }
            Err(HeadError::Malformed(malformed)) => Err(malformed.into()),
            Err(HeadError::TooLarge) => Err(Refusal::TooLarge),
        }
    }
}

/// A well-formed HTTP/1.1 request without a body, for any method and path; [`Request::upgrade`] checks the
/// rest. In between the caller can answer 404.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    origin: Option<&'a str>,
    authorization: Option<&'a str>,
    fields: Fields<'a>,
}

impl<'a> Request<'a> {
    fn parse(first_line: &'a [u8], lines: &'a [u8]) -> Result<Self, Malformed> {
        let first_line = ascii(first_line).ok_or(Malformed::FirstLine)?;
        let mut words = first_line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Malformed::FirstLine);
        };
        if !is_token(method.as_bytes()) {
            return Err(Malformed::FirstLine);
        }
        if version != "HTTP/1.1" {
            return Err(if version.starts_with("HTTP/") {
                Malformed::HttpVersion
            } else {
                Malformed::FirstLine
            });
        }
        let fields = Fields::parse(lines)?;
        if !fields.first("host").is_some_and(is_host) {
            return Err(Malformed::Host);
        }
        fields.refuse_body()?;
        let (path, query) = split_target(target)?;
        Ok(Self {
            method,
            path,
            query,
            origin: fields.first_ascii("origin")?,
            authorization: fields.first_ascii("authorization")?,
            fields,
        })
    }

    /// The method as it was sent.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The path, still percent-encoded; it begins with `/`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// What stands behind the first `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// `Origin`; there is never a second one.
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.origin
    }

    /// `Authorization`, scheme included; there is never a second one.
    #[must_use]
    pub fn authorization(&self) -> Option<&'a str> {
        self.authorization
    }

    /// The first header called `name`, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.first(name)
    }

    /// All headers.
    #[must_use]
    pub fn fields(&self) -> Fields<'a> {
        self.fields
    }

    /// The subprotocols that the client offers, in its order; what is no token is left out (and
    /// [`Request::upgrade`] refuses it).
    pub fn protocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.fields.list("sec-websocket-protocol").filter(|element| is_token(element)).filter_map(ascii)
    }

    /// The values of `Sec-WebSocket-Extensions`, unparsed.
    pub fn extensions(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.fields.all("sec-websocket-extensions")
    }

    /// Checks that this asks for a WebSocket of version 13 (RFC 6455 §4.2.1) and returns the key for
    /// [`super::write_switching_protocols`].
    ///
    /// # Errors
    /// In this order: another method, no upgrade to `websocket`, another version, a bad key, malformed
    /// subprotocols.
    pub fn upgrade(&self) -> Result<&'a str, Refusal> {
        if self.method != "GET" {
            return Err(Refusal::Method);
        }
        if !self.fields.lists("upgrade", "websocket") {
            return Err(Malformed::Upgrade.into());
        }
        if !self.fields.lists("connection", "upgrade") {
            return Err(Malformed::Connection.into());
        }
        if self.header("sec-websocket-version") != Some(super::VERSION.as_bytes()) {
            return Err(Refusal::Version);
        }
        let key = self
            .header("sec-websocket-key")
            .filter(|key| is_key(key))
            .and_then(ascii)
            .ok_or(Malformed::Key)?;
        if !self.fields.list("sec-websocket-protocol").all(is_token) {
            return Err(Malformed::Protocol.into());
        }
        Ok(key)
    }
}

/// Path and query of a target in origin-form or absolute-form (RFC 9112 §3.2), which is a server's to accept.
fn split_target(target: &str) -> Result<(&str, Option<&str>), Malformed> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Err(Malformed::Target);
    }
    let path_and_query = match target.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let authority_len = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path_and_query) = rest.split_at(authority_len);
            if !is_host(authority.as_bytes()) {
                return Err(Malformed::Target);
            }
            path_and_query
        }
        _ if target.starts_with('/') => target,
        _ => return Err(Malformed::Target),
    };
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    Ok((if path.is_empty() { "/" } else { path }, query))
}

/// A host with or without a port; no user, no list, no path.
fn is_host(value: &[u8]) -> bool {
    !value.is_empty()
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(byte))
}

/// 16 bytes in base64: 22 digits and two of padding. The four bits that the last digit has too many may be
/// anything; the RFC's own example sets them.
fn is_key(value: &[u8]) -> bool {
    matches!(value.split_last_chunk::<2>(), Some((digits, b"=="))
        if digits.len() == 22 && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte)))
}

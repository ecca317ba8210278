//! Header fields as views into the head.

use super::refusal::Malformed;

/// Headers that may come only once: what they say must not depend on which of two is read.
const SINGLE: [&str; 7] = [
    "host",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-accept",
    "origin",
    "authorization",
    "content-length",
];

/// The header lines of a head, every one `name ":" value CRLF` with a token as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    lines: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Checks lines that [`super::head::Head`] has found: ended by CRLF, without control characters.
    pub(super) fn parse(lines: &'a [u8]) -> Result<Self, Malformed> {
        let mut seen = [false; SINGLE.len()];
        let mut rest = lines;
        while let Some((line, later)) = split_line(rest) {
            rest = later;
            let (name, _) = split_field(line).ok_or(Malformed::HeaderLine)?;
            if !is_token(name) {
                return Err(Malformed::HeaderLine);
            }
            if let Some(index) = SINGLE.iter().position(|single| name.eq_ignore_ascii_case(single.as_bytes()))
                && std::mem::replace(&mut seen[index], true)
            {
                return Err(Malformed::DuplicateHeader);
            }
        }
        Ok(Self { lines })
    }

    /// All fields in order: name as it was written, value without the white space around it. A value may hold
    /// bytes above ASCII (RFC 9110 §5.5).
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.lines;
        std::iter::from_fn(move || {
            let (line, later) = split_line(rest)?;
            rest = later;
            split_field(line)
        })
    }

    /// The values of every field called `name`, in any case.
    pub fn all<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The value of the first field called `name`.
    #[must_use]
    pub fn first(self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The elements of the comma-separated lists in all fields called `name`, without empty ones.
    pub fn list<'n>(self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(trim)
            .filter(|element| !element.is_empty())
    }

    /// Whether one of the lists in fields called `name` holds `token`, in any case.
    pub(super) fn lists(self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// As [`Fields::first`], for what must be ASCII.
    pub(super) fn first_ascii(self, name: &str) -> Result<Option<&'a str>, Malformed> {
        self.first(name).map(|value| ascii(value).ok_or(Malformed::NotAscii)).transpose()
    }

    /// Refuses a message with a body, however its length is said.
    pub(super) fn refuse_body(self) -> Result<(), Malformed> {
        let length_is_zero = |value: &[u8]| !value.is_empty() && value.iter().all(|&digit| digit == b'0');
        if self.first("transfer-encoding").is_some()
            || !self.first("content-length").is_none_or(length_is_zero)
        {
            return Err(Malformed::Body);
        }
        Ok(())
    }
}

/// `bytes` as text, if it is ASCII.
pub(super) fn ascii(bytes: &[u8]) -> Option<&str> {
    bytes.is_ascii().then(|| std::str::from_utf8(bytes).expect("ASCII is UTF-8"))
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn split_line(lines: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = lines.iter().position(|&byte| byte == b'\r')?;
    Some((&lines[..len], &lines[len + 2..]))
}

fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some((&line[..colon], trim(&line[colon + 1..])))
}

/// Without the spaces and tabs around it (no other white space passes the scanner).
fn trim(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

//! The few fields that the load looks at, found without building values: `message.ack` and `message.new` are most of what
//! is read, and the load must not cost more than the server.

use std::borrow::Cow;

use ringside_test_client::websocket::{ServerFrame, parse};
use serde::Deserialize;

const ACK: &[u8] = br#"{"type":"message.ack","id":""#;
const NEW: &[u8] = br#"{"type":"message.new","#;
const KEY_BYTES: usize = 36;

/// A frame, as far as the load cares.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HotFrame<'a> {
    Hello,
    Ack(Cow<'a, str>),
    New {
        channel_id: Cow<'a, str>,
        client_id: Cow<'a, str>,
        seq: u64,
    },
    /// An answer that refuses the message with this key.
    Refused {
        key: String,
        code: String,
    },
    /// A refusal that names no message, a goodbye, or a frame that makes no sense.
    Trouble(String),
    Other,
}

#[derive(Deserialize)]
struct NewFrame<'a> {
    #[serde(borrow)]
    payload: NewPayload<'a>,
}

#[derive(Deserialize)]
struct NewPayload<'a> {
    #[serde(borrow)]
    channel_id: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    seq: u64,
}

/// Reads one text message.
pub(super) fn scan(text: &[u8]) -> HotFrame<'_> {
    if let Some(rest) = text.strip_prefix(ACK)
        && let Some(key) = rest.get(..KEY_BYTES)
        && rest.get(KEY_BYTES) == Some(&b'"')
        && let Ok(key) = std::str::from_utf8(key)
    {
        return HotFrame::Ack(Cow::Borrowed(key));
    }
    if text.starts_with(NEW)
        && let Ok(NewFrame { payload }) = serde_json::from_slice(text)
    {
        return HotFrame::New {
            channel_id: payload.channel_id,
            client_id: payload.client_id,
            seq: payload.seq,
        };
    }
    read_slowly(text)
}

/// Any order of fields, and everything that is rare.
fn read_slowly(text: &[u8]) -> HotFrame<'_> {
    match parse(text) {
        Ok(ServerFrame::Hello { .. }) => HotFrame::Hello,
        Ok(ServerFrame::Ack { id }) => HotFrame::Ack(Cow::Owned(id)),
        Ok(ServerFrame::New(message)) => HotFrame::New {
            channel_id: Cow::Owned(message.channel_id.to_string()),
            client_id: Cow::Owned(message.client_id.to_string()),
            seq: message.seq,
        },
        Ok(ServerFrame::Rejected { client_id, code }) => HotFrame::Refused { key: client_id, code },
        Ok(ServerFrame::Error { id: Some(key), code, .. }) => HotFrame::Refused { key, code },
        Ok(ServerFrame::Error { code, message, .. }) => HotFrame::Trouble(format!("{code}: {message}")),
        Ok(ServerFrame::Goodbye { reason, .. }) => HotFrame::Trouble(format!("goodbye: {reason}")),
        Ok(_) => HotFrame::Other,
        Err(error) => HotFrame::Trouble(error.to_string()),
    }
}

/// The idempotency key of a run's message: a UUID of version 8, with 48 bits of the run and 56 of the number.
pub(super) fn key(run: u64, number: usize) -> String {
    let number = number as u64;
    let run = run & ((1 << 48) - 1);
    format!(
        "{:08x}-{:04x}-8000-80{:02x}-{:012x}",
        run >> 16,
        run & 0xffff,
        number >> 48 & 0xff,
        number & ((1 << 48) - 1)
    )
}

/// The number of the message with this key, if it is one of this run.
pub(super) fn number_of(key: &str, run: u64) -> Option<usize> {
    let hex = |range: std::ops::Range<usize>| u64::from_str_radix(key.get(range)?, 16).ok();
    if key.len() != KEY_BYTES || hex(0..8)? << 16 | hex(9..13)? != run || key.get(14..21) != Some("8000-80") {
        return None;
    }
    Some((hex(21..23)? << 48 | hex(24..36)?) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_uuids_and_come_back() {
        for number in [0, 1, 0xabcdef, (1 << 56) - 1] {
            let key = key(0xdead_beef_cafe, number);
            let parsed: uuid::Uuid = key.parse().expect("a UUID");
            assert_eq!(parsed.get_version_num(), 8);
            assert_eq!(number_of(&key, 0xdead_beef_cafe), Some(number), "{key}");
            assert_eq!(number_of(&key, 1), None);
        }
        assert_eq!(number_of("not a key", 1), None);
        assert_eq!(number_of("äöüäöüäöüäöüäöüäöü", 1), None);
    }

    #[test]
    fn scans_fast_and_slow_alike() {
        let id = "00000000-0000-0000-0000-000000000007";
        let fast = format!(
            r#"{{"type":"message.new","payload":{{"message_id":"9","seq":4,"client_id":"{id}","channel_id":"{id}","sender":{{"id":"{id}"}},"content":"x"}}}}"#
        );
        let slow = format!(
            r#"{{ "payload":{{"content":"x","sender":{{"id":"{id}"}},"channel_id":"{id}","client_id":"{id}","seq":4,"message_id":"9"}}, "type":"message.new"}}"#
        );
        let expected = HotFrame::New { channel_id: id.into(), client_id: id.into(), seq: 4 };
        assert_eq!(scan(fast.as_bytes()), expected);
        assert_eq!(scan(slow.as_bytes()), expected);
        let ack = format!(r#"{{"type":"message.ack","id":"{id}","payload":{{"status":"received"}}}}"#);
        assert_eq!(scan(ack.as_bytes()), HotFrame::Ack(id.into()));
        let ack = format!(r#"{{"id":"{id}","type":"message.ack"}}"#);
        assert_eq!(scan(ack.as_bytes()), HotFrame::Ack(id.into()));
    }

    #[test]
    fn names_refusals() {
        let refused =
            br#"{"type":"error","id":"k","payload":{"code":"rate_limited","message":"Slow down."}}"#;
        assert_eq!(scan(refused), HotFrame::Refused { key: "k".into(), code: "rate_limited".into() });
        assert!(matches!(
            scan(br#"{"type":"goodbye","payload":{"reason":"draining"}}"#),
            HotFrame::Trouble(_)
        ));
        assert!(matches!(scan(b"nonsense"), HotFrame::Trouble(_)));
        assert_eq!(scan(br#"{"type":"pong"}"#), HotFrame::Other);
    }
}

//! What a server may say, read into owned values, for clients that look at everything.

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;
use uuid::Uuid;

use super::changes;
use crate::amendment::Change;
use crate::cursor::Cursor;

/// A frame of the server, as far as this crate looks at it.
#[derive(Clone, Debug, PartialEq)]
pub enum ServerFrame {
    /// `hello`, the first frame.
    Hello {
        /// Who the server takes us for.
        user_id: Uuid,
    },
    /// The log holds the message durably.
    Ack { id: String },
    /// Acknowledged, then refused by the pipeline.
    Rejected { client_id: String, code: String },
    /// A message, with its channel.
    New(Message),
    /// Something that was there changed.
    Changed { channel_id: Uuid, change: Change },
    /// How far a member has come.
    Status { channel_id: Uuid, cursor: Cursor },
    /// A part of a sync's answer.
    Page(PageFrame),
    /// The end of a sync's answer.
    SyncDone {
        id: Option<String>,
        /// How far each channel goes.
        channels: Vec<SyncedChannel>,
    },
    /// A close by the server follows.
    Goodbye { reason: String, retry_after_ms: Option<u64> },
    /// `error`: a command was refused.
    Error {
        /// Of which request, if it named itself.
        id: Option<String>,
        code: String,
        message: String,
        retry_after_ms: Option<u64>,
    },
    /// Any other `type`, which is kept.
    Other(String),
}

/// A message as the contract shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message {
    pub channel_id: Uuid,
    /// The id, from its decimal string.
    #[serde(deserialize_with = "decimal")]
    pub message_id: u64,
    pub seq: u64,
    pub client_id: Uuid,
    pub sender: Sender,
    #[serde(default)]
    pub content: String,
    #[serde(default)]
    pub deleted: bool,
    #[serde(default)]
    pub edited_at: Option<String>,
}

/// Who sent a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sender {
    pub id: Uuid,
}

/// The payload of `sync.page`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct PageFrame {
    pub channel_id: Uuid,
    /// Oldest first.
    pub messages: Vec<Message>,
    /// Changes of messages that the client may have.
    #[serde(default, deserialize_with = "changes::in_page")]
    pub changes: Vec<Change>,
    pub has_more: bool,
    /// Whether what the client has is void.
    #[serde(default)]
    pub reset: bool,
}

/// One channel in `sync.done`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SyncedChannel {
    pub channel_id: Uuid,
    /// The last message's number; 0 in an empty channel.
    pub last_seq: u64,
    /// The last change's number.
    #[serde(default)]
    pub last_change: u64,
    /// Messages that the user has not read.
    pub unread_count: u64,
}

/// Why a text is no frame of the contract.
#[derive(Debug, Error)]
#[error("{kind}: {source}")]
pub struct FrameError {
    /// The `type`, where there was one.
    pub kind: String,
    pub source: serde_json::Error,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

fn decimal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(|_| serde::de::Error::custom(format!("{text:?} is no decimal id")))
}

/// Reads one text message.
pub fn parse(text: &[u8]) -> Result<ServerFrame, FrameError> {
    let envelope: Envelope<'_> =
        serde_json::from_slice(text).map_err(|source| FrameError { kind: "envelope".to_owned(), source })?;
    let payload = envelope.payload.map_or("{}", RawValue::get);
    read(&envelope.kind, envelope.id, payload).map_err(|source| FrameError { kind: envelope.kind, source })
}

fn read(kind: &str, id: Option<String>, payload: &str) -> Result<ServerFrame, serde_json::Error> {
    #[derive(Deserialize)]
    struct Hello {
        user_id: Uuid,
    }
    #[derive(Deserialize)]
    struct Rejected {
        client_id: String,
        code: String,
    }
    #[derive(Deserialize)]
    struct Status {
        channel_id: Uuid,
        #[serde(flatten)]
        cursor: Cursor,
    }
    #[derive(Deserialize)]
    struct Done {
        channels: Vec<SyncedChannel>,
    }
    #[derive(Deserialize)]
    struct Goodbye {
        reason: String,
        retry_after_ms: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Refusal {
        code: String,
        message: String,
        retry_after_ms: Option<u64>,
    }
    Ok(match kind {
        "hello" => ServerFrame::Hello { user_id: serde_json::from_str::<Hello>(payload)?.user_id },
        "message.ack" => {
            ServerFrame::Ack { id: id.ok_or_else(|| serde::de::Error::custom("an ack without id"))? }
        }
        "message.rejected" => {
            let Rejected { client_id, code } = serde_json::from_str(payload)?;
            ServerFrame::Rejected { client_id, code }
        }
        "message.new" => ServerFrame::New(serde_json::from_str(payload)?),
        "message.status" => {
            let Status { channel_id, cursor } = serde_json::from_str(payload)?;
            ServerFrame::Status { channel_id, cursor }
        }
        "sync.page" => ServerFrame::Page(serde_json::from_str(payload)?),
        "sync.done" => {
            ServerFrame::SyncDone { id, channels: serde_json::from_str::<Done>(payload)?.channels }
        }
        "goodbye" => {
            let Goodbye { reason, retry_after_ms } = serde_json::from_str(payload)?;
            ServerFrame::Goodbye { reason, retry_after_ms }
        }
        "error" => {
            let Refusal { code, message, retry_after_ms } = serde_json::from_str(payload)?;
            ServerFrame::Error { id, code, message, retry_after_ms }
        }
        other => match changes::read(other, payload)? {
            Some((channel_id, change)) => ServerFrame::Changed { channel_id, change },
            None => ServerFrame::Other(other.to_owned()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_contract_names() {
        let channel = Uuid::from_u128(7);
        let new = format!(
            r#"{{"type":"message.new","payload":{{"message_id":"12","seq":3,"client_id":"{channel}","channel_id":"{channel}",
            "sender":{{"id":"{channel}","username":"u"}},"content":"h\"i","reply_to":null,"created_at":"x"}}}}"#
        );
        let Ok(ServerFrame::New(message)) = parse(new.as_bytes()) else { panic!("no message") };
        assert_eq!((message.message_id, message.seq, message.content.as_str()), (12, 3, "h\"i"));
        assert!(!message.deleted);
        let ack =
            parse(br#"{"type":"message.ack","id":"a","payload":{"status":"received"}}"#).expect("an ack");
        assert_eq!(ack, ServerFrame::Ack { id: "a".into() });
        let other = parse(br#"{"type":"typing.update","payload":{}}"#).expect("a frame");
        assert_eq!(other, ServerFrame::Other("typing.update".into()));
    }

    #[test]
    fn refuses_what_breaks_the_contract() {
        for wrong in [
            &b"[]"[..],
            br#"{"payload":{}}"#,
            br#"{"type":"message.ack","payload":{}}"#,
            br#"{"type":"message.deleted","payload":{"channel_id":"00000000-0000-0000-0000-000000000007","message_id":12}}"#,
        ] {
            assert!(parse(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}

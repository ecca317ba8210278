//! What clients send: the envelope, and the commands in it.
//!
//! ```text
//! bytes -> [`Envelope::read`] -> [`Command::read`] -> Command
//! ```
//! The envelope is read first so that a refusal can echo its `id`.

use std::borrow::Cow;

use ringside_types::limits::{JSON_DEPTH_MAX, SYNC_CHANNELS_MAX, SYNC_PAGE_DEFAULT, SYNC_PAGE_MAX};
use ringside_types::text::is_visible;
use ringside_types::{ChannelId, ClientId, ErrorCode, MessageId, UserId};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::amendment::{Amend, Change, EditPayload, EmojiPayload, Target};
use crate::depth;
use crate::message::ContentType;
use crate::signals::{ChannelPayload, PresenceSet, PresenceUsers, Receipt, Typing};

/// Bytes of an envelope's `id` at the most, and of a `type` that is named in an answer.
pub const ENVELOPE_FIELD_BYTES_MAX: usize = 128;

/// A frame that was refused: the code, and a sentence that a person understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The stable code.
    pub code: ErrorCode,
    /// What is wrong and what to do.
    pub message: Cow<'static, str>,
    /// The field that it is about; empty: it is about none, or several.
    pub field: &'static str,
}

impl Refused {
    /// A refusal of a frame that doesn't say what the contract asks for.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self { code: ErrorCode::BadRequest, message: message.into(), field: "" }
    }

    /// The same, of one field.
    pub fn of_field(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field, ..Self::bad_request(message) }
    }
}

/// `{"type": string, "id"?: string, "payload"?: object}`; other fields are ignored.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// What the frame is.
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// The client's name for it, echoed on the answer.
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub id: Option<Cow<'a, str>>,
    /// What it says.
    #[serde(borrow, default)]
    pub payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// serde borrows a `Cow` that is a field, and would copy one inside an `Option`.
fn borrowed<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    Ok(Option::<Text<'de>>::deserialize(from)?.map(|text| text.0))
}

impl<'a> Envelope<'a> {
    /// Reads a text message. Refuses what isn't an envelope, and what nests deeper than
    /// [`JSON_DEPTH_MAX`].
    pub fn read(text: &'a [u8]) -> Result<Self, Refused> {
        if depth::exceeds(text, JSON_DEPTH_MAX) {
            return Err(Refused::bad_request(format!(
                "The frame nests deeper than {JSON_DEPTH_MAX} levels."
            )));
        }
        // A derived reader would take an array for an object.
        if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Refused::bad_request("The frame is not an envelope: a JSON object with a `type`."));
        }
        // Checked once for the whole frame, and fast; not by the parser string by string.
        let text =
            simdutf8::basic::from_utf8(text).map_err(|_| Refused::bad_request("The frame is not UTF-8."))?;
        let envelope: Self = serde_json::from_str(text).map_err(|error| {
            Refused::bad_request(format!(
                "The frame is not an envelope {{\"type\": string, \"id\"?: string, \"payload\"?: object}}: {error}."
            ))
        })?;
        // A long `type` is unknown like any other that isn't known; that answer has the frame's `id`.
        if envelope.id.as_ref().is_some_and(|id| id.len() > ENVELOPE_FIELD_BYTES_MAX) {
            return Err(Refused::bad_request(format!(
                "`id` holds at most {ENVELOPE_FIELD_BYTES_MAX} bytes."
            )));
        }
        Ok(envelope)
    }
}

/// A command that this server answers.
#[derive(Debug)]
pub enum Command<'a> {
    /// `message.send`.
    Send(Send<'a>),
    /// `message.edit`, `message.delete`, `reaction.add`, `reaction.remove`.
    Amend(Amend<'a>),
    /// `message.delivered`, `message.read`.
    Receipt(Receipt),
    /// `typing.start`, `typing.stop`.
    Typing(Typing),
    /// `presence.set`.
    SetPresence(PresenceSet<'a>),
    /// `presence.subscribe`.
    Watch(Vec<UserId>),
    /// `presence.unsubscribe`.
    Unwatch(Vec<UserId>),
    /// `sync`.
    Sync(Sync),
    /// `auth`: a fresh access token.
    Auth(Cow<'a, str>),
    /// `ping`, with the payload to echo.
    Ping(Option<&'a RawValue>),
}

/// The payload of `message.send`, and the envelope's id as its idempotency key.
#[derive(Debug, PartialEq, Eq)]
pub struct Send<'a> {
    /// The idempotency key.
    pub client_id: ClientId,
    /// Where to.
    pub channel_id: ChannelId,
    /// The text.
    pub content: Cow<'a, str>,
    /// What it is.
    pub content_type: ContentType,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// A JSON object, or empty.
    pub metadata: &'a str,
}

/// The payload of `sync`.
#[derive(Debug, PartialEq, Eq)]
pub struct Sync {
    /// What the client has, per channel.
    pub channels: Vec<SyncChannel>,
    /// Messages a page, from 1 to [`SYNC_PAGE_MAX`].
    pub limit: usize,
}

/// What a client has of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct SyncChannel {
    /// The channel.
    pub channel_id: ChannelId,
    /// The last message that the client has; `None`: nothing.
    pub last_message_id: Option<MessageId>,
    /// The last change that it has; `None`: no changes wanted before the head.
    #[serde(default)]
    pub last_change: Option<u64>,
}

/// The payload of `message.send`, also the body of the REST endpoint.
#[derive(Debug, Deserialize)]
pub struct SendPayload<'a> {
    /// Where to; REST has it in the path.
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    /// The text.
    #[serde(borrow, default)]
    pub content: Cow<'a, str>,
    /// What it is; text where nothing is said. A kind that isn't known is refused.
    #[serde(default)]
    pub content_type: ContentType,
    /// The message that it answers.
    #[serde(default)]
    pub reply_to: Option<MessageId>,
    /// What the client attaches: an object.
    #[serde(borrow, default)]
    pub metadata: Option<&'a RawValue>,
}

impl<'a> SendPayload<'a> {
    /// Checks what the types alone can't.
    ///
    /// # Errors
    /// All that is wrong; at least one thing.
    pub fn validated(self, client_id: ClientId, channel_id: ChannelId) -> Result<Send<'a>, Vec<Refused>> {
        let mut refused = Vec::new();
        if self.content_type.needs_content() && !is_visible(&self.content) {
            let message = "`content` shows nothing; a text or reply needs some.";
            refused.push(Refused::of_field("content", message));
        }
        if self.content_type == ContentType::Reply && self.reply_to.is_none() {
            let message = "A reply names the message that it answers in `reply_to`.";
            refused.push(Refused::of_field("reply_to", message));
        }
        let metadata = self.metadata.map_or("", RawValue::get);
        let metadata = if metadata == "null" { "" } else { metadata };
        refused.extend(wrong_metadata(metadata).map(|message| Refused::of_field("metadata", message)));
        if !refused.is_empty() {
            return Err(refused);
        }
        let Self { content, content_type, reply_to, .. } = self;
        Ok(Send { client_id, channel_id, content, content_type, reply_to, metadata })
    }
}

/// Metadata is kept and passed on as it was written, so whoever reads it must be able to: every value in it is read once,
/// since the parser only skims a [`RawValue`] and lets half a surrogate pair or a number beyond `f64` pass.
fn wrong_metadata(metadata: &str) -> Option<String> {
    if metadata.is_empty() {
        return None;
    }
    if !metadata.starts_with('{') {
        return Some("`metadata` is an object.".into());
    }
    // REST has no envelope that was measured.
    if depth::exceeds(metadata.as_bytes(), JSON_DEPTH_MAX) {
        return Some(format!("`metadata` nests deeper than {JSON_DEPTH_MAX} levels."));
    }
    let error = serde_json::from_str::<serde_json::Value>(metadata).err()?;
    Some(format!("`metadata` is no JSON that all can read: {error}."))
}

#[derive(Deserialize)]
struct SyncPayload {
    channels: Vec<SyncChannel>,
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct AuthPayload<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
}

impl<'a> Command<'a> {
    /// Reads the payload that the envelope's `type` calls for.
    pub fn read(envelope: &Envelope<'a>) -> Result<Self, Refused> {
        match envelope.kind.as_ref() {
            "message.send" => read_send(envelope).map(Self::Send),
            "message.edit" | "message.delete" | "reaction.add" | "reaction.remove" => {
                read_amend(envelope).map(Self::Amend)
            }
            kind @ ("message.delivered" | "message.read") => {
                let Target { channel_id, message_id } = read_payload(envelope)?;
                let is_read = kind == "message.read";
                Ok(Self::Receipt(Receipt { channel_id, message_id, is_read }))
            }
            kind @ ("typing.start" | "typing.stop") => {
                let ChannelPayload { channel_id } = read_payload(envelope)?;
                Ok(Self::Typing(Typing { channel_id, is_typing: kind == "typing.start" }))
            }
            "presence.set" => read_payload::<PresenceSet<'a>>(envelope)?.validated().map(Self::SetPresence),
            "presence.subscribe" => read_payload::<PresenceUsers>(envelope)?.validated().map(Self::Watch),
            "presence.unsubscribe" => read_payload::<PresenceUsers>(envelope)?.validated().map(Self::Unwatch),
            "sync" => read_sync(envelope).map(Self::Sync),
            "auth" => {
                let payload: AuthPayload<'a> = read_payload(envelope)?;
                Ok(Self::Auth(payload.access_token))
            }
            "ping" => Ok(Self::Ping(envelope.payload)),
            kind => Err(unknown_type(kind)),
        }
    }
}

/// Names the type, unless it is too long to be worth it.
fn unknown_type(kind: &str) -> Refused {
    let message = if kind.len() > ENVELOPE_FIELD_BYTES_MAX {
        Cow::Borrowed("This server does not answer frames of this type; its name is too long for any.")
    } else {
        format!("This server does not answer frames of type {kind:?}.").into()
    };
    Refused { code: ErrorCode::UnknownType, message, field: "" }
}

fn read_payload<'a, T: Deserialize<'a>>(envelope: &Envelope<'a>) -> Result<T, Refused> {
    let payload = envelope
        .payload
        .filter(|payload| payload.get().starts_with('{'))
        .ok_or_else(|| Refused::bad_request(format!("{} needs a `payload`: an object.", envelope.kind)))?;
    serde_json::from_str(payload.get())
        .map_err(|error| Refused::bad_request(format!("The payload of {}: {error}.", envelope.kind)))
}

fn read_send<'a>(envelope: &Envelope<'a>) -> Result<Send<'a>, Refused> {
    let client_id = envelope
        .id
        .as_deref()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Refused::bad_request("`id` is the idempotency key of message.send: a UUID."))?;
    let payload: SendPayload<'a> = read_payload(envelope)?;
    let channel_id =
        payload.channel_id.ok_or_else(|| Refused::bad_request("message.send needs a `channel_id`."))?;
    // Frames are refused for one thing at a time.
    payload.validated(client_id, channel_id).map_err(|mut refused| refused.swap_remove(0))
}

fn read_amend<'a>(envelope: &Envelope<'a>) -> Result<Amend<'a>, Refused> {
    let Target { channel_id, message_id } = read_payload(envelope)?;
    let change = match envelope.kind.as_ref() {
        "message.edit" => Change::Edit(read_payload::<EditPayload<'a>>(envelope)?.content),
        "message.delete" => Change::Delete,
        kind => {
            let emoji = read_payload::<EmojiPayload<'a>>(envelope)?.emoji;
            Change::React { emoji, removed: kind == "reaction.remove" }
        }
    };
    let client_id = envelope.id.as_deref().and_then(|id| id.parse().ok());
    Ok(Amend { client_id, channel_id, message_id, change: change.validated()? })
}

fn read_sync(envelope: &Envelope<'_>) -> Result<Sync, Refused> {
    let payload: SyncPayload = read_payload(envelope)?;
    if payload.channels.len() > SYNC_CHANNELS_MAX {
        return Err(Refused::bad_request(format!("One sync names at most {SYNC_CHANNELS_MAX} channels.")));
    }
    let limit = payload.limit.map_or(SYNC_PAGE_DEFAULT, |limit| limit as usize);
    if limit == 0 || limit > SYNC_PAGE_MAX {
        return Err(Refused::bad_request(format!("`limit` is from 1 to {SYNC_PAGE_MAX}.")));
    }
    Ok(Sync { channels: payload.channels, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: &str, wanted: Result<(), ErrorCode>) {
        let got = Envelope::read(frame.as_bytes()).and_then(|envelope| Command::read(&envelope).map(drop));
        assert_eq!(got.map_err(|refused| refused.code), wanted, "{frame}");
    }

    #[test]
    fn messages_and_their_changes() {
        use ErrorCode::BadRequest;
        let id = "0190a000-0000-7000-8000-000000000001";
        let send = |payload: &str| format!(r#"{{"type":"message.send","id":"{id}","payload":{payload}}}"#);
        check(&send(&format!(r#"{{"channel_id":"{id}","content":"hi","later":[1]}}"#)), Ok(()));
        check(&send(&format!(r#"{{"channel_id":"{id}","content":"h\u00e9","metadata":{{"a":1}}}}"#)), Ok(()));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(40), "]".repeat(40));
        for unreadable in [
            "[]",
            "7",
            r#"{"a":1e400}"#,
            r#"{"a":"\udfff"}"#,
            r#"{"\ud800":1}"#,
            r#"{"a":["\udc00\ud800"]}"#,
            &deep,
        ] {
            let frame = send(&format!(r#"{{"channel_id":"{id}","content":"hi","metadata":{unreadable}}}"#));
            check(&frame, Err(BadRequest));
        }
        check(
            &send(&format!(r#"{{"channel_id":"{id}","content":"hi","metadata":{{"a":"\ud83d\udc4d"}}}}"#)),
            Ok(()),
        );
        check(&send(&format!(r#"{{"channel_id":"{id}","content":""}}"#)), Err(BadRequest));
        check(&send(&format!(r#"{{"channel_id":"{id}","content":"","content_type":"file"}}"#)), Ok(()));
        check(
            &send(&format!(r#"{{"channel_id":"{id}","content":"x","content_type":"reply"}}"#)),
            Err(BadRequest),
        );
        check(&send(&format!(r#"{{"channel_id":"{id}","content":"x","reply_to":12}}"#)), Err(BadRequest));
        check(&send(r#"{"content":"hi"}"#), Err(BadRequest));
        check(&send(r#"[]"#), Err(BadRequest));
        check(r#"{"type":"message.send","payload":{}}"#, Err(BadRequest));
        let amend = |kind: &str, rest: &str| {
            format!(r#"{{"type":"{kind}","payload":{{"channel_id":"{id}","message_id":"7"{rest}}}}}"#)
        };
        check(&amend("message.edit", r#","content":"better""#), Ok(()));
        check(&amend("message.edit", r#","content":"""#), Err(BadRequest));
        check(&amend("message.edit", ""), Err(BadRequest));
        check(&amend("message.delete", ""), Ok(()));
        check(&amend("reaction.add", r#","emoji":"👍""#), Ok(()));
        check(&amend("reaction.remove", r#","emoji":" ""#), Err(BadRequest));
        check(r#"{"type":"message.delete","payload":{"message_id":"7"}}"#, Err(BadRequest));
        check(&amend("message.read", ""), Ok(()));
        check(&amend("message.delivered", ""), Ok(()));
        check(&format!(r#"{{"type":"message.read","payload":{{"channel_id":"{id}"}}}}"#), Err(BadRequest));
        check(&format!(r#"{{"type":"typing.start","payload":{{"channel_id":"{id}"}}}}"#), Ok(()));
        check(
            &send(&format!(r#"{{"channel_id":"{id}","content":"x","content_type":"video"}}"#)),
            Err(BadRequest),
        );
    }

    #[test]
    fn signals_syncs_and_senseless_frames() {
        use ErrorCode::{BadRequest, UnknownType};
        let id = "0190a000-0000-7000-8000-000000000001";
        let presence =
            |kind: &str, payload: &str| format!(r#"{{"type":"presence.{kind}","payload":{payload}}}"#);
        check(&presence("set", r#"{"status":"dnd","status_message":"h\u00e9"}"#), Ok(()));
        check(&presence("set", r#"{"status":"asleep"}"#), Err(BadRequest));
        check(&presence("set", r#"{"status":"away","status_message":"a\u0007"}"#), Err(BadRequest));
        check(
            &presence("set", &format!(r#"{{"status":"away","status_message":"{}"}}"#, "é".repeat(141))),
            Err(BadRequest),
        );
        let users =
            |count: usize| format!(r#"{{"user_ids":[{}]}}"#, vec![format!("\"{id}\""); count].join(","));
        check(&presence("subscribe", &users(500)), Ok(()));
        check(&presence("unsubscribe", &users(501)), Err(BadRequest));
        check(&presence("subscribe", r#"{"user_ids":["x"]}"#), Err(BadRequest));
        check(r#"{"type":"typing.stop","payload":{}}"#, Err(BadRequest));
        check(r#"{"type":"ping"}"#, Ok(()));
        check(r#"{"type":"ping","payload":[1,2]}"#, Ok(()));
        check(r#"["ping","x",{}]"#, Err(BadRequest));
        check(&format!(r#"{{"type":"message.send","id":"{id}","payload":["{id}","hi"]}}"#), Err(BadRequest));
        check(r#"{"type":"nonsense"}"#, Err(UnknownType));
        check(&format!(r#"{{"type":"{}"}}"#, "long".repeat(100)), Err(UnknownType));
        check(&format!(r#"{{"type":"ping","id":"{}"}}"#, "long".repeat(100)), Err(BadRequest));
        check(r#"{"type":7}"#, Err(BadRequest));
        check("[]", Err(BadRequest));
        check("", Err(BadRequest));
        check(r#"{"type":"ping"} x"#, Err(BadRequest));
        check(r#"{"type":"sync","payload":{"channels":[]}}"#, Ok(()));
        check(r#"{"type":"sync","payload":{"channels":[],"limit":201}}"#, Err(BadRequest));
        check(r#"{"type":"sync","payload":{"channels":[],"limit":0}}"#, Err(BadRequest));
        check(
            &format!(r#"{{"type":"ping","payload":{}1{}}}"#, "[".repeat(40), "]".repeat(40)),
            Err(BadRequest),
        );
    }
}

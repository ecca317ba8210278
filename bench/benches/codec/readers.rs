//! The ways from the bytes of a frame to the same [`Send`].

use std::borrow::Cow;

use ringside_types::{ChannelId, MessageId};
use ringside_wire::command::{Command, Envelope, Send, SendPayload};
use ringside_wire::message::ContentType;
use serde::{Deserialize, Deserializer};
use simd_json::prelude::{TypedScalarValue as _, ValueAsScalar as _, Writable as _};
use simd_json::{BorrowedValue, Buffers, Tape, tape};

/// A way to read a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The product's: how deep it nests, the envelope, then the payload that its type calls for.
    Ringside,
    /// `serde_json` alone, envelope and payload in one type: what two passes cost. It can read this one command only.
    OnePass,
    /// `simd-json` into the same one type; metadata is read into a value and written again, for there is no `RawValue`.
    SimdTyped,
    /// `simd-json` into a tape, from which the fields are taken; metadata is written from the tape.
    SimdTape,
}

impl Reader {
    /// Every reader, the product's first.
    pub const ALL: [Self; 4] = [Self::Ringside, Self::OnePass, Self::SimdTyped, Self::SimdTape];

    /// As tables and the command line name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringside => "ringside",
            Self::OnePass => "one-pass",
            Self::SimdTyped => "simd-typed",
            Self::SimdTape => "simd-tape",
        }
    }

    /// Reads a frame and hands what it says to `take`.
    pub fn read<T>(
        self,
        scratch: &mut Scratch,
        frame: &[u8],
        take: impl FnOnce(&Send<'_>) -> T,
    ) -> Result<T, String> {
        match self {
            Self::Ringside => read_as_the_product_does(frame, take),
            Self::OnePass => read_in_one_pass(frame, take),
            Self::SimdTyped => read_simd_typed(scratch, frame, take),
            Self::SimdTape => read_simd_tape(scratch, frame, take),
        }
    }
}

/// What `simd-json` may keep from frame to frame, so that it need not allocate.
#[derive(Default)]
pub struct Scratch {
    /// It unescapes in place, so it gets a copy.
    frame: Vec<u8>,
    buffers: Buffers,
    tape: Option<Tape<'static>>,
    metadata: Vec<u8>,
}

fn read_as_the_product_does<T>(frame: &[u8], take: impl FnOnce(&Send<'_>) -> T) -> Result<T, String> {
    let envelope = Envelope::read(frame).map_err(|refused| refused.to_string())?;
    match Command::read(&envelope).map_err(|refused| refused.to_string())? {
        Command::Send(send) => Ok(take(&send)),
        other => Err(format!("{other:?} is no message.send")),
    }
}

#[derive(Deserialize)]
struct SerdeFrame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    payload: SendPayload<'a>,
}

fn read_in_one_pass<T>(frame: &[u8], take: impl FnOnce(&Send<'_>) -> T) -> Result<T, String> {
    let frame: SerdeFrame<'_> = serde_json::from_slice(frame).map_err(|error| error.to_string())?;
    let client_id = frame.id.parse().map_err(|_| "`id` is no UUID")?;
    let channel_id = wanted(&frame.kind, frame.payload.channel_id)?;
    frame
        .payload
        .validated(client_id, channel_id)
        .map(|send| take(&send))
        .map_err(|refused| refused.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

#[derive(Deserialize)]
struct SimdFrame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(borrow)]
    payload: SimdPayload<'a>,
}

#[derive(Deserialize)]
struct SimdPayload<'a> {
    #[serde(default)]
    channel_id: Option<ChannelId>,
    #[serde(default)]
    content: &'a str,
    #[serde(default)]
    content_type: ContentType,
    #[serde(default)]
    reply_to: Option<MessageId>,
    #[serde(borrow, default, deserialize_with = "shortened")]
    metadata: Option<BorrowedValue<'a>>,
}

/// The crate's value can be read for the input's own lifetime only; a field's is shorter.
fn shortened<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<BorrowedValue<'a>>, D::Error> {
    Option::<BorrowedValue<'de>>::deserialize(from)
}

fn read_simd_typed<T>(
    scratch: &mut Scratch,
    frame: &[u8],
    take: impl FnOnce(&Send<'_>) -> T,
) -> Result<T, String> {
    copy(&mut scratch.frame, frame);
    let frame: SimdFrame<'_> =
        simd_json::serde::from_slice_with_buffers(&mut scratch.frame, &mut scratch.buffers)
            .map_err(|error| error.to_string())?;
    scratch.metadata.clear();
    if let Some(metadata) = &frame.payload.metadata {
        metadata.write(&mut scratch.metadata).map_err(|error| error.to_string())?;
    }
    let channel_id = wanted(frame.kind, frame.payload.channel_id)?;
    let SimdPayload { content, content_type, reply_to, .. } = frame.payload;
    let client_id = frame.id.parse().map_err(|_| "`id` is no UUID")?;
    let (content, metadata) = (Cow::Borrowed(content), text(&scratch.metadata)?);
    Ok(take(&Send { client_id, channel_id, content, content_type, reply_to, metadata }))
}

fn read_simd_tape<T>(
    scratch: &mut Scratch,
    frame: &[u8],
    take: impl FnOnce(&Send<'_>) -> T,
) -> Result<T, String> {
    copy(&mut scratch.frame, frame);
    let mut tape = scratch.tape.take().unwrap_or_else(Tape::null).reset();
    simd_json::fill_tape(&mut scratch.frame, &mut scratch.buffers, &mut tape)
        .map_err(|error| error.to_string())?;
    let taken = take_from_tape(tape.as_value(), &mut scratch.metadata, take);
    scratch.tape = Some(tape.reset());
    taken
}

fn take_from_tape<T>(
    frame: tape::Value<'_, '_>,
    metadata_json: &mut Vec<u8>,
    take: impl FnOnce(&Send<'_>) -> T,
) -> Result<T, String> {
    let payload = frame.get("payload").ok_or("there is no payload")?;
    let kind = frame.get("type");
    let channel_id = payload.get("channel_id");
    let channel_id = channel_id.as_ref().and_then(|id| id.as_str()).and_then(|id| id.parse().ok());
    let channel_id = wanted(kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default(), channel_id)?;
    let client_id = frame.get("id").and_then(|id| id.as_str()?.parse().ok()).ok_or("`id` is no UUID")?;
    let content = payload.get("content");
    let content = Cow::Borrowed(content.as_ref().and_then(|content| content.as_str()).unwrap_or_default());
    let content_type = match payload.get("content_type").as_ref().and_then(|kind| kind.as_str()) {
        None | Some("text") => ContentType::Text,
        Some("image") => ContentType::Image,
        Some("file") => ContentType::File,
        Some("reply") => ContentType::Reply,
        Some(_) => return Err("`content_type` is unknown".into()),
    };
    let reply_to = payload.get("reply_to").and_then(|id| id.as_str()?.parse().ok());
    metadata_json.clear();
    if let Some(metadata) = payload.get("metadata").filter(|metadata| !metadata.is_null()) {
        metadata.write(metadata_json).map_err(|error| error.to_string())?;
    }
    let metadata = text(metadata_json)?;
    Ok(take(&Send { client_id, channel_id, content, content_type, reply_to, metadata }))
}

fn copy(to: &mut Vec<u8>, frame: &[u8]) {
    to.clear();
    to.extend_from_slice(frame);
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

fn wanted(kind: &str, channel_id: Option<ChannelId>) -> Result<ChannelId, String> {
    if kind != "message.send" {
        return Err(format!("{kind} is no message.send"));
    }
    channel_id.ok_or_else(|| "message.send needs a `channel_id`".into())
}

//! The product's reader with three changes, to see what they are worth. To be deleted once the product has them, or never will.
//!
//! 1. A frame with at most as many opening brackets as levels are allowed can't nest deeper: counting them takes no look at
//!    strings, and the compiler makes vector instructions of it. Only what has more is looked at byte by byte.
//! 2. serde borrows a `Cow` that is a field, not one inside an `Option`: the envelope's `id` is copied onto the heap.
//! 3. UTF-8 is checked once for the whole frame, fast, and not by `serde_json` string by string.

use std::borrow::Cow;

use ringside_types::limits::JSON_DEPTH_MAX;
use ringside_wire::command::{Envelope, Send, SendPayload};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Bytes that are counted in one `u8`.
const BLOCK_BYTES: usize = 128;

const _: () = assert!(BLOCK_BYTES <= u8::MAX as usize);

#[derive(Deserialize)]
struct Proposed<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn borrowed<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    Ok(Option::<Text<'de>>::deserialize(from)?.map(|text| text.0))
}

/// Reads a frame and hands what it says to `take`.
pub fn read<T>(frame: &[u8], take: impl FnOnce(&Send<'_>) -> T) -> Result<T, String> {
    if opening_brackets(frame) > JSON_DEPTH_MAX {
        // The whole look, which the crate keeps to itself: a frame that passes is read again below.
        Envelope::read(frame).map_err(|refused| refused.to_string())?;
    }
    let text = simdutf8::basic::from_utf8(frame).map_err(|error| error.to_string())?;
    let envelope: Proposed<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if envelope.kind != "message.send" {
        return Err(format!("{} is no message.send", envelope.kind));
    }
    let client_id = envelope.id.as_deref().and_then(|id| id.parse().ok()).ok_or("`id` is no UUID")?;
    let payload = envelope.payload.ok_or("there is no payload")?.get();
    let payload: SendPayload<'_> = serde_json::from_str(payload).map_err(|error| error.to_string())?;
    let channel_id = payload.channel_id.ok_or("message.send needs a `channel_id`")?;
    payload.validated(client_id, channel_id).map(|send| take(&send)).map_err(|refused| refused.to_string())
}

fn opening_brackets(json: &[u8]) -> usize {
    // `[` and `{` differ in this one bit, and no other byte becomes `{` by it.
    let is_opening = |byte: &u8| u8::from(byte | 0x20 == b'{');
    json.chunks(BLOCK_BYTES).map(|block| usize::from(block.iter().map(is_opening).sum::<u8>())).sum()
}

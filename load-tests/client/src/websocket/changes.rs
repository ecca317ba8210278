//! Frames that carry `change`, live and within pages.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use uuid::Uuid;

use crate::amendment::{Change, Changed};

#[derive(Deserialize)]
struct Payload {
    channel_id: Option<Uuid>,
    /// The channel's own frames are the channel.
    id: Option<Value>,
    message_id: Option<String>,
    change: Option<u64>,
    content: Option<String>,
    emoji: Option<String>,
    user_id: Option<Uuid>,
    op: Option<String>,
    count: Option<u64>,
}

/// The channel and the change, if the frame is one.
pub(super) fn read(kind: &str, payload: &str) -> Result<Option<(Uuid, Change)>, serde_json::Error> {
    let is_numbered = matches!(
        kind,
        "message.updated"
            | "message.deleted"
            | "message.hidden"
            | "reaction.updated"
            | "message.pinned"
            | "message.unpinned"
    );
    if !is_numbered && !kind.starts_with("channel.") {
        return Ok(None);
    }
    let payload: Payload = serde_json::from_str(payload)?;
    let Some(number) = payload.change else {
        // One who was removed is told without a number: the change is not theirs.
        return if is_numbered { Err(lacks("change")) } else { Ok(None) };
    };
    let own_id = payload.id.as_ref().and_then(Value::as_str).and_then(|id| id.parse().ok());
    let channel = payload.channel_id.or(own_id).ok_or_else(|| lacks("channel_id"))?;
    let message_id = || {
        let id = payload.message_id.as_ref().ok_or_else(|| lacks("message_id"))?;
        id.parse::<u64>().map_err(|_| serde::de::Error::custom(format!("{id:?} is no decimal id")))
    };
    let what = match kind {
        "message.updated" => Changed::Edited {
            message_id: message_id()?,
            content: payload.content.clone().ok_or_else(|| lacks("content"))?,
        },
        "message.deleted" => Changed::Deleted { message_id: message_id()? },
        "message.pinned" => Changed::Pinned { message_id: message_id()?, pinned: true },
        "message.unpinned" => Changed::Pinned { message_id: message_id()?, pinned: false },
        "reaction.updated" => Changed::Reacted {
            message_id: message_id()?,
            emoji: payload.emoji.clone().ok_or_else(|| lacks("emoji"))?,
            user_id: payload.user_id.ok_or_else(|| lacks("user_id"))?,
            added: match payload.op.as_deref() {
                Some("add") => true,
                Some("remove") => false,
                _ => return Err(lacks("op")),
            },
            count: payload.count.ok_or_else(|| lacks("count"))?,
        },
        _ => Changed::Other { kind: kind.to_owned() },
    };
    Ok(Some((channel, Change { number, what })))
}

fn lacks(name: &str) -> serde_json::Error {
    serde::de::Error::custom(format!("`{name}` is absent or wrong"))
}

/// The `changes` of a page.
pub(super) fn in_page<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Change>, D::Error> {
    #[derive(Deserialize)]
    struct Frame {
        #[serde(rename = "type")]
        kind: String,
        payload: Value,
    }
    let frames: Vec<Frame> = Vec::deserialize(deserializer)?;
    let mut changes = Vec::with_capacity(frames.len());
    for frame in frames {
        let read = read(&frame.kind, &frame.payload.to_string()).map_err(serde::de::Error::custom)?;
        let (_, change) =
            read.ok_or_else(|| serde::de::Error::custom(format!("{} is no change", frame.kind)))?;
        changes.push(change);
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbered_frames_and_refuses_what_lacks_a_part() {
        let id = Uuid::from_u128(7);
        let payload = format!(
            r#"{{"channel_id":"{id}","message_id":"5","emoji":"x","count":2,"users":[],"user_id":"{id}","op":"add","change":9}}"#
        );
        let (channel, change) = read("reaction.updated", &payload).expect("read").expect("a change");
        assert_eq!((channel, change.number), (id, 9));
        assert!(matches!(change.what, Changed::Reacted { message_id: 5, added: true, count: 2, .. }));
        assert!(read("message.pinned", &format!(r#"{{"channel_id":"{id}","message_id":"5"}}"#)).is_err());
        let removed = format!(r#"{{"channel_id":"{id}","user_id":"{id}"}}"#);
        assert!(read("channel.member_removed", &removed).expect("read").is_none());
        assert!(read("typing.update", "{}").expect("read").is_none());
    }
}

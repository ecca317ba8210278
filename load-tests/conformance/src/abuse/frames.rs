//! Every frame that a client may send, as it should be and as it should not.

use super::attack::{Action, Attack, SOCKETS};

/// A frame type with a good payload, and with a bad one: malformed, or about something that is not there.
const FRAMES: &[(&str, &str, &[&str])] = &[
    (
        "message.send",
        r#"{"channel_id":"{channel}","content":"flood","content_type":"text","reply_to":null}"#,
        &[
            r#"{"channel_id":"{id}","content":"flood","content_type":"text","reply_to":null}"#,
            r#"{"channel_id":7,"content":"","content_type":"none"}"#,
        ],
    ),
    (
        "message.edit",
        r#"{"channel_id":"{channel}","message_id":"{message}","content":"{short}"}"#,
        &[r#"{"channel_id":"{id}","message_id":"{message}","content":"x"}"#, r#"{"message_id":-1}"#],
    ),
    (
        "message.delete",
        r#"{"channel_id":"{channel}","message_id":"{message}"}"#,
        &[r#"{"channel_id":"{id}","message_id":"{message}"}"#, r#"{"message_id":"x"}"#],
    ),
    (
        "message.delivered",
        r#"{"channel_id":"{channel}","message_id":"{message}"}"#,
        &[r#"{"channel_id":"{id}","message_id":"12345"}"#, r#"{"channel_id":"{channel}"}"#],
    ),
    (
        "message.read",
        r#"{"channel_id":"{channel}","message_id":"{message}"}"#,
        &[r#"{"channel_id":"{channel}","message_id":"12345"}"#, r#"{"channel_id":"{channel}"}"#],
    ),
    (
        "reaction.add",
        r#"{"channel_id":"{channel}","message_id":"{message}","emoji":"👍"}"#,
        &[r#"{"channel_id":"{id}","message_id":"{message}","emoji":"👍"}"#, r#"{"emoji":""}"#],
    ),
    (
        "reaction.remove",
        r#"{"channel_id":"{channel}","message_id":"{message}","emoji":"👍"}"#,
        &[r#"{"channel_id":"{id}","message_id":"{message}","emoji":"👍"}"#, r#"{"emoji":""}"#],
    ),
    ("typing.start", r#"{"channel_id":"{channel}"}"#, &[r#"{"channel_id":"{id}"}"#, r#"{"channel_id":[]}"#]),
    ("typing.stop", r#"{"channel_id":"{channel}"}"#, &[r#"{"channel_id":"{id}"}"#, r#"{"channel_id":[]}"#]),
    (
        "presence.set",
        r#"{"status":"away","status_message":"{short}"}"#,
        &[r#"{"status":"{short}"}"#, r#"{"status":7}"#],
    ),
    (
        "presence.subscribe",
        r#"{"user_ids":[{ids500}]}"#,
        &[r#"{"user_ids":[{ids501}]}"#, r#"{"user_ids":7}"#],
    ),
    (
        "presence.unsubscribe",
        r#"{"user_ids":[{ids500}]}"#,
        &[r#"{"user_ids":[{ids501}]}"#, r#"{"user_ids":7}"#],
    ),
    (
        "sync",
        r#"{"channels":[{"channel_id":"{channel}","last_message_id":null}]}"#,
        &[r#"{"channels":[{"channel_id":"{id}","last_message_id":null}]}"#, r#"{"channels":{}}"#],
    ),
    (
        "auth",
        r#"{"access_token":"{token}"}"#,
        &[r#"{"access_token":"{token}x"}"#, r#"{"access_token":null}"#],
    ),
    ("ping", r#"{"n":1}"#, &["7"]),
    ("no.such.type", r#"{"n":1}"#, &["[]"]),
];

/// Texts that are no envelope.
const NO_ENVELOPE: &[&str] = &["no JSON", "{\"type\":", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "{}", "\"type\""];

/// Good frames of this type.
pub(super) fn valid(kind: &str) -> Vec<String> {
    let rows = FRAMES.iter().filter(|(name, ..)| *name == kind);
    rows.map(|(name, payload, _)| envelope(name, payload)).collect()
}

/// An attack for each type, with good and with bad frames.
pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks = Vec::new();
    let frames = |texts| vec![Action::Frames { sockets: SOCKETS, texts }];
    for (kind, _, bad) in FRAMES {
        attacks.push(Attack::new(format!("frame {kind}"), frames(valid(kind))));
        let bad = bad.iter().map(|payload| envelope(kind, payload)).collect();
        attacks.push(Attack::new(format!("frame {kind}, invalid"), frames(bad)));
    }
    let none = NO_ENVELOPE.iter().map(|&text| text.to_owned()).collect();
    attacks.push(Attack::new("frame no JSON, invalid", frames(none)));
    let large = r#"{"channel_id":"{channel}","content":"{60k}","content_type":"text","reply_to":null}"#;
    attacks.push(Attack::new("frame message.send of 60 KB", frames(vec![envelope("message.send", large)])));
    attacks.push(Attack::new("WebSocket pings", vec![Action::Pings { sockets: SOCKETS }]));
    attacks.push(Attack::new("handshakes", vec![Action::Handshakes { connections: SOCKETS }]));
    attacks
}

fn envelope(kind: &str, payload: &str) -> String {
    format!(r#"{{"type":"{kind}","id":"{{id}}","payload":{payload}}}"#)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn good_frames_are_json_and_every_type_has_bad_ones() {
        for (kind, _, bad) in FRAMES {
            let text = valid(kind)[0].replace("{ids500}", "\"a\"");
            let frame: Value = serde_json::from_str(&text).expect(kind);
            assert_eq!(frame["type"], *kind);
            assert!(!bad.is_empty(), "{kind}");
        }
    }
}

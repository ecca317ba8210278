//! How far members have come, as the server tells it: by `message.status`, by the list of receipts, by unread counts.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// One member's cursors in one channel; `None`: nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Whose cursors they are.
    pub user_id: Uuid,
    /// The last message that reached a device of theirs.
    #[serde(rename = "last_delivered_id", deserialize_with = "decimal")]
    pub delivered: Option<u64>,
    /// The last message that they read.
    #[serde(rename = "last_read_id", deserialize_with = "decimal")]
    pub read: Option<u64>,
}

impl Cursor {
    /// Somebody who has got nothing yet.
    pub fn nothing(user_id: Uuid) -> Self {
        Self { user_id, delivered: None, read: None }
    }

    /// Of each of the two the greater.
    pub fn raise(&mut self, other: &Self) {
        self.delivered = self.delivered.max(other.delivered);
        self.read = self.read.max(other.read);
    }

    /// Whether it is behind the other in one of the two.
    pub fn is_below(&self, other: &Self) -> bool {
        self.delivered < other.delivered || self.read < other.read
    }
}

/// What is unread of a channel, as `sync.done` or the list of channels says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The channel that is counted.
    pub channel: Uuid,
    /// The number of the last message; 0 in an empty channel.
    pub last_seq: u64,
    /// Messages that the caller has not read.
    pub count: u64,
}

/// Ids are decimal strings on the wire; a history keeps them likewise, so that both are read here.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Id {
        Number(u64),
        Text(String),
    }
    match Option::<Id>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Id::Number(id)) => Ok(Some(id)),
        Some(Id::Text(text)) => {
            let wrong = |_| serde::de::Error::custom(format!("{text:?} is no decimal id"));
            text.parse().map(Some).map_err(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_wire_and_its_own_writing() {
        let user_id = Uuid::from_u128(1);
        let wire = format!(
            r#"{{"user_id":"{user_id}","last_delivered_id":"18446744073709551615","last_read_id":null}}"#
        );
        let cursor: Cursor = serde_json::from_str(&wire).expect("a cursor");
        assert_eq!(cursor, Cursor { user_id, delivered: Some(u64::MAX), read: None });
        let kept = serde_json::to_string(&cursor).expect("text");
        assert_eq!(serde_json::from_str::<Cursor>(&kept).expect("a cursor"), cursor);
        for wrong in [r#""x""#, r#""-1""#, "true"] {
            let wire = wire.replace("null", wrong);
            assert!(serde_json::from_str::<Cursor>(&wire).is_err(), "{wire}");
        }
    }
}

//! Changes of what is there, as clients ask for them and as they are told: edits, deletions, reactions, pins, members.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "snake_case")]
pub enum Amendment {
    Edit {
        content: String,
    },
    Delete,
    /// A reaction of one's own, or its end.
    React {
        emoji: String,
        /// Added, or taken back.
        added: bool,
    },
    Pin {
        pinned: bool,
    },
}

/// One numbered change of a channel, as a frame told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The number in the channel.
    pub number: u64,
    pub what: Changed,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "changed", rename_all = "snake_case")]
pub enum Changed {
    /// `message.updated`: the message as it was when the frame was made, which in a sync is later than the change.
    Edited {
        message_id: u64,
        /// Its content; empty in a tombstone.
        content: String,
    },
    /// `message.deleted`.
    Deleted { message_id: u64 },
    /// `reaction.updated`.
    Reacted {
        message_id: u64,
        emoji: String,
        user_id: Uuid,
        /// Added, or taken back.
        added: bool,
        /// How many there are after it.
        count: u64,
    },
    /// `message.pinned`, `message.unpinned`.
    Pinned { message_id: u64, pinned: bool },
    /// Anything else that has a number: members, the channel itself.
    Other { kind: String },
}

impl Changed {
    /// Whether two frames may carry one number. Contents of edits may differ: one frame was made later. Changes of
    /// members come as one frame a member.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Edited { message_id: one, .. }, Self::Edited { message_id: two, .. }) => one == two,
            (Self::Other { .. }, Self::Other { .. }) => true,
            _ => self == other,
        }
    }
}

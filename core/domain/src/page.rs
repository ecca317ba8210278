//! A part of a channel's history, as a reader asks for it and gets it.

use ringside_types::{ChannelId, MessageId, UserId};
use ringside_wire::records::Profile;
use serde::{Deserialize, Serialize};

use crate::reactions::ReactionSummary;
use crate::rows::{ChangeRow, HeadRow, MessageRow};

/// Which part of a channel a reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelRead {
    pub channel_id: ChannelId,
    /// Messages above this id.
    pub after: MessageId,
    /// Changes above this number; `None`: only those that are made after the head is read.
    pub after_change: Option<u64>,
    /// At most so many messages.
    pub limit: usize,
    /// When more messages or changes than this are missing, the answer is the newest page with `reset`; 0: never.
    pub reset_above: u32,
}

/// A part of a channel: dense in `seq` and `change`, and nothing above the head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelPage {
    /// Oldest first.
    pub messages: Vec<MessageRow>,
    /// Reactions to these messages.
    pub tallies: Vec<ReactionSummary>,
    /// Who sent the messages, and those that changes edited; each once.
    pub senders: Vec<(UserId, Profile)>,
    /// Oldest first, with the last page only.
    pub changes: Vec<ChangeRow>,
    /// Messages up to this record are hidden from the reader, and so is what changes say of them.
    pub sees_above: MessageId,
    /// The messages that the changes edited, as they are now.
    pub edited: Vec<MessageRow>,
    /// Whether more follow below the head.
    pub has_more: bool,
    /// Whether too many were missing: this is the newest page alone.
    pub reset: bool,
    /// The head as it was read, before the page.
    pub head: HeadRow,
    /// Messages that the reader has not read.
    pub unread_count: u64,
}

/// The answer to one [`ChannelRead`] of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReadOutcome {
    /// The next part. Where nothing was missing, it has no messages and no changes.
    Page(Box<ChannelPage>),
    /// Something is missing, and the batch had no page left for it: ask again.
    Deferred,
}

//! How a user who is away wants to be notified.

use ringside_types::{ChannelId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

/// A user's notification rules while they are away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    /// Channels that they have muted, and until when.
    pub muted: Vec<(ChannelId, UnixMillis)>,
    /// Their DMs, in which every message notifies.
    pub direct: Vec<ChannelId>,
    /// Whom they have blocked: what these say notifies of nothing.
    pub blocked: Vec<UserId>,
}

//! Who may send to a channel, as the channel is: the same for an edge, which keeps what it knows of many channels, and
//! for REST, which asks the Directory each time. The partition has the last word, by its own records.

use ringside_ports::channels::{Channel, ChannelKind, Role};
use ringside_types::authorization::{Operation, Refusal, allowed};
use ringside_wire::records::Membership;
use serde::{Deserialize, Serialize};

/// What a channel asks of those who send to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPolicy {
    /// The channel's version: of two policies the greater one holds.
    pub version: u64,
    /// What the channel is.
    pub kind: ChannelKind,
    /// Seconds between two messages of a member; 0: none. Admins and the owner don't wait.
    pub slow_mode_s: u32,
    /// Whether admins and the owner alone post.
    pub admins_post: bool,
    /// Whether nothing new is taken: a DM of two, one of whom has blocked the other.
    pub is_closed: bool,
}

impl From<&Channel> for ChannelPolicy {
    fn from(channel: &Channel) -> Self {
        Self {
            version: channel.version,
            kind: channel.kind,
            slow_mode_s: channel.settings.slow_mode_s,
            admins_post: channel.settings.admins_post,
            is_closed: channel.is_closed,
        }
    }
}

impl ChannelPolicy {
    /// The policy that a change leaves behind; `None`: the change does not say.
    pub fn after(change: &Membership) -> Option<Self> {
        let channel = change.channel.as_ref()?;
        let settings = channel.settings.unwrap_or_default();
        Some(Self {
            version: change.version,
            kind: ChannelKind::from_name(&channel.r#type)?,
            slow_mode_s: settings.slow_mode_s,
            admins_post: settings.admins_post,
            is_closed: settings.closed,
        })
    }

    /// Whether every member may always do this, so that nobody's role has to be asked for.
    pub fn is_open_to(&self, operation: Operation) -> bool {
        let is_restricted = operation == Operation::Send && (self.slow_mode_s > 0 || self.admins_post);
        !is_restricted && operation.within(self.is_closed) == operation
    }

    /// Whether a member of this role may do this, and how many seconds slow mode asks for before their next message.
    ///
    /// # Errors
    /// They may not: the operation that was refused, and why.
    pub fn decide(&self, operation: Operation, role: Role) -> Result<u32, (Operation, Refusal)> {
        let is_message = operation == Operation::Send;
        let operation = if is_message { Operation::sending(self.admins_post) } else { operation };
        let operation = operation.within(self.is_closed);
        allowed(operation, self.kind, Some(role)).map_err(|refusal| (operation, refusal))?;
        Ok(if is_message && role < Role::Admin { self.slow_mode_s } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: ChannelPolicy = ChannelPolicy {
        version: 1,
        kind: ChannelKind::Group,
        slow_mode_s: 0,
        admins_post: false,
        is_closed: false,
    };

    #[test]
    fn who_may_send_and_who_waits() {
        let (send, slow) = (Operation::Send, ChannelPolicy { slow_mode_s: 30, ..OPEN });
        assert_eq!((slow.decide(send, Role::Guest), slow.decide(send, Role::Admin)), (Ok(30), Ok(0)));
        assert_eq!(slow.decide(Operation::React, Role::Guest), Ok(0));
        let quiet = ChannelPolicy { admins_post: true, ..OPEN };
        assert!(quiet.decide(send, Role::Member).is_err() && quiet.decide(send, Role::Owner) == Ok(0));
        for restricted in [slow, quiet] {
            assert!(!restricted.is_open_to(send) && restricted.is_open_to(Operation::EditOwn));
        }
        assert!(OPEN.is_open_to(send));
    }

    #[test]
    fn a_closed_dm_takes_nothing_new() {
        let dm = ChannelPolicy { kind: ChannelKind::Dm, is_closed: true, ..OPEN };
        for operation in [Operation::Send, Operation::EditOwn, Operation::React, Operation::Pin] {
            assert!(!dm.is_open_to(operation), "{operation:?}");
            let refused = dm.decide(operation, Role::Member).expect_err("closed");
            assert_eq!(refused, (Operation::WriteClosed, Refusal::Forbidden), "{operation:?}");
        }
        for operation in [Operation::DeleteOwn, Operation::Unreact, Operation::Unpin] {
            assert!(dm.is_open_to(operation) && dm.decide(operation, Role::Member) == Ok(0), "{operation:?}");
        }
    }
}

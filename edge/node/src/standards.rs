//! What channels hold senders to, as far as this edge knows: a machine without I/O.
//!
//! Most channels hold nobody to anything, and of those it is enough to know that. What is known comes from the Directory
//! and from `control`; of one channel the greater version counts. The Directory is asked about the channels of those who
//! come, many at a time, and about any other with the first message to it. Whatever is missed here, the partition still
//! decides by its own record.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use ringside_edge_protocol::Outcome;
use ringside_ports::channels::{Channel, ChannelKind, Role};
use ringside_types::authorization::{Operation, Refusal, allowed};
use ringside_types::{ChannelId, ErrorCode};
use ringside_wire::records::Membership;

use crate::outbound::NOT_A_MEMBER;

/// Channels known at the most, 40 bytes each; with one more all are asked about anew.
pub(crate) const STANDARDS_MAX: usize = 1 << 20;
/// Channels in one question to the Directory.
const ASKED_MAX: usize = 1_000;

/// What one channel holds senders to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standard {
    version: u64,
    kind: ChannelKind,
    slow_mode_s: u32,
    admins_post: bool,
    is_closed: bool,
}

/// A sender in a channel, as the Directory knows them; `None`: no member, or no such channel.
pub(crate) type Standing = Option<(Role, Standard)>;

#[derive(Debug, Default)]
pub(crate) struct Standards {
    channels: HashMap<ChannelId, Standard, RandomState>,
    wanted: HashSet<ChannelId, RandomState>,
}

impl Standard {
    /// Whether every member may always do this.
    pub(crate) fn is_open_to(&self, operation: Operation) -> bool {
        let is_held = operation == Operation::Send && (self.slow_mode_s > 0 || self.admins_post);
        !is_held && operation.within(self.is_closed) == operation
    }

    /// Whether nothing new is taken at all.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Seconds that a message of this sender keeps the next one waiting (0: none); or why they may not do this.
    pub(crate) fn judge(&self, operation: Operation, role: Role) -> Result<u32, Outcome> {
        let is_message = operation == Operation::Send;
        let operation = if is_message { Operation::sending(self.admins_post) } else { operation };
        let operation = operation.within(self.is_closed);
        match allowed(operation, self.kind, Some(role)) {
            Ok(()) => Ok(if is_message && role < Role::Admin { self.slow_mode_s } else { 0 }),
            Err(Refusal::Forbidden) => Err(forbidden(operation.forbidden())),
            Err(Refusal::NotAMember | Refusal::NotFound) => Err(NOT_A_MEMBER),
        }
    }
}

impl From<&Channel> for Standard {
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

impl Standards {
    /// `None`: nothing is known of the channel.
    pub(crate) fn of(&self, channel: ChannelId) -> Option<&Standard> {
        self.channels.get(&channel)
    }

    /// A channel whose members are here: unless it is known, the Directory is to be asked.
    pub(crate) fn want(&mut self, channel: ChannelId) {
        let has_room = self.channels.len() + self.wanted.len() < STANDARDS_MAX;
        if has_room && !self.channels.contains_key(&channel) {
            self.wanted.insert(channel);
        }
    }

    /// What to ask the Directory next; nothing when all is known.
    pub(crate) fn poll_wanted(&mut self) -> Vec<ChannelId> {
        self.wanted.extract_if(|_| true).take(ASKED_MAX).collect()
    }

    /// Takes in what the Directory said.
    pub(crate) fn learn(&mut self, channel: ChannelId, standard: Standard) {
        if self.channels.len() >= STANDARDS_MAX && !self.channels.contains_key(&channel) {
            self.channels.clear();
        }
        let known = self.channels.entry(channel).or_insert(standard);
        if known.version < standard.version {
            *known = standard;
        }
    }

    /// Takes in a change of the channel itself, known before or not: what was asked before it may be answered after.
    pub(crate) fn change(&mut self, channel: ChannelId, change: &Membership) {
        let Some(as_it_is) = &change.channel else { return };
        let Some(kind) = ChannelKind::from_name(&as_it_is.r#type) else { return };
        let settings = as_it_is.settings.unwrap_or_default();
        let standard = Standard {
            version: change.version,
            kind,
            slow_mode_s: settings.slow_mode_s,
            admins_post: settings.admins_post,
            is_closed: settings.closed,
        };
        self.learn(channel, standard);
    }
}

const fn forbidden(message: &'static str) -> Outcome {
    Outcome::Refused { code: ErrorCode::Forbidden, message, retry_after_ms: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn standard(version: u64, slow_mode_s: u32) -> Standard {
        Standard { version, kind: ChannelKind::Group, slow_mode_s, admins_post: false, is_closed: false }
    }

    fn channel(number: u128) -> ChannelId {
        ChannelId(Uuid::from_u128(number))
    }

    #[test]
    fn a_late_answer_does_not_undo_a_change() {
        let mut standards = Standards::default();
        standards.learn(channel(1), standard(3, 9));
        standards.learn(channel(1), standard(2, 0));
        assert_eq!(standards.of(channel(1)), Some(&standard(3, 9)));
        for number in 0..=STANDARDS_MAX as u128 {
            standards.learn(channel(number), standard(1, 0));
        }
        assert!(standards.channels.len() <= STANDARDS_MAX);
    }

    #[test]
    fn what_is_wanted_is_asked_about_once_and_in_parts() {
        let mut standards = Standards::default();
        standards.learn(channel(0), standard(1, 0));
        let many = ASKED_MAX as u128 + 1;
        for number in (0..=many).chain(0..=many) {
            standards.want(channel(number));
        }
        let mut asked = standards.poll_wanted();
        assert_eq!(asked.len(), ASKED_MAX);
        asked.extend(standards.poll_wanted());
        asked.sort();
        assert_eq!(asked, (1..=many).map(channel).collect::<Vec<_>>(), "but for the one that was known");
        assert_eq!(standards.poll_wanted(), []);
    }

    #[test]
    fn nothing_is_wanted_that_would_push_out_what_is_known() {
        let mut standards = Standards::default();
        for number in 0..STANDARDS_MAX as u128 {
            standards.learn(channel(number), standard(1, 0));
        }
        standards.want(channel(STANDARDS_MAX as u128));
        assert_eq!(standards.poll_wanted(), []);
    }

    #[test]
    fn who_may_send_and_who_waits() {
        let (send, slow) = (Operation::Send, standard(1, 30));
        assert_eq!((slow.judge(send, Role::Guest), slow.judge(send, Role::Admin)), (Ok(30), Ok(0)));
        assert_eq!(slow.judge(Operation::React, Role::Guest), Ok(0));
        let quiet = Standard { admins_post: true, ..standard(1, 0) };
        assert!(quiet.judge(send, Role::Member).is_err() && quiet.judge(send, Role::Owner) == Ok(0));
        for held in [slow, quiet] {
            assert!(!held.is_open_to(send) && held.is_open_to(Operation::EditOwn));
        }
    }

    #[test]
    fn a_closed_dm_takes_nothing_new() {
        let dm = Standard { kind: ChannelKind::Dm, is_closed: true, ..standard(1, 0) };
        let refused = Err(forbidden("This conversation takes no messages."));
        for operation in [Operation::Send, Operation::EditOwn, Operation::React, Operation::Pin] {
            assert!(!dm.is_open_to(operation), "{operation:?}");
            assert_eq!(dm.judge(operation, Role::Member), refused, "{operation:?}");
        }
        for operation in [Operation::DeleteOwn, Operation::Unreact, Operation::Unpin] {
            assert!(dm.is_open_to(operation) && dm.judge(operation, Role::Member) == Ok(0), "{operation:?}");
        }
    }
}

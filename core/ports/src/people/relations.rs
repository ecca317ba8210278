//! Relations between people: contacts and blocks, and what they allow.

use std::future::Future;

use ringside_types::authorization::ChannelKind;
use ringside_types::{UnixMillis, UserId};

use super::After;
use super::privacy::Privacy;
use crate::EngineError;

/// How far a contact has come, as one of the two sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactState {
    /// The user has asked.
    Outgoing,
    /// The user was asked.
    Incoming,
    /// Both want it.
    Accepted,
}

impl ContactState {
    /// The name on the wire and in the Directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
            Self::Accepted => "accepted",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Outgoing, Self::Incoming, Self::Accepted].into_iter().find(|state| state.name() == name)
    }
}

/// A contact, as one of the two sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The other.
    pub user_id: UserId,
    /// How far it has come.
    pub state: ContactState,
    /// When it was asked for.
    pub created_at: UnixMillis,
    /// When it was accepted.
    pub accepted_at: Option<UnixMillis>,
}

/// What came of asking for a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// It was asked for now; or it was the other who had asked, and it is accepted now.
    New(Contact),
    /// It had been asked for, or accepted, before.
    Known(Contact),
    /// A block, whoever set it, keeps the two apart.
    Blocked,
    /// There is no such account, or it is erased.
    Gone,
}

/// A block, as the one who set it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Who is blocked.
    pub user_id: UserId,
    /// Since when.
    pub created_at: UnixMillis,
}

/// Where one user stands with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relationship {
    /// They are contacts: requested and accepted.
    pub is_contact: bool,
    /// The viewer has blocked the other.
    pub blocks: bool,
    /// The other has blocked the viewer.
    pub is_blocked: bool,
    /// They have a DM already.
    pub has_dm: bool,
    /// What the other lets others see and do.
    pub privacy: Privacy,
}

impl Relationship {
    /// A block stands between the two, whoever set it. Don't tell them who.
    pub const fn is_blocked_either_way(&self) -> bool {
        self.blocks || self.is_blocked
    }

    /// The viewer may open a DM with the other: begin one, or find the one that they have.
    pub const fn may_open_dm(&self) -> bool {
        !self.is_blocked_either_way() && (self.has_dm || self.privacy.direct_messages.admits(self.is_contact))
    }

    /// The viewer may bring the other into a channel of this kind. Whom they may not write to directly they may bring
    /// into none: a group of two is a DM by another name, and one of three is one with a witness.
    pub const fn may_bring_into(&self, kind: ChannelKind) -> bool {
        match kind {
            ChannelKind::Dm => self.may_open_dm(),
            ChannelKind::Group | ChannelKind::Private | ChannelKind::Public => {
                self.may_open_dm() && self.privacy.add_to_channels.admits(self.is_contact)
            }
        }
    }

    /// The viewer sees the other's e-mail address.
    pub const fn sees_email(&self) -> bool {
        !self.is_blocked_either_way() && self.privacy.email.admits(self.is_contact)
    }

    /// The viewer sees whether the other is online.
    pub const fn sees_presence(&self) -> bool {
        !self.is_blocked_either_way() && self.privacy.presence.admits(self.is_contact)
    }

    /// The viewer sees what the other says of themselves: it goes with the presence, wherever it shows.
    pub const fn sees_status_message(&self) -> bool {
        self.sees_presence()
    }

    /// The viewer sees when the other was last seen.
    pub const fn sees_last_seen(&self) -> bool {
        !self.is_blocked_either_way() && self.privacy.last_seen.admits(self.is_contact)
    }

    /// The viewer sees what the other has read.
    pub const fn sees_receipts(&self) -> bool {
        !self.is_blocked_either_way() && self.privacy.receipts.admits(self.is_contact)
    }
}

/// Contacts and blocks, as a user changes and lists them.
pub trait Relations: Clone + Send + Sync + 'static {
    /// Asks for a contact. Where the other has asked already, it is accepted.
    fn request_contact(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Requested, EngineError>> + Send;

    /// Accepts what the other has asked for, and returns it; an accepted one as it is. `None`: the other has not asked.
    fn accept_contact(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Option<Contact>, EngineError>> + Send;

    /// Ends a contact in any state, for both; false: there was none.
    fn remove_contact(
        &self,
        user: UserId,
        other: UserId,
    ) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// A user's contacts by the others' ids: those in one state, or in any.
    fn contacts(
        &self,
        user: UserId,
        state: Option<ContactState>,
        part: After<UserId>,
    ) -> impl Future<Output = Result<Vec<Contact>, EngineError>> + Send;

    /// Blocks someone, and ends the contact with them; a second time changes nothing. False: there is no such account, or
    /// it is erased.
    fn block(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMillis,
    ) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// Takes a block back; false: there was none.
    fn unblock(&self, user: UserId, other: UserId) -> impl Future<Output = Result<bool, EngineError>> + Send;
}

/// Where people stand with one another: what decides who sees and reaches whom.
pub trait Relationships: Clone + Send + Sync + 'static {
    /// Where a viewer stands with each of these, in the order asked; `None`: there is no such account, or it is erased.
    fn relationships(
        &self,
        viewer: UserId,
        others: &[UserId],
    ) -> impl Future<Output = Result<Vec<Option<Relationship>>, EngineError>> + Send;

    /// Whom a user has blocked, by their ids.
    fn blocks(
        &self,
        user: UserId,
        part: After<UserId>,
    ) -> impl Future<Output = Result<Vec<Block>, EngineError>> + Send;
}

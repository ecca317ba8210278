//! The Directory's channels: what they are, who is in them, and the outbox that takes changes to the log.
//!
//! Every change takes the channel's next version under its row lock and writes an outbox row in the same
//! transaction. A change is *confirmed* once its outbox row has been appended to the log and removed; what is
//! not confirmed is not answered from, except where a method says so. A removal is: it counts as soon as it is written. An
//! edge that is told of it by the log and admits the removed afterwards would hear of it no more.

pub mod invitations;
pub mod record;

use std::future::Future;

use bytes::Bytes;
pub use ringside_types::authorization::{ChannelKind, Role};
use ringside_types::authorization::{Operation, Refusal, allowed};
use ringside_types::{ChannelId, UnixMillis, UserId};

use crate::EngineError;

/// What a channel is held to, as its admins set it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Seconds between two messages of a member; 0: off. Admins and the owner are not held to it.
    pub slow_mode_s: u32,
    /// Whether admins and the owner alone post.
    pub admins_post: bool,
    /// Whether who joins doesn't see what came before.
    pub history_from_join: bool,
}

/// A channel as the Directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The channel.
    pub id: ChannelId,
    /// The name; empty for a DM.
    pub name: String,
    /// What it is.
    pub kind: ChannelKind,
    /// Who made it.
    pub creator_id: UserId,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// What is talked about now.
    pub topic: String,
    /// What it is held to.
    pub settings: ChannelSettings,
    /// Whether it takes no new messages: a DM of two who are apart. Clients don't see it.
    pub is_closed: bool,
    /// The version that made it what it is.
    pub version: u64,
}

impl Channel {
    /// A channel as it is made: without a topic, held to nothing in particular.
    pub fn new(
        id: ChannelId,
        kind: ChannelKind,
        name: String,
        creator_id: UserId,
        created_at: UnixMillis,
    ) -> Self {
        Self {
            id,
            name,
            kind,
            creator_id,
            description: String::new(),
            created_at,
            topic: String::new(),
            settings: ChannelSettings::default(),
            is_closed: false,
            version: 1,
        }
    }
}

/// A channel to make.
#[derive(Clone, Debug)]
pub struct NewChannel {
    /// The channel. A DM between two people who have one already is not made again.
    pub channel: Channel,
    /// Its first members and their roles, the creator among them. A DM has exactly two.
    pub members: Vec<(UserId, Role)>,
}

/// What came of making a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was made, with an outbox row that is not confirmed yet.
    New(ChannelId),
    /// The two have a DM already: this one (perhaps not confirmed yet).
    Existing(ChannelId),
    /// Nothing was made: somebody is not there, or not to be brought in by the creator.
    Refused,
}

/// A member of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The channel.
    pub channel_id: ChannelId,
    /// Who.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub joined_at: UnixMillis,
    /// The version of the channel that made them a member.
    pub version: u64,
    /// Up to when they want no notifications; [`UnixMillis::MAX`]: for good.
    pub muted_until: Option<UnixMillis>,
}

/// What a channel is to become; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelPatch {
    /// The name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// What is talked about now.
    pub topic: Option<String>,
    /// Seconds between two messages of a member.
    pub slow_mode_s: Option<u32>,
    /// Whether admins and the owner alone post.
    pub admins_post: Option<bool>,
    /// Whether who joins doesn't see what came before.
    pub history_from_join: Option<bool>,
}

impl ChannelPatch {
    /// What the channel is to become.
    pub fn applied_to(self, channel: &Channel) -> Channel {
        let mut changed = Channel {
            name: self.name.unwrap_or_else(|| channel.name.clone()),
            description: self.description.unwrap_or_else(|| channel.description.clone()),
            topic: self.topic.unwrap_or_else(|| channel.topic.clone()),
            ..channel.clone()
        };
        let settings = &mut changed.settings;
        settings.slow_mode_s = self.slow_mode_s.unwrap_or(settings.slow_mode_s);
        settings.admins_post = self.admins_post.unwrap_or(settings.admins_post);
        settings.history_from_join = self.history_from_join.unwrap_or(settings.history_from_join);
        changed
    }
}

/// A change of a channel, or of who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelChange {
    /// These become members; those who are already, stay as they are, and unknown users are passed over. Who joins where
    /// nobody is becomes the owner.
    Add(Vec<(UserId, Role)>),
    /// This member is removed, or leaves.
    Remove(UserId),
    /// This member's role becomes another. Who becomes the owner makes the former owner an admin.
    SetRole(UserId, Role),
    /// The channel itself.
    Update(ChannelPatch),
    /// The channel goes, and every membership with it.
    Delete,
}

impl ChannelChange {
    /// The member that it is done to, where it is done to one who must be there.
    pub const fn target(&self) -> Option<UserId> {
        match self {
            Self::Remove(user) | Self::SetRole(user, _) => Some(*user),
            Self::Add(_) | Self::Update(_) | Self::Delete => None,
        }
    }

    /// What the table is asked, by the role of its [`target`](Self::target); `Err`: what whoever names somebody is asked
    /// who is not in the channel.
    ///
    /// # Errors
    /// The target is no member.
    pub fn operation(&self, actor: UserId, target: Option<Role>) -> Result<Operation, Operation> {
        match self {
            Self::Add(users) => match &users[..] {
                [(user, _)] if *user == actor => Ok(Operation::Join),
                _ => Ok(Operation::AddMembers),
            },
            Self::Remove(user) if *user == actor => Ok(Operation::Leave),
            Self::Remove(_) => target.map(Operation::removal_of).ok_or(Operation::RemoveMember),
            Self::SetRole(_, to) => {
                target.map(|from| Operation::role_change(from, *to)).ok_or(Operation::SetRole)
            }
            Self::Update(_) => Ok(Operation::ChangeChannel),
            Self::Delete => Ok(Operation::DeleteChannel),
        }
    }

    /// Whether an actor of this role may, by the table; `target` is the role of the one that it is done to.
    ///
    /// # Errors
    /// Why not.
    pub fn permitted(
        &self,
        kind: ChannelKind,
        (actor, role): (UserId, Option<Role>),
        target: Option<Role>,
    ) -> Result<(), ChangeRefused> {
        let (operation, is_absent) = match self.operation(actor, target) {
            Ok(operation) => (operation, false),
            Err(operation) => (operation, true),
        };
        // Whoever names somebody that is not in the channel is first told whether they may at all.
        match allowed(operation, kind, role) {
            Err(refusal) => Err(ChangeRefused::NotAllowed(operation, refusal)),
            Ok(()) if is_absent => Err(ChangeRefused::NoSuchMember),
            Ok(()) => Ok(()),
        }
    }
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeRefused {
    /// The table says so.
    NotAllowed(Operation, Refusal),
    /// The one it is done to is not in the channel.
    NoSuchMember,
    /// The owner leaves, and others would be left without one.
    OwnerStays,
    /// Some are not to be brought in by the actor.
    Blocked,
}

/// Which of a user's channels to list: newest first by id.
#[derive(Clone, Copy, Debug)]
pub struct ListRange {
    /// Channels below this id; `None`: from the newest on.
    pub before: Option<ChannelId>,
    /// At most so many.
    pub limit: usize,
}

/// A change on its way to the log: an encoded `Membership` record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The row.
    pub id: i64,
    /// The channel.
    pub channel_id: ChannelId,
    /// The channel's version that the change made.
    pub version: u64,
    /// The `Membership` record.
    pub record: Bytes,
}

/// Who is in which channel, and as what: what everybody asks who admits readers and writers. All of it is confirmed.
pub trait MembershipReader: Clone + Send + Sync + 'static {
    /// The channels that there are among these, in no order, as they are confirmed.
    fn channels(&self, ids: &[ChannelId]) -> impl Future<Output = Result<Vec<Channel>, EngineError>> + Send;

    /// All confirmed memberships of these users, in no order.
    fn memberships(&self, users: &[UserId]) -> impl Future<Output = Result<Vec<Member>, EngineError>> + Send;

    /// Confirmed members of a channel, by user id, above `after`, at most `limit`.
    fn members(
        &self,
        channel: ChannelId,
        after: Option<UserId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Member>, EngineError>> + Send;

    /// The confirmed membership of each (channel, user), in the order asked.
    fn membership(
        &self,
        pairs: &[(ChannelId, UserId)],
    ) -> impl Future<Output = Result<Vec<Option<Member>>, EngineError>> + Send;
}

/// What changes channels and who is in them, and what members set for themselves (which does not go to the log).
pub trait ChannelChanges: Clone + Send + Sync + 'static {
    /// Makes channels, each whole or not at all, with an outbox row of kind `CREATED` each. Whether the creator may bring
    /// the members in is decided with the writing, so that no block comes in between; the DM with an erased account is
    /// found as before.
    fn create_channels(
        &self,
        channels: &[NewChannel],
    ) -> impl Future<Output = Result<Vec<Created>, EngineError>> + Send;

    /// Changes a channel, where the actor may by the table, which is asked under the channel's row lock: by what was
    /// written, confirmed or not. Returns the members that it changed, with one outbox row for each person added or
    /// removed, and one for every other change. What changes nothing writes nothing.
    fn change(
        &self,
        channel: ChannelId,
        actor: UserId,
        change: ChannelChange,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Result<Vec<UserId>, ChangeRefused>, EngineError>> + Send;

    /// Sets up to when a member wants no notifications; false: no such member.
    fn mute(
        &self,
        channel: ChannelId,
        user: UserId,
        until: Option<UnixMillis>,
    ) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// The DM of two people, confirmed or not.
    fn dm_of(
        &self,
        one: UserId,
        other: UserId,
    ) -> impl Future<Output = Result<Option<ChannelId>, EngineError>> + Send;
}

/// Channels as one person finds and lists them; confirmed ones only.
pub trait ChannelLists: Clone + Send + Sync + 'static {
    /// A range of the confirmed memberships of a user, for a list: the newest channel first.
    fn list_memberships(
        &self,
        user: UserId,
        range: ListRange,
    ) -> impl Future<Output = Result<Vec<Member>, EngineError>> + Send;

    /// Public channels whose names hold this text, whatever its case, above `after`, with how many are in each; confirmed
    /// ones only.
    fn discover(
        &self,
        text: &str,
        after: Option<ChannelId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Channel, u64)>, EngineError>> + Send;

    /// Whom each of these channels that is a DM of the user's joins them with.
    fn peers(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> impl Future<Output = Result<Vec<(ChannelId, UserId)>, EngineError>> + Send;
}

/// The outbox, for the relay that takes it to the log.
pub trait Outbox: Clone + Send + Sync + 'static {
    /// Outbox rows that are not confirmed, in order of version within each channel: of one channel, or of any.
    fn unsent(
        &self,
        channel: Option<ChannelId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<OutboxRow>, EngineError>> + Send;

    /// Confirms outbox rows: the log has them.
    fn confirm(&self, rows: &[i64]) -> impl Future<Output = Result<(), EngineError>> + Send;
}

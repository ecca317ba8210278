//! The Directory's channels: what they are, who is in them, and the outbox that takes changes to the log.
//!
//! Every change takes the channel's next version under its row lock and writes an outbox row in the same
//! transaction. A change is *confirmed* once its outbox row has been appended to the log and removed; what is
//! not confirmed is not answered from, except where a method says so.

use std::future::Future;

use bytes::Bytes;
use ringside_types::{ChannelId, UnixMillis, UserId};

use crate::EngineError;

/// What a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// Two people; exists once for each pair.
    Dm,
    /// Some people, without a name of its own perhaps.
    Group,
    /// Found by its members only.
    Private,
    /// Found and joined by anyone.
    Public,
}

impl ChannelKind {
    /// The name on the wire and in the Directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dm => "dm",
            Self::Group => "group",
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Dm, Self::Group, Self::Private, Self::Public].into_iter().find(|kind| kind.name() == name)
    }
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads and writes; invited for a while.
    Guest,
    /// Reads and writes.
    Member,
    /// Adds and removes people.
    Admin,
    /// Everything.
    Owner,
}

impl Role {
    /// The name on the wire and in the Directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Guest, Self::Member, Self::Admin, Self::Owner].into_iter().find(|role| role.name() == name)
    }
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
}

/// A change of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberChange {
    /// These become members; those who are already, stay as they are.
    Add(Vec<(UserId, Role)>),
    /// These cease to be members; those who are not, are passed over.
    Remove(Vec<UserId>),
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

/// Channels, members, outbox.
pub trait Channels: Clone + Send + Sync + 'static {
    /// Makes channels, each whole or not at all, with an outbox row of kind `CREATED` each.
    fn create_channels(
        &self,
        channels: &[NewChannel],
    ) -> impl Future<Output = Result<Vec<Created>, EngineError>> + Send;

    /// Changes members, with one outbox row for each person changed, and returns those who were.
    /// Unknown users are passed over.
    fn change_members(
        &self,
        channel: ChannelId,
        actor: UserId,
        change: MemberChange,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Vec<UserId>, EngineError>> + Send;

    /// The channels that there are among these, in no order, confirmed ones only.
    fn channels(&self, ids: &[ChannelId]) -> impl Future<Output = Result<Vec<Channel>, EngineError>> + Send;

    /// The confirmed memberships of a user: all of them, or a range for a list.
    fn memberships(
        &self,
        user: UserId,
        range: Option<ListRange>,
    ) -> impl Future<Output = Result<Vec<Member>, EngineError>> + Send;

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

    /// Outbox rows that are not confirmed, in order of version within each channel: of one channel, or of any.
    fn unsent(
        &self,
        channel: Option<ChannelId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<OutboxRow>, EngineError>> + Send;

    /// Confirms outbox rows: the log has them.
    fn confirm(&self, rows: &[i64]) -> impl Future<Output = Result<(), EngineError>> + Send;
}

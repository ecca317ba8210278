//! What an edge asks of everything behind it: one contract of a few batched calls. In one process it is answered by
//! [`DirectBackend`](crate::direct::DirectBackend); between processes the same types go over the wire, so they own what
//! they hold.

use serde::{Deserialize, Serialize};
use std::future::Future;

use bytes::Bytes;
use ringside_domain::attention::Attention;
use ringside_domain::feed::GapRange;
use ringside_domain::page::{ChannelRead, ReadOutcome};
use ringside_ports::EngineError;
use ringside_ports::channels::Role;
use ringside_ports::presence::{Charge, Connection, JointDecision, Status};
use ringside_types::{ChannelId, Epoch, MessageId, PublicKey, Slot, UserId};
use ringside_wire::records::{Effective, Profile};

use crate::policy::ChannelPolicy;
use crate::presence_view::PresenceView;

/// The backend, or an engine behind it, did not answer; what was asked may have been done all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{0}")]
pub struct BackendError(pub String);

impl From<EngineError> for BackendError {
    fn from(error: EngineError) -> Self {
        Self(error.to_string())
    }
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdmitRefusal {
    /// The user has as many connections as they may.
    TooManyConnections,
    /// The token's session has ended, or the account is gone.
    SessionEnded,
    /// An engine did not answer.
    Unavailable,
}

/// A user who is let in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Admission {
    /// The user as others see them.
    pub profile: Profile,
    /// The channels that they are in.
    pub memberships: Vec<ChannelMembership>,
}

/// One of a user's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelMembership {
    pub channel_id: ChannelId,
    /// The version of the channel that made them a member.
    pub version: u64,
    /// Messages up to this record are hidden from them; zero: none.
    pub sees_above: MessageId,
}

/// Questions about who may do what; any list may be empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizeRequest {
    /// Users and the commands that they send to one channel each.
    pub senders: Vec<SenderRequest>,
    /// Whether these users are members.
    pub members: Vec<(ChannelId, UserId)>,
    /// Where these messages stand in their channels.
    pub positions: Vec<(ChannelId, MessageId)>,
    /// What these channels ask of senders.
    pub policies: Vec<ChannelId>,
    /// Tokens to take, group by group: all of a group's or none.
    pub charges: Vec<Vec<Charge>>,
}

/// The answers, list by list in the order asked; of policies only those of channels that exist.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuthorizeAnswer {
    /// One for each of the senders asked about.
    pub senders: Vec<SenderAnswer>,
    /// Whether each of the pairs asked about is a membership.
    pub members: Vec<bool>,
    /// Where each of the messages asked about stands in its channel.
    pub positions: Vec<Position>,
    /// The policies of the channels that exist, in no particular order.
    pub policies: Vec<(ChannelId, ChannelPolicy)>,
    /// One for each group of charges, which are decided together.
    pub charges: Vec<JointDecision>,
}

/// Someone who sends to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderRequest {
    pub user_id: UserId,
    pub channel_id: ChannelId,
    /// Their commands, in order: encoded `Command` records.
    pub commands: Vec<Bytes>,
    /// Names in the commands' texts, in lower case, whom the edge does not know as members.
    pub names: Vec<String>,
}

/// What is known of a sender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SenderAnswer {
    /// Their role, and what the channel asks of senders; `None`: not a member, or no such channel. An error concerns this
    /// sender alone.
    pub access: Result<Option<(Role, ChannelPolicy)>, BackendError>,
    /// For each command, whether the store has it already: then it is acknowledged again, whatever its sender may do now.
    /// Empty where everybody may send and the store was not asked. A command about which nothing is known is not refused.
    pub are_repetitions: Result<Vec<bool>, BackendError>,
    /// The channel's members with the names asked about, each beside its name; others are absent.
    pub named: Result<Vec<(String, UserId)>, BackendError>,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Position {
    /// It is this channel's message of that number.
    At(u64),
    /// It is above the channel's last message.
    AboveHead,
    /// There is no such message in the channel.
    Unknown,
}

/// Parts of channels' histories, for several readers at once, and gaps in what an edge was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadRequest {
    /// Pages, reader by reader.
    pub readers: Vec<ReaderRequest>,
    pub gaps: Vec<GapRange>,
}

/// What one reader needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderRequest {
    pub user_id: UserId,
    pub channels: Vec<ChannelRead>,
    /// How many of them may bring messages or changes; the others are deferred.
    pub pages_max: usize,
}

/// The answer to a [`ReadRequest`], in its order. An error concerns one channel alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadAnswer {
    /// Reader by reader, channel by channel.
    pub readers: Vec<Vec<Result<ReadOutcome, BackendError>>>,
    /// The records of each gap, oldest first.
    pub gaps: Vec<Result<Vec<Effective>, BackendError>>,
}

/// Something that happened to connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// A connection is gone.
    Disconnected(Connection),
    /// A connection says this from now on.
    StatusSet {
        connection: Connection,
        status: Status,
        /// What its user says of themselves; `None`: as before.
        status_message: Option<String>,
    },
    /// A slot has a new lease: connections of the earlier ones are gone.
    LeaseEnded { slot: Slot, before: Epoch },
}

/// What an edge wants to know of who is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookRequest {
    /// Viewers, and whom each of them wants to see.
    pub viewers: Vec<(UserId, Vec<UserId>)>,
    /// Users, and by whom each of them is seen.
    pub seen: Vec<(UserId, Vec<UserId>)>,
    /// Users whose notification rules are wanted, where they are away.
    pub away: Vec<UserId>,
}

/// The answer to a [`LookRequest`], in its order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LookAnswer {
    /// For each viewer; users that don't exist are absent.
    pub viewers: Vec<Vec<PresenceView>>,
    /// For each user, as each of the viewers sees them.
    pub seen: Vec<Vec<PresenceView>>,
    /// For each user; `None`: not away.
    pub away: Vec<Option<Attention>>,
}

/// What stands behind an edge.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Lets connections in, each unless its user has `connections_max` already (0: no limit). Where one is refused,
    /// nothing is left behind.
    fn admit(
        &self,
        connections: Vec<Connection>,
        connections_max: u32,
    ) -> impl Future<Output = Vec<Result<Admission, AdmitRefusal>>> + Send;

    /// Says who may do what.
    fn authorize(
        &self,
        asked: AuthorizeRequest,
    ) -> impl Future<Output = Result<AuthorizeAnswer, BackendError>> + Send;

    /// Reads pages and gaps.
    fn read(&self, asked: ReadRequest) -> impl Future<Output = ReadAnswer> + Send;

    /// Notes what happened to connections, in order. For each change: of whom every edge is to be told.
    fn presence(
        &self,
        changes: Vec<ConnectionEvent>,
    ) -> impl Future<Output = Vec<Result<Vec<UserId>, BackendError>>> + Send;

    /// Says who is there, as others may see them, and how those who are away want to be notified.
    fn look(&self, asked: LookRequest) -> impl Future<Output = Result<LookAnswer, BackendError>> + Send;

    /// The keys that verify access tokens from now on, oldest first.
    fn public_keys(&self) -> impl Future<Output = Result<Vec<PublicKey>, BackendError>> + Send;
}

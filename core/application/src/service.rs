//! What the services offer one another and the API: the same contracts in process and, later, over gRPC.

pub mod people;
pub mod presence;
pub mod refusal;

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;

use ringside_domain::reactions::ReactionSummary;
use ringside_domain::view::MessageView;
use ringside_types::{ChannelId, ClientId, MessageId, SessionId, UnixMillis, UserId};
use ringside_wire::amendment::Change;
use ringside_wire::message::ContentType;

use refusal::Refusal;
use ringside_ports::accounts::User;
use ringside_ports::channels::invitations::ChannelInvitation;
use ringside_ports::channels::{Channel, ChannelKind, ChannelPatch, Member, Role};

/// Why a service refuses. Each names the HTTP status that it becomes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// 400.
    #[error("{0}")]
    BadRequest(String),
    /// 401: who are you?
    #[error("{0}")]
    Unauthorized(Refusal),
    /// 403.
    #[error("{0}")]
    Forbidden(String),
    /// 403, of a channel that the caller is not in.
    #[error("You are not a member of this channel.")]
    NotAMember,
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 409.
    #[error("{message}")]
    Conflict {
        code: ConflictCode,
        /// A sentence that a person understands.
        message: String,
    },
    /// 422, field by field.
    #[error("Some fields are not valid.")]
    Invalid(Vec<FieldError>),
    /// 429.
    #[error("Too many requests; try again later.")]
    RateLimited {
        /// When to try again, in milliseconds.
        retry_after_ms: u64,
        /// What was reached: so many in the limit's time.
        limit: u32,
    },
    /// 503: an engine did not confirm; it may have been done all the same.
    #[error("{0}")]
    Unavailable(String),
}

impl ServiceError {
    /// Why, in a word that is one of few: for metrics and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::Unauthorized(refusal) => refusal.reason.name(),
            Self::Forbidden(_) => "forbidden",
            Self::NotAMember => "not_a_member",
            Self::NotFound(_) => "not_found",
            Self::Conflict { code, .. } => code.name(),
            Self::Invalid(_) => "invalid",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl From<ringside_ports::EngineError> for ServiceError {
    fn from(error: ringside_ports::EngineError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What a request is in conflict with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictCode {
    EmailTaken,
    UsernameTaken,
    /// What is done to others was asked for oneself.
    Yourself,
    /// A channel's owner can't leave it.
    OwnerStays,
    /// Too many invitations wait for a user.
    InvitationsWait,
}

impl ConflictCode {
    /// As clients are told, which is stable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmailTaken => "email_taken",
            Self::UsernameTaken => "username_taken",
            Self::Yourself => "yourself",
            Self::OwnerStays => "owner_stays",
            Self::InvitationsWait => "invitations_wait",
        }
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub field: Cow<'static, str>,
    /// A sentence that a person understands.
    pub message: String,
}

/// Who makes a request, as the access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user_id: UserId,
    /// The session that the token was issued to.
    pub session_id: SessionId,
}

/// A new account, as it was asked for.
#[derive(Clone, Debug)]
pub struct Registration {
    pub email: String,
    /// The unique name.
    pub username: String,
    /// In clear; hashed at once.
    pub password: String,
    /// The name to show; the username where it is absent.
    pub display_name: Option<String>,
    /// The code that invites, where one is needed.
    pub invitation: Option<String>,
    /// Where from, for the limit.
    pub address: IpAddr,
}

/// A sign-in, as it was asked for.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub login: String,
    /// In clear.
    pub password: String,
    /// What the user calls the device.
    pub device: String,
    /// Where it comes from.
    pub address: IpAddr,
}

/// A session, new or renewed.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user: User,
    /// Good for [`ringside_types::limits::ACCESS_TOKEN_LIFE_S`].
    pub access_token: String,
    /// Good once.
    pub refresh_token: String,
    /// The access token's life, in seconds.
    pub expires_in: u64,
}

pub trait UserService: Clone + Send + Sync + 'static {
    /// What of a registration is not valid, field by field, before anything else is asked.
    fn faults(
        &self,
        wish: &Registration,
    ) -> impl Future<Output = Result<Vec<FieldError>, ServiceError>> + Send;
    /// Makes an account and signs it in.
    fn register(&self, wish: Registration) -> impl Future<Output = Result<SignedIn, ServiceError>> + Send;
    /// Signs in. The answer and its time are the same for a wrong password and an unknown account.
    fn login(&self, credentials: Credentials) -> impl Future<Output = Result<SignedIn, ServiceError>> + Send;
    /// Exchanges a refresh token.
    fn refresh(&self, refresh_token: &str) -> impl Future<Output = Result<SignedIn, ServiceError>> + Send;
    /// Ends the session of a refresh token. An unknown one is no error.
    fn logout(&self, refresh_token: &str) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Verifies an access token, its session included.
    fn verify(&self, access_token: &str) -> impl Future<Output = Result<Caller, ServiceError>> + Send;
    /// The accounts that there are among these, in no order.
    fn users(&self, ids: &[UserId]) -> impl Future<Output = Result<Vec<User>, ServiceError>> + Send;
    /// The public keys that verify access tokens, as a JWK set (RFC 7517).
    fn jwks(&self) -> impl Future<Output = Result<String, ServiceError>> + Send;
}

/// A channel to make, as it was asked for.
#[derive(Clone, Debug)]
pub struct CreateChannel {
    /// The name; empty for a DM.
    pub name: String,
    pub kind: ChannelKind,
    /// Its members but the caller, who is added by itself.
    pub member_ids: Vec<UserId>,
    /// What it is for.
    pub description: String,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next part begins; `None`: this was the last.
    pub next_cursor: Option<String>,
}

/// A channel as one of its members lists it.
#[derive(Clone, Debug)]
pub struct MyChannel {
    pub channel: Channel,
    pub membership: Member,
}

/// Which part of a list.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// From a former answer.
    pub cursor: Option<String>,
    /// At most so many, from 1 to [`ringside_types::limits::LIST_MAX`].
    pub limit: usize,
}

pub trait ChannelService: Clone + Send + Sync + 'static {
    /// Makes a channel, or finds the DM of the two; says whether it is new.
    fn create(
        &self,
        caller: UserId,
        wish: CreateChannel,
    ) -> impl Future<Output = Result<(Channel, bool), ServiceError>> + Send;
    /// A channel that the caller is in, or a public one; the membership, where there is one.
    fn channel(
        &self,
        caller: UserId,
        id: ChannelId,
    ) -> impl Future<Output = Result<(Channel, Option<Member>), ServiceError>> + Send;
    /// Changes a channel; for admins and the owner.
    fn change(
        &self,
        caller: UserId,
        id: ChannelId,
        patch: ChannelPatch,
    ) -> impl Future<Output = Result<(Channel, Option<Member>), ServiceError>> + Send;
    /// Whom each of these channels that is a DM of the caller's joins them with.
    fn peers(
        &self,
        caller: UserId,
        channels: &[ChannelId],
    ) -> impl Future<Output = Result<Vec<(ChannelId, UserId)>, ServiceError>> + Send;
    /// Deletes a channel; for its owner.
    fn delete(&self, caller: UserId, id: ChannelId) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Public channels whose names hold this text, with how many are in each.
    fn discover(
        &self,
        text: &str,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<(Channel, u64)>, ServiceError>> + Send;
    /// The caller's channels, newest first.
    fn list(
        &self,
        caller: UserId,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<MyChannel>, ServiceError>> + Send;
    /// A channel's members; for members.
    fn members(
        &self,
        caller: UserId,
        id: ChannelId,
        part: PageRequest,
    ) -> impl Future<Output = Result<Page<Member>, ServiceError>> + Send;
    /// Adds members; for admins and owners (anyone may add themselves to a public channel). Returns the memberships
    /// of those named, as they are now.
    fn add_members(
        &self,
        caller: UserId,
        id: ChannelId,
        users: Vec<UserId>,
    ) -> impl Future<Output = Result<Vec<Member>, ServiceError>> + Send;
    /// Invites someone into a channel who lets others ask, but not add them; for those who may add members. It waits for
    /// their yes. Who is a member already is not invited.
    fn invite(
        &self,
        caller: UserId,
        id: ChannelId,
        user: UserId,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Takes an invitation back, or says no to it.
    fn withdraw_invitation(
        &self,
        caller: UserId,
        id: ChannelId,
        user: UserId,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Invitations that wait for the caller.
    fn invitations(
        &self,
        caller: UserId,
    ) -> impl Future<Output = Result<Vec<ChannelInvitation>, ServiceError>> + Send;
    /// Makes the caller a member of a channel that they are invited into.
    fn accept_invitation(
        &self,
        caller: UserId,
        id: ChannelId,
    ) -> impl Future<Output = Result<(Channel, Option<Member>), ServiceError>> + Send;
    /// Removes a member; for admins and owners, and for oneself.
    fn remove_member(
        &self,
        caller: UserId,
        id: ChannelId,
        user: UserId,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Changes a member's role. Whom the owner makes the owner takes their place.
    fn set_role(
        &self,
        caller: UserId,
        id: ChannelId,
        user: UserId,
        role: Role,
    ) -> impl Future<Output = Result<Member, ServiceError>> + Send;
    /// Sets up to when the caller, a member, wants no notifications ([`UnixMillis::MAX`]: for good).
    fn mute(
        &self,
        caller: UserId,
        id: ChannelId,
        until: Option<UnixMillis>,
    ) -> impl Future<Output = Result<(), ServiceError>> + Send;
    /// Waits until what two people have changed between them is in force in their DM, if they have one.
    fn settled(&self, one: UserId, other: UserId) -> impl Future<Output = Result<(), ServiceError>> + Send;
}

/// A message to send over REST.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub client_id: ClientId,
    pub channel_id: ChannelId,
    pub content: String,
    pub content_type: ContentType,
    /// The message that it answers.
    pub reply_to: Option<MessageId>,
    /// A JSON object, or empty.
    pub metadata: String,
}

/// A change of a message that is there.
#[derive(Clone, Debug)]
pub struct Amendment {
    pub client_id: ClientId,
    pub channel_id: ChannelId,
    pub message_id: MessageId,
    pub change: Change<'static>,
}

/// What came of sending a message over REST.
#[derive(Clone, Debug)]
pub enum SendOutcome {
    /// It is stored (now, or by an earlier try with the same key).
    Stored(MessageView<'static>),
    /// The log has it durably; its id was not known within the time that a request waits.
    Received,
}

/// Which part of a channel's history.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryRange {
    pub before: Option<MessageId>,
    pub after: Option<MessageId>,
    /// Half below, half above this id, with it.
    pub around: Option<MessageId>,
    /// At most so many.
    pub limit: usize,
}

/// What a member sees at the end of a channel.
#[derive(Clone, Debug)]
pub struct ChannelSummary {
    /// The last message, if there is one.
    pub last_message: Option<MessageView<'static>>,
    /// Messages that the member has not read.
    pub unread_count: u64,
}

/// How far a user has read in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPosition {
    pub channel_id: ChannelId,
    pub last_read_id: MessageId,
}

/// What is a user's own in a part of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnContent {
    pub messages: Vec<MessageView<'static>>,
    /// Their reactions: on which message, with which emoji.
    pub reactions: Vec<(MessageId, String)>,
    /// Below which message the next part goes on; `None`: this is the last.
    pub next: Option<MessageId>,
}

pub trait MessageService: Clone + Send + Sync + 'static {
    /// Sends a message, as `message.send` does.
    fn send(
        &self,
        caller: UserId,
        message: NewMessage,
    ) -> impl Future<Output = Result<SendOutcome, ServiceError>> + Send;
    /// History, newest first; for members. The flag says whether there is more in that direction.
    fn history(
        &self,
        caller: UserId,
        channel: ChannelId,
        range: HistoryRange,
    ) -> impl Future<Output = Result<(Vec<MessageView<'static>>, bool), ServiceError>> + Send;
    /// One message; for members.
    fn message(
        &self,
        caller: UserId,
        channel: ChannelId,
        id: MessageId,
    ) -> impl Future<Output = Result<MessageView<'static>, ServiceError>> + Send;
    /// Edits, deletes, pins a message, or reacts to it. `Stored` is the message as it is afterwards.
    fn amend(
        &self,
        caller: UserId,
        wish: Amendment,
    ) -> impl Future<Output = Result<SendOutcome, ServiceError>> + Send;
    /// The messages that answer one, oldest first, above `after`; for members. The flag says whether there are more.
    fn thread(
        &self,
        caller: UserId,
        channel: ChannelId,
        message: MessageId,
        after: Option<MessageId>,
        limit: usize,
    ) -> impl Future<Output = Result<(Vec<MessageView<'static>>, bool), ServiceError>> + Send;
    /// The pinned messages, those pinned last first, pinned by records below `before`; for members. With the record below
    /// which the next page goes on.
    fn pins(
        &self,
        caller: UserId,
        channel: ChannelId,
        before: Option<MessageId>,
        limit: usize,
    ) -> impl Future<Output = Result<(Vec<MessageView<'static>>, Option<MessageId>), ServiceError>> + Send;
    /// How far a user has read, in every channel where they ever read or wrote; those that they have left, too.
    fn positions(&self, user: UserId)
    -> impl Future<Output = Result<Vec<ReadPosition>, ServiceError>> + Send;
    /// What is a user's own in a part of a channel, newest first, below `before`. It asks for no membership: it is theirs.
    fn own(
        &self,
        user: UserId,
        channel: ChannelId,
        before: Option<MessageId>,
        limit: usize,
    ) -> impl Future<Output = Result<OwnContent, ServiceError>> + Send;
    /// How reactions stand on messages of one channel, as the caller, a member, sees them.
    fn reactions(
        &self,
        caller: UserId,
        messages: &[MessageView<'_>],
    ) -> impl Future<Output = Result<Vec<ReactionSummary>, ServiceError>> + Send;
    /// The end of each channel as the caller, a member, sees it, in the order asked.
    fn summaries(
        &self,
        caller: UserId,
        channels: &[ChannelId],
    ) -> impl Future<Output = Result<Vec<ChannelSummary>, ServiceError>> + Send;
}

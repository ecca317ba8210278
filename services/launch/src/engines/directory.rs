//! The Directory: accounts, people, channels.

use ringside_ports::EngineError;
use ringside_ports::accounts::{Exchange, Exchanged, NewSession, NewUser, SignIn, Taken, User, UserReader};
use ringside_ports::channels::invitations::{ChannelInvitation, ChannelInvitations, Invited};
use ringside_ports::channels::{
    ChangeRefused, Channel, ChannelChange, ChannelChanges, ChannelLists, Created, ListRange, Member,
    MembershipReader, NewChannel, Outbox, OutboxRow,
};
use ringside_ports::people::After;
use ringside_ports::people::profiles::{
    Administration, AuditEntry, Changed, Found, Profile, ProfileChange, Profiles, SearchFor, ServerRole,
};
use ringside_ports::people::registration::{Admitted, Invitation, Registration};
use ringside_ports::people::relations::{
    Block, Contact, ContactState, Relations, Relationship, Relationships, Requested,
};
use ringside_ports::people::sessions::{PasswordChange, Session, Sessions, Which};
use ringside_sql::Directory;
use ringside_types::{ChannelId, SessionId, UnixMillis, UserId};

#[derive(Clone, Debug)]
pub(crate) enum DirectoryEngine {
    /// SQLite, in the data folder.
    Embedded(Directory),
    #[cfg(feature = "cluster")]
    Postgres(ringside_postgres::Directory),
}

impl DirectoryEngine {
    /// Ends its connections.
    pub(super) async fn close(&self) {
        match self {
            Self::Embedded(directory) => directory.close().await,
            #[cfg(feature = "cluster")]
            Self::Postgres(directory) => directory.close().await,
        }
    }
}

delegate! {
    ChannelInvitations for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn invite_into(channel: ChannelId, actor: UserId, user: UserId, now: UnixMillis) -> Result<Result<Invited, ChangeRefused>, EngineError>;
        fn accept_invitation(channel: ChannelId, user: UserId, now: UnixMillis) -> Result<Result<(), ChangeRefused>, EngineError>;
        fn withdraw_invitation(channel: ChannelId, actor: UserId, user: UserId) -> Result<Result<(), ChangeRefused>, EngineError>;
        fn invitations_of(user: UserId) -> Result<Vec<ChannelInvitation>, EngineError>;
    }
}

delegate! {
    Sessions for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn sessions(user: UserId, open_at: Option<UnixMillis>, part: After<SessionId>) -> Result<Vec<Session>, EngineError>;
        fn end_sessions(user: UserId, which: Which) -> Result<Vec<SessionId>, EngineError>;
        fn password_hash(user: UserId) -> Result<Option<String>, EngineError>;
        fn change_password(change: PasswordChange) -> Result<Option<Vec<SessionId>>, EngineError>;
    }
}

delegate! {
    UserReader for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn users(ids: &[UserId]) -> Result<Vec<User>, EngineError>;
        fn users_named(names: &[String]) -> Result<Vec<User>, EngineError>;
        fn sessions_open(sessions: &[SessionId]) -> Result<Vec<bool>, EngineError>;
    }
}

delegate! {
    SignIn for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn user_by_login(login: &str) -> Result<Option<(User, String)>, EngineError>;
        fn open_sessions(sessions: &[NewSession]) -> Result<(), EngineError>;
        fn exchange(exchange: Exchange) -> Result<Exchanged, EngineError>;
        fn end_session(refresh_hash: [u8; 32]) -> Result<Option<(UserId, SessionId)>, EngineError>;
    }
}

delegate! {
    Registration for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn create_users(users: &[NewUser]) -> Result<Vec<Option<Taken>>, EngineError>;
        fn create_invited(user: &NewUser, hash: [u8; 32], now: UnixMillis) -> Result<Admitted, EngineError>;
        fn invite(invitations: &[Invitation]) -> Result<(), EngineError>;
        fn invitation(hash: [u8; 32]) -> Result<Option<Invitation>, EngineError>;
        fn invitations(part: After<[u8; 32]>) -> Result<Vec<Invitation>, EngineError>;
        fn uninvite(hash: [u8; 32]) -> Result<bool, EngineError>;
    }
}

delegate! {
    Profiles for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn profiles(ids: &[UserId]) -> Result<Vec<Profile>, EngineError>;
        fn change_profile(user: UserId, change: ProfileChange, now: UnixMillis) -> Result<Changed, EngineError>;
        fn search(search: &SearchFor, part: After<Found>) -> Result<Vec<(Found, Profile)>, EngineError>;
        fn saw(users: &[(UserId, UnixMillis)]) -> Result<(), EngineError>;
    }
}

delegate! {
    Administration for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn every_profile(part: After<UserId>) -> Result<Vec<Profile>, EngineError>;
        fn set_role(user: UserId, role: ServerRole, now: UnixMillis) -> Result<bool, EngineError>;
        fn erase(user: UserId, actor: Option<UserId>, now: UnixMillis) -> Result<Option<Vec<ChannelId>>, EngineError>;
        fn audit(subject: UserId, part: After<i64>) -> Result<Vec<AuditEntry>, EngineError>;
    }
}

delegate! {
    Relations for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn request_contact(user: UserId, other: UserId, now: UnixMillis) -> Result<Requested, EngineError>;
        fn accept_contact(user: UserId, other: UserId, now: UnixMillis) -> Result<Option<Contact>, EngineError>;
        fn remove_contact(user: UserId, other: UserId) -> Result<bool, EngineError>;
        fn contacts(user: UserId, state: Option<ContactState>, part: After<UserId>) -> Result<Vec<Contact>, EngineError>;
        fn block(user: UserId, other: UserId, now: UnixMillis) -> Result<bool, EngineError>;
        fn unblock(user: UserId, other: UserId) -> Result<bool, EngineError>;
    }
}

delegate! {
    Relationships for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn relationships(viewer: UserId, others: &[UserId]) -> Result<Vec<Option<Relationship>>, EngineError>;
        fn blocks(user: UserId, part: After<UserId>) -> Result<Vec<Block>, EngineError>;
    }
}

delegate! {
    MembershipReader for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn channels(ids: &[ChannelId]) -> Result<Vec<Channel>, EngineError>;
        fn memberships(users: &[UserId]) -> Result<Vec<Member>, EngineError>;
        fn members(channel: ChannelId, after: Option<UserId>, limit: usize) -> Result<Vec<Member>, EngineError>;
        fn membership(pairs: &[(ChannelId, UserId)]) -> Result<Vec<Option<Member>>, EngineError>;
    }
}

delegate! {
    ChannelChanges for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn create_channels(channels: &[NewChannel]) -> Result<Vec<Created>, EngineError>;
        fn change(channel: ChannelId, actor: UserId, change: ChannelChange, now: UnixMillis) -> Result<Result<Vec<UserId>, ChangeRefused>, EngineError>;
        fn mute(channel: ChannelId, user: UserId, until: Option<UnixMillis>) -> Result<bool, EngineError>;
        fn dm_of(one: UserId, other: UserId) -> Result<Option<ChannelId>, EngineError>;
    }
}

delegate! {
    ChannelLists for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn list_memberships(user: UserId, range: ListRange) -> Result<Vec<Member>, EngineError>;
        fn discover(text: &str, after: Option<ChannelId>, limit: usize) -> Result<Vec<(Channel, u64)>, EngineError>;
        fn peers(user: UserId, channels: &[ChannelId]) -> Result<Vec<(ChannelId, UserId)>, EngineError>;
    }
}

delegate! {
    Outbox for DirectoryEngine [Embedded, #[cfg(feature = "cluster")] Postgres] {
        fn unsent(channel: Option<ChannelId>, limit: usize) -> Result<Vec<OutboxRow>, EngineError>;
        fn confirm(rows: &[i64]) -> Result<(), EngineError>;
    }
}

//! The Directory's accounts: users, and the sessions that their refresh tokens belong to.

use std::future::Future;

use ringside_types::{SessionId, UnixMillis, UserId};

use crate::EngineError;

/// An account as the Directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The account.
    pub id: UserId,
    /// Unique without case; never shown to others.
    pub email: String,
    /// Unique without case.
    pub username: String,
    /// The name to show.
    pub display_name: String,
    /// The picture; empty: none.
    pub avatar_url: String,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// An account to make.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The account.
    pub user: User,
    /// The password's hash in PHC format.
    pub password_hash: String,
}

/// Which unique field another account has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The e-mail address.
    Email,
    /// The username.
    Username,
}

/// A device that signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The session.
    pub id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// What the user calls the device; may be empty.
    pub device: String,
    /// SHA-256 of its first refresh token.
    pub refresh_hash: [u8; 32],
    /// Now.
    pub created_at: UnixMillis,
    /// The refresh token's end.
    pub expires_at: UnixMillis,
}

/// A refresh token exchanged for the next one.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// SHA-256 of the one that was presented.
    pub presented: [u8; 32],
    /// SHA-256 of the one that takes its place.
    pub replacement: [u8; 32],
    /// Now.
    pub now: UnixMillis,
    /// The replacement's end.
    pub expires_at: UnixMillis,
}

/// What came of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// The presented token is spent, and the replacement is good. A token that was spent within
    /// [`RETRY_WITHIN_MS`](ringside_types::limits::RETRY_WITHIN_MS) gets this again as long as its successor is unused,
    /// which is not good any more then: a session has one good token at a time.
    Rotated {
        /// Whose.
        user_id: UserId,
        /// The session.
        session_id: SessionId,
    },
    /// It had been spent before, too long ago or with a successor that was used: someone has a copy. The session has been ended.
    Replayed {
        /// Whose.
        user_id: UserId,
        /// The session.
        session_id: SessionId,
    },
    /// Unknown, expired, or of an ended session.
    Refused,
}

/// Who is who: what everybody asks who shows or admits users.
pub trait UserReader: Clone + Send + Sync + 'static {
    /// The accounts that there are among these, in no order.
    fn users(&self, ids: &[UserId]) -> impl Future<Output = Result<Vec<User>, EngineError>> + Send;

    /// The accounts with these usernames (without case), in no order.
    fn users_named(&self, names: &[String]) -> impl Future<Output = Result<Vec<User>, EngineError>> + Send;

    /// Whether each session is still open, in the order asked.
    fn sessions_open(
        &self,
        sessions: &[SessionId],
    ) -> impl Future<Output = Result<Vec<bool>, EngineError>> + Send;
}

/// Signing in: passwords are exchanged for sessions, and refresh tokens for the next ones.
pub trait SignIn: Clone + Send + Sync + 'static {
    /// The account with this e-mail or username (without case), and its password's hash.
    fn user_by_login(
        &self,
        login: &str,
    ) -> impl Future<Output = Result<Option<(User, String)>, EngineError>> + Send;

    /// Opens sessions.
    fn open_sessions(&self, sessions: &[NewSession]) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Exchanges a refresh token.
    fn exchange(&self, exchange: Exchange) -> impl Future<Output = Result<Exchanged, EngineError>> + Send;

    /// Ends the session that a refresh token (by its SHA-256, spent or not) belongs to; `None`: there is none.
    fn end_session(
        &self,
        refresh_hash: [u8; 32],
    ) -> impl Future<Output = Result<Option<(UserId, SessionId)>, EngineError>> + Send;
}

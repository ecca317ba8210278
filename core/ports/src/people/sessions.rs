//! Sessions as their user sees them, and the password that they hang on.

use std::future::Future;

use ringside_types::{SessionId, UnixMillis, UserId};

use super::After;
use crate::EngineError;

/// A signed-in device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session.
    pub id: SessionId,
    /// What the user calls the device; may be empty.
    pub device: String,
    /// When it signed in.
    pub created_at: UnixMillis,
    /// When it last signed in or renewed its tokens.
    pub used_at: UnixMillis,
    /// When its last refresh token ends.
    pub expires_at: UnixMillis,
    /// Whether it was ended.
    pub ended: bool,
}

/// Which sessions of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(SessionId),
    /// All but this one.
    AllBut(SessionId),
    /// All.
    All,
}

/// A change of a password.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// Whose.
    pub user_id: UserId,
    /// The hash that the new one replaces: of changes at once one wins. `None`: whatever it is.
    pub from: Option<String>,
    /// The new hash, in PHC format.
    pub to: String,
    /// The session that goes on.
    pub keep: Option<SessionId>,
    /// Who changes it; `None`: the operator, at the command line.
    pub actor: Option<UserId>,
    /// Now.
    pub now: UnixMillis,
}

/// Sessions, and passwords.
pub trait Sessions: Clone + Send + Sync + 'static {
    /// A user's sessions by id; with `open_at`, only those that are open then.
    fn sessions(
        &self,
        user: UserId,
        open_at: Option<UnixMillis>,
        part: After<SessionId>,
    ) -> impl Future<Output = Result<Vec<Session>, EngineError>> + Send;

    /// Ends sessions of a user, and returns those that are theirs and ended now: with [`Which::One`] one that had been
    /// ended before too, so that a retry finds it.
    fn end_sessions(
        &self,
        user: UserId,
        which: Which,
    ) -> impl Future<Output = Result<Vec<SessionId>, EngineError>> + Send;

    /// The password's hash; `None`: there is no such account, or it is erased.
    fn password_hash(&self, user: UserId)
    -> impl Future<Output = Result<Option<String>, EngineError>> + Send;

    /// Changes a password and ends the other sessions in one step; returns those that it ended. `None`: the account is
    /// gone, or the hash is not the one to replace.
    fn change_password(
        &self,
        change: PasswordChange,
    ) -> impl Future<Output = Result<Option<Vec<SessionId>>, EngineError>> + Send;
}

//! How accounts come to be: freely, or by invitations, which are codes that let one person each make one.

use std::future::Future;

use ringside_types::{UnixMillis, UserId};

use super::After;
use crate::EngineError;
use crate::accounts::{NewUser, Taken};

/// An invitation, as the Directory keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// SHA-256 of the code.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: UnixMillis,
    /// Until when it is good.
    pub expires_at: UnixMillis,
    /// Who has used it.
    pub used_by: Option<UserId>,
}

/// What came of an account made with an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is made, and the invitation is used up. Exactly one of any number of racers gets this.
    Made,
    /// Another account has a name of it; the invitation is still good.
    Taken(Taken),
    /// The invitation is unknown, expired or used up.
    Refused,
}

/// How accounts come to be: freely, or by an invitation that is good for one.
pub trait Registration: Clone + Send + Sync + 'static {
    /// Makes accounts and returns what was in the way of each; an account is made whole or not at all.
    fn create_users(
        &self,
        users: &[NewUser],
    ) -> impl Future<Output = Result<Vec<Option<Taken>>, EngineError>> + Send;

    /// Makes an account and uses an invitation (by its SHA-256) up, both or neither.
    fn create_invited(
        &self,
        user: &NewUser,
        hash: [u8; 32],
        now: UnixMillis,
    ) -> impl Future<Output = Result<Admitted, EngineError>> + Send;

    /// Makes invitations, each good for one account.
    fn invite(&self, invitations: &[Invitation]) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// The invitation of this hash.
    fn invitation(
        &self,
        hash: [u8; 32],
    ) -> impl Future<Output = Result<Option<Invitation>, EngineError>> + Send;

    /// All invitations, by their hashes.
    fn invitations(
        &self,
        part: After<[u8; 32]>,
    ) -> impl Future<Output = Result<Vec<Invitation>, EngineError>> + Send;

    /// Takes an invitation back that nobody has used; false: there is none.
    fn uninvite(&self, hash: [u8; 32]) -> impl Future<Output = Result<bool, EngineError>> + Send;
}

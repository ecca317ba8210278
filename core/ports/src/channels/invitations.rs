//! Invitations into channels: they wait for the yes of people who let others ask, but not add them.

use std::future::Future;

use ringside_types::{ChannelId, UnixMillis, UserId};

use super::{ChangeRefused, Channel};
use crate::EngineError;

/// So many invitations of one person wait for the same other at the most.
pub const WAITING_PER_INVITER_MAX: usize = 10;
/// So many invitations wait for one person at the most, whoever sent them.
pub const WAITING_MAX: usize = 100;

/// An invitation that waits, as the one invited sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInvitation {
    /// The channel, as it is confirmed.
    pub channel: Channel,
    /// Who sent it; they must still be able to add members.
    pub inviter_id: UserId,
    /// When it was sent; a repetition does not change that.
    pub created_at: UnixMillis,
}

/// What came of inviting someone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invited {
    /// It waits now, or has waited before.
    Waiting,
    /// They are a member already.
    Member,
    /// There is no such account, or it is erased.
    Gone,
    /// Too many wait for them: [`WAITING_PER_INVITER_MAX`] of the actor's, or [`WAITING_MAX`] in all.
    Full,
}

/// Invitations into channels. They are not in the log; what accepting them changes is.
///
/// An invitation is good as long as the channel is there and its inviter may add members to it and write to the one
/// invited. One that is not good any more is not listed, cannot be accepted, and may become good again.
pub trait ChannelInvitations: Clone + Send + Sync + 'static {
    /// Invites a user into a channel, where the actor may add members and write to them ([`ChangeRefused::Blocked`] where
    /// not). The first invitation into a channel stands.
    fn invite_into(
        &self,
        channel: ChannelId,
        actor: UserId,
        user: UserId,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Result<Invited, ChangeRefused>, EngineError>> + Send;

    /// Makes the one invited a member, with an outbox row that is not confirmed yet, and uses the invitation up. A member is
    /// one already. Where none is good, they are told what they would be told of an unknown channel.
    fn accept_invitation(
        &self,
        channel: ChannelId,
        user: UserId,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Result<(), ChangeRefused>, EngineError>> + Send;

    /// Takes an invitation back, where the actor is the one invited or may add members; where there is none, that is
    /// what was asked for.
    fn withdraw_invitation(
        &self,
        channel: ChannelId,
        actor: UserId,
        user: UserId,
    ) -> impl Future<Output = Result<Result<(), ChangeRefused>, EngineError>> + Send;

    /// Good invitations that wait for a user, by channel: all of them, [`WAITING_MAX`] at the most.
    fn invitations_of(
        &self,
        user: UserId,
    ) -> impl Future<Output = Result<Vec<ChannelInvitation>, EngineError>> + Send;
}

//! Invitations into channels, which wait for a yes.

use ringside_ports::EngineError;
use ringside_ports::channels::invitations::{
    ChannelInvitation, ChannelInvitations, Invited, WAITING_MAX, WAITING_PER_INVITER_MAX,
};
use ringside_ports::channels::{ChangeRefused, ChannelKind, Role};
use ringside_types::authorization::{Operation, allowed};
use ringside_types::{ChannelId, UnixMillis, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Changing, NO_SUCH_CHANNEL, channels};
use crate::directory::Directory;
use crate::failure::{Failure, damaged};
use crate::people::{hold, relationships, relationships_of_pairs};
use crate::rows::{self, to_column};
use crate::transaction::Ending::{Commit, Undo};
use crate::transaction::{read, transaction};

impl ChannelInvitations for Directory {
    async fn invite_into(
        &self,
        channel: ChannelId,
        actor: UserId,
        user: UserId,
        now: UnixMillis,
    ) -> Result<Result<Invited, ChangeRefused>, EngineError> {
        transaction!(self, connection, {
            // The one invited alone: their invitations are counted, so others who invite them wait.
            let held = sqlx::query("SELECT 1 FROM users WHERE id = $1 FOR NO KEY UPDATE").bind(user.0);
            held.execute(&mut *connection).await?;
            let Some(changing) = Changing::begin(connection, channel, actor, now).await? else {
                return Ok(Undo(Err(NO_SUCH_CHANNEL)));
            };
            Ok(Commit(changing.invite(connection, user).await?))
        })
    }

    async fn accept_invitation(
        &self,
        channel: ChannelId,
        user: UserId,
        now: UnixMillis,
    ) -> Result<Result<(), ChangeRefused>, EngineError> {
        transaction!(self, connection, {
            // Who the inviter is may change until the channel is held: then they are looked for again.
            let asked_by = inviter(connection, channel, user).await?;
            let people: Vec<UserId> = asked_by.into_iter().chain([user]).collect();
            hold(connection, &people).await?;
            let Some(mut changing) = Changing::begin(connection, channel, user, now).await? else {
                return Ok(Undo(Err(NO_SUCH_CHANNEL)));
            };
            if changing.role_of(connection, user).await?.is_some() {
                return Ok(Undo(Ok(())));
            }
            let Some(inviter) = inviter(connection, channel, user).await? else {
                return Ok(Undo(Err(NO_SUCH_CHANNEL)));
            };
            if changing.may_invite(connection, inviter, user).await? != Some(Ok(())) {
                return Ok(Undo(Err(NO_SUCH_CHANNEL)));
            }
            changing.add(connection, &[(user, Role::Member)]).await?;
            changing.end(connection).await?;
            Ok(Commit(Ok(())))
        })
    }

    async fn withdraw_invitation(
        &self,
        channel: ChannelId,
        actor: UserId,
        user: UserId,
    ) -> Result<Result<(), ChangeRefused>, EngineError> {
        transaction!(self, connection, {
            if actor != user {
                let begun = Changing::begin(connection, channel, actor, UnixMillis(0)).await?;
                let Some(changing) = begun else { return Ok(Undo(Err(NO_SUCH_CHANNEL))) };
                if let Err(refused) = changing.may_add(connection, actor).await? {
                    return Ok(Undo(Err(refused)));
                }
            }
            remove(connection, channel, user).await?;
            Ok(Commit(Ok(())))
        })
    }

    async fn invitations_of(&self, user: UserId) -> Result<Vec<ChannelInvitation>, EngineError> {
        read!(self, connection, {
            let good = good_for(connection, user).await?;
            let ids: Vec<ChannelId> = good.iter().map(|(channel, ..)| *channel).collect();
            let channels = channels(connection, &ids).await?;
            let shown = |(id, inviter_id, created_at)| {
                let channel = channels.iter().find(|channel| channel.id == id)?.clone();
                Some(ChannelInvitation { channel, inviter_id, created_at })
            };
            Ok(good.into_iter().filter_map(shown).collect())
        })
    }
}

/// The invitations of a user that are good, by channel: in two statements, however many there are.
async fn good_for(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<Vec<(ChannelId, UserId, UnixMillis)>, Failure> {
    let waiting = sqlx::query(
        "SELECT i.channel_id, i.inviter_id, i.created_at, c.type, m.role FROM channel_invitations i \
         JOIN channels c ON c.id = i.channel_id AND c.deleted_at IS NULL \
         JOIN channel_members m ON m.channel_id = i.channel_id AND m.user_id = i.inviter_id \
         WHERE i.user_id = $1 ORDER BY i.channel_id LIMIT $2",
    );
    let waiting = waiting.bind(user.0).bind(WAITING_MAX as i64).fetch_all(&mut *connection).await?;
    let mut permitted = Vec::with_capacity(waiting.len());
    for row in &waiting {
        let kind = rows::text(row, "type")?;
        let kind = ChannelKind::from_name(&kind).ok_or_else(|| damaged(format!("channel type {kind:?}")))?;
        if allowed(Operation::AddMembers, kind, Some(rows::role(row)?)).is_ok() {
            let (channel, inviter) =
                (rows::channel_id(row, "channel_id")?, rows::user_id(row, "inviter_id")?);
            permitted.push((channel, inviter, rows::time(row, "created_at")?));
        }
    }
    let pairs: Vec<(UserId, UserId)> = permitted.iter().map(|(_, inviter, _)| (*inviter, user)).collect();
    let relationships = relationships_of_pairs(connection, &pairs).await?;
    let reaches = relationships.iter().map(|one| one.is_some_and(|relationship| relationship.may_open_dm()));
    Ok(permitted.into_iter().zip(reaches).filter(|(_, reaches)| *reaches).map(|(one, _)| one).collect())
}

impl Changing {
    async fn invite(
        &self,
        connection: &mut PgConnection,
        user: UserId,
    ) -> Result<Result<Invited, ChangeRefused>, Failure> {
        match self.may_invite(connection, self.actor, user).await? {
            None => return Ok(Ok(Invited::Gone)),
            Some(Err(refused)) => return Ok(Err(refused)),
            Some(Ok(())) => {}
        }
        if self.role_of(connection, user).await?.is_some() {
            return Ok(Ok(Invited::Member));
        }
        if inviter(connection, self.channel.id, user).await?.is_some() {
            return Ok(Ok(Invited::Waiting));
        }
        let waiting = sqlx::query(
            "SELECT count(*) AS waiting, count(*) FILTER (WHERE inviter_id = $1) AS own FROM channel_invitations \
             WHERE user_id = $2",
        );
        let waiting = waiting.bind(self.actor.0).bind(user.0).fetch_one(&mut *connection).await?;
        let [all, own] = [rows::number(&waiting, "waiting")?, rows::number(&waiting, "own")?];
        if all >= WAITING_MAX as u64 || own >= WAITING_PER_INVITER_MAX as u64 {
            return Ok(Ok(Invited::Full));
        }
        let invited = sqlx::query(
            "INSERT INTO channel_invitations (user_id, channel_id, inviter_id, created_at) VALUES ($1, $2, $3, $4)",
        );
        let invited = invited.bind(user.0).bind(self.channel.id.0).bind(self.actor.0);
        invited.bind(to_column(self.now.0)).execute(connection).await?;
        Ok(Ok(Invited::Waiting))
    }

    /// Whether someone may add members.
    async fn may_add(
        &self,
        connection: &mut PgConnection,
        inviter: UserId,
    ) -> Result<Result<(), ChangeRefused>, Failure> {
        let role = self.role_of(connection, inviter).await?;
        let refused = |refusal| ChangeRefused::NotAllowed(Operation::AddMembers, refusal);
        Ok(allowed(Operation::AddMembers, self.channel.kind, role).map_err(refused))
    }

    /// Whether an invitation by `inviter` is good; `None`: there is nobody to invite.
    async fn may_invite(
        &self,
        connection: &mut PgConnection,
        inviter: UserId,
        user: UserId,
    ) -> Result<Option<Result<(), ChangeRefused>>, Failure> {
        if let Err(refused) = self.may_add(connection, inviter).await? {
            return Ok(Some(Err(refused)));
        }
        let relationship = relationships(connection, inviter, &[user]).await?.into_iter().next().flatten();
        let reaches = |may: bool| if may { Ok(()) } else { Err(ChangeRefused::Blocked) };
        Ok(relationship.map(|relationship| reaches(relationship.may_open_dm())))
    }
}

async fn inviter(
    connection: &mut PgConnection,
    channel: ChannelId,
    user: UserId,
) -> Result<Option<UserId>, Failure> {
    let found = sqlx::query_scalar(
        "SELECT inviter_id FROM channel_invitations WHERE user_id = $1 AND channel_id = $2",
    );
    let found: Option<Uuid> = found.bind(user.0).bind(channel.0).fetch_optional(connection).await?;
    Ok(found.map(UserId))
}

/// Removes the invitation of one user: it was answered, or taken back.
pub(super) async fn remove(
    connection: &mut PgConnection,
    channel: ChannelId,
    user: UserId,
) -> Result<(), Failure> {
    let gone = sqlx::query("DELETE FROM channel_invitations WHERE user_id = $1 AND channel_id = $2");
    gone.bind(user.0).bind(channel.0).execute(connection).await?;
    Ok(())
}

/// Removes all invitations into a channel: it is deleted.
pub(super) async fn remove_all(connection: &mut PgConnection, channel: ChannelId) -> Result<(), Failure> {
    let gone = sqlx::query("DELETE FROM channel_invitations WHERE channel_id = $1");
    gone.bind(channel.0).execute(connection).await?;
    Ok(())
}

//! Invitations into channels, which wait for a yes.

use ringside_ports::EngineError;
use ringside_ports::channels::invitations::{
    ChannelInvitation, ChannelInvitations, Invited, WAITING_MAX, WAITING_PER_INVITER_MAX,
};
use ringside_ports::channels::{ChangeRefused, MembershipReader as _, Role};
use ringside_types::authorization::{Operation, Refusal, allowed};
use ringside_types::{ChannelId, UnixMillis, UserId};
use sqlx::SqliteConnection;

use super::Changing;
use crate::directory::{Directory, failed};
use crate::people::relationships;
use crate::rows;

const NO_SUCH_CHANNEL: ChangeRefused = ChangeRefused::NotAllowed(Operation::SeeChannel, Refusal::NotFound);

impl ChannelInvitations for Directory {
    async fn invite_into(
        &self,
        channel: ChannelId,
        actor: UserId,
        user: UserId,
        now: UnixMillis,
    ) -> Result<Result<Invited, ChangeRefused>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let Some(changing) = Changing::begin(&mut transaction, channel, actor, now).await? else {
            return Ok(Err(NO_SUCH_CHANNEL));
        };
        let invited = changing.invite(&mut transaction, user).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(invited)
    }

    async fn accept_invitation(
        &self,
        channel: ChannelId,
        user: UserId,
        now: UnixMillis,
    ) -> Result<Result<(), ChangeRefused>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let Some(mut changing) = Changing::begin(&mut transaction, channel, user, now).await? else {
            return Ok(Err(NO_SUCH_CHANNEL));
        };
        if changing.role_of(&mut transaction, user).await?.is_some() {
            return Ok(Ok(()));
        }
        let Some(inviter) = inviter(&mut transaction, channel, user).await? else {
            return Ok(Err(NO_SUCH_CHANNEL));
        };
        if changing.may_invite(&mut transaction, inviter, user).await? != Some(Ok(())) {
            return Ok(Err(NO_SUCH_CHANNEL));
        }
        changing.add(&mut transaction, vec![(user, Role::Member)]).await?;
        changing.end(&mut transaction).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Ok(()))
    }

    async fn withdraw_invitation(
        &self,
        channel: ChannelId,
        actor: UserId,
        user: UserId,
    ) -> Result<Result<(), ChangeRefused>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        if actor != user {
            let Some(changing) = Changing::begin(&mut transaction, channel, actor, UnixMillis(0)).await?
            else {
                return Ok(Err(NO_SUCH_CHANNEL));
            };
            if let Err(refused) = changing.may_add(&mut transaction, actor).await? {
                return Ok(Err(refused));
            }
        }
        remove(&mut transaction, channel, user).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Ok(()))
    }

    async fn invitations_of(&self, user: UserId) -> Result<Vec<ChannelInvitation>, EngineError> {
        let mut reader = self.readers.acquire().await.map_err(failed)?;
        let waiting = sqlx::query("SELECT * FROM channel_invitations WHERE user_id = ? ORDER BY channel_id")
            .bind(user.as_bytes().to_vec());
        let mut good = Vec::new();
        for row in waiting.fetch_all(&mut *reader).await.map_err(failed)? {
            let (channel, inviter_id) =
                (rows::channel_id(&row, "channel_id")?, rows::user_id(&row, "inviter_id")?);
            let created_at = UnixMillis(rows::number(&row, "created_at")?);
            let Some(changing) = Changing::begin(&mut reader, channel, inviter_id, created_at).await? else {
                continue;
            };
            if changing.may_invite(&mut reader, inviter_id, user).await? == Some(Ok(())) {
                good.push((channel, inviter_id, created_at));
            }
        }
        drop(reader);
        let ids: Vec<ChannelId> = good.iter().map(|(channel, ..)| *channel).collect();
        let channels = self.channels(&ids).await?;
        let shown = |(id, inviter_id, created_at)| {
            let channel = channels.iter().find(|channel| channel.id == id)?.clone();
            Some(ChannelInvitation { channel, inviter_id, created_at })
        };
        Ok(good.into_iter().filter_map(shown).collect())
    }
}

impl Changing {
    async fn invite(
        &self,
        connection: &mut SqliteConnection,
        user: UserId,
    ) -> Result<Result<Invited, ChangeRefused>, EngineError> {
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
            "SELECT count(*) AS waiting, coalesce(sum(inviter_id = ?), 0) AS own FROM channel_invitations \
             WHERE user_id = ?",
        )
        .bind(self.actor.as_bytes().to_vec())
        .bind(user.as_bytes().to_vec())
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
        let [all, own] = [rows::number(&waiting, "waiting")?, rows::number(&waiting, "own")?];
        if all >= WAITING_MAX as u64 || own >= WAITING_PER_INVITER_MAX as u64 {
            return Ok(Ok(Invited::Full));
        }
        sqlx::query(
            "INSERT INTO channel_invitations (user_id, channel_id, inviter_id, created_at) VALUES (?, ?, ?, ?)",
        )
        .bind(user.as_bytes().to_vec())
        .bind(self.channel.id.as_bytes().to_vec())
        .bind(self.actor.as_bytes().to_vec())
        .bind(self.now.0 as i64)
        .execute(connection)
        .await
        .map_err(failed)?;
        Ok(Ok(Invited::Waiting))
    }

    /// Whether someone may add members.
    async fn may_add(
        &self,
        connection: &mut SqliteConnection,
        inviter: UserId,
    ) -> Result<Result<(), ChangeRefused>, EngineError> {
        let role = self.role_of(connection, inviter).await?;
        let refused = |refusal| ChangeRefused::NotAllowed(Operation::AddMembers, refusal);
        Ok(allowed(Operation::AddMembers, self.channel.kind, role).map_err(refused))
    }

    /// Whether an invitation by `inviter` is good; `None`: there is nobody to invite.
    async fn may_invite(
        &self,
        connection: &mut SqliteConnection,
        inviter: UserId,
        user: UserId,
    ) -> Result<Option<Result<(), ChangeRefused>>, EngineError> {
        if let Err(refused) = self.may_add(connection, inviter).await? {
            return Ok(Some(Err(refused)));
        }
        let relationship = relationships(connection, inviter, &[user]).await?.into_iter().next().flatten();
        let reaches = |may: bool| if may { Ok(()) } else { Err(ChangeRefused::Blocked) };
        Ok(relationship.map(|relationship| reaches(relationship.may_open_dm())))
    }
}

async fn inviter(
    connection: &mut SqliteConnection,
    channel: ChannelId,
    user: UserId,
) -> Result<Option<UserId>, EngineError> {
    let found =
        sqlx::query("SELECT inviter_id FROM channel_invitations WHERE user_id = ? AND channel_id = ?")
            .bind(user.as_bytes().to_vec())
            .bind(channel.as_bytes().to_vec())
            .fetch_optional(connection)
            .await
            .map_err(failed)?;
    found.map(|row| rows::user_id(&row, "inviter_id")).transpose()
}

/// Removes the invitation of one user: it was answered, or taken back.
pub(super) async fn remove(
    connection: &mut SqliteConnection,
    channel: ChannelId,
    user: UserId,
) -> Result<(), EngineError> {
    sqlx::query("DELETE FROM channel_invitations WHERE user_id = ? AND channel_id = ?")
        .bind(user.as_bytes().to_vec())
        .bind(channel.as_bytes().to_vec())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Removes all invitations into a channel: it is deleted.
pub(super) async fn remove_all(
    connection: &mut SqliteConnection,
    channel: ChannelId,
) -> Result<(), EngineError> {
    sqlx::query("DELETE FROM channel_invitations WHERE channel_id = ?")
        .bind(channel.as_bytes().to_vec())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

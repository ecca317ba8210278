//! Channels, members, and the outbox.

mod changing;
mod invitations;
mod lists;

use bytes::Bytes;
pub(crate) use changing::{Changing, reconsider_dm};
pub(crate) use lists::write_bare_names;

use ringside_ports::EngineError;
use ringside_ports::channels::record::member_record;
use ringside_ports::channels::{
    ChangeRefused, Channel, ChannelChange, ChannelChanges, ChannelKind, Created, Member, MembershipReader,
    NewChannel, Outbox, OutboxRow, Role,
};
use ringside_types::authorization::{Operation, Refusal};
use ringside_types::text::unaccented;
use ringside_types::{ChannelId, UnixMillis, UserId};
use ringside_wire::records::{Membership, MembershipKind};
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use crate::accounts::BOUND_MAX;
use crate::directory::{Directory, failed};
use crate::people::relationships;
use crate::rows;

/// A member's row is confirmed once the outbox row of the version that made it is gone.
const CONFIRMED: &str =
    "NOT EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = m.channel_id AND o.version = m.version)";
/// A member with whether a change of their role is on its way to the log.
const MEMBERS: &str = "SELECT m.*, EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = m.channel_id AND \
     o.version = m.role_version) AS is_pending FROM channel_members m WHERE ";
/// A channel with whether a change of it is on its way to the log.
const CHANNELS: &str = "SELECT c.*, EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = c.id AND \
     o.version = c.changed_version) AS is_pending";
/// A channel is confirmed with its first version, and there until it is deleted.
const IS_THERE: &str = "c.deleted_at IS NULL AND \
     NOT EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = c.id AND o.version = 1)";

impl MembershipReader for Directory {
    async fn channels(&self, ids: &[ChannelId]) -> Result<Vec<Channel>, EngineError> {
        let mut channels = Vec::with_capacity(ids.len());
        for part in ids.chunks(BOUND_MAX) {
            let mut query = QueryBuilder::<Sqlite>::new(CHANNELS);
            query.push(" FROM channels c WHERE ").push(IS_THERE).push(" AND c.id IN (");
            let mut list = query.separated(", ");
            for id in part {
                list.push_bind(id.as_bytes().to_vec());
            }
            query.push(")");
            for row in query.build().fetch_all(&self.readers).await.map_err(failed)? {
                channels.push(rows::channel(&row)?);
            }
        }
        Ok(channels)
    }

    async fn memberships(&self, users: &[UserId]) -> Result<Vec<Member>, EngineError> {
        let mut members = Vec::new();
        for part in users.chunks(BOUND_MAX) {
            let mut query = QueryBuilder::<Sqlite>::new(MEMBERS);
            query.push("m.user_id IN (");
            let mut list = query.separated(", ");
            for user in part {
                list.push_bind(user.as_bytes().to_vec());
            }
            query.push(") AND ").push(CONFIRMED);
            let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
            for row in &found {
                members.push(rows::member(row)?);
            }
        }
        Ok(members)
    }

    async fn members(
        &self,
        channel: ChannelId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new(MEMBERS);
        query.push("m.channel_id = ").push_bind(channel.as_bytes().to_vec()).push(" AND ").push(CONFIRMED);
        if let Some(after) = after {
            query.push(" AND m.user_id > ").push_bind(after.as_bytes().to_vec());
        }
        query.push(" ORDER BY m.user_id LIMIT ").push_bind(limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found.iter().map(rows::member).collect()
    }

    async fn membership(&self, pairs: &[(ChannelId, UserId)]) -> Result<Vec<Option<Member>>, EngineError> {
        let mut answers = Vec::with_capacity(pairs.len());
        for (channel, user) in pairs {
            let mut query = QueryBuilder::<Sqlite>::new(MEMBERS);
            query.push("m.channel_id = ").push_bind(channel.as_bytes().to_vec()).push(" AND m.user_id = ");
            query.push_bind(user.as_bytes().to_vec()).push(" AND ").push(CONFIRMED);
            let found = query.build().fetch_optional(&self.readers).await.map_err(failed)?;
            answers.push(found.as_ref().map(rows::member).transpose()?);
        }
        Ok(answers)
    }
}

impl ChannelChanges for Directory {
    async fn create_channels(&self, channels: &[NewChannel]) -> Result<Vec<Created>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut created = Vec::with_capacity(channels.len());
        for new in channels {
            created.push(create(&mut transaction, new).await?);
        }
        transaction.commit().await.map_err(failed)?;
        Ok(created)
    }

    async fn change(
        &self,
        channel: ChannelId,
        actor: UserId,
        change: ChannelChange,
        now: UnixMillis,
    ) -> Result<Result<Vec<UserId>, ChangeRefused>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let Some(mut changing) = Changing::begin(&mut transaction, channel, actor, now).await? else {
            return Ok(Err(ChangeRefused::NotAllowed(Operation::SeeChannel, Refusal::NotFound)));
        };
        let done = changing.change(&mut transaction, change).await?;
        if done.is_ok() {
            changing.end(&mut transaction).await?;
            transaction.commit().await.map_err(failed)?;
        }
        Ok(done)
    }

    async fn mute(
        &self,
        channel: ChannelId,
        user: UserId,
        until: Option<UnixMillis>,
    ) -> Result<bool, EngineError> {
        let done =
            sqlx::query("UPDATE channel_members SET muted_until = ? WHERE channel_id = ? AND user_id = ?")
                .bind(until.map(|until| until.0 as i64))
                .bind(channel.as_bytes().to_vec())
                .bind(user.as_bytes().to_vec())
                .execute(&self.writer)
                .await
                .map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }

    async fn dm_of(&self, one: UserId, other: UserId) -> Result<Option<ChannelId>, EngineError> {
        let mut reader = self.readers.acquire().await.map_err(failed)?;
        lists::dm_of(&mut reader, one, other).await
    }
}

impl Outbox for Directory {
    async fn unsent(&self, channel: Option<ChannelId>, limit: usize) -> Result<Vec<OutboxRow>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT id, channel_id, version, record FROM outbox");
        if let Some(channel) = channel {
            query.push(" WHERE channel_id = ").push_bind(channel.as_bytes().to_vec());
        }
        query.push(" ORDER BY id LIMIT ").push_bind(limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found
            .iter()
            .map(|row| {
                let record: Vec<u8> = row.try_get("record").map_err(failed)?;
                Ok(OutboxRow {
                    id: row.try_get("id").map_err(failed)?,
                    channel_id: rows::channel_id(row, "channel_id")?,
                    version: rows::number(row, "version")?,
                    record: Bytes::from(record),
                })
            })
            .collect()
    }

    async fn confirm(&self, rows: &[i64]) -> Result<(), EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for id in rows {
            let done =
                sqlx::query("DELETE FROM outbox WHERE id = ?").bind(id).execute(&mut *transaction).await;
            done.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }
}

async fn create(connection: &mut SqliteConnection, new: &NewChannel) -> Result<Created, EngineError> {
    let channel = &new.channel;
    let others = new.members.iter().map(|(user, _)| *user).filter(|user| *user != channel.creator_id);
    let relationships = relationships(connection, channel.creator_id, &others.collect::<Vec<_>>()).await?;
    let may_come = relationships
        .iter()
        .all(|one| one.is_some_and(|relationship| relationship.may_bring_into(channel.kind)));
    if let (ChannelKind::Dm, [(one, _), (other, _)]) = (channel.kind, &new.members[..])
        && let Some(dm) = lists::dm_of(connection, *one, *other).await?
    {
        // An account that is erased is no reason to lose what was said with it.
        let is_erased = relationships.contains(&None);
        return Ok(if may_come || is_erased { Created::Existing(dm) } else { Created::Refused });
    }
    if !may_come {
        return Ok(Created::Refused);
    }
    sqlx::query(
        "INSERT INTO channels (id, name, type, creator_id, description, created_at, version, topic, slow_mode_s, \
         admins_post, history_from_join, closed, name_bare) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)",
    )
    .bind(channel.id.as_bytes().to_vec())
    .bind(&channel.name)
    .bind(channel.kind.name())
    .bind(channel.creator_id.as_bytes().to_vec())
    .bind(&channel.description)
    .bind(channel.created_at.0 as i64)
    .bind(&channel.topic)
    .bind(channel.settings.slow_mode_s)
    .bind(channel.settings.admins_post)
    .bind(channel.settings.history_from_join)
    .bind(channel.is_closed)
    .bind(unaccented(&channel.name))
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if let (ChannelKind::Dm, [(one, _), (other, _)]) = (channel.kind, &new.members[..]) {
        sqlx::query("INSERT INTO dm_pairs (lower_id, higher_id, channel_id) VALUES (?, ?, ?)")
            .bind(one.min(other).as_bytes().to_vec())
            .bind(one.max(other).as_bytes().to_vec())
            .bind(channel.id.as_bytes().to_vec())
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    for (user, role) in &new.members {
        insert_member(connection, channel.id, *user, *role, channel.created_at, 1).await?;
    }
    let members = new.members.iter().map(|(user, role)| member_record(*user, *role)).collect();
    let record = channel.change_record(1, channel.creator_id, MembershipKind::Created, members);
    insert_outbox(connection, channel.id, 1, &record).await?;
    Ok(Created::New(channel.id))
}

async fn insert_member(
    connection: &mut SqliteConnection,
    channel: ChannelId,
    user: UserId,
    role: Role,
    now: UnixMillis,
    version: u64,
) -> Result<(), EngineError> {
    sqlx::query(
        "INSERT INTO channel_members (channel_id, user_id, role, joined_at, version) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(channel.as_bytes().to_vec())
    .bind(user.as_bytes().to_vec())
    .bind(role.name())
    .bind(now.0 as i64)
    .bind(version as i64)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn insert_outbox(
    connection: &mut SqliteConnection,
    channel: ChannelId,
    version: u64,
    record: &Membership,
) -> Result<(), EngineError> {
    sqlx::query("INSERT INTO outbox (channel_id, version, record) VALUES (?, ?, ?)")
        .bind(channel.as_bytes().to_vec())
        .bind(version as i64)
        .bind(ringside_wire::encode(record).to_vec())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

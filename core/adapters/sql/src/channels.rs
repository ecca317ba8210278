//! Channels, members, and the outbox.

use bytes::Bytes;
use ringside_ports::channels::{
    Channel, ChannelKind, Created, ListRange, Member, MemberChange, NewChannel, OutboxRow, Role,
};
use ringside_ports::{Channels, EngineError};
use ringside_types::{ChannelId, UnixMillis, UserId};
use ringside_wire::records::{self, Membership, MembershipKind};
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use crate::accounts::BOUND_MAX;
use crate::directory::{Directory, failed};
use crate::rows;

/// A member's row is confirmed once the outbox row of the version that made it is gone.
const CONFIRMED: &str =
    "NOT EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = m.channel_id AND o.version = m.version)";

impl Channels for Directory {
    async fn create_channels(&self, channels: &[NewChannel]) -> Result<Vec<Created>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut created = Vec::with_capacity(channels.len());
        for new in channels {
            created.push(create(&mut transaction, new).await?);
        }
        transaction.commit().await.map_err(failed)?;
        Ok(created)
    }

    async fn change_members(
        &self,
        channel: ChannelId,
        actor: UserId,
        change: MemberChange,
        now: UnixMillis,
    ) -> Result<Vec<UserId>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let begun = Changing::begin(&mut transaction, channel, actor, now).await?;
        let Some(mut changing) = begun else { return Ok(Vec::new()) };
        let mut changed = Vec::new();
        match change {
            MemberChange::Add(users) => {
                for (user, role) in users {
                    if changing.add(&mut transaction, user, role).await? {
                        changed.push(user);
                    }
                }
            }
            MemberChange::Remove(users) => {
                for user in users {
                    if changing.remove(&mut transaction, user).await? {
                        changed.push(user);
                    }
                }
            }
        }
        changing.end(&mut transaction).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(changed)
    }

    async fn channels(&self, ids: &[ChannelId]) -> Result<Vec<Channel>, EngineError> {
        let mut channels = Vec::with_capacity(ids.len());
        for part in ids.chunks(BOUND_MAX) {
            // A channel is confirmed with its first version.
            let mut query = QueryBuilder::<Sqlite>::new(
                "SELECT c.* FROM channels c WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = c.id \
                 AND o.version = 1) AND c.id IN (",
            );
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

    async fn memberships(&self, user: UserId, range: Option<ListRange>) -> Result<Vec<Member>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT m.* FROM channel_members m WHERE m.user_id = ");
        query.push_bind(user.as_bytes().to_vec()).push(" AND ").push(CONFIRMED);
        if let Some(before) = range.and_then(|range| range.before) {
            query.push(" AND m.channel_id < ").push_bind(before.as_bytes().to_vec());
        }
        query.push(" ORDER BY m.channel_id DESC");
        if let Some(range) = range {
            query.push(" LIMIT ").push_bind(range.limit as i64);
        }
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found.iter().map(rows::member).collect()
    }

    async fn members(
        &self,
        channel: ChannelId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, EngineError> {
        let mut query =
            QueryBuilder::<Sqlite>::new("SELECT m.* FROM channel_members m WHERE m.channel_id = ");
        query.push_bind(channel.as_bytes().to_vec()).push(" AND ").push(CONFIRMED);
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
            let mut query =
                QueryBuilder::<Sqlite>::new("SELECT m.* FROM channel_members m WHERE m.channel_id = ");
            query.push_bind(channel.as_bytes().to_vec()).push(" AND m.user_id = ");
            query.push_bind(user.as_bytes().to_vec()).push(" AND ").push(CONFIRMED);
            let found = query.build().fetch_optional(&self.readers).await.map_err(failed)?;
            answers.push(found.as_ref().map(rows::member).transpose()?);
        }
        Ok(answers)
    }

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
    if let (ChannelKind::Dm, [(one, _), (other, _)]) = (channel.kind, &new.members[..]) {
        let (lower, higher) = (one.min(other), one.max(other));
        let found = sqlx::query("SELECT channel_id FROM dm_pairs WHERE lower_id = ? AND higher_id = ?")
            .bind(lower.as_bytes().to_vec())
            .bind(higher.as_bytes().to_vec())
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        if let Some(row) = found {
            return Ok(Created::Existing(rows::channel_id(&row, "channel_id")?));
        }
    }
    sqlx::query(
        "INSERT INTO channels (id, name, type, creator_id, description, created_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, 1)",
    )
    .bind(channel.id.as_bytes().to_vec())
    .bind(&channel.name)
    .bind(channel.kind.name())
    .bind(channel.creator_id.as_bytes().to_vec())
    .bind(&channel.description)
    .bind(channel.created_at.0 as i64)
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
    let members = new.members.iter().map(|(user, role)| member_record(*user, role.name())).collect();
    let record = record(channel, 1, channel.creator_id, MembershipKind::Created, members);
    insert_outbox(connection, channel.id, 1, &record).await?;
    Ok(Created::New(channel.id))
}

/// A channel whose members change, under the one writer's lock.
pub(crate) struct Changing {
    channel: Channel,
    version: u64,
    actor: UserId,
    now: UnixMillis,
}

impl Changing {
    /// Takes the channel's row; `None`: there is no such channel.
    pub(crate) async fn begin(
        connection: &mut SqliteConnection,
        channel: ChannelId,
        actor: UserId,
        now: UnixMillis,
    ) -> Result<Option<Self>, EngineError> {
        let found = sqlx::query("SELECT * FROM channels WHERE id = ?").bind(channel.as_bytes().to_vec());
        let Some(row) = found.fetch_optional(connection).await.map_err(failed)? else { return Ok(None) };
        Ok(Some(Self { channel: rows::channel(&row)?, version: rows::number(&row, "version")?, actor, now }))
    }

    /// Writes the version that the changes have come to.
    pub(crate) async fn end(self, connection: &mut SqliteConnection) -> Result<(), EngineError> {
        sqlx::query("UPDATE channels SET version = ? WHERE id = ?")
            .bind(self.version as i64)
            .bind(self.channel.id.as_bytes().to_vec())
            .execute(connection)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn add(
        &mut self,
        connection: &mut SqliteConnection,
        user: UserId,
        role: Role,
    ) -> Result<bool, EngineError> {
        let known = sqlx::query("SELECT 1 FROM users WHERE id = ? AND erased_at IS NULL")
            .bind(user.as_bytes().to_vec());
        let known = known.fetch_optional(&mut *connection).await.map_err(failed)?.is_some();
        if !known || role_of(connection, self.channel.id, user).await?.is_some() {
            return Ok(false);
        }
        self.version += 1;
        insert_member(connection, self.channel.id, user, role, self.now, self.version).await?;
        self.write(connection, MembershipKind::Added, member_record(user, role.name())).await?;
        Ok(true)
    }

    pub(crate) async fn remove(
        &mut self,
        connection: &mut SqliteConnection,
        user: UserId,
    ) -> Result<bool, EngineError> {
        let Some(role) = role_of(connection, self.channel.id, user).await? else { return Ok(false) };
        self.version += 1;
        sqlx::query("DELETE FROM channel_members WHERE channel_id = ? AND user_id = ?")
            .bind(self.channel.id.as_bytes().to_vec())
            .bind(user.as_bytes().to_vec())
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        self.write(connection, MembershipKind::Removed, member_record(user, &role)).await?;
        Ok(true)
    }

    async fn write(
        &self,
        connection: &mut SqliteConnection,
        kind: MembershipKind,
        member: records::Member,
    ) -> Result<(), EngineError> {
        let record = record(&self.channel, self.version, self.actor, kind, vec![member]);
        insert_outbox(connection, self.channel.id, self.version, &record).await
    }
}

async fn role_of(
    connection: &mut SqliteConnection,
    channel: ChannelId,
    user: UserId,
) -> Result<Option<String>, EngineError> {
    let found = sqlx::query("SELECT role FROM channel_members WHERE channel_id = ? AND user_id = ?")
        .bind(channel.as_bytes().to_vec())
        .bind(user.as_bytes().to_vec())
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    found.map(|row| rows::text(&row, "role")).transpose()
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

fn member_record(user: UserId, role: &str) -> records::Member {
    records::Member { user_id: user.as_bytes().to_vec().into(), role: role.to_owned() }
}

fn record(
    channel: &Channel,
    version: u64,
    actor: UserId,
    kind: MembershipKind,
    members: Vec<records::Member>,
) -> Membership {
    let as_it_is = records::Channel {
        name: channel.name.clone(),
        r#type: channel.kind.name().to_owned(),
        creator_id: channel.creator_id.as_bytes().to_vec().into(),
        description: channel.description.clone(),
        created_at_ms: channel.created_at.0,
    };
    Membership {
        channel_id: channel.id.as_bytes().to_vec().into(),
        version,
        actor_id: actor.as_bytes().to_vec().into(),
        kind: kind.into(),
        channel: Some(as_it_is),
        members,
    }
}

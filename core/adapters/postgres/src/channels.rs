//! Channels, members, and the outbox.

mod changing;
mod creation;
mod invitations;
mod lists;
mod outbox;

pub(crate) use changing::{Changing, reconsider_dm};

use ringside_ports::EngineError;
use ringside_ports::channels::{
    ChangeRefused, Channel, ChannelChange, ChannelChanges, Created, Member, MembershipReader, NewChannel,
    Role,
};
use ringside_types::authorization::{Operation, Refusal};
use ringside_types::{ChannelId, UnixMillis, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::directory::Directory;
use crate::failure::Failure;
use crate::people::hold;
use crate::rows::{self, to_column};
use crate::transaction::Ending::{Commit, Undo};
use crate::transaction::{read, transaction};

/// What somebody is told of a channel that is not there.
const NO_SUCH_CHANNEL: ChangeRefused = ChangeRefused::NotAllowed(Operation::SeeChannel, Refusal::NotFound);

/// Members with whether a change of their role is on its way to the log. A member's row is confirmed once the outbox row of the
/// version that made it is gone.
macro_rules! members_where {
    ($condition:literal) => {
        concat!(
            "SELECT m.*, EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = m.channel_id AND o.version = m.role_version) \
             AS is_pending FROM channel_members m WHERE NOT EXISTS (SELECT 1 FROM outbox o WHERE \
             o.channel_id = m.channel_id AND o.version = m.version) AND ",
            $condition
        )
    };
}

/// Channels with whether a change of them is on its way to the log. A channel is confirmed with its first version, and there until
/// it is deleted.
macro_rules! channels_where {
    ($columns:literal, $condition:literal) => {
        concat!(
            "SELECT c.*, EXISTS (SELECT 1 FROM outbox o WHERE o.channel_id = c.id AND o.version = c.changed_version) \
             AS is_pending",
            $columns,
            " FROM channels c WHERE c.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM outbox o WHERE \
             o.channel_id = c.id AND o.version = 1) AND ",
            $condition
        )
    };
}

pub(crate) use {channels_where, members_where};

impl MembershipReader for Directory {
    async fn channels(&self, ids: &[ChannelId]) -> Result<Vec<Channel>, EngineError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        read!(self, connection, { channels(connection, ids).await })
    }

    async fn memberships(&self, users: &[UserId]) -> Result<Vec<Member>, EngineError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let users: Vec<Uuid> = users.iter().map(|user| user.0).collect();
        let found = read!(self, connection, {
            let found = sqlx::query(members_where!("m.user_id = ANY($1)")).bind(&users);
            Ok(found.fetch_all(connection).await?)
        })?;
        found.iter().map(rows::member).collect()
    }

    async fn members(
        &self,
        channel: ChannelId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, EngineError> {
        let found = read!(self, connection, {
            let found = sqlx::query(members_where!(
                "m.channel_id = $1 AND ($2::UUID IS NULL OR m.user_id > $2) ORDER BY m.user_id LIMIT $3"
            ));
            let found = found.bind(channel.0).bind(after.map(|user| user.0)).bind(limit as i64);
            Ok(found.fetch_all(connection).await?)
        })?;
        found.iter().map(rows::member).collect()
    }

    async fn membership(&self, pairs: &[(ChannelId, UserId)]) -> Result<Vec<Option<Member>>, EngineError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let (channels, users): (Vec<Uuid>, Vec<Uuid>) =
            pairs.iter().map(|(channel, user)| (channel.0, user.0)).unzip();
        let found = read!(self, connection, {
            let found = sqlx::query(members_where!(
                "(m.channel_id, m.user_id) IN (SELECT * FROM unnest($1::UUID[], $2::UUID[]))"
            ));
            Ok(found.bind(&channels).bind(&users).fetch_all(connection).await?)
        })?;
        let mut members = found.iter().map(rows::member).collect::<Result<Vec<_>, _>>()?;
        members.sort_unstable_by_key(|member| (member.channel_id, member.user_id));
        let of = |pair: &(ChannelId, UserId)| {
            let place = members.binary_search_by_key(pair, |member| (member.channel_id, member.user_id));
            place.ok().map(|place| members[place].clone())
        };
        Ok(pairs.iter().map(of).collect())
    }
}

impl ChannelChanges for Directory {
    async fn create_channels(&self, channels: &[NewChannel]) -> Result<Vec<Created>, EngineError> {
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        transaction!(self, connection, {
            let people = channels
                .iter()
                .flat_map(|new| new.members.iter().map(|(user, _)| *user).chain([new.channel.creator_id]));
            hold(connection, &people.collect::<Vec<_>>()).await?;
            let mut created = Vec::with_capacity(channels.len());
            for new in channels {
                created.push(creation::create(connection, new).await?);
            }
            Ok(Commit(created))
        })
    }

    async fn change(
        &self,
        channel: ChannelId,
        actor: UserId,
        change: ChannelChange,
        now: UnixMillis,
    ) -> Result<Result<Vec<UserId>, ChangeRefused>, EngineError> {
        transaction!(self, connection, {
            // People before channels, as all do.
            if let ChannelChange::Add(users) = &change {
                let people = users.iter().map(|(user, _)| *user).chain([actor]);
                hold(connection, &people.collect::<Vec<_>>()).await?;
            }
            let Some(mut changing) = Changing::begin(connection, channel, actor, now).await? else {
                return Ok(Undo(Err(NO_SUCH_CHANNEL)));
            };
            let done = changing.change(connection, change.clone()).await?;
            if done.is_err() {
                return Ok(Undo(done));
            }
            changing.end(connection).await?;
            Ok(Commit(done))
        })
    }

    async fn mute(
        &self,
        channel: ChannelId,
        user: UserId,
        until: Option<UnixMillis>,
    ) -> Result<bool, EngineError> {
        transaction!(self, connection, {
            let done = sqlx::query(
                "UPDATE channel_members SET muted_until = $1 WHERE channel_id = $2 AND user_id = $3",
            );
            let done = done.bind(until.map(|until| to_column(until.0))).bind(channel.0).bind(user.0);
            Ok(Commit(done.execute(&mut *connection).await?.rows_affected() > 0))
        })
    }

    async fn dm_of(&self, one: UserId, other: UserId) -> Result<Option<ChannelId>, EngineError> {
        read!(self, connection, { dm_of(connection, one, other).await })
    }
}

async fn channels(connection: &mut PgConnection, ids: &[ChannelId]) -> Result<Vec<Channel>, Failure> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let found = sqlx::query(channels_where!("", "c.id = ANY($1)")).bind(ids).fetch_all(connection).await?;
    Ok(found.iter().map(rows::channel).collect::<Result<_, _>>()?)
}

async fn dm_of(
    connection: &mut PgConnection,
    one: UserId,
    other: UserId,
) -> Result<Option<ChannelId>, Failure> {
    let found = sqlx::query_scalar("SELECT channel_id FROM dm_pairs WHERE lower_id = $1 AND higher_id = $2");
    let found: Option<Uuid> =
        found.bind(one.min(other).0).bind(one.max(other).0).fetch_optional(connection).await?;
    Ok(found.map(ChannelId))
}

async fn insert_members(
    connection: &mut PgConnection,
    channel: ChannelId,
    users: &[(UserId, Role)],
    now: UnixMillis,
    version: u64,
) -> Result<(), Failure> {
    let ids: Vec<Uuid> = users.iter().map(|(user, _)| user.0).collect();
    let roles: Vec<&str> = users.iter().map(|(_, role)| role.name()).collect();
    sqlx::query(
        "INSERT INTO channel_members (channel_id, user_id, role, joined_at, version) \
         SELECT $1, new.id, new.role, $4, $5 FROM unnest($2::UUID[], $3::TEXT[]) AS new (id, role)",
    )
    .bind(channel.0)
    .bind(ids)
    .bind(roles)
    .bind(to_column(now.0))
    .bind(to_column(version))
    .execute(connection)
    .await?;
    Ok(())
}

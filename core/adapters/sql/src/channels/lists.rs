//! Channels as one person finds and lists them.

use ringside_ports::EngineError;
use ringside_ports::channels::{Channel, ChannelLists, ListRange, Member};
use ringside_types::text::unaccented;
use ringside_types::{ChannelId, UserId};
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, SqlitePool};

use super::{CHANNELS, CONFIRMED, IS_THERE, MEMBERS};
use crate::accounts::BOUND_MAX;
use crate::directory::{Directory, failed};
use crate::rows;

impl ChannelLists for Directory {
    async fn list_memberships(&self, user: UserId, range: ListRange) -> Result<Vec<Member>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new(MEMBERS);
        query.push("m.user_id = ").push_bind(user.as_bytes().to_vec()).push(" AND ").push(CONFIRMED);
        if let Some(before) = range.before {
            query.push(" AND m.channel_id < ").push_bind(before.as_bytes().to_vec());
        }
        query.push(" ORDER BY m.channel_id DESC LIMIT ").push_bind(range.limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found.iter().map(rows::member).collect()
    }

    async fn discover(
        &self,
        text: &str,
        after: Option<ChannelId>,
        limit: usize,
    ) -> Result<Vec<(Channel, u64)>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new(CHANNELS);
        query.push(", (SELECT count(*) FROM channel_members m WHERE m.channel_id = c.id) AS member_count");
        query.push(" FROM channels c WHERE c.type = 'public' AND ").push(IS_THERE);
        if !text.is_empty() {
            let literal = unaccented(text).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
            query.push(" AND c.name_bare LIKE ").push_bind(format!("%{literal}%")).push(" ESCAPE '\\'");
        }
        if let Some(after) = after {
            query.push(" AND c.id > ").push_bind(after.as_bytes().to_vec());
        }
        query.push(" ORDER BY c.id LIMIT ").push_bind(limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found.iter().map(|row| Ok((rows::channel(row)?, rows::number(row, "member_count")?))).collect()
    }

    async fn peers(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<(ChannelId, UserId)>, EngineError> {
        let mut peers = Vec::new();
        for part in channels.chunks(BOUND_MAX) {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM dm_pairs WHERE channel_id IN (");
            let mut list = query.separated(", ");
            for channel in part {
                list.push_bind(channel.as_bytes().to_vec());
            }
            query.push(")");
            for row in query.build().fetch_all(&self.readers).await.map_err(failed)? {
                let (lower, higher) = (rows::user_id(&row, "lower_id")?, rows::user_id(&row, "higher_id")?);
                if user == lower || user == higher {
                    let peer = if user == lower { higher } else { lower };
                    peers.push((rows::channel_id(&row, "channel_id")?, peer));
                }
            }
        }
        Ok(peers)
    }
}

/// Writes what the channels of an earlier version are found by.
pub(crate) async fn write_bare_names(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    loop {
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        let found = sqlx::query("SELECT id, name FROM channels WHERE name_bare IS NULL LIMIT ?")
            .bind(BOUND_MAX as i64)
            .fetch_all(&mut *transaction)
            .await?;
        for row in &found {
            sqlx::query("UPDATE channels SET name_bare = ? WHERE id = ?")
                .bind(unaccented(row.try_get("name")?))
                .bind(row.try_get::<&[u8], _>("id")?)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        if found.is_empty() {
            return Ok(());
        }
    }
}

pub(super) async fn dm_of(
    connection: &mut SqliteConnection,
    one: UserId,
    other: UserId,
) -> Result<Option<ChannelId>, EngineError> {
    let found = sqlx::query("SELECT channel_id FROM dm_pairs WHERE lower_id = ? AND higher_id = ?")
        .bind(one.min(other).as_bytes().to_vec())
        .bind(one.max(other).as_bytes().to_vec())
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    found.map(|row| rows::channel_id(&row, "channel_id")).transpose()
}

//! Channels as one person finds and lists them.

use ringside_ports::EngineError;
use ringside_ports::channels::{Channel, ChannelLists, ListRange, Member};
use ringside_types::text::unaccented;
use ringside_types::{ChannelId, UserId};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{channels_where, members_where};
use crate::accounts::is_storable;
use crate::directory::Directory;
use crate::rows;
use crate::transaction::read;

impl ChannelLists for Directory {
    async fn list_memberships(&self, user: UserId, range: ListRange) -> Result<Vec<Member>, EngineError> {
        let found = read!(self, connection, {
            let found = sqlx::query(members_where!(
                "m.user_id = $1 AND ($2::UUID IS NULL OR m.channel_id < $2) ORDER BY m.channel_id DESC LIMIT $3"
            ));
            let found = found.bind(user.0).bind(range.before.map(|id| id.0)).bind(range.limit as i64);
            Ok(found.fetch_all(connection).await?)
        })?;
        found.iter().map(rows::member).collect()
    }

    async fn discover(
        &self,
        text: &str,
        after: Option<ChannelId>,
        limit: usize,
    ) -> Result<Vec<(Channel, u64)>, EngineError> {
        if !is_storable(text) {
            return Ok(Vec::new());
        }
        let text = unaccented(text);
        let found = read!(self, connection, {
            let found = sqlx::query(channels_where!(
                ", (SELECT count(*) FROM channel_members m WHERE m.channel_id = c.id) AS member_count",
                "c.type = 'public' AND ($1 = '' OR position($1 IN c.name_bare) > 0) AND ($2::UUID IS NULL OR c.id > $2) \
                 ORDER BY c.id LIMIT $3"
            ));
            let found = found.bind(&text).bind(after.map(|id| id.0)).bind(limit as i64);
            Ok(found.fetch_all(connection).await?)
        })?;
        found.iter().map(|row| Ok((rows::channel(row)?, rows::number(row, "member_count")?))).collect()
    }

    async fn peers(
        &self,
        user: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<(ChannelId, UserId)>, EngineError> {
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = channels.iter().map(|id| id.0).collect();
        let found = read!(self, connection, {
            let found = sqlx::query(
                "SELECT channel_id, CASE lower_id WHEN $1 THEN higher_id ELSE lower_id END AS peer_id FROM dm_pairs \
                 WHERE channel_id = ANY($2) AND $1 IN (lower_id, higher_id)",
            );
            Ok(found.bind(user.0).bind(&ids).fetch_all(connection).await?)
        })?;
        let peer = |row: &PgRow| Ok((rows::channel_id(row, "channel_id")?, rows::user_id(row, "peer_id")?));
        found.iter().map(peer).collect()
    }
}

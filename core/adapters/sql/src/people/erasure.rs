//! Erasure: what an account leaves behind is an id, a name made of it, and what the audit log says.

use ringside_ports::EngineError;
use ringside_ports::people::profiles::{erased_email, erased_names};
use ringside_types::{ChannelId, UnixMillis, UserId};
use sqlx::SqliteConnection;

use super::audit;
use crate::channels::Changing;
use crate::directory::failed;
use crate::rows;

/// What goes with the account; each statement takes its id, everywhere it stands.
const GONE: [&str; 6] = [
    // Their refresh tokens go with them.
    "DELETE FROM sessions WHERE user_id = ?1",
    "DELETE FROM contacts WHERE user_id = ?1 OR contact_id = ?1",
    "DELETE FROM blocks WHERE blocker_id = ?1 OR blocked_id = ?1",
    "DELETE FROM invitations WHERE used_by = ?1",
    "DELETE FROM name_words WHERE user_id = ?1",
    "DELETE FROM channel_invitations WHERE user_id = ?1 OR inviter_id = ?1",
];

/// Erases an account inside the transaction of this connection; see [`ringside_ports::people::profiles::Profiles::erase`].
pub(super) async fn run(
    connection: &mut SqliteConnection,
    user: UserId,
    actor: Option<UserId>,
    now: UnixMillis,
) -> Result<Option<Vec<ChannelId>>, EngineError> {
    let id = user.as_bytes().to_vec();
    let found = sqlx::query("SELECT erased_at IS NULL AS is_there FROM users WHERE id = ?").bind(&id);
    let Some(row) = found.fetch_optional(&mut *connection).await.map_err(failed)? else { return Ok(None) };
    if rows::number(&row, "is_there")? == 0 {
        return Ok(Some(Vec::new()));
    }
    let username = free_name(connection, user).await?;
    let email = erased_email(user);
    sqlx::query(
        "UPDATE users SET email = ?1, email_folded = ?1, username = ?2, username_folded = ?2, password_hash = '', \
         display_name = '', display_name_folded = '', avatar_url = '', status_message = '', settings = '{}', \
         status_expires_at = NULL, last_seen_at = NULL, role = 'user', updated_at = ?3, erased_at = ?3 WHERE id = ?4",
    )
    .bind(&email)
    .bind(&username)
    .bind(now.0 as i64)
    .bind(&id)
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    for statement in GONE {
        sqlx::query(statement).bind(&id).execute(&mut *connection).await.map_err(failed)?;
    }
    let channels = leave_all(connection, user, actor.unwrap_or(user), now).await?;
    audit(connection, now, actor, "erased", user).await?;
    Ok(Some(channels))
}

async fn free_name(connection: &mut SqliteConnection, user: UserId) -> Result<String, EngineError> {
    let [short, long] = erased_names(user);
    let taken = sqlx::query("SELECT 1 FROM users WHERE username_folded = ?").bind(&short);
    let taken = taken.fetch_optional(connection).await.map_err(failed)?.is_some();
    Ok(if taken { long } else { short })
}

/// Ends every membership, as a removal on its way to the log.
async fn leave_all(
    connection: &mut SqliteConnection,
    user: UserId,
    actor: UserId,
    now: UnixMillis,
) -> Result<Vec<ChannelId>, EngineError> {
    let found = sqlx::query("SELECT channel_id FROM channel_members WHERE user_id = ?")
        .bind(user.as_bytes().to_vec())
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    let mut left = Vec::with_capacity(found.len());
    for row in &found {
        let channel = rows::channel_id(row, "channel_id")?;
        if let Some(mut changing) = Changing::begin(connection, channel, actor, now).await? {
            changing.pass_on(connection, user).await?;
            changing.remove(connection, user).await?;
            changing.end(connection).await?;
            left.push(channel);
        }
    }
    Ok(left)
}

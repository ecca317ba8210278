//! Erasure: what an account leaves behind is an id, a name made of it, and what the audit log says.

use ringside_ports::people::profiles::{erased_email, erased_names};
use ringside_types::{ChannelId, UnixMillis, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::audit;
use crate::channels::Changing;
use crate::failure::Failure;
use crate::rows::{self, to_column};

/// What goes with the account; each statement takes its id, everywhere it stands.
const GONE: [&str; 6] = [
    // Their refresh tokens go with them.
    "DELETE FROM sessions WHERE user_id = $1",
    "DELETE FROM contacts WHERE user_id = $1 OR contact_id = $1",
    "DELETE FROM blocks WHERE blocker_id = $1 OR blocked_id = $1",
    "DELETE FROM invitations WHERE used_by = $1",
    "DELETE FROM name_words WHERE user_id = $1",
    "DELETE FROM channel_invitations WHERE user_id = $1 OR inviter_id = $1",
];

/// Erases an account inside the transaction of this connection; see [`ringside_ports::people::profiles::Administration::erase`].
pub(super) async fn run(
    connection: &mut PgConnection,
    user: UserId,
    actor: Option<UserId>,
    now: UnixMillis,
) -> Result<Option<Vec<ChannelId>>, Failure> {
    // Held alone from here on: nobody brings it into a channel that this would not find.
    let found = sqlx::query("SELECT erased_at IS NULL AS is_there FROM users WHERE id = $1 FOR UPDATE");
    let Some(row) = found.bind(user.0).fetch_optional(&mut *connection).await? else { return Ok(None) };
    if !rows::flag(&row, "is_there")? {
        return Ok(Some(Vec::new()));
    }
    let username = free_name(connection, user).await?;
    sqlx::query(
        "UPDATE users SET email = $1, email_folded = $1, username = $2, username_folded = $2, password_hash = '', \
         display_name = '', avatar_url = '', status_message = '', settings = '{}', email_shown_to = 'nobody', \
         status_expires_at = NULL, last_seen_at = NULL, role = 'user', updated_at = $3, erased_at = $3 WHERE id = $4",
    )
    .bind(erased_email(user))
    .bind(&username)
    .bind(to_column(now.0))
    .bind(user.0)
    .execute(&mut *connection)
    .await?;
    for statement in GONE {
        sqlx::query(statement).bind(user.0).execute(&mut *connection).await?;
    }
    let channels = leave_all(connection, user, actor.unwrap_or(user), now).await?;
    audit(connection, now, actor, "erased", user).await?;
    Ok(Some(channels))
}

async fn free_name(connection: &mut PgConnection, user: UserId) -> Result<String, Failure> {
    let [short, long] = erased_names(user);
    let taken = sqlx::query("SELECT 1 FROM users WHERE username_folded = $1").bind(&short);
    let is_taken = taken.fetch_optional(connection).await?.is_some();
    Ok(if is_taken { long } else { short })
}

/// Ends every membership, as a removal on its way to the log; the channels in the order of their ids, as all who hold several.
async fn leave_all(
    connection: &mut PgConnection,
    user: UserId,
    actor: UserId,
    now: UnixMillis,
) -> Result<Vec<ChannelId>, Failure> {
    let found =
        sqlx::query_scalar("SELECT channel_id FROM channel_members WHERE user_id = $1 ORDER BY channel_id");
    let found: Vec<Uuid> = found.bind(user.0).fetch_all(&mut *connection).await?;
    let mut left = Vec::with_capacity(found.len());
    for channel in found.into_iter().map(ChannelId) {
        if let Some(mut changing) = Changing::begin(connection, channel, actor, now).await? {
            changing.pass_on(connection, user).await?;
            // Somebody may have removed them meanwhile.
            if changing.remove(connection, user).await? {
                left.push(channel);
            }
            changing.end(connection).await?;
        }
    }
    Ok(left)
}

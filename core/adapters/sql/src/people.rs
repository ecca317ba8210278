//! People: profiles, search, relations, sessions in view, invitations, erasure, and the audit log.

mod erasure;
pub(crate) mod name_words;
mod profiles;
mod registration;
mod relations;
mod search;
mod sessions;

pub(crate) use relations::relationships;

use ringside_ports::EngineError;
use ringside_types::{UnixMillis, UserId};
use sqlx::SqliteConnection;

use crate::directory::failed;

/// Writes what was done into the audit log; `actor` `None`: the operator did it.
async fn audit(
    connection: &mut SqliteConnection,
    now: UnixMillis,
    actor: Option<UserId>,
    action: &'static str,
    subject: UserId,
) -> Result<(), EngineError> {
    sqlx::query("INSERT INTO audit_log (at, actor_id, action, subject_id) VALUES (?, ?, ?, ?)")
        .bind(now.0 as i64)
        .bind(actor.map(|actor| actor.as_bytes().to_vec()))
        .bind(action)
        .bind(subject.as_bytes().to_vec())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Whether all of these accounts are there and not erased.
async fn are_there(connection: &mut SqliteConnection, users: &[UserId]) -> Result<bool, EngineError> {
    for user in users {
        let found = sqlx::query("SELECT 1 FROM users WHERE id = ? AND erased_at IS NULL")
            .bind(user.as_bytes().to_vec())
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        if found.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

//! People: profiles, search, relations, sessions in view, invitations, erasure, and the audit log.

mod erasure;
pub(crate) mod name_words;
mod profiles;
mod registration;
mod relations;
mod search;
mod sessions;

pub(crate) use relations::{relationships, relationships_of_pairs};

use ringside_types::{UnixMillis, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::failure::Failure;
use crate::rows::to_column;

/// Writes what was done into the audit log; `actor` `None`: the operator did it.
async fn audit(
    connection: &mut PgConnection,
    now: UnixMillis,
    actor: Option<UserId>,
    action: &'static str,
    subject: UserId,
) -> Result<(), Failure> {
    sqlx::query("INSERT INTO audit_log (at, actor_id, action, subject_id) VALUES ($1, $2, $3, $4)")
        .bind(to_column(now.0))
        .bind(actor.map(|actor| actor.0))
        .bind(action)
        .bind(subject.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Holds these accounts as they are until the transaction ends: whoever decides by them is not overtaken by a block, a change
/// of settings or an erasure, which hold them alone. In the order of their ids, as all do, so that nobody waits in a circle.
pub(crate) async fn hold(connection: &mut PgConnection, users: &[UserId]) -> Result<(), Failure> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
    let held = sqlx::query("SELECT 1 FROM users WHERE id = ANY($1) ORDER BY id FOR SHARE");
    held.bind(ids).execute(connection).await?;
    Ok(())
}

/// Holds two accounts alone until the transaction ends; whether both are there and not erased.
async fn hold_alone(connection: &mut PgConnection, one: UserId, other: UserId) -> Result<bool, Failure> {
    let held = sqlx::query(
        "SELECT 1 FROM users WHERE id = ANY($1) AND erased_at IS NULL ORDER BY id FOR NO KEY UPDATE",
    );
    let held = held.bind(vec![one.0, other.0]).fetch_all(connection).await?;
    Ok(held.len() == if one == other { 1 } else { 2 })
}

//! Sessions as their user sees them, and passwords.

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::sessions::{PasswordChange, Session, Sessions, Which};
use ringside_types::{SessionId, UnixMillis, UserId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::audit;
use crate::directory::Directory;
use crate::failure::Failure;
use crate::rows::{self, to_column};
use crate::transaction::Ending::{Commit, Undo};
use crate::transaction::{read, transaction};

impl Sessions for Directory {
    async fn sessions(
        &self,
        user: UserId,
        open_at: Option<UnixMillis>,
        part: After<SessionId>,
    ) -> Result<Vec<Session>, EngineError> {
        let found = read!(self, connection, {
            let found = sqlx::query(
                "SELECT s.*, t.expires_at FROM sessions s CROSS JOIN LATERAL (SELECT coalesce(max(t.expires_at), 0) \
                 AS expires_at FROM refresh_tokens t WHERE t.session_id = s.id) t WHERE s.user_id = $1 \
                 AND ($2::UUID IS NULL OR s.id > $2) AND ($3::BIGINT IS NULL OR (NOT s.ended AND t.expires_at > $3)) \
                 ORDER BY s.id LIMIT $4",
            );
            let found = found.bind(user.0).bind(part.after.map(|id| id.0));
            let found = found.bind(open_at.map(|at| to_column(at.0))).bind(part.limit as i64);
            Ok(found.fetch_all(connection).await?)
        })?;
        found.iter().map(session_of).collect()
    }

    async fn end_sessions(&self, user: UserId, which: Which) -> Result<Vec<SessionId>, EngineError> {
        transaction!(self, connection, { Ok(Commit(end(connection, user, which).await?)) })
    }

    async fn password_hash(&self, user: UserId) -> Result<Option<String>, EngineError> {
        read!(self, connection, {
            let found =
                sqlx::query_scalar("SELECT password_hash FROM users WHERE id = $1 AND erased_at IS NULL");
            Ok(found.bind(user.0).fetch_optional(connection).await?)
        })
    }

    async fn change_password(&self, change: PasswordChange) -> Result<Option<Vec<SessionId>>, EngineError> {
        let PasswordChange { user_id, from, to, keep, actor, now } = change;
        transaction!(self, connection, {
            // Of changes at once the first takes the hash away that the others would replace.
            let done = sqlx::query(
                "UPDATE users SET password_hash = $1, updated_at = $2 WHERE id = $3 AND erased_at IS NULL \
                 AND ($4::TEXT IS NULL OR password_hash = $4)",
            );
            let done = done.bind(&to).bind(to_column(now.0)).bind(user_id.0).bind(&from);
            if done.execute(&mut *connection).await?.rows_affected() == 0 {
                return Ok(Undo(None));
            }
            let ended = end(connection, user_id, keep.map_or(Which::All, Which::AllBut)).await?;
            let action = if actor.is_some() { "password_changed" } else { "password_reset" };
            audit(connection, now, actor, action, user_id).await?;
            Ok(Commit(Some(ended)))
        })
    }
}

fn session_of(row: &PgRow) -> Result<Session, EngineError> {
    Ok(Session {
        id: rows::session_id(row, "id")?,
        device: rows::text(row, "device")?,
        created_at: rows::time(row, "created_at")?,
        used_at: rows::time(row, "used_at")?,
        expires_at: rows::time(row, "expires_at")?,
        ended: rows::flag(row, "ended")?,
    })
}

async fn end(connection: &mut PgConnection, user: UserId, which: Which) -> Result<Vec<SessionId>, Failure> {
    let (statement, session) = match which {
        Which::One(session) => {
            ("UPDATE sessions SET ended = TRUE WHERE user_id = $1 AND id = $2 RETURNING id", Some(session.0))
        }
        Which::AllBut(session) => (
            "UPDATE sessions SET ended = TRUE WHERE user_id = $1 AND id <> $2 AND NOT ended RETURNING id",
            Some(session.0),
        ),
        Which::All => (
            "UPDATE sessions SET ended = TRUE WHERE user_id = $1 AND $2::UUID IS NULL AND NOT ended RETURNING id",
            None,
        ),
    };
    let ended: Vec<Uuid> =
        sqlx::query_scalar(statement).bind(user.0).bind(session).fetch_all(connection).await?;
    Ok(ended.into_iter().map(SessionId).collect())
}

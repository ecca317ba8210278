//! Sessions as their user sees them, and passwords.

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::sessions::{PasswordChange, Session, Sessions, Which};
use ringside_types::{SessionId, UnixMillis, UserId};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::audit;
use crate::directory::{Directory, failed};
use crate::rows;

impl Sessions for Directory {
    async fn sessions(
        &self,
        user: UserId,
        open_at: Option<UnixMillis>,
        part: After<SessionId>,
    ) -> Result<Vec<Session>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT * FROM (SELECT s.*, (SELECT max(t.expires_at) FROM refresh_tokens t WHERE t.session_id = s.id) \
             AS expires_at FROM sessions s WHERE s.user_id = ",
        );
        query.push_bind(user.as_bytes().to_vec());
        if let Some(after) = part.after {
            query.push(" AND s.id > ").push_bind(after.as_bytes().to_vec());
        }
        query.push(") WHERE 1 = 1");
        if let Some(open_at) = open_at {
            query.push(" AND ended = 0 AND expires_at > ").push_bind(open_at.0 as i64);
        }
        query.push(" ORDER BY id LIMIT ").push_bind(part.limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found
            .iter()
            .map(|row| {
                Ok(Session {
                    id: rows::session_id(row, "id")?,
                    device: rows::text(row, "device")?,
                    created_at: UnixMillis(rows::number(row, "created_at")?),
                    used_at: UnixMillis(rows::number(row, "used_at")?),
                    expires_at: UnixMillis(rows::optional_number(row, "expires_at")?.unwrap_or(0)),
                    ended: rows::number(row, "ended")? != 0,
                })
            })
            .collect()
    }

    async fn end_sessions(&self, user: UserId, which: Which) -> Result<Vec<SessionId>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let ended = end(&mut transaction, user, which).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(ended)
    }

    async fn password_hash(&self, user: UserId) -> Result<Option<String>, EngineError> {
        let found = sqlx::query("SELECT password_hash FROM users WHERE id = ? AND erased_at IS NULL")
            .bind(user.as_bytes().to_vec())
            .fetch_optional(&self.readers)
            .await
            .map_err(failed)?;
        found.map(|row| rows::text(&row, "password_hash")).transpose()
    }

    async fn change_password(&self, change: PasswordChange) -> Result<Option<Vec<SessionId>>, EngineError> {
        let PasswordChange { user_id, from, to, keep, actor, now } = change;
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        // Of changes at once the first takes the hash away that the others would replace.
        let done = sqlx::query(
            "UPDATE users SET password_hash = ?1, updated_at = ?2 WHERE id = ?3 AND erased_at IS NULL \
             AND (?4 IS NULL OR password_hash = ?4)",
        )
        .bind(&to)
        .bind(now.0 as i64)
        .bind(user_id.as_bytes().to_vec())
        .bind(&from)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let ended = end(&mut transaction, user_id, keep.map_or(Which::All, Which::AllBut)).await?;
        let action = if actor.is_some() { "password_changed" } else { "password_reset" };
        audit(&mut transaction, now, actor, action, user_id).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Some(ended))
    }
}

async fn end(
    connection: &mut SqliteConnection,
    user: UserId,
    which: Which,
) -> Result<Vec<SessionId>, EngineError> {
    let mut query = QueryBuilder::<Sqlite>::new("UPDATE sessions SET ended = 1 WHERE user_id = ");
    query.push_bind(user.as_bytes().to_vec());
    match which {
        Which::One(session) => query.push(" AND id = ").push_bind(session.as_bytes().to_vec()),
        Which::AllBut(session) => {
            query.push(" AND ended = 0 AND id <> ").push_bind(session.as_bytes().to_vec())
        }
        Which::All => query.push(" AND ended = 0"),
    };
    query.push(" RETURNING id");
    let found = query.build().fetch_all(connection).await.map_err(failed)?;
    found.iter().map(|row| rows::session_id(row, "id")).collect()
}

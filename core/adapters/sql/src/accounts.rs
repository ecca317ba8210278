//! Accounts and sessions.

use ringside_ports::EngineError;
use ringside_ports::accounts::{Exchange, Exchanged, NewSession, NewUser, SignIn, Taken, User, UserReader};
use ringside_types::limits::RETRY_WITHIN_MS;
use ringside_types::text::folded;
use ringside_types::{SessionId, UnixMillis, UserId};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, SqlitePool};

use crate::directory::{Directory, failed};
use crate::people::name_words;
use crate::rows;

/// Values bound in one statement at the most; SQLite's own limit is 32,766.
pub(crate) const BOUND_MAX: usize = 1_000;

impl Directory {
    /// The rows of the accounts that there are among these, erased ones too.
    pub(crate) async fn user_rows(&self, ids: &[UserId]) -> Result<Vec<SqliteRow>, EngineError> {
        let mut found = Vec::with_capacity(ids.len());
        for part in ids.chunks(BOUND_MAX) {
            let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM users WHERE id IN (");
            let mut list = query.separated(", ");
            for id in part {
                list.push_bind(id.as_bytes().to_vec());
            }
            query.push(")");
            found.extend(query.build().fetch_all(&self.readers).await.map_err(failed)?);
        }
        Ok(found)
    }
}

impl UserReader for Directory {
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, EngineError> {
        self.user_rows(ids).await?.iter().map(rows::user).collect()
    }

    async fn users_named(&self, names: &[String]) -> Result<Vec<User>, EngineError> {
        let mut users = Vec::with_capacity(names.len());
        for part in names.chunks(BOUND_MAX) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "SELECT * FROM users WHERE erased_at IS NULL AND username_folded IN (",
            );
            let mut list = query.separated(", ");
            for name in part {
                list.push_bind(folded(name));
            }
            query.push(")");
            let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
            for row in &found {
                users.push(rows::user(row)?);
            }
        }
        Ok(users)
    }

    async fn sessions_open(&self, sessions: &[SessionId]) -> Result<Vec<bool>, EngineError> {
        let mut open = Vec::with_capacity(sessions.len());
        for session in sessions {
            let found = sqlx::query("SELECT 1 FROM sessions WHERE id = ? AND ended = 0")
                .bind(session.as_bytes().to_vec())
                .fetch_optional(&self.readers)
                .await
                .map_err(failed)?;
            open.push(found.is_some());
        }
        Ok(open)
    }
}

impl SignIn for Directory {
    async fn user_by_login(&self, login: &str) -> Result<Option<(User, String)>, EngineError> {
        let found = sqlx::query(
            "SELECT * FROM users WHERE (email_folded IN (?1, ?2) OR username_folded = ?1) AND erased_at IS NULL \
             ORDER BY email_folded = ?2 DESC",
        )
        .bind(folded(login))
        // Of an older version, where two addresses were told apart that are one now.
        .bind(login.to_lowercase())
        .fetch_optional(&self.readers)
        .await
        .map_err(failed)?;
        found.map(|row| Ok((rows::user(&row)?, rows::text(&row, "password_hash")?))).transpose()
    }

    async fn open_sessions(&self, sessions: &[NewSession]) -> Result<(), EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for new in sessions {
            sqlx::query(
                "INSERT INTO sessions (id, user_id, device, created_at, used_at) VALUES (?1, ?2, ?3, ?4, ?4)",
            )
            .bind(new.id.as_bytes().to_vec())
            .bind(new.user_id.as_bytes().to_vec())
            .bind(&new.device)
            .bind(new.created_at.0 as i64)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
            insert_token(&mut transaction, &new.refresh_hash, new.id, new.expires_at.0, 0).await?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, EngineError> {
        // The one writer makes racers wait for one another: the second finds the token spent.
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let found = sqlx::query(
            "SELECT t.session_id, t.expires_at, t.spent, t.spent_at, t.generation, s.user_id, s.ended \
             FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.hash = ?",
        )
        .bind(exchange.presented.to_vec())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let Some(row) = found else { return Ok(Exchanged::Refused) };
        let (session_id, user_id) = (rows::session_id(&row, "session_id")?, rows::user_id(&row, "user_id")?);
        if rows::number(&row, "ended")? != 0 {
            return Ok(Exchanged::Refused);
        }
        let is_retry = rows::number(&row, "spent")? != 0;
        let may_retry = exchange.now.0 <= rows::number(&row, "spent_at")?.saturating_add(RETRY_WITHIN_MS);
        let generation = rows::number(&row, "generation")? + 1;
        if is_retry
            && !(may_retry && supersede(&mut transaction, session_id, generation, exchange.now).await?)
        {
            end(&mut transaction, session_id).await?;
            transaction.commit().await.map_err(failed)?;
            return Ok(Exchanged::Replayed { user_id, session_id });
        }
        if rows::number(&row, "expires_at")? <= exchange.now.0 {
            return Ok(Exchanged::Refused);
        }
        sqlx::query("UPDATE refresh_tokens SET spent = 1, spent_at = ? WHERE hash = ? AND spent = 0")
            .bind(exchange.now.0 as i64)
            .bind(exchange.presented.to_vec())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let Exchange { replacement, expires_at, .. } = exchange;
        insert_token(&mut transaction, &replacement, session_id, expires_at.0, generation).await?;
        sqlx::query("UPDATE sessions SET used_at = ? WHERE id = ?")
            .bind(exchange.now.0 as i64)
            .bind(session_id.as_bytes().to_vec())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        // Tokens that have expired can't be exchanged, spent or not: nobody needs them.
        sqlx::query("DELETE FROM refresh_tokens WHERE session_id = ? AND expires_at <= ?")
            .bind(session_id.as_bytes().to_vec())
            .bind(exchange.now.0 as i64)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Exchanged::Rotated { user_id, session_id })
    }

    async fn end_session(&self, refresh_hash: [u8; 32]) -> Result<Option<(UserId, SessionId)>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let found = sqlx::query(
            "SELECT s.id, s.user_id FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.hash = ?",
        )
        .bind(refresh_hash.to_vec())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed)?;
        let Some(row) = found else { return Ok(None) };
        let session_id = rows::session_id(&row, "id")?;
        end(&mut transaction, session_id).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Some((rows::user_id(&row, "user_id")?, session_id)))
    }
}

/// Makes an account inside the transaction of this connection, or says what is in the way.
pub(crate) async fn create(
    connection: &mut SqliteConnection,
    new: &NewUser,
) -> Result<Option<Taken>, EngineError> {
    let in_the_way = taken_by(connection, &new.user).await?;
    if in_the_way.is_none() {
        insert(connection, new).await?;
    }
    Ok(in_the_way)
}

/// Folds the names and addresses that an earlier version wrote, and writes what people are found by. An address that is another account's then stays as it was.
pub(crate) async fn fold_names(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    loop {
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        let found = sqlx::query(
            "SELECT id, username, display_name, email FROM users WHERE display_name_folded IS NULL LIMIT ?",
        )
        .bind(BOUND_MAX as i64)
        .fetch_all(&mut *transaction)
        .await?;
        for row in &found {
            let names = (row.try_get::<&str, _>("username")?, row.try_get::<&str, _>("display_name")?);
            name_words::write(&mut transaction, row.try_get("id")?, names.into()).await?;
            for (update, column) in [
                ("UPDATE users SET display_name_folded = ? WHERE id = ?", "display_name"),
                ("UPDATE OR IGNORE users SET email_folded = ? WHERE id = ?", "email"),
            ] {
                sqlx::query(update)
                    .bind(folded(&row.try_get::<String, _>(column)?))
                    .bind(row.try_get::<Vec<u8>, _>("id")?)
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        if found.is_empty() {
            return Ok(());
        }
    }
}

async fn taken_by(connection: &mut SqliteConnection, user: &User) -> Result<Option<Taken>, EngineError> {
    for (column, text, taken) in [
        ("SELECT 1 FROM users WHERE email_folded = ?", &user.email, Taken::Email),
        ("SELECT 1 FROM users WHERE username_folded = ?", &user.username, Taken::Username),
    ] {
        let found = sqlx::query(column).bind(folded(text)).fetch_optional(&mut *connection).await;
        if found.map_err(failed)?.is_some() {
            return Ok(Some(taken));
        }
    }
    Ok(None)
}

async fn insert(connection: &mut SqliteConnection, new: &NewUser) -> Result<(), EngineError> {
    let user = &new.user;
    // The first account there ever is administers the server; the one writer makes racers wait for one another.
    sqlx::query(
        "INSERT INTO users (id, email, email_folded, username, username_folded, password_hash, display_name, \
         display_name_folded, avatar_url, created_at, updated_at, role) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, \
         CASE WHEN EXISTS (SELECT 1 FROM users) THEN 'user' ELSE 'admin' END)",
    )
    .bind(user.id.as_bytes().to_vec())
    .bind(&user.email)
    .bind(folded(&user.email))
    .bind(&user.username)
    .bind(folded(&user.username))
    .bind(&new.password_hash)
    .bind(&user.display_name)
    .bind(folded(&user.display_name))
    .bind(&user.avatar_url)
    .bind(user.created_at.0 as i64)
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    let names = [user.username.as_str(), &user.display_name];
    name_words::write(connection, user.id.as_bytes(), names).await.map_err(failed)
}

async fn insert_token(
    connection: &mut SqliteConnection,
    hash: &[u8; 32],
    session: SessionId,
    expires_at: u64,
    generation: u64,
) -> Result<(), EngineError> {
    sqlx::query("INSERT INTO refresh_tokens (hash, session_id, expires_at, generation) VALUES (?, ?, ?, ?)")
        .bind(hash.to_vec())
        .bind(session.as_bytes().to_vec())
        .bind(expires_at as i64)
        .bind(generation as i64)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Takes a session's unused token of this generation out of use, for another of the same generation. It joins those that
/// were spent before it: whoever holds it may retry as well. False: it has been used.
async fn supersede(
    connection: &mut SqliteConnection,
    session: SessionId,
    generation: u64,
    now: UnixMillis,
) -> Result<bool, EngineError> {
    let done = sqlx::query(
        "UPDATE refresh_tokens SET spent = 1, spent_at = ?, generation = generation - 1 \
         WHERE session_id = ? AND generation = ? AND spent = 0",
    )
    .bind(now.0 as i64)
    .bind(session.as_bytes().to_vec())
    .bind(generation as i64)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(done.rows_affected() == 1)
}

async fn end(connection: &mut SqliteConnection, session: SessionId) -> Result<(), EngineError> {
    sqlx::query("UPDATE sessions SET ended = 1 WHERE id = ?")
        .bind(session.as_bytes().to_vec())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

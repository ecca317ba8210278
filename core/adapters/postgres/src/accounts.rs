//! Accounts and sessions.

use ringside_ports::EngineError;
use ringside_ports::accounts::{Exchange, Exchanged, NewSession, NewUser, SignIn, Taken, User, UserReader};
use ringside_types::limits::RETRY_WITHIN_MS;
use ringside_types::text::folded;
use ringside_types::{SessionId, UserId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::directory::Directory;
use crate::failure::{Failure, unavailable};
use crate::people::name_words;
use crate::rows::{self, to_column};
use crate::transaction::Ending::{Commit, Undo};
use crate::transaction::{read, transaction};

/// An account that is in nobody's way though it was a moment ago is tried again so often.
const CREATE_ATTEMPTS: usize = 3;

impl Directory {
    /// The rows of the accounts that there are among these, erased ones too.
    pub(crate) async fn user_rows(&self, ids: &[UserId]) -> Result<Vec<PgRow>, EngineError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        read!(self, connection, {
            let found = sqlx::query("SELECT * FROM users WHERE id = ANY($1)").bind(&ids);
            Ok(found.fetch_all(connection).await?)
        })
    }
}

impl UserReader for Directory {
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, EngineError> {
        self.user_rows(ids).await?.iter().map(rows::user).collect()
    }

    async fn users_named(&self, names: &[String]) -> Result<Vec<User>, EngineError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<String> =
            names.iter().filter(|name| is_storable(name)).map(|name| folded(name)).collect();
        let found = read!(self, connection, {
            let found =
                sqlx::query("SELECT * FROM users WHERE erased_at IS NULL AND username_folded = ANY($1)");
            Ok(found.bind(&names).fetch_all(connection).await?)
        })?;
        found.iter().map(rows::user).collect()
    }

    async fn sessions_open(&self, sessions: &[SessionId]) -> Result<Vec<bool>, EngineError> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = sessions.iter().map(|id| id.0).collect();
        let open: Vec<Uuid> = read!(self, connection, {
            let found = sqlx::query_scalar("SELECT id FROM sessions WHERE id = ANY($1) AND NOT ended");
            Ok(found.bind(&ids).fetch_all(connection).await?)
        })?;
        Ok(ids.iter().map(|id| open.contains(id)).collect())
    }
}

impl SignIn for Directory {
    async fn user_by_login(&self, login: &str) -> Result<Option<(User, String)>, EngineError> {
        if !is_storable(login) {
            return Ok(None);
        }
        let login = folded(login);
        let found = read!(self, connection, {
            let found = sqlx::query(
                "SELECT * FROM users WHERE (email_folded = $1 OR username_folded = $1) AND erased_at IS NULL \
                 ORDER BY email_folded = $1 DESC LIMIT 1",
            );
            Ok(found.bind(&login).fetch_optional(connection).await?)
        })?;
        found.map(|row| Ok((rows::user(&row)?, rows::text(&row, "password_hash")?))).transpose()
    }

    async fn open_sessions(&self, sessions: &[NewSession]) -> Result<(), EngineError> {
        if sessions.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = sessions.iter().map(|new| new.id.0).collect();
        let users: Vec<Uuid> = sessions.iter().map(|new| new.user_id.0).collect();
        let devices: Vec<&str> = sessions.iter().map(|new| new.device.as_str()).collect();
        let made: Vec<i64> = sessions.iter().map(|new| to_column(new.created_at.0)).collect();
        let hashes: Vec<&[u8]> = sessions.iter().map(|new| &new.refresh_hash[..]).collect();
        let ends: Vec<i64> = sessions.iter().map(|new| to_column(new.expires_at.0)).collect();
        transaction!(self, connection, {
            sqlx::query(
                "INSERT INTO sessions (id, user_id, device, created_at, used_at) SELECT id, user_id, device, made, made \
                 FROM unnest($1::UUID[], $2::UUID[], $3::TEXT[], $4::BIGINT[]) AS new (id, user_id, device, made)",
            )
            .bind(&ids)
            .bind(&users)
            .bind(&devices)
            .bind(&made)
            .execute(&mut *connection)
            .await?;
            sqlx::query(
                "INSERT INTO refresh_tokens (session_id, hash, expires_at) \
                 SELECT * FROM unnest($1::UUID[], $2::BYTEA[], $3::BIGINT[])",
            )
            .bind(&ids)
            .bind(&hashes)
            .bind(&ends)
            .execute(&mut *connection)
            .await?;
            Ok(Commit(()))
        })
    }

    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged, EngineError> {
        transaction!(self, connection, { exchange_locked(connection, exchange).await })
    }

    async fn end_session(&self, refresh_hash: [u8; 32]) -> Result<Option<(UserId, SessionId)>, EngineError> {
        transaction!(self, connection, {
            let found = sqlx::query(
                "UPDATE sessions SET ended = TRUE WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = $1) \
                 RETURNING id, user_id",
            )
            .bind(&refresh_hash[..])
            .fetch_optional(&mut *connection)
            .await?;
            match found {
                None => Ok(Undo(None)),
                Some(row) => {
                    Ok(Commit(Some((rows::user_id(&row, "user_id")?, rows::session_id(&row, "id")?))))
                }
            }
        })
    }
}

/// Exchanges a token under its session's lock: racers for one session wait for one another, and what each decides by was
/// read after it had the lock.
async fn exchange_locked(
    connection: &mut PgConnection,
    exchange: Exchange,
) -> Result<crate::transaction::Ending<Exchanged>, Failure> {
    let session = sqlx::query(
        "SELECT id, user_id, ended FROM sessions WHERE id = (SELECT session_id FROM refresh_tokens WHERE hash = $1) \
         FOR UPDATE",
    );
    let session = session.bind(&exchange.presented[..]).fetch_optional(&mut *connection).await?;
    let Some(session) = session else { return Ok(Undo(Exchanged::Refused)) };
    let (session_id, user_id) = (rows::session_id(&session, "id")?, rows::user_id(&session, "user_id")?);
    let token =
        sqlx::query("SELECT expires_at, spent, spent_at, generation FROM refresh_tokens WHERE hash = $1");
    let token = token.bind(&exchange.presented[..]).fetch_optional(&mut *connection).await?;
    let Some(token) = token.filter(|_| matches!(rows::flag(&session, "ended"), Ok(false))) else {
        return Ok(Undo(Exchanged::Refused));
    };
    let is_retry = rows::flag(&token, "spent")?;
    let may_retry = exchange.now.0 <= rows::number(&token, "spent_at")?.saturating_add(RETRY_WITHIN_MS);
    let generation = to_column(rows::number(&token, "generation")?) + 1;
    let now = to_column(exchange.now.0);
    if is_retry && !(may_retry && supersede(connection, session_id, generation, now).await?) {
        let ended = sqlx::query("UPDATE sessions SET ended = TRUE WHERE id = $1").bind(session_id.0);
        ended.execute(&mut *connection).await?;
        return Ok(Commit(Exchanged::Replayed { user_id, session_id }));
    }
    if rows::number(&token, "expires_at")? <= exchange.now.0 {
        return Ok(Undo(Exchanged::Refused));
    }
    // Tokens that have expired can't be exchanged, spent or not: nobody needs them.
    sqlx::query(
        "WITH spent AS (UPDATE refresh_tokens SET spent = TRUE, spent_at = $2 WHERE hash = $1 AND NOT spent), \
         used AS (UPDATE sessions SET used_at = $2 WHERE id = $3), \
         expired AS (DELETE FROM refresh_tokens WHERE session_id = $3 AND expires_at <= $2 AND hash <> $1) \
         INSERT INTO refresh_tokens (hash, session_id, expires_at, generation) VALUES ($4, $3, $5, $6)",
    )
    .bind(&exchange.presented[..])
    .bind(now)
    .bind(session_id.0)
    .bind(&exchange.replacement[..])
    .bind(to_column(exchange.expires_at.0))
    .bind(generation)
    .execute(&mut *connection)
    .await?;
    Ok(Commit(Exchanged::Rotated { user_id, session_id }))
}

/// Takes a session's unused token of this generation out of use, for another of the same generation. It joins those that
/// were spent before it: whoever holds it may retry as well. False: it has been used.
async fn supersede(
    connection: &mut PgConnection,
    session: SessionId,
    generation: i64,
    now: i64,
) -> Result<bool, Failure> {
    let done = sqlx::query(
        "UPDATE refresh_tokens SET spent = TRUE, spent_at = $1, generation = generation - 1 \
         WHERE session_id = $2 AND generation = $3 AND NOT spent",
    );
    let done = done.bind(now).bind(session.0).bind(generation).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

/// Makes an account inside the transaction of this connection, or says what is in the way: the unique indexes decide.
pub(crate) async fn create(connection: &mut PgConnection, new: &NewUser) -> Result<Option<Taken>, Failure> {
    for _ in 0..CREATE_ATTEMPTS {
        if insert(connection, new).await? {
            let names = [new.user.username.as_str(), &new.user.display_name];
            name_words::write(connection, new.user.id, names).await?;
            return Ok(None);
        }
        // What was in the way may be gone meanwhile: an erased account's names are free.
        if let Some(taken) = taken_by(connection, &new.user).await? {
            return Ok(Some(taken));
        }
    }
    Err(unavailable(format!("the account {} can't be made: its id is another account's", new.user.id)).into())
}

async fn taken_by(connection: &mut PgConnection, user: &User) -> Result<Option<Taken>, Failure> {
    let found = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM users WHERE email_folded = $1) AS email, \
         EXISTS (SELECT 1 FROM users WHERE username_folded = $2) AS username",
    );
    let row = found.bind(folded(&user.email)).bind(folded(&user.username)).fetch_one(connection).await?;
    Ok(match (rows::flag(&row, "email")?, rows::flag(&row, "username")?) {
        (true, _) => Some(Taken::Email),
        (false, true) => Some(Taken::Username),
        (false, false) => None,
    })
}

/// Inserts an account; false: something is in the way. The first account there ever is administers the server: of racers
/// the one whose row comes first in `first_account`.
async fn insert(connection: &mut PgConnection, new: &NewUser) -> Result<bool, Failure> {
    let user = &new.user;
    let done = sqlx::query(
        "INSERT INTO users (id, email, email_folded, username, username_folded, password_hash, display_name, \
         avatar_url, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT DO NOTHING",
    )
    .bind(user.id.0)
    .bind(&user.email)
    .bind(folded(&user.email))
    .bind(&user.username)
    .bind(folded(&user.username))
    .bind(&new.password_hash)
    .bind(&user.display_name)
    .bind(&user.avatar_url)
    .bind(to_column(user.created_at.0))
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let first = sqlx::query(
        "WITH first AS (INSERT INTO first_account (user_id) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM first_account) \
         ON CONFLICT DO NOTHING RETURNING user_id) \
         UPDATE users SET role = 'admin' FROM first WHERE id = first.user_id",
    );
    first.bind(user.id.0).execute(connection).await?;
    Ok(true)
}

/// PostgreSQL holds no text with a NUL in it: nobody is called so.
pub(crate) fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

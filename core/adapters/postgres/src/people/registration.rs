//! How accounts come to be.

use ringside_ports::EngineError;
use ringside_ports::accounts::{NewUser, Taken};
use ringside_ports::people::After;
use ringside_ports::people::registration::{Admitted, Invitation, Registration};
use ringside_types::UnixMillis;
use ringside_types::text::folded;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::audit;
use crate::accounts;
use crate::directory::Directory;
use crate::rows::{self, to_column};
use crate::transaction::Ending::{Commit, Undo};
use crate::transaction::{read, transaction};

impl Registration for Directory {
    async fn create_users(&self, users: &[NewUser]) -> Result<Vec<Option<Taken>>, EngineError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        transaction!(self, connection, {
            let mut taken = vec![None; users.len()];
            // In one order, so that batches which name the same accounts don't wait in a circle.
            let mut order: Vec<usize> = (0..users.len()).collect();
            order.sort_by_cached_key(|place| folded(&users[*place].user.username));
            for place in order {
                taken[place] = accounts::create(connection, &users[place]).await?;
            }
            Ok(Commit(taken))
        })
    }

    async fn create_invited(
        &self,
        user: &NewUser,
        hash: [u8; 32],
        now: UnixMillis,
    ) -> Result<Admitted, EngineError> {
        transaction!(self, connection, {
            // Racers wait here for the first, then find it used.
            let good = sqlx::query(
                "SELECT 1 FROM invitations WHERE hash = $1 AND used_by IS NULL AND expires_at > $2 FOR UPDATE",
            );
            let good = good.bind(&hash[..]).bind(to_column(now.0)).fetch_optional(&mut *connection).await?;
            // Asked before the names are: without an invitation nobody learns which there are.
            if good.is_none() {
                return Ok(Undo(Admitted::Refused));
            }
            if let Some(taken) = accounts::create(connection, user).await? {
                return Ok(Undo(Admitted::Taken(taken)));
            }
            let used = sqlx::query("UPDATE invitations SET used_by = $1 WHERE hash = $2");
            used.bind(user.user.id.0).bind(&hash[..]).execute(&mut *connection).await?;
            let id = user.user.id;
            audit(connection, now, Some(id), "registered_with_invitation", id).await?;
            Ok(Commit(Admitted::Made))
        })
    }

    async fn invite(&self, invitations: &[Invitation]) -> Result<(), EngineError> {
        if invitations.is_empty() {
            return Ok(());
        }
        let hashes: Vec<&[u8]> = invitations.iter().map(|one| &one.hash[..]).collect();
        let made: Vec<i64> = invitations.iter().map(|one| to_column(one.created_at.0)).collect();
        let ends: Vec<i64> = invitations.iter().map(|one| to_column(one.expires_at.0)).collect();
        let users: Vec<Option<Uuid>> = invitations.iter().map(|one| one.used_by.map(|user| user.0)).collect();
        transaction!(self, connection, {
            sqlx::query(
                "INSERT INTO invitations (hash, created_at, expires_at, used_by) \
                 SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[], $3::BIGINT[], $4::UUID[])",
            )
            .bind(&hashes)
            .bind(&made)
            .bind(&ends)
            .bind(&users)
            .execute(&mut *connection)
            .await?;
            Ok(Commit(()))
        })
    }

    async fn invitation(&self, hash: [u8; 32]) -> Result<Option<Invitation>, EngineError> {
        let found = read!(self, connection, {
            let found = sqlx::query("SELECT * FROM invitations WHERE hash = $1").bind(&hash[..]);
            Ok(found.fetch_optional(connection).await?)
        })?;
        found.as_ref().map(invitation_of).transpose()
    }

    async fn invitations(&self, part: After<[u8; 32]>) -> Result<Vec<Invitation>, EngineError> {
        let found = read!(self, connection, {
            let found = sqlx::query(
                "SELECT * FROM invitations WHERE $1::BYTEA IS NULL OR hash > $1 ORDER BY hash LIMIT $2",
            );
            let after = part.after.as_ref().map(|hash| &hash[..]);
            Ok(found.bind(after).bind(part.limit as i64).fetch_all(connection).await?)
        })?;
        found.iter().map(invitation_of).collect()
    }

    async fn uninvite(&self, hash: [u8; 32]) -> Result<bool, EngineError> {
        transaction!(self, connection, {
            let done = sqlx::query("DELETE FROM invitations WHERE hash = $1 AND used_by IS NULL");
            let done = done.bind(&hash[..]).execute(&mut *connection).await?;
            Ok(Commit(done.rows_affected() > 0))
        })
    }
}

fn invitation_of(row: &PgRow) -> Result<Invitation, EngineError> {
    Ok(Invitation {
        hash: rows::hash(row, "hash")?,
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::time(row, "expires_at")?,
        used_by: rows::optional_user_id(row, "used_by")?,
    })
}

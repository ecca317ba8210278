//! How accounts come to be.

use ringside_ports::EngineError;
use ringside_ports::accounts::{NewUser, Taken};
use ringside_ports::people::After;
use ringside_ports::people::registration::{Admitted, Invitation, Registration};
use ringside_types::UnixMillis;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite};

use super::audit;
use crate::accounts;
use crate::directory::{Directory, failed};
use crate::rows;

impl Registration for Directory {
    async fn create_users(&self, users: &[NewUser]) -> Result<Vec<Option<Taken>>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let mut taken = Vec::with_capacity(users.len());
        for new in users {
            taken.push(accounts::create(&mut transaction, new).await?);
        }
        transaction.commit().await.map_err(failed)?;
        Ok(taken)
    }

    async fn create_invited(
        &self,
        user: &NewUser,
        hash: [u8; 32],
        now: UnixMillis,
    ) -> Result<Admitted, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let good =
            sqlx::query("SELECT 1 FROM invitations WHERE hash = ? AND used_by IS NULL AND expires_at > ?")
                .bind(hash.to_vec())
                .bind(now.0 as i64)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(failed)?;
        // Asked before the names are: without an invitation nobody learns which there are.
        if good.is_none() {
            return Ok(Admitted::Refused);
        }
        if let Some(taken) = accounts::create(&mut transaction, user).await? {
            return Ok(Admitted::Taken(taken));
        }
        sqlx::query("UPDATE invitations SET used_by = ? WHERE hash = ?")
            .bind(user.user.id.as_bytes().to_vec())
            .bind(hash.to_vec())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        audit(&mut transaction, now, Some(user.user.id), "registered_with_invitation", user.user.id).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(Admitted::Made)
    }

    async fn invite(&self, invitations: &[Invitation]) -> Result<(), EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for Invitation { hash, created_at, expires_at, used_by } in invitations {
            sqlx::query(
                "INSERT INTO invitations (hash, created_at, expires_at, used_by) VALUES (?, ?, ?, ?)",
            )
            .bind(hash.to_vec())
            .bind(created_at.0 as i64)
            .bind(expires_at.0 as i64)
            .bind(used_by.map(|user| user.as_bytes().to_vec()))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn invitation(&self, hash: [u8; 32]) -> Result<Option<Invitation>, EngineError> {
        let found = sqlx::query("SELECT * FROM invitations WHERE hash = ?").bind(hash.to_vec());
        found.fetch_optional(&self.readers).await.map_err(failed)?.as_ref().map(read).transpose()
    }

    async fn invitations(&self, part: After<[u8; 32]>) -> Result<Vec<Invitation>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM invitations");
        if let Some(after) = part.after {
            query.push(" WHERE hash > ").push_bind(after.to_vec());
        }
        query.push(" ORDER BY hash LIMIT ").push_bind(part.limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found.iter().map(read).collect()
    }

    async fn uninvite(&self, hash: [u8; 32]) -> Result<bool, EngineError> {
        let done = sqlx::query("DELETE FROM invitations WHERE hash = ? AND used_by IS NULL")
            .bind(hash.to_vec())
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }
}

fn read(row: &SqliteRow) -> Result<Invitation, EngineError> {
    Ok(Invitation {
        hash: rows::hash(row, "hash")?,
        created_at: UnixMillis(rows::number(row, "created_at")?),
        expires_at: UnixMillis(rows::number(row, "expires_at")?),
        used_by: rows::optional_user_id(row, "used_by")?,
    })
}

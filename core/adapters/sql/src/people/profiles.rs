//! Profiles, roles, and what the audit log says.

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::profiles::{
    Administration, AuditEntry, Changed, Found, Profile, ProfileChange, Profiles, SearchFor, ServerRole,
};
use ringside_types::text::folded;
use ringside_types::{ChannelId, UnixMillis, UserId};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{audit, erasure, search};
use crate::directory::{Directory, failed};
use crate::people::name_words;
use crate::rows;

impl Profiles for Directory {
    async fn profiles(&self, ids: &[UserId]) -> Result<Vec<Profile>, EngineError> {
        self.user_rows(ids).await?.iter().map(rows::profile).collect()
    }

    async fn change_profile(
        &self,
        user: UserId,
        change: ProfileChange,
        now: UnixMillis,
    ) -> Result<Changed, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let found = sqlx::query("SELECT * FROM users WHERE id = ? AND erased_at IS NULL")
            .bind(user.as_bytes().to_vec())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        let Some(row) = found else { return Ok(Changed::Gone) };
        let mut profile = rows::profile(&row)?;
        if !change.apply(&mut profile, now) {
            return Ok(Changed::Moved);
        }
        sqlx::query(
            "UPDATE users SET display_name = ?, display_name_folded = ?, avatar_url = ?, status_message = ?, \
             settings = ?, updated_at = ?, status_expires_at = ? WHERE id = ?",
        )
        .bind(&profile.user.display_name)
        .bind(folded(&profile.user.display_name))
        .bind(&profile.user.avatar_url)
        .bind(&profile.status_message)
        .bind(&profile.settings)
        .bind(now.0 as i64)
        .bind(profile.status_expires_at.map(|at| at.0 as i64))
        .bind(user.as_bytes().to_vec())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        let names = [profile.user.username.as_str(), &profile.user.display_name];
        name_words::write(&mut transaction, user.as_bytes(), names).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Changed::Done(Box::new(profile)))
    }

    async fn search(
        &self,
        search: &SearchFor,
        part: After<Found>,
    ) -> Result<Vec<(Found, Profile)>, EngineError> {
        search::run(&self.readers, search, part).await
    }

    async fn saw(&self, users: &[(UserId, UnixMillis)]) -> Result<(), EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for (user, at) in users {
            sqlx::query(
                "UPDATE users SET last_seen_at = max(ifnull(last_seen_at, 0), ?) WHERE id = ? AND erased_at IS NULL",
            )
            .bind(at.0 as i64)
            .bind(user.as_bytes().to_vec())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }
}

impl Administration for Directory {
    async fn every_profile(&self, part: After<UserId>) -> Result<Vec<Profile>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM users");
        if let Some(after) = part.after {
            query.push(" WHERE id > ").push_bind(after.as_bytes().to_vec());
        }
        query.push(" ORDER BY id LIMIT ").push_bind(part.limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found.iter().map(rows::profile).collect()
    }

    async fn set_role(&self, user: UserId, role: ServerRole, now: UnixMillis) -> Result<bool, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let done =
            sqlx::query("UPDATE users SET role = ?, updated_at = ? WHERE id = ? AND erased_at IS NULL")
                .bind(role.name())
                .bind(now.0 as i64)
                .bind(user.as_bytes().to_vec())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let action = match role {
            ServerRole::Admin => "made_admin",
            ServerRole::User => "made_user",
        };
        audit(&mut transaction, now, None, action, user).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn erase(
        &self,
        user: UserId,
        actor: Option<UserId>,
        now: UnixMillis,
    ) -> Result<Option<Vec<ChannelId>>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let erased = erasure::run(&mut transaction, user, actor, now).await?;
        transaction.commit().await.map_err(failed)?;
        if erased.is_some() {
            self.empty_journal().await;
        }
        Ok(erased)
    }

    async fn audit(&self, subject: UserId, part: After<i64>) -> Result<Vec<AuditEntry>, EngineError> {
        let found =
            sqlx::query("SELECT * FROM audit_log WHERE subject_id = ? AND id > ? ORDER BY id LIMIT ?")
                .bind(subject.as_bytes().to_vec())
                .bind(part.after.unwrap_or(0))
                .bind(part.limit as i64)
                .fetch_all(&self.readers)
                .await
                .map_err(failed)?;
        found
            .iter()
            .map(|row| {
                Ok(AuditEntry {
                    id: row.try_get("id").map_err(failed)?,
                    at: UnixMillis(rows::number(row, "at")?),
                    actor_id: rows::optional_user_id(row, "actor_id")?,
                    action: rows::text(row, "action")?,
                    subject_id: rows::user_id(row, "subject_id")?,
                })
            })
            .collect()
    }
}

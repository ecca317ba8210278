//! Profiles, roles, and what the audit log says.

use std::collections::BTreeMap;

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::privacy::{Audience, Privacy};
use ringside_ports::people::profiles::{
    Administration, AuditEntry, Changed, Found, Profile, ProfileChange, Profiles, SearchFor, ServerRole,
};
use ringside_types::{ChannelId, UnixMillis, UserId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{audit, erasure, name_words, search};
use crate::directory::Directory;
use crate::failure::Failure;
use crate::rows::{self, to_column};
use crate::transaction::Ending::{Commit, Undo};
use crate::transaction::{read, transaction};

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
        transaction!(self, connection, {
            let found =
                sqlx::query("SELECT * FROM users WHERE id = $1 AND erased_at IS NULL FOR NO KEY UPDATE");
            let found = found.bind(user.0).fetch_optional(&mut *connection).await?;
            let Some(row) = found else { return Ok(Undo(Changed::Gone)) };
            let mut profile = rows::profile(&row)?;
            if !change.clone().apply(&mut profile, now) {
                return Ok(Undo(Changed::Moved));
            }
            write(connection, &profile).await?;
            let names = [profile.user.username.as_str(), &profile.user.display_name];
            name_words::write(connection, user, names).await?;
            Ok(Commit(Changed::Done(Box::new(profile))))
        })
    }

    async fn search(
        &self,
        search: &SearchFor,
        part: After<Found>,
    ) -> Result<Vec<(Found, Profile)>, EngineError> {
        read!(self, connection, { search::run(connection, search, part).await })
    }

    async fn saw(&self, users: &[(UserId, UnixMillis)]) -> Result<(), EngineError> {
        if users.is_empty() {
            return Ok(());
        }
        let mut latest: BTreeMap<Uuid, i64> = BTreeMap::new();
        for (user, at) in users {
            let last = latest.entry(user.0).or_default();
            *last = to_column(at.0).max(*last);
        }
        let (ids, times): (Vec<Uuid>, Vec<i64>) = latest.into_iter().unzip();
        transaction!(self, connection, {
            // In the order of their ids, as all who hold several accounts.
            sqlx::query(
                "WITH held AS (SELECT id FROM users WHERE id = ANY($1) AND erased_at IS NULL ORDER BY id \
                 FOR NO KEY UPDATE) UPDATE users u SET last_seen_at = greatest(u.last_seen_at, seen.at) \
                 FROM unnest($1::UUID[], $2::BIGINT[]) AS seen (id, at), held WHERE u.id = held.id AND u.id = seen.id",
            )
            .bind(&ids)
            .bind(&times)
            .execute(&mut *connection)
            .await?;
            Ok(Commit(()))
        })
    }
}

impl Administration for Directory {
    async fn every_profile(&self, part: After<UserId>) -> Result<Vec<Profile>, EngineError> {
        let found = read!(self, connection, {
            let found =
                sqlx::query("SELECT * FROM users WHERE $1::UUID IS NULL OR id > $1 ORDER BY id LIMIT $2");
            let found = found.bind(part.after.map(|id| id.0)).bind(part.limit as i64);
            Ok(found.fetch_all(connection).await?)
        })?;
        found.iter().map(rows::profile).collect()
    }

    async fn set_role(&self, user: UserId, role: ServerRole, now: UnixMillis) -> Result<bool, EngineError> {
        let action = match role {
            ServerRole::Admin => "made_admin",
            ServerRole::User => "made_user",
        };
        transaction!(self, connection, {
            let done = sqlx::query(
                "UPDATE users SET role = $1, updated_at = $2 WHERE id = $3 AND erased_at IS NULL",
            );
            let done = done.bind(role.name()).bind(to_column(now.0)).bind(user.0);
            if done.execute(&mut *connection).await?.rows_affected() == 0 {
                return Ok(Undo(false));
            }
            audit(connection, now, None, action, user).await?;
            Ok(Commit(true))
        })
    }

    async fn erase(
        &self,
        user: UserId,
        actor: Option<UserId>,
        now: UnixMillis,
    ) -> Result<Option<Vec<ChannelId>>, EngineError> {
        transaction!(self, connection, {
            Ok(match erasure::run(connection, user, actor, now).await? {
                None => Undo(None),
                erased => Commit(erased),
            })
        })
    }

    async fn audit(&self, subject: UserId, part: After<i64>) -> Result<Vec<AuditEntry>, EngineError> {
        let found = read!(self, connection, {
            let found =
                sqlx::query("SELECT * FROM audit_log WHERE subject_id = $1 AND id > $2 ORDER BY id LIMIT $3");
            let found = found.bind(subject.0).bind(part.after.unwrap_or(0)).bind(part.limit as i64);
            Ok(found.fetch_all(connection).await?)
        })?;
        let entry = |row: &PgRow| {
            Ok(AuditEntry {
                id: rows::get(row, "id")?,
                at: rows::time(row, "at")?,
                actor_id: rows::optional_user_id(row, "actor_id")?,
                action: rows::text(row, "action")?,
                subject_id: rows::user_id(row, "subject_id")?,
            })
        };
        found.iter().map(entry).collect()
    }
}

async fn write(connection: &mut PgConnection, profile: &Profile) -> Result<(), Failure> {
    let email_shown_to = match Privacy::of(&profile.settings).email {
        Audience::Everyone => "everyone",
        Audience::Contacts => "contacts",
        Audience::Nobody => "nobody",
    };
    sqlx::query(
        "UPDATE users SET display_name = $1, avatar_url = $2, status_message = $3, settings = $4, updated_at = $5, \
         status_expires_at = $6, email_shown_to = $7 WHERE id = $8",
    )
    .bind(&profile.user.display_name)
    .bind(&profile.user.avatar_url)
    .bind(&profile.status_message)
    .bind(&profile.settings)
    .bind(to_column(profile.updated_at.0))
    .bind(profile.status_expires_at.map(|at| to_column(at.0)))
    .bind(email_shown_to)
    .bind(profile.user.id.0)
    .execute(connection)
    .await?;
    Ok(())
}

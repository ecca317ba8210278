//! Contacts and blocks.

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::privacy::Privacy;
use ringside_ports::people::relations::{
    Block, Contact, ContactState, Relations, Relationship, Relationships, Requested,
};
use ringside_types::{UnixMillis, UserId};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::are_there;
use crate::accounts::BOUND_MAX;
use crate::channels::reconsider_dm;
use crate::directory::{Directory, failed};
use crate::rows;

impl Relations for Directory {
    async fn request_contact(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMillis,
    ) -> Result<Requested, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        if !are_there(&mut transaction, &[user, other]).await? {
            return Ok(Requested::Gone);
        }
        if are_apart(&mut transaction, user, other).await? {
            return Ok(Requested::Blocked);
        }
        let contact = match contact(&mut transaction, user, other).await? {
            None => {
                for (one, another, state) in
                    [(user, other, ContactState::Outgoing), (other, user, ContactState::Incoming)]
                {
                    insert(&mut transaction, one, another, state, now).await?;
                }
                Contact { user_id: other, state: ContactState::Outgoing, created_at: now, accepted_at: None }
            }
            Some(asked) if asked.state == ContactState::Incoming => {
                accept(&mut transaction, user, asked, now).await?
            }
            Some(known) => return Ok(Requested::Known(known)),
        };
        transaction.commit().await.map_err(failed)?;
        Ok(Requested::New(contact))
    }

    async fn accept_contact(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMillis,
    ) -> Result<Option<Contact>, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let accepted = match contact(&mut transaction, user, other).await? {
            None => None,
            Some(contact) => match contact.state {
                ContactState::Outgoing => None,
                ContactState::Incoming => Some(accept(&mut transaction, user, contact, now).await?),
                ContactState::Accepted => Some(contact),
            },
        };
        transaction.commit().await.map_err(failed)?;
        Ok(accepted)
    }

    async fn remove_contact(&self, user: UserId, other: UserId) -> Result<bool, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let removed = remove(&mut transaction, user, other).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(removed)
    }

    async fn contacts(
        &self,
        user: UserId,
        state: Option<ContactState>,
        part: After<UserId>,
    ) -> Result<Vec<Contact>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM contacts WHERE user_id = ");
        query.push_bind(user.as_bytes().to_vec());
        if let Some(state) = state {
            query.push(" AND state = ").push_bind(state.name());
        }
        if let Some(after) = part.after {
            query.push(" AND contact_id > ").push_bind(after.as_bytes().to_vec());
        }
        query.push(" ORDER BY contact_id LIMIT ").push_bind(part.limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found.iter().map(contact_of).collect()
    }

    async fn block(&self, user: UserId, other: UserId, now: UnixMillis) -> Result<bool, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        if !are_there(&mut transaction, &[user, other]).await? {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES (?, ?, ?) \
             ON CONFLICT (blocker_id, blocked_id) DO NOTHING",
        )
        .bind(user.as_bytes().to_vec())
        .bind(other.as_bytes().to_vec())
        .bind(now.0 as i64)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        remove(&mut transaction, user, other).await?;
        reconsider_dm(&mut transaction, user, other, true, now).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn unblock(&self, user: UserId, other: UserId) -> Result<bool, EngineError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let done = sqlx::query("DELETE FROM blocks WHERE blocker_id = ? AND blocked_id = ?")
            .bind(user.as_bytes().to_vec())
            .bind(other.as_bytes().to_vec())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        // The other may block too.
        let is_closed = are_apart(&mut transaction, user, other).await?;
        reconsider_dm(&mut transaction, user, other, is_closed, UnixMillis(0)).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }
}

impl Relationships for Directory {
    async fn relationships(
        &self,
        viewer: UserId,
        others: &[UserId],
    ) -> Result<Vec<Option<Relationship>>, EngineError> {
        let mut reader = self.readers.acquire().await.map_err(failed)?;
        relationships(&mut reader, viewer, others).await
    }

    async fn blocks(&self, user: UserId, part: After<UserId>) -> Result<Vec<Block>, EngineError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM blocks WHERE blocker_id = ");
        query.push_bind(user.as_bytes().to_vec());
        if let Some(after) = part.after {
            query.push(" AND blocked_id > ").push_bind(after.as_bytes().to_vec());
        }
        query.push(" ORDER BY blocked_id LIMIT ").push_bind(part.limit as i64);
        let found = query.build().fetch_all(&self.readers).await.map_err(failed)?;
        found
            .iter()
            .map(|row| {
                Ok(Block {
                    user_id: rows::user_id(row, "blocked_id")?,
                    created_at: UnixMillis(rows::number(row, "created_at")?),
                })
            })
            .collect()
    }
}

/// Where a viewer stands with each of these; see [`Relations::relationships`].
pub(crate) async fn relationships(
    connection: &mut SqliteConnection,
    viewer: UserId,
    others: &[UserId],
) -> Result<Vec<Option<Relationship>>, EngineError> {
    let mut known = Vec::with_capacity(others.len());
    for part in others.chunks(BOUND_MAX) {
        let mut query = standings_query(viewer, part);
        for row in query.build().fetch_all(&mut *connection).await.map_err(failed)? {
            known.push((rows::user_id(&row, "id")?, relationship_of(&row)?));
        }
    }
    known.sort_unstable_by_key(|(id, _)| *id);
    let relationship =
        |other: &UserId| known.binary_search_by_key(other, |(id, _)| *id).ok().map(|at| known[at].1);
    Ok(others.iter().map(relationship).collect())
}

fn standings_query(viewer: UserId, others: &[UserId]) -> QueryBuilder<Sqlite> {
    let viewer = viewer.as_bytes().to_vec();
    let mut query = QueryBuilder::new("SELECT u.id, u.settings");
    query.push(", EXISTS (SELECT 1 FROM contacts c WHERE c.contact_id = u.id AND c.state = 'accepted' AND c.user_id = ");
    query.push_bind(viewer.clone()).push(") AS is_contact");
    query.push(", EXISTS (SELECT 1 FROM blocks b WHERE b.blocked_id = u.id AND b.blocker_id = ");
    query.push_bind(viewer.clone()).push(") AS blocks");
    query.push(", EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = ");
    query.push_bind(viewer.clone()).push(") AS is_blocked");
    query.push(", EXISTS (SELECT 1 FROM dm_pairs d WHERE d.lower_id = min(u.id, ").push_bind(viewer.clone());
    query.push(") AND d.higher_id = max(u.id, ").push_bind(viewer).push(")) AS has_dm");
    query.push(" FROM users u WHERE u.erased_at IS NULL AND u.id IN (");
    let mut list = query.separated(", ");
    for id in others {
        list.push_bind(id.as_bytes().to_vec());
    }
    query.push(")");
    query
}

fn relationship_of(row: &SqliteRow) -> Result<Relationship, EngineError> {
    let flag = |column: &str| Ok::<bool, EngineError>(rows::number(row, column)? != 0);
    Ok(Relationship {
        is_contact: flag("is_contact")?,
        blocks: flag("blocks")?,
        is_blocked: flag("is_blocked")?,
        has_dm: flag("has_dm")?,
        privacy: Privacy::of(&rows::text(row, "settings")?),
    })
}

fn contact_of(row: &SqliteRow) -> Result<Contact, EngineError> {
    let state = rows::text(row, "state")?;
    Ok(Contact {
        user_id: rows::user_id(row, "contact_id")?,
        state: ContactState::from_name(&state)
            .ok_or_else(|| rows::damaged(format!("contact state {state:?}")))?,
        created_at: UnixMillis(rows::number(row, "created_at")?),
        accepted_at: rows::optional_number(row, "accepted_at")?.map(UnixMillis),
    })
}

async fn contact(
    connection: &mut SqliteConnection,
    user: UserId,
    other: UserId,
) -> Result<Option<Contact>, EngineError> {
    let found = sqlx::query("SELECT * FROM contacts WHERE user_id = ? AND contact_id = ?")
        .bind(user.as_bytes().to_vec())
        .bind(other.as_bytes().to_vec())
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    found.as_ref().map(contact_of).transpose()
}

async fn insert(
    connection: &mut SqliteConnection,
    user: UserId,
    other: UserId,
    state: ContactState,
    now: UnixMillis,
) -> Result<(), EngineError> {
    sqlx::query("INSERT INTO contacts (user_id, contact_id, state, created_at) VALUES (?, ?, ?, ?)")
        .bind(user.as_bytes().to_vec())
        .bind(other.as_bytes().to_vec())
        .bind(state.name())
        .bind(now.0 as i64)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Accepts what was asked, for both.
async fn accept(
    connection: &mut SqliteConnection,
    user: UserId,
    asked: Contact,
    now: UnixMillis,
) -> Result<Contact, EngineError> {
    sqlx::query(
        "UPDATE contacts SET state = 'accepted', accepted_at = ?3 WHERE (user_id = ?1 AND contact_id = ?2) \
         OR (user_id = ?2 AND contact_id = ?1)",
    )
    .bind(user.as_bytes().to_vec())
    .bind(asked.user_id.as_bytes().to_vec())
    .bind(now.0 as i64)
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(Contact { state: ContactState::Accepted, accepted_at: Some(now), ..asked })
}

async fn remove(connection: &mut SqliteConnection, user: UserId, other: UserId) -> Result<bool, EngineError> {
    let done = sqlx::query(
        "DELETE FROM contacts WHERE (user_id = ?1 AND contact_id = ?2) OR (user_id = ?2 AND contact_id = ?1)",
    )
    .bind(user.as_bytes().to_vec())
    .bind(other.as_bytes().to_vec())
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(done.rows_affected() > 0)
}

async fn are_apart(
    connection: &mut SqliteConnection,
    user: UserId,
    other: UserId,
) -> Result<bool, EngineError> {
    let found = sqlx::query(
        "SELECT 1 FROM blocks WHERE (blocker_id = ?1 AND blocked_id = ?2) OR (blocker_id = ?2 AND blocked_id = ?1)",
    )
    .bind(user.as_bytes().to_vec())
    .bind(other.as_bytes().to_vec())
    .fetch_optional(connection)
    .await
    .map_err(failed)?;
    Ok(found.is_some())
}

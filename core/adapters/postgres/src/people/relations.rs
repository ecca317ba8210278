//! Contacts and blocks.

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::privacy::Privacy;
use ringside_ports::people::relations::{
    Block, Contact, ContactState, Relations, Relationship, Relationships, Requested,
};
use ringside_types::{UnixMillis, UserId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::hold_alone;
use crate::channels::reconsider_dm;
use crate::directory::Directory;
use crate::failure::{Failure, damaged};
use crate::rows::{self, to_column};
use crate::transaction::Ending::{Commit, Undo};
use crate::transaction::{read, transaction};

/// Where viewers stand with others, pair by pair; `ordinality` says which pair.
const RELATIONSHIPS: &str = "SELECT pair.ordinality, u.settings, \
    EXISTS (SELECT 1 FROM contacts c WHERE c.user_id = pair.viewer AND c.contact_id = u.id AND c.state = 'accepted') \
    AS is_contact, \
    EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = pair.viewer AND b.blocked_id = u.id) AS blocks, \
    EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = pair.viewer) AS is_blocked, \
    EXISTS (SELECT 1 FROM dm_pairs d WHERE d.lower_id = least(u.id, pair.viewer) \
    AND d.higher_id = greatest(u.id, pair.viewer)) AS has_dm \
    FROM unnest($1::UUID[], $2::UUID[]) WITH ORDINALITY AS pair (viewer, other, ordinality) \
    JOIN users u ON u.id = pair.other AND u.erased_at IS NULL";

impl Relations for Directory {
    async fn request_contact(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMillis,
    ) -> Result<Requested, EngineError> {
        transaction!(self, connection, {
            if !hold_alone(connection, user, other).await? {
                return Ok(Undo(Requested::Gone));
            }
            if are_apart(connection, user, other).await? {
                return Ok(Undo(Requested::Blocked));
            }
            let contact = match contact(connection, user, other).await? {
                None => ask(connection, user, other, now).await?,
                Some(asked) if asked.state == ContactState::Incoming => {
                    accept(connection, user, asked, now).await?
                }
                Some(known) => return Ok(Undo(Requested::Known(known))),
            };
            Ok(Commit(Requested::New(contact)))
        })
    }

    async fn accept_contact(
        &self,
        user: UserId,
        other: UserId,
        now: UnixMillis,
    ) -> Result<Option<Contact>, EngineError> {
        transaction!(self, connection, {
            hold_alone(connection, user, other).await?;
            Ok(match contact(connection, user, other).await? {
                Some(asked) if asked.state == ContactState::Incoming => {
                    Commit(Some(accept(connection, user, asked, now).await?))
                }
                Some(contact) if contact.state == ContactState::Accepted => Undo(Some(contact)),
                _ => Undo(None),
            })
        })
    }

    async fn remove_contact(&self, user: UserId, other: UserId) -> Result<bool, EngineError> {
        transaction!(self, connection, {
            hold_alone(connection, user, other).await?;
            Ok(Commit(remove(connection, user, other).await?))
        })
    }

    async fn contacts(
        &self,
        user: UserId,
        state: Option<ContactState>,
        part: After<UserId>,
    ) -> Result<Vec<Contact>, EngineError> {
        let found = read!(self, connection, {
            let found = sqlx::query(
                "SELECT * FROM contacts WHERE user_id = $1 AND ($2::TEXT IS NULL OR state = $2) \
                 AND ($3::UUID IS NULL OR contact_id > $3) ORDER BY contact_id LIMIT $4",
            );
            let found = found.bind(user.0).bind(state.map(ContactState::name));
            let found = found.bind(part.after.map(|id| id.0)).bind(part.limit as i64);
            Ok(found.fetch_all(connection).await?)
        })?;
        found.iter().map(contact_of).collect()
    }

    async fn block(&self, user: UserId, other: UserId, now: UnixMillis) -> Result<bool, EngineError> {
        transaction!(self, connection, {
            if !hold_alone(connection, user, other).await? {
                return Ok(Undo(false));
            }
            let blocked = sqlx::query(
                "INSERT INTO blocks (blocker_id, blocked_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            );
            let blocked = blocked.bind(user.0).bind(other.0).bind(to_column(now.0));
            blocked.execute(&mut *connection).await?;
            remove(connection, user, other).await?;
            reconsider_dm(connection, user, other, true, now).await?;
            Ok(Commit(true))
        })
    }

    async fn unblock(&self, user: UserId, other: UserId) -> Result<bool, EngineError> {
        transaction!(self, connection, {
            hold_alone(connection, user, other).await?;
            let done = sqlx::query("DELETE FROM blocks WHERE blocker_id = $1 AND blocked_id = $2");
            let done = done.bind(user.0).bind(other.0).execute(&mut *connection).await?;
            // The other may block too.
            let is_closed = are_apart(connection, user, other).await?;
            reconsider_dm(connection, user, other, is_closed, UnixMillis(0)).await?;
            Ok(Commit(done.rows_affected() > 0))
        })
    }
}

impl Relationships for Directory {
    async fn relationships(
        &self,
        viewer: UserId,
        others: &[UserId],
    ) -> Result<Vec<Option<Relationship>>, EngineError> {
        if others.is_empty() {
            return Ok(Vec::new());
        }
        read!(self, connection, { relationships(connection, viewer, others).await })
    }

    async fn blocks(&self, user: UserId, part: After<UserId>) -> Result<Vec<Block>, EngineError> {
        let found = read!(self, connection, {
            let found = sqlx::query(
                "SELECT * FROM blocks WHERE blocker_id = $1 AND ($2::UUID IS NULL OR blocked_id > $2) \
                 ORDER BY blocked_id LIMIT $3",
            );
            let found = found.bind(user.0).bind(part.after.map(|id| id.0)).bind(part.limit as i64);
            Ok(found.fetch_all(connection).await?)
        })?;
        let block = |row: &PgRow| {
            Ok(Block {
                user_id: rows::user_id(row, "blocked_id")?,
                created_at: rows::time(row, "created_at")?,
            })
        };
        found.iter().map(block).collect()
    }
}

/// Where a viewer stands with each of these; see [`Relationships::relationships`].
pub(crate) async fn relationships(
    connection: &mut PgConnection,
    viewer: UserId,
    others: &[UserId],
) -> Result<Vec<Option<Relationship>>, Failure> {
    let pairs: Vec<(UserId, UserId)> = others.iter().map(|other| (viewer, *other)).collect();
    relationships_of_pairs(connection, &pairs).await
}

/// Where the first of each pair stands with the second, in one statement.
pub(crate) async fn relationships_of_pairs(
    connection: &mut PgConnection,
    pairs: &[(UserId, UserId)],
) -> Result<Vec<Option<Relationship>>, Failure> {
    let mut known = vec![None; pairs.len()];
    if pairs.is_empty() {
        return Ok(known);
    }
    let (viewers, others): (Vec<Uuid>, Vec<Uuid>) =
        pairs.iter().map(|(viewer, other)| (viewer.0, other.0)).unzip();
    let found = sqlx::query(RELATIONSHIPS).bind(viewers).bind(others).fetch_all(connection).await?;
    for row in &found {
        let place = usize::try_from(rows::number(row, "ordinality")?).map_err(damaged)?;
        if let Some(place) = place.checked_sub(1).and_then(|place| known.get_mut(place)) {
            *place = Some(relationship_of(row)?);
        }
    }
    Ok(known)
}

fn relationship_of(row: &PgRow) -> Result<Relationship, EngineError> {
    Ok(Relationship {
        is_contact: rows::flag(row, "is_contact")?,
        blocks: rows::flag(row, "blocks")?,
        is_blocked: rows::flag(row, "is_blocked")?,
        has_dm: rows::flag(row, "has_dm")?,
        privacy: Privacy::of(&rows::text(row, "settings")?),
    })
}

fn contact_of(row: &PgRow) -> Result<Contact, EngineError> {
    let state = rows::text(row, "state")?;
    Ok(Contact {
        user_id: rows::user_id(row, "contact_id")?,
        state: ContactState::from_name(&state).ok_or_else(|| damaged(format!("contact state {state:?}")))?,
        created_at: rows::time(row, "created_at")?,
        accepted_at: rows::optional_time(row, "accepted_at")?,
    })
}

async fn contact(
    connection: &mut PgConnection,
    user: UserId,
    other: UserId,
) -> Result<Option<Contact>, Failure> {
    let found = sqlx::query("SELECT * FROM contacts WHERE user_id = $1 AND contact_id = $2");
    let found = found.bind(user.0).bind(other.0).fetch_optional(connection).await?;
    Ok(found.as_ref().map(contact_of).transpose()?)
}

async fn ask(
    connection: &mut PgConnection,
    user: UserId,
    other: UserId,
    now: UnixMillis,
) -> Result<Contact, Failure> {
    let asked = sqlx::query(
        "INSERT INTO contacts (user_id, contact_id, state, created_at) \
         VALUES ($1, $2, 'outgoing', $3), ($2, $1, 'incoming', $3)",
    );
    asked.bind(user.0).bind(other.0).bind(to_column(now.0)).execute(connection).await?;
    Ok(Contact { user_id: other, state: ContactState::Outgoing, created_at: now, accepted_at: None })
}

/// Accepts what was asked, for both.
async fn accept(
    connection: &mut PgConnection,
    user: UserId,
    asked: Contact,
    now: UnixMillis,
) -> Result<Contact, Failure> {
    let accepted = sqlx::query(
        "UPDATE contacts SET state = 'accepted', accepted_at = $3 WHERE (user_id = $1 AND contact_id = $2) \
         OR (user_id = $2 AND contact_id = $1)",
    );
    accepted.bind(user.0).bind(asked.user_id.0).bind(to_column(now.0)).execute(connection).await?;
    Ok(Contact { state: ContactState::Accepted, accepted_at: Some(now), ..asked })
}

async fn remove(connection: &mut PgConnection, user: UserId, other: UserId) -> Result<bool, Failure> {
    let done = sqlx::query(
        "DELETE FROM contacts WHERE (user_id = $1 AND contact_id = $2) OR (user_id = $2 AND contact_id = $1)",
    );
    let done = done.bind(user.0).bind(other.0).execute(connection).await?;
    Ok(done.rows_affected() > 0)
}

async fn are_apart(connection: &mut PgConnection, user: UserId, other: UserId) -> Result<bool, Failure> {
    let found = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM blocks WHERE (blocker_id = $1 AND blocked_id = $2) \
         OR (blocker_id = $2 AND blocked_id = $1))",
    );
    Ok(found.bind(user.0).bind(other.0).fetch_one(connection).await?)
}

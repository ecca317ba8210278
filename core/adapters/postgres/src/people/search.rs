//! Search: two ordered reads of one index each, so that a page costs what it holds, however many match. Usernames that
//! begin with the text come first, then names with a word that does.

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::profiles::{Found, Profile, SearchFor};
use ringside_types::UserId;
use ringside_types::text::{Prefix, folded, unaccented};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::accounts::is_storable;
use crate::failure::Failure;
use crate::rows;

/// By the beginning of the username; after the one of $4.
const BY_USERNAME: &str = "SELECT u.* FROM users u WHERE u.erased_at IS NULL \
    AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = $1) \
    AND u.username_folded >= $2 AND u.username_folded < $3 \
    AND ($4::UUID IS NULL OR u.username_folded > (SELECT username_folded FROM users WHERE id = $4)) \
    ORDER BY u.username_folded LIMIT $5";

/// By the least of their words that begins so, where the username does not; after the one of $6.
const BY_WORD: &str = "SELECT u.* FROM name_words w JOIN users u ON u.id = w.user_id \
    WHERE w.word >= $2 AND w.word < $3 \
    AND NOT EXISTS (SELECT 1 FROM name_words o WHERE o.user_id = w.user_id AND o.word < w.word AND o.word >= $2) \
    AND NOT (u.username_folded >= $4 AND u.username_folded < $5) AND u.erased_at IS NULL \
    AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = $1) \
    AND ($6::UUID IS NULL OR (w.word, w.user_id) > (SELECT min(o.word COLLATE \"C\"), o.user_id FROM name_words o \
    WHERE o.user_id = $6 AND o.word >= $2 AND o.word < $3 GROUP BY o.user_id)) \
    ORDER BY w.word, w.user_id LIMIT $7";

/// One statement whether the address is someone's or not, and whether they show it or not: its time tells nothing.
const BY_EMAIL: &str = "SELECT u.* FROM users u WHERE u.email_folded = $2 AND u.erased_at IS NULL \
    AND NOT EXISTS (SELECT 1 FROM blocks b WHERE (b.blocker_id = u.id AND b.blocked_id = $1) \
    OR (b.blocker_id = $1 AND b.blocked_id = u.id)) \
    AND (u.id = $1 OR CASE u.email_shown_to WHEN 'everyone' THEN TRUE WHEN 'contacts' THEN \
    EXISTS (SELECT 1 FROM contacts c WHERE c.user_id = $1 AND c.contact_id = u.id AND c.state = 'accepted') \
    ELSE FALSE END)";

pub(super) async fn run(
    connection: &mut PgConnection,
    search: &SearchFor,
    part: After<Found>,
) -> Result<Vec<(Found, Profile)>, Failure> {
    if !is_storable(&search.text) {
        return Ok(Vec::new());
    }
    let text = folded(&search.text);
    if text.contains('@') {
        if part.after.is_some() || part.limit == 0 {
            return Ok(Vec::new());
        }
        let found = sqlx::query(BY_EMAIL).bind(search.viewer.0).bind(text).fetch_all(connection).await?;
        return Ok(profiles(&found, Found::ByUsername)?);
    }
    let words = Prefix::of(unaccented(&text));
    let prefix = Prefix::of(text);
    let mut found = Vec::new();
    let mut named_after = None;
    match part.after {
        Some(Found::ByDisplayName(id)) => named_after = Some(id),
        after => {
            let query = sqlx::query(BY_USERNAME).bind(search.viewer.0).bind(&prefix.from).bind(&prefix.below);
            let query = query.bind(after.map(|after| after.id().0)).bind(part.limit as i64);
            found = profiles(&query.fetch_all(&mut *connection).await?, Found::ByUsername)?;
        }
    }
    // Nothing but marks: no word begins so.
    if found.len() < part.limit && !words.from.is_empty() {
        let rest = part.limit - found.len();
        let query = sqlx::query(BY_WORD).bind(search.viewer.0).bind(&words.from).bind(&words.below);
        let query = query.bind(&prefix.from).bind(&prefix.below);
        let query = query.bind(named_after.map(|id| id.0)).bind(rest as i64);
        found.extend(profiles(&query.fetch_all(connection).await?, Found::ByDisplayName)?);
    }
    Ok(found)
}

fn profiles(rows: &[PgRow], found: fn(UserId) -> Found) -> Result<Vec<(Found, Profile)>, EngineError> {
    rows.iter()
        .map(|row| {
            let profile = rows::profile(row)?;
            Ok((found(profile.user.id), profile))
        })
        .collect()
}

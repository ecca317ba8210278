//! Search: two ordered reads of one index each, so that a page costs what it holds, however many match. Usernames that
//! begin with the text come first, then names with a word that does.

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::profiles::{Found, Profile, SearchFor};
use ringside_types::UserId;
use ringside_types::text::{Prefix, folded, unaccented};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use crate::directory::failed;
use crate::rows;

fn begins(query: &mut QueryBuilder<Sqlite>, prefix: &Prefix, column: &'static str) {
    query.push(column).push(" >= ").push_bind(prefix.from.clone());
    query.push(" AND ").push(column).push(" < ").push_bind(prefix.below.clone());
}

pub(super) async fn run(
    readers: &SqlitePool,
    search: &SearchFor,
    part: After<Found>,
) -> Result<Vec<(Found, Profile)>, EngineError> {
    let text = folded(&search.text);
    if text.contains('@') {
        let found = if part.after.is_none() && part.limit > 0 {
            by_email(readers, search.viewer, text).await?
        } else {
            None
        };
        return Ok(found.into_iter().collect());
    }
    let words = Prefix::of(unaccented(&text));
    let prefix = Prefix::of(text);
    let mut found = Vec::new();
    let mut named_after = None;
    match part.after {
        Some(Found::ByDisplayName(id)) => named_after = Some(id),
        after => {
            let mut query = visible(search.viewer);
            query.push(" AND ");
            begins(&mut query, &prefix, "u.username_folded");
            if let Some(after) = after.map(Found::id) {
                query.push(" AND u.username_folded > (SELECT username_folded FROM users WHERE id = ");
                query.push_bind(after.as_bytes().to_vec()).push(")");
            }
            query.push(" ORDER BY u.username_folded LIMIT ").push_bind(part.limit as i64);
            found = read(readers, query, Found::ByUsername).await?;
        }
    }
    if found.len() < part.limit {
        let rest = part.limit - found.len();
        found.extend(by_word(readers, search.viewer, [&prefix, &words], named_after, rest).await?);
    }
    Ok(found)
}

/// Those whose username does not begin with the text, by the least of their words that does.
async fn by_word(
    readers: &SqlitePool,
    viewer: UserId,
    [usernames, words]: [&Prefix; 2],
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<(Found, Profile)>, EngineError> {
    // Nothing but marks: no word begins so.
    if words.from.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT u.* FROM name_words w CROSS JOIN users u ON u.id = w.user_id WHERE ",
    );
    begins(&mut query, words, "w.word");
    query.push(
        " AND NOT EXISTS (SELECT 1 FROM name_words o WHERE o.user_id = w.user_id AND o.word < w.word AND ",
    );
    query.push("o.word >= ").push_bind(words.from.clone()).push(") AND NOT (");
    begins(&mut query, usernames, "u.username_folded");
    query.push(") AND ");
    is_visible(&mut query, viewer);
    if let Some(after) = after {
        query.push(" AND (w.word, w.user_id) > (SELECT min(word), user_id FROM name_words WHERE user_id = ");
        query.push_bind(after.as_bytes().to_vec()).push(" AND ");
        begins(&mut query, words, "word");
        query.push(")");
    }
    query.push(" ORDER BY w.word, w.user_id LIMIT ").push_bind(limit as i64);
    read(readers, query, Found::ByDisplayName).await
}

/// One statement whether the address is someone's or not, and whether they show it or not: its time tells nothing.
async fn by_email(
    readers: &SqlitePool,
    viewer: UserId,
    email: String,
) -> Result<Option<(Found, Profile)>, EngineError> {
    let viewer_bytes = viewer.as_bytes().to_vec();
    let mut query = visible(viewer);
    query.push(" AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocked_id = u.id AND b.blocker_id = ");
    query.push_bind(viewer_bytes.clone()).push(") AND u.email_folded = ").push_bind(email);
    query.push(" AND (u.id = ").push_bind(viewer_bytes.clone());
    query.push(
        " OR CASE json_extract(u.settings, '$.privacy.email') WHEN 'everyone' THEN 1 WHEN 'contacts' THEN ",
    );
    query.push("EXISTS (SELECT 1 FROM contacts c WHERE c.contact_id = u.id AND c.state = 'accepted' AND c.user_id = ");
    query.push_bind(viewer_bytes).push(") ELSE 0 END)");
    Ok(read(readers, query, Found::ByUsername).await?.pop())
}

fn visible(viewer: UserId) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT u.* FROM users u WHERE ");
    is_visible(&mut query, viewer);
    query
}

/// Accounts that are not erased and have not blocked the viewer.
fn is_visible(query: &mut QueryBuilder<Sqlite>, viewer: UserId) {
    query.push("u.erased_at IS NULL AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.blocker_id = u.id AND b.blocked_id = ");
    query.push_bind(viewer.as_bytes().to_vec()).push(")");
}

async fn read(
    readers: &SqlitePool,
    mut query: QueryBuilder<Sqlite>,
    found: fn(UserId) -> Found,
) -> Result<Vec<(Found, Profile)>, EngineError> {
    let rows = query.build().fetch_all(readers).await.map_err(failed)?;
    rows.iter()
        .map(|row| {
            let profile = rows::profile(row)?;
            Ok((found(profile.user.id), profile))
        })
        .collect()
}

//! Search: two ordered reads of one index each, so that a page costs what it holds, however many match.

use ringside_ports::EngineError;
use ringside_ports::people::After;
use ringside_ports::people::profiles::{Found, Profile, SearchFor};
use ringside_types::UserId;
use ringside_types::text::folded;
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use crate::directory::failed;
use crate::rows;

/// What begins with `from` is below this: no character is greater than the one that ends it.
struct Prefix {
    from: String,
    below: String,
}

impl Prefix {
    fn of(text: String) -> Self {
        let below = format!("{text}\u{10ffff}");
        Self { from: text, below }
    }

    fn begins(&self, query: &mut QueryBuilder<Sqlite>, column: &'static str) {
        query.push(column).push(" >= ").push_bind(self.from.clone());
        query.push(" AND ").push(column).push(" < ").push_bind(self.below.clone());
    }
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
    let prefix = Prefix::of(text);
    let mut found = Vec::new();
    let mut named_after = None;
    match part.after {
        Some(Found::ByDisplayName(id)) => named_after = Some(id),
        after => {
            let mut query = visible(search.viewer);
            query.push(" AND ");
            prefix.begins(&mut query, "u.username_folded");
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
        found.extend(by_display_name(readers, search.viewer, &prefix, named_after, rest).await?);
    }
    Ok(found)
}

async fn by_display_name(
    readers: &SqlitePool,
    viewer: UserId,
    prefix: &Prefix,
    after: Option<UserId>,
    limit: usize,
) -> Result<Vec<(Found, Profile)>, EngineError> {
    let mut query = visible(viewer);
    query.push(" AND ");
    prefix.begins(&mut query, "u.display_name_folded");
    query.push(" AND NOT (");
    prefix.begins(&mut query, "u.username_folded");
    query.push(")");
    if let Some(after) = after {
        query.push(
            " AND (u.display_name_folded, u.id) > (SELECT display_name_folded, id FROM users WHERE id = ",
        );
        query.push_bind(after.as_bytes().to_vec()).push(")");
    }
    query.push(" ORDER BY u.display_name_folded, u.id LIMIT ").push_bind(limit as i64);
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

/// Accounts that are not erased and have not blocked the viewer.
fn visible(viewer: UserId) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "SELECT u.* FROM users u WHERE u.erased_at IS NULL AND NOT EXISTS (SELECT 1 FROM blocks b WHERE \
         b.blocker_id = u.id AND b.blocked_id = ",
    );
    query.push_bind(viewer.as_bytes().to_vec()).push(")");
    query
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

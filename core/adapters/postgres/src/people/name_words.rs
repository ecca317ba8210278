//! What people are found by: their names from the beginning of each word on.

use std::collections::BTreeSet;

use ringside_types::UserId;
use ringside_types::text;
use sqlx::PgConnection;

use crate::failure::Failure;

/// Writes an account's words anew.
pub(crate) async fn write(
    connection: &mut PgConnection,
    user: UserId,
    names: [&str; 2],
) -> Result<(), Failure> {
    let words: BTreeSet<String> = names.into_iter().flat_map(text::name_words).collect();
    let words: Vec<String> = words.into_iter().collect();
    // One statement sees the table as it was: what stays must not be deleted.
    sqlx::query(
        "WITH gone AS (DELETE FROM name_words WHERE user_id = $1 AND word <> ALL($2)) \
         INSERT INTO name_words (user_id, word) SELECT $1, word FROM unnest($2) AS new (word) ON CONFLICT DO NOTHING",
    )
    .bind(user.0)
    .bind(words)
    .execute(connection)
    .await?;
    Ok(())
}

//! What people are found by: their names from the beginning of each word on.

use std::collections::BTreeSet;

use ringside_types::text;
use sqlx::SqliteConnection;

/// Writes an account's words anew.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    user: &[u8],
    names: [&str; 2],
) -> Result<(), sqlx::Error> {
    remove(connection, user).await?;
    let words: BTreeSet<String> = names.into_iter().flat_map(text::name_words).collect();
    for word in words {
        sqlx::query("INSERT INTO name_words (word, user_id) VALUES (?, ?)")
            .bind(word)
            .bind(user)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Removes an account's words: it is found no more.
pub(crate) async fn remove(connection: &mut SqliteConnection, user: &[u8]) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM name_words WHERE user_id = ?").bind(user).execute(connection).await?;
    Ok(())
}

//! What people are found by: their names from the beginning of each word on.

use std::collections::BTreeSet;

use ringside_types::text::unaccented;
use sqlx::SqliteConnection;

/// Words of one name that count at the most.
const WORDS_MAX: usize = 16;

/// Writes an account's words anew.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    user: &[u8],
    names: [&str; 2],
) -> Result<(), sqlx::Error> {
    remove(connection, user).await?;
    let words: BTreeSet<String> = names.into_iter().flat_map(words).collect();
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

/// A name from its beginning, and from each letter or digit on that follows none.
fn words(name: &str) -> Vec<String> {
    let name = unaccented(name);
    let mut before = ' ';
    let mut starts = Vec::new();
    for (at, one) in name.char_indices() {
        if at == 0 || (one.is_alphanumeric() && !before.is_alphanumeric()) {
            starts.push(at);
        }
        before = one;
    }
    starts.into_iter().take(WORDS_MAX).map(|at| name[at..].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_name_begins_with_each_of_its_words() {
        for (name, expected) in [
            ("", &[][..]),
            ("Ada", &["ada"]),
            (
                "Åsa  von Öberg-Nyström",
                &["asa von oberg-nystrom", "von oberg-nystrom", "oberg-nystrom", "nystrom"],
            ),
            ("ada.lovelace_2", &["ada.lovelace_2", "lovelace_2", "2"]),
            ("*_ada", &["*_ada", "ada"]),
            ("O’Brien", &["o’brien", "brien"]),
        ] {
            assert_eq!(words(name), expected, "{name}");
        }
        assert_eq!(words(&"a ".repeat(100)).len(), super::WORDS_MAX);
    }
}

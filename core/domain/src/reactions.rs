//! How reactions stand on messages: intervals, counted as of a record.

use ringside_types::limits::REACTION_USERS_SHOWN;
use ringside_types::{MessageId, UserId};
use serde::{Deserialize, Serialize};

use crate::rows::{ReactionRow, holds_at};

/// How one emoji stands on a message, as one reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionSummary {
    pub message_id: MessageId,
    pub emoji: String,
    /// How many users reacted so.
    pub count: u64,
    /// The first of them, in the order in which they reacted; [`REACTION_USERS_SHOWN`] at the most.
    pub users: Vec<UserId>,
    /// Whether the reader is one of them, shown or not.
    pub is_own: bool,
}

/// The users whose reaction stands as the record `as_of` sees it, in the order in which they reacted.
pub(crate) fn standing<'a>(
    intervals: impl Iterator<Item = &'a ReactionRow>,
    as_of: MessageId,
) -> Vec<(MessageId, UserId)> {
    let standing = intervals.filter(|row| holds_at(row.from_id, row.to_id, as_of));
    let mut users: Vec<(MessageId, UserId)> = standing.map(|row| (row.from_id, row.user_id)).collect();
    users.sort_unstable();
    users
}

/// Counts the intervals of messages as the record `as_of` sees them: by message, and on one message in the order in which
/// the emoji came.
pub fn tally(mut intervals: Vec<ReactionRow>, as_of: MessageId, reader: UserId) -> Vec<ReactionSummary> {
    intervals.sort_unstable_by(|a, b| (a.message_id, &a.emoji).cmp(&(b.message_id, &b.emoji)));
    let of_one = intervals.chunk_by(|a, b| (a.message_id, &a.emoji) == (b.message_id, &b.emoji));
    let mut tallies: Vec<(MessageId, ReactionSummary)> = Vec::new();
    for rows in of_one {
        let users = standing(rows.iter(), as_of);
        let Some((first, _)) = users.first() else { continue };
        let tally = ReactionSummary {
            message_id: rows[0].message_id,
            emoji: rows[0].emoji.clone(),
            count: users.len() as u64,
            users: users.iter().take(REACTION_USERS_SHOWN).map(|(_, user)| *user).collect(),
            is_own: users.iter().any(|(_, user)| *user == reader),
        };
        tallies.push((*first, tally));
    }
    tallies.sort_unstable_by_key(|(first, tally)| (tally.message_id, *first));
    tallies.into_iter().map(|(_, tally)| tally).collect()
}

#[cfg(test)]
mod tests {
    use ringside_types::ChannelId;
    use uuid::Uuid;

    use super::*;
    use crate::rows::WriteTimestamp;

    fn user(number: u128) -> UserId {
        UserId(Uuid::from_u128(number))
    }

    fn interval(message: u64, emoji: &str, by: u128, from: u64, to: u64) -> ReactionRow {
        ReactionRow {
            channel_id: ChannelId(Uuid::from_u128(1)),
            message_id: MessageId(message),
            emoji: emoji.into(),
            user_id: user(by),
            from_id: MessageId(from),
            to_id: MessageId(to),
            stamp: WriteTimestamp(from),
        }
    }

    #[test]
    fn what_stands_is_counted_in_the_order_in_which_it_came() {
        let intervals = vec![
            interval(9, "b", 2, 30, 0),
            interval(9, "a", 1, 31, 0),
            interval(9, "a", 3, 32, 0),
            interval(9, "c", 1, 10, 20),
            interval(8, "a", 1, 40, 0),
            interval(9, "a", 2, 11, 12),
            interval(9, "a", 4, 99, 0),
        ];
        let tallies = tally(intervals, MessageId(50), user(3));
        let seen: Vec<_> =
            tallies.iter().map(|one| (one.message_id.0, one.emoji.as_str(), one.count, one.is_own)).collect();
        assert_eq!(seen, [(8, "a", 1, false), (9, "b", 1, false), (9, "a", 2, true)]);
        assert_eq!(tallies[2].users, [user(1), user(3)]);
    }

    #[test]
    fn the_reader_counts_beyond_those_shown() {
        let shown = REACTION_USERS_SHOWN as u64;
        let all = (0..=shown).map(|by| interval(9, "a", u128::from(by), 10 + by, 0)).collect();
        let tallies = tally(all, MessageId(1_000), user(u128::from(shown)));
        assert_eq!((tallies[0].count, tallies[0].users.len() as u64), (shown + 1, shown));
        assert!(tallies[0].is_own && !tallies[0].users.contains(&user(u128::from(shown))));
    }
}

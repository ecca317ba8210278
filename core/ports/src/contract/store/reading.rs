//! What readers of long channels rely on: an engine may keep a channel in parts, and answer without snapshots.

use ringside_domain::rows::{MessageRow, Prefetch, ReactionRow, Rows, WriteTimestamp};
use ringside_types::{MessageId, PartitionId, RINGSIDE_EPOCH_MS, UnixMillis};

use super::super::rows::{change, channel, head, member, message, reaction, stamp, user};
use super::{FIRST, load, range, write};
use crate::store::{ChangeRange, MessageStore, Order};

/// Days between the messages of a channel that is spread over years: some in one month, then none for long.
const DAYS: [u64; 12] = [0, 1, 30, 31, 32, 58, 59, 364, 365, 400, 1_500, 9_000];
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The message `seq` of such a channel.
fn spread(seq: u64) -> MessageRow {
    let day = DAYS[usize::try_from(seq - 1).expect("few")];
    let message_id = MessageId::at(UnixMillis(RINGSIDE_EPOCH_MS + day * DAY_MS + seq), PartitionId(1_023));
    MessageRow { message_id, reply_to: MessageId(3), ..message(channel(1), seq, stamp(seq)) }
}

/// Messages years apart come in one order and the other, whatever lies between; so do replies and reactions.
pub async fn messages_over_years<S: MessageStore>(store: S) {
    let rows: Vec<MessageRow> = (1..=DAYS.len() as u64).map(spread).collect();
    let reacted = |row: &MessageRow| ReactionRow {
        message_id: row.message_id,
        ..reaction(channel(1), user(1), row.message_id.0 + 1, row.stamp)
    };
    let reactions: Vec<ReactionRow> = rows.iter().map(reacted).collect();
    write(&store, Rows { messages: rows.clone(), reactions: reactions.clone(), ..Rows::default() }).await;
    let ids: Vec<u64> = rows.iter().map(|row| row.message_id.0).collect();
    // Below the first and above the last as well.
    let mut bounds = vec![0];
    bounds.extend(&ids);
    bounds.push(u64::MAX);
    for (first, after) in bounds.iter().enumerate() {
        for before in &bounds[first..] {
            let inside: Vec<u64> = ids.iter().copied().filter(|id| id > after && id < before).collect();
            for (order, limit) in [(Order::OldestFirst, 3), (Order::NewestFirst, 3), (Order::NewestFirst, 99)]
            {
                let expected: Vec<u64> = match order {
                    Order::OldestFirst => inside.iter().copied().take(limit).collect(),
                    Order::NewestFirst => inside.iter().rev().copied().take(limit).collect(),
                };
                let range = range(channel(1), *after, *before, limit, order);
                let found = store.messages(&[range]).await.expect("reads").concat();
                let found: Vec<u64> = found.iter().map(|row| row.message_id.0).collect();
                assert_eq!(found, expected, "{range:?}");
            }
        }
    }
    let whole = range(channel(1), 0, u64::MAX, usize::MAX, Order::OldestFirst);
    assert_eq!(store.messages(&[whole]).await.expect("reads").concat(), rows);
    let newest = range(channel(1), 0, u64::MAX, 4, Order::NewestFirst);
    let replies = store.replies(MessageId(3), newest).await.expect("reads");
    let newest: Vec<MessageRow> = rows.iter().rev().take(4).cloned().collect();
    assert_eq!(replies, newest);
    let reacted = vec![(channel(1), rows[1].message_id, rows[10].message_id)];
    let mut found = load(&store, Prefetch { reacted, ..Prefetch::default() }).await.reactions;
    found.sort_unstable_by_key(|row| row.message_id);
    assert_eq!(found, reactions[1..=10]);
    let records = rows.iter().map(|row| (channel(1), row.message_id)).collect();
    let mut found = load(&store, Prefetch { records, ..Prefetch::default() }).await.messages;
    found.sort_unstable_by_key(|row| row.message_id);
    assert_eq!(found, rows);
}

/// Changes come in one piece, thousands of them, and as they are asked for by record.
pub async fn changes_by_the_thousand<S: MessageStore>(store: S) {
    const CHANGES: u64 = 9_000;
    for begin in (1..=CHANGES).step_by(1_000) {
        let changes = (begin..begin + 1_000).map(|number| change(channel(1), number, stamp(number)));
        write(&store, Rows { changes: changes.collect(), ..Rows::default() }).await;
    }
    for (after, up_to, limit) in [
        (0, CHANGES, usize::MAX),
        (4_000, 4_200, usize::MAX),
        (4_094, 4_097, 9),
        (4_095, CHANGES, 3),
        (8_990, u64::MAX, 99),
    ] {
        let range = ChangeRange { channel_id: channel(1), after, up_to, limit };
        let found = store.changes(&[range]).await.expect("reads").concat();
        let expected: Vec<u64> = (after + 1..=up_to.min(CHANGES)).take(limit).collect();
        let numbers: Vec<u64> = found.iter().map(|row| row.change).collect();
        assert!(numbers == expected, "{range:?}: {} changes, {} expected", numbers.len(), expected.len());
    }
    let records = [1, 4_095, 4_096, CHANGES].map(|number| (channel(1), MessageId(number * 10 + 5)));
    let wanted = Prefetch { records: records.to_vec(), ..Prefetch::default() };
    let mut found: Vec<u64> = load(&store, wanted).await.changes.iter().map(|row| row.change).collect();
    found.sort_unstable();
    assert_eq!(found, [1, 4_095, 4_096, CHANGES]);
}

/// A write of many and of large rows is as whole as a write of few.
pub async fn a_large_write_comes_back_whole<S: MessageStore>(store: S) {
    let content = |seq: u64| "ü".repeat(usize::try_from(seq * 37 % 3_000).expect("small"));
    let messages: Vec<MessageRow> = (1..=500)
        .map(|seq| MessageRow { content: content(seq), ..message(channel(1), seq, stamp(seq)) })
        .collect();
    write(&store, Rows { messages: messages.clone(), ..Rows::default() }).await;
    let whole = range(channel(1), 0, u64::MAX, usize::MAX, Order::OldestFirst);
    let found = store.messages(&[whole]).await.expect("reads").concat();
    assert!(found == messages, "{} of 500 came back, or others than were written", found.len());
    let records = messages.iter().map(|row| (channel(1), row.message_id)).collect();
    let found = load(&store, Prefetch { records, ..Prefetch::default() }).await.messages;
    assert_eq!(found.len(), 500, "as many are asked for by record");
}

/// Rows are written before their head; so what is loaded with a head is never older than it is. Who has been put out by a
/// record is not shown as a member by a head that knows the record.
pub async fn nothing_is_older_than_the_head_it_comes_with<S: MessageStore>(store: S) {
    const COMMITS: u64 = 150;
    let begin = stamp(0).0;
    let writer = store.clone();
    let commits = tokio::spawn(async move {
        for number in 1..=COMMITS {
            let stamp = WriteTimestamp(begin + number);
            let mut row = member(channel(1), user(1), 5, stamp);
            row.to_version = number;
            let rows = Rows { memberships: vec![row], ..Rows::default() };
            writer.write_rows(FIRST, &rows).await.expect("writes");
            writer.write_heads(&[head(channel(1), number, stamp)]).await.expect("writes");
        }
    });
    let wanted =
        Prefetch { channels: vec![channel(1)], members: vec![(channel(1), user(1))], ..Prefetch::default() };
    loop {
        let is_over = commits.is_finished();
        let loaded = store.load(&wanted).await.expect("loads");
        let head = loaded.heads.first().map_or(0, |head| head.last_seq);
        let member = loaded.members.first().map_or(0, |row| row.to_version);
        assert!(member >= head, "the head is of commit {head}, the member of commit {member}");
        if is_over {
            assert_eq!((head, member), (COMMITS, COMMITS));
            break;
        }
    }
    commits.await.expect("the writer did not panic");
}

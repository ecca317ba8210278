//! How many requests things cost: counts, for times say little on a busy machine.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};

use ringside_cassandra::{CassandraStore, Config};
use ringside_domain::rows::{Key, KeyRow, Prefetch, ReadRow, Rows};
use ringside_ports::store::Order;
use ringside_ports::{ChannelReader as _, PartitionStore as _};
use ringside_types::{ClientId, MessageId, PartitionId};
use support::Keyspaces;
use support::rows::{channel, head, id_at, message, range, user};
use uuid::Uuid;

const PARTITION: PartitionId = PartitionId(3);

/// What `work` adds to a counter.
async fn added(counter: &AtomicU64, work: impl AsyncFnOnce()) -> u64 {
    let before = counter.load(Ordering::Relaxed);
    work().await;
    counter.load(Ordering::Relaxed) - before
}

/// Messages of three months, ten in each; there is none for years before and after.
async fn with_three_months(store: &CassandraStore) -> Vec<MessageId> {
    let mut messages = Vec::new();
    for (month, begin) in ["2026-10", "2026-11", "2027-06"].iter().zip([0, 10, 20]) {
        let first = id_at(&format!("{month}-15T00:00:00.000Z"));
        messages.extend(
            (0..10).map(|number| message(channel(1), MessageId(first.0 + number), begin + number + 1)),
        );
    }
    let ids = messages.iter().map(|row| row.message_id).collect();
    store.write_rows(PARTITION, &Rows { messages, ..Rows::default() }).await.expect("writes");
    ids
}

#[tokio::test]
async fn pages_cost_a_request_for_each_month_that_they_touch() {
    Keyspaces::with(async |keyspaces| {
        let store = keyspaces.store().await;
        let ids = with_three_months(&store).await;
        let requests = &store.counters().requests;
        let check = async |after: MessageId, before: MessageId, limit, order, rows: usize, expected: u64| {
            let range = range(channel(1), after, before, limit, order);
            let cost = added(requests, async || {
                assert_eq!(store.messages(&[range]).await.expect("reads").concat().len(), rows, "{range:?}");
            });
            assert_eq!(cost.await, expected, "{range:?}");
        };
        use Order::{NewestFirst, OldestFirst};
        let (zero, end) = (MessageId::ZERO, MessageId(ids[29].0 + 1));
        // Within one month, whether or not there are as many as asked for.
        check(ids[10], ids[19], 5, OldestFirst, 5, 1).await;
        check(ids[10], ids[19], 50, OldestFirst, 8, 1).await;
        // From a place that is known, the first month is enough.
        check(zero, end, 10, NewestFirst, 10, 1).await;
        check(ids[4], end, 5, OldestFirst, 5, 1).await;
        // Else one more says which months there are: eight years without any cost nothing.
        check(zero, end, 11, NewestFirst, 11, 3).await;
        check(ids[4], end, 6, OldestFirst, 6, 3).await;
        check(zero, end, 10, OldestFirst, 10, 2).await;
        check(zero, MessageId::MAX, 99, NewestFirst, 30, 4).await;
        let nobody = range(channel(2), zero, MessageId::MAX, 99, OldestFirst);
        let cost = added(requests, async || {
            assert!(store.messages(&[nobody]).await.expect("reads").concat().is_empty());
        });
        assert_eq!(cost.await, 1, "a channel without messages is not looked for in every month");
    })
    .await;
}

#[tokio::test]
async fn heads_of_many_channels_cost_one_round() {
    Keyspaces::with(async |keyspaces| {
        let store = keyspaces.store().await;
        let heads: Vec<_> = (0..100).map(|number| head(channel(number), 7)).collect();
        let cost =
            added(&store.counters().requests, async || store.write_heads(&heads).await.expect("writes"));
        assert_eq!(cost.await, 100, "one for each, for each is a partition");
        let channels = (0..100).map(channel).collect();
        let wanted = Prefetch { channels, ..Prefetch::default() };
        let cost = added(&store.counters().requests, async || {
            assert_eq!(store.load(&wanted).await.expect("loads").heads.len(), 100);
        });
        assert_eq!(cost.await, 200, "heads and settings");
    })
    .await;
}

#[tokio::test]
async fn a_commit_costs_a_request_for_each_partition_and_no_byte_twice() {
    Keyspaces::with(async |keyspaces| {
        let config = keyspaces.made().await;
        let store = CassandraStore::open(config.clone()).await.expect("opens");
        let first = id_at("2026-11-15T00:00:00.000Z");
        let messages: Vec<_> =
            (0..20).map(|number| message(channel(1), MessageId(first.0 + number), number + 1)).collect();
        let key = |number: u128| Key {
            channel_id: channel(1),
            sender_id: user(1),
            client_id: ClientId(Uuid::from_u128(number)),
        };
        let rows = Rows {
            keys: messages
                .iter()
                .map(|row| KeyRow::new(key(row.seq.into()), row.message_id, None, row.seq, row.stamp))
                .collect(),
            reads: messages
                .iter()
                .map(|row| ReadRow {
                    user_id: user(1),
                    channel_id: channel(1),
                    last_read_id: row.message_id,
                    last_read_seq: row.seq,
                })
                .collect(),
            messages,
            ..Rows::default()
        };
        let (requests, bytes) = (&store.counters().requests, &store.counters().bytes_written);
        let bytes_before = bytes.load(Ordering::Relaxed);
        let cost = added(requests, async || store.write_rows(PARTITION, &rows).await.expect("writes")).await;
        // Twenty messages of about 140 bytes are one batch, their keys another; the cursor is one row; the month is noted.
        assert_eq!(cost, 4);
        let written = store.counters().rows_written.load(Ordering::Relaxed);
        assert_eq!(written, 20 + 20 + 1 + 1, "of twenty cursors the last is written");
        let first_bytes = bytes.load(Ordering::Relaxed) - bytes_before;
        assert!((20 * 150..20 * 300).contains(&first_bytes), "{first_bytes} bytes");
        let cost = added(requests, async || store.write_rows(PARTITION, &rows).await.expect("writes")).await;
        assert_eq!(cost, 3, "the month is known to be noted");
        let small = Config { batch_bytes_max: 1, ..config };
        let store = CassandraStore::open(small).await.expect("opens");
        let cost = added(&store.counters().requests, async || {
            store.write_rows(PARTITION, &rows).await.expect("writes");
        });
        assert_eq!(cost.await, 42, "no batch is above its bytes");
        assert_eq!(store.counters().batches.load(Ordering::Relaxed), 0);
    })
    .await;
}

#[tokio::test]
async fn keys_of_one_partition_are_asked_together() {
    Keyspaces::with(async |keyspaces| {
        let store = keyspaces.store().await;
        let ids = with_three_months(&store).await;
        let records: Vec<_> = ids.iter().map(|id| (channel(1), *id)).chain([(channel(1), ids[0])]).collect();
        let wanted = Prefetch {
            members: (0..150).map(|number| (channel(1), user(number))).collect(),
            reads: (0..50).map(|number| (user(1), channel(number))).collect(),
            records,
            ..Prefetch::default()
        };
        let cost = added(&store.counters().requests, async || {
            assert_eq!(store.prefetch(&wanted).await.expect("loads").messages.len(), 30);
        });
        // Members by hundreds, cursors of one user, three months of messages and three of changes.
        assert_eq!(cost.await, 2 + 1 + 3 + 3);
    })
    .await;
}

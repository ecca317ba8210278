//! Writes that come late, twice, or to a place where a row was deleted.

mod support;

use ringside_cassandra::{CassandraStore, Config};
use ringside_domain::rows::{InterestRow, Prefetch, Rows, WriteTimestamp};
use ringside_ports::store::Order;
use ringside_ports::{ChannelReader as _, PartitionStore as _};
use ringside_types::{Epoch, MessageId, PartitionId, Slot};
use support::rows::{all_of, channel, id_at, message, range, stamp};
use support::{Keyspaces, run, session};

const PARTITION: PartitionId = PartitionId(3);

/// An older version of a message that arrives late changes no column of it, not even those that the later one left empty.
#[tokio::test]
async fn an_older_write_changes_no_column() {
    Keyspaces::with(async |keyspaces| {
        let store = keyspaces.store().await;
        let id = id_at("2026-11-15T00:00:00.000Z");
        let older = message(channel(1), id, 1);
        let mut deleted = older.clone();
        (deleted.content, deleted.deleted_record, deleted.stamp) =
            (String::new(), MessageId(id.0 + 9), stamp(50));
        let mut reedited = older.clone();
        (reedited.metadata, reedited.edited_record) = ("{\"a\":1}".into(), MessageId(id.0 + 5));
        for row in [&older, &deleted, &older, &reedited] {
            let rows = Rows { messages: vec![row.clone()], ..Rows::default() };
            store.write_rows(PARTITION, &rows).await.expect("writes");
        }
        assert_eq!(store.messages(&[all_of(channel(1))]).await.expect("reads").concat(), [deleted]);
    })
    .await;
}

/// Interest that was deleted and comes back with a later stamp (another epoch has other keys; this is a clock that was off) is
/// seen; with an earlier one it is not.
#[tokio::test]
async fn void_interest_stays_away() {
    Keyspaces::with(async |keyspaces| {
        let store = keyspaces.store().await;
        let (slot, epoch) = (Slot(1), Epoch(7));
        let interest = |later| InterestRow {
            channel_id: channel(1),
            slot,
            epoch,
            n: 1,
            record_id: MessageId(9),
            stamp: WriteTimestamp(stamp(0).0 + later),
        };
        let write = async |rows: Rows| store.write_rows(PARTITION, &rows).await.expect("writes");
        let kept = async || {
            let wanted = Prefetch { interest: vec![channel(1)], ..Prefetch::default() };
            store.load(&wanted).await.expect("loads").interest.len()
        };
        let void = || Rows { void_interest: vec![(channel(1), slot, epoch)], ..Rows::default() };
        write(Rows { interest: vec![interest(0)], ..Rows::default() }).await;
        write(void()).await;
        write(Rows { interest: vec![interest(0)], ..Rows::default() }).await;
        assert_eq!(kept().await, 0, "a zombie does not bring it back");
        const AHEAD_US: u64 = 60_000_000;
        write(Rows { interest: vec![interest(AHEAD_US)], ..Rows::default() }).await;
        write(void()).await;
        assert_eq!(
            kept().await,
            1,
            "a stamp ahead of this machine's clock outlives the deletion, and is found again"
        );
        let both = Rows { interest: vec![interest(1)], ..void() };
        write(both).await;
        assert_eq!(kept().await, 1, "what is written is not deleted in one go");
    })
    .await;
}

/// Pages of an answer that end at deleted rows, or hold nothing else, end no range.
#[tokio::test]
async fn pages_of_deleted_rows_end_no_range() {
    Keyspaces::with(async |keyspaces| {
        const ROWS: u64 = 40;
        let config = Config { page_rows: 4, ..keyspaces.made().await };
        let store = CassandraStore::open(config.clone()).await.expect("opens");
        let first = id_at("2026-11-15T00:00:00.000Z");
        let id = |seq: u64| MessageId(first.0 + seq);
        let messages = (1..=ROWS).map(|seq| message(channel(1), id(seq), seq)).collect();
        store.write_rows(PARTITION, &Rows { messages, ..Rows::default() }).await.expect("writes");
        let session = session().await;
        // Three whole pages in the middle, and the one at which a page ends.
        let is_deleted = |seq: u64| (9..=20).contains(&seq) || seq == 24;
        for seq in (1..=ROWS).filter(|seq| is_deleted(*seq)) {
            let delete = format!(
                "DELETE FROM {}.messages WHERE channel_id = {} AND bucket = '2026-11' AND message_id = {}",
                config.keyspace,
                channel(1),
                id(seq)
            );
            run(&session, delete).await;
        }
        let kept: Vec<u64> = (1..=ROWS).filter(|seq| !is_deleted(*seq)).collect();
        let seqs = async |limit, order| {
            let range = range(channel(1), id(0), id(ROWS + 1), limit, order);
            let rows = store.messages(&[range]).await.expect("reads").concat();
            rows.iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        assert_eq!(seqs(usize::MAX, Order::OldestFirst).await, kept);
        assert_eq!(seqs(11, Order::OldestFirst).await, kept[..11]);
        let reversed: Vec<u64> = kept.iter().rev().copied().collect();
        assert_eq!(seqs(usize::MAX, Order::NewestFirst).await, reversed);
        assert_eq!(seqs(17, Order::NewestFirst).await, reversed[..17]);
    })
    .await;
}

//! Rows that nobody wrote so: each is named, and none is made up for.

mod support;

use ringside_cassandra::CassandraStore;
use ringside_domain::rows::{Prefetch, Prefetched, Progress, Rows};
use ringside_ports::{ChannelReader as _, EngineError, PartitionStore as _};
use ringside_types::{Epoch, MessageId, Offset, PartitionId};
use support::rows::{all_of, channel, head, id_at, message, stamp, user};
use support::{Keyspaces, run, session};

fn is_damage<T: std::fmt::Debug>(outcome: Result<T, EngineError>, words: &[&str]) {
    match outcome {
        Err(EngineError::Damaged { engine: "cassandra", cause }) => {
            assert!(words.iter().all(|word| cause.contains(word)), "{cause} names {words:?}");
        }
        other => panic!("{other:?} is no damage"),
    }
}

#[tokio::test]
async fn a_damaged_row_is_named() {
    Keyspaces::with(async |keyspaces| {
        let config = keyspaces.made().await;
        let (store, session, keyspace) =
            (CassandraStore::open(config.clone()).await.expect("opens"), session().await, &config.keyspace);
        let id = id_at("2026-11-15T00:00:00.000Z");
        let whole = message(channel(1), id, 1);
        let cases =
            ["content_type = 'hologram'", "seq = null", "seq = -1", "sender_id = null", "content = null"];
        for (number, case) in (10..).zip(cases) {
            let row = message(channel(number), id, 1);
            store.write_rows(PartitionId(3), &Rows { messages: vec![row], ..Rows::default() }).await.expect("writes");
            let damage = format!(
                "UPDATE {keyspace}.messages USING TIMESTAMP {} SET {case} WHERE channel_id = {} AND bucket = '2026-11' AND message_id = {id}",
                stamp(9_999).0, channel(number)
            );
            run(&session, damage).await;
            let (of_channel, of_id) = (channel(number).to_string(), id.to_string());
            is_damage(store.messages(&[all_of(channel(number))]).await, &["messages", &of_channel, &of_id, "2026-11"]);
        }
        store.write_rows(PartitionId(3), &Rows { messages: vec![whole.clone()], ..Rows::default() }).await.expect("writes");
        assert_eq!(store.messages(&[all_of(channel(1))]).await.expect("reads").concat(), [whole], "the others are read");
    })
    .await;
}

#[tokio::test]
async fn damage_of_every_kind_of_row_is_named() {
    Keyspaces::with(async |keyspaces| {
        let config = keyspaces.made().await;
        let (store, session, keyspace) =
            (CassandraStore::open(config.clone()).await.expect("opens"), session().await, &config.keyspace);
        let (of_channel, of_user) = (channel(1), user(1));
        for insert in [
            format!("channel_heads (channel_id, last_seq) VALUES ({of_channel}, 3)"),
            format!("channel_settings (channel_id, from_id, kind) VALUES ({}, 1, 'circus')", channel(2)),
            format!("message_status (user_id, channel_id, last_read_id) VALUES ({of_user}, {of_channel}, 5)"),
            format!("channel_interest (channel_id, slot, epoch, n, record_id) VALUES ({of_channel}, 70000, 1, 1, 1)"),
            format!("channel_buckets (channel_id, bucket) VALUES ({of_channel}, '2026-1')"),
            "partition_progress (partition, log_offset) VALUES (3, 5)".to_owned(),
        ] {
            run(&session, format!("INSERT INTO {keyspace}.{insert}")).await;
        }
        let load = async |wanted: Prefetch| -> Result<Prefetched, EngineError> { store.load(&wanted).await };
        let nothing = Prefetch::default;
        is_damage(load(Prefetch { channels: vec![of_channel], ..nothing() }).await, &["channel_heads"]);
        is_damage(load(Prefetch { channels: vec![channel(2)], ..nothing() }).await, &["channel_settings", "from_id 1"]);
        is_damage(load(Prefetch { reads_of: vec![of_user], ..nothing() }).await, &["message_status"]);
        is_damage(load(Prefetch { interest: vec![of_channel], ..nothing() }).await, &["channel_interest", "70000"]);
        is_damage(store.messages(&[all_of(of_channel)]).await, &["channel_buckets", "\"2026-1\""]);
        is_damage(store.partition(PartitionId(3)).await, &["partition_progress", "partition 3"]);
        assert_eq!(store.partition(PartitionId(4)).await.expect("reads").progress, None);
    })
    .await;
}

/// What no column can hold is refused before anything is written.
#[tokio::test]
async fn numbers_above_63_bits_are_refused() {
    Keyspaces::with(async |keyspaces| {
        let store = keyspaces.store().await;
        let large = head(channel(1), 1);
        let heads = [head(channel(2), 1), ringside_domain::rows::HeadRow { last_seq: u64::MAX, ..large }];
        is_damage(store.write_heads(&heads).await, &["channel_heads", "63 bits"]);
        let channels = vec![channel(1), channel(2)];
        let loaded = store.load(&Prefetch { channels, ..Prefetch::default() }).await.expect("loads");
        assert_eq!(loaded.heads, [], "nothing of it is written");
        let progress = Progress { offset: Offset(1 << 63), ..Progress::start(PartitionId(3)) };
        is_damage(store.write_progress(progress).await, &["partition_progress"]);
        let void_interest = vec![(channel(1), ringside_types::Slot(1), Epoch(u64::MAX))];
        let rows = Rows { void_interest, ..Rows::default() };
        is_damage(store.write_rows(PartitionId(3), &rows).await, &["channel_interest"]);
        let records = vec![(channel(1), MessageId(u64::MAX))];
        is_damage(store.load(&Prefetch { records, ..Prefetch::default() }).await, &["63 bits"]);
    })
    .await;
}

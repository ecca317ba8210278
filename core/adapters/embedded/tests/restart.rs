//! What a restart must not forget.

mod support;

use ringside_domain::rows::{HeadRow, Prefetch, WriteTimestamp};
use ringside_embedded::Engine;
use ringside_ports::{ChannelReader, PartitionStore};
use ringside_types::ChannelId;
use support::config;
use uuid::Uuid;

/// The writer remembers the highest stamp so as not to look up every row; a restart must not make it forget.
#[tokio::test]
async fn a_late_row_loses_after_a_restart_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let channels: Vec<ChannelId> = (0..20).map(|number| ChannelId(Uuid::from_u128(number))).collect();
    let heads = |last_seq: u64, stamp: u64| -> Vec<HeadRow> {
        let head = |channel: &ChannelId| HeadRow {
            last_seq,
            stamp: WriteTimestamp(stamp),
            ..HeadRow::empty(*channel)
        };
        channels.iter().map(head).collect()
    };
    let engine = Engine::open(folder.path(), config()).expect("opens");
    engine.store().write_heads(&heads(7, 10)).await.expect("writes");
    drop(engine);
    for (seq, stamp, expected) in [(1, 9, 7), (8, 11, 8), (2, 10, 8)] {
        let engine = Engine::open(folder.path(), config()).expect("opens");
        let store = engine.store();
        store.write_heads(&heads(seq, stamp)).await.expect("writes");
        let wanted = Prefetch { channels: channels.clone(), ..Prefetch::default() };
        let loaded = store.load(&wanted).await.expect("loads").heads;
        assert_eq!(loaded.len(), channels.len());
        assert!(loaded.iter().all(|head| head.last_seq == expected), "stamp {stamp}: {loaded:?}");
    }
}

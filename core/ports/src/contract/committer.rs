//! The contract of [`Committer`], over the log and store that it commits to.

use std::time::Duration;

use bytes::Bytes;
use ringside_domain::rows::{Prefetch, Progress, Rows};
use ringside_types::{ChannelId, MessageId, Offset, PartitionId, Topic};

use super::rows::{channel, head, message, one_of_each, stamp};
use super::soon;
use crate::commit::{CommitBatch, Committer};
use crate::log::{Append, Log, ReadLimit};
use crate::store::{MessageRange, MessageStore, Order};

const PARTITION: PartitionId = PartitionId(0);
const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

/// Runs every part, each over fresh engines: a committer and the log and store that it writes.
pub async fn suite<L: Log, S: MessageStore, C: Committer>(make: impl AsyncFn() -> (L, S, C)) {
    all_four_steps_are_done(make().await).await;
    a_replay_changes_no_row(make().await).await;
    a_zombie_takes_nothing_back(make().await).await;
    progress_alone_is_a_batch(make().await).await;
    partitions_commit_at_once(make().await).await;
    a_committed_batch_wakes_the_edge(make().await).await;
}

fn record(topic: Topic, partition: PartitionId, payload: &'static str) -> Append {
    Append { topic, partition, payload: Bytes::from_static(payload.as_bytes()) }
}

fn progress(partition: PartitionId, offset: u64) -> Progress {
    Progress { partition, offset: Offset(offset), last: MessageId(offset * 10), stamp: stamp(offset) }
}

/// A batch that has something of everything; `later` tells one from the next.
fn batch(channel: ChannelId, later: u64) -> CommitBatch {
    CommitBatch {
        partition: PARTITION,
        rows: one_of_each(channel, stamp(later)),
        outside: vec![
            record(Topic::MessagesStored, PARTITION, "stored"),
            record(Topic::Control, PARTITION, "member added"),
        ],
        heads: vec![head(channel, 3 + later, stamp(later))],
        edges: vec![
            record(Topic::MessagesReceive, PARTITION, "first"),
            record(Topic::MessagesReceive, PARTITION, "second"),
        ],
        progress: progress(PARTITION, 5 + later),
    }
}

async fn payloads<L: Log>(log: &L, topic: Topic, partition: PartitionId) -> Vec<Bytes> {
    let records = log.read(topic, partition, Offset(0), ALL, Duration::ZERO).await.expect("reads");
    records.into_iter().map(|record| record.payload).collect()
}

/// Once it is confirmed, rows, records, heads and progress are all there.
pub async fn all_four_steps_are_done<L: Log, S: MessageStore, C: Committer>(
    (log, store, committer): (L, S, C),
) {
    let batch = batch(channel(1), 0);
    committer.commit(batch.clone()).await.expect("commits");
    let wanted = Prefetch {
        channels: vec![channel(1)],
        interest: vec![channel(1)],
        keys: vec![batch.rows.keys[0].key],
        records: vec![(channel(1), batch.rows.messages[0].message_id)],
        ..Prefetch::default()
    };
    let loaded = store.load(&wanted).await.expect("loads");
    assert_eq!(loaded.messages, batch.rows.messages);
    assert_eq!(loaded.keys, batch.rows.keys);
    assert_eq!(loaded.interest, batch.rows.interest);
    assert_eq!(loaded.heads, batch.heads);
    let kept = store.partition(PARTITION).await.expect("reads");
    assert_eq!((kept.progress, kept.slots), (Some(batch.progress), batch.rows.slots));
    assert_eq!(payloads(&log, Topic::MessagesStored, PARTITION).await, ["stored"]);
    assert_eq!(payloads(&log, Topic::Control, PARTITION).await, ["member added"]);
    assert_eq!(payloads(&log, Topic::MessagesReceive, PARTITION).await, ["first", "second"]);
}

/// The same batch again: the rows are as they were; records may come again.
pub async fn a_replay_changes_no_row<L: Log, S: MessageStore, C: Committer>(
    (_, store, committer): (L, S, C),
) {
    let batch = batch(channel(1), 0);
    committer.commit(batch.clone()).await.expect("commits");
    let wanted = Prefetch { channels: vec![channel(1)], interest: vec![channel(1)], ..Prefetch::default() };
    let (before, kept) = (store.load(&wanted).await, store.partition(PARTITION).await);
    committer.commit(batch).await.expect("commits");
    assert_eq!(store.load(&wanted).await, before);
    assert_eq!(store.partition(PARTITION).await, kept);
}

/// A paused owner that wakes and commits an older batch takes nothing back.
pub async fn a_zombie_takes_nothing_back<L: Log, S: MessageStore, C: Committer>(
    (_, store, committer): (L, S, C),
) {
    let (old, new) = (batch(channel(1), 0), batch(channel(1), 10));
    committer.commit(new.clone()).await.expect("commits");
    committer.commit(old).await.expect("a stale batch is no error");
    let wanted = Prefetch { channels: vec![channel(1)], interest: vec![channel(1)], ..Prefetch::default() };
    let loaded = store.load(&wanted).await.expect("loads");
    assert_eq!((loaded.heads, loaded.interest), (new.heads, new.rows.interest));
    let kept = store.partition(PARTITION).await.expect("reads");
    assert_eq!((kept.progress, kept.slots), (Some(new.progress), new.rows.slots));
}

/// Records that made nothing are progress all the same.
pub async fn progress_alone_is_a_batch<L: Log, S: MessageStore, C: Committer>(
    (log, store, committer): (L, S, C),
) {
    let batch = CommitBatch {
        partition: PARTITION,
        rows: Rows::default(),
        outside: Vec::new(),
        heads: Vec::new(),
        edges: Vec::new(),
        progress: progress(PARTITION, 1),
    };
    committer.commit(batch.clone()).await.expect("commits");
    assert_eq!(store.partition(PARTITION).await.expect("reads").progress, Some(batch.progress));
    assert_eq!(log.bounds(Topic::MessagesReceive, PARTITION).await.expect("bounds").end, Offset(0));
}

/// Processors of all partitions commit at once, and each finds its own whole, its edges' records in its order.
pub async fn partitions_commit_at_once<L: Log, S: MessageStore, C: Committer>(
    (log, store, committer): (L, S, C),
) {
    const BATCHES: u64 = 20;
    let partitions = log.partitions(Topic::MessagesSend);
    let processors: Vec<_> = (0..partitions)
        .map(|number| {
            let committer = committer.clone();
            tokio::spawn(async move {
                let (partition, channel) = (PartitionId(number), channel(u128::from(number)));
                for seq in 1..=BATCHES {
                    let edges = Append {
                        topic: Topic::MessagesReceive,
                        partition: PARTITION,
                        payload: format!("{number} {seq}").into(),
                    };
                    let batch = CommitBatch {
                        partition,
                        rows: Rows { messages: vec![message(channel, seq, stamp(seq))], ..Rows::default() },
                        outside: Vec::new(),
                        heads: vec![head(channel, seq, stamp(seq))],
                        edges: vec![edges],
                        progress: progress(partition, seq),
                    };
                    committer.commit(batch).await.expect("commits");
                }
            })
        })
        .collect();
    for processor in processors {
        soon("a processor's end", processor).await.expect("the processor did not panic");
    }
    let edges = payloads(&log, Topic::MessagesReceive, PARTITION).await;
    assert_eq!(edges.len() as u64, u64::from(partitions) * BATCHES);
    for number in 0..partitions {
        let channel = channel(u128::from(number));
        let range = MessageRange {
            channel_id: channel,
            after: MessageId::ZERO,
            before: MessageId::MAX,
            limit: usize::MAX,
            order: Order::OldestFirst,
        };
        let seqs: Vec<u64> =
            store.messages(&[range]).await.expect("reads").concat().iter().map(|row| row.seq).collect();
        assert_eq!(seqs, (1..=BATCHES).collect::<Vec<_>>());
        let own: Vec<&Bytes> =
            edges.iter().filter(|edge| edge.starts_with(format!("{number} ").as_bytes())).collect();
        let expected: Vec<Bytes> = (1..=BATCHES).map(|seq| format!("{number} {seq}").into()).collect();
        assert!(own.into_iter().eq(expected.iter()), "in the order of the commits");
    }
}

/// An edge that waits at the end of its slot is woken by a commit, and finds the rows of what it reads.
pub async fn a_committed_batch_wakes_the_edge<L: Log, S: MessageStore, C: Committer>(
    (log, store, committer): (L, S, C),
) {
    let edge = tokio::spawn(async move {
        let wait = Duration::from_secs(600);
        let records = log.read(Topic::MessagesReceive, PARTITION, Offset(0), ALL, wait).await.expect("reads");
        assert!(!records.is_empty());
        let wanted =
            Prefetch { channels: vec![channel(1)], interest: vec![channel(1)], ..Prefetch::default() };
        store.load(&wanted).await.expect("loads").heads
    });
    let batch = batch(channel(1), 0);
    committer.commit(batch.clone()).await.expect("commits");
    let heads = soon("the edge's record", edge).await.expect("the edge did not panic");
    assert_eq!(heads, batch.heads, "the head is there before the edge is told");
}

//! A commit is seen whole: who reads while it is being applied finds no head above the messages.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ringside_application::reading;
use ringside_domain::rows::{Progress, Rows, WriteTimestamp};
use ringside_ports::Committer;
use ringside_ports::commit::CommitBatch;
use ringside_ports::store::{MessageRange, Order};
use ringside_types::{ChannelId, MessageId, Offset, PartitionId};
use support::{Folders, head, message};
use uuid::Uuid;

const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(1));
const PARTITION: PartitionId = PartitionId(0);
const COMMITS: u64 = 150;
/// Enough that a reader falls into the middle of it.
const MESSAGES_PER_COMMIT: u64 = 200;

fn batch(commit: u64) -> CommitBatch {
    let last = commit * MESSAGES_PER_COMMIT;
    let (id, stamp) = (MessageId(last), WriteTimestamp(last));
    let messages = (last - MESSAGES_PER_COMMIT + 1..=last)
        .map(|number| message(CHANNEL, number, "x".to_owned()))
        .collect();
    CommitBatch {
        partition: PARTITION,
        rows: Rows { messages, ..Rows::default() },
        outside: Vec::new(),
        heads: vec![head(CHANNEL, last)],
        edges: Vec::new(),
        progress: Progress { partition: PARTITION, offset: Offset(last), last: id, stamp },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_head_is_above_its_messages() {
    let folders = Folders::default();
    let engine = folders.engine();
    let (store, committer) = (engine.store(), engine.committer());
    let done = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&done);
    let reader = tokio::spawn(async move {
        let mut pages = 0_u64;
        while !over.load(Relaxed) {
            let range = MessageRange {
                channel_id: CHANNEL,
                after: MessageId::ZERO,
                before: MessageId::MAX,
                limit: 1,
                order: Order::NewestFirst,
            };
            let page = reading::page(&store, range).await.expect("reads");
            let newest = page.messages.first().map_or(MessageId::ZERO, |row| row.message_id);
            assert_eq!(newest, page.head.last_message_id, "after {pages} pages");
            pages += 1;
        }
        pages
    });
    for commit in 1..=COMMITS {
        committer.commit(batch(commit)).await.expect("commits");
    }
    done.store(true, Relaxed);
    assert!(reader.await.expect("no page lacked a message") > COMMITS / 2);
}

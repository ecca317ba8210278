//! A commit is seen whole: who reads while it is being applied finds no head above the messages.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ringside_application::reading;
use ringside_domain::rows::{HeadRow, MessageRow, Progress, Rows, WriteTimestamp};
use ringside_ports::Committer;
use ringside_ports::commit::CommitBatch;
use ringside_ports::store::{MessageRange, Order};
use ringside_types::{ChannelId, ClientId, MessageId, Offset, PartitionId, UserId};
use ringside_wire::message::ContentType;
use support::Folders;
use uuid::Uuid;

const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(1));
const PARTITION: PartitionId = PartitionId(0);
const COMMITS: u64 = 150;
/// Enough that a reader falls into the middle of it.
const MESSAGES_PER_COMMIT: u64 = 200;

fn message(number: u64) -> MessageRow {
    MessageRow {
        channel_id: CHANNEL,
        message_id: MessageId(number),
        prev: MessageId(number - 1),
        seq: number,
        change: 0,
        client_id: ClientId(Uuid::from_u128(u128::from(number))),
        sender_id: UserId(Uuid::from_u128(2)),
        content: "x".to_owned(),
        content_type: ContentType::Text,
        metadata: String::new(),
        reply_to: MessageId::ZERO,
        edited_record: MessageId::ZERO,
        deleted_record: MessageId::ZERO,
        stamp: WriteTimestamp(number),
    }
}

fn batch(commit: u64) -> CommitBatch {
    let last = commit * MESSAGES_PER_COMMIT;
    let (id, stamp) = (MessageId(last), WriteTimestamp(last));
    let head = HeadRow {
        channel_id: CHANNEL,
        last_effective_id: id,
        last_message_id: id,
        last_seq: last,
        last_change: 0,
        stamp,
    };
    let messages = (last - MESSAGES_PER_COMMIT + 1..=last).map(message).collect();
    CommitBatch {
        partition: PARTITION,
        rows: Rows { messages, ..Rows::default() },
        outside: Vec::new(),
        heads: vec![head],
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

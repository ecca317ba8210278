//! Pages of many channels at once, over the embedded store and a real Directory: what they hold, and what they cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringside_application::backend::{BackendError, ReaderRequest};
use ringside_application::pages::{PAGE_BYTES_MAX, read_pages};
use ringside_domain::page::{ChannelPage, ChannelRead, ReadOutcome};
use ringside_domain::rows::{
    ChangeRow, HeadRow, MembershipRow, MessageRow, Prefetch, Prefetched, Rows, WriteTimestamp,
};
use ringside_embedded::{Config, Engine};
use ringside_ports::accounts::{NewUser, User};
use ringside_ports::store::{ChangeRange, MessageRange};
use ringside_ports::{ChannelReader, EngineError, PartitionStore as _, Registration as _};
use ringside_sql::Directory;
use ringside_types::{ChannelId, ClientId, MessageId, PartitionId, UnixMillis, UserId};
use ringside_wire::message::ContentType;
use uuid::Uuid;

const READER: UserId = UserId(Uuid::from_u128(1));

/// A store that counts what it is asked.
#[derive(Clone)]
struct Counting<S> {
    store: S,
    calls: Arc<AtomicUsize>,
}

impl<S> Counting<S> {
    fn count(&self) -> &S {
        self.calls.fetch_add(1, Ordering::Relaxed);
        &self.store
    }
}

impl<S: ChannelReader> ChannelReader for Counting<S> {
    async fn load(&self, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        self.count().load(wanted).await
    }

    async fn messages(&self, ranges: &[MessageRange]) -> Result<Vec<Vec<MessageRow>>, EngineError> {
        self.count().messages(ranges).await
    }

    async fn replies(&self, to: MessageId, range: MessageRange) -> Result<Vec<MessageRow>, EngineError> {
        self.count().replies(to, range).await
    }

    async fn changes(&self, ranges: &[ChangeRange]) -> Result<Vec<Vec<ChangeRow>>, EngineError> {
        self.count().changes(ranges).await
    }
}

struct TestContext {
    store: Counting<ringside_embedded::EmbeddedStore>,
    directory: Directory,
    _folder: tempfile::TempDir,
}

fn channel(number: u128) -> ChannelId {
    ChannelId(Uuid::from_u128(100 + number))
}

fn message(channel_id: ChannelId, seq: u64, content: &str) -> MessageRow {
    MessageRow {
        channel_id,
        message_id: MessageId(seq * 10),
        prev: MessageId((seq - 1) * 10),
        seq,
        change: 0,
        client_id: ClientId(Uuid::from_u128(u128::from(seq))),
        sender_id: READER,
        content: content.to_owned(),
        content_type: ContentType::Text,
        metadata: String::new(),
        reply_to: MessageId::ZERO,
        edited_record: MessageId::ZERO,
        deleted_record: MessageId::ZERO,
        stamp: WriteTimestamp(seq),
    }
}

impl TestContext {
    /// So many channels of the reader's, each with so many messages of this content.
    async fn new(channels: u128, messages: u64, content: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = Config { cache_bytes: 8 << 20, free_bytes_min: 0, ..Config::default() };
        let engine = Engine::open(&folder.path().join("log"), config).expect("opens");
        let directory = Directory::open(&folder.path().join("directory.sqlite")).await.expect("opens");
        let user = User {
            id: READER,
            email: "ada@example.org".into(),
            username: "ada".into(),
            display_name: "Ada".into(),
            avatar_url: String::new(),
            created_at: UnixMillis(1),
        };
        directory.create_users(&[NewUser { user, password_hash: String::new() }]).await.expect("creates");
        let mut rows = Rows::default();
        let mut heads = Vec::new();
        for channel_id in (0..channels).map(channel) {
            rows.messages.extend((1..=messages).map(|seq| message(channel_id, seq, content)));
            rows.memberships.push(MembershipRow {
                channel_id,
                user_id: READER,
                from_id: MessageId(1),
                to_id: MessageId::ZERO,
                version: 1,
                to_version: 0,
                from_seq: 0,
                sees_above: MessageId::ZERO,
                role: "member".into(),
                stamp: WriteTimestamp(1),
            });
            let last = MessageId(messages * 10);
            heads.push(HeadRow {
                last_effective_id: last,
                last_message_id: last,
                last_seq: messages,
                stamp: WriteTimestamp(1),
                ..HeadRow::empty(channel_id)
            });
        }
        let store = engine.store();
        store.write_rows(PartitionId(0), &rows).await.expect("writes");
        store.write_heads(&heads).await.expect("writes");
        Self { store: Counting { store, calls: Arc::default() }, directory, _folder: folder }
    }

    /// Reads what the reader has not of these channels; `after`: the last message that they have.
    async fn read(
        &self,
        channels: &[(ChannelId, u64)],
        pages_max: usize,
        reset_above: u32,
    ) -> Vec<Result<ReadOutcome, BackendError>> {
        let read = |(channel_id, after): &(ChannelId, u64)| ChannelRead {
            channel_id: *channel_id,
            after: MessageId(*after),
            after_change: Some(0),
            limit: 100,
            reset_above,
        };
        let channels = channels.iter().map(read).collect();
        let asked = ReaderRequest { user_id: READER, channels, pages_max };
        read_pages(&self.store, &self.directory, &[asked]).await.remove(0)
    }

    fn calls(&self) -> usize {
        self.store.calls.swap(0, Ordering::Relaxed)
    }
}

fn page(outcome: &Result<ReadOutcome, BackendError>) -> &ChannelPage {
    match outcome {
        Ok(ReadOutcome::Page(page)) => page,
        other => panic!("not a page: {other:?}"),
    }
}

#[tokio::test]
async fn a_hundred_channels_in_which_nothing_changed_cost_one_call() {
    let context = TestContext::new(100, 3, "hello").await;
    let all: Vec<_> = (0..100).map(|number| (channel(number), 30)).collect();
    let outcomes = context.read(&all, 8, 0).await;
    assert_eq!(context.calls(), 1);
    for outcome in &outcomes {
        let page = page(outcome);
        assert!(page.messages.is_empty() && page.changes.is_empty() && !page.has_more);
        assert_eq!((page.head.last_seq, page.unread_count), (3, 3), "nothing was read by a receipt");
    }
}

#[tokio::test]
async fn channels_that_miss_something_share_their_calls_and_the_rest_is_deferred() {
    let context = TestContext::new(20, 3, "hello").await;
    let all: Vec<_> = (0..20).map(|number| (channel(number), if number < 12 { 10 } else { 30 })).collect();
    let outcomes = context.read(&all, 8, 0).await;
    assert_eq!(context.calls(), 3, "heads, messages, reactions");
    for (number, outcome) in outcomes.iter().enumerate() {
        match number {
            0..8 => {
                let ids: Vec<u64> = page(outcome).messages.iter().map(|row| row.message_id.0).collect();
                assert_eq!(ids, [20, 30]);
                assert_eq!(page(outcome).senders.len(), 1);
            }
            8..12 => assert_eq!(*outcome, Ok(ReadOutcome::Deferred)),
            _ => assert!(page(outcome).messages.is_empty()),
        }
    }
}

#[tokio::test]
async fn a_page_has_so_many_messages_and_bytes_and_says_that_there_are_more() {
    let context = TestContext::new(1, 150, "hello").await;
    let outcomes = context.read(&[(channel(0), 0)], 1, 0).await;
    assert_eq!((page(&outcomes[0]).messages.len(), page(&outcomes[0]).has_more), (100, true));
    let large = "x".repeat(PAGE_BYTES_MAX / 4);
    let context = TestContext::new(1, 9, &large).await;
    let outcomes = context.read(&[(channel(0), 0)], 1, 0).await;
    assert_eq!((page(&outcomes[0]).messages.len(), page(&outcomes[0]).has_more), (4, true));
}

#[tokio::test]
async fn whoever_misses_too_much_begins_anew_with_the_newest() {
    let context = TestContext::new(1, 150, "hello").await;
    let outcomes = context.read(&[(channel(0), 100)], 1, 139).await;
    let first = page(&outcomes[0]);
    assert!(first.reset && !first.has_more);
    let ids: Vec<u64> = first.messages.iter().map(|row| row.message_id.0).collect();
    assert_eq!(ids, (51..=150).map(|seq| seq * 10).collect::<Vec<u64>>(), "the newest, oldest first");
    let outcomes = context.read(&[(channel(0), 100)], 1, 140).await;
    assert!(!page(&outcomes[0]).reset, "just as many as a sync sends");
}

#[tokio::test]
async fn a_channel_that_nobody_wrote_to_has_an_empty_page() {
    let context = TestContext::new(1, 1, "hello").await;
    let outcomes = context.read(&[(channel(7), 0)], 1, 0).await;
    assert_eq!(page(&outcomes[0]).head, HeadRow::empty(channel(7)));
}

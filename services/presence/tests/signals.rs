//! The consumer over real engines: registers, whom edges are told of, and records that come twice.

use std::collections::BTreeMap;
use std::time::Duration;

use ringside_application::consumer::Handler as _;
use ringside_domain::rows::{InterestRow, Prefetch, Rows, WriteTimestamp};
use ringside_embedded::{Config, EmbeddedLog, EmbeddedStore, Engine};
use ringside_ports::accounts::{NewUser, User};
use ringside_ports::channels::{Channel, ChannelKind, NewChannel, Role};
use ringside_ports::log::{Append, ReadLimit};
use ringside_ports::people::profiles::{ProfileChange, Profiles as _, SettingsSwap};
use ringside_ports::people::relations::Relations as _;
use ringside_ports::{
    ChannelChanges as _, ChannelReader as _, Log as _, Outbox as _, PartitionStore as _, Registration as _,
};
use ringside_presence::signals::StatusHandler;
use ringside_sql::Directory;
use ringside_types::{ChannelId, Epoch, MessageId, Offset, PartitionId, Slot, Topic, UnixMillis, UserId};
use ringside_wire::records::{EdgeBatch, Receipt, Signal, Signals, Status, edge_item, signal};
use tempfile::TempDir;
use uuid::Uuid;

const PARTITION: PartitionId = PartitionId(0);
const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(0xc));

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

struct TestContext {
    consumer: StatusHandler<EmbeddedLog, EmbeddedStore, Directory>,
    next: Offset,
    seen: Offset,
    _folder: TempDir,
}

impl TestContext {
    /// A channel of so many members; edge slot 1 has an epoch that is over, and 5; slot 2 has left.
    async fn new(members: u128) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config =
            Config { tail_bytes: 256 * 1024, cache_bytes: 8 << 20, free_bytes_min: 0, ..Config::default() };
        let engine = Engine::open(&folder.path().join("log"), config).expect("opens");
        let directory = Directory::open(&folder.path().join("directory.sqlite")).await.expect("opens");
        let users: Vec<NewUser> = (1..=members).map(new_user).collect();
        directory.create_users(&users).await.expect("creates");
        let channel = Channel::new(CHANNEL, ChannelKind::Group, "all".into(), user(1), UnixMillis(1));
        let members = (1..=members).map(|number| (user(number), Role::Member)).collect();
        directory.create_channels(&[NewChannel { channel, members }]).await.expect("creates");
        let unsent = directory.unsent(None, 10).await.expect("reads");
        let rows: Vec<i64> = unsent.iter().map(|row| row.id).collect();
        directory.confirm(&rows).await.expect("confirms");
        let interest = [(1, 4, 9), (1, 5, 9), (2, 5, 0)].map(|(slot, epoch, record)| InterestRow {
            channel_id: CHANNEL,
            slot: Slot(slot),
            epoch: Epoch(epoch),
            n: 1,
            record_id: MessageId(record),
            stamp: WriteTimestamp(1),
        });
        let rows = Rows { interest: interest.to_vec(), ..Rows::default() };
        engine.store().write_rows(PARTITION, &rows).await.expect("writes");
        let consumer = StatusHandler { log: engine.log(), store: engine.store(), directory };
        Self { consumer, next: Offset(0), seen: Offset(0), _folder: folder }
    }

    /// One record with these, consumed.
    async fn say(&mut self, signals: Vec<(u128, signal::Body)>) {
        let items = signals.into_iter().map(|(number, body)| Signal {
            channel_id: CHANNEL.as_bytes().to_vec().into(),
            user_id: user(number).as_bytes().to_vec().into(),
            body: Some(body),
        });
        let payload = ringside_wire::encode(&Signals { items: items.collect() });
        let append = Append { topic: Topic::MessagesStatus, partition: PARTITION, payload };
        self.consumer.log.append(vec![append]).await.expect("appends");
        self.consume().await;
    }

    /// Handles what the log has.
    async fn consume(&mut self) {
        let limit = ReadLimit { records: 1_024, bytes: 1 << 20 };
        let (log, wait) = (&self.consumer.log, Duration::ZERO);
        let records =
            log.read(Topic::MessagesStatus, PARTITION, self.next, limit, wait).await.expect("reads");
        self.next = self.consumer.handle(&mut PARTITION.clone(), records).await.expect("consumes");
    }

    /// What edge 1 was told since it last looked.
    async fn told(&mut self) -> Vec<edge_item::Body> {
        let limit = ReadLimit { records: 100, bytes: 1 << 20 };
        let read = |slot, from| {
            self.consumer.log.read(Topic::MessagesReceive, PartitionId(slot), from, limit, Duration::ZERO)
        };
        assert!(read(2, Offset(0)).await.expect("reads").is_empty(), "slot 2 has left");
        let mut told = Vec::new();
        for record in read(1, self.seen).await.expect("reads") {
            self.seen = record.offset.next();
            let batch: EdgeBatch = ringside_wire::decode(record.payload).expect("a batch");
            assert_eq!(batch.epoch, 5, "nobody reads an epoch that is over");
            told.extend(batch.items.into_iter().filter_map(|item| item.body));
        }
        told
    }

    async fn statuses(&mut self) -> BTreeMap<u128, Status> {
        let statuses = self.told().await.into_iter().map(|body| match body {
            edge_item::Body::Status(status) => {
                (Uuid::from_slice(&status.user_id).expect("an id").as_u128(), status)
            }
            other => panic!("not a status: {other:?}"),
        });
        statuses.collect()
    }
}

fn new_user(number: u128) -> NewUser {
    let user = User {
        id: user(number),
        email: format!("user{number}@example.org"),
        username: format!("user{number}"),
        display_name: "Someone".into(),
        avatar_url: String::new(),
        created_at: UnixMillis(1),
    };
    NewUser { user, password_hash: String::new() }
}

fn delivered(seq: u64) -> signal::Body {
    let (delivered_id, delivered_seq) = (seq * 10, seq);
    signal::Body::Receipt(Receipt { delivered_id, delivered_seq, ..Receipt::default() })
}

fn read(seq: u64) -> signal::Body {
    signal::Body::Receipt(Receipt {
        delivered_id: seq * 10,
        delivered_seq: seq,
        read_id: seq * 10,
        read_seq: seq,
    })
}

#[tokio::test]
async fn registers_only_grow_and_members_are_told_what_they_hold() {
    let mut context = TestContext::new(3).await;
    context.say(vec![(1, delivered(5)), (2, delivered(1)), (1, read(3))]).await;
    let told = context.statuses().await;
    assert_eq!((told[&1].last_delivered_id, told[&1].last_read_id), (50, 30));
    assert_eq!((told[&2].last_delivered_id, told[&2].last_read_id), (10, 0));
    context.say(vec![(1, read(2))]).await;
    let told = context.statuses().await;
    assert_eq!((told[&1].last_delivered_id, told[&1].last_read_id), (50, 30), "not back");
    // All of it once more, as after a crash before the commit.
    (_, context.next) = context.consumer.open(PARTITION).await.expect("reads");
    assert_eq!(context.next, Offset(0));
    context.consume().await;
    let told = context.statuses().await;
    assert_eq!((told[&1].last_delivered_id, told[&1].last_read_id), (50, 30));
    let wanted = Prefetch { reads: vec![(user(1), CHANNEL)], ..Prefetch::default() };
    let kept = context.consumer.store.load(&wanted).await.expect("loads");
    assert_eq!((kept.reads[0].last_read_seq, kept.delivered[0].last_delivered_seq), (3, 5));
}

#[tokio::test]
async fn settings_and_blocks_hide_receipts() {
    let mut context = TestContext::new(3).await;
    let directory = context.consumer.directory.clone();
    assert!(directory.block(user(3), user(1), UnixMillis(2)).await.expect("blocks"));
    let settings = r#"{"privacy":{"receipts":"nobody"}}"#.to_owned();
    let profile = directory.profiles(&[user(2)]).await.expect("reads").remove(0);
    let change = ProfileChange {
        settings: Some(SettingsSwap { from: profile.settings, to: settings }),
        ..ProfileChange::default()
    };
    directory.change_profile(user(2), change, UnixMillis(3)).await.expect("changes");
    context.say(vec![(1, read(1)), (2, read(1))]).await;
    let told = context.statuses().await;
    assert_eq!(told[&1].hidden_from, [user(3).as_bytes().to_vec()]);
    let mut hidden: Vec<_> = told[&2].hidden_from.iter().map(|id| id.to_vec()).collect();
    hidden.sort();
    assert_eq!(hidden, [user(1).as_bytes().to_vec(), user(3).as_bytes().to_vec()]);
}

#[tokio::test]
async fn large_channels_tell_own_devices_alone() {
    for (members, own_devices_only) in [(64, false), (65, true)] {
        let mut context = TestContext::new(members).await;
        context.say(vec![(1, read(1))]).await;
        assert_eq!(context.statuses().await[&1].own_devices_only, own_devices_only, "{members}");
    }
}

#[tokio::test]
async fn signs_of_typing_keep_their_order() {
    let mut context = TestContext::new(2).await;
    context.say(vec![(1, signal::Body::Typing(true)), (1, signal::Body::Typing(false))]).await;
    let stopped: Vec<bool> = context
        .told()
        .await
        .into_iter()
        .map(|body| match body {
            edge_item::Body::Typing(sign) => sign.stopped,
            other => panic!("not a sign: {other:?}"),
        })
        .collect();
    assert_eq!(stopped, [false, true]);
}

#[tokio::test]
async fn what_cannot_be_read_is_passed_over() {
    let mut context = TestContext::new(2).await;
    let append = Append { topic: Topic::MessagesStatus, partition: PARTITION, payload: "?".into() };
    context.consumer.log.append(vec![append]).await.expect("appends");
    context.say(vec![(1, read(1))]).await;
    assert_eq!(context.statuses().await.len(), 1);
}

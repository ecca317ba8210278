//! What the Directory has changed reaches the log, whatever fails in between, and nothing is answered before.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringside_application::service::{ChannelService as _, ServiceError};
use ringside_channel::{DAMAGED_ROWS_MAX, PUBLISH_TIMEOUT, ROWS_MAX, Relay};
use ringside_ports::channels::{Channel, ChannelChange, ChannelKind, NewChannel, OutboxRow, Role};
use ringside_ports::{ChannelChanges as _, EngineError, MembershipReader as _, Outbox};
use ringside_sql::Directory;
use ringside_types::{ChannelId, UnixMillis};
use ringside_wire::records::MembershipKind;
use support::{TestContext, soon, user, wish};
use tokio::sync::watch;
use uuid::Uuid;

fn channel_id(number: u128) -> ChannelId {
    ChannelId(Uuid::from_u128(0xc000 + number))
}

fn new_channel(number: u128) -> NewChannel {
    let channel = Channel::new(channel_id(number), ChannelKind::Group, "name".into(), user(1), UnixMillis(1));
    NewChannel { channel, members: vec![(user(1), Role::Owner), (user(2), Role::Member)] }
}

fn is_unavailable<T>(answer: &Result<T, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::Unavailable(_)))
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(what, waiting).await;
}

async fn confirmed(directory: &Directory, id: ChannelId) -> bool {
    !directory.channels(&[id]).await.expect("answers").is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_is_relayed_on_start_and_without_a_word_later() {
    let context = TestContext::new().await;
    context.directory.create_channels(&[new_channel(1)]).await.expect("creates");
    let running = context.start();
    until("the leftover", async || confirmed(&context.directory, channel_id(1)).await).await;
    context.directory.create_channels(&[new_channel(2)]).await.expect("creates, and nobody publishes");
    until("the other", async || confirmed(&context.directory, channel_id(2)).await).await;
    for number in [1, 2] {
        let sent = context.sent(channel_id(number)).await;
        let [record] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((record.kind(), record.version, record.members.len()), (MembershipKind::Created, 1, 2));
        assert_eq!(context.told(channel_id(number)).await, sent, "the same in control");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_round_holds_is_relayed_in_order() {
    let context = TestContext::new().await;
    let count = ROWS_MAX as u128 + 10;
    let channels: Vec<_> = (0..count).map(new_channel).collect();
    context.directory.create_channels(&channels).await.expect("creates");
    let add = ChannelChange::Add((3..=120).map(|number| (user(number), Role::Member)).collect());
    let added = context.directory.change(channel_id(0), user(1), add, UnixMillis(2)).await.expect("changes");
    assert!(added.is_ok());
    let running = context.start();
    soon("the pass", running.relay.publish(channel_id(0))).await.expect("publishes");
    assert_eq!(context.directory.unsent(None, 1).await.expect("lists"), []);
    let versions: Vec<u64> = context.sent(channel_id(0)).await.iter().map(|record| record.version).collect();
    assert_eq!(versions, (1..=119).collect::<Vec<_>>());
    assert_eq!(context.told(channel_id(count - 1)).await.len(), 1);
    assert_eq!(context.log.appends.load(Ordering::SeqCst), 2, "two rounds");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_refuses_makes_callers_wait_then_say_so_and_recovers() {
    let context = TestContext::new().await;
    let running = context.start();
    context.log.refuses.store(true, Ordering::SeqCst);
    let conversations = running.conversations.clone();
    let creating =
        tokio::spawn(async move { conversations.create(user(1), wish(ChannelKind::Group, &[2])).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    context.log.refuses.store(false, Ordering::SeqCst);
    let (channel, is_new) =
        soon("the retry", creating).await.expect("no panic").expect("a short failure is not seen");
    assert!(is_new && confirmed(&context.directory, channel.id).await);

    context.log.refuses.store(true, Ordering::SeqCst);
    let start = Instant::now();
    let answer = running.conversations.create(user(1), wish(ChannelKind::Dm, &[3])).await;
    assert!(is_unavailable(&answer), "{answer:?}");
    assert!((PUBLISH_TIMEOUT..PUBLISH_TIMEOUT * 3).contains(&start.elapsed()));
    let listed = running.conversations.list(user(3), Default::default()).await.expect("lists");
    assert!(listed.items.is_empty(), "not answered from before the log has it");
    context.log.refuses.store(false, Ordering::SeqCst);
    let (_, is_new) =
        running.conversations.create(user(1), wish(ChannelKind::Dm, &[3])).await.expect("recovers");
    assert!(!is_new, "it had been done all the same");
    running.stop().await;
}

#[tokio::test]
async fn without_its_task_a_relay_says_so_at_once() {
    let context = TestContext::new().await;
    let running = context.start();
    let relay = running.relay.clone();
    running.stop().await;
    let start = Instant::now();
    assert!(is_unavailable(&relay.publish(channel_id(1)).await));
    assert!(start.elapsed() < PUBLISH_TIMEOUT);
    let (relay, task) = Relay::over(context.directory.clone(), context.log.clone());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(task.run(stopped));
    relay.publish(channel_id(1)).await.expect("nothing to do");
    drop(stop);
    soon("the end", task).await.expect("ends with whoever could stop it");
}

/// A Directory whose outbox rows of some channels can't be read, until they are repaired.
#[derive(Clone)]
struct Damaged {
    directory: Directory,
    channels: Arc<Mutex<Vec<ChannelId>>>,
    /// Further rows that nobody can read.
    junk: Arc<AtomicUsize>,
    confirms: Arc<AtomicBool>,
}

impl Damaged {
    fn new(directory: &Directory, channels: &[ChannelId]) -> Self {
        Self {
            directory: directory.clone(),
            channels: Arc::new(Mutex::new(channels.to_vec())),
            junk: Arc::default(),
            confirms: Arc::new(AtomicBool::new(true)),
        }
    }
}

impl Outbox for Damaged {
    async fn unsent(&self, channel: Option<ChannelId>, limit: usize) -> Result<Vec<OutboxRow>, EngineError> {
        let mut rows: Vec<OutboxRow> = (0..self.junk.load(Ordering::SeqCst))
            .map(|number| OutboxRow {
                id: -1 - number as i64,
                channel_id: channel_id(0xffff),
                version: 1,
                record: Bytes::from_static(&[0xff]),
            })
            .collect();
        rows.extend(self.directory.unsent(channel, limit).await?);
        rows.truncate(limit);
        let damaged = self.channels.lock().expect("no panic").clone();
        // A row of another version than it says, and one that is no record at all.
        for row in rows.iter_mut().filter(|row| damaged.contains(&row.channel_id)) {
            match row.version {
                1 => row.record = Bytes::from_static(&[0xff, 0xff]),
                _ => row.version += 1,
            }
        }
        Ok(rows)
    }

    async fn confirm(&self, rows: &[i64]) -> Result<(), EngineError> {
        if self.confirms.load(Ordering::SeqCst) {
            return self.directory.confirm(rows).await;
        }
        Err(EngineError::Unavailable { engine: "test", cause: "does not confirm".into() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_stops_no_other() {
    let context = TestContext::new().await;
    let damaged = Damaged::new(&context.directory, &[channel_id(1)]);
    damaged.junk.store(DAMAGED_ROWS_MAX - 10, Ordering::SeqCst);
    let channels: Vec<_> = (1..=3).map(new_channel).collect();
    context.directory.create_channels(&channels).await.expect("creates");
    let add = ChannelChange::Add(vec![(user(5), Role::Member)]);
    let added = context.directory.change(channel_id(1), user(1), add, UnixMillis(2)).await.expect("changes");
    assert!(added.is_ok());
    let (relay, task) = Relay::over(damaged.clone(), context.log.clone());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(task.run(stopped));
    relay.publish(channel_id(2)).await.expect("others go on");
    assert_eq!(context.sent(channel_id(3)).await.len(), 1);
    assert!(is_unavailable(&relay.publish(channel_id(1)).await), "its own channel's callers are told");
    assert!(!confirmed(&context.directory, channel_id(1)).await, "and it is not answered from");
    assert_eq!(context.sent(channel_id(1)).await, []);
    damaged.channels.lock().expect("no panic").clear();
    relay.publish(channel_id(1)).await.expect("once it is repaired");
    let versions: Vec<u64> = context.sent(channel_id(1)).await.iter().map(|record| record.version).collect();
    assert_eq!(versions, [1, 2]);
    stop.send(true).expect("runs");
    task.await.expect("ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_too_many_rows_that_cannot_be_read_every_caller_is_told() {
    let context = TestContext::new().await;
    let damaged = Damaged::new(&context.directory, &[]);
    damaged.junk.store(DAMAGED_ROWS_MAX + 1, Ordering::SeqCst);
    let (relay, task) = Relay::over(damaged.clone(), context.log.clone());
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(task.run(stopped));
    assert!(is_unavailable(&relay.publish(channel_id(1)).await));
    damaged.junk.store(0, Ordering::SeqCst);
    relay.publish(channel_id(1)).await.expect("once they are gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_not_confirmed_is_appended_again_with_its_version() {
    let context = TestContext::new().await;
    let directory = Damaged::new(&context.directory, &[]);
    directory.confirms.store(false, Ordering::SeqCst);
    context.directory.create_channels(&[new_channel(1)]).await.expect("creates");
    let (relay, task) = Relay::over(directory.clone(), context.log.clone());
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(task.run(stopped));
    until("an append", async || !context.told(channel_id(1)).await.is_empty()).await;
    assert!(!confirmed(&context.directory, channel_id(1)).await);
    directory.confirms.store(true, Ordering::SeqCst);
    relay.publish(channel_id(1)).await.expect("confirms");
    let sent = context.sent(channel_id(1)).await;
    assert!(sent.len() > 1 && sent.iter().all(|record| record == &sent[0]), "{sent:?}");
}

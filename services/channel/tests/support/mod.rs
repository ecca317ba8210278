//! The service over real engines in folders that go with the test.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ringside_application::service::CreateChannel;
use ringside_channel::{Conversations, Relay};
use ringside_embedded::{Config, EmbeddedLog, Engine};
use ringside_ports::accounts::{NewUser, User};
use ringside_ports::channels::ChannelKind;
use ringside_ports::log::{Append, Bounds, Commit, Position, ReadLimit, Record};
use ringside_ports::{EngineError, Log, Registration as _};
use ringside_sql::Directory;
use ringside_types::{ChannelId, Offset, PartitionId, Topic, UnixMillis, UserId, partition_of};
use ringside_wire::records::{Command, Control, Membership, command, control};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Users 1 to this are there.
pub const USERS: u128 = 150;

/// A data folder with its engines, and users.
pub struct TestContext {
    pub directory: Directory,
    pub log: FaultyLog,
    folder: TempDir,
}

impl TestContext {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = open_log(&folder.path().join("log"));
        let directory = Directory::open(&folder.path().join("directory.sqlite")).await.expect("opens");
        let users: Vec<NewUser> = (1..=USERS).map(new_user).collect();
        directory.create_users(&users).await.expect("creates");
        Self { directory, log, folder }
    }

    /// The service, with the relay's task running.
    pub fn start(&self) -> Running {
        let (relay, task) = Relay::over(self.directory.clone(), self.log.clone());
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(task.run(stopped));
        let conversations = Conversations::new(self.directory.clone(), self.log.clone(), relay.clone());
        Running { conversations, relay, stop, task }
    }

    async fn records(&self, topic: Topic, partition: PartitionId) -> Vec<Record> {
        let limit = ReadLimit { records: 10_000, bytes: 16 << 20 };
        self.log.read(topic, partition, Offset(0), limit, Duration::ZERO).await.expect("reads")
    }

    /// The changes in the channel's own partition.
    pub async fn sent(&self, channel: ChannelId) -> Vec<Membership> {
        let partition = partition_of(channel, self.log.partitions(Topic::MessagesSend));
        let records = self.records(Topic::MessagesSend, partition).await.into_iter().map(|record| {
            let command: Command = ringside_wire::decode(record.payload).expect("a Command record");
            let Some(command::Body::Membership(membership)) = command.body else { panic!("{command:?}") };
            membership
        });
        of_channel(records, channel)
    }

    /// The changes in `control`.
    pub async fn told(&self, channel: ChannelId) -> Vec<Membership> {
        let records = self.records(Topic::Control, PartitionId(0)).await.into_iter().map(|record| {
            let control: Control = ringside_wire::decode(record.payload).expect("a Control record");
            let Some(control::Body::Membership(membership)) = control.body else { panic!("{control:?}") };
            membership
        });
        of_channel(records, channel)
    }
}

fn of_channel(records: impl Iterator<Item = Membership>, channel: ChannelId) -> Vec<Membership> {
    records.filter(|record| record.channel_id[..] == channel.as_bytes()[..]).collect()
}

fn open_log(folder: &Path) -> FaultyLog {
    let config =
        Config { tail_bytes: 256 * 1024, cache_bytes: 8 << 20, free_bytes_min: 0, ..Config::default() };
    let log = Engine::open(folder, config).expect("opens").log();
    FaultyLog { log, refuses: Arc::default(), appends: Arc::default() }
}

/// The service, and the task behind it.
pub struct Running {
    pub conversations: Conversations<Directory, FaultyLog>,
    pub relay: Relay,
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.stop.send(true).expect("runs");
        self.task.await.expect("ends");
    }
}

pub fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

pub fn users(numbers: &[u128]) -> Vec<UserId> {
    numbers.iter().copied().map(user).collect()
}

fn new_user(number: u128) -> NewUser {
    let user = User {
        id: user(number),
        email: format!("user{number}@example.org"),
        username: format!("user{number}"),
        display_name: format!("User {number}"),
        avatar_url: String::new(),
        created_at: UnixMillis(1),
    };
    NewUser { user, password_hash: String::new() }
}

pub fn wish(kind: ChannelKind, members: &[u128]) -> CreateChannel {
    let name = if kind == ChannelKind::Dm { "" } else { "name" };
    CreateChannel { name: name.into(), kind, member_ids: users(members), description: String::new() }
}

/// Waits for what must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not come"))
}

/// The embedded log, which refuses appends while it is told to, and counts those that it takes.
#[derive(Clone)]
pub struct FaultyLog {
    log: EmbeddedLog,
    pub refuses: Arc<AtomicBool>,
    pub appends: Arc<AtomicUsize>,
}

impl Log for FaultyLog {
    fn partitions(&self, topic: Topic) -> u16 {
        self.log.partitions(topic)
    }

    async fn append(&self, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(EngineError::Unavailable { engine: "test", cause: "refuses".into() });
        }
        self.appends.fetch_add(1, Ordering::SeqCst);
        self.log.append(records).await
    }

    async fn read(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        self.log.read(topic, partition, from, limit, wait).await
    }

    async fn bounds(&self, topic: Topic, partition: PartitionId) -> Result<Bounds, EngineError> {
        self.log.bounds(topic, partition).await
    }

    async fn offset_at(
        &self,
        topic: Topic,
        partition: PartitionId,
        time: UnixMillis,
    ) -> Result<Offset, EngineError> {
        self.log.offset_at(topic, partition, time).await
    }

    async fn commit(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
        commit: Commit,
    ) -> Result<(), EngineError> {
        self.log.commit(group, topic, partition, commit).await
    }

    async fn committed(
        &self,
        group: &'static str,
        topic: Topic,
        partition: PartitionId,
    ) -> Result<Option<Commit>, EngineError> {
        self.log.committed(group, topic, partition).await
    }
}

//! The service over real engines in folders that go with the test.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringside_application::service::{Credentials, Registration, ServiceError, SignedIn, UserService as _};
use ringside_embedded::{Config, EmbeddedLog, Engine, KeyFiles, MemoryPresence};
use ringside_ports::log::ReadLimit;
use ringside_ports::{Log, Presence};
use ringside_sql::Directory;
use ringside_types::{Limits, Offset, PartitionId, SessionId, Topic, UnixMillis, UserId};
use ringside_user::{KeyRotation, SigningKeys, Users};
use ringside_wire::records::{Control, control};
use tempfile::TempDir;
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse";
/// Where everybody comes from who does not say otherwise.
pub const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A data folder with its engines.
pub struct TestContext {
    pub directory: Directory,
    pub log: EmbeddedLog,
    pub presence: MemoryPresence,
    pub keys: Arc<SigningKeys>,
    pub folder: TempDir,
}

impl TestContext {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config =
            Config { tail_bytes: 256 * 1024, cache_bytes: 8 << 20, free_bytes_min: 0, ..Config::default() };
        let log = Engine::open(&folder.path().join("log"), config).expect("opens").log();
        let directory = Directory::open(&folder.path().join("directory.sqlite")).await.expect("opens");
        // Its time stands still: no token comes back while a slow machine hashes.
        let presence = MemoryPresence::with_clock(|| Duration::ZERO);
        let files = KeyFiles::new(folder.path().join("keys"));
        let keys = KeyRotation::open(files, log.clone(), now()).await.expect("opens").keys().clone();
        Self { directory, log, presence, keys, folder }
    }

    pub fn users(&self) -> Users<Directory, MemoryPresence, EmbeddedLog> {
        self.users_with(Limits::default())
    }

    pub fn users_with(&self, limits: Limits) -> Users<Directory, MemoryPresence, EmbeddedLog> {
        self.users_over(self.presence.clone(), self.log.clone(), limits)
    }

    pub fn users_over<P: Presence, L: Log>(
        &self,
        presence: P,
        log: L,
        limits: Limits,
    ) -> Users<Directory, P, L> {
        Users::new(self.directory.clone(), presence, log, self.keys.clone(), limits)
    }

    /// The sessions that `control` says have been revoked; the nil one: all of the user's.
    pub async fn revoked(&self) -> Vec<(UserId, SessionId)> {
        let limit = ReadLimit { records: 10_000, bytes: 1 << 20 };
        let read = self.log.read(Topic::Control, PartitionId(0), Offset(0), limit, Duration::ZERO);
        let records = read.await.expect("reads");
        let revoked = records.into_iter().map(|record| {
            let control: Control = ringside_wire::decode(record.payload).expect("a Control record");
            let Some(control::Body::Revoked(revoked)) = control.body else { panic!("{control:?}") };
            let session_id = match &revoked.session_id[..] {
                [] => SessionId(Uuid::nil()),
                id => SessionId::from_slice(id).expect("an id"),
            };
            (UserId::from_slice(&revoked.user_id).expect("an id"), session_id)
        });
        revoked.collect()
    }
}

pub fn now() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64)
}

pub fn registration(username: &str) -> Registration {
    Registration {
        email: format!("{username}@example.org"),
        username: username.into(),
        password: PASSWORD.into(),
        display_name: None,
        invitation: None,
        address: ADDRESS,
    }
}

pub fn credentials(login: &str, password: &str) -> Credentials {
    let device = "telephone".into();
    Credentials { login: login.into(), password: password.into(), device, address: ADDRESS }
}

pub async fn registered<P: Presence, L: Log>(users: &Users<Directory, P, L>, username: &str) -> SignedIn {
    users.register(registration(username)).await.expect("registers")
}

pub fn is_unauthorized<T>(answer: &Result<T, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::Unauthorized(_)))
}

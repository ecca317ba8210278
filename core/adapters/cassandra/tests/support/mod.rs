//! Keyspaces of their own for tests, on the engine that the environment names.

#![allow(dead_code, reason = "each test file takes its part")]

pub mod proxy;
pub mod rows;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;
use ringside_cassandra::{CassandraStore, Config, init};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use uuid::Uuid;

/// The contact points of the engine.
pub fn contact_points() -> Vec<String> {
    let points = std::env::var("RINGSIDE_TEST_CASSANDRA").expect(
        "start the engines with `deploy/local/engines up`, then `eval \"$(deploy/local/engines env)\"`",
    );
    points.split(',').map(|point| point.trim().to_owned()).collect()
}

/// What tests ask for: time enough for a machine that is busy, and one replica, for there may be one node alone.
pub fn config() -> Config {
    Config {
        contact_points: contact_points(),
        keyspace: format!("test_{}", Uuid::new_v4().simple()),
        replication: BTreeMap::from([("datacenter1".into(), 1)]),
        deadline: Duration::from_secs(60),
        attempt_timeout: Duration::from_secs(20),
        turn_wait: Duration::from_secs(60),
        connect_timeout: Duration::from_secs(30),
        ..Config::default()
    }
}

/// Keyspaces that go when the test ends, however it ends.
pub struct Keyspaces(Mutex<Vec<Config>>);

impl Keyspaces {
    /// Runs a test and drops the keyspaces that it has made.
    pub async fn with(test: impl AsyncFnOnce(&Self)) {
        let keyspaces = Self(Mutex::new(Vec::new()));
        let outcome = AssertUnwindSafe(test(&keyspaces)).catch_unwind().await;
        keyspaces.drop_all().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }

    /// Drops what was made until now. A small engine has no room for the tables of many keyspaces.
    pub async fn drop_all(&self) {
        let made = std::mem::take(&mut *self.0.lock().expect("nobody panicked with the lock"));
        if made.is_empty() {
            return;
        }
        let session = session().await;
        for config in made {
            let drop = format!("DROP KEYSPACE IF EXISTS {}", config.keyspace);
            if let Err(error) = session.query_unpaged(drop, ()).await {
                eprintln!("the keyspace {} stays: {error}", config.keyspace);
            }
        }
    }

    /// Has a keyspace dropped at the end.
    pub fn keep(&self, config: Config) -> Config {
        self.0.lock().expect("nobody panicked with the lock").push(config.clone());
        config
    }

    /// A keyspace with its tables: on a ring of three nodes with three replicas.
    pub async fn made(&self) -> Config {
        let replicas = if contact_points().len() >= 3 { 3 } else { 1 };
        let replication = BTreeMap::from([("datacenter1".into(), replicas)]);
        let config = self.keep(Config { replication, ..config() });
        init(&config).await.expect("makes the tables");
        config
    }

    /// A store over a keyspace of its own.
    pub async fn store(&self) -> CassandraStore {
        CassandraStore::open(self.made().await).await.expect("opens")
    }
}

/// A session without a store's cares, to look behind it.
pub async fn session() -> Session {
    let builder =
        SessionBuilder::new().known_nodes(contact_points()).connection_timeout(Duration::from_secs(30));
    builder.build().await.expect("connects")
}

/// Runs a statement, whatever comes of it is fine.
pub async fn run(session: &Session, statement: impl AsRef<str>) {
    session.query_unpaged(statement.as_ref(), ()).await.expect("runs");
}

//! The real servers that the tests run on, and keys of each test's own there.

#![allow(dead_code, reason = "each test file needs some of it")]

pub mod proxy;

use std::time::Duration;

use redis::{Client, Cmd, Value};
use ringside_redis::{Config, Mode, RedisBus, RedisPresence};

/// Where the servers' addresses stand.
pub const SINGLE: &str = "RINGSIDE_TEST_REDIS";
pub const CLUSTER: &str = "RINGSIDE_TEST_REDIS_CLUSTER";

const START: &str =
    "start the engines with `deploy/local/engines up`, then `eval \"$(deploy/local/engines env)\"`";

/// A single server or a cluster, under a prefix that nobody else has.
pub struct Fresh {
    pub config: Config,
}

fn addresses(variable: &str) -> Vec<String> {
    let text = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is missing: {START}"));
    text.split(',').map(|address| address.trim().to_owned()).collect()
}

impl Fresh {
    pub fn single() -> Self {
        Self::of(Mode::Single, addresses(SINGLE))
    }

    pub fn cluster() -> Self {
        Self::of(Mode::Cluster, addresses(CLUSTER))
    }

    /// The same for both.
    pub fn both() -> [Self; 2] {
        [Self::single(), Self::cluster()]
    }

    pub fn of(mode: Mode, addresses: Vec<String>) -> Self {
        let prefix = format!("test-{:016x}", rand::random::<u64>());
        // On a machine that has other work, too.
        let timeout = Duration::from_secs(5);
        let connect_timeout = Duration::from_secs(2);
        let config = Config { mode, addresses, prefix, timeout, connect_timeout, ..Config::default() };
        Self { config }
    }

    pub fn presence(&self) -> RedisPresence {
        RedisPresence::new(&self.config).expect("the configuration is right")
    }

    pub fn bus(&self) -> RedisBus {
        RedisBus::new(&self.config).expect("the configuration is right")
    }

    /// Another prefix on the same servers.
    pub fn again(&self) -> Self {
        Self::of(self.config.mode, self.config.addresses.clone())
    }

    /// All keys of the prefix, on all servers.
    pub async fn keys(&self) -> Vec<String> {
        let mut found = Vec::new();
        for address in &self.config.addresses {
            found.extend(self.keys_at(address).await);
        }
        found.sort();
        found.dedup();
        found
    }

    async fn keys_at(&self, address: &str) -> Vec<String> {
        let mut found = Vec::new();
        let Ok(mut connection) = connection(address).await else { return found };
        let mut cursor = String::from("0");
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(format!("{}:*", self.config.prefix)).arg("COUNT").arg(1_000);
            let (next, keys): (String, Vec<String>) =
                scan.query_async(&mut connection).await.expect("a server lists its keys");
            found.extend(keys);
            if next == "0" {
                return found;
            }
            cursor = next;
        }
    }

    /// Leaves nothing on the servers.
    pub async fn drop_keys(&self) {
        for address in &self.config.addresses {
            let keys = self.keys_at(address).await;
            let Ok(mut connection) = connection(address).await else { continue };
            for key in keys {
                // A replica refuses, and need not be asked.
                let _: redis::RedisResult<Value> =
                    redis::cmd("UNLINK").arg(key).query_async(&mut connection).await;
            }
        }
    }
}

/// A plain connection to one server.
pub async fn connection(address: &str) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
    Client::open(address)?.get_multiplexed_async_connection().await
}

/// What one server answers.
pub async fn ask(address: &str, command: &Cmd) -> Value {
    let mut connection = connection(address).await.expect("the server is there");
    command.query_async(&mut connection).await.expect("the server answers")
}

//! Logs on the brokers that `deploy/local/engines` has started, each with topics of its own.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::Mutex;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use ringside_kafka::{Config, KafkaLog, Partitions, topics};
use ringside_types::Topic;

/// Makes logs, and removes their topics.
pub struct Cluster {
    brokers: Vec<String>,
    prefixes: Mutex<Vec<String>>,
}

pub async fn cluster() -> Cluster {
    let brokers = std::env::var("RINGSIDE_TEST_KAFKA").expect(
        "start the engines with `deploy/local/engines up`, then `eval \"$(deploy/local/engines env)\"`",
    );
    Cluster { brokers: brokers.split(',').map(str::to_owned).collect(), prefixes: Mutex::default() }
}

impl Cluster {
    /// Settings of an installation that nobody else has.
    pub fn config(&self) -> Config {
        let prefix = format!("test-{}.", uuid::Uuid::new_v4().simple());
        self.prefixes.lock().expect("no panic").push(prefix.clone());
        self.config_of(&prefix)
    }

    /// Settings of an installation that has been made before.
    pub fn config_of(&self, prefix: &str) -> Config {
        let partitions = Partitions { messages: 2, slots: 2 };
        Config { brokers: self.brokers.clone(), prefix: prefix.into(), partitions, ..Config::default() }
    }

    /// What the names of the installation that was made last begin with.
    pub fn last_prefix(&self) -> String {
        self.prefixes.lock().expect("no panic").last().expect("one was made").clone()
    }

    pub async fn log(&self) -> KafkaLog {
        let config = self.config();
        topics::init(&config).await.expect("topics are made");
        KafkaLog::open(config).await.expect("opens")
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        let mut client = rdkafka::ClientConfig::new();
        client.set("bootstrap.servers", self.brokers.join(",")).create().expect("a client")
    }

    /// Removes what was made.
    pub async fn remove(self) {
        let prefixes = self.prefixes.lock().expect("no panic").clone();
        let all = Topic::ALL.map(Topic::name);
        let names: Vec<String> =
            prefixes.iter().flat_map(|prefix| all.map(|name| format!("{prefix}{name}"))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // Of an installation without topics there is nothing to remove.
        let _ = self.admin().delete_topics(&names, &AdminOptions::new()).await;
    }
}

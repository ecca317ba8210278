//! What an operator sets of the log.

use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use ringside_types::Topic;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How many partitions topics get when they are made. Afterwards what is there counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions {
    /// Of `messages.send`, `messages.stored`, `messages.dead` and `messages.status`.
    pub messages: u16,
    /// Of `messages.receive`: the slots of edges.
    pub slots: u16,
}

impl Partitions {
    /// How many a topic gets.
    pub const fn of(self, topic: Topic) -> u16 {
        match topic {
            Topic::MessagesSend | Topic::MessagesStored | Topic::MessagesDead | Topic::MessagesStatus => {
                self.messages
            }
            Topic::MessagesReceive => self.slots,
            Topic::Control | Topic::Presence => 1,
        }
    }
}

/// Where the cluster is, and how Ringside uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Brokers to begin with, as `host:port`; they name the others.
    pub brokers: Vec<String>,
    /// What the names of topics and groups begin with, where several installations share a cluster: `acme.` makes
    /// `acme.messages.send`.
    pub prefix: String,
    /// Partitions of topics that are to be made.
    pub partitions: Partitions,
    /// Replicas of topics that are to be made. With 3 or more, two must confirm each record (`min.insync.replicas`).
    pub replication: u16,
    /// The user name and password of SASL, by the mechanism `PLAIN`; none: brokers ask for none.
    pub sasl: Option<(String, Secret)>,
    /// How long a record may wait for its confirmation. After that it is not confirmed, and possibly there all the same.
    pub append_timeout: Duration,
    /// How long brokers may take for anything else.
    pub request_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            prefix: String::new(),
            partitions: Partitions { messages: 64, slots: 64 },
            replication: 3,
            sasl: None,
            append_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// A topic's name in the cluster.
    pub(crate) fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    /// A consumer group's name in the cluster.
    pub(crate) fn group(&self, group: &str) -> String {
        format!("{}{group}", self.prefix)
    }

    /// Replicas that must have a record before it is confirmed.
    pub(crate) fn in_sync(&self) -> u16 {
        if self.replication >= 3 { 2 } else { 1 }
    }

    /// What every client of the cluster is told.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", "ringside")
            .set("socket.keepalive.enable", "true")
            // A broker that was restarted is found again within a second.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "500")
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            .set("allow.auto.create.topics", "false");
        if let Some((user, Secret(password))) = &self.sasl {
            client
                .set("security.protocol", "sasl_plaintext")
                .set("sasl.mechanism", "PLAIN")
                .set("sasl.username", user)
                .set("sasl.password", password);
        }
        client
    }
}

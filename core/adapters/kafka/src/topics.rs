//! Ringside's topics in a cluster: made once, and looked at whenever the log is opened.
//!
//! A topic with other settings could lose what was acknowledged, so it is refused with the command that mends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode;
use ringside_types::Topic;

use crate::client::Told;
use crate::config::Config;
use crate::error::OpenError;
use crate::producer::MESSAGE_BYTES_MAX;

const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;
/// How often a topic is looked for again before it counts as missing, and the pause between.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Something that is to be there: what it is, and whether it was made, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// In words.
    pub what: String,
    /// It was not there.
    pub is_new: bool,
}

/// How long a topic's records are kept, in milliseconds. Those of `messages.send` may be read again by a processor that was
/// away for days; `messages.receive` is of use only to an edge that lives.
pub const fn retention_ms(topic: Topic) -> u64 {
    match topic {
        Topic::MessagesSend | Topic::MessagesStored => 7 * DAY,
        Topic::MessagesDead => 30 * DAY,
        Topic::MessagesStatus | Topic::Control | Topic::Presence => DAY,
        Topic::MessagesReceive => HOUR,
    }
}

/// What a setting must be.
enum Must {
    Be(&'static str, String),
    /// A number at least so large; -1 is no limit.
    BeAtLeast(&'static str, u64),
}

fn settings(config: &Config, topic: Topic) -> Vec<Must> {
    vec![
        Must::Be("cleanup.policy", "delete".into()),
        Must::Be("message.timestamp.type", "LogAppendTime".into()),
        Must::Be("unclean.leader.election.enable", "false".into()),
        Must::Be("retention.bytes", "-1".into()),
        Must::BeAtLeast("retention.ms", retention_ms(topic)),
        Must::BeAtLeast("min.insync.replicas", config.in_sync().into()),
        Must::BeAtLeast("max.message.bytes", MESSAGE_BYTES_MAX as u64),
    ]
}

impl Must {
    fn name(&self) -> &'static str {
        match self {
            Self::Be(name, _) | Self::BeAtLeast(name, _) => name,
        }
    }

    /// As it is set where the topic is made, or mended.
    fn value(&self) -> String {
        match self {
            Self::Be(_, value) => value.clone(),
            Self::BeAtLeast(_, least) => least.to_string(),
        }
    }

    fn allows(&self, value: &str) -> bool {
        match self {
            Self::Be(_, wanted) => value == wanted,
            Self::BeAtLeast(_, least) => {
                value == "-1" || value.parse::<u64>().is_ok_and(|value| value >= *least)
            }
        }
    }
}

/// A connection to ask the cluster by.
struct Cluster<'a> {
    config: &'a Config,
    admin: Arc<AdminClient<Told>>,
}

impl<'a> Cluster<'a> {
    fn of(config: &'a Config) -> Result<Self, OpenError> {
        let client = config.client().create_with_context(Told);
        let admin = client.map_err(|error| OpenError::Client(error.to_string()))?;
        Ok(Self { config, admin: Arc::new(admin) })
    }

    fn options(&self) -> AdminOptions {
        let within = Some(self.config.request_timeout);
        AdminOptions::new().request_timeout(within).operation_timeout(within)
    }

    fn unreachable(&self, cause: impl Into<String>) -> OpenError {
        OpenError::Unreachable { brokers: self.config.brokers.join(", "), cause: cause.into() }
    }

    async fn metadata(&self) -> Result<Metadata, OpenError> {
        let (admin, within) = (self.admin.clone(), self.config.request_timeout);
        // The call blocks, and may not hold this thread.
        let ask = move || admin.inner().fetch_metadata(None, within);
        let asked = tokio::task::spawn_blocking(ask).await;
        asked
            .map_err(|ended| self.unreachable(ended.to_string()))?
            .map_err(|error| self.unreachable(error.to_string()))
    }

    /// Ringside's topics that there are, with how many partitions and replicas.
    async fn there(&self) -> Result<BTreeMap<Topic, Shape>, OpenError> {
        let metadata = self.metadata().await?;
        let shape = |topic: Topic| {
            let name = self.config.topic(topic);
            let there = metadata.topics().iter().find(|there| there.name() == name)?;
            let replicas = there.partitions().iter().map(|partition| partition.replicas().len()).min();
            let partitions = u16::try_from(there.partitions().len()).unwrap_or(u16::MAX);
            Some((topic, Shape { partitions, replicas: replicas.unwrap_or(0) }))
        };
        Ok(Topic::ALL.into_iter().filter_map(shape).collect())
    }

    async fn make(&self, topic: Topic) -> Result<bool, OpenError> {
        let name = self.config.topic(topic);
        let settings = settings(self.config, topic);
        let values: Vec<String> = settings.iter().map(Must::value).collect();
        let partitions = i32::from(self.config.partitions.of(topic));
        let replicas = i32::from(self.config.replication);
        let mut new = NewTopic::new(&name, partitions, TopicReplication::Fixed(replicas));
        for (setting, value) in settings.iter().zip(&values) {
            new = new.set(setting.name(), value);
        }
        let made = self.admin.create_topics([&new], &self.options()).await;
        let made = made.map_err(|error| self.unreachable(error.to_string()))?;
        match made.into_iter().next() {
            Some(Ok(_)) => Ok(true),
            // Another made it at the same time; what it is like is looked at afterwards.
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(OpenError::Refused { topic: name, cause: code.to_string() }),
            None => Err(self.unreachable("no answer")),
        }
    }

    /// What is wrong with topics that are there; each sentence says what mends it.
    async fn faults(&self, there: &BTreeMap<Topic, Shape>) -> Result<Vec<String>, OpenError> {
        let mut faults = Vec::new();
        let names: Vec<(Topic, String)> =
            there.keys().map(|topic| (*topic, self.config.topic(*topic))).collect();
        let asked: Vec<_> = names.iter().map(|(_, name)| ResourceSpecifier::Topic(name)).collect();
        let answers = self.admin.describe_configs(&asked, &self.options()).await;
        let answers = answers.map_err(|error| self.unreachable(error.to_string()))?;
        for ((topic, name), answer) in names.iter().zip(answers) {
            let resource = answer.map_err(|code| self.unreachable(code.to_string()))?;
            faults.extend(self.wrong_settings(*topic, name, &resource));
        }
        faults.extend(self.wrong_shapes(there));
        Ok(faults)
    }

    fn wrong_settings(&self, topic: Topic, name: &str, there: &ConfigResource) -> Vec<String> {
        let wrong = |must: Must| {
            let setting = must.name();
            let value = there.get(setting).and_then(|entry| entry.value.as_deref()).unwrap_or("unknown");
            (!must.allows(value)).then(|| {
                let wanted = must.value();
                format!(
                    "the Kafka topic {name} has {setting}={value}, and Ringside needs {wanted}: `kafka-configs.sh \
                     --bootstrap-server {} --alter --entity-type topics --entity-name {name} --add-config {setting}={wanted}`",
                    self.config.brokers.first().map_or("", String::as_str)
                )
            })
        };
        settings(self.config, topic).into_iter().filter_map(wrong).collect()
    }

    fn wrong_shapes(&self, there: &BTreeMap<Topic, Shape>) -> Vec<String> {
        let mut faults = Vec::new();
        for (topic, shape) in there {
            let (name, replicas) = (self.config.topic(*topic), shape.replicas);
            if replicas < usize::from(self.config.replication) {
                faults.push(format!(
                    "the Kafka topic {name} has partitions with {replicas} replicas, and `kafka.replication` is {}: add \
                     replicas with kafka-reassign-partitions.sh, or set what there is",
                    self.config.replication
                ));
            }
        }
        let alike = [Topic::MessagesSend, Topic::MessagesStored, Topic::MessagesDead, Topic::MessagesStatus];
        let counts: BTreeSet<u16> =
            alike.iter().filter_map(|topic| there.get(topic)).map(|shape| shape.partitions).collect();
        if counts.len() > 1 {
            let each = alike.iter().filter_map(|topic| Some((topic, there.get(topic)?.partitions)));
            let each: Vec<String> =
                each.map(|(topic, count)| format!("{} has {count}", self.config.topic(*topic))).collect();
            faults.push(format!(
                "these Kafka topics must have equally many partitions, from their beginning on: {}. `{}` is never \
                 repartitioned; delete those that differ from it if they are empty, and run `ringside init`",
                each.join(", "),
                self.config.topic(Topic::MessagesSend)
            ));
        }
        for topic in [Topic::Control, Topic::Presence] {
            if let Some(shape) = there.get(&topic).filter(|shape| shape.partitions != 1) {
                let (name, count) = (self.config.topic(topic), shape.partitions);
                faults.push(format!(
                    "the Kafka topic {name} has {count} partitions, and must have one: delete it, and run `ringside init`"
                ));
            }
        }
        faults
    }
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    partitions: u16,
    replicas: usize,
}

/// What [`init`] would do.
///
/// # Errors
/// The cluster can't be asked.
pub async fn plan(config: &Config) -> Result<Vec<Step>, OpenError> {
    let there = Cluster::of(config)?.there().await?;
    Ok(Topic::ALL.into_iter().map(|topic| step(config, topic, !there.contains_key(&topic))).collect())
}

/// Makes the topics that are not there. It may run twice at once.
///
/// # Errors
/// The cluster refuses, or a topic that is there is not as it must be.
pub async fn init(config: &Config) -> Result<Vec<Step>, OpenError> {
    let cluster = Cluster::of(config)?;
    let there = cluster.there().await?;
    let mut steps = Vec::new();
    for topic in Topic::ALL {
        let is_new = !there.contains_key(&topic) && cluster.make(topic).await?;
        steps.push(step(config, topic, is_new));
    }
    checked(config).await?;
    Ok(steps)
}

fn step(config: &Config, topic: Topic, is_new: bool) -> Step {
    let (name, count) = (config.topic(topic), config.partitions.of(topic));
    Step { what: format!("the Kafka topic {name} ({count} partitions)"), is_new }
}

/// What is wrong with the topics, each a sentence that says what mends it; none: they are as they must be.
///
/// # Errors
/// The cluster can't be asked.
pub async fn check(config: &Config) -> Result<Vec<String>, OpenError> {
    let cluster = Cluster::of(config)?;
    let there = cluster.there().await?;
    let mut faults = cluster.faults(&there).await?;
    let missing = missing(config, &there);
    if !missing.is_empty() {
        faults.push(OpenError::Missing(missing.join(", ")).to_string());
    }
    Ok(faults)
}

/// How many partitions each topic has, if all are there and as they must be.
pub(crate) async fn checked(config: &Config) -> Result<BTreeMap<Topic, u16>, OpenError> {
    let cluster = Cluster::of(config)?;
    let mut there = cluster.there().await?;
    // Brokers hear of new topics one after another.
    for _ in 0..LOOKS {
        if there.len() == Topic::ALL.len() {
            break;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        there = cluster.there().await?;
    }
    let missing = missing(config, &there);
    if !missing.is_empty() {
        return Err(OpenError::Missing(missing.join(", ")));
    }
    let faults = cluster.faults(&there).await?;
    if !faults.is_empty() {
        return Err(OpenError::Wrong(faults));
    }
    Ok(there.into_iter().map(|(topic, shape)| (topic, shape.partitions)).collect())
}

fn missing(config: &Config, there: &BTreeMap<Topic, Shape>) -> Vec<String> {
    let missing = Topic::ALL.into_iter().filter(|topic| !there.contains_key(topic));
    missing.map(|topic| config.topic(topic)).collect()
}

//! What is Kafka's own: topics that are missing or wrong, records that retention has removed, brokers that are away.

mod support;

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::{Offset as At, TopicPartitionList};
use ringside_kafka::{Config, KafkaLog, OpenError, topics};
use ringside_ports::EngineError;
use ringside_ports::contract;
use ringside_ports::log::{Append, Log, ReadLimit};
use ringside_types::{Offset, PartitionId, Topic};
use support::{Cluster, cluster};

const FIRST: PartitionId = PartitionId(0);
const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };

fn record(payload: &'static str) -> Append {
    Append { topic: Topic::MessagesSend, partition: FIRST, payload: payload.into() }
}

async fn set(cluster: &Cluster, topic: &str, settings: &[(&str, &str)]) {
    // What is not named gets its default again.
    let whole = [
        ("message.timestamp.type", "LogAppendTime"),
        ("unclean.leader.election.enable", "false"),
        ("retention.ms", "2592000000"),
        ("min.insync.replicas", "2"),
        ("max.message.bytes", "20971520"),
    ];
    let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (name, value) in whole {
        let value = settings.iter().find(|(set, _)| *set == name).map_or(value, |(_, value)| value);
        change = change.set(name, value);
    }
    let done = cluster.admin().alter_configs([&change], &AdminOptions::new()).await.expect("answers");
    done.into_iter().for_each(|done| drop(done.expect("settings are changed")));
}

/// Waits until brokers tell of the change, which they hear one after another.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Some(found) => return found,
            None if began.elapsed() > Duration::from_secs(20) => panic!("no {what} in 20 s"),
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn refusal(config: &Config) -> Option<String> {
    match KafkaLog::open(config.clone()).await {
        Err(error @ OpenError::Wrong(_)) => Some(error.to_string()),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    }
}

/// A setting that could lose what was acknowledged is refused, with the command that mends it.
#[tokio::test]
async fn a_topic_with_wrong_settings_is_not_opened() {
    let cluster = cluster().await;
    let config = cluster.config();
    topics::init(&config).await.expect("topics are made");
    let topic = format!("{}messages.send", config.prefix);
    for (name, value) in [
        ("message.timestamp.type", "CreateTime"),
        ("unclean.leader.election.enable", "true"),
        ("retention.ms", "60000"),
        ("min.insync.replicas", "1"),
        ("max.message.bytes", "1000000"),
    ] {
        set(&cluster, &topic, &[(name, value)]).await;
        let told = until("refusal", async || refusal(&config).await.filter(|told| told.contains(name))).await;
        assert!(told.contains(&format!("{name}={value}")) && told.contains("kafka-configs.sh"), "{told}");
        assert!(told.contains(&topic), "{told}");
        // The broker that is asked may not have heard that the setting before is right again.
        let is_alone = async || (topics::check(&config).await.expect("answers").len() == 1).then_some(());
        until("single fault", is_alone).await;
    }
    set(&cluster, &topic, &[]).await;
    until("log that opens", async || refusal(&config).await.is_none().then_some(())).await;
    until("check without a fault", async || {
        topics::check(&config).await.expect("answers").is_empty().then_some(())
    })
    .await;
    cluster.remove().await;
}

/// Topics of one kind with different counts of partitions would send a channel's records to different places.
#[tokio::test]
async fn topics_that_were_repartitioned_are_not_opened() {
    let cluster = cluster().await;
    let config = cluster.config();
    topics::init(&config).await.expect("topics are made");
    let topic = format!("{}messages.stored", config.prefix);
    let more = [NewPartitions::new(&topic, 5)];
    let done = cluster.admin().create_partitions(&more, &AdminOptions::new()).await.expect("answers");
    done.into_iter().for_each(|done| drop(done.expect("partitions are made")));
    let told = until("refusal", async || refusal(&config).await).await;
    assert!(told.contains("messages.stored has 5") && told.contains("messages.send has 2"), "{told}");
    cluster.remove().await;
}

/// Nothing is made by opening, and the plan says what would be; two who make them at once don't disturb one another.
#[tokio::test]
async fn topics_are_made_by_init_alone() {
    let cluster = cluster().await;
    let config = cluster.config();
    let error = KafkaLog::open(config.clone()).await.expect_err("topics are missing");
    assert!(error.to_string().contains("ringside init") && error.to_string().contains("control"), "{error}");
    assert!(topics::plan(&config).await.expect("plans").iter().all(|step| step.is_new));
    let (one, other) = tokio::join!(topics::init(&config), topics::init(&config));
    let made = |steps: &[topics::Step]| steps.iter().filter(|step| step.is_new).count();
    let (one, other) = (one.expect("makes"), other.expect("makes"));
    assert_eq!(made(&one) + made(&other), Topic::ALL.len(), "each topic is made once");
    assert!(topics::init(&config).await.expect("finds").iter().all(|step| !step.is_new));
    assert!(topics::plan(&config).await.expect("plans").iter().all(|step| !step.is_new));
    KafkaLog::open(config).await.expect("opens");
    cluster.remove().await;
}

/// Retention has overtaken whoever reads: an error, for a reader that is new, and for one that was just there.
#[tokio::test]
async fn what_retention_removed_is_no_silent_skip() {
    let cluster = cluster().await;
    let log = cluster.log().await;
    log.append(["a", "b", "c", "d"].map(record).to_vec()).await.expect("appends");
    let read =
        log.read(Topic::MessagesSend, FIRST, Offset(0), ReadLimit { records: 1, bytes: 1 }, Duration::ZERO);
    assert_eq!(read.await.expect("reads").len(), 1);
    let mut list = TopicPartitionList::new();
    let topic = format!("{}messages.send", cluster.last_prefix());
    list.add_partition_offset(&topic, 0, At::Offset(3)).expect("an offset");
    cluster.admin().delete_records(&list, &AdminOptions::new()).await.expect("records are removed");
    let fresh = KafkaLog::open(cluster.config_of(&cluster.last_prefix())).await.expect("opens");
    contract::log::below_the_start_is_an_error(fresh, Topic::MessagesSend, FIRST).await;
    let next = log.read(Topic::MessagesSend, FIRST, Offset(3), ALL, Duration::ZERO).await.expect("reads");
    assert_eq!(next.first().map(|record| record.offset), Some(Offset(3)));
    cluster.remove().await;
}

/// A place beyond the end is no place to wait at: a log that lost its end is told.
#[tokio::test]
async fn beyond_the_end_is_an_error() {
    let cluster = cluster().await;
    let log = cluster.log().await;
    log.append(vec![record("a")]).await.expect("appends");
    let read = log.read(Topic::MessagesSend, FIRST, Offset(2), ALL, Duration::ZERO).await;
    assert!(matches!(read, Err(EngineError::Damaged { .. })), "{read:?}");
    cluster.remove().await;
}

/// Where no broker is, it is said within the time that is set.
#[tokio::test]
async fn absent_brokers_are_told() {
    let vacant =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let brokers = vec![vacant.to_string()];
    let config = Config { brokers, request_timeout: Duration::from_millis(500), ..Config::default() };
    let began = Instant::now();
    let error = KafkaLog::open(config).await.expect_err("nobody is there").to_string();
    assert!(error.contains(&vacant.to_string()) && error.contains("kafka.brokers"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

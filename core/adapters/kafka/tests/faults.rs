//! Brokers that die. These disturb whoever uses the cluster meanwhile, so they run by themselves, one after another.

mod support;

use std::process::Command;
use std::time::Duration;

use ringside_kafka::{Config, KafkaLog, topics};
use ringside_ports::EngineError;
use ringside_ports::log::{Append, Log, ReadLimit};
use ringside_types::{Offset, PartitionId, Topic};
use support::cluster;
use tokio::sync::Mutex;

static ALONE: Mutex<()> = Mutex::const_new(());
const FIRST: PartitionId = PartitionId(0);
const PAGE: ReadLimit = ReadLimit { records: 1_000, bytes: 1 << 20 };

fn engines(words: &[&str]) {
    let script = std::env::var("RINGSIDE_TEST_ENGINES_SCRIPT").expect(
        "start the engines with `deploy/local/engines up`, then `eval \"$(deploy/local/engines env)\"`",
    );
    let status = Command::new(script).args(words).status().expect("the script is there");
    assert!(status.success(), "{words:?}");
}

fn record(number: u64) -> Append {
    Append { topic: Topic::MessagesSend, partition: FIRST, payload: number.to_string().into() }
}

/// Appends numbers one after another until it has been told `count` times that they are there; returns those that were.
async fn append(log: &KafkaLog, numbers: &mut std::ops::RangeFrom<u64>, count: usize) -> Vec<(u64, Offset)> {
    let mut confirmed = Vec::new();
    while confirmed.len() < count {
        let number = numbers.next().expect("endless");
        match log.append(vec![record(number)]).await {
            Ok(positions) => confirmed.push((number, positions[0].offset)),
            Err(EngineError::Unavailable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    confirmed
}

async fn read_all(log: &KafkaLog) -> Vec<(u64, Offset)> {
    let mut all = Vec::new();
    loop {
        let from = Offset(all.len() as u64);
        let page = log.read(Topic::MessagesSend, FIRST, from, PAGE, Duration::ZERO).await.expect("reads");
        if page.is_empty() {
            return all;
        }
        all.extend(page.iter().map(|record| {
            let text = std::str::from_utf8(&record.payload).expect("text");
            (text.parse().expect("a number"), record.offset)
        }));
    }
}

/// What was confirmed is there, where it was said to be, in its order and once; what was not may be.
async fn is_whole(log: &KafkaLog, confirmed: &[(u64, Offset)]) {
    let all = read_all(log).await;
    assert!(all.is_sorted_by(|one, next| one.0 < next.0), "in order, and none twice: {all:?}");
    for place in confirmed {
        assert!(all.contains(place), "{place:?} was confirmed");
    }
}

/// One of three is killed while records are appended: appends go on, and nothing that was confirmed is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_broker_of_three_dies() {
    let _alone = ALONE.lock().await;
    let cluster = cluster().await;
    let log = cluster.log().await;
    let mut numbers = 0..;
    let mut confirmed = append(&log, &mut numbers, 50).await;
    for broker in ["1", "2", "3"] {
        engines(&["kill", "kafka", broker]);
        confirmed.extend(append(&log, &mut numbers, 50).await);
        engines(&["start", "kafka", broker]);
        engines(&["up", "kafka"]);
        confirmed.extend(append(&log, &mut numbers, 50).await);
    }
    is_whole(&log, &confirmed).await;
    cluster.remove().await;
}

/// Two of three are killed: nothing is confirmed, within the time that is set; afterwards it goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_brokers_of_three_die() {
    let _alone = ALONE.lock().await;
    let cluster = cluster().await;
    let config = Config { append_timeout: Duration::from_secs(2), ..cluster.config() };
    topics::init(&config).await.expect("topics are made");
    let log = KafkaLog::open(config).await.expect("opens");
    let mut numbers = 0..;
    let mut confirmed = append(&log, &mut numbers, 20).await;
    engines(&["kill", "kafka", "2"]);
    engines(&["kill", "kafka", "3"]);
    let began = std::time::Instant::now();
    let refused = log.append(vec![record(numbers.next().expect("endless"))]).await;
    assert!(
        matches!(refused, Err(EngineError::Unavailable { .. })),
        "one replica confirms nothing: {refused:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    engines(&["up", "kafka"]);
    confirmed.extend(append(&log, &mut numbers, 20).await);
    is_whole(&log, &confirmed).await;
    cluster.remove().await;
}

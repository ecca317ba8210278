//! A partition begins where `init` says, and nowhere else.

use bytes::Bytes;
use ringside_embedded::{Config, EmbeddedLog, EmbeddedStore, Engine};
use ringside_message::processor::{ProcessorError, init, open};
use ringside_ports::Log as _;
use ringside_ports::log::Append;
use ringside_types::{Offset, PartitionId, Topic};
use tempfile::TempDir;

const PARTITION: PartitionId = PartitionId(1);

fn engines() -> (TempDir, EmbeddedLog, EmbeddedStore) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config =
        Config { tail_bytes: 64 * 1024, cache_bytes: 8 << 20, free_bytes_min: 0, ..Config::default() };
    let engine = Engine::open(folder.path(), config).expect("opens");
    (folder, engine.log(), engine.store())
}

async fn append(log: &EmbeddedLog) {
    let record =
        Append { topic: Topic::MessagesSend, partition: PARTITION, payload: Bytes::from_static(b"x") };
    log.append(vec![record]).await.expect("appends");
}

#[tokio::test]
async fn a_partition_is_begun_once_and_then_only_opened() {
    let (_folder, log, store) = engines();
    let refused = open(PARTITION, &log, &store).await.expect_err("nobody has begun it");
    assert_eq!(refused, ProcessorError::NotInitialized(PARTITION));
    assert!(refused.to_string().contains("ringside init"), "{refused}");
    assert_eq!(init(PARTITION, &log, &store).await, Ok(true));
    append(&log).await;
    assert_eq!(init(PARTITION, &log, &store).await, Ok(false), "records are no reason to begin again");
    let opened = open(PARTITION, &log, &store).await.expect("opens");
    assert_eq!(opened.progress().offset, Offset(0));
}

#[tokio::test]
async fn records_without_progress_are_a_loss() {
    let (_folder, log, store) = engines();
    append(&log).await;
    let lost = ProcessorError::ProgressLost(PARTITION);
    assert_eq!(init(PARTITION, &log, &store).await, Err(lost.clone()));
    assert_eq!(open(PARTITION, &log, &store).await.expect_err("lost"), lost);
}

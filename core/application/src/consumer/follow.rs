//! Records of a partition as it grows, read ahead by a bounded amount.

use std::time::Duration;

use ringside_ports::log::{ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Offset, PartitionId, Topic};
use tokio::sync::mpsc;

const BATCHES_AHEAD: usize = 4;
/// What one read returns at the most.
const READ_LIMIT: ReadLimit = ReadLimit { records: 256, bytes: 4 * 1024 * 1024 };
/// How long one read waits for a record.
const READ_WAIT: Duration = Duration::from_secs(1);
/// The pause after a failed read.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Follows a partition from `from` on until the receiver is gone. Damage (the records were removed before they were
/// read) ends it: the receiver sees the end, and must begin anew.
pub fn follow<L: Log>(
    log: L,
    topic: Topic,
    partition: PartitionId,
    from: Offset,
) -> mpsc::Receiver<Vec<Record>> {
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
    tokio::spawn(async move {
        let mut next = from;
        while !sender.is_closed() {
            match log.read(topic, partition, next, READ_LIMIT, READ_WAIT).await {
                Ok(records) => {
                    let Some(last) = records.last() else { continue };
                    next = last.offset.next();
                    if sender.send(records).await.is_err() {
                        return;
                    }
                }
                Err(error @ EngineError::Damaged { .. }) => {
                    tracing::error!(%error, topic = topic.name(), "records were lost before they were read");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, topic = topic.name(), "reading the log failed; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    });
    receiver
}

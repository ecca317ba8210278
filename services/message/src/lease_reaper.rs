//! The reaper of dead edges' leases: ten minutes after an edge's last heartbeat, every partition is told that its lease is
//! over.
//!
//! Several reapers on one log do no harm: a lease that is told of twice is over all the same.

use std::sync::Arc;
use std::time::Duration;

use ringside_application::consumer::{self, Assignment, Handler, HandlerError, Rules, Subscription};
use ringside_domain::leases::Leases;
use ringside_ports::log::{Append, ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Epoch, Offset, PartitionId, Slot, Topic};
use ringside_wire::records::{Command, Control, EpochDead, command};
use tokio::sync::watch;

const GROUP: &str = "janitor";
/// What one read takes.
const READ_LIMIT: ReadLimit = ReadLimit { records: 4_096, bytes: 1024 * 1024 };
/// How long one read waits for a record.
const READ_WAIT: Duration = Duration::from_secs(1);
/// Records between two commits; a restart reads so many again.
const COMMIT_EVERY: u64 = 256;
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Reads `control` until `stop` turns true. One process of a cluster owns it.
///
/// # Errors
/// Never: what fails is tried again.
pub async fn run<L: Log>(
    assigned: Assignment,
    log: L,
    stop: watch::Receiver<bool>,
) -> Result<(), EngineError> {
    let subscription = Subscription {
        group: GROUP,
        topic: Topic::Control,
        limit: READ_LIMIT,
        wait: READ_WAIT,
        rules: Rules { commit_every: COMMIT_EVERY, pause: RETRY_PAUSE, pause_max: RETRY_PAUSE },
    };
    consumer::run(subscription, log.clone(), LeaseReaper { log }, assigned, Arc::default(), stop).await
}

/// What is done with the records of `control`.
#[derive(Debug, Clone)]
pub struct LeaseReaper<L> {
    /// Where partitions are told.
    pub log: L,
}

impl<L: Log> Handler for LeaseReaper<L> {
    type Partition = Leases;
    type Error = EngineError;

    /// Begins at the oldest sign of life that may still have to be told of. What the log has removed is far older than any
    /// silence that ends a lease.
    async fn open(&self, control: PartitionId) -> Result<(Leases, Offset), HandlerError<EngineError>> {
        let committed = self.log.committed(GROUP, Topic::Control, control).await?;
        let oldest = self.log.bounds(Topic::Control, control).await?.start;
        Ok((Leases::default(), committed.map_or(oldest, |commit| commit.offset.max(oldest))))
    }

    /// What is over by these records is told before they count as read.
    async fn handle(
        &self,
        leases: &mut Leases,
        records: Vec<Record>,
    ) -> Result<Offset, HandlerError<EngineError>> {
        let next = records.last().map_or(Offset(0), |record| record.offset.next());
        let mut over = Vec::new();
        for record in records {
            // A record of a later version says nothing of leases.
            if let Ok(Control { body: Some(body) }) = ringside_wire::decode(record.payload) {
                over.extend(leases.handle_control(record.offset, record.time, &body));
            }
        }
        if !over.is_empty() {
            self.log.append(last_words(&over, self.log.partitions(Topic::MessagesSend))).await?;
            tracing::info!(leases = ?over, "edges that fell silent are struck off");
        }
        Ok(leases.resume_from(next))
    }
}

fn last_words(over: &[(Slot, Epoch)], partitions: u16) -> Vec<Append> {
    let payloads = over.iter().map(|(slot, epoch)| {
        let dead = EpochDead { slot: u32::from(slot.0), epoch: epoch.0 };
        ringside_wire::encode(&Command { body: Some(command::Body::EpochDead(dead)) })
    });
    payloads
        .flat_map(|payload| {
            (0..partitions).map(PartitionId).map(move |partition| (partition, payload.clone()))
        })
        .map(|(partition, payload)| Append { topic: Topic::MessagesSend, partition, payload })
        .collect()
}

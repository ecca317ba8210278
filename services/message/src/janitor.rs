//! The janitor of dead edges: ten minutes after an edge's last tick, every partition is told that its tenure is over.
//!
//! Several janitors on one log do no harm: a tenure told twice is void all the same.

use std::time::Duration;

use bytes::Bytes;
use ringside_domain::tenures::Tenures;
use ringside_ports::log::{Append, Commit, ReadLimit};
use ringside_ports::{EngineError, Log};
use ringside_types::{Epoch, Offset, PartitionId, Slot, Topic};
use ringside_wire::records::{Command, Control, EpochDead, command};
use tokio::sync::watch;

/// The janitor's consumer group.
const GROUP: &str = "janitor";
/// `control` is one partition.
const CONTROL: PartitionId = PartitionId(0);
/// What one read takes.
const READ_LIMIT: ReadLimit = ReadLimit { records: 4_096, bytes: 1024 * 1024 };
/// How long one read waits for a record.
const READ_WAIT: Duration = Duration::from_secs(1);
/// Records between two notes of how far it is; a restart reads so many again.
const NOTE_EVERY: u64 = 256;
/// The pause after a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Reads `control` until `stop` turns true.
pub async fn run<L: Log>(log: L, mut stop: watch::Receiver<bool>) {
    loop {
        let error = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            error = follow(&log) => error,
        };
        tracing::warn!(%error, "the janitor of dead edges begins anew");
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(RETRY_PAUSE) => {}
        }
    }
}

async fn follow<L: Log>(log: &L) -> EngineError {
    let mut janitor = match Janitor::open(log).await {
        Ok(janitor) => janitor,
        Err(error) => return error,
    };
    loop {
        if let Err(error) = janitor.turn(log).await {
            return error;
        }
    }
}

/// A reader of `control`, and the tenures that it has seen.
#[derive(Debug)]
pub struct Janitor {
    tenures: Tenures,
    next: Offset,
    noted: Offset,
}

impl Janitor {
    /// Begins at the oldest sign of life that may still have to be told of.
    ///
    /// # Errors
    /// The log does not answer.
    pub async fn open<L: Log>(log: &L) -> Result<Self, EngineError> {
        let noted = log.committed(GROUP, Topic::Control, CONTROL).await?;
        // What the log has removed is far older than any silence that ends a tenure.
        let oldest = log.bounds(Topic::Control, CONTROL).await?.start;
        let next = noted.map_or(oldest, |commit| commit.offset.max(oldest));
        Ok(Self { tenures: Tenures::default(), next, noted: next })
    }

    /// One turn: the records that there are. What is over by them is told before it counts as read.
    ///
    /// # Errors
    /// The log does not confirm; the janitor must be opened anew.
    pub async fn turn<L: Log>(&mut self, log: &L) -> Result<(), EngineError> {
        let records = log.read(Topic::Control, CONTROL, self.next, READ_LIMIT, READ_WAIT).await?;
        let mut over = Vec::new();
        for record in records {
            self.next = record.offset.next();
            // A record of a later version says nothing of tenures.
            if let Ok(Control { body: Some(body) }) = ringside_wire::decode(record.payload) {
                over.extend(self.tenures.handle_control(record.offset, record.time, &body));
            }
        }
        if !over.is_empty() {
            log.append(last_words(&over, log.partitions(Topic::MessagesSend))).await?;
            tracing::info!(tenures = ?over, "edges that fell silent are struck off");
        }
        self.note(log).await
    }

    async fn note<L: Log>(&mut self, log: &L) -> Result<(), EngineError> {
        let resume = self.tenures.resume_from(self.next);
        if resume.0.saturating_sub(self.noted.0) < NOTE_EVERY {
            return Ok(());
        }
        let commit = Commit { offset: resume, metadata: Bytes::new() };
        log.commit(GROUP, Topic::Control, CONTROL, commit).await?;
        self.noted = resume;
        Ok(())
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

//! The outbox's relay: takes what the Directory has changed to the log, and says when it is there.
//!
//! A *round* reads outbox rows that are not confirmed, appends all of them in one batch, and confirms them. A round
//! that found fewer rows than it asked for has seen all there were: a *pass* is over. Rows are chosen by being there,
//! never by a cursor, so nothing that a slow transaction brought late is left behind. After a crash between append and
//! confirmation a row is appended again; its version tells readers that they know it.
//!
//! A row that can't be read is left alone and the others go on: readers take versions per member, so a gap harms
//! nobody else's. What it changed stays unconfirmed, and every change of its channel is answered `unavailable`, until
//! a person repairs it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringside_application::service::ServiceError;
use ringside_ports::channels::{Outbox, OutboxRow};
use ringside_ports::log::Append;
use ringside_ports::{EngineError, Log};
use ringside_types::{ChannelId, PartitionId, Topic, partition_of};
use ringside_wire::InvalidRecord;
use ringside_wire::records::{Command, Control, Membership, command, control};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Outbox rows of one round at the most, besides those that can't be read.
pub const ROWS_MAX: usize = 256;
/// Rows that can't be read at the most; with more of them every change is answered `unavailable`.
pub const DAMAGED_ROWS_MAX: usize = 1_024;
/// What nobody waits for, a crash's leftovers, is looked for this often.
pub const LEFTOVERS_INTERVAL: Duration = Duration::from_secs(1);
/// The pause after a round that failed.
pub const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// A round that takes longer has failed.
pub const ROUND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a caller waits for its change to be in the log.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

const _: () =
    assert!(RETRY_PAUSE.as_millis() * 2 < PUBLISH_TIMEOUT.as_millis(), "a caller sees a retry through");

/// The pass that ended last.
#[derive(Debug, Default)]
struct Pass {
    /// Everyone up to this number asked before the pass read its last rows.
    asked: u64,
    /// Channels that have rows which can't be read.
    damaged: BTreeSet<ChannelId>,
}

/// Asks the relay for a pass. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Relay {
    asked: Arc<watch::Sender<u64>>,
    passes: watch::Receiver<Pass>,
}

impl Relay {
    /// A handle, and the task behind it, which is the caller's to spawn.
    pub fn over<D: Outbox, L: Log>(directory: D, log: L) -> (Self, RelayTask<D, L>) {
        let (asked, asks) = watch::channel(0);
        let (done, passes) = watch::channel(Pass::default());
        let task = RelayTask { directory, log, asks, done, damaged: BTreeMap::new() };
        (Self { asked: Arc::new(asked), passes }, task)
    }

    /// Returns once all that the Directory had changed in a channel before the call is in the log and confirmed. Many
    /// callers share one pass.
    ///
    /// # Errors
    /// [`ServiceError::Unavailable`]: not within [`PUBLISH_TIMEOUT`], or the task is gone, or the channel has a row
    /// that can't be read. It may have been done all the same, or be done later.
    pub async fn publish(&self, channel: ChannelId) -> Result<(), ServiceError> {
        let mut number = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            number = *asked;
        });
        let unavailable =
            |cause: &str| Err(ServiceError::Unavailable(format!("the change is not confirmed: {cause}")));
        let mut passes = self.passes.clone();
        match timeout(PUBLISH_TIMEOUT, passes.wait_for(|pass| pass.asked >= number)).await {
            Ok(Ok(pass)) if pass.damaged.contains(&channel) => unavailable("the channel's outbox is damaged"),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => unavailable("the relay has stopped"),
            Err(_) => unavailable("the log or the Directory does not answer"),
        }
    }
}

/// What a round leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    More,
    /// None of those that were there.
    None,
}

/// The task that takes outbox rows to the log. One process runs one; several do no harm.
#[derive(Debug)]
pub struct RelayTask<D, L> {
    directory: D,
    log: L,
    asks: watch::Receiver<u64>,
    done: watch::Sender<Pass>,
    /// Rows that can't be read, and their channels.
    damaged: BTreeMap<i64, ChannelId>,
}

impl<D: Outbox, L: Log> RelayTask<D, L> {
    /// Runs until `stop` is true or its sender is gone; a round under way ends first. What is left then is taken to
    /// the log after the next start.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            // Read before the rows are: who asks later may have written what this round does not see.
            let asked = *self.asks.borrow_and_update();
            match self.timed_round().await {
                Ok(Left::More) => {}
                Ok(Left::None) => {
                    let damaged = self.damaged.values().copied().collect();
                    self.done.send_replace(Pass { asked, damaged });
                    tokio::select! {
                        () = stopped(&mut stop) => return,
                        Ok(()) = self.asks.changed() => {}
                        () = sleep(LEFTOVERS_INTERVAL) => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "changes of channels did not reach the log; trying again");
                    tokio::select! {
                        () = stopped(&mut stop) => return,
                        () = sleep(RETRY_PAUSE) => {}
                    }
                }
            }
        }
    }

    async fn timed_round(&mut self) -> Result<Left, EngineError> {
        match timeout(ROUND_TIMEOUT, self.round()).await {
            Ok(done) => done,
            Err(_) => {
                let cause = format!("a round took longer than {ROUND_TIMEOUT:?}");
                Err(EngineError::Unavailable { engine: "relay", cause })
            }
        }
    }

    /// Takes the changes that there are to the log, up to [`ROWS_MAX`] of them. Where the Directory or the log does not
    /// answer, some may be in the log that are not confirmed yet: they are appended again.
    pub async fn round(&mut self) -> Result<Left, EngineError> {
        // Rows that can't be read stay: room is left for others beside them.
        let limit = ROWS_MAX + self.damaged.len().min(DAMAGED_ROWS_MAX);
        let rows = self.directory.unsent(None, limit).await?;
        let partitions = self.log.partitions(Topic::MessagesSend);
        let (mut appends, mut sent) = (Vec::with_capacity(rows.len() * 2), Vec::with_capacity(rows.len()));
        let mut damaged = BTreeMap::new();
        for row in &rows {
            match records_of(row, partitions) {
                Ok(records) => {
                    appends.extend(records);
                    sent.push(row.id);
                }
                Err(cause) => {
                    self.report(row, &cause);
                    damaged.insert(row.id, row.channel_id);
                }
            }
        }
        if !sent.is_empty() {
            self.log.append(appends).await?;
            self.directory.confirm(&sent).await?;
        }
        self.damaged = damaged;
        if self.damaged.len() > DAMAGED_ROWS_MAX {
            let cause = format!("the outbox holds more than {DAMAGED_ROWS_MAX} rows that can't be read");
            return Err(EngineError::Damaged { engine: "Directory", cause });
        }
        Ok(if rows.len() < limit { Left::None } else { Left::More })
    }

    /// Once for each row, not each round.
    fn report(&self, row: &OutboxRow, cause: &InvalidRecord) {
        if !self.damaged.contains_key(&row.id) {
            let OutboxRow { id, channel_id, version, .. } = row;
            tracing::error!(
                %id, %channel_id, %version, %cause,
                "an outbox row of the Directory can't be read: this change stays undone, and further ones of its \
                 channel are answered `unavailable`. Restore the Directory from a backup, or repair the row"
            );
        }
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, and with it whoever could want this to go on.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The change as the channel's partition and as every edge reads it.
fn records_of(row: &OutboxRow, partitions: u16) -> Result<[Append; 2], InvalidRecord> {
    let membership: Membership = ringside_wire::decode(row.record.clone())?;
    if ringside_wire::channel_id(&membership.channel_id)? != row.channel_id {
        return Err(InvalidRecord::Field("channel_id"));
    }
    if membership.version != row.version {
        return Err(InvalidRecord::Field("version"));
    }
    let control = Control { body: Some(control::Body::Membership(membership.clone())) };
    let command = Command { body: Some(command::Body::Membership(membership)) };
    Ok([
        Append {
            topic: Topic::MessagesSend,
            partition: partition_of(row.channel_id, partitions),
            payload: ringside_wire::encode(&command),
        },
        Append { topic: Topic::Control, partition: PartitionId(0), payload: ringside_wire::encode(&control) },
    ])
}

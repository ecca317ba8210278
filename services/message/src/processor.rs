//! What is done with the records of a partition: load, apply, commit.
//!
//! A failure anywhere drops the machine with all that it knows; it is opened anew from the last commit, and
//! replays. So nothing that is half done is ever built upon.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringside_application::consumer::{self, Assignment, Handler, HandlerError, Rules, Subscription};
use ringside_clock::{now, since_boot};
use ringside_domain::partition::{Input, Partition};
use ringside_domain::rows::Progress;
use ringside_ports::log::{Bounds, ReadLimit, Record};
use ringside_ports::{Committer, EngineError, Log, PartitionStore};
use ringside_types::limits::PARTITION_LAG_MAX_MS;
use ringside_types::{Histogram, Offset, PartitionId, Topic, UnixMillis};
use ringside_wire::records::Command;
use tokio::sync::watch;

use crate::pack::pack;
use crate::stepwise::{GROUP, read_note};

/// Records of one batch at the most.
pub const BATCH_RECORDS_MAX: usize = 2_048;
/// Bytes of one batch at the most, but for a single larger record.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What one read takes.
const READ_LIMIT: ReadLimit = ReadLimit { records: BATCH_RECORDS_MAX, bytes: BATCH_BYTES_MAX };
/// How long one read waits for a record.
const READ_WAIT: Duration = Duration::from_secs(1);
/// The first pause after a failure; it doubles up to [`RETRY_PAUSE_MAX`].
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause after a failure.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why a processor stopped for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessorError {
    /// The log has records and nobody knows how far they were applied.
    #[error(
        "partition {0} of messages.send holds records, but neither the log nor the store knows how far they were \
         applied. Restore the store's `partition_progress` from a backup; starting from the beginning would \
         renumber every channel"
    )]
    ProgressLost(PartitionId),
    /// Nothing says that the partition begins here.
    #[error(
        "partition {0} of messages.send was never begun; run `ringside init` before its first record is written"
    )]
    NotInitialized(PartitionId),
    /// The lag is longer than idempotency rows are sure to live.
    #[error(
        "partition {0} lags {1} h behind: idempotency rows live 72 h, so retries could no longer be told from new \
         messages. Raise their life before you start the processor again"
    )]
    LagsTooFar(PartitionId, u64),
    /// An engine refused while the partition was opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What processors have done, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    pub records: AtomicU64,
    pub messages: AtomicU64,
    pub batches: AtomicU64,
    /// Messages rejected after their acknowledgement.
    pub rejections: AtomicU64,
    /// Records that could not be processed.
    pub dead: AtomicU64,
    /// Times that a partition was opened anew after a failure.
    pub replays: AtomicU64,
    /// The age of the last record applied when its batch was committed, in milliseconds.
    pub lag_ms: AtomicU64,
    /// The offsets that the partitions stand at, together: what the log has beyond them waits.
    pub position: Arc<AtomicU64>,
    /// From a record's time in the log to its commit in the store.
    pub commit_seconds: Histogram,
}

/// Writes down that a partition begins at the log's start, so that records without progress are always a loss and never
/// a beginning. Call it before anything is appended; where the partition has begun, it changes nothing. Says whether it
/// did.
///
/// # Errors
/// [`ProcessorError::ProgressLost`]: there are records, and nobody knows how far they were applied.
pub async fn init<L: Log, S: PartitionStore>(
    partition: PartitionId,
    log: &L,
    store: &S,
) -> Result<bool, ProcessorError> {
    match open(partition, log, store).await {
        Ok(_) => Ok(false),
        Err(ProcessorError::NotInitialized(_)) => {
            store.write_progress(Progress::start(partition)).await?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Finds where a partition left off.
///
/// # Errors
/// Nobody knows where: see [`ProcessorError`].
pub async fn open<L: Log, S: PartitionStore>(
    partition: PartitionId,
    log: &L,
    store: &S,
) -> Result<Partition, ProcessorError> {
    let rows = store.partition(partition).await?;
    let committed = log.committed(GROUP, Topic::MessagesSend, partition).await?;
    let noted = committed.and_then(|commit| read_note(partition, commit.offset, &commit.metadata));
    let later = rows.progress.into_iter().chain(noted).max_by_key(|progress| progress.offset);
    match later {
        Some(progress) => Ok(Partition::open(progress, &rows.slots)),
        None if log.bounds(Topic::MessagesSend, partition).await?.end == Offset(0) => {
            Err(ProcessorError::NotInitialized(partition))
        }
        None => Err(ProcessorError::ProgressLost(partition)),
    }
}

/// Processes the assigned partitions until `stop` turns true, opening each anew after every failure.
///
/// # Errors
/// What a person has to mend.
pub async fn run<L: Log, S: PartitionStore, C: Committer>(
    assigned: Assignment,
    log: L,
    store: S,
    committer: C,
    counters: Arc<Counters>,
    stop: watch::Receiver<bool>,
) -> Result<(), ProcessorError> {
    let subscription = Subscription {
        group: GROUP,
        topic: Topic::MessagesSend,
        limit: READ_LIMIT,
        wait: READ_WAIT,
        // The commit of a batch is its own.
        rules: Rules { commit_every: 0, pause: RETRY_PAUSE, pause_max: RETRY_PAUSE_MAX },
    };
    let position = counters.position.clone();
    let processor = Processor::new(log.clone(), store, committer, counters);
    consumer::run(subscription, log, processor, assigned, position, stop).await
}

/// A partition that is owned, and by which time its lag is told.
pub struct Owned {
    machine: Partition,
    /// The time of the newest record when it was opened; `None`: there was none.
    newest: Option<UnixMillis>,
    since_boot: Duration,
}

impl Owned {
    /// The time, but not more than the log has aged: where everything was switched off, idempotency rows were, too.
    fn now(&self) -> UnixMillis {
        let run_ms = since_boot().saturating_sub(self.since_boot).as_millis() as u64;
        self.newest.map_or(now(), |newest| now().min(newest.plus_ms(run_ms)))
    }
}

/// The time of a partition's newest record; `None`: it has none.
async fn newest<L: Log>(log: &L, partition: PartitionId) -> Result<Option<UnixMillis>, EngineError> {
    let Bounds { start, end } = log.bounds(Topic::MessagesSend, partition).await?;
    if start == end {
        return Ok(None);
    }
    let last = Offset(end.0 - 1);
    let records = log.read(Topic::MessagesSend, partition, last, READ_LIMIT, Duration::ZERO).await?;
    Ok(records.first().map(|record| record.time))
}

/// What is done with the records of `messages.send`.
#[derive(Debug, Clone)]
pub struct Processor<L, S, C> {
    log: L,
    store: S,
    committer: C,
    counters: Arc<Counters>,
}

impl<L: Log, S: PartitionStore, C: Committer> Processor<L, S, C> {
    pub fn new(log: L, store: S, committer: C, counters: Arc<Counters>) -> Self {
        Self { log, store, committer, counters }
    }
}

impl<L: Log, S: PartitionStore, C: Committer> Handler for Processor<L, S, C> {
    type Partition = Owned;
    type Error = ProcessorError;

    async fn open(&self, partition: PartitionId) -> Result<(Owned, Offset), HandlerError<ProcessorError>> {
        match open(partition, &self.log, &self.store).await {
            Ok(machine) => {
                let from = machine.progress().offset;
                let newest = newest(&self.log, partition).await.map_err(ProcessorError::from)?;
                Ok((Owned { machine, newest, since_boot: since_boot() }, from))
            }
            Err(error) => Err(error.into_handler_error()),
        }
    }

    async fn handle(
        &self,
        owned: &mut Owned,
        records: Vec<Record>,
    ) -> Result<Offset, HandlerError<ProcessorError>> {
        let now = owned.now();
        let machine = &mut owned.machine;
        let applied = apply(machine, records, now, &self.store, &self.committer, &self.counters).await;
        applied.map_err(ProcessorError::into_handler_error)?;
        Ok(machine.progress().offset)
    }

    fn failed(&self) {
        self.counters.replays.fetch_add(1, Ordering::Relaxed);
    }
}

impl ProcessorError {
    /// An engine may answer the next time.
    fn into_handler_error(self) -> HandlerError<Self> {
        match self {
            Self::Engine(_) => HandlerError::Retry(self),
            Self::ProgressLost(_) | Self::NotInitialized(_) | Self::LagsTooFar(..) => {
                HandlerError::Fatal(self)
            }
        }
    }
}

/// One turn: the records that there are, applied and committed. An error means that the machine must be dropped.
pub async fn turn<L: Log, S: PartitionStore, C: Committer>(
    machine: &mut Partition,
    log: &L,
    store: &S,
    committer: &C,
    counters: &Counters,
) -> Result<(), ProcessorError> {
    let Progress { partition, offset, .. } = machine.progress();
    let records = log.read(Topic::MessagesSend, partition, offset, READ_LIMIT, READ_WAIT).await?;
    apply(machine, records, now(), store, committer, counters).await
}

/// Applies records and commits what they make. An error means that the machine must be dropped.
async fn apply<S: PartitionStore, C: Committer>(
    machine: &mut Partition,
    records: Vec<Record>,
    log_now: UnixMillis,
    store: &S,
    committer: &C,
    counters: &Counters,
) -> Result<(), ProcessorError> {
    let partition = machine.progress().partition;
    let Some(oldest) = records.first() else { return Ok(()) };
    let lag_ms = log_now.since(oldest.time);
    if lag_ms > PARTITION_LAG_MAX_MS {
        return Err(ProcessorError::LagsTooFar(partition, lag_ms / 3_600_000));
    }
    let inputs: Vec<Input> = records.into_iter().map(input).collect();
    let wanted = machine.wants(&inputs);
    let mut loaded = store.prefetch(&wanted).await?;
    machine.absorb(&wanted, &loaded);
    let replayed = machine.wants_replayed(&inputs);
    if !replayed.is_empty() {
        let made = store.prefetch(&replayed).await?;
        loaded.messages.extend(made.messages);
        loaded.changes.extend(made.changes);
    }
    let batch = machine.apply(&inputs, loaded);
    counters.records.fetch_add(inputs.len() as u64, Ordering::Relaxed);
    counters.messages.fetch_add(batch.rows.messages.len() as u64, Ordering::Relaxed);
    counters.rejections.fetch_add(batch.rejections.len() as u64, Ordering::Relaxed);
    counters.dead.fetch_add(batch.dead.len() as u64, Ordering::Relaxed);
    committer.commit(pack(partition, batch)).await?;
    counters.batches.fetch_add(1, Ordering::Relaxed);
    let now = now();
    counters.lag_ms.store(now.since(inputs[inputs.len() - 1].time), Ordering::Relaxed);
    for input in &inputs {
        counters.commit_seconds.record_shared(now.since(input.time).saturating_mul(1_000), 1);
    }
    Ok(())
}

fn input(record: Record) -> Input {
    let command =
        ringside_wire::decode::<Command>(record.payload.clone()).map_err(|error| error.to_string()).and_then(
            |command| command.body.ok_or_else(|| "the record has no body that this version knows".into()),
        );
    Input { offset: record.offset, time: record.time, command, payload: record.payload }
}

//! The engine: one data folder, one database, one thread that writes, one that sweeps.

pub(crate) mod counters;
mod staging;
pub(crate) use staging::read_record;
mod sweep;
mod writer;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringside_domain::rows::{HeadRow, Progress, Rows};
use ringside_ports::EngineError;
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::{Append, Commit, Position};
use ringside_types::{PartitionId, Topic, UnixMillis};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::committer::EmbeddedCommitter;
use crate::config::{Config, LOG_RETENTION_MIN, Partitions};
use crate::engine::counters::Counters;
use crate::folder::{Folder, OpenError, refused};
use crate::log::{EmbeddedLog, PartitionLog, RECORD_BYTES_MAX};
use crate::store::EmbeddedStore;
use crate::tables::{ENGINE, Tables, reason};

/// Requests that wait for the writer at the most.
pub const QUEUE_REQUESTS_MAX: usize = 4_096;
/// Bytes of the requests that wait or are being written at the most; a single larger one goes alone.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a request waits for room before it is refused.
const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// Reads that use the blocking pool at once.
const BLOCKING_READS_MAX: usize = 32;
/// The queue counts its bytes in these.
const QUEUE_UNIT_BYTES: usize = 1024;
/// What a row costs besides its texts, roughly.
const ROW_BYTES: usize = 128;

const _: () = assert!(RECORD_BYTES_MAX < QUEUE_BYTES_MAX);

/// What the writer can do.
#[derive(Debug)]
pub(crate) enum Work {
    Append(Vec<Append>),
    Commit(Box<CommitBatch>),
    Rows(PartitionId, Box<Rows>),
    Heads(Vec<HeadRow>),
    Progress(Progress),
    Group(&'static str, Topic, PartitionId, Commit),
    /// Removes up to a bounded number of records appended before a time.
    Trim(Topic, PartitionId, UnixMillis),
}

impl Work {
    /// What it weighs in the queue, roughly.
    fn bytes(&self) -> usize {
        let appends =
            |records: &[Append]| records.iter().map(|record| record.payload.len() + ROW_BYTES).sum::<usize>();
        match self {
            Self::Append(records) => appends(records),
            Self::Commit(batch) => {
                let heads = batch.heads.len() * ROW_BYTES;
                rows_bytes(&batch.rows) + appends(&batch.outside) + appends(&batch.edges) + heads
            }
            Self::Rows(_, rows) => rows_bytes(rows),
            Self::Heads(heads) => heads.len() * ROW_BYTES,
            Self::Progress(_) | Self::Group(..) | Self::Trim(..) => ROW_BYTES,
        }
    }
}

fn rows_bytes(rows: &Rows) -> usize {
    let texts = rows.messages.iter().map(|row| row.content.len() + row.metadata.len()).sum::<usize>();
    let bodies = rows.changes.iter().map(|row| row.body.len()).sum::<usize>();
    let count = rows.messages.len()
        + rows.changes.len()
        + rows.reactions.len()
        + rows.pins.len()
        + rows.memberships.len()
        + rows.keys.len()
        + rows.interest.len()
        + rows.void_interest.len()
        + rows.slots.len()
        + rows.reads.len()
        + rows.delivered.len();
    texts + bodies + count * ROW_BYTES
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) positions: Vec<Position>,
    /// Of a trim: records removed.
    pub(crate) trimmed: usize,
}

type Answer = Result<Done, EngineError>;

/// Work on its way to the writer.
pub(crate) struct Request {
    work: Work,
    answer: oneshot::Sender<Answer>,
    /// Its part of the queue's bytes, given back when it is answered.
    _room: OwnedSemaphorePermit,
}

/// What handles and threads share.
pub(crate) struct Core {
    pub(crate) tables: Tables,
    logs: Vec<Vec<PartitionLog>>,
    pub(crate) partitions: Partitions,
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    /// Why nothing is written any more.
    failure: watch::Sender<Option<String>>,
    blocking_reads: Semaphore,
    opened: sweep::Opened,
    /// The last field: the lock is let go of after the database is closed.
    folder: Folder,
}

impl Core {
    /// A partition of the log.
    pub(crate) fn log(&self, topic: Topic, partition: PartitionId) -> Result<&PartitionLog, EngineError> {
        let logs = &self.logs[topic as usize - 1];
        logs.get(usize::from(partition.0)).ok_or_else(|| EngineError::Damaged {
            engine: ENGINE,
            cause: format!("there is no partition {partition} of {}", topic.name()),
        })
    }

    fn logs(&self) -> impl Iterator<Item = &PartitionLog> {
        self.logs.iter().flatten()
    }

    /// Runs a read that may touch the disk on the blocking pool: a cold block costs a fraction of a millisecond, and a
    /// page of them would hold up every other task of a small runtime. `block_in_place` is no choice, for it needs the
    /// multi-threaded runtime; the hop costs some microseconds, paid once per batch.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let _turn = self.blocking_reads.acquire().await.map_err(|_| unavailable("closed".into()))?;
        let core = Arc::clone(self);
        match tokio::task::spawn_blocking(move || read(&core)).await {
            Ok(read) => read,
            Err(error) => Err(unavailable(error.to_string())),
        }
    }
}

/// The threads, and the way to them. The last handle that goes ends them: what was taken is still written.
pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    queue: Option<mpsc::Sender<Request>>,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
    stop_sweeper: Option<std_mpsc::Sender<()>>,
    sweeper: Option<JoinHandle<()>>,
}

impl Shared {
    /// Hands work to the writer and waits until it is durable.
    pub(crate) async fn submit(&self, work: Work) -> Answer {
        submit(self.queue.as_ref().ok_or_else(stopped)?, &self.room, work).await
    }
}

async fn submit(queue: &mpsc::Sender<Request>, room: &Arc<Semaphore>, work: Work) -> Answer {
    let (answer, answered) = oneshot::channel();
    let units = work.bytes().div_ceil(QUEUE_UNIT_BYTES).clamp(1, QUEUE_BYTES_MAX / QUEUE_UNIT_BYTES) as u32;
    let hand_over = async {
        let room = Arc::clone(room).acquire_many_owned(units).await.map_err(|_| stopped())?;
        queue.send(Request { work, answer, _room: room }).await.map_err(|_| stopped())
    };
    match tokio::time::timeout(QUEUE_WAIT, hand_over).await {
        Ok(handed) => handed?,
        Err(_) => return Err(unavailable("the writer's queue is full".into())),
    }
    answered.await.map_err(|_| stopped())?
}

impl Drop for Shared {
    fn drop(&mut self) {
        drop(self.stop_sweeper.take());
        join(self.sweeper.take());
        drop(self.queue.take());
        join(self.writer.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the embedded engine panicked");
    }
}

/// Does a thread's work. If it panics, the engine has failed: nobody else would do the work, and whoever waits for it
/// would wait for ever.
fn watched(core: &Core, name: &str, work: impl FnOnce()) {
    if std::panic::catch_unwind(AssertUnwindSafe(work)).is_err() {
        core.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            failure
                .get_or_insert_with(|| format!("the embedded engine's {name} panicked; the log says where"));
            is_first
        });
    }
}

/// The embedded engines over one data folder. A clone is another handle; the last one that goes closes the folder.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

impl Engine {
    /// Opens a data folder, or makes it, and recovers what a crash left. Call it off the runtime's threads, or before
    /// there is load: it reads up to 256 MiB of journal.
    pub fn open(folder: &Path, config: Config) -> Result<Self, OpenError> {
        assert!(config.partitions.are_valid(), "partitions: from 1 to 1,024 of each");
        let mut held = Folder::open(folder, config.partitions, config.free_bytes_min)?;
        let tables = Tables::open(&held.store(), config.cache_bytes, &config.clock)
            .map_err(|error| not_opened(folder, error))?;
        held.made()?;
        let partitions = held.partitions();
        let damaged =
            |error: EngineError| OpenError::Damaged { folder: folder.to_owned(), cause: error.to_string() };
        let logs = Topic::ALL
            .into_iter()
            .map(|topic| {
                (0..partitions.of(topic))
                    .map(|number| {
                        PartitionLog::recover(&tables, topic, PartitionId(number), config.tail_bytes)
                    })
                    .collect::<Result<Vec<_>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(damaged)?;
        let opened = sweep::Opened::now(logs.iter().flatten().map(PartitionLog::last_time).max());
        let core = Arc::new(Core {
            tables,
            logs,
            opened,
            partitions,
            config,
            counters: Counters::default(),
            failure: watch::Sender::new(None),
            blocking_reads: Semaphore::new(BLOCKING_READS_MAX),
            folder: held,
        });
        let highest = staging::Highest::read(&core).map_err(damaged)?;
        Self::start(core, highest).map_err(|cause| refused(folder, cause))
    }

    fn start(core: Arc<Core>, highest: staging::Highest) -> std::io::Result<Self> {
        let (queue, requests) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX / QUEUE_UNIT_BYTES));
        let mut shared = Shared {
            core: Arc::clone(&core),
            queue: Some(queue.clone()),
            room: Arc::clone(&room),
            writer: None,
            stop_sweeper: None,
            sweeper: None,
        };
        let writing = Arc::clone(&core);
        let writer = thread::Builder::new().name("store-writer".into());
        let write = move || watched(&writing, "writer", || writer::run(&writing, highest, requests));
        shared.writer = Some(writer.spawn(write)?);
        let (stop, stopped) = std_mpsc::channel();
        shared.stop_sweeper = Some(stop);
        let sweeper = thread::Builder::new().name("store-sweeper".into());
        let sweep = move || watched(&core, "sweeper", || sweep::run(&core, &queue, &room, &stopped));
        shared.sweeper = Some(sweeper.spawn(sweep)?);
        Ok(Self(Arc::new(shared)))
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    pub fn log(&self) -> EmbeddedLog {
        EmbeddedLog::new(Arc::clone(&self.0))
    }

    pub fn store(&self) -> EmbeddedStore {
        EmbeddedStore::new(Arc::clone(&self.0))
    }

    /// The committer: all four steps in one atomic batch.
    pub fn committer(&self) -> EmbeddedCommitter {
        EmbeddedCommitter::new(Arc::clone(&self.0))
    }

    /// The counts of partitions that the folder was made with.
    pub fn partitions(&self) -> Partitions {
        self.0.core.partitions
    }

    /// What it has done, for metrics.
    pub fn counters(&self) -> &Counters {
        &self.0.core.counters
    }

    /// Waits until a write or a sync has failed, or a thread has panicked, and says why. From then on every write is refused, for after a failed
    /// sync nobody knows what the disk holds: end the process, and start it again once the cause is gone.
    pub async fn failed(&self) -> String {
        let mut failure = self.0.core.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(cause) => cause.clone().unwrap_or_default(),
            // The sender lives in the core that `self` holds.
            Err(_) => std::future::pending().await,
        }
    }

    /// Removes what is past its time now, as the sweeper does by itself; returns how many records went.
    pub async fn sweep(&self) -> Result<u64, EngineError> {
        let mut removed = 0;
        for (topic, partition) in self.0.core.logs().map(PartitionLog::place) {
            loop {
                let before = sweep::horizon(&self.0.core);
                let done = self.0.submit(Work::Trim(topic, partition, before)).await?;
                removed += done.trimmed as u64;
                if done.trimmed < staging::TRIM_RECORDS_MAX {
                    break;
                }
            }
        }
        Ok(removed)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("folder", &self.0.core.folder.path()).finish_non_exhaustive()
    }
}

/// How long the log keeps its records, in milliseconds.
fn retention_ms(config: &Config) -> u64 {
    config.log_retention.max(LOG_RETENTION_MIN).as_millis() as u64
}

fn not_opened(folder: &Path, error: fjall::Error) -> OpenError {
    match error {
        fjall::Error::Io(cause) => refused(folder, cause),
        fjall::Error::Locked => OpenError::Locked(folder.to_owned()),
        other => OpenError::Damaged { folder: folder.to_owned(), cause: reason(&other) },
    }
}

pub(crate) fn unavailable(cause: String) -> EngineError {
    EngineError::Unavailable { engine: ENGINE, cause }
}

fn stopped() -> EngineError {
    unavailable("the engine is closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_panics_fails_the_engine() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = Config { free_bytes_min: 0, ..Config::default() };
        let engine = Engine::open(&folder.path().join("data"), config).expect("it opens");
        watched(engine.core(), "writer", || panic!("as a test wants it"));
        let failed = tokio::time::timeout(Duration::from_secs(10), engine.failed()).await;
        assert!(failed.expect("it is noticed").contains("writer panicked"));
    }
}

//! The engine: one data folder with a log and a store. One thread writes the log, one sweeps; whoever commits writes the
//! store.

pub(crate) mod counters;
mod log_writer;
mod room;
mod staging;
pub(crate) use staging::read_record;
mod sweep;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fjall::PersistMode;
use ringside_domain::rows::{HeadRow, Progress, Rows};
use ringside_ports::EngineError;
use ringside_ports::commit::CommitBatch;
use ringside_ports::log::{Append, Commit, Position, RECORD_BYTES_MAX};
use ringside_segments::{FolderFile, Reader, Writer};
use ringside_types::{PartitionId, Topic, UnixMillis};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::committer::EmbeddedCommitter;
use crate::config::{Config, Keeping, LOG_RETENTION_MIN, Partitions, keeping};
use crate::engine::counters::Counters;
use crate::folder::{Folder, OpenError, refused};
use crate::log::{EmbeddedLog, PartitionLog};
use crate::opening;
use crate::store::EmbeddedStore;
use crate::store_journal;
use crate::tables::{ENGINE, Tables, get};
use room::Room;
use staging::{Highest, Staging};

/// Requests that wait for the log's writer at the most.
pub const QUEUE_REQUESTS_MAX: usize = 4_096;
/// Bytes of the requests that wait or are being written at the most; a single larger one goes alone.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a request waits for room before it is refused.
const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// Reads that use the blocking pool at once.
const BLOCKING_READS_MAX: usize = 32;
/// How often the store's journal is written back.
const WRITE_BACK_INTERVAL: Duration = Duration::from_millis(100);
/// The queue counts its bytes in these.
const QUEUE_UNIT_BYTES: usize = 1024;
/// What a record costs in the queue besides its payload, roughly.
const RECORD_BYTES: usize = 128;

const _: () = assert!(RECORD_BYTES_MAX < QUEUE_BYTES_MAX);

/// What is written to the log's segments.
#[derive(Debug)]
pub(crate) enum LogWork {
    Append(Vec<Append>),
    /// Removes segments whose records were all appended before a time, and of `messages.send` applied: up to these offsets,
    /// partition by partition.
    Trim(UnixMillis, Vec<Progress>),
}

impl LogWork {
    /// What it weighs in the queue, roughly.
    fn bytes(&self) -> usize {
        match self {
            Self::Append(records) => records.iter().map(|record| record.payload.len() + RECORD_BYTES).sum(),
            Self::Trim(..) => RECORD_BYTES,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) positions: Vec<Position>,
    /// Of a trim: records removed.
    pub(crate) trimmed: u64,
}

type Answer = Result<Done, EngineError>;

/// Work on its way to the log's writer.
pub(crate) struct Request {
    work: LogWork,
    answer: oneshot::Sender<Answer>,
    /// Its part of the queue's bytes, given back when it is answered.
    _room: OwnedSemaphorePermit,
}

/// What is written to the store.
#[derive(Debug)]
pub(crate) enum StoreWork {
    /// Rows, heads and progress of a batch, and the records that are kept beside them.
    Commit(Box<CommitBatch>),
    Append(Vec<Append>),
    Rows(PartitionId, Box<Rows>),
    Heads(Vec<HeadRow>),
    Progress(Progress),
    Group(&'static str, Topic, PartitionId, Commit),
    /// Removes up to a bounded number of records appended before a time.
    Trim(Topic, PartitionId, UnixMillis),
}

/// What handles and threads share.
pub(crate) struct Core {
    pub(crate) tables: Tables,
    pub(crate) segments: Reader<FolderFile>,
    logs: Vec<Vec<PartitionLog>>,
    pub(crate) partitions: Partitions,
    pub(crate) config: Config,
    pub(crate) counters: Counters,
    /// Whoever writes to the store holds this: what is read to compare ranks is what is overwritten.
    store: Mutex<Highest>,
    room: Room,
    /// Why nothing is written any more.
    failure: watch::Sender<Option<String>>,
    blocking_reads: Semaphore,
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

    pub(crate) fn logs(&self) -> impl Iterator<Item = &PartitionLog> {
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

    /// Why nothing is written any more.
    fn failed(&self) -> Option<EngineError> {
        let failure = self.failure.borrow();
        let cause = failure.as_ref()?;
        Some(unavailable(format!("an earlier write failed: {cause}. Start Ringside again")))
    }

    /// Why nothing may be written now.
    fn refusal(&self) -> Option<EngineError> {
        self.failed().or_else(|| self.room.refusal(self.folder.path(), self.config.free_bytes_min))
    }

    /// Nothing is written from now on.
    fn fail(&self, cause: String) {
        tracing::error!(%cause, "a write failed: nothing is written any more until Ringside is started again");
        self.failure.send_replace(Some(cause));
    }

    /// Writes to the store, for readers to see. It is durable only once [`persist`](Self::persist) has returned: what a
    /// crash takes before that is replayed from the log.
    pub(crate) fn write(&self, work: StoreWork) -> Result<Done, EngineError> {
        let mut highest = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        // Retention makes room.
        let refusal = if matches!(work, StoreWork::Trim(..)) { self.failed() } else { self.refusal() };
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let mut staging = Staging::new(self, &mut highest);
        let began = Instant::now();
        let written = staging.stage(work).and_then(|done| staging.write().map(|()| done));
        match written {
            Ok(done) => {
                self.counters.committed(began.elapsed());
                Ok(done)
            }
            Err(error) => {
                self.fail(error.to_string());
                Err(error)
            }
        }
    }

    /// Makes the store durable as it is now.
    pub(crate) fn persist(&self) -> Result<(), EngineError> {
        self.tables.database.persist(PersistMode::SyncData).map_err(|error| {
            let error = crate::tables::failed(error);
            self.fail(error.to_string());
            error
        })
    }

    /// How far the partitions of `messages.send` were applied.
    fn applied(&self) -> Result<Vec<Progress>, EngineError> {
        let (at, table) = (self.tables.database.snapshot(), &self.tables.partitions);
        let of = |number| {
            let partition = PartitionId(number);
            let key = crate::tables::rows::progress_key(partition);
            Ok(get(&at, table, &key)?.unwrap_or(Progress::start(partition)))
        };
        (0..self.partitions.messages).map(of).collect()
    }
}

/// The threads, and the way to them. The last handle that goes ends them: what was taken is still written.
pub(crate) struct Shared {
    pub(crate) core: Arc<Core>,
    queue: Option<mpsc::Sender<Request>>,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
    /// What ends the two that follow.
    stop: Vec<std_mpsc::Sender<()>>,
    sweeper: Option<JoinHandle<()>>,
    write_back: Option<JoinHandle<()>>,
}

impl Shared {
    /// Hands work to the log's writer and waits until it is durable.
    pub(crate) async fn submit(&self, work: LogWork) -> Answer {
        submit(self.queue.as_ref().ok_or_else(stopped)?, &self.room, work).await
    }
}

async fn submit(queue: &mpsc::Sender<Request>, room: &Arc<Semaphore>, work: LogWork) -> Answer {
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
        self.stop.clear();
        join(self.sweeper.take());
        join(self.write_back.take());
        drop(self.queue.take());
        join(self.writer.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the embedded engine panicked");
    }
}

/// Has the store's journal written back, every so often while something is committed.
fn run_write_back(core: &Core, stopped: &std_mpsc::Receiver<()>) {
    let mut written = 0;
    while stopped.recv_timeout(WRITE_BACK_INTERVAL) == Err(std_mpsc::RecvTimeoutError::Timeout) {
        let commits = core.counters.commits.load(Ordering::Relaxed);
        let is_idle = std::mem::replace(&mut written, commits) == commits;
        // A commit may wait for a thread of the database that has ended: only asking tells.
        if is_idle && core.tables.database.persist(PersistMode::Buffer).is_ok() {
            continue;
        }
        // What commits have left in the process's own memory goes to the system's first.
        if let Err(error) = core.tables.database.persist(PersistMode::Buffer) {
            return core.fail(crate::tables::reason(&error));
        }
        // A journal that was removed meanwhile is in the tables.
        match store_journal::write_back(&core.folder.store()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return core.fail(error.to_string());
            }
            _ => {}
        }
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
    /// there is load: it reads the newest segment of the log, and up to 256 MiB of the store's journal.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(folder: &Path, config: Config) -> Result<Self, OpenError> {
        assert!(config.partitions.are_valid(), "partitions: from 1 to 1,024 of each");
        let mut held = Folder::open(folder, config.partitions, config.free_bytes_min)?;
        let partitions = held.partitions();
        let opening::Opened { tables, writer } = opening::open(&mut held, &config)?;
        let damaged =
            |error: EngineError| OpenError::Damaged { folder: folder.to_owned(), cause: error.to_string() };
        let logs = logs(&tables, &writer, partitions, &config).map_err(damaged)?;
        tables.age.opened(logs.iter().flatten().map(PartitionLog::last_time).max());
        let highest = Highest::read(&tables, partitions).map_err(damaged)?;
        let core = Arc::new(Core {
            tables,
            segments: writer.reader(),
            logs,
            partitions,
            config,
            counters: Counters::default(),
            store: Mutex::new(highest),
            room: Room::default(),
            failure: watch::Sender::new(None),
            blocking_reads: Semaphore::new(BLOCKING_READS_MAX),
            folder: held,
        });
        fits_the_log(&core).map_err(damaged)?;
        Self::start(core, writer).map_err(|cause| refused(folder, cause))
    }

    fn start(core: Arc<Core>, writer: Writer<ringside_segments::Folder>) -> std::io::Result<Self> {
        let (queue, requests) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX / QUEUE_UNIT_BYTES));
        let mut shared = Shared {
            core: Arc::clone(&core),
            queue: Some(queue.clone()),
            room: Arc::clone(&room),
            writer: None,
            stop: Vec::new(),
            sweeper: None,
            write_back: None,
        };
        let writing = Arc::clone(&core);
        let write = move || watched(&writing, "writer", || log_writer::run(&writing, writer, requests));
        shared.writer = Some(thread::Builder::new().name("log-writer".into()).spawn(write)?);
        let (stop, stopped) = std_mpsc::channel();
        shared.stop.push(stop);
        let writing = Arc::clone(&core);
        let write_back = move || watched(&writing, "write-back", || run_write_back(&writing, &stopped));
        shared.write_back = Some(thread::Builder::new().name("store-write-back".into()).spawn(write_back)?);
        let (stop, stopped) = std_mpsc::channel();
        shared.stop.push(stop);
        let sweep = move || watched(&core, "sweeper", || sweep::run(&core, &queue, &room, &stopped));
        shared.sweeper = Some(thread::Builder::new().name("store-sweeper".into()).spawn(sweep)?);
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

    /// The committer: rows, heads and progress in one atomic batch.
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
    ///
    /// # Errors
    /// A write is refused.
    pub async fn sweep(&self) -> Result<u64, EngineError> {
        let shared = Arc::clone(&self.0);
        let sweep = move || {
            let queue = shared.queue.as_ref().ok_or_else(stopped)?;
            sweep::sweep(&shared.core, queue, &shared.room)
        };
        tokio::task::spawn_blocking(sweep).await.map_err(|error| unavailable(error.to_string()))?
    }
}

/// The partitions of all topics, each from where it is kept.
fn logs(
    tables: &Tables,
    writer: &Writer<ringside_segments::Folder>,
    partitions: Partitions,
    config: &Config,
) -> Result<Vec<Vec<PartitionLog>>, EngineError> {
    let of_topic = |topic: Topic| {
        let log = |number| {
            let partition = PartitionId(number);
            match keeping(topic) {
                Keeping::Segments => {
                    Ok(PartitionLog::of_segments(writer, topic, partition, config.tail_bytes))
                }
                Keeping::Store => PartitionLog::of_store(tables, topic, partition, config.tail_bytes),
                Keeping::Memory => Ok(PartitionLog::in_memory(topic, partition)),
            }
        };
        (0..partitions.of(topic)).map(log).collect()
    };
    Topic::ALL.into_iter().map(of_topic).collect()
}

/// What was applied is in the log, and what is in the log and not applied is there to be read.
fn fits_the_log(core: &Core) -> Result<(), EngineError> {
    for Progress { partition, offset, .. } in core.applied()? {
        let log = core.log(Topic::MessagesSend, partition)?;
        let (start, end) = (log.start(), log.end());
        if offset < start || offset > end {
            let cause = format!(
                "the store has applied partition {partition} of messages.send up to {offset}, and the log holds {start} to {end}"
            );
            return Err(EngineError::Damaged { engine: ENGINE, cause });
        }
    }
    Ok(())
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

pub(crate) fn unavailable(cause: String) -> EngineError {
    EngineError::Unavailable { engine: ENGINE, cause }
}

fn stopped() -> EngineError {
    unavailable("the engine is closed".into())
}

#[cfg(test)]
mod tests {
    use ringside_ports::{Log as _, PartitionStore as _};

    use super::*;

    #[tokio::test]
    async fn a_thread_that_panics_fails_the_engine() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = Config { free_bytes_min: 0, ..Config::default() };
        let engine = Engine::open(&folder.path().join("data"), config).expect("it opens");
        watched(engine.core(), "writer", || panic!("as a test wants it"));
        let failed = tokio::time::timeout(Duration::from_secs(10), engine.failed()).await;
        assert!(failed.expect("it is noticed").contains("writer panicked"));
        let is_final = |refused: Result<(), EngineError>| {
            let told = refused.expect_err("nothing is written any more").to_string();
            assert!(told.contains("Start Ringside again"), "{told}");
        };
        let record = Append { topic: Topic::Control, partition: PartitionId(0), payload: "x".into() };
        is_final(engine.log().append(vec![record]).await.map(drop));
        is_final(engine.store().write_heads(&[]).await);
        is_final(engine.store().write_progress(Progress::start(PartitionId(0))).await);
    }
}

//! Opening what a data folder holds: the log, the store, and folders of older formats.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fjall::PersistMode;
use ringside_domain::rows::Progress;
use ringside_ports::EngineError;
use ringside_ports::log::Record;
use ringside_segments::{End, LogError, Stream, Writer};
use ringside_types::{Offset, PartitionId, Topic};

use crate::config::{Config, Keeping, keeping};
use crate::engine::read_record;
use crate::folder::{Folder, OpenError, refused};
use crate::log::bounds_in;
use crate::store_journal;
use crate::tables::rows::progress_key;
use crate::tables::{Tables, damaged, failed, get, reason, record_key};

/// Bytes of records copied at once.
const COPY_BYTES: usize = 4 * 1024 * 1024;
/// Rows copied at once.
const COPY_ROWS: usize = 4_096;

/// What was opened.
pub(crate) struct Opened {
    pub(crate) tables: Tables,
    pub(crate) writer: Writer<ringside_segments::Folder>,
}

/// Opens log and store, makes them where the folder is new, and brings an older folder to today's format.
pub(crate) fn open(folder: &mut Folder, config: &Config) -> Result<Opened, OpenError> {
    let tables = open_tables(folder, config)?;
    let writer = match folder.keeps_log_in_store() {
        true => migrated(folder, &tables, config)?,
        false => {
            // A start that was cut short has left it.
            if let Some(old) = tables.old_log().map_err(|error| not_opened(folder, error))? {
                tables.database.delete_keyspace(old).map_err(|error| not_opened(folder, error))?;
            }
            open_log(folder, config, &[])?
        }
    };
    folder.made()?;
    Ok(Opened { tables, writer })
}

fn open_tables(folder: &Folder, config: &Config) -> Result<Tables, OpenError> {
    // While the log is in the store, what its journal holds is nowhere else.
    if !folder.keeps_log_in_store() {
        let cut =
            store_journal::cut_at_damage(&folder.store()).map_err(|cause| refused(folder.path(), cause))?;
        if let Some((at, length)) = cut {
            tracing::warn!(
                at,
                length,
                "the store's journal is not what was written there; what follows is replayed from the log"
            );
        }
    }
    // The database does not expect every damage to its own files.
    let open = || Tables::open(&folder.store(), config.cache_bytes, &config.clock);
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| not_opened(folder, error)),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref().copied()).unwrap_or("a panic");
            Err(OpenError::Damaged { folder: folder.path().to_owned(), cause: format!("the store: {words}") })
        }
    }
}

/// The database's own refusals.
fn not_opened(folder: &Folder, error: fjall::Error) -> OpenError {
    let path = folder.path();
    match error {
        fjall::Error::Io(cause) => refused(path, cause),
        fjall::Error::Locked => OpenError::Locked(path.to_owned()),
        other => OpenError::Damaged { folder: path.to_owned(), cause: reason(&other) },
    }
}

/// Opens the log; a new one begins at `base`.
pub(crate) fn open_log(
    folder: &Folder,
    config: &Config,
    base: &[(Stream, End)],
) -> Result<Writer<ringside_segments::Folder>, OpenError> {
    let disk =
        ringside_segments::Folder::open(folder.log()).map_err(|cause| refused(folder.path(), cause))?;
    let opened = Writer::open(disk, config.segments, rand::random(), config.clock.now(), base);
    opened.map_err(|error| log_refused(folder, error))
}

fn log_refused(folder: &Folder, error: LogError) -> OpenError {
    match error {
        LogError::Refused(cause) | LogError::Failed(cause) => refused(folder.path(), cause),
        other => OpenError::Damaged { folder: folder.path().to_owned(), cause: other.to_string() },
    }
}

/// Brings the log of a folder of format 1 out of its store. Until the folder is of format 2, nothing of the old log is
/// changed, and a start that is cut short begins anew.
fn migrated(
    folder: &mut Folder,
    tables: &Tables,
    config: &Config,
) -> Result<Writer<ringside_segments::Folder>, OpenError> {
    match fs::remove_dir_all(folder.log()) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(refused(folder.path(), cause)),
        _ => {}
    }
    let path = folder.path().to_owned();
    let damaged = |error: EngineError| OpenError::Damaged { folder: path.clone(), cause: error.to_string() };
    let Some(old) = tables.old_log().map_err(|error| not_opened(folder, error))? else {
        let writer = open_log(folder, config, &[])?;
        folder.has_log()?;
        return Ok(writer);
    };
    let (mut base, mut copies) = (Vec::new(), Vec::new());
    for (topic, partition) in kept(folder, Keeping::Segments) {
        let (mut start, end) = bounds_in(tables, &old, topic, partition).map_err(damaged)?;
        if topic == Topic::MessagesSend {
            start = start.max(applied(tables, partition).map_err(damaged)?.unwrap_or(start));
        }
        let time = if start == end.next { end.time } else { Default::default() };
        base.push((Stream { topic, partition }, End { next: start, time }));
        copies.push((topic, partition, start));
    }
    let mut writer = open_log(folder, config, &base)?;
    for (topic, partition, start) in copies {
        let stream = Stream { topic, partition };
        for record in records(&old, topic, partition, start) {
            let record = record.map_err(damaged)?;
            let (offset, _) = writer.stage(stream, record.time, &record.payload);
            if offset != record.offset {
                let cause = format!("offset {offset} of {stream} is missing");
                return Err(OpenError::Damaged { folder: path.clone(), cause });
            }
            if writer.staged_bytes() >= COPY_BYTES {
                writer.sync(config.clock.now()).map_err(|error| log_refused(folder, error))?;
            }
        }
    }
    writer.sync(config.clock.now()).map_err(|error| log_refused(folder, error))?;
    for (topic, partition) in kept(folder, Keeping::Store) {
        copy_derived(tables, &old, topic, partition).map_err(damaged)?;
    }
    tables.database.persist(PersistMode::SyncAll).map_err(|error| not_opened(folder, error))?;
    folder.has_log()?;
    tables.database.delete_keyspace(old).map_err(|error| not_opened(folder, error))?;
    tracing::info!("the data folder is brought to format 2: its log is in segment files now");
    Ok(writer)
}

/// The partitions that are kept somewhere.
fn kept(folder: &Folder, place: Keeping) -> Vec<(Topic, PartitionId)> {
    let of_topic =
        |topic: Topic| (0..folder.partitions().of(topic)).map(move |number| (topic, PartitionId(number)));
    Topic::ALL.into_iter().filter(|topic| keeping(*topic) == place).flat_map(of_topic).collect()
}

fn applied(tables: &Tables, partition: PartitionId) -> Result<Option<Offset>, EngineError> {
    let progress: Option<Progress> =
        get(&tables.database.snapshot(), &tables.partitions, &progress_key(partition))?;
    Ok(progress.map(|progress| progress.offset))
}

fn records(
    table: &fjall::Keyspace,
    topic: Topic,
    partition: PartitionId,
    start: Offset,
) -> impl Iterator<Item = Result<Record, EngineError>> {
    let keys = record_key(topic, partition, start)..=record_key(topic, partition, Offset(u64::MAX));
    table.range(keys).map(|pair| {
        let (key, value) = pair.into_inner().map_err(failed)?;
        read_record(&key, &value).ok_or_else(|| damaged(table, &key))
    })
}

fn copy_derived(
    tables: &Tables,
    old: &fjall::Keyspace,
    topic: Topic,
    partition: PartitionId,
) -> Result<(), EngineError> {
    let keys = record_key(topic, partition, Offset(0))..=record_key(topic, partition, Offset(u64::MAX));
    let (mut batch, mut rows) = (tables.database.batch(), 0);
    for pair in old.range(keys) {
        let (key, value) = pair.into_inner().map_err(failed)?;
        batch.insert(&tables.derived, key, value);
        rows += 1;
        if rows % COPY_ROWS == 0 {
            std::mem::replace(&mut batch, tables.database.batch()).commit().map_err(failed)?;
        }
    }
    batch.commit().map_err(failed)
}

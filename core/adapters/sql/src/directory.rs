//! Opening the database.

use std::path::Path;
use std::time::Duration;

use ringside_ports::EngineError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row as _, SqlitePool};

use crate::{accounts, channels};

const READERS: u32 = 4;
/// How long a statement waits for a lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Why the database can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was written by a later version.
    #[error(
        "the Directory was written by a newer version of Ringside; start that version, or restore a backup"
    )]
    Newer,
    #[error(
        "the Directory can't be brought up to date: {0}. Nothing was changed; restore a backup or report this"
    )]
    Migration(MigrateError),
    /// Anything else: the file can't be read or written, or is no database.
    #[error("the Directory can't be opened: {0}. Check the data folder's owner, permissions and free space")]
    Database(sqlx::Error),
}

/// The Directory. A clone is another handle to it.
#[derive(Clone, Debug)]
pub struct Directory {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl Directory {
    /// Opens the database at `path`, and makes it where there is none.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What is deleted or overwritten is gone from the file, not only from its tables.
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY_TIMEOUT);
        let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
        let writer = one.connect_with(options.clone()).await.map_err(OpenError::Database)?;
        MIGRATIONS.run(&writer).await.map_err(|error| match error {
            MigrateError::VersionMissing(_) => OpenError::Newer,
            other => OpenError::Migration(other),
        })?;
        accounts::fold_names(&writer).await.map_err(OpenError::Database)?;
        channels::write_bare_names(&writer).await.map_err(OpenError::Database)?;
        let readers = SqlitePoolOptions::new().max_connections(READERS);
        let readers = readers.connect_with(options.read_only(true)).await.map_err(OpenError::Database)?;
        Ok(Self { writer, readers })
    }

    /// Writes what the write-ahead log holds into the database and empties it, such that no former content outlives an
    /// erasure there. A reader that is in the way puts it off: then it happens when the log is next full or the server
    /// stops.
    pub(crate) async fn empty_journal(&self) {
        match sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.writer).await {
            Ok(row) if row.try_get::<i64, _>(0).is_ok_and(|busy| busy == 0) => {}
            Ok(_) => {
                tracing::info!("an erasure's traces stay in the write-ahead log until its next checkpoint");
            }
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be emptied after an erasure"),
        }
    }

    /// Copies the database into a new file. Nothing is written to it from before `held` is called until the copy is
    /// done, so what `held` takes of other engines belongs to the same moment.
    ///
    /// # Errors
    /// The file is there already, or can't be written.
    pub async fn copy_to<T>(&self, path: &Path, held: impl FnOnce() -> T) -> Result<T, OpenError> {
        let path = path
            .to_str()
            .ok_or_else(|| OpenError::Database(sqlx::Error::Configuration("the path is not UTF-8".into())))?;
        // The only connection that writes.
        let mut writer = self.writer.acquire().await.map_err(OpenError::Database)?;
        let taken = held();
        let copy = sqlx::query("VACUUM INTO ?").bind(path).execute(&mut *writer).await;
        copy.map(|_| taken).map_err(OpenError::Database)
    }

    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn failed(error: sqlx::Error) -> EngineError {
    EngineError::Unavailable { engine: "Directory", cause: error.to_string() }
}

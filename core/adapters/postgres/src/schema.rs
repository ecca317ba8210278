//! The tables, as migrations that are part of the binary.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};

use crate::config::Config;
use crate::directory::Directory;
use crate::failure::{Failure, OpenError, code};
use crate::pool::Pool;
use crate::transaction::read;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// A migration that was applied, or is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub version: i64,
    /// What it is about.
    pub description: String,
}

/// Brings the database up to date, and returns what had to be done: nothing the second time. The database itself must be
/// there. Of processes that do it at once the others wait for the first (an advisory lock), then find nothing to do.
///
/// # Errors
/// See [`OpenError`]. Each migration is applied whole or not at all.
pub async fn init(config: &Config) -> Result<Vec<Applied>, OpenError> {
    let longest = config.migration_timeout;
    // One may have to wait for the other process, and may take longer than any statement otherwise.
    let patient = Config { statement_timeout: longest, lock_timeout: longest, ..config.clone() };
    let pool = Pool::new(Config { connections: 1, idle_in_transaction_timeout: Duration::ZERO, ..patient });
    let mut lease = pool.acquire().await.map_err(OpenError::NoPrimary)?;
    let migrated = migrate(&mut lease.connection).await;
    // Closing the connection gives the lock back, however it ended.
    drop(lease);
    migrated
}

async fn migrate(connection: &mut PgConnection) -> Result<Vec<Applied>, OpenError> {
    connection.lock().await.map_err(failed)?;
    let missing = missing(connection).await?;
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    migrator.set_locking(false);
    migrator.run_direct(None, connection, false).await.map_err(failed)?;
    connection.unlock().await.map_err(failed)?;
    Ok(missing)
}

/// What [`init`] would do; nothing is changed.
///
/// # Errors
/// See [`OpenError`].
pub async fn plan(config: &Config) -> Result<Vec<Applied>, OpenError> {
    let pool = Pool::new(Config { connections: 1, ..config.clone() });
    let mut lease = pool.acquire().await.map_err(OpenError::NoPrimary)?;
    missing(&mut lease.connection).await
}

/// Refuses a database that is older or newer than this version.
pub(crate) async fn check_version(directory: &Directory) -> Result<(), OpenError> {
    // Asked apart, so that a server that is away is told in its own words.
    let lease = directory.pool().acquire().await.map_err(OpenError::NoPrimary)?;
    lease.put_back();
    let applied =
        read!(directory, connection, { Ok(applied(connection).await?) }).map_err(OpenError::Engine)?;
    match not_applied(&applied)? {
        missing if missing.is_empty() => Ok(()),
        missing => Err(OpenError::Older(missing.len())),
    }
}

pub(crate) async fn missing(connection: &mut PgConnection) -> Result<Vec<Applied>, OpenError> {
    let applied = applied(connection).await.map_err(|error| OpenError::Engine(Failure::Sql(error).into()))?;
    not_applied(&applied)
}

fn not_applied(applied: &[(i64, Vec<u8>)]) -> Result<Vec<Applied>, OpenError> {
    for (version, checksum) in applied {
        match MIGRATIONS.iter().find(|one| one.version == *version) {
            None => return Err(OpenError::Newer),
            Some(known) if known.checksum.as_ref() != checksum.as_slice() => {
                return Err(OpenError::Migration(MigrateError::VersionMismatch(*version)));
            }
            Some(_) => {}
        }
    }
    let is_missing = |version: i64| applied.iter().all(|(known, _)| *known != version);
    let missing = MIGRATIONS.iter().filter(|one| is_missing(one.version));
    Ok(missing
        .map(|one| Applied { version: one.version, description: one.description.clone().into_owned() })
        .collect())
}

/// The migrations that the database has, with their checksums; none where it is empty.
async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    let found =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version")
            .persistent(false)
            .fetch_all(connection)
            .await;
    match found {
        Err(error) if code(&error).as_deref() == Some("42P01") => Ok(Vec::new()),
        found => found,
    }
}

fn failed(error: MigrateError) -> OpenError {
    match error {
        MigrateError::VersionMissing(_) => OpenError::Newer,
        other => OpenError::Migration(other),
    }
}

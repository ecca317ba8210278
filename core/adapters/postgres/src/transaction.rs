//! Transactions and reads, with their deadline and their bounded repetitions.
//!
//! Two macros, because what an async closure makes can't be required to be `Send` yet. Both run a block over a connection:
//!
//! - `transaction!(directory, connection, { … Ok(Commit(value)) })` inside `BEGIN` and `COMMIT`, at READ COMMITTED: the block
//!   locks the rows that it decides by. It is run again after a deadlock or a serialization failure, and where the connection
//!   turned out to be dead before it began. A connection lost later may have done it: that is `Unavailable`.
//! - `read!(directory, connection, { … Ok(value) })` without a transaction, for one statement each; it is run again on another
//!   connection where one was lost.

use std::sync::Arc;
use std::time::Duration;

use ringside_ports::EngineError;
use tokio::time::{sleep, timeout};

use crate::failure::{Failure, unavailable};
use crate::pool::{Lease, Pool};

/// The pause before the first repetition; it doubles with each, and half of it is chance.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// How a transaction ends.
pub(crate) enum Ending<T> {
    /// What was written stays.
    Commit(T),
    /// Nothing was to be written, or is not to stay.
    Undo(T),
}

macro_rules! transaction {
    ($directory:expr, $connection:ident, $body:block) => {{
        let pool = $directory.pool();
        let work = async {
            let mut attempts = $crate::transaction::Attempts::new(pool);
            loop {
                let mut lease = attempts.begin().await?;
                let done: Result<$crate::transaction::Ending<_>, $crate::failure::Failure> = {
                    let $connection: &mut sqlx::PgConnection = &mut lease.connection;
                    async { $body }.await
                };
                if let Some(done) = attempts.end(lease, done).await? {
                    return Ok(done);
                }
            }
        };
        $crate::transaction::within(pool, work).await
    }};
}

macro_rules! read {
    ($directory:expr, $connection:ident, $body:block) => {{
        let pool = $directory.pool();
        let work = async {
            let mut attempts = $crate::transaction::Attempts::new(pool);
            loop {
                let mut lease = attempts.acquire().await?;
                let done: Result<_, $crate::failure::Failure> = {
                    let $connection: &mut sqlx::PgConnection = &mut lease.connection;
                    async { $body }.await
                };
                if let Some(done) = attempts.end_read(lease, done).await? {
                    return Ok(done);
                }
            }
        };
        $crate::transaction::within(pool, work).await
    }};
}

pub(crate) use {read, transaction};

/// Bounds how long a caller waits, all attempts together.
pub(crate) async fn within<T>(
    pool: &Pool,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let deadline = pool.config.deadline;
    match timeout(deadline, work).await {
        Ok(done) => done,
        Err(_) => Err(unavailable(format!("PostgreSQL did not answer within {deadline:?}"))),
    }
}

/// The attempts at one transaction or read.
pub(crate) struct Attempts<'p> {
    pool: &'p Arc<Pool>,
    left: u32,
    pause: Duration,
}

impl<'p> Attempts<'p> {
    pub(crate) fn new(pool: &'p Arc<Pool>) -> Self {
        Self { pool, left: pool.config.attempts.max(1), pause: FIRST_PAUSE }
    }

    pub(crate) async fn acquire(&mut self) -> Result<Lease, EngineError> {
        self.left = self.left.saturating_sub(1);
        self.pool.acquire().await.map_err(unavailable)
    }

    /// A connection inside a transaction.
    pub(crate) async fn begin(&mut self) -> Result<Lease, EngineError> {
        loop {
            let mut lease = self.acquire().await?;
            match sqlx::raw_sql("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
                .execute(&mut lease.connection)
                .await
            {
                Ok(_) => return Ok(lease),
                // Nothing was begun, so nothing was done.
                Err(error) => self.after_failure(Failure::Sql(error), lease.is_fresh).await?,
            }
        }
    }

    /// Ends a transaction; `None`: the block is to be run again.
    pub(crate) async fn end<T>(
        &mut self,
        lease: Lease,
        done: Result<Ending<T>, Failure>,
    ) -> Result<Option<T>, EngineError> {
        let failure = match done {
            Ok(Ending::Undo(value)) => {
                lease.roll_back().await;
                return Ok(Some(value));
            }
            Ok(Ending::Commit(value)) => match commit(lease).await {
                Ok(()) => return Ok(Some(value)),
                Err(failure) => failure,
            },
            Err(failure) if failure.is_lost() => failure,
            Err(failure) => {
                lease.roll_back().await;
                failure
            }
        };
        if failure.is_lost() {
            self.pool.forget_idle();
        }
        if failure.is_conflict() && self.left > 0 {
            self.rest().await;
            return Ok(None);
        }
        Err(failure.into())
    }

    /// Ends a read; `None`: the block is to be run again.
    pub(crate) async fn end_read<T>(
        &mut self,
        lease: Lease,
        done: Result<T, Failure>,
    ) -> Result<Option<T>, EngineError> {
        match done {
            Ok(value) => {
                lease.put_back();
                Ok(Some(value))
            }
            Err(failure) => {
                self.after_failure(failure, lease.is_fresh).await?;
                Ok(None)
            }
        }
    }

    /// Rests before the next attempt, where there is one and it may go better.
    async fn after_failure(&mut self, failure: Failure, was_fresh: bool) -> Result<(), EngineError> {
        if failure.is_lost() {
            self.pool.forget_idle();
        }
        let may_go_better = failure.is_lost() || failure.is_conflict();
        if !may_go_better || self.left == 0 {
            return Err(failure.into());
        }
        if was_fresh {
            self.rest().await;
        }
        Ok(())
    }

    async fn rest(&mut self) {
        sleep(self.pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

/// Commits on a task of its own: a caller who does not wait any longer leaves it there, where it keeps its connection. So no
/// more commits wait for a standby than there are connections.
async fn commit(mut lease: Lease) -> Result<(), Failure> {
    let longest = lease.pool_config().commit_timeout;
    let committed = tokio::spawn(async move {
        let commit = sqlx::raw_sql("COMMIT").execute(&mut lease.connection);
        match timeout(longest, commit).await {
            Ok(Ok(_)) => {
                lease.put_back();
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::Sql(error)),
            Err(_) => Err(Failure::Engine(unavailable(format!("the commit took longer than {longest:?}")))),
        }
    });
    committed.await.unwrap_or_else(|error| Err(Failure::Engine(unavailable(error))))
}

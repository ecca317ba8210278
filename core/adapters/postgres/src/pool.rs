//! The connections: to the primary alone, whichever host that is now.
//!
//! A connection goes back only after what was done on it has ended well. One that a caller gave up, or that failed, is closed:
//! the server then undoes what was not committed, and nobody builds upon a connection in an unknown state.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::config::{Config, Host};
use crate::failure::refusal;

/// How long the goodbye to the server may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) config: Config,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Where in the list the primary was last.
    primary: AtomicUsize,
    is_closed: AtomicBool,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    made_at: Instant,
    idle_since: Instant,
}

/// A connection of one caller. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) connection: PgConnection,
    /// Whether it has just been made: then it is no leftover of a primary that is gone.
    pub(crate) is_fresh: bool,
    made_at: Instant,
    pool: Arc<Pool>,
    // Given back last: the connection counts as long as it is there.
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(config.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let (idle, primary, is_closed) = (Mutex::default(), AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { config, permits, idle, primary, is_closed })
    }

    /// A connection to the primary. The caller bounds how long it waits.
    ///
    /// # Errors
    /// No host is a primary that takes a connection: the sentences say why of each.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Result<Lease, String> {
        let closed = || "the Directory was closed".to_owned();
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| closed())?;
        let kept = self.kept();
        let is_fresh = kept.is_none();
        let (connection, made_at) = match kept {
            Some(idle) => (idle.connection, idle.made_at),
            None => (self.connect().await?, Instant::now()),
        };
        Ok(Lease { connection, is_fresh, made_at, pool: self.clone(), _permit: permit })
    }

    /// Closes the idle connections: one of their kind was found dead.
    pub(crate) fn forget_idle(&self) {
        self.idle().clear();
    }

    /// Ends it: callers under way go on with what they hold.
    pub(crate) async fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for one in idle {
            // Whoever does not answer is left alone.
            let _ = timeout(CLOSE_TIMEOUT, one.connection.close()).await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if it is not too old.
    fn kept(&self) -> Option<Idle> {
        let (now, config) = (Instant::now(), &self.config);
        let mut idle = self.idle();
        idle.retain(|one| {
            now.duration_since(one.idle_since) < config.idle_timeout
                && now.duration_since(one.made_at) < config.max_lifetime
        });
        idle.pop()
    }

    /// Tries the hosts, the last primary first.
    async fn connect(&self) -> Result<PgConnection, String> {
        let count = self.config.hosts.len();
        let first = self.primary.load(Ordering::Relaxed);
        let mut refusals = Vec::with_capacity(count);
        for index in (0..count).map(|offset| (first + offset) % count) {
            let host = &self.config.hosts[index];
            match timeout(self.config.connect_timeout, self.connect_to(host)).await {
                Ok(Ok(connection)) => {
                    self.primary.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(refusal)) => refusals.push(refusal),
                Err(_) => refusals.push(format!(
                    "{host} did not answer within {:?}; check its address, the network and its load",
                    self.config.connect_timeout
                )),
            }
        }
        if refusals.is_empty() {
            return Err("no PostgreSQL host is configured; name at least one".into());
        }
        Err(refusals.join("; "))
    }

    async fn connect_to(&self, host: &Host) -> Result<PgConnection, String> {
        let refused = |error: sqlx::Error| refusal(host, &self.config, &error);
        let mut connection = PgConnection::connect_with(&self.config.options(host)).await.map_err(refused)?;
        // What a standby says may be old, and what must be decided, the primary decides.
        let is_standby = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::BOOLEAN";
        let is_standby: bool = sqlx::query_scalar(is_standby)
            .persistent(false)
            .fetch_one(&mut connection)
            .await
            .map_err(refused)?;
        if is_standby {
            return Err(format!(
                "{host} is a standby or read-only, not the primary; add the primary to the hosts, or promote this one"
            ));
        }
        Ok(connection)
    }
}

impl Lease {
    pub(crate) fn pool_config(&self) -> &Config {
        &self.pool.config
    }

    /// Keeps the connection for the next caller: what was done on it has ended well.
    pub(crate) fn put_back(self) {
        let Self { connection, made_at, pool, _permit, .. } = self;
        if !pool.is_closed.load(Ordering::Acquire) {
            pool.idle().push(Idle { connection, made_at, idle_since: Instant::now() });
        }
    }

    /// Ends a transaction without a trace, and keeps the connection if that goes well.
    pub(crate) async fn roll_back(mut self) {
        if sqlx::raw_sql("ROLLBACK").execute(&mut self.connection).await.is_ok() {
            self.put_back();
        }
    }
}

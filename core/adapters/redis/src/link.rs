//! A connection to one server, shared by all calls, and made anew when it breaks.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, PushKind, Value};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::config::{Address, Dialing};
use crate::counters::Counters;
use crate::failure::words_of;

/// Calls that wait to be written to one server at the most; further ones wait for room, as long as calls may take.
const CALLS_WAITING_MAX: usize = 256;
/// Commands that one server has not answered yet at the most, but for the rest of a pipeline that has begun.
const COMMANDS_MAX: usize = 4_096;
/// After a failure nobody tries to connect for so long, plus or minus a half; doubled with each failure.
const PAUSE: Duration = Duration::from_millis(50);
/// … up to this.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Why a server did not answer.
#[derive(Debug, Clone)]
pub(crate) struct LinkError {
    /// Whether what was asked may have been done all the same.
    pub(crate) is_sent: bool,
    /// In words, with the server's address.
    pub(crate) cause: String,
}

/// One server. A clone is another handle.
#[derive(Clone)]
pub(crate) struct Link(Arc<Shared>);

struct Shared {
    address: Address,
    dialing: Dialing,
    counters: Arc<Counters>,
    /// Numbered, so that a call drops none but the one that failed it.
    live: std::sync::Mutex<Option<(u64, MultiplexedConnection)>>,
    /// Held by the one that makes it.
    dial: Mutex<Dial>,
}

/// What is known of the last attempts to connect.
struct Dial {
    generation: u64,
    failures: u32,
    /// Nobody connects before this.
    retry_at: Instant,
    cause: String,
}

impl Link {
    pub(crate) fn new(address: Address, dialing: Dialing, counters: Arc<Counters>) -> Self {
        let dial = Dial { generation: 0, failures: 0, retry_at: Instant::now(), cause: String::new() };
        let (live, dial) = (std::sync::Mutex::default(), Mutex::new(dial));
        Self(Arc::new(Shared { address, dialing, counters, live, dial }))
    }

    /// Sends all commands at once, and returns as many replies, in order: errors of the server are among them.
    pub(crate) async fn send(&self, pipeline: &Pipeline, deadline: Instant) -> Result<Vec<Value>, LinkError> {
        let (generation, mut connection) = self.connection(deadline).await?;
        let counters = &self.0.counters;
        counters.round_trips.fetch_add(1, Ordering::Relaxed);
        counters.commands.fetch_add(pipeline.len() as u64, Ordering::Relaxed);
        let sent = connection.send_packed_commands(pipeline, 0, pipeline.len());
        let cause = match timeout_at(deadline, sent).await {
            Ok(Ok(replies)) if replies.len() == pipeline.len() => return Ok(replies),
            Ok(Ok(replies)) => format!("{} replies to {} commands", replies.len(), pipeline.len()),
            Ok(Err(error)) => words_of(&error),
            Err(_) => "no reply in time".to_owned(),
        };
        let error = LinkError { is_sent: true, cause: format!("{}: {cause}", self.0.address) };
        self.drop_connection(generation, &error.cause);
        Err(error)
    }

    /// Drops the connection, because its server is not what it was.
    pub(crate) fn reset(&self, cause: &str) {
        if let Some((generation, _)) = self.live() {
            self.drop_connection(generation, cause);
        }
    }

    fn live(&self) -> Option<(u64, MultiplexedConnection)> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn drop_connection(&self, generation: u64, cause: &str) {
        let mut live = self.0.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.take_if(|(known, _)| *known == generation).is_some() {
            self.0.counters.connections_lost.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(server = %self.0.address, cause, "a connection to Redis is lost");
        }
    }

    /// The connection, made if there is none. Whoever comes while somebody makes it, waits for them.
    async fn connection(&self, deadline: Instant) -> Result<(u64, MultiplexedConnection), LinkError> {
        if let Some(live) = self.live() {
            return Ok(live);
        }
        let address = &self.0.address;
        let unsent = |cause: String| LinkError { is_sent: false, cause };
        let Ok(mut dial) = timeout_at(deadline, self.0.dial.lock()).await else {
            return Err(unsent(format!("{address}: no connection in time")));
        };
        if let Some(live) = self.live() {
            return Ok(live);
        }
        let now = Instant::now();
        if now < dial.retry_at {
            return Err(unsent(dial.cause.clone()));
        }
        let deadline = deadline.min(now + self.0.dialing.connect_timeout);
        match timeout_at(deadline, self.connect(dial.generation + 1)).await {
            Ok(Ok(connection)) => {
                dial.generation += 1;
                dial.failures = 0;
                let live = (dial.generation, connection);
                self.0.counters.connections_made.fetch_add(1, Ordering::Relaxed);
                *self.0.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                return Ok(live);
            }
            Ok(Err(error)) => dial.cause = format!("{address}: {}", words_of(&error)),
            Err(_) => dial.cause = format!("{address}: it could not be reached in time"),
        }
        dial.failures = dial.failures.saturating_add(1);
        dial.retry_at = Instant::now() + pause(dial.failures);
        Err(unsent(dial.cause.clone()))
    }

    async fn connect(&self, generation: u64) -> redis::RedisResult<MultiplexedConnection> {
        let client = self.0.dialing.client(&self.0.address)?;
        // Time limits are those of the call.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(CALLS_WAITING_MAX)
            .set_concurrency_limit(COMMANDS_MAX)
            .set_push_sender(Watcher { shared: Arc::downgrade(&self.0), generation });
        client.get_multiplexed_async_connection_with_config(&config).await
    }
}

/// Drops a connection as soon as it is closed, so that no call is sent into it.
struct Watcher {
    shared: Weak<Shared>,
    generation: u64,
}

impl AsyncPushSender for Watcher {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        if info.kind == PushKind::Disconnection
            && let Some(shared) = self.shared.upgrade()
        {
            Link(shared).drop_connection(self.generation, "it was closed");
        }
        Ok(())
    }
}

/// How long nobody connects after so many failures: not the same for all, or they would all come back at once.
pub(crate) fn pause(failures: u32) -> Duration {
    let doubled = PAUSE * (1 << failures.saturating_sub(1).min(8));
    doubled.min(PAUSE_MAX).mul_f64(rand::random_range(0.5..1.5))
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.0.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let check = |failures, least_ms, most_ms| {
            let pause = pause(failures).as_millis();
            assert!((least_ms..=most_ms).contains(&pause), "{failures} failures: {pause} ms");
        };
        check(1, 25, 75);
        check(2, 50, 150);
        check(7, 1_000, 3_000);
        check(u32::MAX, 1_000, 3_000);
    }
}

//! Reading: partitions, each with a few cursors, so that readers who are far apart don't take one another's place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use ringside_ports::EngineError;
use ringside_ports::log::{Bounds, ReadLimit, Record};
use ringside_types::{Offset, PartitionId, Topic};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::client::{Calls, Told};
use crate::config::Config;
use crate::cursor::{Cursor, Found};
use crate::error::{OpenError, damaged, unavailable};
use crate::producer::MESSAGE_BYTES_MAX;

/// Cursors of a partition, each with a consumer of its own. Followers at the end share one; the other is for whoever is
/// behind.
const CURSORS: usize = 2;
/// A partition that nobody read for so long is read ahead no more.
const IDLE: Duration = Duration::from_secs(120);
/// How often the consumers' own events are served.
const EVENTS_EVERY: Duration = Duration::from_millis(200);
/// Whoever waits this long has waited for a fetch as well; whoever waits less asks the broker where the end is.
const FETCH: Duration = Duration::from_millis(500);
/// Bytes that are fetched ahead of a partition's reader.
const AHEAD_KIB: usize = 1_024;

/// A partition as it is read.
pub(crate) struct Partition {
    topic: Arc<str>,
    number: i32,
    cursors: [Cursor; CURSORS],
    /// Held by whoever moves a cursor.
    moving: tokio::sync::Mutex<()>,
    came: Arc<Notify>,
}

type Read = BTreeMap<(Topic, PartitionId), Arc<Partition>>;

/// All partitions that are read.
pub(crate) struct Partitions {
    config: Arc<Config>,
    consumers: [Arc<BaseConsumer<Told>>; CURSORS],
    read: Arc<Mutex<Read>>,
    calls: Calls,
    is_over: Arc<AtomicBool>,
}

impl Partitions {
    pub(crate) fn new(config: Arc<Config>) -> Result<Self, OpenError> {
        let consumers = [connect(&config)?, connect(&config)?];
        let (read, is_over) = (Arc::default(), Arc::default());
        let this = Self { config, consumers, read, calls: Calls::default(), is_over };
        this.serve()?;
        Ok(this)
    }

    /// Any consumer, for what is asked of the cluster.
    pub(crate) fn client(&self) -> Arc<BaseConsumer<Told>> {
        self.consumers[0].clone()
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// What the log has of a partition.
    pub(crate) async fn bounds(&self, topic: &Arc<str>, number: i32) -> Result<Bounds, EngineError> {
        let (client, topic, within) = (self.client(), topic.clone(), self.config.request_timeout);
        let call = move || client.fetch_watermarks(&topic, number, within);
        let (start, end) = self.calls.run(within, call).await?;
        let offset = |raw: i64| Offset(u64::try_from(raw).unwrap_or(0));
        Ok(Bounds { start: offset(start), end: offset(end) })
    }

    /// A partition, to be read.
    pub(crate) fn partition(&self, topic: Topic, name: &Arc<str>, partition: PartitionId) -> Arc<Partition> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let cursors = self.consumers.each_ref().map(|consumer| Cursor::new(consumer.clone()));
            let (topic, number) = (name.clone(), i32::from(partition.0));
            Arc::new(Partition {
                topic,
                number,
                cursors,
                moving: Default::default(),
                came: Default::default(),
            })
        };
        read.entry((topic, partition)).or_insert_with(new).clone()
    }

    /// Serves the consumers' events, and ends what nobody reads, on a thread that ends with this.
    fn serve(&self) -> Result<(), OpenError> {
        let consumers = self.consumers.clone();
        let (read, is_over) = (self.read.clone(), self.is_over.clone());
        let serve = move || {
            while !is_over.load(Ordering::Relaxed) {
                for consumer in &consumers {
                    if let Some(Err(error)) = consumer.poll(Duration::ZERO) {
                        tracing::warn!(%error, "reading from Kafka");
                    }
                }
                let all: Vec<_> =
                    read.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
                all.iter().for_each(|partition| partition.leave_idle());
                thread::sleep(EVENTS_EVERY);
            }
        };
        let thread = thread::Builder::new().name("kafka-events".into()).spawn(serve);
        thread.map(drop).map_err(|error| OpenError::Client(error.to_string()))
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Partition {
    /// Reads, as the port says.
    pub(crate) async fn read(
        self: &Arc<Self>,
        of: &Partitions,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        let until = Instant::now() + wait;
        let (mut is_known, mut has_gap) = (wait >= FETCH, false);
        let mut last = until;
        loop {
            let came = self.came.notified();
            tokio::pin!(came);
            came.as_mut().enable();
            match self.take(from, limit)? {
                Found::Records(records) => return Ok(records),
                Found::Nothing => {}
                Found::Gap if has_gap => {
                    let (offset, topic, number) = (from.0, &self.topic, self.number);
                    return Err(damaged(format!(
                        "offset {offset} of {topic}, partition {number}, is missing"
                    )));
                }
                found @ (Found::Elsewhere | Found::Gap) => {
                    has_gap |= matches!(found, Found::Gap);
                    self.place(of, from).await?;
                    continue;
                }
            }
            if timeout_at(last, came).await.is_ok() {
                continue;
            }
            if is_known {
                return match last == until {
                    true => Ok(Vec::new()),
                    false => {
                        Err(unavailable(format!("no broker sends {}, partition {}", self.topic, self.number)))
                    }
                };
            }
            // Nothing has come, but in so short a time that is no proof that there is nothing.
            if of.bounds(&self.topic, self.number).await?.end <= from {
                return Ok(Vec::new());
            }
            is_known = true;
            last = Instant::now() + of.config.request_timeout;
        }
    }

    fn take(&self, from: Offset, limit: ReadLimit) -> Result<Found, EngineError> {
        let mut found = Found::Elsewhere;
        for cursor in &self.cursors {
            match cursor.take(from, limit)? {
                Found::Elsewhere => {}
                Found::Nothing => found = Found::Nothing,
                other => return Ok(other),
            }
        }
        Ok(found)
    }

    /// Puts the cursor that was used least recently where the reader wants to be.
    async fn place(self: &Arc<Self>, of: &Partitions, from: Offset) -> Result<(), EngineError> {
        let _moving = self.moving.lock().await;
        // Somebody may have moved one there in the meantime; a look that takes nothing tells.
        let nothing = ReadLimit { records: 0, bytes: 0 };
        if !matches!(self.take(from, nothing)?, Found::Elsewhere) {
            return Ok(());
        }
        let Bounds { start, end } = of.bounds(&self.topic, self.number).await?;
        if from < start || from > end {
            let (from, topic, number) = (from.0, &self.topic, self.number);
            let (start, end) = (start.0, end.0);
            return Err(damaged(format!(
                "offset {from} of {topic}, partition {number}, is not there: it holds {start} up to {end}"
            )));
        }
        let this = self.clone();
        let call = move || {
            let cursor = this.cursors.iter().min_by_key(|cursor| cursor.used());
            let Some(cursor) = cursor else { return Ok(()) };
            cursor.place(&this.topic, this.number, from, &this.came)
        };
        of.calls.run(of.config.request_timeout, call).await?;
        // Whoever waited at the place that is left looks again.
        self.came.notify_waiters();
        Ok(())
    }

    fn leave_idle(&self) {
        for cursor in &self.cursors {
            if let Err(error) = cursor.leave_if_idle(&self.topic, self.number, IDLE) {
                tracing::warn!(%error, topic = &*self.topic, "a partition that nobody reads can't be left");
            }
        }
    }
}

fn connect(config: &Config) -> Result<Arc<BaseConsumer<Told>>, OpenError> {
    let mut client = config.client();
    client
        // Never joined: places are given by hand, and the client wants a name to do so.
        .set("group.id", config.group("reader"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        // A partition that is new to the consumer waits for the fetch under way.
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "50")
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.message.max.bytes", "1048576")
        .set("fetch.max.bytes", (2 * MESSAGE_BYTES_MAX).to_string())
        .set("receive.message.max.bytes", (3 * MESSAGE_BYTES_MAX).to_string())
        .set("queued.max.messages.kbytes", AHEAD_KIB.to_string());
    let consumer = client.create_with_context(Told).map_err(|error| OpenError::Client(error.to_string()))?;
    Ok(Arc::new(consumer))
}

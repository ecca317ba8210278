//! The tokio runner around [`Consumer`]: one task for each partition that is assigned.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ringside_ports::log::{Commit, ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Offset, PartitionId, Topic};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Consumer, Rules, Step};

/// Which partitions a process owns: all of them where it is alone, those of its consumer group elsewhere.
pub type Assignment = watch::Receiver<BTreeSet<PartitionId>>;

/// Why a batch was not handled.
#[derive(Debug)]
pub enum HandlerError<E> {
    /// It is tried again, from where the partition was left off.
    Retry(E),
    /// Nothing can be done about it: the consumer ends.
    Fatal(E),
}

impl<E> From<E> for HandlerError<E> {
    fn from(error: E) -> Self {
        Self::Retry(error)
    }
}

/// What is done with the records of a topic.
pub trait Handler: Clone + Send + Sync + 'static {
    /// What is known of one partition while it is owned.
    type Partition: Send;
    type Error: Display + From<EngineError> + Send;

    /// Opens a partition: what is known of it, and where to begin.
    fn open(
        &self,
        partition: PartitionId,
    ) -> impl Future<Output = Result<(Self::Partition, Offset), HandlerError<Self::Error>>> + Send;

    /// Something failed, and the partition is opened anew after a pause.
    fn failed(&self) {}

    /// Handles records, in order; returns where a restart may begin.
    fn handle(
        &self,
        partition: &mut Self::Partition,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Offset, HandlerError<Self::Error>>> + Send;
}

/// What is read, in whose name, and how.
#[derive(Debug, Clone, Copy)]
pub struct Subscription {
    /// Whose reading it is: the consumer group.
    pub group: &'static str,
    pub topic: Topic,
    /// What one read takes.
    pub limit: ReadLimit,
    /// How long one read waits for a record.
    pub wait: Duration,
    /// How it goes about it.
    pub rules: Rules,
}

/// Reads the assigned partitions until `stop` turns true. `position` holds the offsets that they stand at, together: what
/// the log has beyond them waits.
///
/// # Errors
/// The first [`HandlerError::Fatal`].
pub async fn run<L: Log, H: Handler>(
    subscription: Subscription,
    log: L,
    handler: H,
    mut assigned: Assignment,
    position: Arc<AtomicU64>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), H::Error> {
    let mut owned: BTreeMap<PartitionId, tokio::task::AbortHandle> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let wanted = assigned.borrow_and_update().clone();
        // One that is taken away ends at once: another process may own it already.
        owned.retain(|partition, task| {
            let is_owned = wanted.contains(partition);
            if !is_owned {
                task.abort();
            }
            is_owned
        });
        for partition in wanted {
            owned.entry(partition).or_insert_with(|| {
                let reading = Reading {
                    subscription,
                    log: log.clone(),
                    handler: handler.clone(),
                    partition,
                    counted: Counted { position: position.clone(), at: Offset(0) },
                };
                tasks.spawn(reading.run(stop.clone()))
            });
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(fatal)) => return Err(fatal),
                Err(ended) if ended.is_cancelled() => {}
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            },
            // Without its sender the assignment stays as it is.
            Ok(()) = assigned.changed() => {}
        }
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

struct Reading<L, H> {
    subscription: Subscription,
    log: L,
    handler: H,
    partition: PartitionId,
    counted: Counted,
}

/// A partition's part of the positions; gone with its task.
struct Counted {
    position: Arc<AtomicU64>,
    at: Offset,
}

impl Counted {
    fn move_to(&mut self, to: Offset) {
        self.position.fetch_add(to.0.wrapping_sub(self.at.0), Ordering::Relaxed);
        self.at = to;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.move_to(Offset(0));
    }
}

impl<L: Log, H: Handler> Reading<L, H> {
    async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), H::Error> {
        let mut machine = Consumer::new(self.subscription.rules);
        let mut state = None;
        let mut records = Vec::new();
        loop {
            let step = self.step(&mut machine, &mut state, &mut records);
            let failed = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                done = step => done.err(),
            };
            match failed {
                None => self.counted.move_to(machine.position()),
                Some(HandlerError::Fatal(error)) => return Err(error),
                Some(HandlerError::Retry(error)) => {
                    let Subscription { group, topic, .. } = self.subscription;
                    tracing::warn!(
                        group,
                        topic = topic.name(),
                        partition = %self.partition,
                        %error,
                        "reading a partition stopped, and begins anew where it was left off"
                    );
                    self.handler.failed();
                    // Nothing that is half done is built upon.
                    (state, records) = (None, Vec::new());
                    machine.failed(tokio::time::Instant::now().into_std());
                }
            }
        }
    }

    async fn step(
        &self,
        machine: &mut Consumer,
        state: &mut Option<H::Partition>,
        records: &mut Vec<Record>,
    ) -> Result<(), HandlerError<H::Error>> {
        let Subscription { group, topic, limit, wait, .. } = self.subscription;
        let retry = |error: EngineError| HandlerError::Retry(error.into());
        match (machine.poll(), state) {
            (Step::Handle, Some(state)) => {
                let resume_from = self.handler.handle(state, std::mem::take(records)).await?;
                machine.handled(resume_from);
            }
            (Step::Read(from), Some(_)) => {
                *records = self.log.read(topic, self.partition, from, limit, wait).await.map_err(retry)?;
                machine.read(records.last().map(|record| record.offset));
            }
            (Step::Commit(offset), Some(_)) => {
                let commit = Commit { offset, metadata: Bytes::new() };
                self.log.commit(group, topic, self.partition, commit).await.map_err(retry)?;
                machine.committed();
            }
            (Step::Wait(until), _) => {
                tokio::time::sleep_until(until.into()).await;
                machine.handle_timeout(tokio::time::Instant::now().into_std());
            }
            (Step::Open, state) | (_, state @ None) => {
                let (opened, from) = self.handler.open(self.partition).await?;
                *state = Some(opened);
                machine.opened(from);
            }
        }
        Ok(())
    }
}

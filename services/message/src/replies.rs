//! Answers to commands that this process sends itself, for REST.
//!
//! The process holds a slot as an edge does, and names it as the origin of its commands; processors answer there once
//! what they made can be read. So nobody asks the store again and again whether a message is there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringside_application::consumer::follow;
use ringside_clock::boot_time;
use ringside_domain::lease::{EdgeLease, HEARTBEAT_INTERVAL, LeaseChange};
use ringside_ports::log::{Append, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Epoch, PartitionId, Slot, Topic};
use ringside_wire::records::{Answered, Control, EdgeBatch, Origin, control, edge_item};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// The pause after a claim that was not confirmed.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// `control` is one partition.
const CONTROL: PartitionId = PartitionId(0);

/// Who waits for which answer. A clone is another handle.
#[derive(Clone, Debug)]
pub struct Replies {
    waiting: Arc<Waiting>,
    lease: watch::Sender<Option<(Slot, Epoch)>>,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: Mutex<HashMap<u64, oneshot::Sender<Answered>>>,
    last: AtomicU64,
}

impl Waiting {
    fn requests(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Answered>>> {
        // Each entry stands for itself: what a panic left is as good as before.
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Replies {
    fn default() -> Self {
        Self { waiting: Arc::default(), lease: watch::Sender::new(None) }
    }
}

/// An answer that is awaited. Dropped, it is awaited no longer.
#[derive(Debug)]
pub struct Reply {
    origin: Origin,
    answer: oneshot::Receiver<Answered>,
    waiting: Arc<Waiting>,
}

impl Reply {
    /// What the command has to name.
    pub fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// The answer; `None`: none within this time.
    pub async fn answered(mut self, within: Duration) -> Option<Answered> {
        timeout(within, &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.waiting.requests().remove(&self.origin.request);
    }
}

impl Replies {
    /// Awaits the answer to a command that is to be sent; `None`: this process held no slot within this time.
    pub async fn expect(&self, within: Duration) -> Option<Reply> {
        let mut lease = self.lease.subscribe();
        let (slot, epoch) = (*timeout(within, lease.wait_for(Option::is_some)).await.ok()?.ok()?)?;
        let request = self.waiting.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = oneshot::channel();
        self.waiting.requests().insert(request, sender);
        let origin = Origin { slot: slot.0.into(), epoch: epoch.0, request, ..Origin::default() };
        Some(Reply { origin, answer, waiting: self.waiting.clone() })
    }

    /// Records of the slot.
    fn handle(&self, epoch: Epoch, records: Vec<Record>) {
        for record in records {
            let offset = record.offset;
            let Ok(batch) = ringside_wire::decode::<EdgeBatch>(record.payload) else {
                tracing::error!(%offset, "a record to this process can't be read; its answers are late");
                continue;
            };
            for item in batch.items.into_iter().filter(|_| batch.epoch == epoch.0) {
                if let Some(edge_item::Body::Answered(answered)) = item.body
                    && let Some(waiting) = self.waiting.requests().remove(&answered.request)
                {
                    // Whoever waited may have gone.
                    let _ = waiting.send(answered);
                }
            }
        }
    }
}

/// Holds the slot until `stop` turns true, one lease after another, and hands answers to those who wait.
pub async fn run<L: Log>(log: L, slot: Slot, replies: Replies, mut stop: watch::Receiver<bool>) {
    loop {
        let lease = async {
            if let Err(error) = hold(&log, slot, &replies).await {
                tracing::warn!(%error, %slot, "the slot for answers to this process could not be claimed; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        };
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            () = lease => {}
        }
        replies.lease.send_replace(None);
    }
}

/// One lease: ends when another has claimed the slot, or a topic has lost its reader.
async fn hold<L: Log>(log: &L, slot: Slot, replies: &Replies) -> Result<(), EngineError> {
    let mut lease = EdgeLease::new(slot, rand::random());
    let from = log.bounds(Topic::MessagesReceive, slot.partition()).await?.end;
    let claimed = log.append(vec![of_control(control::Body::Claim(lease.claim()))]).await?[0].offset;
    let epoch = Epoch(claimed.0);
    let mut control = follow(log.clone(), Topic::Control, CONTROL, claimed);
    let mut answers = follow(log.clone(), Topic::MessagesReceive, slot.partition(), from);
    let mut beats = tokio::time::interval(HEARTBEAT_INTERVAL);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    replies.lease.send_replace(Some((slot, epoch)));
    loop {
        tokio::select! {
            _ = beats.tick() => {
                if let Some(tick) = lease.tick(boot_time()) {
                    // One that is refused is followed by the next.
                    let (log, beat) = (log.clone(), of_control(control::Body::Tick(tick)));
                    tokio::spawn(async move { log.append(vec![beat]).await.map(drop) });
                }
            }
            records = control.recv() => {
                if is_lost(&mut lease, records) {
                    return Ok(());
                }
            }
            records = answers.recv() => match records {
                Some(records) => replies.handle(epoch, records),
                None => return Ok(()),
            },
        }
    }
}

fn is_lost(lease: &mut EdgeLease, records: Option<Vec<Record>>) -> bool {
    let Some(records) = records else { return true };
    records.into_iter().any(|record| {
        let (offset, time) = (record.offset, record.time);
        let body = ringside_wire::decode::<Control>(record.payload).ok().and_then(|control| control.body);
        body.is_some_and(|body| lease.handle_control(offset, time, &body) == Some(LeaseChange::Lost))
    })
}

fn of_control(body: control::Body) -> Append {
    let payload = ringside_wire::encode(&Control { body: Some(body) });
    Append { topic: Topic::Control, partition: CONTROL, payload }
}

//! The thin runner of a node: it reads clocks and topics, carries out effects, and hands mail to the shards.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use ringside_application::backend::Backend;
use ringside_clock::boot_time;
use ringside_domain::lease::{EdgeLease, FENCE};
use ringside_edge_protocol::{ShardId, ToNode, ToShard};
use ringside_ports::log::{Append, Record};
use ringside_ports::{EngineError, Log};
use ringside_types::{Epoch, Offset, PartitionId, Topic};
use ringside_wire::records::{Control, control};
use tokio::sync::{mpsc, watch};

use crate::config::{BACKLOG_PAUSE, Config};
use crate::counters::Counters;
use crate::effect::{Completion, Effect, carry_out};
use crate::node::{Node, Partitions};
use crate::now::Now;
use crate::recorder::{Claimed, NodeRecorder};
use ringside_application::consumer::follow;

/// Batches of requests handled in one turn at the most.
const REQUESTS_PER_TURN: usize = 64;
/// Turns left to the others before the shards are told: a processor's, and that of who reads what it appends.
const TURNS_BEFORE_FLUSH: usize = 3;
/// Inputs taken before the shards are told what waits for them, at the most.
const INPUTS_BEFORE_FLUSH: usize = 8;
/// An edge that stops hands over the receipts that it holds within this time.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sends messages to a shard, in order, and returns those that did not fit.
pub type ToShards = Arc<dyn Fn(ShardId, Vec<ToShard>) -> Vec<ToShard> + Send + Sync>;

/// The ways between a node and its shards.
pub struct ShardLinks {
    pub to_shards: ToShards,
    /// Batches of requests, each of one shard.
    pub requests: mpsc::Receiver<Vec<ToNode>>,
}

/// Why a node ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The slot's claim was not confirmed.
    #[error("this edge could not claim slot {slot}: {cause}")]
    Claim {
        slot: u16,
        /// In the engine's words.
        cause: EngineError,
    },
    /// The configured slot does not exist.
    #[error("slot {slot} does not exist: the log has {slots} edge slots, counted from 0")]
    NoSuchSlot {
        slot: u16,
        /// Partitions of `messages.receive`.
        slots: u16,
    },
}

/// Runs the node until `stop` turns true, one lease of its slot after another.
///
/// # Errors
/// The slot does not exist, or a claim of it is not confirmed.
pub async fn run<L: Log, B: Backend>(
    log: L,
    backend: B,
    config: Config,
    links: ShardLinks,
    counters: Arc<Counters>,
    mut recorder: NodeRecorder,
    mut stop: watch::Receiver<bool>,
) -> Result<(), NodeError> {
    let slots = log.partitions(Topic::MessagesReceive);
    if config.slot.0 >= slots {
        return Err(NodeError::NoSuchSlot { slot: config.slot.0, slots });
    }
    let slot = config.slot.0;
    let ShardLinks { to_shards, mut requests } = links;
    let runner = Runner { log, backend, config, to_shards, counters };
    loop {
        let claimed = runner.claim(&mut recorder).await;
        let mut lease = claimed.map_err(|cause| NodeError::Claim { slot, cause })?;
        let ended = runner.serve(&mut lease, &mut recorder, &mut requests, &mut stop).await;
        runner.finish(&mut lease.node, &mut recorder, ended).await;
        if ended == Ended::Stopped {
            return Ok(());
        }
        tracing::warn!(
            slot,
            "this edge's lease is over: its slot was claimed by another, or it was silent for too long; claiming it anew"
        );
    }
}

/// How a lease ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Stopped,
    Lost,
}

/// What a node's task turns to next.
enum Input {
    Stop,
    Control(Option<Vec<Record>>),
    Receive(Option<Vec<Record>>),
    Presence(Option<Vec<Record>>),
    /// What came of the effect of this number.
    Completion(u64, Box<Completion>),
    Requests(Vec<Vec<ToNode>>),
    NoMoreRequests,
    /// Something is due, or full mailboxes are tried again.
    Timeout,
}

type Work = Pin<Box<dyn Future<Output = (u64, Completion)> + Send>>;

/// A node, what it reads, and what is being done for it.
struct Lease {
    node: Node,
    control: mpsc::Receiver<Vec<Record>>,
    receive: mpsc::Receiver<Vec<Record>>,
    presence: mpsc::Receiver<Vec<Record>>,
    work: FuturesUnordered<Work>,
    /// Inputs taken since the shards were told something.
    inputs_before_flush: usize,
}

struct Runner<L, B> {
    log: L,
    backend: B,
    config: Config,
    to_shards: ToShards,
    counters: Arc<Counters>,
}

fn now() -> Now {
    Now { instant: tokio::time::Instant::now().into_std(), boot: boot_time(), wall: ringside_clock::now() }
}

impl<L: Log, B: Backend> Runner<L, B> {
    /// Claims the slot. The consumers stand where nothing that answers this lease can be missed.
    async fn claim(&self, recorder: &mut NodeRecorder) -> Result<Lease, EngineError> {
        let (log, slot) = (&self.log, self.config.slot);
        let nonce: [u8; 16] = rand::random();
        let lease = EdgeLease::new(slot, nonce);
        let receive_from = log.bounds(Topic::MessagesReceive, slot.partition()).await?.end;
        let presence_from = log.bounds(Topic::Presence, PartitionId(0)).await?.end;
        let payload = ringside_wire::encode(&Control { body: Some(control::Body::Claim(lease.claim())) });
        let claim = Append { topic: Topic::Control, partition: PartitionId(0), payload };
        let claimed = log.append(vec![claim]).await?[0].offset;
        let partitions = Partitions {
            send: log.partitions(Topic::MessagesSend),
            status: log.partitions(Topic::MessagesStatus),
        };
        let (config, counters) = (self.config.clone(), self.counters.clone());
        let (now, epoch) = (now(), Epoch(claimed.0));
        recorder.fix_seed();
        recorder.claimed(now, || Claimed {
            slot,
            nonce,
            epoch,
            receive_from,
            send_partitions: partitions.send,
            status_partitions: partitions.status,
            limits: config.limits.clone(),
            shards: config.shards,
        });
        let node = Node::new(now, config, partitions, lease, epoch, receive_from, counters);
        let read = |topic, partition, from: Offset| follow(log.clone(), topic, partition, from);
        Ok(Lease {
            node,
            control: read(Topic::Control, PartitionId(0), claimed),
            receive: read(Topic::MessagesReceive, slot.partition(), receive_from),
            presence: read(Topic::Presence, PartitionId(0), presence_from),
            work: FuturesUnordered::new(),
            inputs_before_flush: 0,
        })
    }

    async fn serve(
        &self,
        lease: &mut Lease,
        recorder: &mut NodeRecorder,
        requests: &mut mpsc::Receiver<Vec<ToNode>>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        loop {
            recorder.fix_seed();
            self.begin_all(lease, recorder);
            let input = match self.ready_input(lease, recorder, requests).await {
                Some(input) => input,
                None => next_input(lease, requests, stop).await,
            };
            let now = now();
            // The task may have moved to another thread.
            recorder.fix_seed();
            if matches!(input, Input::Receive(_)) {
                handle_completions(lease, recorder, now);
            }
            if let Some(ended) = take(&mut lease.node, recorder, now, input) {
                return ended;
            }
        }
    }

    /// What comes in before the shards are told what waits for them, if anything does. An answer of the log to a sender
    /// is mostly followed by the record itself: told together, they wake the shard once.
    async fn ready_input(
        &self,
        lease: &mut Lease,
        recorder: &mut NodeRecorder,
        requests: &mut mpsc::Receiver<Vec<ToNode>>,
    ) -> Option<Input> {
        if !lease.node.has_deliveries() {
            return None;
        }
        if lease.inputs_before_flush < INPUTS_BEFORE_FLUSH {
            for _ in 0..TURNS_BEFORE_FLUSH {
                let_others_run().await;
                if let Some(input) = input_at_hand(lease, requests) {
                    lease.inputs_before_flush += 1;
                    return Some(input);
                }
            }
        }
        lease.inputs_before_flush = 0;
        self.flush(&mut lease.node, recorder);
        None
    }

    /// Begins to carry out all that the node asks for.
    fn begin_all(&self, lease: &mut Lease, recorder: &mut NodeRecorder) {
        let now = now();
        let mut effects = 0;
        while let Some(effect) = lease.node.poll_effect(now) {
            self.begin(effect, recorder.number_effect(), &lease.work);
            effects += 1;
        }
        recorder.polled(now, effects);
    }

    /// Begins to carry out an effect.
    fn begin(&self, effect: Effect, number: u64, work: &FuturesUnordered<Work>) {
        if let Effect::Heartbeat(append) = effect {
            // On a task of its own, which has its turn however much this one has to do. What blocks the thread keeps it, too.
            tokio::spawn(heartbeat(self.log.clone(), append));
            return;
        }
        let (log, backend, slot) = (self.log.clone(), self.backend.clone(), self.config.slot);
        work.push(Box::pin(async move { (number, carry_out(effect, &log, &backend, slot).await) }));
    }

    /// Hands on what fits into the shards' mailboxes: one doorbell a shard and turn.
    fn flush(&self, node: &mut Node, recorder: &mut NodeRecorder) {
        if !node.has_deliveries() {
            return;
        }
        for shard in (0..self.config.shards).map(ShardId) {
            let mail = node.take_deliveries(shard);
            if !mail.is_empty() {
                let (count, at) = (mail.len(), recorder.hands_over(now()));
                let rest = (self.to_shards)(shard, mail);
                recorder.handed_over(at, shard, count - rest.len(), rest.len());
                node.give_back(shard, rest);
            }
        }
        recorder.flush();
    }

    /// The lease ends: receipts that were held are handed over, and where it was lost, all shards know it before another
    /// begins.
    async fn finish(&self, node: &mut Node, recorder: &mut NodeRecorder, ended: Ended) {
        recorder.finished(now(), ended == Ended::Lost);
        let held = node.finish(ended == Ended::Lost);
        let count = held.len();
        if count > 0 {
            let appended = tokio::time::timeout(LAST_WORDS, self.log.append(held)).await;
            if !matches!(appended, Ok(Ok(_))) {
                tracing::warn!(records = count, "the log did not confirm the last receipts of this edge");
            }
        }
        while node.has_deliveries() && ended == Ended::Lost {
            self.flush(node, recorder);
            tokio::time::sleep(BACKLOG_PAUSE).await;
        }
        recorder.flush();
    }
}

/// Has this task stand at the end of the queue of those that are ready. Where processors share its thread, what they do
/// about a record that was confirmed comes first. (`tokio::task::yield_now` asks the system for events besides.)
async fn let_others_run() {
    let mut has_stood_back = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut has_stood_back, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Takes in what is done. The log answers an append before anything can come of it: so a sender is told of the
/// acknowledgement before the message itself.
fn handle_completions(lease: &mut Lease, recorder: &mut NodeRecorder, now: Now) {
    while let Some(Some((number, done))) = lease.work.next().now_or_never() {
        recorder.completed(now, number, true, &done);
        lease.node.handle_completion(now, done);
    }
}

/// Has the node take an input, and see to what is due; says how its lease has ended with it, if it has.
fn take(node: &mut Node, recorder: &mut NodeRecorder, now: Now, input: Input) -> Option<Ended> {
    match input {
        Input::Stop | Input::NoMoreRequests => return Some(Ended::Stopped),
        // A topic without records any more has lost its reader.
        Input::Control(None) | Input::Receive(None) | Input::Presence(None) => return Some(Ended::Lost),
        Input::Control(Some(records)) => {
            recorder.control(now, &records);
            node.handle_control(now, records);
        }
        Input::Receive(Some(records)) => {
            recorder.received(now, &records);
            node.handle_records(now, records);
        }
        Input::Presence(Some(records)) => {
            recorder.presence(now, &records);
            node.handle_presence(records);
        }
        Input::Completion(number, completion) => {
            recorder.completed(now, number, false, &completion);
            node.handle_completion(now, *completion);
        }
        Input::Requests(batches) => {
            recorder.requests(now, &batches);
            batches.into_iter().flatten().for_each(|request| node.handle_request(now, request));
        }
        Input::Timeout => recorder.time_passed(now),
    }
    if now.instant >= node.next_timeout() {
        node.handle_timeout(now);
    }
    node.is_lost().then_some(Ended::Lost)
}

/// An input that is there already. No timer is set for it: that would wake the thread once more.
fn input_at_hand(lease: &mut Lease, requests: &mut mpsc::Receiver<Vec<ToNode>>) -> Option<Input> {
    let Lease { node, control, receive, work, .. } = lease;
    if let Ok(records) = control.try_recv() {
        return Some(Input::Control(Some(records)));
    }
    if let Some(Some((number, done))) = work.next().now_or_never() {
        return Some(Input::Completion(number, Box::new(done)));
    }
    if node.takes_records(now())
        && let Ok(records) = receive.try_recv()
    {
        return Some(Input::Receive(Some(records)));
    }
    requests.try_recv().ok().map(|batch| Input::Requests(vec![batch]))
}

/// Waits for the next input. `control` alone stands before the others, which are drawn by lot: a busy log must not keep
/// requests and answers waiting, nor they it.
async fn next_input(
    lease: &mut Lease,
    requests: &mut mpsc::Receiver<Vec<ToNode>>,
    stop: &mut watch::Receiver<bool>,
) -> Input {
    let Lease { node, control, receive, presence, work, .. } = lease;
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => Input::Stop,
        records = control.recv() => Input::Control(records),
        input = next_of_many(node, receive, presence, work, requests) => input,
    }
}

async fn next_of_many(
    node: &Node,
    receive: &mut mpsc::Receiver<Vec<Record>>,
    presence: &mut mpsc::Receiver<Vec<Record>>,
    work: &mut FuturesUnordered<Work>,
    requests: &mut mpsc::Receiver<Vec<ToNode>>,
) -> Input {
    let mut batches = Vec::new();
    tokio::select! {
        records = receive.recv(), if node.takes_records(now()) => Input::Receive(records),
        records = presence.recv(), if node.has_room() => Input::Presence(records),
        Some((number, done)) = work.next(), if !work.is_empty() => Input::Completion(number, Box::new(done)),
        count = requests.recv_many(&mut batches, REQUESTS_PER_TURN) => {
            if count == 0 { Input::NoMoreRequests } else { Input::Requests(batches) }
        }
        () = tokio::time::sleep_until(node.next_timeout().into()) => Input::Timeout,
        () = tokio::time::sleep(BACKLOG_PAUSE), if node.has_deliveries() => Input::Timeout,
    }
}

/// Appends a heartbeat. One that is not confirmed by the time it could have opened the fence is given up.
async fn heartbeat<L: Log>(log: L, append: Append) {
    match tokio::time::timeout(FENCE, log.append(vec![append])).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the log did not confirm this edge's tick"),
        Err(_) => tracing::warn!("the log did not answer this edge's tick in time"),
    }
}

//! The node's task: one tenure of the edge's slot after another.

mod inbound;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use foldhash::fast::RandomState;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hashbrown::HashMap;

use ringside_clock::boot_time;
use ringside_domain::feed::Feed;
use ringside_domain::seat::{Seat, SeatChange, TICK_INTERVAL};
use ringside_edge_protocol::{ConnectionRef, ToNode, ToShard};
use ringside_ports::log::{Append, Record};
use ringside_ports::{EngineError, Log, MessageStore, Presence};
use ringside_types::{BootTime, ChannelId, Epoch, PartitionId, Topic, UserId};
use ringside_wire::records::{Control, control};
use tokio::sync::{mpsc, watch};

use crate::config::{BACKLOG_PAUSE, Config, OUTBOUND_MAX};
use crate::counters::Counters;
use crate::outbound::{self, Sending};
use crate::pages::PageRead;
use crate::post::{Outbox, Post};
use crate::presence::attention::Absences;
use crate::presence::{EdgeDirectory, Whereabouts};
use crate::requests::admissions::Applicant;
use crate::requests::pending_reads::PendingReads;
use crate::roster::Roster;
use crate::signals::Passing;
use crate::standards::Standards;
use crate::work::Done;
use inbound::follow;

/// Batches of requests handled in one turn at the most.
const REQUESTS_PER_TURN: usize = 64;

/// What a node needs of the world.
#[derive(Clone, Debug)]
pub struct Engines<L, S, D, P> {
    /// The log.
    pub log: L,
    /// The message store.
    pub store: S,
    /// Accounts and channels.
    pub directory: D,
    /// Connections and limits.
    pub presence: P,
}

/// Why a node ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The slot's claim was not confirmed.
    #[error("this edge could not claim slot {slot}: {cause}")]
    Claim {
        /// The slot.
        slot: u16,
        /// In the engine's words.
        cause: EngineError,
    },
    /// The configured slot does not exist.
    #[error("slot {slot} does not exist: the log has {slots} edge slots, counted from 0")]
    NoSuchSlot {
        /// The slot.
        slot: u16,
        /// Partitions of `messages.receive`.
        slots: u16,
    },
}

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// One tenure: everything in here ends with it.
pub(crate) struct Node<L, S, D, P> {
    pub(crate) engines: Engines<L, S, D, P>,
    pub(crate) config: Config,
    pub(crate) counters: Arc<Counters>,
    pub(crate) seat: Seat,
    pub(crate) epoch: Epoch,
    pub(crate) feed: Feed,
    pub(crate) roster: Roster,
    pub(crate) standards: Standards,
    /// Whether the Directory is being asked for standards.
    pub(crate) is_learning: bool,
    pub(crate) outbox: Outbox,
    pub(crate) sendings: mpsc::Sender<Sending>,
    pub(crate) work: FuturesUnordered<Work>,
    /// Messages of senders whom the Directory is asked about: what they send meanwhile waits behind, in order.
    pub(crate) checking: HashMap<(UserId, ChannelId), Vec<Sending>, RandomState>,
    pub(crate) admissions: VecDeque<Applicant>,
    /// Applicants who wait for the user's other connections to answer.
    pub(crate) probes: HashMap<UserId, Vec<Applicant>, RandomState>,
    pub(crate) admissions_under_way: usize,
    pub(crate) reads: VecDeque<PageRead>,
    pub(crate) reads_under_way: usize,
    /// Reads whose readers the Directory is asked about; they count among those that wait.
    pub(crate) readers_asked_about: usize,
    /// Reads of channels whose join has not been read yet.
    pub(crate) awaiting_live: PendingReads<ChannelId>,
    /// Reads of members whose shards don't know it yet.
    pub(crate) awaiting_member: PendingReads<(UserId, ChannelId)>,
    pub(crate) awaiting_turns: VecDeque<(u64, ConnectionRef, Arc<ringside_wire::records::Profile>)>,
    pub(crate) turns_appended: u64,
    pub(crate) turns_under_way: Option<u64>,
    /// Receipts and typing.
    pub(crate) passing: Passing,
    /// Presence.
    pub(crate) whereabouts: Whereabouts,
    /// Who is to be notified.
    pub(crate) absences: Absences,
}

/// Runs the node until `stop` turns true. `seated` tells whether the edge holds its slot.
///
/// # Errors
/// The slot does not exist, or its first claim is not confirmed.
pub async fn run<L, S, D, P>(
    engines: Engines<L, S, D, P>,
    config: Config,
    post: Post,
    mut requests: mpsc::Receiver<Vec<ToNode>>,
    counters: Arc<Counters>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), NodeError>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    let slots = engines.log.partitions(Topic::MessagesReceive);
    if config.slot.0 >= slots {
        return Err(NodeError::NoSuchSlot { slot: config.slot.0, slots });
    }
    let (sendings, queue) = mpsc::channel(OUTBOUND_MAX);
    let outbound = outbound::run(
        queue,
        engines.log.clone(),
        engines.presence.clone(),
        config.limits.clone(),
        Outbox::new(post.clone(), config.shards),
        counters.clone(),
    );
    let mut outbound = tokio::spawn(outbound);
    loop {
        let tenure = tenure(&engines, &config, &post, &sendings, &mut requests, &counters, &mut stop);
        let ended = tokio::select! {
            ended = tenure => ended?,
            // It ends after its last sender alone, and `sendings` is here.
            Err(error) = &mut outbound => std::panic::resume_unwind(error.into_panic()),
        };
        if ended == Ended::Stopped {
            return Ok(());
        }
        tracing::warn!(
            slot = config.slot.0,
            "this edge's tenure is over: its slot was claimed by another, or it was silent for too long; claiming it anew"
        );
    }
}

#[derive(PartialEq, Eq)]
enum Ended {
    Stopped,
    Lost,
}

async fn tenure<L, S, D, P>(
    engines: &Engines<L, S, D, P>,
    config: &Config,
    post: &Post,
    sendings: &mpsc::Sender<Sending>,
    requests: &mut mpsc::Receiver<Vec<ToNode>>,
    counters: &Arc<Counters>,
    stop: &mut watch::Receiver<bool>,
) -> Result<Ended, NodeError>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    let failed = |cause| NodeError::Claim { slot: config.slot.0, cause };
    let seat = Seat::new(config.slot, rand::random());
    // The consumer stands at the slot's end before the first join, so that no answer is missed.
    let receive_from =
        engines.log.bounds(Topic::MessagesReceive, config.slot.partition()).await.map_err(failed)?.end;
    let presence_from = engines.log.bounds(Topic::Presence, PartitionId(0)).await.map_err(failed)?.end;
    let claim = ringside_wire::encode(&Control { body: Some(control::Body::Claim(seat.claim())) });
    let claim = Append { topic: Topic::Control, partition: PartitionId(0), payload: claim };
    let claimed = engines.log.append(vec![claim]).await.map_err(failed)?;
    let epoch = Epoch(claimed[0].offset.0);
    let mut control = follow(engines.log.clone(), Topic::Control, PartitionId(0), claimed[0].offset);
    let mut receive =
        follow(engines.log.clone(), Topic::MessagesReceive, config.slot.partition(), receive_from);
    let mut presence = follow(engines.log.clone(), Topic::Presence, PartitionId(0), presence_from);
    let mut node = Node {
        engines: engines.clone(),
        config: config.clone(),
        counters: counters.clone(),
        seat,
        epoch,
        feed: Feed::default(),
        roster: Roster::default(),
        standards: Standards::default(),
        is_learning: false,
        outbox: Outbox::new(post.clone(), config.shards),
        sendings: sendings.clone(),
        work: FuturesUnordered::new(),
        checking: HashMap::default(),
        admissions: VecDeque::new(),
        probes: HashMap::default(),
        admissions_under_way: 0,
        reads: VecDeque::new(),
        reads_under_way: 0,
        readers_asked_about: 0,
        awaiting_live: PendingReads::default(),
        awaiting_member: PendingReads::default(),
        awaiting_turns: VecDeque::new(),
        turns_appended: 0,
        turns_under_way: None,
        passing: Passing::default(),
        whereabouts: Whereabouts::default(),
        absences: Absences::default(),
    };
    counters.epoch.store(epoch.0, Ordering::Relaxed);
    let slot = config.slot;
    node.outbox.send_to_all(|| ToShard::Seated { slot, epoch });
    let ended = node.turns_of_the_loop(requests, &mut control, &mut receive, &mut presence, stop).await;
    counters.seated.store(0, Ordering::Relaxed);
    node.last_words().await;
    if ended == Ended::Lost {
        node.outbox.send_to_all(|| ToShard::Fenced);
    }
    while node.outbox.is_waiting() && ended == Ended::Lost {
        node.outbox.flush();
        tokio::time::sleep(BACKLOG_PAUSE).await;
    }
    Ok(ended)
}

/// What the node's task turns to next.
enum Input {
    Tick,
    Control(Option<Vec<Record>>),
    Receive(Option<Vec<Record>>),
    Presence(Option<Vec<Record>>),
    Done(Box<Done>),
    Requests(Vec<Vec<ToNode>>),
    NoMoreRequests,
    /// Something is due, or full mailboxes are tried again.
    Nothing,
}

impl<L, S, D, P> Node<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    async fn turns_of_the_loop(
        &mut self,
        requests: &mut mpsc::Receiver<Vec<ToNode>>,
        control: &mut mpsc::Receiver<Vec<Record>>,
        receive: &mut mpsc::Receiver<Vec<Record>>,
        presence: &mut mpsc::Receiver<Vec<Record>>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let mut ticks = tokio::time::interval(TICK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let input = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
                _ = ticks.tick() => Input::Tick,
                records = control.recv() => Input::Control(records),
                input = self.next_input(requests, receive, presence) => input,
            };
            if let Some(ended) = self.handle_input(input) {
                return ended;
            }
            self.start_work();
            self.pass_on();
            self.look_around();
            self.outbox.flush();
        }
    }

    /// Waits for whatever is neither a tick nor `control`. None of these stands before another: a busy log must not keep
    /// requests and answers waiting, nor they it. So the ready ones are drawn by lot, once a turn.
    async fn next_input(
        &mut self,
        requests: &mut mpsc::Receiver<Vec<ToNode>>,
        receive: &mut mpsc::Receiver<Vec<Record>>,
        presence: &mut mpsc::Receiver<Vec<Record>>,
    ) -> Input {
        let due = self.passing.next_due();
        let has_room = !self.outbox.is_full();
        let may_deliver = has_room && self.fence().is_some();
        let mut batches = Vec::new();
        tokio::select! {
            records = receive.recv(), if may_deliver => Input::Receive(records),
            records = presence.recv(), if has_room => Input::Presence(records),
            Some(done) = self.work.next(), if !self.work.is_empty() => Input::Done(Box::new(done)),
            count = requests.recv_many(&mut batches, REQUESTS_PER_TURN) => {
                if count == 0 { Input::NoMoreRequests } else { Input::Requests(batches) }
            }
            () = until(due), if due.is_some() => Input::Nothing,
            () = tokio::time::sleep(BACKLOG_PAUSE), if self.outbox.is_waiting() => Input::Nothing,
        }
    }

    /// Handles one input; `Some`: the tenure is over. A topic without records any more has lost its reader.
    fn handle_input(&mut self, input: Input) -> Option<Ended> {
        match input {
            Input::Tick => self.tick(),
            Input::Control(Some(records)) => {
                return (self.control(records) == Some(SeatChange::Lost)).then_some(Ended::Lost);
            }
            Input::Nothing => {}
            Input::Receive(Some(records)) => self.receive(records),
            Input::Presence(Some(records)) => self.presence_changed(records),
            Input::Control(None) | Input::Receive(None) | Input::Presence(None) => return Some(Ended::Lost),
            Input::Done(done) => self.done(*done),
            Input::Requests(batches) => {
                batches.into_iter().flatten().for_each(|request| self.request(request));
            }
            Input::NoMoreRequests => return Some(Ended::Stopped),
        }
        None
    }

    /// Up to when channel data may be sent; `None`: not now.
    pub(crate) fn fence(&self) -> Option<BootTime> {
        self.seat.fence().filter(|fence| *fence > boot_time())
    }

    fn count_waiting(&self) {
        let counters = &self.counters;
        let [signals, receipts, typists] = self.passing.waiting();
        let [statuses, subscriptions] = self.whereabouts.waiting();
        for (gauge, count) in [
            (&counters.admissions_waiting, self.admissions.len()),
            (&counters.users_probed, self.probes.len()),
            (&counters.reads_waiting, self.reads_waiting()),
            (&counters.senders_waiting, self.checking.len()),
            (&counters.signals_waiting, signals),
            (&counters.receipts_paced, receipts),
            (&counters.typists, typists),
            (&counters.statuses_waiting, statuses),
            (&counters.subscriptions_waiting, subscriptions),
            (&counters.deliveries_waiting, self.outbox.waiting()),
        ] {
            gauge.store(count as u64, Ordering::Relaxed);
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if let Some(tick) = self.seat.tick(boot_time()) {
            // On a task of its own: whatever keeps this one busy, the edge goes on renewing its tenure.
            tokio::spawn(crate::work::tick(self.engines.log.clone(), tick));
        }
        self.feed.handle_tick(now);
        self.give_up_waiting(now);
        self.roster.forget_rested(now);
        let time = ringside_clock::now();
        self.presence_time(time);
        self.outbox.send_to_all(|| ToShard::WallClock(time));
        self.count_waiting();
        self.counters.users.store(self.roster.user_count() as u64, Ordering::Relaxed);
        self.counters.channels.store(self.feed.len() as u64, Ordering::Relaxed);
        self.counters.seated.store(u64::from(self.fence().is_some()), Ordering::Relaxed);
    }
}

async fn until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}

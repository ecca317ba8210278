//! One simulation: engines, edges, services and clients, the faults that a seed brings, and the verdict on what clients saw.

mod faults;
mod rejections;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringside_checker::Verdict;
use ringside_checker::history::{ChannelHistory, ClientHistory, Event, FinalReading, History, SeenMessage};
use ringside_crash::Reached;
use ringside_domain::rows::{MessageRow, Progress};
use ringside_test_client::eviction::Eviction;
use ringside_types::{ChannelId, MessageId, PartitionId, Slot, Topic, UserId, hash};
use uuid::Uuid;

use crate::backend::SimulatedBackend;
use crate::client::{Client, Edges, Phase, Stage};
use crate::directory::SimulatedDirectory;
use crate::edge::{self, EdgeParts};
use crate::inbox::Inbox;
use crate::log::{BROKER, PARTITIONS, SimulatedLog};
use crate::network::Network;
use crate::plan::Plan;
use crate::scheduler::{ProcessId, Scheduler, WORLD};
use crate::services;
use crate::store::SimulatedStore;
use crate::trace::{Lane, Step};

/// How large a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Members of all channels, each with one client that sends.
    pub users: u32,
    /// Those who are evicted and readmitted.
    pub guests: u32,
    pub channels: u32,
    pub edges: u16,
    /// Time in which clients send, and things break.
    pub disturbed: Duration,
    /// Between two actions of a client, on average.
    pub pause: Duration,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            users: 4,
            guests: 1,
            channels: 3,
            edges: 2,
            disturbed: Duration::from_secs(30),
            pause: Duration::from_millis(150),
        }
    }
}

/// After the faults, this long until all must be quiet: a lost tail is found by a join that is repeated after 300 s.
const SETTLING: Duration = Duration::from_secs(420);

/// Between a guest's comings and goings, in microseconds.
const EVICTION_US: std::ops::Range<u64> = 1_000_000..6_000_000;

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    pub seed: u64,
    pub verdict: Verdict,
    /// What is wrong that no client sees.
    pub broken: Vec<String>,
    /// Equal for two runs of one seed.
    pub hash: u64,
    /// What happened, where it was kept.
    pub trace: Vec<Step>,
    pub steps: u64,
    /// When clients began, and faults with them.
    pub began: Duration,
    pub simulated: Duration,
    pub messages: usize,
}

impl Outcome {
    pub fn holds(&self) -> bool {
        self.verdict.holds() && self.broken.is_empty()
    }
}

struct World {
    scheduler: Scheduler,
    network: Network,
    log: SimulatedLog,
    store: SimulatedStore,
    directory: SimulatedDirectory,
    edges: Edges,
    scale: Scale,
    /// The process that is each edge now.
    edge_processes: Vec<ProcessId>,
    processor_processes: Vec<ProcessId>,
    /// Processes whose places others have taken.
    replaced: Vec<ProcessId>,
    relay: ProcessId,
    reaper: ProcessId,
    next_process: u32,
}

/// Runs a seed with its own faults to its end. `keeps`: whether the trace's steps are kept.
pub fn run(seed: u64, scale: Scale, keeps: bool) -> Outcome {
    run_plan(seed, scale, &plan(seed, &scale), keeps)
}

/// The faults that a seed brings.
pub fn plan(seed: u64, scale: &Scale) -> Plan {
    Plan::draw(seed, scale.edges, PARTITIONS, scale.disturbed)
}

/// Runs a seed with these faults to its end: all else is as the seed draws it.
pub fn run_plan(seed: u64, scale: Scale, plan: &Plan, keeps: bool) -> Outcome {
    hash::fix_seed(Some(seed));
    let outcome = World::new(seed, scale, keeps).run(seed, plan);
    hash::fix_seed(None);
    outcome
}

fn user(number: u32) -> UserId {
    UserId(Uuid::from_u128(0xA000 + u128::from(number)))
}

fn channel(number: u32) -> ChannelId {
    ChannelId(Uuid::from_u128(0xC000 + u128::from(number)))
}

impl World {
    fn new(seed: u64, scale: Scale, keeps: bool) -> Self {
        let scheduler = Scheduler::new(seed, keeps);
        let network = Network::new(scheduler.clone(), WORLD);
        let mut world = Self {
            log: SimulatedLog::new(network.clone()),
            store: SimulatedStore::new(network.clone()),
            directory: SimulatedDirectory::new(network.clone()),
            edges: Edges::default(),
            scale,
            edge_processes: Vec::new(),
            processor_processes: Vec::new(),
            replaced: Vec::new(),
            relay: WORLD,
            reaper: WORLD,
            next_process: BROKER.0,
            scheduler,
            network,
        };
        world.people();
        world.start();
        world
    }

    fn people(&self) {
        for number in 0..self.scale.users {
            self.directory.add_user(user(number), &format!("user{number}"));
        }
        for number in self.guests() {
            self.directory.add_user(user(number), &format!("guest{number}"));
        }
        for number in 0..self.scale.channels {
            let members: Vec<UserId> = (0..self.scale.users).map(user).collect();
            self.directory.create(channel(number), &members);
            self.guests().for_each(|guest| self.directory.set_member(channel(number), user(guest), true));
        }
    }

    fn guests(&self) -> std::ops::Range<u32> {
        self.scale.users..self.scale.users + self.scale.guests
    }

    fn process(&mut self, lane: Lane) -> ProcessId {
        self.next_process += 1;
        let process = ProcessId(self.next_process);
        self.scheduler.name(process, lane);
        process
    }

    fn start(&mut self) {
        for number in 0..PARTITIONS {
            let partition = PartitionId(number);
            // As `ringside init` does.
            let store = self.store.clone();
            self.scheduler.spawn(WORLD, async move {
                use ringside_ports::PartitionStore as _;
                let _ = store.write_progress(Progress::start(partition)).await;
            });
        }
        self.scheduler.run_until(Duration::from_millis(50));
        for number in 0..PARTITIONS {
            let process = self.start_processor(PartitionId(number));
            self.processor_processes.push(process);
        }
        self.relay = self.start_relay();
        self.reaper = self.start_reaper();
        self.scheduler.run_until(Duration::from_secs(2));
        for number in 0..self.scale.edges {
            let process = self.start_edge(number);
            self.edge_processes.push(process);
        }
    }

    fn start_processor(&mut self, partition: PartitionId) -> ProcessId {
        let process = self.process(Lane::Processor(partition.0));
        let (log, store) = (self.log.of(process), self.store.of(process));
        self.scheduler.spawn(process, services::processor(log, store, partition));
        process
    }

    fn start_relay(&mut self) -> ProcessId {
        let process = self.process(Lane::Relay);
        self.scheduler.spawn(process, services::relay(self.log.of(process), self.directory.of(process)));
        process
    }

    fn start_reaper(&mut self) -> ProcessId {
        let process = self.process(Lane::Reaper);
        self.scheduler.spawn(process, services::lease_reaper(self.log.of(process)));
        process
    }

    fn start_edge(&mut self, number: u16) -> ProcessId {
        let process = self.process(Lane::Edge(number));
        let clients = Inbox::default();
        let parts = EdgeParts {
            scheduler: self.scheduler.clone(),
            process,
            slot: Slot(number),
            log: self.log.of(process),
            backend: SimulatedBackend {
                store: self.store.of(process),
                directory: self.directory.of(process),
            },
            clients: clients.clone(),
        };
        self.scheduler.spawn(process, edge::run(parts));
        self.edges.add(number, clients);
        process
    }

    fn run(mut self, seed: u64, plan: &Plan) -> Outcome {
        let give_up = self.scheduler.now() + self.scale.disturbed + 2 * SETTLING;
        let stage = Stage {
            scheduler: self.scheduler.clone(),
            edges: self.edges.clone(),
            phase: Arc::new(Mutex::new(Phase::Sending)),
            pause: self.scale.pause,
            histories: Inbox::default(),
            unfinished: Arc::default(),
            reached: Arc::default(),
        };
        let began = self.scheduler.now();
        self.start_clients(&stage, give_up);
        self.disturb(plan);
        let undisturbed = self.scheduler.now();
        let set = |phase| *stage.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        set(Phase::Settling);
        let quiet = self.settle(&stage);
        let mut broken = Vec::new();
        if !quiet {
            let all = stage.unfinished.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let behind = self.behind(&stage);
            broken.push(format!(
                "not quiet {SETTLING:?} after the last fault: {all:?} are unfinished, and {behind:?} behind"
            ));
        }
        set(Phase::Leaving);
        let end = self.scheduler.now() + SETTLING;
        let count = (self.scale.users + self.scale.guests) as usize;
        while stage.histories.len() < count && self.scheduler.now() < end {
            self.scheduler.run_until(self.scheduler.now() + Duration::from_millis(200));
        }
        let mut clients: Vec<ClientHistory> = std::iter::from_fn(|| stage.histories.pop()).collect();
        clients.sort_by_key(|client| client.client);
        let settled = clients.iter().filter(|client| client.settled).count();
        if settled < count {
            broken.push(format!("{settled} of {count} clients have settled"));
        }
        let evicted_clients = clients.split_off(clients.len().min(self.scale.users as usize));
        let channels = self.channels(&mut broken);
        let messages = channels.iter().map(|channel| channel.readings[0].messages.len()).sum();
        let undisturbed_from_us = u64::try_from(undisturbed.as_micros()).ok();
        let history = History { seed, channels, clients, evicted_clients, undisturbed_from_us };
        let verdict = ringside_checker::check(&history);
        let outcome = Outcome {
            seed,
            verdict,
            broken,
            hash: self.scheduler.hash(),
            trace: self.scheduler.trace(),
            steps: self.scheduler.steps(),
            began,
            simulated: self.scheduler.now(),
            messages,
        };
        // Tasks hold handles of what holds them.
        (0..=self.next_process).for_each(|process| self.scheduler.kill(ProcessId(process)));
        outcome
    }

    /// The clients, and whoever takes guests out of channels and brings them in again.
    fn start_clients(&self, stage: &Stage, give_up: Duration) {
        let channels: Vec<Uuid> = (0..self.scale.channels).map(|number| channel(number).0).collect();
        for number in 0..self.scale.users {
            let client = Client::new(stage.clone(), number, user(number), &channels);
            self.scheduler.spawn(WORLD, client.run(give_up));
        }
        let disturbed_until = self.scheduler.now() + self.scale.disturbed;
        for number in self.guests() {
            let notices = Inbox::default();
            let guest = Client::guest(stage.clone(), number, user(number), &channels, notices.clone());
            self.scheduler.spawn(WORLD, guest.run(give_up));
            let (scheduler, directory) = (self.scheduler.clone(), self.directory.clone());
            let id = channel(number % self.scale.channels);
            self.scheduler
                .spawn(WORLD, evictions(scheduler, directory, id, user(number), notices, disturbed_until));
        }
    }

    /// Runs until nothing is under way; false: it does not come to that.
    fn settle(&self, stage: &Stage) -> bool {
        let end = self.scheduler.now() + SETTLING;
        while self.scheduler.now() < end {
            self.scheduler.run_until(self.scheduler.now() + Duration::from_millis(500));
            let unfinished = stage.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
            let is_applied = (0..PARTITIONS).map(PartitionId).all(|partition| {
                let end = self.log.end(Topic::MessagesSend, partition);
                self.store.progress(partition).is_some_and(|progress| progress.offset == end)
            });
            let is_finished = unfinished.values().all(|count| *count == 0);
            drop(unfinished);
            if is_finished && is_applied && self.directory.is_confirmed() && self.behind(stage).is_empty() {
                return true;
            }
        }
        false
    }

    /// Clients that have not been told of all that there is in a channel, though nobody has asked them to look.
    fn behind(&self, stage: &Stage) -> Vec<(u32, ChannelId)> {
        let heads: BTreeMap<Uuid, (u64, u64)> = (0..self.scale.channels)
            .map(|number| {
                let (head, _, _) = self.store.channel(channel(number));
                (channel(number).0, (head.last_seq, head.last_change))
            })
            .collect();
        let reached = stage.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let is_behind = |reached: &&Reached| {
            let head = heads.get(&reached.channel);
            head.is_some_and(|(last_seq, last_change)| {
                reached.seq < *last_seq || reached.change < *last_change
            })
        };
        let of_client = |(client, all): (&u32, &Vec<Reached>)| {
            let behind = all.iter().filter(is_behind).map(|reached| (*client, ChannelId(reached.channel)));
            behind.collect::<Vec<_>>()
        };
        reached.iter().flat_map(of_client).collect()
    }

    /// What the store holds in the end, channel by channel, and what is wrong with it.
    fn channels(&self, broken: &mut Vec<String>) -> Vec<ChannelHistory> {
        let users: Vec<Uuid> = (0..self.scale.users).map(|number| user(number).0).collect();
        let of = |number: u32| {
            let id = channel(number);
            let (head, messages, changes) = self.store.channel(id);
            broken.extend(rejections::wrong_rejections(&self.log, &messages));
            let seqs: Vec<u64> = messages.iter().map(|row| row.seq).collect();
            if seqs != (1..=head.last_seq).collect::<Vec<_>>() {
                broken.push(format!("channel {number}: the numbers up to {} are {seqs:?}", head.last_seq));
            }
            let numbers: Vec<u64> = changes.iter().map(|row| row.change).collect();
            if numbers != (1..=head.last_change).collect::<Vec<_>>() {
                broken.push(format!(
                    "channel {number}: the changes up to {} are {numbers:?}",
                    head.last_change
                ));
            }
            let reading = |reader: Uuid| FinalReading {
                reader,
                messages: messages.iter().map(seen).collect(),
                pins: None,
            };
            ChannelHistory {
                channel_id: id.0,
                members: users.clone(),
                readings: vec![reading(users[0])],
                changes: None,
                final_cursors: Vec::new(),
            }
        };
        (0..self.scale.channels).map(of).collect()
    }
}

/// Takes a guest out of a channel and brings them in again, until `end`; each is done once its record is confirmed.
async fn evictions(
    scheduler: Scheduler,
    directory: SimulatedDirectory,
    id: ChannelId,
    guest: UserId,
    notices: Inbox<Event>,
    end: Duration,
) {
    while scheduler.now() < end {
        scheduler.sleep(scheduler.draw_us(EVICTION_US)).await;
        directory.set_member(id, guest, false);
        confirmed(&scheduler, &directory).await;
        notices.push(Event::Evicted { channel: Some(id.0), eviction: Eviction::Removed });
        scheduler.sleep(scheduler.draw_us(EVICTION_US)).await;
        notices.push(Event::Readmitted { channel: Some(id.0) });
        directory.set_member(id, guest, true);
        confirmed(&scheduler, &directory).await;
    }
}

async fn confirmed(scheduler: &Scheduler, directory: &SimulatedDirectory) {
    while !directory.is_confirmed() {
        scheduler.sleep(Duration::from_millis(10)).await;
    }
}

/// A message as a reader of the history sees it.
fn seen(row: &MessageRow) -> SeenMessage {
    let is_deleted = row.deleted_record != MessageId::ZERO;
    SeenMessage {
        message_id: row.message_id.0,
        seq: row.seq,
        client_id: row.client_id.0,
        sender: row.sender_id.0,
        content: if is_deleted { String::new() } else { row.content.clone() },
        deleted: is_deleted,
        edited: row.edited_record != MessageId::ZERO,
    }
}

//! An edge: the product's gateways and node, and what their reactor and runner do otherwise.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use ringside_domain::lease::EdgeLease;
use ringside_edge_protocol::{ShardId, ToNode, ToShard};
use ringside_gateway::{Gateway, Input, Origins, PeerLookup};
use ringside_node::{Completion, Effect, Node, Now, Partitions, carry_out};
use ringside_ports::log::{Append, ReadLimit, Record};
use ringside_ports::{EngineError, Log};
use ringside_reactor::ConnectionId;
use ringside_session::token::Verifier;
use ringside_types::{Epoch, Limits, Offset, PartitionId, Slot, Topic};
use ringside_wire::records::{Control, control};

use crate::backend::SimulatedBackend;
use crate::inbox::Inbox;
use crate::log::{HEARTBEAT, SimulatedLog, is_heartbeat};
use crate::scheduler::{ProcessId, Scheduler};
use crate::sockets::{SimulatedSockets, ToClient};
use crate::tokens;
use crate::trace::Lane;
use crate::wire::Wire;

const SHARDS: u16 = 2;
const READ_LIMIT: ReadLimit = ReadLimit { records: 256, bytes: 4 * 1024 * 1024 };
const READ_WAIT: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How often the shards are told the time of day.
const WALL_CLOCK: Duration = Duration::from_secs(1);

/// What comes from clients.
pub enum FromClient {
    Opened { connection: ConnectionId, wire: Wire<ToClient> },
    Bytes { connection: ConnectionId, bytes: Vec<u8> },
    Closed { connection: ConnectionId },
}

/// What an edge is given.
#[derive(Clone)]
pub struct EdgeParts {
    pub scheduler: Scheduler,
    pub process: ProcessId,
    pub slot: Slot,
    pub log: SimulatedLog,
    pub backend: SimulatedBackend,
    pub clients: Inbox<FromClient>,
}

/// Rates without limits: what is refused for its rate tells nothing of what is kept.
pub fn limits() -> Limits {
    Limits { messages_per_second: 0, channel_messages_per_minute: 0, ..Limits::default() }
}

/// A lease of the slot: what is read and done in its name ends with it.
struct Lease {
    node: Node,
    inputs: Inputs,
    /// The readers end with it.
    _reading: Arc<()>,
}

/// What comes in for a node.
#[derive(Clone, Default)]
struct Inputs {
    control: Inbox<Vec<Record>>,
    receive: Inbox<Vec<Record>>,
    presence: Inbox<Vec<Record>>,
    completions: Inbox<Completion>,
}

struct Shard {
    gateway: Gateway,
    sockets: SimulatedSockets,
    mail: VecDeque<ToShard>,
}

/// Runs an edge until its process is killed.
pub async fn run(parts: EdgeParts) {
    let requests = Inbox::default();
    let mut shards: Vec<Shard> = (0..SHARDS).map(|number| shard(&parts, number, &requests)).collect();
    loop {
        if let Ok(mut lease) = claim(&parts).await {
            serve(&parts, &mut lease, &mut shards, &requests).await;
        }
        // Two that claim one slot would do nothing else.
        parts.scheduler.sleep(RETRY_PAUSE).await;
    }
}

fn shard(parts: &EdgeParts, number: u16, requests: &Inbox<Vec<ToNode>>) -> Shard {
    let config = ringside_gateway::Config {
        limits: limits(),
        heartbeat_interval_ms: 25_000,
        origins: Origins { listed: Vec::new(), api_port: 8080 },
        connections_max: 10_000,
        trusted_proxies: Vec::new().into(),
        peers: PeerLookup::default(),
    };
    let requests = requests.clone();
    let hand_over = Arc::new(move |batch| {
        requests.push(batch);
        Ok(())
    });
    let verifier = Verifier::new(&[tokens::public_key()]).expect("a key");
    let (counters, time) = (Arc::default(), ringside_clock::now());
    let gateway =
        Gateway::new(Arc::new(config), ShardId(number), Arc::new(verifier), counters, hand_over, time);
    Shard { gateway, sockets: SimulatedSockets::new(parts.scheduler.clone()), mail: VecDeque::new() }
}

fn now(scheduler: &Scheduler) -> Now {
    Now { instant: scheduler.instant(), boot: ringside_clock::boot_time(), wall: ringside_clock::now() }
}

/// As the product's runner claims a slot: the readers stand where nothing that answers this lease can be missed.
async fn claim(parts: &EdgeParts) -> Result<Lease, EngineError> {
    let EdgeParts { scheduler, log, slot, .. } = parts;
    let nonce = u128::from(scheduler.random()) << 64 | u128::from(scheduler.random());
    let lease = EdgeLease::new(*slot, nonce.to_be_bytes());
    let receive_from = log.bounds(Topic::MessagesReceive, slot.partition()).await?.end;
    let presence_from = log.bounds(Topic::Presence, PartitionId(0)).await?.end;
    let payload = ringside_wire::encode(&Control { body: Some(control::Body::Claim(lease.claim())) });
    let claim = Append { topic: Topic::Control, partition: PartitionId(0), payload };
    let claimed = log.append(vec![claim]).await?[0].offset;
    let partitions = Partitions {
        send: log.partitions(Topic::MessagesSend),
        status: log.partitions(Topic::MessagesStatus),
    };
    let config = ringside_node::Config { slot: *slot, limits: limits(), shards: SHARDS };
    let node =
        Node::new(now(scheduler), config, partitions, lease, Epoch(claimed.0), receive_from, Arc::default());
    let (inputs, reading) = (Inputs::default(), Arc::new(()));
    let follow = |topic, partition, from, to: &Inbox<_>| {
        follow(parts, (topic, partition), from, to.clone(), Arc::downgrade(&reading));
    };
    follow(Topic::Control, PartitionId(0), claimed, &inputs.control);
    follow(Topic::MessagesReceive, slot.partition(), receive_from, &inputs.receive);
    follow(Topic::Presence, PartitionId(0), presence_from, &inputs.presence);
    let lane = scheduler.lane(parts.process);
    scheduler.note(lane, lane, None, || {
        format!("has its slot, as process {}, in epoch {claimed}", parts.process.0)
    });
    Ok(Lease { node, inputs, _reading: reading })
}

/// Reads a partition as it grows, as long as somebody takes it.
fn follow(
    parts: &EdgeParts,
    (topic, partition): (Topic, PartitionId),
    from: Offset,
    to: Inbox<Vec<Record>>,
    reading: Weak<()>,
) {
    let EdgeParts { scheduler, log, process, .. } = parts.clone();
    parts.scheduler.spawn(process, async move {
        let mut next = from;
        while reading.strong_count() > 0 {
            match log.read(topic, partition, next, READ_LIMIT, READ_WAIT).await {
                Ok(records) => {
                    let Some(last) = records.last() else { continue };
                    next = last.offset.next();
                    let is_idle = records.iter().all(|record| is_heartbeat(topic, &record.payload));
                    let what = if is_idle { HEARTBEAT } else { topic.name() };
                    let text = format!("{what} {partition} up to @{}", last.offset);
                    scheduler.note(Lane::Log, scheduler.lane(process), None, || text);
                    let records = match topic {
                        Topic::MessagesReceive => log.network.deliver(records),
                        _ => records,
                    };
                    if !records.is_empty() {
                        to.push(records);
                    }
                }
                Err(_) => scheduler.sleep(RETRY_PAUSE).await,
            }
        }
    });
}

async fn serve(parts: &EdgeParts, lease: &mut Lease, shards: &mut [Shard], requests: &Inbox<Vec<ToNode>>) {
    let scheduler = &parts.scheduler;
    let mut tell_time_at = scheduler.now();
    loop {
        if scheduler.now() >= tell_time_at {
            tell_time_at = scheduler.now() + WALL_CLOCK;
            let time = ringside_clock::now();
            shards.iter_mut().for_each(|shard| shard.mail.push_back(ToShard::WallClock(time)));
        }
        let before = now(scheduler);
        while let Some(effect) = lease.node.poll_effect(before) {
            begin(parts, effect, &lease.inputs.completions);
        }
        if !turn(parts, lease, shards, requests) {
            hand_over(&mut lease.node, shards);
            if shards.iter().all(|shard| shard.mail.is_empty()) {
                wait(parts, lease, shards, requests, tell_time_at).await;
            }
        }
        let now = now(scheduler);
        if now.instant >= lease.node.next_timeout() {
            lease.node.handle_timeout(now);
        }
        if lease.node.is_lost() {
            let lane = scheduler.lane(parts.process);
            scheduler.note(lane, lane, None, || format!("has lost its slot, as process {}", parts.process.0));
            lease.node.finish(true);
            return hand_over(&mut lease.node, shards);
        }
    }
}

/// One thing that can be done now, by lot; false: there is none.
fn turn(parts: &EdgeParts, lease: &mut Lease, shards: &mut [Shard], requests: &Inbox<Vec<ToNode>>) -> bool {
    let scheduler = &parts.scheduler;
    let now = now(scheduler);
    let Lease { node, inputs, .. } = lease;
    if let Some(records) = inputs.control.pop() {
        node.handle_control(now, records);
        return true;
    }
    let first = scheduler.draw(6);
    for what in (0..6).map(|next| (first + next) % 6) {
        match what {
            0 if node.takes_records(now) => {
                if let Some(records) = inputs.receive.pop() {
                    // What the log has answered is known before anything comes of it.
                    while let Some(done) = inputs.completions.pop() {
                        node.handle_completion(now, done);
                    }
                    node.handle_records(now, records);
                    return true;
                }
            }
            1 if node.has_room() => {
                if let Some(records) = inputs.presence.pop() {
                    node.handle_presence(records);
                    return true;
                }
            }
            2 => {
                if let Some(done) = inputs.completions.pop() {
                    node.handle_completion(now, done);
                    return true;
                }
            }
            3 => {
                if let Some(batch) = requests.pop() {
                    batch.into_iter().for_each(|request| node.handle_request(now, request));
                    return true;
                }
            }
            4 => {
                let number = scheduler.draw(u64::from(SHARDS)) as usize;
                if shards[number].turn() {
                    return true;
                }
            }
            5 => {
                if let Some(input) = parts.clients.pop() {
                    handle_client(shards, input);
                    return true;
                }
            }
            _ => {}
        }
    }
    // The lot may have passed over the shard that has something to do.
    shards.iter_mut().any(Shard::turn)
}

async fn wait(
    parts: &EdgeParts,
    lease: &Lease,
    shards: &[Shard],
    requests: &Inbox<Vec<ToNode>>,
    tell_time_at: Duration,
) {
    let scheduler = &parts.scheduler;
    let timers = shards.iter().filter_map(|shard| shard.sockets.next_due());
    let node_due = scheduler.since_start(lease.node.next_timeout());
    let due = timers.chain([node_due, tell_time_at]).min().unwrap_or(tell_time_at);
    let Lease { node, inputs, .. } = lease;
    std::future::poll_fn(|context| {
        let mut polled = vec![
            inputs.control.poll_filled(context),
            inputs.completions.poll_filled(context),
            requests.poll_filled(context),
            parts.clients.poll_filled(context),
            scheduler.poll_timer(due, context),
        ];
        if node.takes_records(now(scheduler)) {
            polled.push(inputs.receive.poll_filled(context));
        }
        if node.has_room() {
            polled.push(inputs.presence.poll_filled(context));
        }
        polled.into_iter().find(std::task::Poll::is_ready).unwrap_or(std::task::Poll::Pending)
    })
    .await;
}

/// What waits for the shards goes into their mailboxes.
fn hand_over(node: &mut Node, shards: &mut [Shard]) {
    for (number, shard) in shards.iter_mut().enumerate() {
        shard.mail.extend(node.take_deliveries(ShardId(number as u16)));
    }
}

/// Connections are dealt to the shards by their number.
fn handle_client(shards: &mut [Shard], input: FromClient) {
    let of = |connection: ConnectionId| (connection.to_u64() % u64::from(SHARDS)) as usize;
    match input {
        FromClient::Opened { connection, wire } => {
            let Shard { gateway, sockets, .. } = &mut shards[of(connection)];
            sockets.open(connection, wire);
            gateway.handle(sockets, Input::Opened(connection));
        }
        FromClient::Bytes { connection, mut bytes } => {
            let Shard { gateway, sockets, .. } = &mut shards[of(connection)];
            if sockets.is_open(connection) {
                gateway.handle(sockets, Input::Bytes(connection, &mut bytes));
            }
        }
        FromClient::Closed { connection } => {
            let Shard { gateway, sockets, .. } = &mut shards[of(connection)];
            if sockets.peer_closed(connection) {
                gateway.handle(sockets, Input::Closed(connection));
            }
        }
    }
    shards.iter_mut().for_each(Shard::end_turn);
}

impl Shard {
    /// Mail, or a timer; false: there is neither.
    fn turn(&mut self) -> bool {
        let Self { gateway, sockets, mail } = self;
        if let Some(mail) = mail.pop_front() {
            gateway.handle(sockets, Input::Mail(mail));
        } else if let Some(timer) = sockets.pop_due() {
            gateway.handle(sockets, Input::Timer(timer));
        } else {
            return false;
        }
        self.end_turn();
        true
    }

    fn end_turn(&mut self) {
        let Self { gateway, sockets, .. } = self;
        gateway.handle(sockets, Input::TurnEnded);
        loop {
            let ended = sockets.flush();
            if ended.is_empty() {
                return;
            }
            for connection in ended {
                gateway.handle(sockets, Input::Closed(connection));
            }
            gateway.handle(sockets, Input::TurnEnded);
        }
    }
}

/// Carries out an effect, on a task of its own. A heartbeat that is late opens nothing, and nobody waits for it.
fn begin(parts: &EdgeParts, effect: Effect, done: &Inbox<Completion>) {
    let (log, backend, done, slot) = (parts.log.clone(), parts.backend.clone(), done.clone(), parts.slot);
    parts.scheduler.spawn(parts.process, async move {
        if let Effect::Heartbeat(append) = effect {
            let _ = log.append(vec![append]).await;
        } else {
            done.push(carry_out(effect, &log, &backend, slot).await);
        }
    });
}

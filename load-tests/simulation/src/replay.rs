//! A recorded incident of a running server, taken in again by the same machines: what they send must have the same hashes.
//!
//! A server records with `recording_dir` set. What its engines answered is in the recording, and so is what the clocks said;
//! the machines are today's, so a mended fault shows as the first difference.

mod sockets;

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ringside_clock::simulated;
use ringside_domain::lease::EdgeLease;
use ringside_edge_protocol::{ShardId, ToNode, ToShard};
use ringside_gateway::recorder::{ShardEntry, ShardInput, ShardStart, WorldAnswer};
use ringside_gateway::{Config, Gateway, HandOver, Input, Origins, PeerLookup};
use ringside_node::recorder::{Claimed, NodeInput};
use ringside_node::{Effect, Node, Now, Partitions};
use ringside_ports::log::Record;
use ringside_reactor::ConnectionId;
use ringside_recording::{Moment, RecordingError, read};
use ringside_session::token::Verifier;
use ringside_types::hash;

use sockets::{Answers, ReplayedSockets};

/// Shards that a recording may have.
const SHARDS_MAX: u16 = 256;

/// What a replay came to, where all was the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Inputs of all machines.
    pub inputs: u64,
    /// Appends to connections' queues, each with a hash that was the same.
    pub sends: u64,
    pub bytes: u64,
    /// Inputs at the end of a server that was killed: what they follow from was not written any more.
    pub left: u64,
}

/// Why a recording is not replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The machines do something else than they did.
    #[error("input {number}, {input}: {difference}")]
    Difference {
        /// Counted over all machines.
        number: u64,
        /// What was taken in.
        input: String,
        difference: String,
    },
}

enum Entry {
    Node(NodeInput),
    Shard(usize, ShardEntry),
}

/// A machine whose inputs are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Node,
    Shard(usize),
}

impl Entry {
    const fn source(&self) -> Source {
        match self {
            Self::Node(_) => Source::Node,
            Self::Shard(number, _) => Source::Shard(*number),
        }
    }
}

/// Why an input can't be taken.
enum Halt {
    /// The machines do something else than they did.
    Differs(String),
    /// Another machine has not said what this follows from.
    Missing(Source, &'static str),
}

impl From<String> for Halt {
    fn from(difference: String) -> Self {
        Self::Differs(difference)
    }
}

impl From<&str> for Halt {
    fn from(difference: &str) -> Self {
        Self::Differs(difference.into())
    }
}

/// Replays a recording.
///
/// # Errors
/// It can't be read, or the machines do something else than they did.
pub fn replay(folder: &Path) -> Result<Replayed, ReplayError> {
    let mut entries: Vec<(Moment, Entry)> = Vec::new();
    let node = read::<NodeInput>(folder, "node")?;
    entries.extend(node.into_iter().map(|(moment, input)| (moment, Entry::Node(input))));
    for number in 0..SHARDS_MAX {
        let name = format!("shard-{number}");
        if !folder.join(format!("{name}.jsonl")).exists() {
            break;
        }
        let shard = read::<ShardEntry>(folder, &name)?;
        entries.extend(
            shard.into_iter().map(|(moment, entry)| (moment, Entry::Shard(usize::from(number), entry))),
        );
    }
    entries.sort_by_key(|(moment, _)| moment.number);
    let mut machines = Machines::default();
    let count = entries.len() as u64;
    let ends: HashMap<Source, u64> =
        entries.iter().map(|(moment, entry)| (entry.source(), moment.number)).collect();
    let mut replayed = Replayed::default();
    let ended = entries.into_iter().try_for_each(|(moment, entry)| {
        simulated::set(Some(simulated::Reading { wall: moment.wall(), since_boot: moment.boot().0 }));
        hash::fix_seed(machines.seed);
        let input = match &entry {
            Entry::Node(input) => format!("node {input:?}"),
            Entry::Shard(number, entry) => format!("shard {number} {:?}", entry.input),
        };
        replayed.inputs += 1;
        let taken = match entry {
            Entry::Node(input) => machines.take_node(moment, input),
            Entry::Shard(number, entry) => {
                replayed.sends += entry.sent.len() as u64;
                replayed.bytes += entry.sent.iter().map(|sent| sent.bytes as u64).sum::<u64>();
                machines.take_shard(moment, number, entry)
            }
        };
        let difference = match taken {
            Ok(()) => return ControlFlow::Continue(()),
            Err(Halt::Missing(source, _)) if ends.get(&source).is_none_or(|end| *end < moment.number) => {
                return ControlFlow::Break(Ok(()));
            }
            Err(Halt::Missing(_, difference)) => difference.to_owned(),
            Err(Halt::Differs(difference)) => difference,
        };
        let input = input.chars().take(200).collect();
        ControlFlow::Break(Err(ReplayError::Difference { number: moment.number, input, difference }))
    });
    simulated::set(None);
    hash::fix_seed(None);
    if let ControlFlow::Break(ended) = ended {
        ended?;
        // The one that could not be taken, too.
        replayed.inputs -= 1;
    }
    replayed.left = count - replayed.inputs;
    Ok(replayed)
}

struct Machines {
    /// What instants are counted from.
    start: Instant,
    seed: Option<u64>,
    node: Option<Node>,
    /// What the node has asked for, by number.
    effects: HashMap<u64, Effect>,
    next_effect: u64,
    shards: Vec<Option<Shard>>,
}

struct Shard {
    gateway: Gateway,
    sockets: ReplayedSockets,
    mail: VecDeque<ToShard>,
    requests: Arc<Mutex<VecDeque<Vec<ToNode>>>>,
}

impl Default for Machines {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            seed: None,
            node: None,
            effects: HashMap::new(),
            next_effect: 0,
            shards: Vec::new(),
        }
    }
}

impl Machines {
    fn take_node(&mut self, moment: Moment, input: NodeInput) -> Result<(), Halt> {
        let now = Now { instant: moment.instant(self.start), boot: moment.boot(), wall: moment.wall() };
        if let NodeInput::Claimed(claimed) = input {
            self.claimed(now, *claimed);
            return Ok(());
        }
        let node = self.node.as_mut().ok_or("the node has not begun")?;
        let records = |logged: Vec<_>| logged.into_iter().map(Record::from).collect::<Vec<_>>();
        match input {
            NodeInput::Claimed(_) => unreachable!("taken above"),
            NodeInput::Polled(count) => return Ok(self.polled(now, count)?),
            NodeInput::HandedOver { shard, taken, left } => {
                return Ok(self.handed_over(shard, taken, left)?);
            }
            NodeInput::Finished { is_lost } => {
                node.finish(is_lost);
                return Ok(());
            }
            NodeInput::Control(logged) => node.handle_control(now, records(logged)),
            NodeInput::Received(logged) => node.handle_records(now, records(logged)),
            NodeInput::Presence(logged) => node.handle_presence(records(logged)),
            NodeInput::Completed { effect, first, answer } => {
                let asked = self.effects.remove(&effect).ok_or("nothing was asked for that this answers")?;
                let completion = answer.complete(asked).ok_or("something else was asked for")?;
                node.handle_completion(now, completion);
                if first {
                    return Ok(());
                }
            }
            NodeInput::Requests(shards) => {
                for number in shards {
                    let number = usize::from(number);
                    let shard = self.shards.get(number).and_then(Option::as_ref);
                    let requests = &shard.ok_or("there is no such shard")?.requests;
                    let batch = requests.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let batch = batch
                        .ok_or(Halt::Missing(Source::Shard(number), "the shard has handed nothing over"))?;
                    batch.into_iter().for_each(|request| node.handle_request(now, request));
                }
            }
            NodeInput::TimePassed => {}
        }
        if now.instant >= node.next_timeout() {
            node.handle_timeout(now);
        }
        Ok(())
    }

    fn claimed(&mut self, now: Now, claimed: Claimed) {
        let Claimed { slot, nonce, epoch, receive_from, send_partitions, status_partitions, limits, shards } =
            claimed;
        let partitions = Partitions { send: send_partitions, status: status_partitions };
        let config = ringside_node::Config { slot, limits, shards };
        let lease = EdgeLease::new(slot, nonce);
        self.node = Some(Node::new(now, config, partitions, lease, epoch, receive_from, Arc::default()));
        self.effects.clear();
        self.next_effect = 0;
    }

    fn polled(&mut self, now: Now, count: u64) -> Result<(), String> {
        let Self { node: Some(node), effects, next_effect, .. } = self else { return Ok(()) };
        let before = *next_effect;
        while let Some(effect) = node.poll_effect(now) {
            effects.insert(*next_effect, effect);
            *next_effect += 1;
        }
        let asked = *next_effect - before;
        if asked == count { Ok(()) } else { Err(format!("{asked} things were asked for, {count} had been")) }
    }

    fn handed_over(&mut self, number: u16, taken: usize, left: usize) -> Result<(), String> {
        let Self { node: Some(node), shards, .. } = self else { return Ok(()) };
        let mut told = node.take_deliveries(ShardId(number));
        if told.len() != taken + left {
            return Err(format!("the shard is told {} things, it had been {}", told.len(), taken + left));
        }
        let rest = told.split_off(taken);
        node.give_back(ShardId(number), rest);
        let shard = shards.get_mut(usize::from(number)).and_then(Option::as_mut);
        shard.ok_or("there is no such shard")?.mail.extend(told);
        Ok(())
    }

    fn take_shard(&mut self, moment: Moment, number: usize, entry: ShardEntry) -> Result<(), Halt> {
        let ShardEntry { input, answers, sent } = entry;
        if let ShardInput::Started(start) = input {
            self.seed = Some(start.seed);
            hash::fix_seed(self.seed);
            self.shards.resize_with(self.shards.len().max(number + 1), || None);
            self.shards[number] = Some(Shard::new(*start)?);
            return Ok(());
        }
        let shard = self.shards.get_mut(number).and_then(Option::as_mut).ok_or("the shard has not begun")?;
        let Shard { gateway, sockets, mail, .. } = shard;
        sockets.begin(moment.instant(self.start), answers);
        let mut bytes;
        let input = match input {
            ShardInput::Started(_) => unreachable!("taken above"),
            ShardInput::Opened(connection) => Input::Opened(ConnectionId::from_u64(connection)),
            ShardInput::Bytes(connection, text) => {
                bytes = ShardInput::decoded(&text).map_err(|error| error.to_string())?;
                Input::Bytes(ConnectionId::from_u64(connection), &mut bytes)
            }
            ShardInput::Closed(connection) => Input::Closed(ConnectionId::from_u64(connection)),
            ShardInput::Timer(timer) => Input::Timer(timer),
            ShardInput::Mail => {
                let said = mail.pop_front();
                Input::Mail(said.ok_or(Halt::Missing(Source::Node, "the node has said nothing more"))?)
            }
            ShardInput::Drain(window_ms) => Input::Mail(ToShard::Drain { window_ms }),
            ShardInput::Overflowed(connection) => Input::Overflowed(ConnectionId::from_u64(connection)),
            ShardInput::TurnEnded => Input::TurnEnded,
        };
        gateway.handle(sockets, input);
        let again = sockets.finish()?;
        if again == sent { Ok(()) } else { Err(format!("{again:?} is sent, {sent:?} had been").into()) }
    }
}

impl Shard {
    fn new(start: ShardStart) -> Result<Self, String> {
        let ShardStart {
            shard,
            limits,
            heartbeat_interval_ms,
            origins,
            api_port,
            connections_max,
            trusted_proxies,
            keys,
            time,
            ..
        } = start;
        let answers = Answers::default();
        let asked = answers.clone();
        let peers = PeerLookup::new(move |peer| match asked.next() {
            Some(WorldAnswer::Behind(behind)) => behind,
            other => {
                asked.differ(format!("who is behind {peer} is asked, {other:?} had been answered"));
                peer.ip()
            }
        });
        let requests = Arc::<Mutex<VecDeque<Vec<ToNode>>>>::default();
        let (asked, handed) = (answers.clone(), Arc::clone(&requests));
        let hand_over: HandOver = Arc::new(move |batch| match asked.next() {
            Some(WorldAnswer::HandedOver(true)) => {
                handed.lock().unwrap_or_else(PoisonError::into_inner).push_back(batch);
                Ok(())
            }
            Some(WorldAnswer::HandedOver(false)) => Err(batch),
            other => {
                asked.differ(format!("requests are handed over, {other:?} had been answered"));
                Err(batch)
            }
        });
        let config = Config {
            limits,
            heartbeat_interval_ms,
            origins: Origins { listed: origins, api_port },
            connections_max,
            trusted_proxies: trusted_proxies.into(),
            peers,
        };
        let verifier = Verifier::new(&keys).map_err(|error| error.to_string())?;
        let (config, verifier) = (Arc::new(config), Arc::new(verifier));
        let gateway = Gateway::new(config, ShardId(shard), verifier, Arc::default(), hand_over, time);
        Ok(Self { gateway, sockets: ReplayedSockets::new(answers), mail: VecDeque::new(), requests })
    }
}

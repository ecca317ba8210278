//! The edge: the shards, and the node between them and everything else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringside_application::backend::Backend as _;
use ringside_application::direct::DirectBackend;
use ringside_clock::now;
use ringside_edge_protocol::{ShardId, ToNode, ToShard};
use ringside_gateway::recorder::ShardRecorder;
use ringside_gateway::{Gateway, HandOver, PeerLookup, Shard};
use ringside_http::EdgeAddress;
use ringside_node::recorder::NodeRecorder;
use ringside_node::{NodeError, REQUEST_BATCHES_MAX, ShardLinks, ToShards};
use ringside_reactor::{Backend, ShardHandle};
use ringside_recording::{Recording, RecordingError, Track};
use ringside_session::token::Verifier;
use ringside_types::{PublicKey, Slot, UnixMillis};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use super::Probe;
use super::user::Keys;
use crate::commands::Failure;
use crate::config::{CONNECTIONS_MAX, Config};
use crate::engines::{DirectoryEngine, Engines, PresenceEngine, StoreEngine};
use crate::run::{Ports, Signals};

/// The slot that the edge of this process holds: the only edge there is.
const SLOT: Slot = Slot(0);
/// A reader that stalls and is let go has so long to take what the kernel holds, and then the goodbye.
const LINGER_MS: u32 = 15_000;
/// Descriptors kept free for everything but connections: those that wait to be accepted, files, the API.
const OTHER_DESCRIPTORS: u32 = 2_048;
/// How often it is looked whether all shards still run.
const SHARDS_LOOK: Duration = Duration::from_millis(200);
/// How often a drain looks whether it is over.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// Bytes that wait for one connection for longer than a burst takes: the largest page with its JSON, twice. The reactor
/// says how long that is, and how much more a burst may be.
const SEND_QUEUE_LIMIT_BYTES: usize = 2 * 1024 * 1024;

/// What stands behind the edge of this process.
type EdgeBackend = DirectBackend<StoreEngine, DirectoryEngine, PresenceEngine, Keys>;

pub(crate) struct Edge {
    shards: Vec<ShardHandle<ToShard>>,
    gateways: Vec<Arc<ringside_gateway::Counters>>,
    node_counters: Arc<ringside_node::Counters>,
    node: Mutex<JoinHandle<Result<(), NodeError>>>,
    to_shards: ToShards,
    address: SocketAddr,
}

impl Edge {
    /// Binds the port, starts the shards, then the node, on the runtime `pipeline`.
    ///
    /// # Errors
    /// The public keys can't be read, the port can't be had, or a shard can't start.
    pub(crate) async fn start(
        config: &Config,
        engines: &Engines,
        ports: &Ports,
        keys: Keys,
        pipeline: &Handle,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, Failure> {
        let count = if config.shards > 0 { config.shards } else { ringside_reactor::core_ids().len().max(1) };
        let (requests, asked) = mpsc::channel::<Vec<ToNode>>(REQUEST_BATCHES_MAX);
        let gateways: Vec<Arc<ringside_gateway::Counters>> = (0..count).map(|_| Arc::default()).collect();
        let backend = backend(engines, keys);
        let recording = recording(config)?;
        let keys = backend.public_keys().await?;
        let verifier = Arc::new(Verifier::new(&keys)?);
        let recorded =
            recording.as_ref().map(|recording| RecordedShards::new(recording, count, keys)).transpose()?;
        let shards = start_shards(config, ports, verifier, &gateways, hand_over(requests), recorded)?;
        let address = shards.first().and_then(ShardHandle::address).unwrap_or(config.edge_addr);
        let mailboxes: Vec<_> = shards.iter().map(|shard| shard.mailbox().clone()).collect();
        let to_shards: ToShards = Arc::new(move |shard: ShardId, mail: Vec<ToShard>| {
            mailboxes[usize::from(shard.0)].try_send_batch(mail)
        });
        let node_counters = Arc::<ringside_node::Counters>::default();
        let settings =
            ringside_node::Config { slot: SLOT, limits: config.limits.clone(), shards: count as u16 };
        let (log, counters, stop) = (engines.log.clone(), node_counters.clone(), stop.clone());
        let recorder = match recording {
            None => NodeRecorder::default(),
            Some(recording) => NodeRecorder::new(recording.track("node")?, recording.seed()),
        };
        let links = ShardLinks { to_shards: to_shards.clone(), requests: asked };
        let node = ringside_node::run(log, backend, settings, links, counters, recorder, stop);
        let node = pipeline.spawn(node);
        Ok(Self { shards, gateways, node_counters, node: Mutex::new(node), to_shards, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn backend(&self) -> Backend {
        self.shards.first().map_or(Backend::Auto, ShardHandle::backend)
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    pub(crate) fn node_counters(&self) -> Arc<ringside_node::Counters> {
        self.node_counters.clone()
    }

    /// Ready once the node holds its slot: then log, store and shards have answered.
    pub(crate) fn probe(&self) -> Probe {
        let node = self.node_counters.clone();
        Arc::new(move || {
            (node.seated.load(Ordering::Relaxed) == 0).then_some("the edge does not hold its slot")
        })
    }

    /// Each shard's counters: the reactor's and the gateway's.
    pub(crate) fn counters(
        &self,
    ) -> impl Iterator<Item = (Arc<ringside_reactor::Counters>, Arc<ringside_gateway::Counters>)> {
        self.shards.iter().map(|shard| shard.counters().clone()).zip(self.gateways.iter().cloned())
    }

    /// Where clients find it.
    pub(crate) fn found(&self, config: &Config) -> EdgeAddress {
        let socket = EdgeAddress::Socket { address: self.address, is_tls: config.tls_cert.is_some() };
        config.edge_url.clone().map_or(socket, EdgeAddress::Url)
    }

    /// Waits until the node or a shard has ended by itself; says which, and why.
    pub(crate) async fn failed(&self) -> Failure {
        tokio::select! {
            failure = self.node_failed() => failure,
            number = self.shard_ended() => {
                format!("shard {number} of the edge ended by itself; the log says why").into()
            }
        }
    }

    /// Waits until a shard's thread has ended: by a panic, or because the kernel refused to go on. What is sent to it would
    /// wait for ever, and all others behind it.
    async fn shard_ended(&self) -> usize {
        let mut looks = tokio::time::interval(SHARDS_LOOK);
        loop {
            looks.tick().await;
            if let Some(number) = self.shards.iter().position(ShardHandle::is_finished) {
                return number;
            }
        }
    }

    async fn node_failed(&self) -> Failure {
        match (&mut *self.node.lock().await).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) => "the node ended".into(),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Waits until the node has ended: the receipts that it held are in the log then.
    pub(crate) async fn stopped(&self) {
        let mut node = self.node.lock().await;
        if !node.is_finished() {
            // How it ends has been told, or is of no consequence any more.
            let _ = (&mut *node).await;
        }
    }

    /// Lets every connection go, within the window; a second signal ends it at once.
    pub(crate) async fn drain(&self, window: Duration, signals: &mut Signals) {
        let until = Instant::now() + window;
        for number in 0..self.shards.len() {
            let mut mail = vec![ToShard::Drain { window_ms: window.as_millis() as u64 }];
            while !mail.is_empty() && Instant::now() < until {
                mail = (self.to_shards)(ShardId(number as u16), mail);
            }
        }
        while self.open() > 0 && Instant::now() < until {
            tokio::select! {
                _ = signals.next() => return,
                () = tokio::time::sleep(DRAIN_POLL) => {}
            }
        }
        if self.open() > 0 {
            tracing::warn!(open = self.open(), "the drain window is over");
        }
    }

    fn open(&self) -> u64 {
        self.gateways.iter().map(|counters| counters.open.load(Ordering::Relaxed)).sum()
    }
}

/// The only place that knows which backend answers the edge.
fn backend(engines: &Engines, keys: Keys) -> EdgeBackend {
    let Engines { store, directory, presence, .. } = engines.clone();
    DirectBackend::new(store, directory, presence, keys)
}

/// Begins the recording that is configured, if any is.
fn recording(config: &Config) -> Result<Option<Arc<Recording>>, RecordingError> {
    let begin = |folder: &PathBuf| {
        let recording = Recording::begin(folder, config.recording_bytes, rand::random())?;
        let folder = recording.folder().display();
        tracing::warn!(%folder, "what the edge takes in is recorded: messages, and tokens that are still good");
        Ok(recording)
    };
    config.recording_dir.as_ref().map(begin).transpose()
}

/// The tracks of the shards, until each has taken its own.
#[derive(Clone)]
struct RecordedShards {
    recording: Arc<Recording>,
    tracks: Arc<std::sync::Mutex<Vec<Option<Track>>>>,
    keys: Vec<PublicKey>,
}

impl RecordedShards {
    fn new(recording: &Arc<Recording>, count: usize, keys: Vec<PublicKey>) -> Result<Self, RecordingError> {
        let tracks = (0..count).map(|number| recording.track(&format!("shard-{number}")).map(Some));
        let tracks = Arc::new(std::sync::Mutex::new(tracks.collect::<Result<_, _>>()?));
        Ok(Self { recording: Arc::clone(recording), tracks, keys })
    }

    /// The recorder of a shard, on its own thread, whose hashes are seeded from now on as the recording says.
    fn recorder(
        self,
        shard: ShardId,
        settings: ringside_gateway::Config,
        hand_over: HandOver,
        time: UnixMillis,
    ) -> (Option<ShardRecorder>, ringside_gateway::Config, HandOver) {
        let seed = self.recording.seed();
        ringside_types::hash::fix_seed(Some(seed));
        let mut tracks = self.tracks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(track) = tracks.get_mut(usize::from(shard.0)).and_then(Option::take) else {
            return (None, settings, hand_over);
        };
        let (recorder, settings, hand_over) =
            ShardRecorder::new(track, seed, shard, &settings, hand_over, self.keys, time);
        (Some(recorder), settings, hand_over)
    }
}

fn hand_over(requests: mpsc::Sender<Vec<ToNode>>) -> HandOver {
    Arc::new(move |batch| {
        requests.try_send(batch).map_err(|refused| match refused {
            TrySendError::Full(batch) | TrySendError::Closed(batch) => batch,
        })
    })
}

/// Connections of one shard at the most.
fn shard_connections(wished: u32, shards: u32, descriptors: u32) -> u32 {
    if wished == 0 {
        return descriptors.saturating_sub(OTHER_DESCRIPTORS).clamp(1, CONNECTIONS_MAX);
    }
    // The kernel spreads connections unevenly: each shard may have half as many again as its share.
    (wished / shards * 3 / 2 + 1).min(wished)
}

/// Raises the soft limit of descriptors to the hard one, which is what a ring's table may hold; returns it.
fn raise_descriptor_limit() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    if setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_err() {
        tracing::warn!("RLIMIT_NOFILE could not be raised to its hard limit");
    }
    let now = getrlimit(Resource::Nofile).current;
    now.map_or(u32::MAX, |limit| u32::try_from(limit).unwrap_or(u32::MAX))
}

fn start_shards(
    config: &Config,
    ports: &Ports,
    verifier: Arc<Verifier>,
    counters: &[Arc<ringside_gateway::Counters>],
    hand_over: HandOver,
    recorded: Option<RecordedShards>,
) -> Result<Vec<ShardHandle<ToShard>>, Failure> {
    let (api, callers, count) = (ports.api.address(), ports.callers.clone(), counters.len());
    let connections_max = shard_connections(config.max_connections, count as u32, raise_descriptor_limit());
    let settings = ringside_gateway::Config {
        limits: config.limits.clone(),
        heartbeat_interval_ms: config.heartbeat_interval_ms,
        origins: ringside_gateway::Origins { listed: config.origins(api), api_port: api.port() },
        connections_max,
        trusted_proxies: config.trusted_proxies.clone().into(),
        peers: PeerLookup::new(move |peer| callers.behind(peer)),
    };
    let reactor = ringside_reactor::Config {
        backend: config.backend.into(),
        listen: Some(config.edge_addr),
        max_connections: connections_max + ringside_gateway::SPARE_CONNECTIONS,
        send_queue_limit_bytes: SEND_QUEUE_LIMIT_BYTES,
        linger_ms: LINGER_MS,
        tls: ports.tls.as_ref().map(|tls| tls.server.clone()),
        ..ringside_reactor::Config::default()
    };
    let counters = counters.to_vec();
    let make = move |startup: ringside_reactor::Startup<ToShard>| {
        let (shard, counters) = (ShardId(startup.index as u16), counters[startup.index].clone());
        let time = now();
        let (recorder, settings, hand_over) = match recorded {
            None => (None, settings, hand_over),
            Some(recorded) => recorded.recorder(shard, settings, hand_over, time),
        };
        Shard::new(Gateway::new(Arc::new(settings), shard, verifier, counters, hand_over, time), recorder)
    };
    ringside_reactor::spawn_shards(&reactor, count, make).map_err(|error| -> Failure {
        format!(
            "the edge can't listen on {}: {error}. Stop what uses the port, or choose another with --edge-addr",
            config.edge_addr
        )
        .into()
    })
}

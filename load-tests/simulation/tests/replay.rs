//! What a shard has recorded is replayed to the same bytes; what is not the same is named. `./check` replays servers that the
//! crash test has killed.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringside_edge_protocol::ShardId;
use ringside_gateway::recorder::ShardRecorder;
use ringside_gateway::{Config, Gateway, Input, Origins, PeerLookup, Sockets};
use ringside_reactor::{ConnectionId, TimerId, TimerKey};
use ringside_recording::Recording;
use ringside_session::token::Verifier;
use ringside_simulation::{ReplayError, Replayed, replay};
use ringside_types::{Limits, UnixMillis, hash};

/// Sockets that only keep what they are given.
struct Kept {
    now: Instant,
    queues: BTreeMap<u64, Vec<u8>>,
    timers: u64,
}

impl Sockets for Kept {
    fn now(&self) -> Instant {
        self.now
    }

    fn queue(&mut self, connection: ConnectionId) -> Option<&mut Vec<u8>> {
        self.queues.get_mut(&connection.to_u64())
    }

    fn queued_bytes(&self, connection: ConnectionId) -> usize {
        self.queues.get(&connection.to_u64()).map_or(0, Vec::len)
    }

    fn close_now(&mut self, connection: ConnectionId) {
        self.queues.remove(&connection.to_u64());
    }

    fn close_after_flush(&mut self, connection: ConnectionId) {
        self.close_now(connection);
    }

    fn close_after_answer(&mut self, connection: ConnectionId) {
        self.close_now(connection);
    }

    fn set_timer(&mut self, _: Duration, _: TimerKey) -> TimerId {
        self.timers += 1;
        TimerId::from_u64(self.timers)
    }

    fn cancel_timer(&mut self, _: TimerId) {}

    fn peer_address(&mut self, _: ConnectionId) -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], 9)))
    }

    fn connections(&self) -> usize {
        self.queues.len()
    }

    fn random(&mut self) -> u64 {
        7
    }
}

/// Records a shard that is asked for two things that it does not have.
fn record(recording: &Arc<Recording>) {
    hash::fix_seed(Some(recording.seed()));
    let config = Config {
        limits: Limits::default(),
        heartbeat_interval_ms: 25_000,
        origins: Origins { listed: Vec::new(), api_port: 8080 },
        connections_max: 10,
        trusted_proxies: Vec::new().into(),
        peers: PeerLookup::default(),
    };
    fs::write(recording.folder().join("node.jsonl"), "").expect("writes");
    let track = recording.track("shard-0").expect("begins");
    let (shard, time) = (ShardId(0), UnixMillis(1_790_000_000_000));
    let (mut recorder, config, hand_over) =
        ShardRecorder::new(track, recording.seed(), shard, &config, Arc::new(|_| Ok(())), Vec::new(), time);
    let verifier = Arc::new(Verifier::new(&[]).expect("no keys"));
    let mut gateway = Gateway::new(Arc::new(config), shard, verifier, Arc::default(), hand_over, time);
    let mut io = Kept { now: Instant::now(), queues: BTreeMap::new(), timers: 0 };
    for number in 1..=2 {
        let connection = ConnectionId::from_u64(number);
        io.queues.insert(number, Vec::new());
        recorder.record(&mut gateway, &mut io, Input::Opened(connection));
        let mut asked = format!("GET /nothing{number} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        recorder.record(&mut gateway, &mut io, Input::Bytes(connection, &mut asked));
        recorder.record(&mut gateway, &mut io, Input::TurnEnded);
    }
    hash::fix_seed(None);
}

fn track(folder: &Path) -> String {
    fs::read_to_string(folder.join("shard-0.jsonl")).expect("reads")
}

#[test]
fn what_is_the_same_is_the_same() {
    let parent = tempfile::tempdir().expect("a folder");
    let recording = Recording::begin(parent.path(), 1 << 20, 7).expect("begins");
    record(&recording);
    let Replayed { inputs, sends, bytes, left } = replay(recording.folder()).expect("replays");
    assert!(inputs >= 5 && sends == 2 && bytes > 100, "{inputs} inputs, {sends} sends, {bytes} bytes");
    assert_eq!(left, 0);
}

/// A killed server may have written what a shard did with the node's word, and not the word.
#[test]
fn a_recording_that_is_cut_off_ends_there() {
    let parent = tempfile::tempdir().expect("a folder");
    let recording = Recording::begin(parent.path(), 1 << 20, 7).expect("begins");
    record(&recording);
    let (folder, whole) = (recording.folder(), track(recording.folder()));
    let line = |number: u32, entry: &str| {
        format!("[{{\"number\":{number},\"at_ns\":0,\"wall_ms\":0,\"boot_ns\":0}},{entry}]\n")
    };
    let mail = line(1_000, "{\"input\":\"Mail\",\"answers\":[],\"sent\":[]}");
    fs::write(folder.join("shard-0.jsonl"), whole + &mail).expect("writes");
    assert_eq!(replay(folder).expect("replays").left, 1);
    // Where the node has gone on afterwards, its word is missing.
    fs::write(folder.join("node.jsonl"), line(1_001, "\"TimePassed\"")).expect("writes");
    let differs = replay(folder).expect_err("differs").to_string();
    assert!(differs.contains("the node has said nothing more"), "{differs}");
}

#[test]
fn what_is_not_is_named() {
    let parent = tempfile::tempdir().expect("a folder");
    let recording = Recording::begin(parent.path(), 1 << 20, 7).expect("begins");
    record(&recording);
    let (folder, whole) = (recording.folder(), track(recording.folder()));
    let differs = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from} is not in {whole}");
        fs::write(folder.join("shard-0.jsonl"), whole.replacen(from, to, 1)).expect("writes");
        match replay(folder) {
            Err(ReplayError::Difference { input, difference, .. }) => format!("{input}: {difference}"),
            other => panic!("{other:?}"),
        }
    };
    let hash = whole.split("\"hash\":").nth(1).and_then(|rest| rest.split('}').next()).expect("a hash");
    assert!(differs(hash, "1").contains("is sent"), "another hash");
    assert!(differs("{\"Queue\":true}", "{\"QueuedBytes\":5}").contains("a queue is asked"));
    assert!(differs("\"Opened\"", "\"Closed\"").contains("shard 0 Closed"));
    assert!(differs("\"answers\":[{", "\"answers\":[{\"Random\":3},{").contains("had been answered"));
}

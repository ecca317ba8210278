//! The runner over a log in memory and a backend that knows everybody: leases begin, are carried out, and end.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringside_application::backend::{
    Admission, AdmitRefusal, AuthorizeAnswer, AuthorizeRequest, Backend, BackendError, ConnectionEvent,
    LookAnswer, LookRequest, ReadAnswer, ReadRequest,
};
use ringside_domain::feed::GapRange;
use ringside_edge_protocol::{ConnectionRef, ShardId, SignalKind, SignalRequest, ToNode, ToShard};
use ringside_node::recorder::NodeRecorder;
use ringside_node::{Config, Counters, NodeError, ShardLinks, ToShards, run};
use ringside_ports::log::{Append, Bounds, Commit, Position, ReadLimit, Record};
use ringside_ports::presence::Connection;
use ringside_ports::{EngineError, Log};
use ringside_types::{
    Epoch, Limits, MessageId, Offset, PartitionId, PublicKey, Slot, Topic, UnixMillis, UserId,
};
use ringside_wire::records::{
    Claim, Control, EdgeBatch, Head, JoinAnswer, Signal, Signals, control, edge_item, signal,
};
use support::{CHANNEL, admission, away, event, item, key, session, user};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

const SLOT: Slot = Slot(1);
const SLOTS: u16 = 2;
/// Far more than any of this takes.
const PATIENCE: Duration = Duration::from_secs(30);

type Partitions = HashMap<(Topic, PartitionId), Vec<Record>>;

/// All records there are. Those who read wait for the next change.
#[derive(Clone)]
struct TestLog {
    partitions: Arc<watch::Sender<Partitions>>,
    is_away: Arc<AtomicBool>,
}

impl TestLog {
    fn new() -> Self {
        Self { partitions: Arc::new(watch::Sender::default()), is_away: Arc::default() }
    }

    fn records(&self, topic: Topic, partition: PartitionId) -> Vec<Record> {
        self.partitions.borrow().get(&(topic, partition)).cloned().unwrap_or_default()
    }
}

impl Log for TestLog {
    fn partitions(&self, topic: Topic) -> u16 {
        if topic == Topic::MessagesReceive { SLOTS } else { 1 }
    }

    async fn append(&self, records: Vec<Append>) -> Result<Vec<Position>, EngineError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(away());
        }
        let (mut positions, time) = (Vec::with_capacity(records.len()), UnixMillis(1));
        self.partitions.send_modify(|partitions| {
            for Append { topic, partition, payload } in records {
                let records = partitions.entry((topic, partition)).or_default();
                let offset = Offset(records.len() as u64);
                records.push(Record { offset, time, payload });
                positions.push(Position { offset, time });
            }
        });
        Ok(positions)
    }

    async fn read(
        &self,
        topic: Topic,
        partition: PartitionId,
        from: Offset,
        limit: ReadLimit,
        wait: Duration,
    ) -> Result<Vec<Record>, EngineError> {
        let (mut changes, place) = (self.partitions.subscribe(), from.0 as usize);
        let has_more = |partitions: &Partitions| {
            partitions.get(&(topic, partition)).is_some_and(|records| records.len() > place)
        };
        match tokio::time::timeout(wait, changes.wait_for(has_more)).await {
            Ok(_) => Ok(self.records(topic, partition).into_iter().skip(place).take(limit.records).collect()),
            Err(_) => Ok(Vec::new()),
        }
    }

    async fn bounds(&self, topic: Topic, partition: PartitionId) -> Result<Bounds, EngineError> {
        let end = Offset(self.records(topic, partition).len() as u64);
        Ok(Bounds { start: Offset(0), end })
    }

    async fn offset_at(&self, _: Topic, _: PartitionId, _: UnixMillis) -> Result<Offset, EngineError> {
        unreachable!("no edge looks up a time")
    }

    async fn commit(&self, _: &'static str, _: Topic, _: PartitionId, _: Commit) -> Result<(), EngineError> {
        unreachable!("an edge commits nothing")
    }

    async fn committed(
        &self,
        _: &'static str,
        _: Topic,
        _: PartitionId,
    ) -> Result<Option<Commit>, EngineError> {
        unreachable!("an edge commits nothing")
    }
}

#[derive(Clone)]
struct TestBackend;

impl Backend for TestBackend {
    async fn admit(&self, connections: Vec<Connection>, _: u32) -> Vec<Result<Admission, AdmitRefusal>> {
        connections.iter().map(|_| Ok(admission(1, &[CHANNEL]))).collect()
    }

    async fn authorize(&self, _: AuthorizeRequest) -> Result<AuthorizeAnswer, BackendError> {
        Ok(AuthorizeAnswer::default())
    }

    /// Every record is a message.
    async fn read(&self, asked: ReadRequest) -> ReadAnswer {
        let records =
            |gap: &GapRange| Ok((gap.after.0 + 1..=gap.up_to.0).map(|id| event(id, id - 1)).collect());
        ReadAnswer { gaps: asked.gaps.iter().map(records).collect(), ..ReadAnswer::default() }
    }

    async fn presence(&self, changes: Vec<ConnectionEvent>) -> Vec<Result<Vec<UserId>, BackendError>> {
        changes.iter().map(|_| Ok(Vec::new())).collect()
    }

    async fn look(&self, _: LookRequest) -> Result<LookAnswer, BackendError> {
        Ok(LookAnswer::default())
    }

    async fn public_keys(&self) -> Result<Vec<PublicKey>, BackendError> {
        Ok(vec![key("first")])
    }
}

/// A node that runs, and the only shard's end of it.
struct Running {
    log: TestLog,
    requests: mpsc::Sender<Vec<ToNode>>,
    mail: mpsc::UnboundedReceiver<ToShard>,
    stop: watch::Sender<bool>,
    node: JoinHandle<Result<(), NodeError>>,
}

impl Running {
    /// The shard's mailbox takes nothing the first time, and one message each time from then on.
    fn new(log: TestLog, slot: Slot) -> Self {
        let (requests, asked) = mpsc::channel(8);
        let (sender, mail) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let has_room = Mutex::new(false);
        let to_shards: ToShards = Arc::new(move |shard, mut mail: Vec<ToShard>| {
            assert_eq!(shard, ShardId(0));
            if std::mem::replace(&mut *has_room.lock().expect("a lock"), true) {
                // Whoever has read enough is gone.
                let _ = sender.send(mail.remove(0));
            }
            mail
        });
        let config = Config { slot, limits: Limits::default(), shards: 1 };
        let counters = Arc::<Counters>::default();
        let links = ShardLinks { to_shards, requests: asked };
        let recorder = NodeRecorder::default();
        let node = run(log.clone(), TestBackend, config, links, counters, recorder, stopped);
        let node = tokio::spawn(node);
        Self { log, requests, mail, stop, node }
    }

    /// The next message that `choose` takes.
    async fn next<T>(&mut self, choose: impl Fn(&ToShard) -> Option<T>) -> T {
        let next = async {
            loop {
                if let Some(chosen) = choose(&self.mail.recv().await.expect("it runs")) {
                    return chosen;
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("mail")
    }

    /// A connection of user 1 is let in.
    async fn connect(&mut self) -> ConnectionRef {
        let connection = ConnectionRef { shard: ShardId(0), token: 4 };
        let asks = ToNode::Admit { connection, user_id: user(1), session_id: session(1) };
        self.requests.send(vec![asks]).await.expect("it runs");
        self.next(|mail| matches!(mail, ToShard::Admitted { token: 4, .. }).then_some(())).await;
        connection
    }

    /// How it ended.
    async fn ended(self) -> Result<(), NodeError> {
        tokio::time::timeout(PATIENCE, self.node).await.expect("an end").expect("no panic")
    }
}

fn epoch(mail: &ToShard) -> Option<Epoch> {
    match mail {
        ToShard::Seated { slot: SLOT, epoch } => Some(*epoch),
        _ => None,
    }
}

#[tokio::test]
async fn a_lease_lets_connections_in_until_it_is_stopped() {
    let mut running = Running::new(TestLog::new(), SLOT);
    assert_eq!(running.next(|mail| Some(epoch(mail))).await, Some(Epoch(0)), "said first");
    running.connect().await;
    assert_eq!(running.log.records(Topic::MessagesSend, PartitionId(0)).len(), 1, "its joins");
    running.stop.send_replace(true);
    assert!(running.ended().await.is_ok());
}

/// Records of the channel for this edge: the answer to its join, and these messages.
fn of_channel(ids: &[u64]) -> Append {
    let head = Some(Head { last_effective_id: 10, ..Head::default() });
    let answer = edge_item::Body::Join(JoinAnswer { n: 1, joined_id: 10, head });
    let events = ids.iter().map(|id| edge_item::Body::Effective(event(*id, id - 1)));
    let items = [answer].into_iter().chain(events).map(|body| item(CHANNEL, body)).collect();
    let payload = ringside_wire::encode(&EdgeBatch { epoch: 0, items });
    Append { topic: Topic::MessagesReceive, partition: SLOT.partition(), payload }
}

#[tokio::test]
async fn what_the_log_lost_is_read_from_the_store() {
    let mut running = Running::new(TestLog::new(), SLOT);
    running.connect().await;
    running.log.append(vec![of_channel(&[13])]).await.expect("appended");
    let mut ids = Vec::new();
    while ids.last() != Some(&13) {
        let of_mail = |mail: &ToShard| match mail {
            ToShard::Events { events, .. } => {
                Some(events.iter().map(|event| event.effective.id).collect::<Vec<_>>())
            }
            _ => None,
        };
        ids.extend(running.next(of_mail).await);
    }
    assert_eq!(ids, [11, 12, 13]);
}

#[tokio::test]
async fn a_node_whose_shards_are_gone_stops_and_what_it_held_is_in_the_log() {
    let mut running = Running::new(TestLog::new(), SLOT);
    let connection = running.connect().await;
    running.log.append(vec![of_channel(&[11, 12])]).await.expect("appended");
    running.next(|mail| matches!(mail, ToShard::Events { .. }).then_some(())).await;
    let read = |id| {
        ToNode::Signal(SignalRequest {
            connection,
            frame_id: None,
            user_id: user(1),
            channel_id: CHANNEL,
            kind: SignalKind::Read(MessageId(id)),
            known_member: true,
        })
    };
    running.requests.send(vec![read(11), read(12)]).await.expect("it runs");
    let log = running.log.clone();
    (running.requests, _) = mpsc::channel(1);
    assert!(running.ended().await.is_ok());
    let last = log.records(Topic::MessagesStatus, PartitionId(0)).pop().expect("a record");
    let signals = ringside_wire::decode::<Signals>(last.payload).expect("signals").items;
    let [Signal { body: Some(signal::Body::Receipt(receipt)), .. }] = &signals[..] else {
        panic!("{signals:?}")
    };
    assert_eq!(receipt.read_id, 12, "the second of a second");
}

#[tokio::test]
async fn a_lease_that_is_lost_is_told_to_the_shards_before_the_next_begins() {
    let mut running = Running::new(TestLog::new(), SLOT);
    assert_eq!(running.next(epoch).await, Epoch(0));
    let rival = Claim { slot: u32::from(SLOT.0), nonce: vec![1; 16].into() };
    let payload = ringside_wire::encode(&Control { body: Some(control::Body::Claim(rival)) });
    let claim = Append { topic: Topic::Control, partition: PartitionId(0), payload };
    let rival = running.log.append(vec![claim]).await.expect("appended")[0].offset;
    let lease = |mail: &ToShard| match mail {
        ToShard::Fenced => Some(None),
        mail => epoch(mail).map(Some),
    };
    assert_eq!(running.next(lease).await, None, "fenced");
    let next = running.next(lease).await.expect("seated anew");
    assert!(next.0 > rival.0, "{next:?}, and the rival's is {rival}");
    running.stop.send_replace(true);
    assert!(running.ended().await.is_ok());
}

#[tokio::test]
async fn the_shards_are_told_however_much_comes_in() {
    let mut running = Running::new(TestLog::new(), SLOT);
    let requests = running.requests.clone();
    tokio::spawn(async move {
        for token in 0.. {
            let connection = ConnectionRef { shard: ShardId(0), token };
            let asks = ToNode::Admit { connection, user_id: user(1), session_id: session(1) };
            if requests.send(vec![asks]).await.is_err() {
                return;
            }
        }
    });
    running.next(|mail| matches!(mail, ToShard::Refused { .. }).then_some(())).await;
    running.stop.send_replace(true);
    assert!(running.ended().await.is_ok());
}

#[tokio::test]
async fn a_slot_that_can_not_be_claimed_ends_the_node() {
    for (slot, exists) in [(0, true), (SLOTS - 1, true), (SLOTS, false), (SLOTS + 1, false)] {
        let log = TestLog::new();
        log.is_away.store(true, Ordering::Relaxed);
        let ended = Running::new(log, Slot(slot)).ended().await;
        let is_expected = match &ended {
            Err(NodeError::NoSuchSlot { slot: named, slots }) => !exists && (*named, *slots) == (slot, SLOTS),
            Err(NodeError::Claim { slot: named, .. }) => exists && *named == slot,
            Ok(()) => false,
        };
        assert!(is_expected, "slot {slot}: {ended:?}");
    }
}

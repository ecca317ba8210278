//! A node without a log, a backend, shards or a clock: the test gives it inputs, and looks at what it asks for and sends.

#![allow(dead_code)] // Each test file uses its part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringside_application::backend::{Admission, AuthorizeAnswer, BackendError, ChannelMembership};
use ringside_domain::lease::EdgeLease;
use ringside_edge_protocol::{Answer, ConnectionRef, Outcome, ShardId, Submission, ToNode, ToShard};
use ringside_node::{
    Applicant, Batch, Completion, Config, Counters, Effect, Node, Now, Partitions, Question,
};
use ringside_ports::EngineError;
use ringside_ports::log::{Append, Record};
use ringside_types::authorization::Operation;
use ringside_types::{
    BootTime, ChannelId, Epoch, Limits, MessageId, Offset, PublicKey, SessionId, Slot, Topic, UnixMillis,
    UserId,
};
use ringside_wire::records::{
    Claim, Control, EdgeBatch, EdgeItem, Effective, Head, JoinAnswer, NewMessage, Profile, control,
    edge_item, effective,
};
use uuid::Uuid;

pub const SLOT: Slot = Slot(1);
pub const EPOCH: Epoch = Epoch(7);
pub const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(100));
pub const OTHER: ChannelId = ChannelId(Uuid::from_u128(101));
const SHARDS: u16 = 2;

/// A node, and time that stands still until the test moves it.
pub struct TestNode {
    pub node: Node,
    pub now: Now,
    pub counters: Arc<Counters>,
    /// The offset of the next record of `control`.
    control: u64,
    effects: Vec<Effect>,
}

impl TestNode {
    /// A node whose claim is in the log and not read back yet.
    pub fn new() -> Self {
        Self::with(Limits { messages_per_second: 0, channel_messages_per_minute: 0, ..Limits::default() })
    }

    pub fn with(limits: Limits) -> Self {
        let now = Now {
            instant: start(),
            boot: BootTime(Duration::from_secs(1_000)),
            wall: UnixMillis(1_000_000_000),
        };
        let counters = Arc::<Counters>::default();
        let config = Config { slot: SLOT, limits, shards: SHARDS };
        let partitions = Partitions { send: 4, status: 4 };
        let lease = EdgeLease::new(SLOT, [9; 16]);
        let node = Node::new(now, config, partitions, lease, EPOCH, Offset(0), counters.clone());
        Self { node, now, counters, control: EPOCH.0, effects: Vec::new() }
    }

    /// A node that holds its slot, within its fence, and has told the shards so.
    pub fn holding() -> Self {
        let mut test = Self::new();
        test.hold();
        test
    }

    /// Has the claim and a heartbeat read back.
    pub fn hold(&mut self) {
        let claim = Claim { slot: u32::from(SLOT.0), nonce: vec![9; 16].into() };
        self.control(control::Body::Claim(claim));
        self.beat();
        let changing = self.effect(|effect| match effect {
            Effect::ChangePresence(changing, _) => Ok(changing),
            other => Err(other.into()),
        });
        self.complete(Completion::PresenceChanged(changing, vec![Ok(Vec::new())]));
        self.read_keys(Ok(vec![key("first")]));
        self.deliveries();
    }

    /// Has the next heartbeat appended and read back.
    pub fn beat(&mut self) {
        self.node.handle_timeout(self.now);
        let heartbeat = self.effect(|effect| match effect {
            Effect::Heartbeat(append) => Ok(append),
            other => Err(other.into()),
        });
        let record = ringside_wire::decode::<Control>(heartbeat.payload).expect("a record of control");
        self.control(record.body.expect("a heartbeat"));
    }

    pub fn advance(&mut self, by: Duration) {
        self.now.instant += by;
        self.now.boot = self.now.boot + by;
        self.now.wall = self.now.wall.plus_ms(by.as_millis() as u64);
    }

    /// Time passes, and what is due is done.
    pub fn wait(&mut self, by: Duration) {
        self.advance(by);
        self.node.handle_timeout(self.now);
    }

    pub fn control(&mut self, body: control::Body) {
        let payload = ringside_wire::encode(&Control { body: Some(body) });
        let record = Record { offset: Offset(self.control), time: self.now.wall, payload };
        self.control += 1;
        self.node.handle_control(self.now, vec![record]);
        self.poll();
    }

    /// A record of the edge's slot with these items.
    pub fn items(&mut self, epoch: Epoch, items: Vec<EdgeItem>) {
        let payload = ringside_wire::encode(&EdgeBatch { epoch: epoch.0, items });
        let record = Record { offset: Offset(0), time: self.now.wall, payload };
        self.node.handle_records(self.now, vec![record]);
        self.poll();
    }

    /// Events of a channel: each id with the one before it.
    pub fn events(&mut self, channel: ChannelId, events: &[(u64, u64)]) {
        let items =
            events.iter().map(|(id, prev)| item(channel, edge_item::Body::Effective(event(*id, *prev))));
        self.items(EPOCH, items.collect());
    }

    pub fn request(&mut self, request: ToNode) {
        self.node.handle_request(self.now, request);
        self.poll();
    }

    pub fn complete(&mut self, completion: Completion) {
        self.node.handle_completion(self.now, completion);
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(effect) = self.node.poll_effect(self.now) {
            self.effects.push(effect);
        }
    }

    /// The first effect that `choose` takes; the others stay.
    pub fn effect<T>(&mut self, choose: impl Fn(Effect) -> Result<T, Box<Effect>>) -> T {
        self.poll();
        let (mut found, mut others) = (None, Vec::new());
        for effect in self.effects.drain(..) {
            match found {
                None => match choose(effect) {
                    Ok(chosen) => found = Some(chosen),
                    Err(other) => others.push(*other),
                },
                Some(_) => others.push(effect),
            }
        }
        self.effects = others;
        found.unwrap_or_else(|| panic!("no such effect among {:?}", self.effects))
    }

    /// What is asked for and was not taken yet, as names.
    pub fn effects(&mut self) -> Vec<&'static str> {
        self.poll();
        self.effects.iter().map(name).collect()
    }

    /// What the shards are sent: shard by shard, in order.
    pub fn deliveries(&mut self) -> Vec<(u16, ToShard)> {
        self.poll();
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            all.extend(self.node.take_deliveries(ShardId(shard)).into_iter().map(|mail| (shard, mail)));
        }
        all
    }

    /// The answers to commands: the frame's `id`, and what came of it.
    pub fn answers(&mut self) -> Vec<(String, Outcome)> {
        let answers = self.deliveries().into_iter().flat_map(|(_, mail)| match mail {
            ToShard::Answers(answers) => answers,
            _ => Vec::new(),
        });
        answers
            .map(|Answer { frame_id, outcome, .. }| (frame_id.unwrap_or_default().into_string(), outcome))
            .collect()
    }

    /// Answers the question which keys verify tokens.
    pub fn read_keys(&mut self, answer: Result<Vec<PublicKey>, BackendError>) {
        self.effect(|effect| match effect {
            Effect::ReadKeys => Ok(()),
            other => Err(other.into()),
        });
        self.complete(Completion::KeysRead(answer));
    }

    pub fn appended(&mut self) -> (Batch, Vec<Append>) {
        self.effect(|effect| match effect {
            Effect::Append(batch, appends) => Ok((batch, appends)),
            other => Err(other.into()),
        })
    }

    /// The append that is asked for is in the log.
    pub fn confirm_append(&mut self) -> Vec<Append> {
        let (batch, appends) = self.appended();
        self.complete(Completion::Appended(batch, Ok(())));
        appends
    }

    pub fn refuse_append(&mut self) {
        let (batch, _) = self.appended();
        self.complete(Completion::Appended(batch, Err(away())));
    }

    pub fn applicants(&mut self) -> Vec<Applicant> {
        self.effect(|effect| match effect {
            Effect::Admit(applicants, _) => Ok(applicants),
            other => Err(other.into()),
        })
    }

    pub fn question(&mut self) -> (Question, ringside_application::backend::AuthorizeRequest) {
        self.effect(|effect| match effect {
            Effect::Authorize(question, asked) => Ok((question, asked)),
            other => Err(other.into()),
        })
    }

    /// Answers the next question about policies by saying nothing.
    pub fn skip_policies(&mut self) {
        let question = self.effect(|effect| match effect {
            Effect::Authorize(question @ Question::Policies, _) => Ok(question),
            other => Err(other.into()),
        });
        self.complete(Completion::Authorized(question, Ok(AuthorizeAnswer::default())));
    }

    /// A connection of a user is let in, a member of these channels.
    pub fn connect(&mut self, number: u128, token: u64, channels: &[ChannelId]) -> ConnectionRef {
        let connection = ConnectionRef { shard: ShardId((token % u64::from(SHARDS)) as u16), token };
        self.request(ToNode::Admit { connection, user_id: user(number), session_id: session(number) });
        let applicants = self.applicants();
        let answers = applicants.into_iter().map(|applicant| (applicant, Ok(admission(number, channels))));
        self.complete(Completion::Admitted(answers.collect(), Ok(Offset(0))));
        if self.effects().contains(&"append joins") {
            self.confirm_joins();
        }
        if self.effects().contains(&"ask policies") {
            self.skip_policies();
        }
        connection
    }

    /// The backend knows all members in doubt.
    pub fn confirm_members(&mut self) {
        let (question, asked) = self.effect(|effect| match effect {
            Effect::Authorize(question @ Question::Members(_), asked) => Ok((question, asked)),
            other => Err(other.into()),
        });
        let answer =
            AuthorizeAnswer { members: vec![true; asked.members.len()], ..AuthorizeAnswer::default() };
        self.complete(Completion::Authorized(question, Ok(answer)));
    }

    pub fn confirm_joins(&mut self) -> Vec<Append> {
        let (batch, appends) = self.effect(|effect| match effect {
            Effect::Append(batch @ Batch::Joins(..), appends) => Ok((batch, appends)),
            other => Err(other.into()),
        });
        self.complete(Completion::Appended(batch, Ok(())));
        appends
    }

    /// A channel's join is answered: its chain begins at this record.
    pub fn live(&mut self, channel: ChannelId, n: u64, at: u64) {
        let head = Some(Head { last_effective_id: at, ..Head::default() });
        let answer = JoinAnswer { n, joined_id: at, head };
        self.items(EPOCH, vec![item(channel, edge_item::Body::Join(answer))]);
    }
}

/// A public key of this name.
pub fn key(id: &str) -> PublicKey {
    // 32 bytes of zero.
    PublicKey { id: id.to_owned(), x: "A".repeat(43) }
}

fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::Heartbeat(_) => "heartbeat",
        Effect::Append(Batch::Joins(..), _) => "append joins",
        Effect::Append(Batch::Commands(_), _) => "append commands",
        Effect::Append(Batch::Signals(_), _) => "append signals",
        Effect::Append(Batch::Presence(_), _) => "append presence",
        Effect::Admit(..) => "admit",
        Effect::Authorize(Question::Senders(_), _) => "ask senders",
        Effect::Authorize(Question::Charges(_), _) => "ask charges",
        Effect::Authorize(Question::Policies, _) => "ask policies",
        Effect::Authorize(Question::Members(_), _) => "ask members",
        Effect::Authorize(Question::Readers(_), _) => "ask readers",
        Effect::Authorize(Question::Signals(_), _) => "ask signals",
        Effect::ReadPages(..) => "read pages",
        Effect::ReadGaps(_) => "read gaps",
        Effect::ChangePresence(..) => "change presence",
        Effect::Look(..) => "look",
        Effect::ReadKeys => "read keys",
    }
}

fn start() -> Instant {
    Instant::now()
}

pub fn away() -> EngineError {
    EngineError::Unavailable { engine: "test", cause: "away".into() }
}

pub fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

pub fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(1_000 + number))
}

pub fn admission(number: u128, channels: &[ChannelId]) -> Admission {
    let membership = |channel: &ChannelId| ChannelMembership {
        channel_id: *channel,
        version: 1,
        sees_above: MessageId::ZERO,
    };
    Admission {
        profile: Profile { username: format!("user{number}"), ..Profile::default() },
        memberships: channels.iter().map(membership).collect(),
    }
}

pub fn item(channel: ChannelId, body: edge_item::Body) -> EdgeItem {
    EdgeItem { channel_id: channel.as_bytes().to_vec().into(), body: Some(body) }
}

/// A message of user 1.
pub fn event(id: u64, prev: u64) -> Effective {
    let message = NewMessage { sender_id: user(1).as_bytes().to_vec().into(), ..NewMessage::default() };
    Effective { id, prev, seq: id, change: 0, event: Some(effective::Event::Message(message)) }
}

/// A message with this frame id, by a member unless the test says otherwise.
pub fn submission(test: &TestNode, connection: ConnectionRef, number: u128, id: &str) -> Submission {
    Submission {
        connection,
        frame_id: Some(id.into()),
        user_id: user(number),
        channel_id: CHANNEL,
        record: Bytes::from(id.to_owned()),
        known_member: true,
        operation: Operation::Send,
        taken_at: test.now.instant,
        may_mention: false,
    }
}

/// The payloads of appends to a topic, as text.
pub fn texts(appends: &[Append], topic: Topic) -> Vec<String> {
    assert!(appends.iter().all(|append| append.topic == topic));
    appends.iter().map(|append| String::from_utf8_lossy(&append.payload).into_owned()).collect()
}

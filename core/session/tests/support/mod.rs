//! A session with the test as its host: bytes and deliveries in, frames and outputs out, time as the test says.

#![allow(dead_code)] // Each test file uses its part.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ringside_domain::page::{ChannelPage, ChannelRead, ReadOutcome};
use ringside_domain::rows::{HeadRow, MessageRow, WriteTimestamp};
use ringside_session::budget::Budget;
use ringside_session::context::{Context, Counts, Host, Settings};
use ringside_session::delivery::Delivery;
use ringside_session::origins::Origins;
use ringside_session::output::{Output, Outputs};
use ringside_session::session::Session;
use ringside_session::token::{Claims, Verifier};
use ringside_types::{
    ChannelId, ClientId, Epoch, Limits, MessageId, PublicKey, SessionId, Slot, UnixMillis, UserId,
};
use ringside_websocket::{Connection, Event, Opcode, Role, write_close, write_frame};
use ringside_wire::message::ContentType;
use ringside_wire::records::Profile;
use serde_json::Value;
use uuid::Uuid;

pub const ORIGIN: &str = "https://chat.example.org";
pub const USER: UserId = UserId(Uuid::from_u128(1));
pub const SESSION: SessionId = SessionId(Uuid::from_u128(0x5e55));
pub const HEARTBEAT: Duration = Duration::from_secs(25);
pub const TOKEN_LIFE_S: u64 = 900;
/// The wall clock at the start.
pub const START: UnixMillis = UnixMillis(1_800_000_000_000);

static KEY: LazyLock<ed25519_dalek::SigningKey> =
    LazyLock::new(|| ed25519_dalek::SigningKey::from_bytes(&[7; 32]));

pub fn signed(claims: &Claims) -> String {
    let header = Header { kid: Some("test".into()), ..Header::new(Algorithm::EdDSA) };
    let der = KEY.to_pkcs8_der().expect("a key");
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(der.as_bytes())).expect("a token")
}

pub fn token() -> String {
    signed(&Claims::access(USER, SESSION, START, TOKEN_LIFE_S))
}

pub fn channel(number: u128) -> ChannelId {
    ChannelId(Uuid::from_u128(0xc000 + number))
}

/// A good request with these lines more.
pub fn request(lines: &[&str]) -> String {
    let mut text =
        "GET /ws HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n".to_owned();
    text += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for line in lines {
        text += line;
        text += "\r\n";
    }
    text + "\r\n"
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

/// A client's frame, masked.
pub fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, opcode, payload, Some([1, 2, 3, 4]));
    bytes
}

pub fn close_frame(code: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_close(&mut bytes, Some(code), "", Some([1, 2, 3, 4]));
    bytes
}

/// What a client got.
#[derive(Debug, PartialEq)]
pub enum Sent {
    Json(Value),
    Ping,
    Pong(Vec<u8>),
    Close(Option<u16>),
}

pub struct TestHost {
    /// What the reactor would send.
    pub queue: Vec<u8>,
    /// What the kernel has, and the client has not taken.
    pub in_flight: usize,
    pub peer: Option<IpAddr>,
    pub members: BTreeSet<ChannelId>,
    pub last_records: BTreeMap<ChannelId, MessageId>,
    /// What was drawn last.
    pub random: u64,
}

impl Host for TestHost {
    fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queue
    }

    fn queued_bytes(&self) -> usize {
        self.queue.len() + self.in_flight
    }

    fn peer_address(&mut self) -> Option<IpAddr> {
        self.peer
    }

    fn random(&mut self) -> u64 {
        self.random += 1;
        self.random
    }

    fn is_member(&self, user: UserId, channel: ChannelId) -> bool {
        user == USER && self.members.contains(&channel)
    }

    fn last_record(&self, channel: ChannelId) -> Option<MessageId> {
        self.last_records.get(&channel).copied()
    }
}

/// A session, and everything that it is lent.
pub struct TestSession {
    pub session: Session,
    pub host: TestHost,
    pub settings: Settings,
    pub now: Instant,
    pub time: UnixMillis,
    pub lease: Option<(Slot, Epoch)>,
    pub is_draining: bool,
    pub is_full: bool,
    pub node_room: usize,
    pub counts: Counts,
    pub budget: Arc<Budget>,
    verifier: Verifier,
    outputs: Outputs,
    scratch: Vec<u8>,
    /// Reads what the server sends.
    client: Connection,
}

impl TestSession {
    /// A connection that was accepted.
    pub fn accepted() -> Self {
        let x = URL_SAFE_NO_PAD.encode(KEY.verifying_key().as_bytes());
        let mut outputs = Outputs::default();
        let session = Session::new(&mut outputs);
        assert_eq!(outputs.poll_output(), Some(Output::SetTimer(Duration::from_secs(10))));
        let now = Instant::now();
        Self {
            session,
            host: TestHost {
                queue: Vec::new(),
                in_flight: 0,
                peer: None,
                members: BTreeSet::new(),
                last_records: BTreeMap::new(),
                // The heartbeat's seed, which spreads it not at all.
                random: 9,
            },
            settings: Settings {
                limits: Limits::default(),
                heartbeat_interval_ms: HEARTBEAT.as_millis() as u64,
                origins: Origins { listed: vec![ORIGIN.into()], api_port: 8080 },
                trusted_proxies: Vec::new().into(),
            },
            now,
            time: START,
            lease: Some((Slot(3), Epoch(9))),
            is_draining: false,
            is_full: false,
            node_room: 16_384,
            counts: Counts::default(),
            budget: Arc::new(Budget::new(now)),
            verifier: Verifier::new(&[PublicKey { id: "test".into(), x }]).expect("a key"),
            outputs,
            scratch: Vec::new(),
            client: Connection::new(Role::Client, ringside_websocket::Limits { max_message_bytes: 1 << 24 }),
        }
    }

    /// One that the node is asked to admit.
    pub fn admitting() -> Self {
        let mut one = Self::accepted();
        let asked = one.bytes(request(&[&bearer(&token())]).as_bytes());
        assert_eq!(asked, [Output::Admit { user_id: USER, session_id: SESSION }]);
        one
    }

    /// One that is in, with these limits; what was said on the way is read.
    pub fn open_with(limits: Limits) -> Self {
        let mut one = Self::admitting();
        one.settings.limits = limits;
        one.admit();
        one.head();
        assert!(matches!(&one.sent()[..], [Sent::Json(hello)] if hello["type"] == "hello"));
        one
    }

    pub fn open() -> Self {
        Self::open_with(Limits::default())
    }

    /// One whose user is a member of these channels, each with ten records.
    pub fn member_of(channels: impl IntoIterator<Item = u128>) -> Self {
        let mut one = Self::open();
        for number in channels {
            one.host.members.insert(channel(number));
            one.host.last_records.insert(channel(number), MessageId(10));
        }
        one
    }

    pub fn call(&mut self, input: impl FnOnce(&mut Session, &mut Context<'_>)) -> Vec<Output> {
        self.call_only(input);
        std::iter::from_fn(|| self.outputs.poll_output()).collect()
    }

    /// The same, with no outputs polled: nothing is allocated but by the session.
    pub fn call_only(&mut self, input: impl FnOnce(&mut Session, &mut Context<'_>)) {
        let mut context = Context {
            now: self.now,
            time: self.time,
            settings: &self.settings,
            verifier: &self.verifier,
            lease: self.lease,
            shard: 2,
            token: 0xabc,
            is_draining: self.is_draining,
            is_full: self.is_full,
            node_room: self.node_room,
            host: &mut self.host,
            scratch: &mut self.scratch,
            counts: &mut self.counts,
            outputs: &mut self.outputs,
        };
        input(&mut self.session, &mut context);
    }

    /// The next connection in the place of this one.
    pub fn begin_anew(&mut self) {
        self.session = Session::new(&mut self.outputs);
    }

    /// Gives back what the sessions of a shard share.
    pub fn forget_buffers(&mut self) {
        (self.scratch, self.outputs) = (Vec::new(), Outputs::default());
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Vec<Output> {
        self.call(|session, context| session.handle_bytes(&mut bytes.to_vec(), context))
    }

    pub fn say(&mut self, frame_of: &Value) -> Vec<Output> {
        self.bytes(&frame(Opcode::Text, frame_of.to_string().as_bytes()))
    }

    pub fn tell(&mut self, delivery: Delivery<'_>) -> Vec<Output> {
        self.call(|session, context| session.handle_delivery(delivery, context))
    }

    pub fn timeout(&mut self) -> Vec<Output> {
        self.call(Session::handle_timeout)
    }

    pub fn closed(&mut self) -> Vec<Output> {
        self.call(Session::handle_closed)
    }

    pub fn admit(&mut self) -> Vec<Output> {
        let (profile, budget) = (Arc::new(profile()), self.budget.clone());
        self.tell(Delivery::Admitted { profile, budget, channels: Vec::new() })
    }

    /// Both clocks go on.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.time = self.time.plus_ms(time.as_millis() as u64);
    }

    /// The head of the HTTP answer, taken from the queue.
    pub fn head(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.host.queue).into_owned();
        let end = text.find("\r\n\r\n").expect("a head") + 4;
        self.host.queue.drain(..end);
        text[..end].to_owned()
    }

    /// The frames in the queue, which the client takes.
    pub fn sent(&mut self) -> Vec<Sent> {
        let mut bytes = std::mem::take(&mut self.host.queue);
        let mut sent = Vec::new();
        let received = self.client.receive(&mut bytes, &mut |event| {
            sent.push(match event {
                Event::Text(text) => Sent::Json(serde_json::from_slice(text).expect("JSON")),
                Event::Ping(_) => Sent::Ping,
                Event::Pong(payload) => Sent::Pong(payload.to_vec()),
                Event::Close { code, .. } => Sent::Close(code),
                Event::Binary(_) => panic!("the server sends no binary"),
            });
        });
        received.expect("whole frames");
        sent
    }

    /// The one frame in the queue.
    pub fn sent_json(&mut self) -> Value {
        match self.sent().as_mut_slice() {
            [Sent::Json(value)] => value.take(),
            other => panic!("not one text frame: {other:?}"),
        }
    }

    /// Whether it was said goodbye with this reason and code.
    pub fn is_dismissed(&mut self, reason: &str, code: u16) -> bool {
        let sent = self.sent();
        matches!(&sent[..], [Sent::Json(goodbye), Sent::Close(Some(closed))]
            if goodbye["type"] == "goodbye" && goodbye["payload"]["reason"] == reason && *closed == code)
    }
}

pub fn profile() -> Profile {
    Profile { username: "user1".into(), display_name: "Someone".into(), avatar_url: String::new() }
}

/// The answer to a read of a channel that holds the messages 1, 2, … `head`: what is above `after`, as many as fit.
pub fn page(read: &ChannelRead, head: u64) -> ReadOutcome {
    let first = read.after.0 + 1;
    let last = head.min(read.after.0 + read.limit as u64);
    let messages: Vec<MessageRow> = (first..=last).map(|id| row(read.channel_id, id)).collect();
    let head = HeadRow {
        last_effective_id: MessageId(head),
        last_message_id: MessageId(head),
        last_seq: head,
        ..HeadRow::empty(read.channel_id)
    };
    ReadOutcome::Page(Box::new(ChannelPage {
        messages,
        tallies: Vec::new(),
        senders: vec![(USER, profile())],
        changes: Vec::new(),
        sees_above: MessageId::ZERO,
        edited: Vec::new(),
        has_more: last < head.last_effective_id.0,
        reset: false,
        head,
        unread_count: 2,
    }))
}

fn row(channel_id: ChannelId, id: u64) -> MessageRow {
    MessageRow {
        channel_id,
        message_id: MessageId(id),
        prev: MessageId(id - 1),
        seq: id,
        change: 0,
        client_id: ClientId(Uuid::from_u128(id.into())),
        sender_id: USER,
        content: format!("message {id}"),
        content_type: ContentType::Text,
        metadata: String::new(),
        reply_to: MessageId::ZERO,
        edited_record: MessageId::ZERO,
        deleted_record: MessageId::ZERO,
        stamp: WriteTimestamp(id),
    }
}

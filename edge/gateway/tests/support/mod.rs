//! A real shard with a gateway, the test in the node's place, and clients by a public library.

#![allow(dead_code)] // Each test file uses its part.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ringside_domain::page::{ChannelPage, ChannelRead, ReadOutcome};
use ringside_domain::rows::{HeadRow, MessageRow, WriteTimestamp};
use ringside_edge_protocol::{ChannelEvent, ConnectionRef, ShardId, Subscription, ToNode, ToShard};
use ringside_gateway::{Config, Counters, Gateway, Origins, PeerLookup, Shard};
use ringside_reactor::{Backend, ShardHandle};
use ringside_session::budget::Budget;
use ringside_session::token::{Claims, Verifier};
use ringside_types::{
    BootTime, ChannelId, ClientId, Epoch, Limits, MessageId, PublicKey, SessionId, Slot, UnixMillis, UserId,
};
use ringside_wire::message::ContentType;
use ringside_wire::records::{Effective, NewMessage, Profile, effective};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};
use uuid::Uuid;

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(10);
pub const ORIGIN: &str = "https://chat.example.org";
pub const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(0xc1));
pub const OTHER: ChannelId = ChannelId(Uuid::from_u128(0xc2));

/// Makes one test per backend out of `fn name(backend: Backend)`.
#[macro_export]
macro_rules! over_both_backends {
    ($($name:ident),* $(,)?) => {
        mod uring {
            $(#[test] fn $name() { super::$name(ringside_reactor::Backend::Uring); })*
        }
        mod poll {
            $(#[test] fn $name() { super::$name(ringside_reactor::Backend::Poll); })*
        }
    };
}

static KEY: LazyLock<ed25519_dalek::SigningKey> =
    LazyLock::new(|| ed25519_dalek::SigningKey::from_bytes(&[7; 32]));

#[expect(clippy::disallowed_methods, reason = "a test's own clock, for the tokens that it signs")]
pub fn now() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis() as u64)
}

pub fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

pub fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(0x5e55_0000 + number))
}

/// A token of a user's own session.
pub fn token(number: u128, life_s: u64) -> String {
    signed(&Claims::access(user(number), session(number), now(), life_s))
}

pub fn signed(claims: &Claims) -> String {
    let header = Header { kid: Some("test".into()), ..Header::new(Algorithm::EdDSA) };
    let der = KEY.to_pkcs8_der().expect("a key");
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(der.as_bytes())).expect("a token")
}

pub type Client = WebSocket<TcpStream>;

/// A part of a channel that a connection asked for.
#[derive(Clone, Copy, Debug)]
pub struct AskedRead {
    pub connection: ConnectionRef,
    pub read: ChannelRead,
}

/// A shard and its gateway.
pub struct TestShard {
    pub handle: ShardHandle<ToShard>,
    pub counters: Arc<Counters>,
    requests: Receiver<ToNode>,
}

impl TestShard {
    pub fn new(backend: Backend) -> Self {
        Self::with(backend, Limits::default(), 25_000)
    }

    pub fn with(backend: Backend, limits: Limits, heartbeat_interval_ms: u64) -> Self {
        Self::holding(backend, limits, heartbeat_interval_ms, u32::MAX)
    }

    pub fn holding(
        backend: Backend,
        limits: Limits,
        heartbeat_interval_ms: u64,
        connections_max: u32,
    ) -> Self {
        let (sender, requests) = channel();
        let x = URL_SAFE_NO_PAD.encode(KEY.verifying_key().as_bytes());
        let verifier = Verifier::new(&[PublicKey { id: "test".into(), x }]).expect("a key");
        let config = Config {
            limits,
            heartbeat_interval_ms,
            origins: Origins { listed: vec![ORIGIN.into()], api_port: 8080 },
            connections_max,
            trusted_proxies: Vec::new().into(),
            peers: PeerLookup::default(),
        };
        let counters = Arc::<Counters>::default();
        let own = counters.clone();
        let make = move |_| {
            let sender: Sender<ToNode> = sender;
            let hand_over = Arc::new(move |batch: Vec<ToNode>| {
                // The test may be over.
                batch.into_iter().for_each(|request| drop(sender.send(request)));
                Ok(())
            });
            let gateway =
                Gateway::new(Arc::new(config), ShardId(0), Arc::new(verifier), own, hand_over, now());
            Shard::new(gateway, None)
        };
        let reactor = ringside_reactor::Config {
            backend,
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            max_connections: connections_max.min(256).saturating_add(ringside_gateway::SPARE_CONNECTIONS),
            receive_buffers: 64,
            ..ringside_reactor::Config::default()
        };
        let handle = ringside_reactor::spawn(&reactor, None, make).expect("the shard starts");
        let shard = Self { handle, counters, requests };
        shard.post(ToShard::Seated { slot: Slot(3), epoch: Epoch(9) });
        shard
    }

    pub fn address(&self) -> SocketAddr {
        self.handle.address().expect("it listens")
    }

    pub fn post(&self, delivery: ToShard) {
        self.handle.mailbox().try_send(delivery).expect("room for mail");
    }

    pub fn request(&self) -> ToNode {
        self.requests.recv_timeout(PATIENCE).expect("the gateway asks in time")
    }

    /// The next request is this; else the test has failed.
    pub fn admit_request(&self) -> (ConnectionRef, UserId) {
        match self.request() {
            ToNode::Admit { connection, user_id, .. } => (connection, user_id),
            other => panic!("not an admission: {other:?}"),
        }
    }

    /// The next request asks for one part of a channel.
    pub fn read_request(&self) -> AskedRead {
        let [read] = self.read_requests()[..] else { panic!("several channels are asked for") };
        read
    }

    /// The next request asks for these parts of channels.
    pub fn read_requests(&self) -> Vec<AskedRead> {
        match self.request() {
            ToNode::Read(asked) => {
                let connection = asked.connection;
                asked.channels.into_iter().map(|read| AskedRead { connection, read }).collect()
            }
            other => panic!("not a read: {other:?}"),
        }
    }

    pub fn nothing_is_asked(&self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// Raw bytes to the port.
    pub fn raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(bytes).expect("it takes it");
        stream
    }

    /// A user's connection, admitted into these channels, `hello` read.
    pub fn connect(&self, number: u128, channels: &[Subscription]) -> (Client, ConnectionRef) {
        self.connect_with(number, &token(number, 900), channels)
    }

    pub fn connect_with(
        &self,
        number: u128,
        token: &str,
        channels: &[Subscription],
    ) -> (Client, ConnectionRef) {
        self.connect_to(number, token, channels, rested_budget())
    }

    /// A user's connection whose frames are charged to this budget.
    pub fn connect_charged(&self, number: u128, budget: Arc<Budget>) -> (Client, ConnectionRef) {
        self.connect_to(number, &token(number, 900), &[], budget)
    }

    fn connect_to(
        &self,
        number: u128,
        token: &str,
        channels: &[Subscription],
        budget: Arc<Budget>,
    ) -> (Client, ConnectionRef) {
        let stream = TcpStream::connect(self.address()).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut request = format!("ws://{}/ws", self.address()).into_client_request().expect("a request");
        let bearer = format!("Bearer {token}").parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let opening = std::thread::spawn(move || {
            tungstenite::client(request, stream).map_err(|error| error.to_string())
        });
        let (connection, asked) = self.admit_request();
        assert_eq!(asked, user(number));
        self.admit_charged(connection, number, channels, budget);
        let (mut client, _) = opening.join().expect("no panic").expect("an upgrade");
        assert_eq!(frame(&mut client)["type"], "hello");
        (client, connection)
    }

    pub fn admit(&self, connection: ConnectionRef, number: u128, channels: &[Subscription]) {
        self.admit_charged(connection, number, channels, rested_budget());
    }

    fn admit_charged(
        &self,
        connection: ConnectionRef,
        number: u128,
        channels: &[Subscription],
        budget: Arc<Budget>,
    ) {
        self.post(ToShard::Admitted {
            token: connection.token,
            profile: Arc::new(profile(number)),
            budget,
            channels: channels.to_vec(),
        });
    }

    /// Events of a channel, in order.
    pub fn events(&self, channel_id: ChannelId, ids: &[u64]) {
        let event = |id: &u64| ChannelEvent { channel_id, effective: event(*id, id - 1) };
        self.post(ToShard::Events { valid_until: deadline(), events: ids.iter().map(event).collect() });
    }

    /// The answer to a read: these messages, of a channel whose head is `head`.
    pub fn page(&self, asked: AskedRead, ids: std::ops::Range<u64>, head: u64, has_more: bool) {
        let pages = vec![(asked.read, page_of(asked.read.channel_id, ids, head, has_more))];
        self.post(ToShard::Pages { token: asked.connection.token, valid_until: deadline(), pages });
    }
}

/// A budget of which nothing is spent.
#[expect(clippy::disallowed_methods, reason = "a test's own clock, for what the node would say")]
pub fn rested_budget() -> Arc<Budget> {
    Arc::new(Budget::new(Instant::now()))
}

/// One that is not over while the test runs.
pub fn deadline() -> BootTime {
    ringside_clock::boot_time() + PATIENCE
}

/// One that is over.
pub fn over() -> BootTime {
    BootTime::default()
}

pub fn profile(number: u128) -> Profile {
    Profile { username: format!("user{number}"), display_name: "Someone".into(), avatar_url: String::new() }
}

pub fn live(channel_id: ChannelId, last: u64) -> Subscription {
    Subscription {
        channel_id,
        last: Some(MessageId(last)),
        sees_above: MessageId::ZERO,
        waiting: MessageId::ZERO,
    }
}

/// The record `id` of a channel: its `id`th message, by user 1.
pub fn event(id: u64, prev: u64) -> Effective {
    let message = NewMessage {
        client_id: Uuid::from_u128(id.into()).as_bytes().to_vec().into(),
        sender_id: user(1).as_bytes().to_vec().into(),
        sender: Some(profile(1)),
        content: format!("message {id}"),
        ..NewMessage::default()
    };
    Effective { id, prev, seq: id, change: 0, event: Some(effective::Event::Message(message)) }
}

/// The same as a row.
pub fn row(channel_id: ChannelId, id: u64) -> MessageRow {
    MessageRow {
        channel_id,
        message_id: MessageId(id),
        prev: MessageId(id - 1),
        seq: id,
        change: 0,
        client_id: ClientId(Uuid::from_u128(id.into())),
        sender_id: user(1),
        content: format!("message {id}"),
        content_type: ContentType::Text,
        metadata: String::new(),
        reply_to: MessageId::ZERO,
        edited_record: MessageId::ZERO,
        deleted_record: MessageId::ZERO,
        stamp: WriteTimestamp(id),
    }
}

/// A page of these messages, of a channel whose head is `head`.
pub fn page_of(channel_id: ChannelId, ids: std::ops::Range<u64>, head: u64, has_more: bool) -> ReadOutcome {
    let head = HeadRow {
        last_effective_id: MessageId(head),
        last_message_id: MessageId(head),
        last_seq: head,
        ..HeadRow::empty(channel_id)
    };
    ReadOutcome::Page(Box::new(ChannelPage {
        messages: ids.map(|id| row(channel_id, id)).collect(),
        tallies: Vec::new(),
        senders: vec![(user(1), profile(1))],
        changes: Vec::new(),
        sees_above: MessageId::ZERO,
        edited: Vec::new(),
        has_more,
        reset: false,
        head,
        unread_count: 2,
    }))
}

/// The next text frame.
pub fn frame(client: &mut Client) -> Value {
    loop {
        match client.read().expect("a frame in time") {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("not a text frame: {other:?}"),
        }
    }
}

/// The ids of the next `count` frames, all of them `message.new`.
pub fn new_ids(client: &mut Client, count: usize) -> Vec<u64> {
    (0..count)
        .map(|_| {
            let frame = frame(client);
            assert_eq!(frame["type"], "message.new", "{frame}");
            frame["payload"]["message_id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
        })
        .collect()
}

/// Nothing is queued for the client before the answer to a ping that is sent now.
pub fn is_silent(client: &mut Client) -> bool {
    say(client, &json!({"type": "ping", "id": "quiet?"}));
    frame(client)["type"] == "pong"
}

pub fn say(client: &mut Client, frame: &Value) {
    client.send(Message::text(frame.to_string())).expect("it takes a frame");
}

/// The `goodbye` and the close code that end a connection.
pub fn ending(client: &mut Client) -> (String, u16) {
    let goodbye = frame(client);
    assert_eq!(goodbye["type"], "goodbye", "{goodbye}");
    assert!(goodbye["payload"]["retry_after_ms"].is_u64(), "{goodbye}");
    let reason = goodbye["payload"]["reason"].as_str().expect("a reason").to_owned();
    match client.read().expect("a close in time") {
        Message::Close(Some(close)) => (reason, close.code.into()),
        other => panic!("not a close: {other:?}"),
    }
}

/// Everything up to the end of the stream.
pub fn read_to_end(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("it ends in time");
    String::from_utf8_lossy(&bytes).into_owned()
}

//! People, and a channel with one of each role in it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ringside_types::authorization::{ChannelKind, Role};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest as _;

use super::support::{Server, folder, request};

/// Who asks, or is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    Owner,
    Admin,
    Member,
    Guest,
    /// Never was in the channel.
    Outsider,
    Removed,
    /// A member to whom things are done.
    OtherMember,
    /// The same, an admin.
    OtherAdmin,
    Stranger,
}

const EVERYONE: [Actor; 9] = [
    Actor::Owner,
    Actor::Admin,
    Actor::Member,
    Actor::Guest,
    Actor::Outsider,
    Actor::Removed,
    Actor::OtherMember,
    Actor::OtherAdmin,
    Actor::Stranger,
];

impl Actor {
    /// Those who ask in a channel of this kind. In a DM there are members and others.
    pub fn of(kind: ChannelKind) -> Vec<Self> {
        match kind {
            ChannelKind::Dm => vec![Self::Member, Self::Outsider],
            _ => vec![Self::Owner, Self::Admin, Self::Member, Self::Guest, Self::Outsider, Self::Removed],
        }
    }

    pub fn role_in(self, kind: ChannelKind) -> Option<Role> {
        match self {
            Self::Owner => Some(Role::Owner),
            Self::Admin | Self::OtherAdmin => Some(Role::Admin),
            Self::Member | Self::OtherMember => Some(Role::Member),
            Self::Guest => Some(Role::Guest),
            Self::Outsider | Self::Removed | Self::Stranger => None,
        }
        .filter(|role| kind != ChannelKind::Dm || *role == Role::Member)
    }
}

pub struct Person {
    pub id: String,
    pub token: String,
}

pub type Socket = WebSocket<TcpStream>;

/// A server, and people.
pub struct World {
    server: Server,
    _data: TempDir,
    people: BTreeMap<Actor, Person>,
    scenes: usize,
}

pub struct TestContext {
    pub kind: ChannelKind,
    id: String,
    /// A message of each who was ever in it.
    pub messages: BTreeMap<Actor, String>,
    sockets: BTreeMap<Actor, Socket>,
}

impl TestContext {
    pub fn at(&self, rest: &str) -> String {
        format!("/channels/{}{rest}", self.id)
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn socket(&mut self, world: &World, actor: Actor) -> &mut Socket {
        self.sockets.entry(actor).or_insert_with(|| world.socket(actor))
    }
}

impl World {
    pub fn new() -> Self {
        let data = folder();
        let off = [
            "MESSAGES_PER_SECOND",
            "CHANNEL_MESSAGES_PER_MINUTE",
            "CHANNELS_PER_MINUTE",
            "CONNECTIONS_PER_USER",
            "REST_PER_MINUTE",
            "REGISTER_PER_MINUTE_PER_ADDRESS",
        ];
        let off: Vec<String> = off.iter().map(|name| format!("RINGSIDE_LIMITS_{name}")).collect();
        let environment: Vec<(&str, &str)> = off.iter().map(|name| (&name[..], "0")).collect();
        let server = Server::start(data.path(), &[], &environment);
        let mut world = Self { server, _data: data, people: BTreeMap::new(), scenes: 0 };
        for actor in EVERYONE {
            let name = format!("{actor:?}").to_lowercase();
            let body = json!({
                "email": format!("{name}@example.org"), "username": name, "password": "a long enough password",
            });
            let (status, made) = world.call("POST", "/auth/register", None, Some(&body));
            assert_eq!(status, 201, "{made}");
            let text = |value: &Value| value.as_str().expect("a string").to_owned();
            let (id, token) = (text(&made["user"]["id"]), text(&made["access_token"]));
            world.people.insert(actor, Person { id, token });
        }
        world
    }

    pub fn id(&self, actor: Actor) -> &str {
        &self.people[&actor].id
    }

    fn address(&self, of: &str) -> SocketAddr {
        self.server.address(of)
    }

    pub fn ask(&self, actor: Actor, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.call(method, path, Some(&self.people[&actor].token), body)
    }

    fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
        let mut headers = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        if body.is_some() {
            headers.push_str("Content-Type: application/json\r\n");
        }
        let body = body.map_or(String::new(), Value::to_string);
        let path = format!("/api/v1{path}");
        let (status, body) = request(self.address("api"), method, &path, &headers, &body);
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn done(&self, actor: Actor, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(actor, method, path, Some(body));
        assert!((200..300).contains(&status), "{method} {path} by {actor:?}: {status} {answer}");
        answer
    }

    fn socket(&self, actor: Actor) -> Socket {
        let address = self.address("edge");
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a request");
        let bearer = format!("Bearer {}", self.people[&actor].token);
        request.headers_mut().insert("authorization", bearer.parse().expect("a header"));
        tungstenite::client(request, stream).expect("it upgrades").0
    }

    /// A message of this one, in this channel.
    pub fn say(&self, context: &TestContext, actor: Actor) -> String {
        let body = json!({"content": "hello", "content_type": "text"});
        let said = self.done(actor, "POST", &context.at("/messages"), &body);
        said["message_id"].as_str().expect("an id").to_owned()
    }

    /// A new channel with one of each role, and a message of each.
    pub fn context(&mut self, kind: ChannelKind) -> TestContext {
        self.scenes += 1;
        let is_dm = kind == ChannelKind::Dm;
        let (maker, others) = if is_dm {
            (Actor::Member, vec![Actor::OtherMember])
        } else {
            let others = [
                Actor::Admin,
                Actor::Member,
                Actor::Guest,
                Actor::Removed,
                Actor::OtherMember,
                Actor::OtherAdmin,
            ];
            (Actor::Owner, others.to_vec())
        };
        let member_ids: Vec<&str> = others.iter().map(|actor| self.id(*actor)).collect();
        let body = json!({"name": format!("context {}", self.scenes), "type": kind.name(), "member_ids": member_ids});
        let made = self.done(maker, "POST", "/channels", &body);
        let id = made["id"].as_str().expect("an id").to_owned();
        let mut context = TestContext { kind, id, messages: BTreeMap::new(), sockets: BTreeMap::new() };
        for actor in others.into_iter().chain([maker]) {
            let said = self.say(&context, actor);
            context.messages.insert(actor, said);
        }
        if !is_dm {
            for (actor, role) in
                [(Actor::Admin, "admin"), (Actor::OtherAdmin, "admin"), (Actor::Guest, "guest")]
            {
                let path = context.at(&format!("/members/{}", self.id(actor)));
                self.done(Actor::Owner, "PATCH", &path, &json!({"role": role}));
            }
            let removed = context.at(&format!("/members/{}", self.id(Actor::Removed)));
            assert_eq!(self.ask(Actor::Owner, "DELETE", &removed, None).0, 204);
        }
        context
    }
}

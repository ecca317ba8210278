//! The whole API in process, over real engines in a folder that goes with the test.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use ringside_api::{Composed, Config, router};
use ringside_application::consumer;
use ringside_channel::{Conversations, Relay};
use ringside_embedded::{EmbeddedLog, Engine, KeyFiles, MemoryPresence};
use ringside_http::EdgeAddress;
use ringside_message::messages::Messages;
use ringside_message::processor;
use ringside_message::replies::{self, Replies};
use ringside_ports::Log as _;
use ringside_presence::{PresenceViews, Receipts};
use ringside_sql::Directory;
use ringside_types::{Limits, PartitionId, Slot, Topic, UnixMillis};
use ringside_user::{KeyRotation, RegistrationMode, Users};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;

pub const PASSWORD: &str = "correct horse";

type People = Users<Directory, MemoryPresence, EmbeddedLog>;

pub struct TestContext {
    pub directory: Directory,
    pub people: People,
    pub folder: TempDir,
    pub router: Router,
    /// Dropped with the context: the tasks end.
    _stop: watch::Sender<bool>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Someone who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: String,
    pub token: String,
    pub refresh_token: String,
}

/// No limits, so that races are decided by what they race for.
pub fn unlimited() -> Limits {
    Limits {
        rest_per_minute: 0,
        channels_per_minute: 0,
        register_per_minute_per_address: 0,
        sign_ins_per_minute_per_address: 0,
        login_failures_per_minute: 0,
        ..Limits::default()
    }
}

impl TestContext {
    pub async fn new() -> Self {
        Self::with(unlimited(), RegistrationMode::Open).await
    }

    pub async fn with(limits: Limits, mode: RegistrationMode) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = ringside_embedded::Config {
            tail_bytes: 256 * 1024,
            cache_bytes: 8 << 20,
            free_bytes_min: 0,
            ..ringside_embedded::Config::default()
        };
        let engine = Engine::open(&folder.path().join("log"), config).expect("opens");
        let directory = Directory::open(&folder.path().join("directory.sqlite")).await.expect("opens");
        let (stop, stopping) = watch::channel(false);
        let (relay, task) = Relay::over(directory.clone(), engine.log());
        process(&engine, &stopping).await;
        let replies = Replies::default();
        let slot = Slot(engine.log().partitions(Topic::MessagesReceive) - 1);
        tokio::spawn(replies::run(engine.log(), slot, replies.clone(), stopping.clone()));
        tokio::spawn(task.run(stopping));
        let files = KeyFiles::new(folder.path().join("keys"));
        let keys = KeyRotation::open(files, engine.log(), now()).await.expect("opens").keys().clone();
        let presence = MemoryPresence::new();
        let people = Users::new(directory.clone(), presence.clone(), engine.log(), keys, limits.clone())
            .with_registration(mode);
        let services = Composed {
            users: people.clone(),
            channels: Conversations::new(directory.clone(), engine.log(), relay),
            receipts: Receipts::new(engine.store(), directory.clone()),
            presence_views: PresenceViews::new(presence.clone(), directory.clone()),
            messages: Messages::new(
                engine.log(),
                engine.store(),
                directory.clone(),
                presence.clone(),
                limits.clone(),
                replies,
            ),
            limits: presence,
        };
        let config = Config {
            limits,
            trusted_proxies: ringside_types::forwarded::TrustedProxies::default(),
            edge: EdgeAddress::Url("ws://127.0.0.1:8081/ws".into()),
        };
        Self { directory, people, folder, router: router(services, config), _stop: stop }
    }

    /// Asks as this person, or as nobody.
    pub async fn ask(&self, method: &str, path: &str, who: Option<&Person>, body: Option<Value>) -> Answer {
        ask(self.router.clone(), method, &format!("/api/v1{path}"), who.map(|who| who.token.clone()), body)
            .await
    }

    /// What is not under `/api/v1`.
    pub async fn document(&self, path: &str) -> Value {
        ask(self.router.clone(), "GET", path, None, None).await.body
    }

    pub async fn get(&self, path: &str, who: &Person) -> Answer {
        self.ask("GET", path, Some(who), None).await
    }

    pub async fn put(&self, path: &str, who: &Person) -> Answer {
        self.ask("PUT", path, Some(who), None).await
    }

    pub async fn delete(&self, path: &str, who: &Person) -> Answer {
        self.ask("DELETE", path, Some(who), None).await
    }

    pub async fn post(&self, path: &str, who: &Person, body: Value) -> Answer {
        self.ask("POST", path, Some(who), Some(body)).await
    }

    pub async fn patch_me(&self, who: &Person, body: Value) -> Answer {
        self.ask("PATCH", "/users/me", Some(who), Some(body)).await
    }

    /// A request that can be made beside others.
    pub fn asking(
        &self,
        method: &'static str,
        path: String,
        who: &Person,
        body: Option<Value>,
    ) -> impl Future<Output = Answer> + Send + 'static {
        let (router, token) = (self.router.clone(), who.token.clone());
        async move { ask(router, method, &format!("/api/v1{path}"), Some(token), body).await }
    }

    pub async fn registered(&self, username: &str) -> Person {
        person(&self.register(registration(username)).await)
    }

    pub async fn register(&self, body: Value) -> Answer {
        self.ask("POST", "/auth/register", None, Some(body)).await
    }

    pub async fn login(&self, login: &str, password: &str) -> Answer {
        let body = json!({"login": login, "password": password, "device": "laptop"});
        self.ask("POST", "/auth/login", None, Some(body)).await
    }
}

pub fn registration(username: &str) -> Value {
    json!({"email": format!("{username}@example.org"), "username": username, "password": PASSWORD})
}

pub fn person(answer: &Answer) -> Person {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    Person {
        id: text(&answer.body["user"]["id"]),
        token: text(&answer.body["access_token"]),
        refresh_token: text(&answer.body["refresh_token"]),
    }
}

async fn process(engine: &Engine, stop: &watch::Receiver<bool>) {
    let (log, store) = (engine.log(), engine.store());
    for partition in (0..log.partitions(Topic::MessagesSend)).map(PartitionId) {
        processor::init(partition, &log, &store).await.expect("begins");
    }
    let counters = Arc::new(processor::Counters::default());
    let assigned = consumer::all(log.partitions(Topic::MessagesSend));
    tokio::spawn(processor::run(assigned, log.clone(), store, engine.committer(), counters, stop.clone()));
}

async fn ask(router: Router, method: &str, path: &str, token: Option<String>, body: Option<Value>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let answer = router.oneshot(request.body(body).expect("a request")).await.expect("answers");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = answer.into_body().collect().await.expect("a whole body").to_bytes();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
    Answer { status, headers, body }
}

pub fn now() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64)
}

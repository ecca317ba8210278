//! `/asyncapi.json` against the running server, by a public WebSocket client: every frame that it names is sent or received,
//! and every frame that is sent or received is as it says.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use jsonschema::Validator;
use serde_json::{Value, json};
use support::{Server, folder, request};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};
use uuid::Uuid;

/// The server has so long for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the document says, and the frames that have been seen.
struct Contract {
    frames: BTreeMap<String, Validator>,
    seen: BTreeSet<String>,
}

impl Contract {
    fn of(server: &Server) -> Self {
        let (status, text) = server.get_api("/asyncapi.json");
        assert_eq!(status, 200);
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let schemas = closed(document["components"]["schemas"].clone());
        let messages = document["components"]["messages"].as_object().expect("messages");
        let frames = messages.iter().map(|(kind, message)| {
            let mut schema = closed(message["payload"].clone());
            schema["components"] = json!({"schemas": schemas});
            let validator = jsonschema::options().should_validate_formats(true).build(&schema);
            (kind.clone(), validator.expect("a schema"))
        });
        Self { frames: frames.collect(), seen: BTreeSet::new() }
    }

    fn check(&mut self, frame: &Value) {
        let kind = frame["type"].as_str().expect("a type");
        let validator =
            self.frames.get(kind).unwrap_or_else(|| panic!("{kind} is not in the document: {frame}"));
        let errors: Vec<String> =
            validator.iter_errors(frame).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?} in {frame}");
        self.seen.insert(kind.to_owned());
        for change in frame["payload"]["changes"].as_array().into_iter().flatten() {
            self.check(change);
        }
    }
}

/// The same, but nothing may be in an object that is not in the document.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(object) => {
            let is_schema =
                object.get("type").is_some_and(|kind| kind == "object") && object.contains_key("properties");
            object.values_mut().for_each(|value| *value = closed(value.take()));
            if is_schema {
                object.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = closed(item.take())),
        _ => {}
    }
    schema
}

/// Someone with an account and one connection.
struct Person {
    id: String,
    token: String,
    refresh_token: String,
    api: SocketAddr,
    live: Option<WebSocket<TcpStream>>,
}

impl Person {
    fn registered(server: &Server, name: &str) -> Self {
        let api = server.address("api");
        let body =
            json!({"email": format!("{name}@example.org"), "username": name, "password": "correct horse"});
        let (status, made) = ask(api, "POST", "/auth/register", "", Some(body));
        assert_eq!(status, 201, "{made}");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self {
            id: text(&made["user"]["id"]),
            token: text(&made["access_token"]),
            refresh_token: text(&made["refresh_token"]),
            api,
            live: None,
        }
    }

    fn connect(&mut self, server: &Server, contract: &mut Contract) {
        let stream = TcpStream::connect(server.address("edge")).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut request =
            format!("ws://{}/ws", server.address("edge")).into_client_request().expect("a request");
        let bearer = format!("Bearer {}", self.token).parse().expect("a header");
        request.headers_mut().insert("Authorization", bearer);
        let (socket, _) = tungstenite::client(request, stream).expect("a handshake");
        self.live = Some(socket);
        self.until("hello", contract);
    }

    fn send(&mut self, contract: &mut Contract, kind: &str, payload: &Value) -> String {
        let id = Uuid::new_v4().to_string();
        let frame = json!({"type": kind, "id": id, "payload": payload});
        contract.check(&frame);
        let live = self.live.as_mut().expect("connected");
        live.send(Message::text(frame.to_string())).expect("it takes it");
        id
    }

    /// The next frame; `None`: the connection is closed.
    fn next(&mut self, contract: &mut Contract) -> Option<Value> {
        loop {
            match self.live.as_mut().expect("connected").read() {
                Ok(Message::Text(text)) => {
                    let frame = serde_json::from_str(&text).expect("JSON");
                    contract.check(&frame);
                    return Some(frame);
                }
                Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return None,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Reads up to the first frame of this type.
    fn until(&mut self, kind: &str, contract: &mut Contract) -> Value {
        loop {
            let frame = self.next(contract).unwrap_or_else(|| panic!("closed before {kind}"));
            if frame["type"] == kind {
                return frame["payload"].clone();
            }
        }
    }

    fn rest(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = ask(self.api, method, path, &self.token, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }
}

fn ask(api: SocketAddr, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let (status, answer) = request(api, method, &format!("/api/v1{path}"), &headers, &body);
    (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
}

/// Two people and what they do to each other.
struct Walk {
    contract: Contract,
    ada: Person,
    bob: Person,
    channel: String,
}

impl Walk {
    fn messages(&mut self) {
        let Self { contract, ada, bob, channel, .. } = self;
        ada.send(contract, "message.send", &json!({"channel_id": channel, "content": "hello"}));
        ada.until("message.ack", contract);
        let message = bob.until("message.new", contract)["message_id"].clone();
        let named = json!({"channel_id": channel, "message_id": message});
        let with = |key: &str, value: &str| {
            let mut payload = named.clone();
            payload[key] = value.into();
            payload
        };
        ada.send(contract, "message.edit", &with("content", "hello you"));
        bob.until("message.updated", contract);
        bob.send(contract, "reaction.add", &with("emoji", "👍"));
        ada.until("reaction.updated", contract);
        bob.send(contract, "reaction.remove", &with("emoji", "👍"));
        ada.until("reaction.updated", contract);
        let pin = format!("/channels/{channel}/pins/{}", message.as_str().expect("an id"));
        ada.rest("PUT", &pin, None);
        bob.until("message.pinned", contract);
        ada.rest("DELETE", &pin, None);
        bob.until("message.unpinned", contract);
        bob.send(contract, "message.delivered", &named);
        ada.until("message.status", contract);
        bob.send(contract, "message.read", &named);
        ada.until("message.status", contract);
        let here = json!({"channel_id": channel});
        bob.send(contract, "typing.start", &here);
        ada.until("typing.update", contract);
        bob.send(contract, "typing.stop", &here);
        ada.until("typing.update", contract);
        let users = json!({"user_ids": [bob.id]});
        ada.send(contract, "presence.subscribe", &users);
        ada.until("presence.update", contract);
        bob.send(contract, "presence.set", &json!({"status": "away", "status_message": "lunch"}));
        ada.until("presence.update", contract);
        // That he is away is known a moment after he has said so.
        let since = Instant::now();
        while !contract.seen.contains("notification") {
            assert!(since.elapsed() < PATIENCE, "no notification");
            ada.send(contract, "message.send", &json!({"channel_id": channel, "content": "still there?"}));
            bob.until("message.new", contract);
            bob.send(contract, "ping", &json!({}));
            bob.until("pong", contract);
        }
        ada.send(contract, "presence.unsubscribe", &users);
        ada.send(contract, "message.delete", &named);
        bob.until("message.deleted", contract);
    }

    /// A message from before one joined, in a channel that hides those, changes: live and in a sync it is a number.
    fn hidden(&mut self) {
        let Self { contract, ada, bob, .. } = self;
        let wish = json!({"type": "group", "name": "from now on", "member_ids": []});
        let channel = ada.rest("POST", "/channels", Some(wish))["id"].as_str().expect("an id").to_owned();
        let settings = json!({"settings": {"history_for_joiners": "from_join"}});
        ada.rest("PATCH", &format!("/channels/{channel}"), Some(settings));
        ada.send(contract, "message.send", &json!({"channel_id": channel, "content": "secret"}));
        let message = ada.until("message.new", contract)["message_id"].clone();
        ada.rest("POST", &format!("/channels/{channel}/members"), Some(json!({"user_ids": [bob.id]})));
        let joined = bob.until("channel.member_added", contract)["change"].clone();
        let edit = json!({"channel_id": channel, "message_id": message, "content": "secret still"});
        ada.send(contract, "message.edit", &edit);
        let told = bob.until("message.hidden", contract);
        let number = told["change"].clone();
        assert_eq!(number.as_u64(), joined.as_u64().map(|joined| joined + 1));
        assert_eq!(told, json!({"channel_id": channel, "change": number}));
        let asked =
            json!({"channels": [{"channel_id": channel, "last_message_id": null, "last_change": joined}]});
        bob.send(contract, "sync", &asked);
        let page = bob.until("sync.page", contract);
        assert_eq!(page["changes"], json!([{"type": "message.hidden", "payload": told}]));
        assert_eq!(page["messages"], json!([]));
    }

    fn connection(&mut self) {
        let Self { contract, ada, channel, .. } = self;
        let asked = json!({"channels": [{"channel_id": channel, "last_message_id": null, "last_change": 0}]});
        ada.send(contract, "sync", &asked);
        ada.until("sync.page", contract);
        ada.until("sync.done", contract);
        let renewed = json!({"refresh_token": ada.refresh_token});
        let (_, renewed) = ask(ada.api, "POST", "/auth/refresh", "", Some(renewed));
        ada.token = renewed["access_token"].as_str().expect("a token").to_owned();
        ada.send(contract, "auth", &json!({"access_token": ada.token}));
        ada.until("auth.ok", contract);
        ada.send(contract, "ping", &json!({"at": 1}));
        assert_eq!(ada.until("pong", contract), json!({"at": 1}));
        let elsewhere = json!({"channel_id": Uuid::new_v4(), "content": "anyone?"});
        ada.send(contract, "message.send", &elsewhere);
        assert_eq!(ada.until("error", contract)["code"], "not_a_member");
        // Whether the message is there is the pipeline's to say, after the acknowledgement.
        ada.send(contract, "message.delete", &json!({"channel_id": channel, "message_id": "1"}));
        assert_eq!(ada.until("message.rejected", contract)["code"], "not_found");
    }

    fn goodbye(mut self, server: Server) -> Contract {
        let draining = std::thread::spawn(move || server.stop());
        let since = Instant::now();
        while let Some(frame) = self.bob.next(&mut self.contract) {
            assert!(since.elapsed() < PATIENCE, "no goodbye, but {frame}");
        }
        drop((self.ada.live.take(), self.bob.live.take()));
        assert!(draining.join().expect("no panic").success());
        self.contract
    }
}

/// Each message has an example, which is as its schema says; and there is a server to connect to.
#[test]
fn examples_are_as_the_document_says() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let mut contract = Contract::of(&server);
    let document: Value = serde_json::from_str(&server.get_api("/asyncapi.json").1).expect("JSON");
    for (kind, message) in document["components"]["messages"].as_object().expect("messages") {
        let examples = message["examples"].as_array().unwrap_or_else(|| panic!("{kind} has no example"));
        examples.iter().for_each(|example| contract.check(&example["payload"]));
        assert!(contract.seen.contains(kind), "{kind} has another's example");
    }
    for server in document["servers"].as_object().expect("servers").values() {
        assert!(["ws", "wss"].contains(&server["protocol"].as_str().expect("a protocol")), "{server}");
        assert!(server["host"].is_string(), "{server}");
    }
    assert!(document["servers"].as_object().is_some_and(|servers| !servers.is_empty()));
}

#[test]
fn every_frame_is_as_the_document_says() {
    let data = folder();
    let off = ["MESSAGES_PER_SECOND", "CHANNEL_MESSAGES_PER_MINUTE", "REST_PER_MINUTE"];
    let off = off.map(|limit| (format!("RINGSIDE_LIMITS_{limit}"), "0"));
    let off: Vec<(&str, &str)> = off.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let server = Server::start(data.path(), &[], &off);
    let mut contract = Contract::of(&server);
    let (mut ada, mut bob) = (Person::registered(&server, "ada"), Person::registered(&server, "bob"));
    ada.connect(&server, &mut contract);
    bob.connect(&server, &mut contract);
    let wish = json!({"type": "group", "name": "ring", "member_ids": [bob.id]});
    let channel = ada.rest("POST", "/channels", Some(wish))["id"].as_str().expect("an id").to_owned();
    bob.until("channel.created", &mut contract);
    ada.rest("DELETE", &format!("/channels/{channel}/members/{}", bob.id), None);
    bob.until("channel.member_removed", &mut contract);
    ada.rest("POST", &format!("/channels/{channel}/members"), Some(json!({"user_ids": [bob.id]})));
    bob.until("channel.member_added", &mut contract);
    ada.rest("PATCH", &format!("/channels/{channel}"), Some(json!({"topic": "tea"})));
    bob.until("channel.updated", &mut contract);
    ada.rest("PATCH", &format!("/channels/{channel}/members/{}", bob.id), Some(json!({"role": "admin"})));
    bob.until("channel.member_updated", &mut contract);
    let wish = json!({"type": "group", "name": "gone", "member_ids": [bob.id]});
    let gone = ada.rest("POST", "/channels", Some(wish))["id"].as_str().expect("an id").to_owned();
    ada.rest("DELETE", &format!("/channels/{gone}"), None);
    bob.until("channel.deleted", &mut contract);
    let mut walk = Walk { contract, ada, bob, channel };
    walk.hidden();
    walk.messages();
    walk.connection();
    let contract = walk.goodbye(server);
    let missing: Vec<_> = contract.frames.keys().filter(|kind| !contract.seen.contains(*kind)).collect();
    assert!(missing.is_empty(), "neither sent nor received: {missing:?}");
}

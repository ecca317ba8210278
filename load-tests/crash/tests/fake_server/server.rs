//! A fake server for the crash test's own tests: it takes the flags of `ringside up`, keeps the contract over a
//! SIGKILL with a journal of lines, or breaks it in one chosen way.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use uuid::Uuid;

#[derive(Parser)]
pub struct Options {
    command: String,
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long)]
    api_addr: String,
    #[arg(long)]
    edge_addr: String,
    #[arg(long)]
    admin_addr: String,
    /// In which way the contract is broken.
    #[arg(skip)]
    pub defect: Defect,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Defect {
    #[default]
    None,
    /// Acknowledges before it writes, and writes late.
    Loses,
    /// Forgets idempotency keys when it dies.
    Doubles,
    /// Leaves a live message out now and then.
    Gaps,
    /// Leaves the newest message out of a sync now and then.
    Stale,
    /// Forgets when it dies how far people had come.
    Forgets,
    /// Takes a message of one's own for unread.
    Miscounts,
}

struct FakeServer {
    journal: File,
    /// Lines not yet written: only with `Loses`.
    late: Vec<String>,
    channels: HashMap<Uuid, Vec<Uuid>>,
    messages: HashMap<Uuid, Vec<Value>>,
    keys: HashMap<(Uuid, Uuid, Uuid), ()>,
    /// The last (delivered, read) of each user in each channel.
    cursors: HashMap<(Uuid, Uuid), (u64, u64)>,
    links: Vec<(Uuid, UnboundedSender<String>)>,
    turn: u64,
    defect: Defect,
}

type Shared = Arc<Mutex<FakeServer>>;

fn id_of(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}

impl FakeServer {
    fn open(folder: &std::path::Path, defect: Defect) -> Self {
        std::fs::create_dir_all(folder).expect("a data folder");
        let path = folder.join("journal");
        let journal = OpenOptions::new().create(true).append(true).open(&path).expect("a journal");
        let mut server = Self {
            journal,
            late: Vec::new(),
            channels: HashMap::new(),
            messages: HashMap::new(),
            keys: HashMap::new(),
            cursors: HashMap::new(),
            links: Vec::new(),
            turn: 0,
            defect,
        };
        for line in BufReader::new(File::open(&path).expect("a journal")).lines() {
            // A line that was cut off by the kill was not acknowledged.
            if let Ok(entry) = serde_json::from_str(&line.expect("text")) {
                server.apply(entry);
            }
        }
        if defect == Defect::Doubles {
            server.keys.clear();
        }
        if defect == Defect::Forgets {
            server.cursors.clear();
        }
        server
    }

    fn apply(&mut self, entry: Value) {
        let channel = id_of(&entry["channel_id"]).expect("a channel");
        if let Some(members) = entry["members"].as_array() {
            self.channels.insert(channel, members.iter().filter_map(id_of).collect());
            return;
        }
        if let Some(user) = id_of(&entry["user_id"]) {
            return self.raise(channel, user, number(&entry["delivered"]), number(&entry["read"]));
        }
        let sender = id_of(&entry["sender"]["id"]).expect("a sender");
        if self.defect != Defect::Miscounts {
            let id = number(&entry["message_id"]);
            self.raise(channel, sender, id, id);
        }
        let client_id = id_of(&entry["client_id"]).expect("a key");
        self.keys.insert((channel, sender, client_id), ());
        self.messages.entry(channel).or_default().push(entry);
    }

    fn raise(&mut self, channel: Uuid, user: Uuid, delivered: u64, read: u64) {
        let cursor = self.cursors.entry((channel, user)).or_default();
        *cursor = (cursor.0.max(delivered), cursor.1.max(read));
    }

    fn cursor(&self, channel: Uuid, user: Uuid) -> Value {
        let (delivered, read) = self.cursors.get(&(channel, user)).copied().unwrap_or_default();
        let id = |id: u64| (id > 0).then(|| id.to_string());
        json!({ "channel_id": channel, "user_id": user, "last_delivered_id": id(delivered), "last_read_id": id(read) })
    }

    fn unread(&self, channel: Uuid, user: Uuid) -> usize {
        let (_, read) = self.cursors.get(&(channel, user)).copied().unwrap_or_default();
        let all = self.messages.get(&channel).map_or(&[][..], Vec::as_slice);
        all.iter().filter(|message| number(&message["message_id"]) > read).count()
    }

    fn receipt(&mut self, user: Uuid, frame: &Value) -> Option<String> {
        let payload = &frame["payload"];
        let (channel, id) = (id_of(&payload["channel_id"])?, number(&payload["message_id"]));
        let mut all = self.messages.get(&channel).into_iter().flatten();
        if !all.any(|message| number(&message["message_id"]) == id) {
            return Some(error(frame["id"].as_str()?, "not_found"));
        }
        let read = if frame["type"] == "message.read" { id } else { 0 };
        let line = |id: u64| Value::from(id.to_string());
        let entry =
            json!({ "channel_id": channel, "user_id": user, "delivered": line(id), "read": line(read) });
        self.write(&entry);
        self.apply(entry);
        let status = json!({ "type": "message.status", "payload": self.cursor(channel, user) }).to_string();
        for (other, link) in &self.links {
            if self.channels[&channel].contains(other) {
                let _ = link.send(status.clone());
            }
        }
        None
    }

    fn write(&mut self, entry: &Value) {
        let line = format!("\n{entry}\n");
        if self.defect == Defect::Loses && entry["members"].is_null() {
            self.late.push(line);
            if self.late.len() < 40 {
                return;
            }
        } else {
            self.late.push(line);
        }
        let lines = self.late.concat();
        self.late.clear();
        self.journal.write_all(lines.as_bytes()).expect("written");
    }

    fn send(&mut self, sender: Uuid, id: &str, payload: &Value) -> String {
        let (Some(channel), Ok(client_id)) = (id_of(&payload["channel_id"]), id.parse::<Uuid>()) else {
            return error(id, "bad_request");
        };
        if !self.channels.get(&channel).is_some_and(|members| members.contains(&sender)) {
            return error(id, "not_a_member");
        }
        let ack = json!({ "type": "message.ack", "id": id, "payload": { "status": "received" } }).to_string();
        if self.keys.contains_key(&(channel, sender, client_id)) {
            return ack;
        }
        let seq = self.messages.get(&channel).map_or(0, Vec::len) + 1;
        let high = channel.as_u128() as u64 % 1_000_000;
        let entry = json!({
            "message_id": (high * 1_000_000 + seq as u64).to_string(), "seq": seq, "client_id": client_id,
            "channel_id": channel, "sender": { "id": sender, "username": "somebody" },
            "content": payload["content"], "content_type": "text", "created_at": "2026-01-01T00:00:00.000Z",
        });
        self.write(&entry);
        self.apply(entry.clone());
        let new = json!({ "type": "message.new", "payload": entry }).to_string();
        for (user, link) in &self.links {
            if self.channels[&channel].contains(user) {
                self.turn += 1;
                if self.defect != Defect::Gaps || !self.turn.is_multiple_of(50) {
                    let _ = link.send(new.clone());
                }
            }
        }
        ack
    }

    fn sync(&mut self, user: Uuid, id: &str, payload: &Value, link: &UnboundedSender<String>) {
        let limit = payload["limit"].as_u64().unwrap_or(100).clamp(1, 200) as usize;
        let mut done = Vec::new();
        for asked in payload["channels"].as_array().unwrap_or(&Vec::new()) {
            let Some(channel) = id_of(&asked["channel_id"]) else { continue };
            let after = number(&asked["last_message_id"]);
            let all = self.messages.get(&channel).map_or(&[][..], Vec::as_slice);
            let last_seq = all.len();
            let missing: Vec<&Value> =
                all.iter().filter(|message| number(&message["message_id"]) > after).collect();
            self.turn += 1;
            let stale = self.defect == Defect::Stale && self.turn.is_multiple_of(5);
            let shown = missing.len() - usize::from(stale && !missing.is_empty());
            let mut pages = missing[..shown].chunks(limit).peekable();
            while let Some(messages) = pages.next() {
                let has_more = pages.peek().is_some();
                let page = json!({ "channel_id": channel, "messages": messages, "changes": [], "has_more": has_more, "reset": false });
                let _ = link.send(json!({ "type": "sync.page", "id": id, "payload": page }).to_string());
            }
            let unread = self.unread(channel, user);
            done.push(json!({ "channel_id": channel, "last_seq": last_seq, "unread_count": unread }));
        }
        let _ =
            link.send(json!({ "type": "sync.done", "id": id, "payload": { "channels": done } }).to_string());
    }
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|id| id.parse().ok()).unwrap_or(0)
}

fn error(id: &str, code: &str) -> String {
    json!({ "type": "error", "id": id, "payload": { "code": code, "message": "No." } }).to_string()
}

#[expect(clippy::result_large_err, reason = "the signature of the handshake's callback")]
async fn serve(stream: TcpStream, server: Shared) {
    let mut user = Uuid::nil();
    let upgraded = tokio_tungstenite::accept_hdr_async(stream, |request: &Request, response: Response| {
        let token = request.headers()["authorization"].to_str().unwrap_or("");
        user = token.strip_prefix("Bearer ").and_then(|id| id.parse().ok()).unwrap_or(user);
        Ok(response)
    });
    let Ok(mut socket) = upgraded.await else { return };
    let (link, mut inbox) = unbounded_channel();
    let _ = link.send(json!({ "type": "hello", "payload": { "user_id": user } }).to_string());
    server.lock().expect("unpoisoned").links.push((user, link.clone()));
    loop {
        tokio::select! {
            frame = inbox.recv() => {
                let Some(frame) = frame else { return };
                if socket.send(Message::text(frame)).await.is_err() { break }
            }
            received = socket.next() => {
                let Some(Ok(Message::Text(text))) = received else { break };
                let Ok(frame) = serde_json::from_str::<Value>(&text) else { break };
                let id = frame["id"].as_str().unwrap_or("");
                let mut server = server.lock().expect("unpoisoned");
                match frame["type"].as_str() {
                    Some("message.send") => drop(link.send(server.send(user, id, &frame["payload"]))),
                    Some("sync") => server.sync(user, id, &frame["payload"], &link),
                    Some("message.read" | "message.delivered") => {
                        server.receipt(user, &frame).into_iter().for_each(|refusal| drop(link.send(refusal)));
                    }
                    _ => drop(link.send(error(id, "unknown_type"))),
                }
            }
        }
    }
    server.lock().expect("unpoisoned").links.retain(|(_, other)| !other.same_channel(&link));
}

fn caller(headers: &HeaderMap) -> Uuid {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
    token.strip_prefix("Bearer ").and_then(|id| id.parse().ok()).unwrap_or(Uuid::nil())
}

async fn register() -> (StatusCode, Json<Value>) {
    let id = Uuid::new_v4();
    (StatusCode::CREATED, Json(json!({ "user": { "id": id }, "access_token": id })))
}

async fn create(
    State(server): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let id = Uuid::new_v4();
    let mut members = vec![caller(&headers)];
    members.extend(body["member_ids"].as_array().into_iter().flatten().filter_map(id_of));
    let entry = json!({ "channel_id": id, "members": members });
    let mut server = server.lock().expect("unpoisoned");
    server.write(&entry);
    server.apply(entry);
    (StatusCode::CREATED, Json(json!({ "id": id })))
}

async fn history(
    State(server): State<Shared>,
    Path(channel): Path<Uuid>,
    Query(query): Query<HashMap<String, u64>>,
) -> Json<Value> {
    let before = query.get("before").copied().unwrap_or(u64::MAX);
    let server = server.lock().expect("unpoisoned");
    let all = server.messages.get(&channel).map_or(&[][..], Vec::as_slice);
    let older = all
        .iter()
        .rev()
        .filter(|m| m["message_id"].as_str().and_then(|id| id.parse::<u64>().ok()) < Some(before));
    Json(json!({ "items": older.take(100).collect::<Vec<_>>(), "next_cursor": null }))
}

async fn receipts(State(server): State<Shared>, Path(channel): Path<Uuid>) -> Json<Value> {
    let server = server.lock().expect("unpoisoned");
    let members = server.channels.get(&channel).into_iter().flatten();
    let items: Vec<Value> = members.map(|user| server.cursor(channel, *user)).collect();
    Json(json!({ "items": items, "next_cursor": null }))
}

async fn channels(State(server): State<Shared>, headers: HeaderMap) -> Json<Value> {
    let (server, user) = (server.lock().expect("unpoisoned"), caller(&headers));
    let own = server.channels.iter().filter(|(_, members)| members.contains(&user));
    let items = own.map(|(channel, _)| {
        let last = server.messages.get(channel).and_then(|messages| messages.last());
        json!({ "id": channel, "unread_count": server.unread(*channel, user), "last_message": last })
    });
    Json(json!({ "items": items.collect::<Vec<_>>(), "next_cursor": null }))
}

/// Serves until SIGTERM.
pub async fn run(options: Options) {
    assert_eq!(options.command, "up");
    let defect = options.defect;
    let server = Arc::new(Mutex::new(FakeServer::open(&options.data_dir, defect)));
    let api = TcpListener::bind(&options.api_addr).await.expect("the API's port");
    let edge = TcpListener::bind(&options.edge_addr).await.expect("the edge's port");
    let admin = TcpListener::bind(&options.admin_addr).await.expect("the admin port");
    let routes = Router::new()
        .route("/api/v1/auth/register", post(register))
        .route("/api/v1/channels", post(create).get(channels))
        .route("/api/v1/channels/{id}/receipts", get(receipts))
        .route("/api/v1/channels/{id}/messages", get(history))
        .with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(api, routes).await });
    tokio::spawn(
        async move { axum::serve(admin, Router::new().route("/ready", get(async || "ready"))).await },
    );
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals");
    loop {
        tokio::select! {
            accepted = edge.accept() => {
                let (stream, _) = accepted.expect("a connection");
                tokio::spawn(serve(stream, Arc::clone(&server)));
            }
            _ = end.recv() => return,
        }
    }
}

//! What a client does: sends, repeats, asks for changes, says how far it has read, vanishes.

use std::time::{Duration, Instant};

use hyper::Method;
use rand::RngExt;
use ringside_checker::history::Event;
use ringside_test_client::amendment::Amendment;
use ringside_test_client::websocket::Socket;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::amendments::Request;
use super::outbox::Outgoing;
use super::{Agent, NextStep, REST_DEADLINE};
use crate::context::Phase;

/// Messages under way per client.
const MAX_UNFINISHED: usize = 128;
/// Messages sent in one go, without waiting for anything.
const MAX_BURST: u32 = 8;
/// The longest content, in characters.
const MAX_CONTENT: usize = 2000;
/// `hello` waits for the log; a connection without it for this long is given up.
const HELLO_DEADLINE: Duration = Duration::from_secs(15);
/// A sync without `sync.done` for this long is given up with its connection.
const SYNC_DEADLINE: Duration = Duration::from_secs(20);
/// The longest time that a client does not read.
const MAX_STALL_MS: u64 = 600;

impl Agent {
    pub(super) fn act(&mut self, socket: &mut Socket) -> NextStep {
        let now = Instant::now();
        let sync_hangs =
            self.sync.as_ref().is_some_and(|(_, since)| now.duration_since(*since) > SYNC_DEADLINE);
        if sync_hangs || (!self.is_open && now.duration_since(self.connected_at) > HELLO_DEADLINE) {
            return NextStep::Leave { politely: false };
        }
        if !self.is_open {
            return NextStep::Stay;
        }
        for outgoing in self.outbox.due_for_retry(now) {
            self.send(socket, &outgoing);
        }
        for request in self.amendments.due_for_retry(now) {
            self.ask(socket, &request);
        }
        let leaving = self.context.phase() == Phase::Leaving;
        self.wants_sync |= self.outbox.has_overdue(now) || (leaving && !self.is_last_sync);
        if self.wants_sync && self.sync.is_none() {
            self.begin_sync(socket);
        }
        match self.context.phase() {
            Phase::Sending => self.misbehave_or_send(socket, now),
            Phase::Settling | Phase::Leaving => NextStep::Stay,
        }
    }

    fn misbehave_or_send(&mut self, socket: &mut Socket, now: Instant) -> NextStep {
        match self.random.random_range(0..1000u32) {
            0..=9 => return NextStep::Leave { politely: false },
            10..=14 => return NextStep::Leave { politely: true },
            15..=24 => {
                return NextStep::Stall(Duration::from_millis(self.random.random_range(0..MAX_STALL_MS)));
            }
            25..=44 => self.wants_sync = true,
            45..=94 => self.repeat_something(socket),
            95..=194 => {
                if let Some(request) = self.amendments.choose(&mut self.random, self.persona.client, now) {
                    if request.frame().is_none() {
                        return NextStep::Pin(request);
                    }
                    self.ask(socket, &request);
                }
            }
            195..=699 => {
                for _ in 0..self.random.random_range(1..=MAX_BURST) {
                    self.send_something(socket, now);
                }
            }
            700..=849 => self.send_receipt(socket),
            850..=859 => return NextStep::Channels,
            860..=874 if !self.persona.channels.is_empty() => {
                let channel = self.random.random_range(0..self.persona.channels.len());
                return NextStep::Receipts(self.persona.channels[channel]);
            }
            _ => {}
        }
        NextStep::Stay
    }

    /// A retry of what the server has for certain.
    fn repeat_something(&mut self, socket: &mut Socket) {
        let seen = self.outbox.seen_lately();
        if !seen.is_empty() {
            let outgoing = seen[self.random.random_range(0..seen.len())].clone();
            self.send(socket, &outgoing);
        }
    }

    fn send_something(&mut self, socket: &mut Socket, now: Instant) {
        if self.outbox.count() >= MAX_UNFINISHED || self.persona.channels.is_empty() {
            return;
        }
        let channel = self.persona.channels[self.random.random_range(0..self.persona.channels.len())];
        let client_id = uuid::Builder::from_random_bytes(self.random.random()).into_uuid();
        let outgoing = Outgoing { channel, client_id, content: self.content() };
        self.sent_to.insert(client_id, channel);
        self.outbox.add(outgoing.clone(), now);
        self.send(socket, &outgoing);
    }

    /// Short and long, plain and with what JSON has to escape.
    fn content(&mut self) -> String {
        let mut content = format!("{}.{} ", self.persona.client, self.sent_to.len());
        match self.random.random_range(0..20u32) {
            0 => content.push_str("\"quoted\" \\ / \u{8}\t\n\u{1f} \u{2028}"),
            1 => content.push_str("ä ß 漢字 🦀 \u{200d} שלום"),
            2 => content.extend(std::iter::repeat_n('x', self.random.random_range(0..MAX_CONTENT))),
            _ => {}
        }
        content
    }

    pub(super) fn send(&mut self, socket: &mut Socket, outgoing: &Outgoing) {
        let Outgoing { channel, client_id, content } = outgoing.clone();
        let payload =
            json!({ "channel_id": channel, "content": content, "content_type": "text", "reply_to": null });
        socket.queue(&json!({ "type": "message.send", "id": client_id, "payload": payload }).to_string());
        self.record(Event::Sent { channel, client_id, content });
    }

    fn asked(&mut self, request: &Request) {
        let Request { channel, client_id, message_id, amendment } = request.clone();
        self.sent_to.insert(client_id, channel);
        self.record(Event::Asked { channel, client_id, message_id, amendment });
    }

    pub(super) fn ask(&mut self, socket: &mut Socket, request: &Request) {
        if let Some(frame) = request.frame() {
            socket.queue(&frame);
            self.asked(request);
        }
    }

    pub(super) async fn pin(&mut self, request: Request) {
        self.asked(&request);
        let Request { channel, client_id, message_id, amendment } = request;
        let pinned = matches!(amendment, Amendment::Pin { pinned: true });
        let method = if pinned { Method::PUT } else { Method::DELETE };
        let path = format!("/api/v1/channels/{channel}/pins/{message_id}");
        let call = self.context.rest.call(method, &path, Some(&self.persona.account.access_token), None);
        let status = timeout(REST_DEADLINE, call).await.ok().and_then(Result::ok).map(|answer| answer.status);
        self.record(match status {
            Some(200..300) => Event::Acked { channel, client_id },
            Some(code @ 400..500) => Event::Refused { channel, client_id, code: code.to_string() },
            _ => Event::Unconfirmed { channel, client_id },
        });
    }

    pub(super) fn begin_sync(&mut self, socket: &mut Socket) {
        self.wants_sync = false;
        self.is_last_sync = self.context.phase() == Phase::Leaving;
        if self.is_last_sync {
            self.send_last_receipts(socket);
        }
        self.syncs += 1;
        let id = format!("sync-{}", self.syncs);
        let channels = self.view.last_ids();
        let changes = self.view.last_changes();
        let named = |((channel, last), (_, change)): (&(Uuid, Option<u64>), &(Uuid, u64))| {
            let last = last.map(|id| id.to_string());
            json!({ "channel_id": channel, "last_message_id": last, "last_change": change })
        };
        let asked: Vec<_> = channels.iter().zip(&changes).map(named).collect();
        let limit = self.random.random_range(1..=200u32);
        let payload = json!({ "channels": asked, "limit": limit });
        socket.queue(&json!({ "type": "sync", "id": id, "payload": payload }).to_string());
        self.record(Event::SyncSent { channels, changes });
        self.sync = Some((id, Instant::now()));
    }
}

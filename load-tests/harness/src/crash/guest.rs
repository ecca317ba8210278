//! Somebody who only listens, and is shut out of a channel or of the session and let in again, all the time.

use std::time::{Duration, Instant};

use hyper::Method;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::stage::{Phase, Stage};
use crate::client::{Incoming, ServerFrame, Socket, parse};
use crate::history::{ClientHistory, Event, Record};
use crate::rest::{Rest, Session};

/// How long a guest listens between two turns of fate.
const LISTEN_MS: std::ops::Range<u64> = 300..1500;
/// And after being shut out: longer than the bound that the checker holds.
const LISTEN_SHUT_OUT: Duration = Duration::from_millis(2600);
/// A server that was killed answers nothing; the request is made again.
const REQUEST_DEADLINE: Duration = Duration::from_secs(3);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Who a guest is, and who decides about them.
pub(super) struct Invitation {
    pub client: u32,
    pub username: String,
    pub session: Session,
    /// Channels with the owner's token.
    pub channels: Vec<(Uuid, String)>,
}

pub(super) struct Guest {
    invitation: Invitation,
    stage: Stage,
    rest: Rest,
    random: SmallRng,
    records: Vec<Record>,
    connection: u32,
    socket: Option<Socket>,
}

impl Guest {
    pub(super) fn new(invitation: Invitation, stage: Stage, rest: Rest, seed: u64) -> Self {
        let own_seed = seed ^ u64::from(invitation.client + 1).wrapping_mul(0x6775_6573_7479_6f75);
        Self {
            invitation,
            stage,
            rest,
            random: SmallRng::seed_from_u64(own_seed),
            records: Vec::new(),
            connection: 0,
            socket: None,
        }
    }

    /// Lives until nothing new is said, or `give_up` passes.
    pub(super) async fn run(mut self, give_up: Instant) -> ClientHistory {
        while self.stage.phase() == Phase::Sending && Instant::now() < give_up {
            let time = Duration::from_millis(self.random.random_range(LISTEN_MS));
            self.listen(time).await;
            if self.random.random_bool(0.3) {
                self.sign_out_and_in(give_up).await;
            } else {
                let at = self.random.random_range(0..self.invitation.channels.len());
                self.leave_and_return(at, give_up).await;
            }
        }
        ClientHistory {
            client: self.invitation.client,
            user_id: self.invitation.session.account.user_id,
            settled: false,
            records: self.records,
        }
    }

    fn record(&mut self, event: Event) {
        self.records.push(Record { at_us: self.stage.now_us(), connection: self.connection, event });
    }

    async fn leave_and_return(&mut self, at: usize, give_up: Instant) {
        let (channel, owner) = self.invitation.channels[at].clone();
        let user = self.invitation.session.account.user_id;
        let path = format!("/api/v1/channels/{channel}/members/{user}");
        if !self.insist(Method::DELETE, &path, &owner, None, give_up).await {
            return;
        }
        self.record(Event::ShutOut { channel: Some(channel) });
        self.listen(LISTEN_SHUT_OUT).await;
        self.record(Event::LetIn { channel: Some(channel) });
        let path = format!("/api/v1/channels/{channel}/members");
        self.insist(Method::POST, &path, &owner, Some(json!({ "user_id": user })), give_up).await;
    }

    async fn sign_out_and_in(&mut self, give_up: Instant) {
        let token = self.invitation.session.account.access_token.clone();
        let refresh = json!({ "refresh_token": self.invitation.session.refresh_token });
        if !self.insist(Method::POST, "/api/v1/auth/logout", &token, Some(refresh), give_up).await {
            return;
        }
        self.record(Event::ShutOut { channel: None });
        self.listen(LISTEN_SHUT_OUT).await;
        self.socket = None;
        while Instant::now() < give_up {
            let login = self.rest.login(&self.invitation.username);
            match timeout(REQUEST_DEADLINE, login).await {
                Ok(Ok(session)) => {
                    self.invitation.session = session;
                    return self.record(Event::LetIn { channel: None });
                }
                _ => sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Asks until there is an answer: what nobody answered may have happened or not.
    async fn insist(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<serde_json::Value>,
        give_up: Instant,
    ) -> bool {
        while Instant::now() < give_up {
            let rest = self.rest;
            let call = rest.call(method.clone(), path, Some(token), body.as_ref());
            let call = timeout(REQUEST_DEADLINE, call);
            tokio::pin!(call);
            // The socket is read meanwhile, so that the times of its events are their own.
            let answer = loop {
                tokio::select! {
                    answer = &mut call => break answer,
                    incoming = next_of(&mut self.socket) => {
                        let at_us = self.stage.now_us();
                        take(&mut self.records, &mut self.socket, self.connection, at_us, incoming);
                    }
                }
            };
            match answer {
                Ok(Ok(answer)) if (200..300).contains(&answer.status) || answer.status == 404 => return true,
                Ok(Ok(answer)) if answer.status < 500 => {
                    let body = String::from_utf8_lossy(&answer.body);
                    let detail = format!("{method} {path} of a guest was answered {}: {body}", answer.status);
                    self.record(Event::Malformed { detail });
                    return false;
                }
                _ => sleep(RETRY_PAUSE).await,
            }
        }
        false
    }

    /// Reads for so long, reconnecting where there is no connection.
    async fn listen(&mut self, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < until {
            if self.socket.is_none() {
                let nonce = self.random.random();
                let token = self.invitation.session.account.access_token.clone();
                match Socket::connect(&self.stage.target, &token, nonce).await {
                    Ok(socket) => {
                        self.connection += 1;
                        self.record(Event::Opened);
                        self.socket = Some(socket);
                    }
                    Err(_) => {
                        sleep(RETRY_PAUSE).await;
                        continue;
                    }
                }
            }
            let Ok(incoming) = tokio::time::timeout_at(until, next_of(&mut self.socket)).await else {
                return;
            };
            let at_us = self.stage.now_us();
            take(&mut self.records, &mut self.socket, self.connection, at_us, incoming);
        }
    }
}

async fn next_of(socket: &mut Option<Socket>) -> Option<Incoming> {
    match socket {
        Some(socket) => socket.next().await.ok(),
        None => std::future::pending().await,
    }
}

/// Writes down what came; an ended connection is let go.
fn take(
    records: &mut Vec<Record>,
    socket: &mut Option<Socket>,
    connection: u32,
    at_us: u64,
    incoming: Option<Incoming>,
) {
    let event = match incoming {
        Some(Incoming::Text(text)) => match parse(&text) {
            Ok(ServerFrame::New(message)) => {
                Event::New { channel: message.channel_id, message: message.into() }
            }
            Ok(ServerFrame::Changed { channel_id, change }) => Event::Changed { channel: channel_id, change },
            Ok(_) => return,
            Err(error) => Event::Malformed { detail: error.to_string() },
        },
        Some(Incoming::Closed(code)) => {
            *socket = None;
            Event::Closed { code }
        }
        None => {
            *socket = None;
            Event::Closed { code: None }
        }
    };
    records.push(Record { at_us, connection, event });
}

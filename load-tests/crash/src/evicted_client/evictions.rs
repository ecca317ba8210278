//! How the client is evicted: removed from a channel, signed out, or ended from another session of their own, by its id or
//! by a new password.

use std::time::{Duration, Instant};

use hyper::Method;
use ringside_checker::history::Event;
use ringside_test_client::eviction::Eviction;
use ringside_test_client::rest::{Answer, RestError, Session};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{EvictedClient, next_of, take};

/// After its eviction the client listens longer than the bound that the checker holds.
const LISTEN_AFTER_EVICTION: Duration = Duration::from_millis(2600);
/// A server that was killed answers nothing; the request is made again.
const REQUEST_DEADLINE: Duration = Duration::from_secs(3);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A request that evicts or readmits the client.
struct Request<'a> {
    method: Method,
    path: &'a str,
    token: &'a str,
    body: Option<Value>,
    /// What a repetition is answered when the first attempt was done and its answer lost.
    already_done: Option<u16>,
}

impl EvictedClient {
    pub(super) async fn remove_and_readmit(&mut self, at: usize, give_up: Instant) {
        let (channel, owner) = self.persona.channels[at].clone();
        let user = self.persona.session.account.user_id;
        let path = format!("/api/v1/channels/{channel}/members/{user}");
        let (method, path, token) = (Method::DELETE, path.as_str(), owner.as_str());
        let removal = Request { method, path, token, body: None, already_done: Some(404) };
        if self.retry_until_answered(removal, give_up).await.is_none() {
            return;
        }
        self.record(Event::Evicted { channel: Some(channel), eviction: Eviction::Removed });
        self.listen(LISTEN_AFTER_EVICTION).await;
        self.record(Event::Readmitted { channel: Some(channel) });
        let (method, path) = (Method::POST, &format!("/api/v1/channels/{channel}/members"));
        let body = Some(json!({ "user_id": user }));
        self.retry_until_answered(Request { method, path, token, body, already_done: Some(409) }, give_up)
            .await;
    }

    pub(super) async fn sign_out_and_in(&mut self, give_up: Instant) {
        let token = self.persona.session.account.access_token.clone();
        let body = Some(json!({ "refresh_token": self.persona.session.refresh_token }));
        let (method, path) = (Method::POST, "/api/v1/auth/logout");
        let logout = Request { method, path, token: &token, body, already_done: None };
        if self.retry_until_answered(logout, give_up).await.is_none() {
            return;
        }
        self.record(Event::Evicted { channel: None, eviction: Eviction::Logout });
        self.listen(LISTEN_AFTER_EVICTION).await;
        self.socket = None;
        if let Some(session) = self.sign_in(give_up).await {
            self.persona.session = session;
            self.record(Event::Readmitted { channel: None });
        }
    }

    /// Another session ends this one by its id, and is the client's from then on.
    pub(super) async fn revoke_session(&mut self, give_up: Instant) {
        let own = self.persona.session.account.access_token.clone();
        let Some(id) = self.current_session(&own, give_up).await else { return };
        let Some(other) = self.sign_in(give_up).await else { return };
        let path = format!("/api/v1/auth/sessions/{id}");
        let (method, path, token) = (Method::DELETE, path.as_str(), other.account.access_token.as_str());
        let revocation = Request { method, path, token, body: None, already_done: None };
        if self.retry_until_answered(revocation, give_up).await.is_some() {
            self.continue_as(other.clone(), Eviction::Revoked, give_up).await;
        }
    }

    /// Another session sets a new password, which ends this one.
    pub(super) async fn change_password(&mut self, give_up: Instant) {
        let Some(other) = self.sign_in(give_up).await else { return };
        self.passwords += 1;
        let new = format!("{} no {}", self.persona.username, self.passwords);
        let body = Some(json!({ "current": self.password, "new": new }));
        let (method, path, token) =
            (Method::PUT, "/api/v1/users/me/password", other.account.access_token.as_str());
        // Done, and not heard of: then the current password is another by now.
        let change = Request { method, path, token, body, already_done: Some(403) };
        if self.retry_until_answered(change, give_up).await.is_some() {
            self.password = new;
            self.continue_as(other.clone(), Eviction::Password, give_up).await;
        }
    }

    /// The session of the socket is over; the one that ended it is not.
    async fn continue_as(&mut self, other: Session, eviction: Eviction, give_up: Instant) {
        self.record(Event::Evicted { channel: None, eviction });
        self.listen(LISTEN_AFTER_EVICTION).await;
        self.socket = None;
        let token = &other.account.access_token;
        let own =
            Request { method: Method::GET, path: "/api/v1/users/me", token, body: None, already_done: None };
        // Anything but an answer of success is a violation of its own.
        self.retry_until_answered(own, give_up).await;
        self.persona.session = other;
        self.record(Event::Readmitted { channel: None });
    }

    async fn current_session(&mut self, token: &str, give_up: Instant) -> Option<String> {
        let path = "/api/v1/auth/sessions";
        let list = Request { method: Method::GET, path, token, body: None, already_done: None };
        let list: Value =
            serde_json::from_slice(&self.retry_until_answered(list, give_up).await?.body).ok()?;
        let current = list["items"].as_array()?.iter().find(|session| session["current"] == true)?;
        current["id"].as_str().map(str::to_owned)
    }

    async fn sign_in(&mut self, give_up: Instant) -> Option<Session> {
        while Instant::now() < give_up {
            let login = self.context.rest.login_with(&self.persona.username, &self.password);
            match timeout(REQUEST_DEADLINE, login).await {
                Ok(Ok(session)) => return Some(session),
                Ok(Err(RestError::Status { status: status @ 400..500, body, .. })) => {
                    let detail = format!("a guest's login was answered {status}: {body}");
                    self.record(Event::Malformed { detail });
                    return None;
                }
                _ => sleep(RETRY_PAUSE).await,
            }
        }
        None
    }

    /// Asks until there is an answer: what nobody answered may have happened or not.
    async fn retry_until_answered(&mut self, request: Request<'_>, give_up: Instant) -> Option<Answer> {
        let Request { method, path, token, body, already_done } = request;
        let mut is_repetition = false;
        while Instant::now() < give_up {
            let rest = self.context.rest;
            let call = rest.call(method.clone(), path, Some(token), body.as_ref());
            let call = timeout(REQUEST_DEADLINE, call);
            tokio::pin!(call);
            // The socket is read meanwhile, so that the times of its events are their own.
            let answer = loop {
                tokio::select! {
                    answer = &mut call => break answer,
                    incoming = next_of(&mut self.socket) => {
                        let at_us = self.context.now_us();
                        take(&mut self.records, &mut self.socket, self.connection, at_us, incoming);
                    }
                }
            };
            match answer {
                Ok(Ok(answer)) if (200..300).contains(&answer.status) => return Some(answer),
                Ok(Ok(answer)) if is_repetition && Some(answer.status) == already_done => {
                    return Some(answer);
                }
                Ok(Ok(answer)) if answer.status < 500 => {
                    let body = String::from_utf8_lossy(&answer.body);
                    let detail = format!("{method} {path} of a guest was answered {}: {body}", answer.status);
                    self.record(Event::Malformed { detail });
                    return None;
                }
                _ => sleep(RETRY_PAUSE).await,
            }
            is_repetition = true;
        }
        None
    }
}

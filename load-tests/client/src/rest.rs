//! The little of the REST contract that the tools need, one connection a request.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::cursor::{Cursor, Unread};
use crate::websocket::Message;

/// An answer has to be complete within this time.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// Messages asked for at once; the contract's largest page.
const HISTORY_PAGE: usize = 100;
/// And of any other list.
const LIST_PAGE: usize = 100;

/// Speaks to one API address.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    address: SocketAddr,
}

/// An answer whose body has come whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no useful answer.
#[derive(Debug, Error)]
pub enum RestError {
    #[error("REST: {0}")]
    Io(#[from] std::io::Error),
    /// The answer was no HTTP.
    #[error("REST: {0}")]
    Http(#[from] hyper::Error),
    /// Nothing came in time.
    #[error("REST: no answer within {} s", ANSWER_DEADLINE.as_secs())]
    Deadline,
    /// The request can't be written down.
    #[error("REST: {0}")]
    Request(#[from] hyper::http::Error),
    /// Another status than the contract's.
    #[error("REST: {what} was answered {status}: {body}")]
    Status { what: String, status: u16, body: String },
    /// The body is not what the contract says.
    #[error("REST: the answer to {what}: {source}")]
    Body { what: String, source: serde_json::Error },
}

/// An account that this process may act for.
#[derive(Clone, Debug)]
pub struct Account {
    pub user_id: Uuid,
    /// For the edge and for REST.
    pub access_token: String,
}

/// A session just begun.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose session it is.
    pub account: Account,
    /// Ends it, or renews it once.
    pub refresh_token: String,
}

impl Rest {
    /// For the API at this address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// One request, whatever the status of its answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, RestError> {
        let answer = self.exchange(method, path, token, body);
        tokio::time::timeout(ANSWER_DEADLINE, answer).await.map_err(|_| RestError::Deadline)?
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, RestError> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let response = sender.send_request(request.body(Full::new(bytes))?).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        driver.abort();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// `POST /auth/register`.
    pub async fn register(&self, username: &str) -> Result<Account, RestError> {
        Ok(self.sign_up(username).await?.account)
    }

    /// `POST /auth/register`, with all that it answers.
    pub async fn sign_up(&self, username: &str) -> Result<Session, RestError> {
        let body = json!({
            "email": format!("{username}@example.org"), "username": username, "password": password_of(username),
        });
        let answer = self.call(Method::POST, "/api/v1/auth/register", None, Some(&body)).await?;
        answer.session("a registration", 201)
    }

    /// `POST /auth/login` of somebody whom [`sign_up`](Self::sign_up) registered.
    pub async fn login(&self, username: &str) -> Result<Session, RestError> {
        self.login_with(username, &password_of(username)).await
    }

    /// `POST /auth/login` of somebody who has changed their password.
    pub async fn login_with(&self, username: &str, password: &str) -> Result<Session, RestError> {
        let body = json!({ "login": username, "password": password });
        let answer = self.call(Method::POST, "/api/v1/auth/login", None, Some(&body)).await?;
        answer.session("a login", 200)
    }

    /// `POST /channels`.
    pub async fn create_channel(
        &self,
        token: &str,
        kind: &str,
        name: &str,
        member_ids: &[Uuid],
    ) -> Result<Uuid, RestError> {
        #[derive(Deserialize)]
        struct Channel {
            id: Uuid,
        }
        let body = json!({ "name": name, "type": kind, "member_ids": member_ids });
        let answer = self.call(Method::POST, "/api/v1/channels", Some(token), Some(&body)).await?;
        let channel: Channel = answer.read("a new channel", &[200, 201])?;
        Ok(channel.id)
    }

    /// All items of a list.
    pub async fn items<T: for<'a> Deserialize<'a>>(
        &self,
        token: &str,
        path: &str,
    ) -> Result<Vec<T>, RestError> {
        #[derive(Deserialize)]
        struct Page<T> {
            items: Vec<T>,
            next_cursor: Option<String>,
        }
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = format!("{path}?limit={LIST_PAGE}{cursor}");
            let answer = self.call(Method::GET, &page, Some(token), None).await?;
            let page: Page<T> = answer.read(path, &[200])?;
            items.extend(page.items);
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// `GET /channels/{id}/receipts`.
    pub async fn receipts(&self, token: &str, channel: Uuid) -> Result<Vec<Cursor>, RestError> {
        self.items(token, &format!("/api/v1/channels/{channel}/receipts")).await
    }

    /// `GET /channels`, as far as it tells what is unread.
    pub async fn unread(&self, token: &str) -> Result<Vec<Unread>, RestError> {
        #[derive(Deserialize)]
        struct Channel {
            id: Uuid,
            unread_count: u64,
            last_message: Option<Last>,
        }
        #[derive(Deserialize)]
        struct Last {
            seq: u64,
        }
        let channels: Vec<Channel> = self.items(token, "/api/v1/channels").await?;
        let unread = |channel: Channel| Unread {
            channel: channel.id,
            last_seq: channel.last_message.map_or(0, |last| last.seq),
            count: channel.unread_count,
        };
        Ok(channels.into_iter().map(unread).collect())
    }

    /// `POST /channels/{id}/members`.
    pub async fn add_member(&self, token: &str, channel: Uuid, user: Uuid) -> Result<(), RestError> {
        let path = format!("/api/v1/channels/{channel}/members");
        let answer = self.call(Method::POST, &path, Some(token), Some(&json!({ "user_id": user }))).await?;
        answer.read::<Value>("a new member", &[200, 201]).map(drop)
    }

    /// The whole of a channel, oldest first.
    pub async fn history(&self, token: &str, channel: Uuid) -> Result<Vec<Message>, RestError> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<Message>,
        }
        let mut newest_first: Vec<Message> = Vec::new();
        loop {
            let before =
                newest_first.last().map_or(String::new(), |last| format!("&before={}", last.message_id));
            let path = format!("/api/v1/channels/{channel}/messages?limit={HISTORY_PAGE}{before}");
            let answer = self.call(Method::GET, &path, Some(token), None).await?;
            let page: Page = answer.read("a page of history", &[200])?;
            if page.items.is_empty() {
                newest_first.reverse();
                return Ok(newest_first);
            }
            newest_first.extend(page.items);
        }
    }
}

/// The password of everybody who is registered here.
pub fn password_of(username: &str) -> String {
    format!("{username} likes long passwords")
}

impl Answer {
    /// The body as a session.
    pub fn session(&self, what: &str, status: u16) -> Result<Session, RestError> {
        #[derive(Deserialize)]
        struct Begun {
            user: User,
            access_token: String,
            refresh_token: Option<String>,
        }
        #[derive(Deserialize)]
        struct User {
            id: Uuid,
        }
        let begun: Begun = self.read(what, &[status])?;
        let account = Account { user_id: begun.user.id, access_token: begun.access_token };
        Ok(Session { account, refresh_token: begun.refresh_token.unwrap_or_default() })
    }

    /// The body, if the status is one of these.
    pub fn read<T: for<'a> Deserialize<'a>>(&self, what: &str, statuses: &[u16]) -> Result<T, RestError> {
        let what = what.to_owned();
        if !statuses.contains(&self.status) {
            let body = String::from_utf8_lossy(&self.body).chars().take(400).collect();
            return Err(RestError::Status { what, status: self.status, body });
        }
        serde_json::from_slice(&self.body).map_err(|source| RestError::Body { what, source })
    }
}

//! One socket whose user is evicted, and the request that does it.

use std::time::{Duration, Instant};

use hyper::Method;
use ringside_test_client::eviction::Eviction;
use ringside_test_client::rest::{Rest, RestError, password_of};
use ringside_test_client::websocket::{Incoming, ServerFrame, Socket, parse};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{sleep, timeout_at};

use super::participants::Person;
use super::report::Measured;
use super::run::SilenceError;

/// How long a socket is listened to after the answer.
const LISTEN: Duration = Duration::from_secs(5);

/// A second session is begun this long before its request.
const PREPARE: Duration = Duration::from_secs(2);

/// Evicts one person at `at` and listens on. The socket is open and has events.
pub(super) async fn evict_and_listen(
    rest: Rest,
    person: Person,
    mut socket: Socket,
    at: Instant,
) -> Result<Measured, SilenceError> {
    let channel = person.channel;
    let eviction = person.eviction;
    let mut request = Box::pin(request(rest, person, at));
    let mut measured = Measured { eviction, answered: None, last_event: None, closed: None };
    let until = at + Duration::from_secs(60);
    let mut deadline = tokio::time::Instant::from_std(until);
    loop {
        tokio::select! {
            answer = &mut request, if measured.answered.is_none() => {
                let answered = answer?;
                measured.answered = Some(answered);
                deadline = (answered + LISTEN).into();
            }
            incoming = timeout_at(deadline, socket.next()) => match incoming {
                Err(_) => return Ok(measured),
                Ok(Ok(Incoming::Text(text))) => {
                    if let Ok(ServerFrame::New(message)) = parse(&text)
                        && message.channel_id == channel
                    {
                        measured.last_event = Some(Instant::now());
                    }
                }
                Ok(Ok(Incoming::Closed(code))) => {
                    measured.closed = Some((Instant::now(), code));
                    break;
                }
                Ok(Err(_)) => {
                    measured.closed = Some((Instant::now(), None));
                    break;
                }
            }
        }
    }
    if measured.answered.is_none() {
        measured.answered = Some(request.await?);
    }
    Ok(measured)
}

/// The request, made at `at`; what has to be known for it is asked before.
async fn request(rest: Rest, person: Person, at: Instant) -> Result<Instant, RestError> {
    // Hundreds of sign-ins at once would measure password hashes.
    sleep((at - PREPARE).saturating_duration_since(Instant::now())).await;
    let own = person.session.account.access_token.clone();
    let (method, path, token, body) = match person.eviction {
        Eviction::Logout => {
            let body = json!({ "refresh_token": person.session.refresh_token });
            (Method::POST, "/api/v1/auth/logout".to_owned(), own, Some(body))
        }
        Eviction::Revoked => {
            let id = current_session(rest, &own).await?;
            let other = rest.login(&person.username).await?.account.access_token;
            (Method::DELETE, format!("/api/v1/auth/sessions/{id}"), other, None)
        }
        Eviction::Password => {
            let other = rest.login(&person.username).await?.account.access_token;
            let body = json!({ "current": password_of(&person.username), "new": "another long password" });
            (Method::PUT, "/api/v1/users/me/password".to_owned(), other, Some(body))
        }
        Eviction::Removed => {
            let user = person.session.account.user_id;
            let path = format!("/api/v1/channels/{}/members/{user}", person.channel);
            (Method::DELETE, path, person.owner_token, None)
        }
    };
    sleep(at.saturating_duration_since(Instant::now())).await;
    let answer = rest.call(method, &path, Some(&token), body.as_ref()).await?;
    let answered = Instant::now();
    if answer.status == 204 {
        return Ok(answered);
    }
    answer.read::<serde_json::Value>(&path, &[204]).map(|_| answered)
}

async fn current_session(rest: Rest, token: &str) -> Result<String, RestError> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        id: String,
    }
    let answer = rest.call(Method::GET, "/api/v1/auth/sessions", Some(token), None).await?;
    let page: Page = answer.read("the sessions", &[200])?;
    Ok(page.items.into_iter().next().map(|item| item.id).unwrap_or_default())
}

//! `/users/me/export`: everything held about a user, as one JSON document, written while it is read.
//!
//! Each part is read in pages and sent before the next one is read, so an export takes the memory of a page however much
//! there is. One that fails on the way is cut off: what is complete ends with its last bracket.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ringside_ports::service::people::{ProfileService as _, RelationService as _, SessionService as _};
use ringside_ports::service::{
    Caller, ChannelService as _, HistoryRange, ListPart, Listed, MessageService as _, ServiceError,
};
use ringside_types::limits::LIST_MAX;
use ringside_types::{ChannelId, UserId};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use super::show;
use crate::problem::Problem;
use crate::router::{App, Services};
use crate::views;

/// Exports at once in the process: each reads the whole history of its user's channels.
const EXPORTS_MAX: usize = 4;
/// Chunks that wait for the client at the most.
const CHUNKS_MAX: usize = 4;
/// One that finds no room is told to come back after this long.
const RETRY_AFTER_MS: u64 = 10_000;

static RUNNING: Semaphore = Semaphore::const_new(EXPORTS_MAX);

/// The client went away, or an engine failed: either way the document ends here.
enum Stop {
    Gone,
    Failed(ServiceError),
}

impl From<ServiceError> for Stop {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}

pub(crate) async fn export<S: Services>(
    State(app): State<Arc<App<S>>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let room = RUNNING.try_acquire().map_err(|_| Problem::rate_limited(RETRY_AFTER_MS))?;
    // Whatever can be refused is refused with a status of its own.
    let profile = app.services.profiles().own(caller.user_id).await?;
    let name = format!("attachment; filename=\"ringside-{}.json\"", profile.user.username);
    let (chunks, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::spawn(async move {
        let writer = Writer { app, caller, chunks: chunks.clone() };
        if let Err(Stop::Failed(error)) = writer.document(show::own(&profile)).await {
            tracing::warn!(%error, user_id = %caller.user_id, "an export was cut off");
            // Nothing else tells the client that this is not all.
            let _ = chunks.send(Err(std::io::Error::other("the export was cut off"))).await;
        }
        drop(room);
    });
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(Chunks(receiver))).into_response())
}

struct Writer<S> {
    app: Arc<App<S>>,
    caller: Caller,
    chunks: mpsc::Sender<Result<Bytes, std::io::Error>>,
}

impl<S: Services> Writer<S> {
    async fn document(&self, user: Value) -> Result<(), Stop> {
        let (user_id, current) = (self.caller.user_id, self.caller.session_id);
        let services = &self.app.services;
        self.send(format!("{{\"user\":{user}")).await?;
        self.list(
            "sessions",
            |part| services.sessions().sessions(user_id, true, part),
            |session| {
                let mut view = show::session(session, current);
                view["ended"] = session.ended.into();
                view
            },
        )
        .await?;
        self.list("contacts", |part| services.relations().contacts(user_id, None, part), show::bare_contact)
            .await?;
        self.list("blocks", |part| services.relations().blocks(user_id, part), show::bare_block).await?;
        self.list("history", |part| services.profiles().audit(user_id, part), show::audit).await?;
        self.channels(user_id).await?;
        self.send("}\n".into()).await
    }

    /// Writes a list, page by page.
    async fn list<T, F>(
        &self,
        name: &str,
        read: impl Fn(ListPart) -> F,
        shown: impl Fn(&T) -> Value,
    ) -> Result<(), Stop>
    where
        F: Future<Output = Result<Listed<T>, ServiceError>>,
    {
        self.send(format!(",\"{name}\":[")).await?;
        let (mut cursor, mut separator) = (None, "");
        loop {
            let page = read(ListPart { cursor: cursor.take(), limit: LIST_MAX }).await?;
            let mut text = String::new();
            for item in &page.items {
                text.push_str(separator);
                text.push_str(&shown(item).to_string());
                separator = ",";
            }
            self.send(text).await?;
            let Some(next) = page.next_cursor else { return self.send("]".into()).await };
            cursor = Some(next);
        }
    }

    /// Writes the channels, each with what the user has written in it.
    async fn channels(&self, user: UserId) -> Result<(), Stop> {
        self.send(",\"channels\":[".into()).await?;
        let (mut cursor, mut separator) = (None, "");
        loop {
            let part = ListPart { cursor: cursor.take(), limit: LIST_MAX };
            let page = self.app.services.channels().list(user, part).await?;
            for mine in &page.items {
                let mut channel = views::channel(&mine.channel, Some(&mine.membership));
                channel["joined_at"] = json!(mine.membership.joined_at);
                self.send(format!("{separator}{{\"channel\":{channel},\"messages\":[")).await?;
                self.messages(user, mine.channel.id).await?;
                self.send("]}".into()).await?;
                separator = ",";
            }
            let Some(next) = page.next_cursor else { return self.send("]".into()).await };
            cursor = Some(next);
        }
    }

    /// Writes the user's own messages of a channel, newest first.
    async fn messages(&self, user: UserId, channel: ChannelId) -> Result<(), Stop> {
        let (mut before, mut separator) = (None, "");
        loop {
            let range = HistoryRange { before, limit: LIST_MAX, ..HistoryRange::default() };
            let (mut rows, has_more) = self.app.services.messages().history(user, channel, range).await?;
            before = rows.last().map(|row| row.message_id);
            rows.retain(|row| row.sender_id == user);
            let mut text = String::new();
            for message in views::bare_messages(self.app.services.users(), &rows).await? {
                text.push_str(separator);
                text.push_str(&message.to_string());
                separator = ",";
            }
            self.send(text).await?;
            if !has_more || before.is_none() {
                return Ok(());
            }
        }
    }

    async fn send(&self, text: String) -> Result<(), Stop> {
        if text.is_empty() {
            return Ok(());
        }
        self.chunks.send(Ok(Bytes::from(text))).await.map_err(|_| Stop::Gone)
    }
}

/// The chunks as a body.
struct Chunks(mpsc::Receiver<Result<Bytes, std::io::Error>>);

impl futures_util::Stream for Chunks {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

//! `/users/me/export`: everything held about a user, as one JSON document, written while it is read.
//!
//! Each part is read in pages and sent before the next one is read, so an export takes the memory of a page however much
//! there is. One that fails on the way, or whose client stops reading, is cut off: what is complete ends with its last
//! bracket.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use ringside_application::service::people::{ProfileService as _, RelationService as _, SessionService as _};
use ringside_application::service::{
    Caller, ChannelService as _, MessageService as _, Page, PageRequest, ReadPosition, ServiceError,
};
use ringside_types::limits::LIST_MAX;
use ringside_types::{ChannelId, MessageId, UserId};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::show;
use crate::client::Address;
use crate::problem::Problem;
use crate::router::App;
use crate::services::Services;
use crate::views;

/// Chunks that wait for the client at the most.
const CHUNKS_MAX: usize = 4;
/// A client that takes no chunk for so long gets no more, and leaves its place to others.
const STALL_MAX: Duration = Duration::from_secs(10);

/// Bytes handed to the client's connection at once: what it takes within [`STALL_MAX`] counts as progress.
const CHUNK_BYTES_MAX: usize = 64 * 1_024;

/// The client went away or reads no more, or an engine failed: in any case the document ends here.
enum Stop {
    Gone,
    Stalled,
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
    Address(address): Address,
) -> Result<Response, Problem> {
    // Whatever can be refused is refused with a status of its own.
    let profile = app.services.users().own(caller.user_id).await?;
    let place = app
        .exports
        .take(caller.user_id, address, Instant::now())
        .map_err(|wait| Problem::rate_limited(wait.as_millis() as u64))?;
    let name = format!("attachment; filename=\"ringside-{}.json\"", profile.user.username);
    let (chunks, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::spawn(async move {
        let writer = Writer { app, caller, chunks };
        let mut ended = writer.document(show::own(&profile)).await;
        // Whoever has seen the end may ask again; who did not read on, or went away, has to wait after a while.
        if matches!(ended, Err(Stop::Gone | Stop::Stalled)) {
            drop(place);
        } else {
            place.end();
        }
        if ended.is_ok() {
            ended = writer.send(END.into()).await;
        }
        match ended {
            Ok(()) | Err(Stop::Gone) => {}
            Err(Stop::Stalled) => {
                tracing::info!(user_id = %caller.user_id, "an export was cut off: its client stopped reading");
            }
            Err(Stop::Failed(error)) => {
                tracing::warn!(%error, user_id = %caller.user_id, "an export was cut off");
            }
        }
    });
    let headers =
        [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(Chunks { receiver, is_whole: false })).into_response())
}

struct Writer<S> {
    app: Arc<App<S>>,
    caller: Caller,
    chunks: mpsc::Sender<Bytes>,
}

impl<S: Services> Writer<S> {
    async fn document(&self, user: Value) -> Result<(), Stop> {
        let (user_id, current) = (self.caller.user_id, self.caller.session_id);
        let services = &self.app.services;
        self.send(format!("{{\"user\":{user}")).await?;
        self.list(
            "sessions",
            |part| services.users().sessions(user_id, true, part),
            |session| {
                let mut view = show::session(session, current);
                view["ended"] = session.ended.into();
                view
            },
        )
        .await?;
        self.list("contacts", |part| services.users().contacts(user_id, None, part), show::bare_contact)
            .await?;
        self.list("blocks", |part| services.users().blocks(user_id, part), show::bare_block).await?;
        self.list(
            "channel_invitations",
            async |_| {
                let items = services.channels().invitations(user_id).await?;
                Ok(Page { items, next_cursor: None })
            },
            show::bare_channel_invitation,
        )
        .await?;
        self.list("history", |part| services.users().audit(user_id, part), show::audit).await?;
        self.channels(user_id).await
    }

    /// Writes a list, page by page.
    async fn list<T, F>(
        &self,
        name: &str,
        read: impl Fn(PageRequest) -> F,
        shown: impl Fn(&T) -> Value,
    ) -> Result<(), Stop>
    where
        F: Future<Output = Result<Page<T>, ServiceError>>,
    {
        self.send(format!(",\"{name}\":[")).await?;
        let (mut cursor, mut separator) = (None, "");
        loop {
            let page = read(PageRequest { cursor: cursor.take(), limit: LIST_MAX }).await?;
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

    /// Writes the channels, each with what is the user's own in it; then those that they have left, and how far they have
    /// read.
    async fn channels(&self, user: UserId) -> Result<(), Stop> {
        self.send(",\"channels\":[".into()).await?;
        let (mut cursor, mut separator, mut present) = (None, "", HashSet::new());
        loop {
            let part = PageRequest { cursor: cursor.take(), limit: LIST_MAX };
            let page = self.app.services.channels().list(user, part).await?;
            for mine in &page.items {
                present.insert(mine.channel.id);
                let mut channel = views::channel(&mine.channel, Some(&mine.membership));
                channel["joined_at"] = json!(mine.membership.joined_at);
                self.send(format!("{separator}{{\"channel\":{channel}")).await?;
                self.own(user, mine.channel.id).await?;
                separator = ",";
            }
            let Some(next) = page.next_cursor else { break };
            cursor = Some(next);
        }
        let positions = self.app.services.messages().positions(user).await?;
        self.send("],\"left_channels\":[".into()).await?;
        separator = "";
        for left in positions.iter().filter(|row| !present.contains(&row.channel_id)) {
            self.send(format!("{separator}{{\"channel_id\":\"{}\"", left.channel_id)).await?;
            self.own(user, left.channel_id).await?;
            separator = ",";
        }
        let position =
            |row: &ReadPosition| json!({"channel_id": row.channel_id, "last_read_id": row.last_read_id});
        let positions: Vec<Value> = positions.iter().map(position).collect();
        self.send(format!("],\"read_positions\":{}", json!(positions))).await
    }

    /// Writes the user's own messages of a channel and ends it with their reactions, newest first.
    async fn own(&self, user: UserId, channel: ChannelId) -> Result<(), Stop> {
        for (name, end) in [("messages", ""), ("reactions", "}")] {
            self.send(format!(",\"{name}\":[")).await?;
            let (mut before, mut separator) = (None, "");
            loop {
                let own = self.app.services.messages().own(user, channel, before, LIST_MAX).await?;
                let reaction = |(id, emoji): &(MessageId, String)| json!({"message_id": id, "emoji": emoji});
                let items: Vec<Value> = match name {
                    "messages" => views::bare_messages(self.app.services.users(), &own.messages).await?,
                    _ => own.reactions.iter().map(reaction).collect(),
                };
                let mut text = String::new();
                for item in items {
                    text.push_str(separator);
                    text.push_str(&item.to_string());
                    separator = ",";
                }
                self.send(text).await?;
                before = own.next;
                if before.is_none() {
                    break;
                }
            }
            self.send(format!("]{end}")).await?;
        }
        Ok(())
    }

    async fn send(&self, text: String) -> Result<(), Stop> {
        if text.is_empty() {
            return Ok(());
        }
        let mut rest = Bytes::from(text);
        while !rest.is_empty() {
            let chunk = rest.split_to(rest.len().min(CHUNK_BYTES_MAX));
            match timeout(STALL_MAX, self.chunks.send(chunk)).await {
                Ok(sent) => sent.map_err(|_| Stop::Gone)?,
                Err(_) => return Err(Stop::Stalled),
            }
        }
        Ok(())
    }
}

/// The last chunk.
const END: &str = "}\n";

/// The chunks as a body: one that ends before the last of them fails, for nothing else tells the client that this is not
/// all.
struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    is_whole: bool,
}

impl futures_util::Stream for Chunks {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|chunk| match chunk {
            Some(chunk) => {
                self.is_whole = *chunk == *END.as_bytes();
                Some(Ok(chunk))
            }
            None if self.is_whole => None,
            None => {
                // An error is said once.
                self.is_whole = true;
                Some(Err(std::io::Error::other("the export was cut off")))
            }
        })
    }
}

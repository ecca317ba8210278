//! What each channel holds in the end: over REST, and by a sync from the first message and the first change.

use std::time::Duration;

use ringside_checker::history::{ChannelHistory, FinalCursors, FinalReading, SeenMessage};
use ringside_test_client::amendment::Change;
use ringside_test_client::cursor::Unread;
use ringside_test_client::rest::{Account, Rest, RestError};
use ringside_test_client::websocket::{
    Incoming, PageFrame, ServerFrame, Socket, SocketError, SyncedChannel, Target, parse,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::options::CrashError;

const SYNC_DEADLINE: Duration = Duration::from_secs(20);

/// One member's reading over REST.
pub(crate) async fn reading(rest: Rest, account: &Account, channel: Uuid) -> Result<FinalReading, RestError> {
    let messages = rest.history(&account.access_token, channel).await?;
    Ok(FinalReading {
        reader: account.user_id,
        messages: messages.into_iter().map(SeenMessage::from).collect(),
        pins: pins(rest, account, channel).await?,
    })
}

/// The pinned messages; none where the server has no such list.
async fn pins(rest: Rest, account: &Account, channel: Uuid) -> Result<Option<Vec<u64>>, RestError> {
    #[derive(Deserialize)]
    struct Pin {
        message_id: String,
    }
    let path = format!("/api/v1/channels/{channel}/pins");
    match rest.items::<Pin>(&account.access_token, &path).await {
        Ok(pins) => Ok(Some(pins.iter().filter_map(|pin| pin.message_id.parse().ok()).collect())),
        Err(RestError::Status { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All changes of a channel; none: the server would not tell them (`reset`).
pub(crate) async fn changes(
    target: &Target,
    account: &Account,
    channel: Uuid,
) -> Result<Option<Vec<Change>>, SocketError> {
    let asked = json!({ "channel_id": channel, "last_message_id": Value::Null, "last_change": 0 });
    let mut changes = Some(Vec::new());
    let page = |page: PageFrame| match (&mut changes, page.reset) {
        (_, true) => changes = None,
        (Some(changes), false) => changes.extend(page.changes),
        (None, false) => {}
    };
    let done = sync(target, account, &[asked], page).await?;
    Ok(changes.filter(|_| done.is_some()))
}

/// What a member is told of cursors and unread messages, in each of their channels.
pub(crate) async fn read_cursors(
    rest: Rest,
    target: &Target,
    account: &Account,
    channels: &mut [ChannelHistory],
) -> Result<(), CrashError> {
    let own: Vec<&mut ChannelHistory> =
        channels.iter_mut().filter(|channel| channel.members.contains(&account.user_id)).collect();
    let asked = own.iter().map(|channel| {
        let last = channel.readings.first().and_then(|reading| reading.messages.last());
        let last = last.map(|seen| seen.message_id.to_string());
        json!({ "channel_id": channel.channel_id, "last_message_id": last })
    });
    let asked: Vec<Value> = asked.collect();
    let synced = sync(target, account, &asked, |_| {}).await?.unwrap_or_default();
    let listed = rest.unread(&account.access_token).await?;
    for channel in own {
        let id = channel.channel_id;
        let of_sync = synced.iter().find(|synced| synced.channel_id == id);
        channel.final_cursors.push(FinalCursors {
            reader: account.user_id,
            cursors: rest.receipts(&account.access_token, id).await?,
            listed: listed.iter().find(|listed| listed.channel == id).copied(),
            synced: of_sync.map(|it| Unread { channel: id, last_seq: it.last_seq, count: it.unread_count }),
        });
    }
    Ok(())
}

/// One sync on a connection of its own. Returns what `sync.done` says; none: the server closed before.
async fn sync(
    target: &Target,
    account: &Account,
    asked: &[Value],
    mut page: impl FnMut(PageFrame),
) -> Result<Option<Vec<SyncedChannel>>, SocketError> {
    let mut socket = Socket::connect(target, &account.access_token, Uuid::new_v4().as_u128()).await?;
    let payload = json!({ "channels": asked, "limit": 200 });
    socket.send(&json!({ "type": "sync", "id": "final", "payload": payload }).to_string()).await?;
    let all = async {
        loop {
            let Incoming::Text(text) = socket.next().await? else { return Ok(None) };
            match parse(&text) {
                Ok(ServerFrame::Page(frame)) => page(frame),
                Ok(ServerFrame::SyncDone { channels, .. }) => return Ok(Some(channels)),
                _ => {}
            }
        }
    };
    timeout(SYNC_DEADLINE, all).await.map_err(|_| SocketError::Deadline)?
}

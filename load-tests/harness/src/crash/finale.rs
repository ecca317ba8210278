//! What each channel holds in the end: over REST, and by a sync from the first message and the first change.

use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::amendment::Change;
use crate::client::{Incoming, ServerFrame, Socket, SocketError, Target, parse};
use crate::history::{FinalReading, Seen};
use crate::rest::{Account, Rest, RestError};

const SYNC_DEADLINE: Duration = Duration::from_secs(20);

/// One member's reading over REST.
pub(super) async fn reading(rest: Rest, account: &Account, channel: Uuid) -> Result<FinalReading, RestError> {
    let messages = rest.history(&account.access_token, channel).await?;
    Ok(FinalReading {
        reader: account.user_id,
        messages: messages.into_iter().map(Seen::from).collect(),
        pins: pins(rest, account, channel).await?,
    })
}

/// The pinned messages; none where the server has no such list.
async fn pins(rest: Rest, account: &Account, channel: Uuid) -> Result<Option<Vec<u64>>, RestError> {
    #[derive(Deserialize)]
    struct Page {
        items: Vec<Pin>,
        next_cursor: Option<String>,
    }
    #[derive(Deserialize)]
    struct Pin {
        message_id: String,
    }
    let mut pins = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/channels/{channel}/pins?limit=100{cursor}");
        let answer = rest.call(Method::GET, &path, Some(&account.access_token), None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let page: Page = answer.read("a page of pins", &[200])?;
        pins.extend(page.items.iter().filter_map(|pin| pin.message_id.parse::<u64>().ok()));
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(Some(pins)),
        }
    }
}

/// All changes of a channel; none: the server would not tell them (`reset`).
pub(super) async fn changes(
    target: &Target,
    account: &Account,
    channel: Uuid,
) -> Result<Option<Vec<Change>>, SocketError> {
    let mut socket = Socket::connect(target, &account.access_token, Uuid::new_v4().as_u128()).await?;
    let asked = json!({ "channel_id": channel, "last_message_id": Value::Null, "last_change": 0 });
    let payload = json!({ "channels": [asked], "limit": 200 });
    socket.send(&json!({ "type": "sync", "id": "finale", "payload": payload }).to_string()).await?;
    let mut changes = Some(Vec::new());
    let all = async {
        loop {
            let Incoming::Text(text) = socket.next().await? else { return Ok(None) };
            match parse(&text) {
                Ok(ServerFrame::Page(page)) if page.reset => changes = None,
                Ok(ServerFrame::Page(page)) => {
                    changes.iter_mut().for_each(|changes| changes.extend(page.changes.iter().cloned()));
                }
                Ok(ServerFrame::SyncDone { .. }) => return Ok(changes),
                _ => {}
            }
        }
    };
    timeout(SYNC_DEADLINE, all).await.map_err(|_| SocketError::Deadline)?
}

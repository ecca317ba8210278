//! What connections and the feed read from the store: pages for syncs, and gaps in the chain.

use std::collections::HashMap;

use ringside_application::reading;
use ringside_domain::feed::GapRange;
use ringside_domain::page::{ChannelPage, ChannelRead};
use ringside_domain::rows::{ChangeRow, HeadRow, MessageRow, Wanted};
use ringside_domain::tally::Tally;
use ringside_domain::{edited_message, effective_of, effective_of_change};
use ringside_edge_protocol::ConnectionRef;
use ringside_ports::accounts::User;
use ringside_ports::store::{MessageRange, Order};
use ringside_ports::{Accounts, EngineError, MessageStore};
use ringside_types::limits::SYNC_PAGE_MAX;
use ringside_types::{MessageId, UserId};
use ringside_wire::InvalidRecord;
use ringside_wire::records::{Effective, Profile};

use crate::config::{PAGE_BYTES_MAX, PAGE_CHANGES_MAX};

/// Bytes of a user's id in JSON.
const USER_BYTES: usize = 39;

/// One channel's read, on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRead {
    pub(crate) connection: ConnectionRef,
    pub(crate) user_id: UserId,
    pub(crate) read: ChannelRead,
}

/// Reads the part of a channel that a connection asks for.
pub(crate) async fn read_page<S: MessageStore, D: Accounts>(
    store: &S,
    directory: &D,
    request: PageRead,
) -> Result<ChannelPage, EngineError> {
    let PageRead { user_id, read: request, .. } = request;
    let (sees_above, sees_changes_above) = reading::horizon(store, request.channel_id, user_id).await?;
    let request = ChannelRead {
        after: request.after.max(sees_above),
        after_change: request.after_change.map(|after| after.max(sees_changes_above)),
        ..request
    };
    let range = MessageRange {
        channel_id: request.channel_id,
        after: request.after,
        before: MessageId::MAX,
        limit: request.limit.min(SYNC_PAGE_MAX),
        order: Order::OldestFirst,
    };
    let mut page = reading::page(store, range).await?;
    let mut tallies = cut(store, &mut page, Order::OldestFirst, user_id).await?;
    let mut reset = is_too_far(&request, &page.head, page.messages.first());
    let (mut changes, mut edited) = (Vec::new(), Vec::new());
    if let Some(after) = request.after_change
        && !page.has_more
        && !reset
    {
        let missing = page.head.last_change.saturating_sub(after);
        reset = request.reset_above > 0 && missing > u64::from(request.reset_above);
        if !reset {
            (changes, edited) = read_changes(store, &page.head, after).await?;
            page.has_more = (changes.len() as u64) < missing;
        }
    }
    if reset {
        let newest = MessageRange { after: sees_above, order: Order::NewestFirst, ..range };
        page = reading::page(store, newest).await?;
        tallies = cut(store, &mut page, Order::NewestFirst, user_id).await?;
        page.messages.reverse();
        page.has_more = false;
    }
    let wanted = Wanted {
        members: vec![(request.channel_id, user_id)],
        reads: vec![(user_id, request.channel_id)],
        ..Wanted::default()
    };
    let standing = store.load(&wanted).await?;
    Ok(ChannelPage {
        tallies,
        senders: senders(directory, page.messages.iter().chain(&edited)).await?,
        messages: page.messages,
        changes,
        sees_above,
        edited,
        has_more: page.has_more,
        reset,
        unread_count: reading::unread(&standing, &page.head, user_id),
        head: page.head,
    })
}

/// Cuts a page to its limit of bytes, at least one message long: what is behind follows with the next page. Returns how
/// reactions stand on what is left.
async fn cut<S: MessageStore>(
    store: &S,
    page: &mut reading::DensePage,
    order: Order,
    reader: UserId,
) -> Result<Vec<Tally>, EngineError> {
    let wanted = page.messages.len();
    let text = |row: &MessageRow| row.content.len() + row.metadata.len();
    page.messages.truncate(fitting(page.messages.iter().map(text)));
    let tallies = reading::tallies(store, &page.head, &page.messages, reader).await?;
    let mut reactions: HashMap<MessageId, usize> = HashMap::new();
    for tally in &tallies {
        *reactions.entry(tally.message_id).or_default() += tally.emoji.len() + USER_BYTES * tally.users.len();
    }
    let whole = |row: &MessageRow| text(row) + reactions.get(&row.message_id).copied().unwrap_or_default();
    page.messages.truncate(fitting(page.messages.iter().map(whole)));
    page.has_more |= page.messages.len() < wanted && order == Order::OldestFirst;
    Ok(tallies)
}

/// How many things of these sizes go into one page.
fn fitting(sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = sizes.take_while(|size| {
        let before = bytes;
        bytes += size;
        before < PAGE_BYTES_MAX
    });
    fits.count()
}

/// Changes above `after`, as many as go into one page, and the messages that they edited, as they are.
async fn read_changes<S: MessageStore>(
    store: &S,
    head: &HeadRow,
    after: u64,
) -> Result<(Vec<ChangeRow>, Vec<MessageRow>), EngineError> {
    let mut changes = reading::changes(store, head, after, PAGE_CHANGES_MAX).await?;
    let edited = edited(store, &changes).await?;
    let text =
        |id| edited.iter().find(|row| row.message_id == id).map(|row| row.content.len() + row.metadata.len());
    let size = |row: &ChangeRow| {
        // One that can't be read is reported where it is written.
        let message = edited_message(row).ok().flatten().and_then(text);
        row.body.len() + message.unwrap_or_default()
    };
    changes.truncate(fitting(changes.iter().map(size)));
    Ok((changes, edited))
}

/// Whether more messages are missing than a sync sends. The page's first message tells where the client stands; where
/// there is none, nothing is missing.
fn is_too_far(request: &ChannelRead, head: &HeadRow, first: Option<&MessageRow>) -> bool {
    let limit = u64::from(request.reset_above);
    limit > 0 && first.is_some_and(|first| head.last_seq + 1 - first.seq > limit)
}

/// The profiles of those who sent messages, as they are now.
pub(crate) async fn senders<D: Accounts>(
    directory: &D,
    messages: impl Iterator<Item = &MessageRow>,
) -> Result<Vec<(UserId, Profile)>, EngineError> {
    let mut ids: Vec<UserId> = messages.map(|row| row.sender_id).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    Ok(directory.users(&ids).await?.into_iter().map(|user| (user.id, profile(user))).collect())
}

/// The messages that these changes edited, as they are.
async fn edited<S: MessageStore>(store: &S, changes: &[ChangeRow]) -> Result<Vec<MessageRow>, EngineError> {
    let mut records = Vec::new();
    for row in changes {
        let id = edited_message(row).map_err(|invalid| damaged(row, &invalid))?;
        records.extend(id.map(|id| (row.channel_id, id)));
    }
    Ok(store.load(&Wanted { records, ..Wanted::default() }).await?.messages)
}

fn damaged(row: &ChangeRow, invalid: &InvalidRecord) -> EngineError {
    let cause = format!("channel {}, change {}: {invalid}", row.channel_id, row.change);
    EngineError::Damaged { engine: "message store", cause }
}

fn profile_of(senders: &[(UserId, Profile)], message: &MessageRow) -> Option<Profile> {
    senders.iter().find(|(id, _)| *id == message.sender_id).map(|(_, profile)| profile.clone())
}

pub(crate) fn profile(user: User) -> Profile {
    Profile { username: user.username, display_name: user.display_name, avatar_url: user.avatar_url }
}

/// Reads the effective records of a gap, oldest first.
pub(crate) async fn read_gap<S: MessageStore, D: Accounts>(
    store: &S,
    directory: &D,
    range: GapRange,
) -> Result<Vec<Effective>, EngineError> {
    let head = reading::head(store, range.channel_id).await?;
    let mut found = Vec::new();
    let mut after = range.after;
    loop {
        let part = MessageRange {
            channel_id: range.channel_id,
            after,
            before: MessageId(range.up_to.0.saturating_add(1)),
            limit: SYNC_PAGE_MAX,
            order: Order::OldestFirst,
        };
        let page = reading::page(store, part).await?;
        let senders = senders(directory, page.messages.iter()).await?;
        for row in &page.messages {
            found.push(effective_of(row, profile_of(&senders, row)));
            after = row.message_id;
        }
        if !page.has_more {
            break;
        }
    }
    let mut oldest = head.last_change;
    while oldest > 0 {
        let before = oldest;
        oldest = oldest.saturating_sub(PAGE_CHANGES_MAX as u64);
        let bounded = HeadRow { last_change: before, ..head };
        let rows = reading::changes(store, &bounded, oldest, PAGE_CHANGES_MAX).await?;
        let missing: Vec<ChangeRow> = rows
            .iter()
            .filter(|row| row.record_id > range.after && row.record_id <= range.up_to)
            .cloned()
            .collect();
        let edited = edited(store, &missing).await?;
        let senders = senders(directory, edited.iter()).await?;
        for row in &missing {
            let id = edited_message(row).map_err(|invalid| damaged(row, &invalid))?;
            let message = id.and_then(|id| edited.iter().find(|message| message.message_id == id));
            let sender = message.and_then(|message| profile_of(&senders, message));
            let effective = effective_of_change(row, message, sender);
            found.push(effective.map_err(|invalid| damaged(row, &invalid))?);
        }
        if rows.first().is_none_or(|row| row.record_id <= range.after) {
            break;
        }
    }
    found.sort_unstable_by_key(|effective| effective.id);
    Ok(found)
}

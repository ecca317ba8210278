//! Reading a channel as of its head: what is above the head is not there yet, and a page that is not dense is read again.

use ringside_domain::rows::{ChangeRow, HeadRow, Loaded, MessageRow, Wanted};
use ringside_domain::tally::{Tally, tally};
use ringside_types::{ChannelId, MessageId, UserId};

use crate::EngineError;
use crate::store::{ChangeRange, MessageRange, MessageStore, Order};

/// A page that was not dense is read again this many times before it counts as damage.
pub const DENSE_TRIES: usize = 5;

/// Messages of a channel, as of its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DensePage {
    /// The head, read before the page.
    pub head: HeadRow,
    /// Dense in `seq`, in the order asked.
    pub messages: Vec<MessageRow>,
    /// Whether there are more, in that order.
    pub has_more: bool,
}

/// The head of a channel; empty where no record has touched it.
pub async fn head<S: MessageStore>(store: &S, channel: ChannelId) -> Result<HeadRow, EngineError> {
    let loaded = store.load(&Wanted { channels: vec![channel], ..Wanted::default() }).await?;
    Ok(loaded.heads.first().copied().unwrap_or(HeadRow::empty(channel)))
}

/// Where a member's view of a channel begins: the record up to which messages are hidden from them, and the change that
/// it made. Zeros where nothing is.
pub async fn horizon<S: MessageStore>(
    store: &S,
    channel: ChannelId,
    member: UserId,
) -> Result<(MessageId, u64), EngineError> {
    let wanted = Wanted { members: vec![(channel, member)], ..Wanted::default() };
    let rows = store.load(&wanted).await?.members;
    let open = rows.iter().filter(|row| row.to_id == MessageId::ZERO);
    let Some(above) = open.map(|row| row.sees_above).max().and_then(MessageId::non_zero) else {
        return Ok((MessageId::ZERO, 0));
    };
    let wanted = Wanted { records: vec![(channel, above)], ..Wanted::default() };
    let changes = store.load(&wanted).await?.changes;
    Ok((above, changes.first().map_or(0, |row| row.change)))
}

/// Reads messages between two ids (both excluded), never above the head.
pub async fn page<S: MessageStore>(store: &S, range: MessageRange) -> Result<DensePage, EngineError> {
    let mut cause = String::new();
    for _ in 0..DENSE_TRIES {
        let head = head(store, range.channel_id).await?;
        let above_head = MessageId(head.last_message_id.0 + 1);
        let bounded = MessageRange { before: range.before.min(above_head), limit: range.limit + 1, ..range };
        let mut messages = store.messages(bounded).await?;
        match gap_in(&messages, range.order) {
            None => {
                let has_more = messages.len() > range.limit;
                messages.truncate(range.limit);
                return Ok(DensePage { head, messages, has_more });
            }
            Some((one, next)) => {
                cause = format!("channel {}: message {next} follows {one}", range.channel_id);
            }
        }
    }
    Err(EngineError::Damaged { engine: "message store", cause })
}

/// How reactions stand on messages of one channel, up to its head, as a reader sees them.
pub async fn tallies<S: MessageStore>(
    store: &S,
    head: &HeadRow,
    messages: &[MessageRow],
    reader: UserId,
) -> Result<Vec<Tally>, EngineError> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(Vec::new()) };
    let channel = head.channel_id;
    let is_dense = first.seq.abs_diff(last.seq) + 1 == messages.len() as u64;
    let (one, other) = (first.message_id, last.message_id);
    let reacted = if is_dense {
        vec![(channel, one.min(other), one.max(other))]
    } else {
        messages.iter().map(|row| (channel, row.message_id, row.message_id)).collect()
    };
    let intervals = store.load(&Wanted { reacted, ..Wanted::default() }).await?.reactions;
    Ok(tally(intervals, MessageId(head.last_effective_id.0.saturating_add(1)), reader))
}

/// Reads the changes above `after` up to the head's, dense.
pub async fn changes<S: MessageStore>(
    store: &S,
    head: &HeadRow,
    after: u64,
    limit: usize,
) -> Result<Vec<ChangeRow>, EngineError> {
    let range = ChangeRange { channel_id: head.channel_id, after, up_to: head.last_change, limit };
    for _ in 0..DENSE_TRIES {
        let rows = store.changes(range).await?;
        let dense = rows.iter().zip(after + 1..).all(|(row, change)| row.change == change);
        if dense && rows.len() as u64 == (head.last_change.saturating_sub(after)).min(limit as u64) {
            return Ok(rows);
        }
    }
    let cause = format!("channel {}: changes above {after} are not dense", head.channel_id);
    Err(EngineError::Damaged { engine: "message store", cause })
}

fn gap_in(messages: &[MessageRow], order: Order) -> Option<(u64, u64)> {
    messages.windows(2).find_map(|pair| {
        let (one, next) = (pair[0].seq, pair[1].seq);
        let follows = match order {
            Order::OldestFirst => next == one + 1,
            Order::NewestFirst => one == next + 1,
        };
        (!follows).then_some((one, next))
    })
}

/// Messages of a channel that a member has not read: the head's `seq` less the one read last, or the one at which the
/// member joined, whichever is later.
pub fn unread(loaded: &Loaded, head: &HeadRow, reader: UserId) -> u64 {
    let channel = head.channel_id;
    let read = loaded.reads.iter().find(|row| row.user_id == reader && row.channel_id == channel);
    let joined = loaded
        .members
        .iter()
        .filter(|row| row.user_id == reader && row.channel_id == channel && row.to_id == MessageId::ZERO)
        .map(|row| row.from_seq)
        .max();
    head.last_seq.saturating_sub(read.map_or(0, |row| row.last_read_seq).max(joined.unwrap_or(0)))
}

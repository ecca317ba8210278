//! Reading a channel as of its head: what is above the head is not there yet, and a page that is not dense is read again.

use std::collections::{HashMap, HashSet};

use ringside_domain::reactions::{ReactionSummary, tally};
use ringside_domain::rows::{
    ChangeRow, HeadRow, MembershipRow, MessageRow, Prefetch, Prefetched, SettingsRow,
};
use ringside_types::limits::REACTIONS_READ_MAX;
use ringside_types::{ChannelId, MessageId, UserId};

use ringside_ports::ChannelReader;
use ringside_ports::EngineError;
use ringside_ports::store::{ChangeRange, MessageRange, Order};

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
pub async fn head<S: ChannelReader>(store: &S, channel: ChannelId) -> Result<HeadRow, EngineError> {
    let loaded = store.load(&Prefetch { channels: vec![channel], ..Prefetch::default() }).await?;
    Ok(loaded.heads.first().copied().unwrap_or(HeadRow::empty(channel)))
}

/// Where a member's view of a channel begins: the record up to which messages are hidden from them, and the change that
/// it made. Zeros where nothing is.
pub async fn history_start<S: ChannelReader>(
    store: &S,
    channel: ChannelId,
    member: UserId,
) -> Result<(MessageId, u64), EngineError> {
    let wanted =
        Prefetch { channels: vec![channel], members: vec![(channel, member)], ..Prefetch::default() };
    let loaded = store.load(&wanted).await?;
    let head = loaded.heads.first().copied().unwrap_or(HeadRow::empty(channel));
    let Some(above) = sees_above(&loaded, &head, member).non_zero() else {
        return Ok((MessageId::ZERO, 0));
    };
    if open(&loaded, channel, member).next().is_none() {
        return Ok((above, head.last_change));
    }
    let wanted = Prefetch { records: vec![(channel, above)], ..Prefetch::default() };
    let changes = store.load(&wanted).await?.changes;
    Ok((above, changes.first().map_or(0, |row| row.change)))
}

/// Those of these memberships whose member does not see all of the channel, with the record up to which it is hidden.
pub async fn history_starts<S: ChannelReader>(
    store: &S,
    members: &[(ChannelId, UserId)],
) -> Result<HashMap<(ChannelId, UserId), MessageId>, EngineError> {
    let loaded = store.load(&Prefetch { members: members.to_vec(), ..Prefetch::default() }).await?;
    let mut starts: HashMap<(ChannelId, UserId), MessageId> = HashMap::new();
    for row in loaded.members.iter().filter(|row| row.to_id == MessageId::ZERO) {
        let start = starts.entry((row.channel_id, row.user_id)).or_default();
        *start = row.sees_above.max(*start);
    }
    // Who is about to join is few channels' matter: only those take the channel's own rows.
    let joining: Vec<_> = members.iter().filter(|member| !starts.contains_key(member)).copied().collect();
    if !joining.is_empty() {
        let mut channels: Vec<ChannelId> = joining.iter().map(|(channel, _)| *channel).collect();
        channels.sort_unstable();
        channels.dedup();
        let loaded = store.load(&Prefetch { channels, ..Prefetch::default() }).await?;
        let heads: HashMap<ChannelId, &HeadRow> =
            loaded.heads.iter().map(|head| (head.channel_id, head)).collect();
        let hiding: HashSet<ChannelId> =
            loaded.settings.iter().filter(|row| hides_history(row)).map(|row| row.channel_id).collect();
        for (channel, user) in joining.into_iter().filter(|(channel, _)| hiding.contains(channel)) {
            starts.insert(
                (channel, user),
                heads.get(&channel).map_or(MessageId::ZERO, |head| head.last_effective_id),
            );
        }
    }
    starts.retain(|_, start| *start != MessageId::ZERO);
    Ok(starts)
}

/// Reads messages between two ids (both excluded), never above the head.
///
/// # Errors
/// The store does not answer, or its rows are not dense however often they are read.
pub async fn page<S: ChannelReader>(store: &S, range: MessageRange) -> Result<DensePage, EngineError> {
    let mut failure = None;
    for _ in 0..DENSE_TRIES {
        let head = head(store, range.channel_id).await?;
        let messages = store.messages(&[bounded(range, &head)]).await?.concat();
        match dense(head, messages, range) {
            Ok(page) => return Ok(page),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.expect("DENSE_TRIES is above 0"))
}

/// A range cut at the head, with one message more: it tells whether there are more.
pub(crate) fn bounded(range: MessageRange, head: &HeadRow) -> MessageRange {
    let above_head = MessageId(head.last_message_id.0 + 1);
    MessageRange { before: range.before.min(above_head), limit: range.limit + 1, ..range }
}

/// The page of a [`bounded`] range that was read after its head.
///
/// # Errors
/// The messages are not dense: rows of a commit are there in part.
pub(crate) fn dense(
    head: HeadRow,
    mut messages: Vec<MessageRow>,
    range: MessageRange,
) -> Result<DensePage, EngineError> {
    if let Some((one, next)) = gap_in(&messages, range.order) {
        let cause = format!("channel {}: message {next} follows {one}", range.channel_id);
        return Err(EngineError::Damaged { engine: "message store", cause });
    }
    let has_more = messages.len() > range.limit;
    messages.truncate(range.limit);
    Ok(DensePage { head, messages, has_more })
}

/// How reactions stand on messages (by id and `seq`) of one channel, up to its head, as a reader sees them.
pub async fn tallies<S: ChannelReader>(
    store: &S,
    head: &HeadRow,
    messages: impl IntoIterator<Item = (MessageId, u64)>,
    reader: UserId,
) -> Result<Vec<ReactionSummary>, EngineError> {
    let messages: Vec<(MessageId, u64)> = messages.into_iter().collect();
    let mut intervals = Vec::new();
    let mut parts = vec![messages.as_slice()];
    while let Some(part) = parts.pop() {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let channel = head.channel_id;
        let is_dense = first.1.abs_diff(last.1) + 1 == part.len() as u64;
        let (one, other) = (first.0, last.0);
        let reacted = if is_dense {
            vec![(channel, one.min(other), one.max(other))]
        } else {
            part.iter().map(|(id, _)| (channel, *id, *id)).collect()
        };
        let found = store.load(&Prefetch { reacted, ..Prefetch::default() }).await?.reactions;
        // A full answer may have been cut.
        if found.len() >= REACTIONS_READ_MAX && part.len() > 1 {
            let (first, second) = part.split_at(part.len() / 2);
            parts.extend([first, second]);
        } else {
            intervals.extend(found);
        }
    }
    Ok(tally(intervals, MessageId(head.last_effective_id.0.saturating_add(1)), reader))
}

/// Reads the changes above `after` up to the head's, dense.
///
/// # Errors
/// The store does not answer, or its rows are not dense however often they are read.
pub async fn changes<S: ChannelReader>(
    store: &S,
    head: &HeadRow,
    after: u64,
    limit: usize,
) -> Result<Vec<ChangeRow>, EngineError> {
    let range = ChangeRange { channel_id: head.channel_id, after, up_to: head.last_change, limit };
    for _ in 0..DENSE_TRIES {
        let rows = store.changes(&[range]).await?.concat();
        if are_dense(&rows, range) {
            return Ok(rows);
        }
    }
    let cause = format!("channel {}: changes above {after} are not dense", head.channel_id);
    Err(EngineError::Damaged { engine: "message store", cause })
}

/// Whether these are all changes of a range, without a hole.
pub(crate) fn are_dense(rows: &[ChangeRow], range: ChangeRange) -> bool {
    let is_dense = rows.iter().zip(range.after + 1..).all(|(row, change)| row.change == change);
    is_dense && rows.len() as u64 == range.up_to.saturating_sub(range.after).min(range.limit as u64)
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

/// The intervals in which a user is a member still.
fn open(loaded: &Prefetched, channel: ChannelId, user: UserId) -> impl Iterator<Item = &MembershipRow> {
    let of_user = move |row: &&MembershipRow| row.user_id == user && row.channel_id == channel;
    loaded.members.iter().filter(of_user).filter(|row| row.to_id == MessageId::ZERO)
}

/// Whether the partition knows a user as a member now.
pub(crate) fn is_member(loaded: &Prefetched, channel: ChannelId, user: UserId) -> bool {
    open(loaded, channel, user).next().is_some()
}

/// The record up to which a channel is hidden from a member; zero: nothing is.
///
/// The Directory knows a member before the partition has come to the record. Such a one joins no earlier than at the head.
pub fn sees_above(loaded: &Prefetched, head: &HeadRow, member: UserId) -> MessageId {
    let channel = head.channel_id;
    if let Some(above) = open(loaded, channel, member).map(|row| row.sees_above).max() {
        return above;
    }
    let is_hidden = loaded.settings.iter().any(|row| row.channel_id == channel && hides_history(row));
    if is_hidden { head.last_effective_id } else { MessageId::ZERO }
}

/// Whether these settings are in force, and hide from joiners what was said before.
fn hides_history(row: &SettingsRow) -> bool {
    row.to_id == MessageId::ZERO && row.history_from_join
}

/// Messages of a channel that a member has not read: the head's `seq` less the one read last, or the one at which the
/// member joined, whichever is later. Who is about to join starts at the head.
pub fn unread(loaded: &Prefetched, head: &HeadRow, reader: UserId) -> u64 {
    let channel = head.channel_id;
    let read = loaded.reads.iter().find(|row| row.user_id == reader && row.channel_id == channel);
    let joined = open(loaded, channel, reader).map(|row| row.from_seq).max().unwrap_or(head.last_seq);
    head.last_seq.saturating_sub(read.map_or(0, |row| row.last_read_seq).max(joined))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_domain::rows::{ReadRow, SettingsRow, WriteTimestamp};
    use ringside_types::authorization::ChannelKind;
    use uuid::Uuid;

    const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(1));
    const READER: UserId = UserId(Uuid::from_u128(2));

    fn head() -> HeadRow {
        let (last_effective_id, last_message_id) = (MessageId(90), MessageId(80));
        HeadRow { last_effective_id, last_message_id, last_seq: 9, ..HeadRow::empty(CHANNEL) }
    }

    fn interval(from_id: u64, to_id: u64, from_seq: u64, sees_above: u64) -> MembershipRow {
        MembershipRow {
            channel_id: CHANNEL,
            user_id: READER,
            from_id: MessageId(from_id),
            to_id: MessageId(to_id),
            version: 1,
            to_version: 0,
            from_seq,
            sees_above: MessageId(sees_above),
            role: "member".to_owned(),
            stamp: WriteTimestamp::default(),
        }
    }

    fn settings(history_from_join: bool) -> SettingsRow {
        SettingsRow {
            channel_id: CHANNEL,
            from_id: MessageId(1),
            to_id: MessageId::ZERO,
            version: 1,
            to_version: 0,
            kind: ChannelKind::Group,
            admins_post: false,
            history_from_join,
            is_closed: false,
            is_deleted: false,
            stamp: WriteTimestamp::default(),
        }
    }

    #[test]
    fn unread_is_what_follows_the_later_of_reading_and_joining() {
        let read = |seq| ReadRow {
            user_id: READER,
            channel_id: CHANNEL,
            last_read_id: MessageId(seq * 10),
            last_read_seq: seq,
        };
        let of = |members: Vec<MembershipRow>, reads: Vec<ReadRow>| {
            unread(&Prefetched { members, reads, ..Prefetched::default() }, &head(), READER)
        };
        assert_eq!(of(vec![interval(5, 0, 0, 0)], vec![]), 9);
        assert_eq!(of(vec![interval(5, 0, 4, 0)], vec![]), 5);
        assert_eq!(of(vec![interval(5, 0, 4, 0)], vec![read(2)]), 5);
        assert_eq!(of(vec![interval(5, 0, 4, 0)], vec![read(7)]), 2);
        assert_eq!(of(vec![interval(5, 30, 1, 0), interval(70, 0, 7, 0)], vec![read(2)]), 2);
    }

    /// The Directory has answered that somebody is a member; their record is on its way.
    #[test]
    fn who_is_about_to_join_starts_at_the_head() {
        let before = vec![interval(5, 30, 1, 0)];
        for members in [vec![], before] {
            for (from_join, hidden_up_to) in [(true, 90), (false, 0)] {
                let settings = vec![settings(from_join)];
                let loaded = Prefetched { members: members.clone(), settings, ..Prefetched::default() };
                assert_eq!(unread(&loaded, &head(), READER), 0);
                assert_eq!(sees_above(&loaded, &head(), READER), MessageId(hidden_up_to));
            }
        }
        let loaded = Prefetched { members: vec![interval(70, 0, 7, 70)], ..Prefetched::default() };
        assert_eq!(sees_above(&loaded, &head(), READER), MessageId(70), "joined");
    }
}

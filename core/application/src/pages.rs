//! Pages for syncs, read for many readers and channels at once, and gaps in what an edge was sent.
//!
//! A batch takes a handful of calls to the store, however many channels it names: where all of them stand; the messages
//! of those that miss some; their reactions; their changes; the messages that these edited. Channels in which nothing
//! is missing cost the first call alone.

mod draft;

use std::collections::HashMap;

use ringside_domain::feed::GapRange;
use ringside_domain::page::{ChannelRead, ReadOutcome};
use ringside_domain::rows::{ChangeRow, HeadRow, MessageRow, Prefetch, Prefetched};
use ringside_domain::{edited_message, effective_of, effective_of_change};
use ringside_ports::accounts::User;
use ringside_ports::store::{ChangeRange, MessageRange, Order};
use ringside_ports::{ChannelReader, EngineError, UserReader};
use ringside_types::limits::SYNC_PAGE_MAX;
use ringside_types::{ChannelId, MessageId, UserId};
use ringside_wire::InvalidRecord;
use ringside_wire::records::{Effective, Profile};

use crate::backend::{BackendError, ReaderRequest};
use crate::reading;
use draft::Draft;

/// Changes in one page at the most.
pub const PAGE_CHANGES_MAX: usize = 256;
/// Bytes of contents, metadata, reactions and changes in one page, but for its last message or change. As JSON they may be six
/// times as many: less than a connection may leave unread.
pub const PAGE_BYTES_MAX: usize = 128 * 1024;

/// For each reader, and each channel of theirs.
type Answers = Vec<Vec<Result<ReadOutcome, BackendError>>>;

/// Reads parts of channels.
pub async fn read_pages<S: ChannelReader, D: UserReader>(
    store: &S,
    directory: &D,
    asked: &[ReaderRequest],
) -> Answers {
    try_read_pages(store, directory, asked).await.unwrap_or_else(|error| {
        let error = BackendError::from(error);
        asked.iter().map(|reader| vec![Err(error.clone()); reader.channels.len()]).collect()
    })
}

async fn try_read_pages<S: ChannelReader, D: UserReader>(
    store: &S,
    directory: &D,
    asked: &[ReaderRequest],
) -> Result<Answers, EngineError> {
    let starts = Starts::load(store, asked).await?;
    let mut answers = Answers::with_capacity(asked.len());
    let (mut drafts, mut places) = (Vec::new(), Vec::new());
    for (reader, request) in asked.iter().enumerate() {
        let mut pages_left = request.pages_max;
        let mut of_reader = Vec::with_capacity(request.channels.len());
        for read in &request.channels {
            let draft = starts.draft(request.user_id, *read);
            let is_current = draft.is_current();
            if is_current || pages_left > 0 {
                pages_left -= usize::from(!is_current);
                places.push((reader, of_reader.len()));
                drafts.push(draft);
            }
            of_reader.push(Ok(ReadOutcome::Deferred));
        }
        answers.push(of_reader);
    }
    let pages = draft::complete(store, directory, drafts).await?;
    for ((reader, channel), page) in places.into_iter().zip(pages) {
        answers[reader][channel] = page.map(|page| ReadOutcome::Page(Box::new(page))).map_err(Into::into);
    }
    Ok(answers)
}

/// Where channels and their readers stand, loaded before anything else is: nothing above these heads is returned.
struct Starts {
    channels: HashMap<ChannelId, Prefetched>,
    /// The change that hid what came before from a reader, by channel and record.
    hiding_changes: HashMap<(ChannelId, MessageId), u64>,
}

fn pairs_of(asked: &[ReaderRequest]) -> Vec<(ChannelId, UserId)> {
    let of_reader = |reader: &ReaderRequest| {
        reader.channels.iter().map(|read| (read.channel_id, reader.user_id)).collect()
    };
    asked.iter().map(of_reader).collect::<Vec<Vec<_>>>().concat()
}

impl Starts {
    async fn load<S: ChannelReader>(store: &S, asked: &[ReaderRequest]) -> Result<Self, EngineError> {
        let members = pairs_of(asked);
        let wanted = Prefetch {
            channels: members.iter().map(|(channel, _)| *channel).collect(),
            reads: members.iter().map(|(channel, user)| (*user, *channel)).collect(),
            members,
            ..Prefetch::default()
        };
        let channels = by_channel(store.load(&wanted).await?);
        let mut starts = Self { channels, hiding_changes: HashMap::new() };
        let mut records = Vec::new();
        for (channel, user) in &wanted.members {
            let Some(loaded) = starts.channels.get(channel) else { continue };
            let above = reading::sees_above(loaded, &starts.head(*channel), *user);
            if above != MessageId::ZERO && reading::is_member(loaded, *channel, *user) {
                records.push((*channel, above));
            }
        }
        if !records.is_empty() {
            let made = store.load(&Prefetch { records, ..Prefetch::default() }).await?.changes;
            starts.hiding_changes =
                made.iter().map(|row| ((row.channel_id, row.record_id), row.change)).collect();
        }
        Ok(starts)
    }

    fn head(&self, channel: ChannelId) -> HeadRow {
        let head = self.channels.get(&channel).and_then(|loaded| loaded.heads.first());
        head.copied().unwrap_or(HeadRow::empty(channel))
    }

    fn draft(&self, user: UserId, read: ChannelRead) -> Draft {
        let channel = read.channel_id;
        let nothing = Prefetched::default();
        let (head, loaded) = (self.head(channel), self.channels.get(&channel).unwrap_or(&nothing));
        let sees_above = reading::sees_above(loaded, &head, user);
        let hidden_changes = match sees_above.non_zero() {
            None => 0,
            Some(_) if !reading::is_member(loaded, channel, user) => head.last_change,
            Some(above) => self.hiding_changes.get(&(channel, above)).copied().unwrap_or_default(),
        };
        let read = ChannelRead {
            after: read.after.max(sees_above),
            after_change: read.after_change.map(|after| after.max(hidden_changes)),
            limit: read.limit.min(SYNC_PAGE_MAX),
            ..read
        };
        Draft::new(user, read, head, sees_above, reading::unread(loaded, &head, user))
    }
}

/// What was loaded of many channels, channel by channel.
fn by_channel(loaded: Prefetched) -> HashMap<ChannelId, Prefetched> {
    let mut channels: HashMap<ChannelId, Prefetched> = HashMap::new();
    for row in loaded.heads {
        channels.entry(row.channel_id).or_default().heads.push(row);
    }
    for row in loaded.settings {
        channels.entry(row.channel_id).or_default().settings.push(row);
    }
    for row in loaded.members {
        channels.entry(row.channel_id).or_default().members.push(row);
    }
    for row in loaded.reads {
        channels.entry(row.channel_id).or_default().reads.push(row);
    }
    channels
}

/// The profiles of these users, as they are now.
pub(crate) async fn profiles<D: UserReader>(
    directory: &D,
    mut ids: Vec<UserId>,
) -> Result<HashMap<UserId, Profile>, EngineError> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(directory.users(&ids).await?.into_iter().map(|user| (user.id, profile_of(user))).collect())
}

/// An account as others see it.
pub fn profile_of(user: User) -> Profile {
    Profile { username: user.username, display_name: user.display_name, avatar_url: user.avatar_url }
}

fn damaged(row: &ChangeRow, invalid: &InvalidRecord) -> EngineError {
    let cause = format!("channel {}, change {}: {invalid}", row.channel_id, row.change);
    EngineError::Damaged { engine: "message store", cause }
}

/// Reads the records of a gap, oldest first.
///
/// # Errors
/// An engine does not answer, or a row is damaged.
pub async fn read_gap<S: ChannelReader, D: UserReader>(
    store: &S,
    directory: &D,
    range: GapRange,
) -> Result<Vec<Effective>, EngineError> {
    let head = reading::head(store, range.channel_id).await?;
    let mut found = messages_of_gap(store, directory, range).await?;
    let mut before = head.last_change;
    while before > 0 {
        let after = before.saturating_sub(PAGE_CHANGES_MAX as u64);
        let bounded = HeadRow { last_change: before, ..head };
        let rows = reading::changes(store, &bounded, after, PAGE_CHANGES_MAX).await?;
        let is_missing = |row: &&ChangeRow| row.record_id > range.after && row.record_id <= range.up_to;
        let missing: Vec<ChangeRow> = rows.iter().filter(is_missing).cloned().collect();
        found.extend(changes_of_gap(store, directory, &missing).await?);
        if rows.first().is_none_or(|row| row.record_id <= range.after) {
            break;
        }
        before = after;
    }
    found.sort_unstable_by_key(|effective| effective.id);
    Ok(found)
}

async fn messages_of_gap<S: ChannelReader, D: UserReader>(
    store: &S,
    directory: &D,
    range: GapRange,
) -> Result<Vec<Effective>, EngineError> {
    let (mut found, mut after) = (Vec::new(), range.after);
    loop {
        let part = MessageRange {
            channel_id: range.channel_id,
            after,
            before: MessageId(range.up_to.0.saturating_add(1)),
            limit: SYNC_PAGE_MAX,
            order: Order::OldestFirst,
        };
        let page = reading::page(store, part).await?;
        let senders = profiles(directory, senders_of(&page.messages)).await?;
        for row in &page.messages {
            found.push(effective_of(row, senders.get(&row.sender_id).cloned()));
            after = row.message_id;
        }
        if !page.has_more {
            return Ok(found);
        }
    }
}

async fn changes_of_gap<S: ChannelReader, D: UserReader>(
    store: &S,
    directory: &D,
    changes: &[ChangeRow],
) -> Result<Vec<Effective>, EngineError> {
    let edited = load_messages(store, edited_by(changes)?).await?;
    let senders = profiles(directory, senders_of(&edited)).await?;
    let effective = |row: &ChangeRow| {
        let id = edited_message(row).map_err(|invalid| damaged(row, &invalid))?;
        let message = id.and_then(|id| edited.iter().find(|message| message.message_id == id));
        let sender = message.and_then(|message| senders.get(&message.sender_id)).cloned();
        effective_of_change(row, message, sender).map_err(|invalid| damaged(row, &invalid))
    };
    changes.iter().map(effective).collect()
}

fn senders_of(messages: &[MessageRow]) -> Vec<UserId> {
    messages.iter().map(|row| row.sender_id).collect()
}

/// The messages that these changes edited.
fn edited_by(changes: &[ChangeRow]) -> Result<Vec<(ChannelId, MessageId)>, EngineError> {
    let mut records = Vec::new();
    for row in changes {
        let id = edited_message(row).map_err(|invalid| damaged(row, &invalid))?;
        records.extend(id.map(|id| (row.channel_id, id)));
    }
    Ok(records)
}

/// These messages, as they are now.
async fn load_messages<S: ChannelReader>(
    store: &S,
    records: Vec<(ChannelId, MessageId)>,
) -> Result<Vec<MessageRow>, EngineError> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    Ok(store.load(&Prefetch { records, ..Prefetch::default() }).await?.messages)
}

/// The range of a channel's changes up to its head.
fn change_range(head: &HeadRow, after: u64) -> ChangeRange {
    ChangeRange { channel_id: head.channel_id, after, up_to: head.last_change, limit: PAGE_CHANGES_MAX }
}

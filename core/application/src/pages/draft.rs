//! Pages on their way: stage by stage, each stage one call for all of them.

use std::collections::HashMap;

use ringside_domain::edited_message;
use ringside_domain::page::{ChannelPage, ChannelRead};
use ringside_domain::reactions::{ReactionSummary, tally};
use ringside_domain::rows::{ChangeRow, HeadRow, MessageRow, Prefetch, ReactionRow};
use ringside_ports::store::{ChangeRange, MessageRange, Order};
use ringside_ports::{ChannelReader, EngineError, UserReader};
use ringside_types::limits::REACTIONS_READ_MAX;
use ringside_types::{ChannelId, MessageId, UserId};

use super::{PAGE_BYTES_MAX, change_range, edited_by, load_messages, profiles};
use crate::reading;

/// Bytes of a user's id in JSON.
const USER_BYTES: usize = 39;

/// A page that is not whole yet.
#[derive(Debug)]
pub(super) struct Draft {
    user_id: UserId,
    read: ChannelRead,
    page: ChannelPage,
    /// Why it can't be had.
    failure: Option<EngineError>,
}

impl Draft {
    pub(super) fn new(
        user_id: UserId,
        read: ChannelRead,
        head: HeadRow,
        sees_above: MessageId,
        unread_count: u64,
    ) -> Self {
        let page = ChannelPage {
            messages: Vec::new(),
            tallies: Vec::new(),
            senders: Vec::new(),
            changes: Vec::new(),
            sees_above,
            edited: Vec::new(),
            has_more: false,
            reset: false,
            head,
            unread_count,
        };
        Self { user_id, read, page, failure: None }
    }

    /// Whether the reader has all that there is.
    pub(super) fn is_current(&self) -> bool {
        !self.misses_messages() && !self.misses_changes()
    }

    fn misses_messages(&self) -> bool {
        self.page.head.last_message_id > self.read.after
    }

    fn misses_changes(&self) -> bool {
        self.read.after_change.is_some_and(|after| self.page.head.last_change > after)
    }

    /// Whether changes belong into this page: with the last messages, and not where the reader begins anew.
    fn takes_changes(&self) -> bool {
        self.failure.is_none() && !self.page.has_more && !self.page.reset && self.misses_changes()
    }

    /// Who sent what the page shows, each once.
    fn shown(&self) -> Vec<UserId> {
        let messages = self.page.messages.iter().chain(&self.page.edited);
        let mut senders: Vec<UserId> = messages.map(|row| row.sender_id).collect();
        senders.sort_unstable();
        senders.dedup();
        senders
    }

    fn range(&self, order: Order) -> MessageRange {
        let after = if order == Order::NewestFirst { self.page.sees_above } else { self.read.after };
        MessageRange {
            channel_id: self.read.channel_id,
            after,
            before: MessageId::MAX,
            limit: self.read.limit,
            order,
        }
    }

    /// From the page's oldest message to its newest.
    fn span(&self) -> Option<(ChannelId, MessageId, MessageId)> {
        let (first, last) = (self.page.messages.first()?.message_id, self.page.messages.last()?.message_id);
        Some((self.read.channel_id, first.min(last), first.max(last)))
    }

    fn change_range(&self) -> ChangeRange {
        change_range(&self.page.head, self.read.after_change.unwrap_or_default())
    }

    /// Takes messages up to the limits; those behind follow with the next page.
    fn take_messages(&mut self, mut found: reading::DensePage, order: Order) {
        self.page.head = found.head;
        let fits = fitting(found.messages.iter().map(text_bytes));
        self.page.has_more = found.has_more || fits < found.messages.len() && order == Order::OldestFirst;
        found.messages.truncate(fits);
        self.page.messages = found.messages;
    }

    /// More is missing than a sync sends. The page's first message tells where the reader stands; where there is none,
    /// no message is missing.
    fn is_too_far(&self) -> bool {
        let (limit, head) = (u64::from(self.read.reset_above), &self.page.head);
        let first = self.page.messages.first();
        let is_behind = first.is_some_and(|first| head.last_seq + 1 - first.seq > limit);
        let missing_changes = head.last_change.saturating_sub(self.read.after_change.unwrap_or(u64::MAX));
        limit > 0 && (is_behind || !self.page.has_more && missing_changes > limit)
    }

    fn take_tallies(&mut self, tallies: Vec<ReactionSummary>, order: Order) {
        let mut reactions: HashMap<MessageId, usize> = HashMap::new();
        for tally in &tallies {
            *reactions.entry(tally.message_id).or_default() +=
                tally.emoji.len() + USER_BYTES * tally.users.len();
        }
        let whole =
            |row: &MessageRow| text_bytes(row) + reactions.get(&row.message_id).copied().unwrap_or_default();
        let fits = fitting(self.page.messages.iter().map(whole));
        self.page.has_more |= fits < self.page.messages.len() && order == Order::OldestFirst;
        self.page.messages.truncate(fits);
        self.page.tallies = tallies;
    }

    fn take_changes(&mut self, mut changes: Vec<ChangeRow>, edited: &[MessageRow]) {
        let message_of = |row: &ChangeRow| {
            // One that can't be read is reported where it is written.
            let id = edited_message(row).ok().flatten()?;
            edited.iter().find(|message| message.message_id == id && message.channel_id == row.channel_id)
        };
        let bytes = |row: &ChangeRow| row.body.len() + message_of(row).map_or(0, text_bytes);
        let after = self.read.after_change.unwrap_or_default();
        changes.truncate(fitting(changes.iter().map(bytes)));
        self.page.has_more = (changes.len() as u64) < self.page.head.last_change.saturating_sub(after);
        let mut named: Vec<MessageRow> = changes.iter().filter_map(message_of).cloned().collect();
        named.sort_unstable_by_key(|row| row.message_id);
        named.dedup_by_key(|row| row.message_id);
        self.page.edited = named;
        self.page.changes = changes;
    }
}

fn text_bytes(row: &MessageRow) -> usize {
    row.content.len() + row.metadata.len()
}

/// How many things of these sizes go into one page: at least one.
fn fitting(sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = sizes.take_while(|size| {
        let before = bytes;
        bytes += size;
        before < PAGE_BYTES_MAX
    });
    fits.count()
}

/// Reads what the drafts miss. An error of the call concerns all of them, one inside a page that page alone.
pub(super) async fn complete<S: ChannelReader, D: UserReader>(
    store: &S,
    directory: &D,
    mut drafts: Vec<Draft>,
) -> Result<Vec<Result<ChannelPage, EngineError>>, EngineError> {
    let mut behind: Vec<usize> = (0..drafts.len()).filter(|at| drafts[*at].misses_messages()).collect();
    read_messages(store, &mut drafts, &behind, Order::OldestFirst).await?;
    let mut reset: Vec<usize> = Vec::new();
    for (at, draft) in drafts.iter_mut().enumerate() {
        draft.page.reset = draft.failure.is_none() && draft.is_too_far();
        reset.extend(draft.page.reset.then_some(at));
    }
    behind.retain(|at| !reset.contains(at));
    read_reactions(store, &mut drafts, &behind, Order::OldestFirst).await?;
    read_messages(store, &mut drafts, &reset, Order::NewestFirst).await?;
    read_reactions(store, &mut drafts, &reset, Order::NewestFirst).await?;
    for at in reset {
        drafts[at].page.messages.reverse();
        drafts[at].page.has_more = false;
    }
    read_changes(store, &mut drafts).await?;
    let shown: Vec<Vec<UserId>> = drafts.iter().map(Draft::shown).collect();
    let senders = profiles(directory, shown.concat()).await?;
    let finish = |draft: Draft| {
        let of_page = draft.shown();
        let Draft { mut page, failure, .. } = draft;
        page.senders = of_page.into_iter().filter_map(|id| Some((id, senders.get(&id)?.clone()))).collect();
        failure.map_or(Ok(page), Err)
    };
    Ok(drafts.into_iter().map(finish).collect())
}

/// The messages of these drafts.
async fn read_messages<S: ChannelReader>(
    store: &S,
    drafts: &mut [Draft],
    which: &[usize],
    order: Order,
) -> Result<(), EngineError> {
    if which.is_empty() {
        return Ok(());
    }
    let range_of = |at: &usize| reading::bounded(drafts[*at].range(order), &drafts[*at].page.head);
    let ranges: Vec<MessageRange> = which.iter().map(range_of).collect();
    let found = store.messages(&ranges).await?;
    for (at, messages) in which.iter().zip(found) {
        let draft = &mut drafts[*at];
        let range = draft.range(order);
        let page = match reading::dense(draft.page.head, messages, range) {
            Ok(page) => Ok(page),
            // A later head may have been written between the two calls: from the head on, anew.
            Err(_) => reading::page(store, range).await,
        };
        match page {
            Ok(page) => draft.take_messages(page, order),
            Err(error) => draft.failure = Some(error),
        }
    }
    Ok(())
}

/// The reactions to the messages of these drafts.
async fn read_reactions<S: ChannelReader>(
    store: &S,
    drafts: &mut [Draft],
    which: &[usize],
    order: Order,
) -> Result<(), EngineError> {
    let reacted: Vec<_> = which.iter().filter_map(|at| drafts[*at].span()).collect();
    if reacted.is_empty() {
        return Ok(());
    }
    let mut found = store.load(&Prefetch { reacted, ..Prefetch::default() }).await?.reactions;
    // Ranges of several readers may overlap.
    let interval = |row: &ReactionRow| (row.message_id, row.emoji.clone(), row.user_id, row.from_id);
    found.sort_by_cached_key(interval);
    found.dedup_by(|one, other| interval(one) == interval(other));
    for at in which {
        let draft = &mut drafts[*at];
        let Some((channel, first, last)) = draft.span() else { continue };
        let is_of_page =
            |row: &&ReactionRow| row.channel_id == channel && (first..=last).contains(&row.message_id);
        let rows: Vec<ReactionRow> = found.iter().filter(is_of_page).cloned().collect();
        let tallies = if rows.len() >= REACTIONS_READ_MAX {
            // A full answer may have been cut.
            {
                let messages = draft.page.messages.iter().map(|row| (row.message_id, row.seq));
                reading::tallies(store, &draft.page.head, messages, draft.user_id).await?
            }
        } else {
            let as_of = MessageId(draft.page.head.last_effective_id.0.saturating_add(1));
            tally(rows, as_of, draft.user_id)
        };
        draft.take_tallies(tallies, order);
    }
    Ok(())
}

/// The changes of drafts whose messages are all there.
async fn read_changes<S: ChannelReader>(store: &S, drafts: &mut [Draft]) -> Result<(), EngineError> {
    let which: Vec<usize> = (0..drafts.len()).filter(|at| drafts[*at].takes_changes()).collect();
    if which.is_empty() {
        return Ok(());
    }
    let ranges: Vec<ChangeRange> = which.iter().map(|at| drafts[*at].change_range()).collect();
    let found = store.changes(&ranges).await?;
    let mut changes = Vec::with_capacity(which.len());
    for (at, rows) in which.iter().zip(found) {
        let draft = &mut drafts[*at];
        let range = draft.change_range();
        changes.push(match reading::are_dense(&rows, range) {
            true => rows,
            false => match reading::changes(store, &draft.page.head, range.after, range.limit).await {
                Ok(rows) => rows,
                Err(error) => {
                    draft.failure = Some(error);
                    Vec::new()
                }
            },
        });
    }
    let edited = load_messages(store, edited_by(&changes.concat())?).await?;
    for (at, rows) in which.into_iter().zip(changes) {
        drafts[at].take_changes(rows, &edited);
    }
    Ok(())
}

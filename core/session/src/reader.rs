//! What a connection still has to read of its channels: its syncs, one after the other, and the channels that it joined
//! late.
//!
//! Vocabulary: a *sync request* is a `sync` frame that waits for its turn; a *run* is the one being answered. A channel is
//! *new* until it has been asked for once, and *behind* once it is known to miss something: its answer was
//! deferred, or its last page had more after it. A run is over when each of its channels is
//! [`finished`](Reader::finished) or [`dropped`](Reader::dropped).
//!
//! All new channels are asked for in one request, of which no more than [`PAGES_UNDER_WAY_MAX`] may bring messages or
//! changes: a sync in which nothing changed costs one request, whatever it names. Channels that are behind are asked for
//! as pages come back, so that each that is asked for can be answered.

use std::collections::VecDeque;

use hashbrown::{HashMap, HashSet};
use ringside_domain::page::ChannelRead;
use ringside_types::hash::RandomState;
use ringside_types::limits::SYNC_PAGE_DEFAULT;
use ringside_types::{ChannelId, MessageId};
use ringside_wire::command::SyncChannel;
use ringside_wire::event::SyncedChannel;

use crate::cursor::{Cursor, PageEnd, Reading};
use crate::limits::{PAGES_UNDER_WAY_MAX, SYNCS_WAITING_MAX};

/// A `sync` frame.
#[derive(Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// The frame's `id`.
    pub frame_id: Option<Box<str>>,
    /// What the client has, per channel.
    pub channels: Vec<SyncChannel>,
    pub limit: usize,
}

/// What to ask the node for in one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// The parts, in the order in which they are wanted.
    pub channels: Vec<ChannelRead>,
    /// How many of them may bring messages or changes.
    pub pages_max: usize,
}

#[derive(Debug)]
struct Run {
    frame_id: Option<Box<str>>,
    limit: usize,
    unfinished: HashSet<ChannelId, RandomState>,
    done: Vec<SyncedChannel>,
}

#[derive(Debug, Default)]
pub struct Reader {
    new: Vec<ChannelId>,
    behind: VecDeque<ChannelId>,
    readings: HashMap<ChannelId, Reading, RandomState>,
    /// Channels that were asked for and not answered yet.
    channels_under_way: usize,
    /// How many of them may still bring messages or changes.
    pages_under_way: usize,
    run: Option<Run>,
    waiting: VecDeque<SyncRequest>,
    /// The host knows that it is to come back.
    pub(crate) is_stalled: bool,
}

impl Reader {
    /// One more sync; false: too many wait already.
    pub fn offer(&mut self, sync: SyncRequest) -> bool {
        let fits = self.waiting.len() < SYNCS_WAITING_MAX;
        if fits {
            self.waiting.push_back(sync);
        }
        fits
    }

    /// The sync whose turn it is, and which is answered from here on. Each channel is to be read from what the client has.
    pub fn poll_sync(&mut self) -> Option<Vec<SyncChannel>> {
        if self.run.is_some() {
            return None;
        }
        let SyncRequest { frame_id, mut channels, limit } = self.waiting.pop_front()?;
        channels.sort_by_key(|asked| asked.channel_id);
        channels.dedup_by_key(|asked| asked.channel_id);
        for asked in &channels {
            self.read(asked.channel_id, Reading::from_sync(asked));
        }
        let unfinished = channels.iter().map(|asked| asked.channel_id).collect();
        self.run = Some(Run { frame_id, limit, unfinished, done: Vec::new() });
        Some(channels)
    }

    /// Queues a channel, to be read from here on.
    pub fn read(&mut self, channel: ChannelId, from: Reading) {
        if self.readings.insert(channel, from).is_some() {
            // Read already, from elsewhere.
            self.new.retain(|queued| *queued != channel);
            self.behind.retain(|queued| *queued != channel);
        }
        self.new.push(channel);
    }

    /// Whether a channel is being read.
    pub fn is_reading(&self, channel: ChannelId) -> bool {
        self.readings.contains_key(&channel)
    }

    /// Whether a channel waits to be asked for.
    pub fn has_queued(&self) -> bool {
        !self.new.is_empty() || !self.behind.is_empty()
    }

    /// What to ask for now. Where more messages or changes than `reset_above` are missing, a sync gets the newest page.
    pub fn poll_parts(&mut self, reset_above: u32) -> Option<Parts> {
        let room = PAGES_UNDER_WAY_MAX.saturating_sub(self.pages_under_way);
        if room == 0 {
            return None;
        }
        let mut channels = Vec::new();
        while channels.len() < room
            && let Some(channel) = self.behind.pop_front()
        {
            channels.extend(self.part_of(channel, reset_above));
        }
        if channels.is_empty() {
            let new = std::mem::take(&mut self.new);
            channels.extend(new.into_iter().filter_map(|channel| self.part_of(channel, reset_above)));
        }
        if channels.is_empty() {
            return None;
        }
        self.channels_under_way += channels.len();
        self.pages_under_way += room.min(channels.len());
        Some(Parts { channels, pages_max: room })
    }

    /// The next part of a channel; `None`: it is read no longer.
    fn part_of(&self, channel_id: ChannelId, reset_above: u32) -> Option<ChannelRead> {
        let Reading { after, after_change, as_events } = *self.readings.get(&channel_id)?;
        let run = self.run.as_ref().filter(|run| run.unfinished.contains(&channel_id));
        Some(ChannelRead {
            channel_id,
            after,
            after_change,
            limit: run.map_or(SYNC_PAGE_DEFAULT, |run| run.limit),
            reset_above: if as_events { 0 } else { reset_above },
        })
    }

    /// A channel that was asked for came back, whether or not it is still read; `with_page`: with messages or changes.
    pub fn answered(&mut self, with_page: bool) {
        self.channels_under_way = self.channels_under_way.saturating_sub(1);
        let pages = self.pages_under_way.saturating_sub(usize::from(with_page));
        self.pages_under_way = pages.min(self.channels_under_way);
    }

    /// Something is missing in a channel, and its turn has not come.
    pub fn deferred(&mut self, read: &ChannelRead) {
        if self.reading_of(read).is_some() {
            self.behind.push_back(read.channel_id);
        }
    }

    /// Whether the answer to `read` is to be sent, and then whether as events. It is not where the channel was left, or
    /// a later sync began anew elsewhere: its own page follows.
    pub fn takes(&self, read: &ChannelRead) -> Option<bool> {
        self.reading_of(read).map(|reading| reading.as_events)
    }

    fn reading_of(&self, read: &ChannelRead) -> Option<&Reading> {
        let is_of =
            |reading: &&Reading| reading.after == read.after && reading.after_change == read.after_change;
        self.readings.get(&read.channel_id).filter(is_of)
    }

    /// A page of a channel has been sent. Returns where the connection stands; if it is still reading, the next part is
    /// asked for before all others: one channel is completed before the next is begun.
    pub fn page_sent(&mut self, channel: ChannelId, end: PageEnd, last: MessageId) -> Option<Cursor> {
        let cursor = self.readings.get_mut(&channel)?.page_sent(end, last);
        match cursor {
            Cursor::Reading => self.behind.push_front(channel),
            Cursor::Live { .. } => {
                self.readings.remove(&channel);
            }
        }
        Some(cursor)
    }

    /// The `id` of the sync that asked for this channel; `None`: none did.
    pub fn asked_by(&self, channel: ChannelId) -> Option<Option<&str>> {
        let run = self.run.as_ref().filter(|run| run.unfinished.contains(&channel))?;
        Some(run.frame_id.as_deref())
    }

    /// A channel has been read to its end.
    pub fn finished(&mut self, synced: SyncedChannel) {
        if let Some(run) = &mut self.run
            && run.unfinished.remove(&synced.channel_id)
        {
            run.done.push(synced);
        }
    }

    /// A channel can't be read any more.
    pub fn dropped(&mut self, channel: ChannelId) {
        self.readings.remove(&channel);
        self.new.retain(|queued| *queued != channel);
        self.behind.retain(|queued| *queued != channel);
        if let Some(run) = &mut self.run {
            run.unfinished.remove(&channel);
        }
    }

    /// The sync that has been answered in full, once: its `id`, and where its channels stand.
    pub fn poll_done(&mut self) -> Option<(Option<Box<str>>, Vec<SyncedChannel>)> {
        let run = self.run.take_if(|run| run.unfinished.is_empty())?;
        Some((run.frame_id, run.done))
    }

    /// Whether there is nothing to read, now or later.
    pub fn is_idle(&self) -> bool {
        !self.has_queued() && self.channels_under_way == 0 && self.run.is_none() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn channel(number: u128) -> ChannelId {
        ChannelId(Uuid::from_u128(number))
    }

    fn sync(id: &str, channels: std::ops::Range<u128>) -> SyncRequest {
        let asked = |number| SyncChannel {
            channel_id: channel(number),
            last_message_id: Some(MessageId(10)),
            last_change: Some(0),
        };
        SyncRequest { frame_id: Some(id.into()), channels: channels.map(asked).collect(), limit: 10 }
    }

    /// The channels asked for, and how many may bring something.
    fn parts(reader: &mut Reader) -> Option<(Vec<u128>, usize)> {
        let parts = reader.poll_parts(0)?;
        Some((parts.channels.iter().map(|read| read.channel_id.0.as_u128()).collect(), parts.pages_max))
    }

    fn read(number: u128) -> ChannelRead {
        let (channel_id, after) = (channel(number), MessageId(10));
        ChannelRead { channel_id, after, after_change: Some(0), limit: 10, reset_above: 0 }
    }

    fn finish(reader: &mut Reader, number: u128) {
        let (channel_id, head) = (channel(number), MessageId(10));
        let end = PageEnd { last_message: None, last_change: None, has_more: false, head, head_change: 0 };
        assert_eq!(reader.page_sent(channel_id, end, head), Some(Cursor::Live { floor: head }));
        reader.finished(SyncedChannel {
            channel_id,
            last_message_id: None,
            last_seq: 0,
            last_change: 0,
            unread_count: 0,
        });
    }

    #[test]
    fn syncs_are_answered_one_after_the_other() {
        let mut reader = Reader::default();
        assert!(reader.offer(sync("a", 1..3)) && reader.offer(sync("b", 0..0)));
        assert_eq!(reader.poll_sync().map(|channels| channels.len()), Some(2));
        assert_eq!(reader.poll_sync(), None, "one at a time");
        assert_eq!(parts(&mut reader), Some((vec![1, 2], 8)));
        assert_eq!(reader.asked_by(channel(1)), Some(Some("a")));
        reader.answered(false);
        finish(&mut reader, 1);
        assert!(reader.poll_done().is_none());
        reader.answered(false);
        reader.dropped(channel(2));
        let (id, done) = reader.poll_done().expect("done");
        assert_eq!((id.as_deref(), done.len()), (Some("a"), 1));
        assert!(reader.poll_sync().is_some_and(|channels| channels.is_empty()));
        assert!(reader.poll_done().is_some() && reader.is_idle());
    }

    #[test]
    fn all_channels_of_a_sync_are_asked_for_at_once_and_those_behind_as_pages_come_back() {
        let mut reader = Reader::default();
        reader.offer(sync("a", 0..100));
        reader.poll_sync();
        assert_eq!(parts(&mut reader), Some(((0..100).collect(), 8)));
        assert_eq!(parts(&mut reader), None);
        for number in 0..90 {
            reader.answered(false);
            reader.deferred(&read(number));
        }
        assert_eq!(parts(&mut reader), None, "eight of the ten others may bring pages");
        for left in (0..10).rev() {
            reader.answered(false);
            let free = PAGES_UNDER_WAY_MAX.saturating_sub(left);
            assert_eq!(reader.pages_under_way, PAGES_UNDER_WAY_MAX - free);
        }
        assert_eq!(parts(&mut reader), Some(((0..8).collect(), 8)));
        reader.answered(true);
        reader.answered(true);
        assert_eq!(parts(&mut reader), Some((vec![8, 9], 2)));
    }

    #[test]
    fn a_channel_goes_on_before_another_begins() {
        let mut reader = Reader::default();
        reader.offer(sync("a", 0..10));
        reader.poll_sync();
        parts(&mut reader);
        for number in 0..10 {
            reader.answered(false);
            reader.deferred(&read(number));
        }
        parts(&mut reader);
        reader.answered(true);
        let (last_message, head) = (Some(MessageId(12)), MessageId(20));
        let end = PageEnd { last_message, last_change: None, has_more: true, head, head_change: 0 };
        assert_eq!(reader.page_sent(channel(3), end, head), Some(Cursor::Reading));
        let next = reader.poll_parts(0).expect("a page came back");
        assert_eq!((next.channels[0].channel_id, next.channels[0].after), (channel(3), MessageId(12)));
        assert_eq!(reader.takes(&read(3)), None, "the page that was sent is not sent again");
    }

    #[test]
    fn a_channel_that_is_read_from_elsewhere_is_asked_for_once_and_others_keep_their_turn() {
        let mut reader = Reader::default();
        let from = |after| Reading { after: MessageId(after), after_change: Some(0), as_events: true };
        for (number, after) in [(1, 5), (2, 10), (1, 10)] {
            reader.read(channel(number), from(after));
        }
        assert_eq!(parts(&mut reader), Some((vec![2, 1], 8)));
        for number in [1, 2] {
            reader.answered(false);
            reader.deferred(&read(number));
        }
        reader.read(channel(1), from(20));
        assert_eq!(parts(&mut reader), Some((vec![2], 8)), "what is behind comes first");
        assert_eq!(parts(&mut reader), Some((vec![1], 7)));
        assert_eq!((reader.takes(&read(1)), reader.takes(&read(2))), (None, Some(true)));
    }

    #[test]
    fn a_channel_that_is_dropped_takes_no_other_s_turn() {
        let mut reader = Reader::default();
        reader.offer(sync("a", 0..4));
        reader.poll_sync();
        reader.dropped(channel(3));
        assert_eq!(parts(&mut reader), Some((vec![0, 1, 2], 8)), "while it is new");
        for number in 0..3 {
            reader.answered(false);
            reader.deferred(&read(number));
        }
        reader.dropped(channel(1));
        assert_eq!(parts(&mut reader), Some((vec![0, 2], 8)), "and while it is behind");
    }

    #[test]
    fn waiting_syncs_are_bounded() {
        let mut reader = Reader::default();
        let offered = (0..100).filter(|_| reader.offer(sync("x", 0..1))).count();
        assert_eq!(offered, SYNCS_WAITING_MAX);
    }
}

//! What a connection still has to read of its channels: its syncs, one after the other, and the channels that it joined
//! late.
//!
//! Vocabulary: a *wish* is a `sync` frame that waits for its turn; a *run* is the one being answered. A channel is
//! *queued* until [`poll_read`](Reader::poll_read) gives it out, then it is under way until
//! [`answered`](Reader::answered). A run is over when each of its channels is [`finished`](Reader::finished) or
//! [`dropped`](Reader::dropped).

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use ringside_types::ChannelId;
use ringside_types::limits::SYNC_PAGE_DEFAULT;
use ringside_wire::command::SyncChannel;
use ringside_wire::event::SyncedChannel;

/// Reads of one connection under way at once.
pub const READS_UNDER_WAY_MAX: usize = 8;
/// Syncs of one connection that wait at the most.
pub const SYNCS_WAITING_MAX: usize = 4;

/// A `sync` frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Wish {
    /// The frame's `id`.
    pub frame_id: Option<Box<str>>,
    /// What the client has, per channel.
    pub channels: Vec<SyncChannel>,
    /// Messages a page.
    pub limit: usize,
}

#[derive(Debug)]
struct Run {
    frame_id: Option<Box<str>>,
    limit: usize,
    unfinished: HashSet<ChannelId, RandomState>,
    /// What the client has of channels that the shard does not know it in yet.
    expected: Vec<SyncChannel>,
    done: Vec<SyncedChannel>,
}

/// One connection's reading.
#[derive(Debug, Default)]
pub struct Reader {
    queue: VecDeque<ChannelId>,
    under_way: usize,
    run: Option<Run>,
    waiting: VecDeque<Wish>,
}

impl Reader {
    /// One more sync; false: too many wait already.
    pub fn offer(&mut self, wish: Wish) -> bool {
        let fits = self.waiting.len() < SYNCS_WAITING_MAX;
        if fits {
            self.waiting.push_back(wish);
        }
        fits
    }

    /// The sync whose turn it is; the caller then says by [`run`](Self::run) what of it can be read.
    pub fn poll_wish(&mut self) -> Option<Wish> {
        if self.run.is_some() { None } else { self.waiting.pop_front() }
    }

    /// Begins to answer a sync: these channels are queued.
    /// `expected` are those that the shard does not know the client in: the node may know better, and then says so
    /// before it answers their reads.
    pub fn run(
        &mut self,
        frame_id: Option<Box<str>>,
        limit: usize,
        channels: &[ChannelId],
        expected: Vec<SyncChannel>,
    ) {
        let all = channels.iter().copied().chain(expected.iter().map(|asked| asked.channel_id));
        let unfinished = all.clone().collect();
        self.queue.extend(all);
        self.run = Some(Run { frame_id, limit, unfinished, expected, done: Vec::new() });
    }

    /// What the client has of a channel that it is expected to be in.
    pub fn expected(&self, channel: ChannelId) -> Option<SyncChannel> {
        self.run.as_ref()?.expected.iter().find(|asked| asked.channel_id == channel).copied()
    }

    /// The same, once: the shard knows the client in the channel from now on.
    pub fn take_expected(&mut self, channel: ChannelId) -> Option<SyncChannel> {
        let expected = &mut self.run.as_mut()?.expected;
        let at = expected.iter().position(|asked| asked.channel_id == channel)?;
        Some(expected.swap_remove(at))
    }

    /// Queues a channel outside a sync.
    pub fn read(&mut self, channel: ChannelId) {
        self.queue.push_back(channel);
    }

    /// Queues a channel whose next part follows, before all others: one is completed before the next is begun.
    pub fn read_on(&mut self, channel: ChannelId) {
        self.queue.push_front(channel);
    }

    /// The channel to read now, if the budget allows one.
    pub fn poll_read(&mut self) -> Option<ChannelId> {
        if self.under_way >= READS_UNDER_WAY_MAX {
            return None;
        }
        let channel = self.queue.pop_front()?;
        self.under_way += 1;
        Some(channel)
    }

    /// A read came back, whatever it brought.
    pub fn answered(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// The `id` of the sync that asked for this channel; `None`: none did.
    pub fn asked_by(&self, channel: ChannelId) -> Option<Option<&str>> {
        let run = self.run.as_ref().filter(|run| run.unfinished.contains(&channel))?;
        Some(run.frame_id.as_deref())
    }

    /// Messages a page of this channel.
    pub fn limit(&self, channel: ChannelId) -> usize {
        let run = self.run.as_ref().filter(|run| run.unfinished.contains(&channel));
        run.map_or(SYNC_PAGE_DEFAULT, |run| run.limit)
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
        self.queue.retain(|queued| *queued != channel);
        if let Some(run) = &mut self.run {
            run.unfinished.remove(&channel);
            run.expected.retain(|asked| asked.channel_id != channel);
        }
    }

    /// The sync that has been answered in full, once: its `id`, and where its channels stand.
    pub fn poll_done(&mut self) -> Option<(Option<Box<str>>, Vec<SyncedChannel>)> {
        let run = self.run.take_if(|run| run.unfinished.is_empty())?;
        Some((run.frame_id, run.done))
    }

    /// Whether there is nothing to read, now or later.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.under_way == 0 && self.run.is_none() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn channel(number: u128) -> ChannelId {
        ChannelId(Uuid::from_u128(number))
    }

    fn synced(number: u128) -> SyncedChannel {
        let channel_id = channel(number);
        SyncedChannel { channel_id, last_message_id: None, last_seq: 0, last_change: 0, unread_count: 0 }
    }

    fn wish(id: &str) -> Wish {
        Wish { frame_id: Some(id.into()), channels: Vec::new(), limit: 10 }
    }

    #[test]
    fn syncs_are_answered_one_after_the_other() {
        let mut reader = Reader::default();
        assert!(reader.offer(wish("a")) && reader.offer(wish("b")));
        assert_eq!(reader.poll_wish(), Some(wish("a")));
        reader.run(Some("a".into()), 10, &[channel(1), channel(2)], Vec::new());
        assert_eq!(reader.poll_wish(), None, "one at a time");
        assert_eq!((reader.poll_read(), reader.poll_read()), (Some(channel(1)), Some(channel(2))));
        assert_eq!((reader.asked_by(channel(1)), reader.limit(channel(1))), (Some(Some("a")), 10));
        reader.answered();
        reader.finished(synced(1));
        assert!(reader.poll_done().is_none());
        reader.answered();
        reader.dropped(channel(2));
        let (id, done) = reader.poll_done().expect("done");
        assert_eq!((id.as_deref(), done.len()), (Some("a"), 1));
        assert_eq!(reader.poll_wish(), Some(wish("b")));
        reader.run(None, 10, &[], Vec::new());
        assert!(reader.poll_done().is_some() && reader.is_idle());
    }

    #[test]
    fn an_expected_channel_is_read_like_the_others_until_it_is_dropped() {
        let mut reader = Reader::default();
        let asked = SyncChannel { channel_id: channel(2), last_message_id: None, last_change: None };
        reader.run(None, 10, &[channel(1)], vec![asked]);
        assert_eq!((reader.poll_read(), reader.poll_read()), (Some(channel(1)), Some(channel(2))));
        assert_eq!((reader.expected(channel(1)), reader.expected(channel(2))), (None, Some(asked)));
        assert_eq!((reader.take_expected(channel(2)), reader.take_expected(channel(2))), (Some(asked), None));
        reader.dropped(channel(2));
        reader.finished(synced(1));
        assert!(reader.poll_done().is_some());
    }

    #[test]
    fn reads_and_waiting_syncs_are_bounded() {
        let mut reader = Reader::default();
        let offered = (0..100).filter(|_| reader.offer(wish("x"))).count();
        assert_eq!(offered, SYNCS_WAITING_MAX);
        for number in 0..100 {
            reader.read(channel(number));
        }
        let given = std::iter::from_fn(|| reader.poll_read()).count();
        assert_eq!(given, READS_UNDER_WAY_MAX);
        reader.answered();
        reader.read_on(channel(7));
        assert_eq!(reader.poll_read(), Some(channel(7)), "a channel goes on before another begins");
    }
}

//! What a processor remembers of its channels between batches, bounded: the store has it all.

use bytes::Bytes;
use hashbrown::HashMap;
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, Epoch, MessageId, Slot, UserId};

use crate::rows::{ChangeRow, HeadRow, InterestRow, MembershipRow, SettingsRow, WriteTimestamp};

/// Channels remembered at the most.
pub(crate) const CHANNELS_MAX: usize = 65_536;
/// Users whose intervals are remembered per channel at the most.
pub(crate) const CHANNEL_USERS_MAX: usize = 4_096;

#[derive(Debug)]
pub(crate) struct ChannelState {
    pub(crate) head: HeadRow,
    pub(crate) interest: Vec<InterestRow>,
    /// Those that may still decide: the open row, and rows that records not yet applied closed.
    pub(crate) settings: Vec<SettingsRow>,
    pub(crate) intervals: HashMap<UserId, Vec<MembershipRow>, RandomState>,
    touched_in_batch: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    channels: HashMap<ChannelId, ChannelState, RandomState>,
    crowded: Vec<ChannelId>,
    batch: u64,
}

impl Cache {
    pub(crate) fn knows(&self, channel: ChannelId) -> bool {
        self.channels.contains_key(&channel)
    }

    pub(crate) fn knows_member(&self, channel: ChannelId, user: UserId) -> bool {
        self.channels.get(&channel).is_some_and(|state| state.intervals.contains_key(&user))
    }

    pub(crate) fn head(&self, channel: ChannelId) -> Option<&HeadRow> {
        self.channels.get(&channel).map(|state| &state.head)
    }

    pub(crate) fn insert(&mut self, channel: ChannelId) {
        let state = ChannelState {
            head: HeadRow::empty(channel),
            interest: Vec::new(),
            settings: Vec::new(),
            intervals: HashMap::default(),
            touched_in_batch: self.batch,
        };
        self.channels.insert(channel, state);
    }

    /// The channel's state; what it holds was loaded before the batch.
    pub(crate) fn channel(&mut self, channel: ChannelId) -> &mut ChannelState {
        let batch = self.batch;
        let state =
            self.channels.get_mut(&channel).expect("a batch's channels are loaded before it is applied");
        state.touched_in_batch = batch;
        if state.intervals.len() > CHANNEL_USERS_MAX {
            self.crowded.push(channel);
        }
        state
    }

    /// Ends a batch: forgets what has not been touched for longest where there is too much. Never within a batch,
    /// whose decisions rely on what was loaded for it.
    pub(crate) fn batch_ended(&mut self) {
        self.batch += 1;
        for channel in self.crowded.drain(..) {
            if let Some(state) = self.channels.get_mut(&channel) {
                state.intervals.clear();
            }
        }
        if self.channels.len() <= CHANNELS_MAX {
            return;
        }
        let mut ages: Vec<u64> = self.channels.values().map(|state| state.touched_in_batch).collect();
        let middle = ages.len() / 2;
        let (_, median, _) = ages.select_nth_unstable(middle);
        let median = *median;
        self.channels.retain(|_, state| state.touched_in_batch > median);
    }
}

impl ChannelState {
    /// The row of a change that the record `id` makes; the head is taken further.
    pub(crate) fn change(&mut self, id: MessageId, stamp: WriteTimestamp, body: Bytes) -> ChangeRow {
        let head = self.head;
        let row = ChangeRow {
            channel_id: head.channel_id,
            change: head.last_change + 1,
            record_id: id,
            prev: head.last_effective_id,
            seq: head.last_seq,
            body,
            stamp,
        };
        self.head = HeadRow { last_effective_id: id, last_change: row.change, stamp, ..head };
        row
    }

    /// The Directory's last version of this user's membership that the record `id` sees.
    pub(crate) fn version_of(&self, user: UserId, id: MessageId) -> u64 {
        let intervals = self.intervals.get(&user).map_or(&[][..], Vec::as_slice);
        let seen = intervals.iter().filter(|row| row.from_id < id).map(|row| {
            let closed = row.to_id != MessageId::ZERO && row.to_id < id;
            if closed { row.version.max(row.to_version) } else { row.version }
        });
        seen.max().unwrap_or(0)
    }

    /// Writes an interval over the one with the same key.
    pub(crate) fn put_interval(&mut self, row: MembershipRow) {
        let intervals = self.intervals.entry(row.user_id).or_default();
        match intervals.iter_mut().find(|other| other.from_id == row.from_id) {
            Some(same) => *same = row,
            None => intervals.push(row),
        }
    }

    /// The interest of one lease of a slot.
    pub(crate) fn interest_of(&mut self, slot: Slot, epoch: Epoch) -> Option<&mut InterestRow> {
        self.interest.iter_mut().find(|row| row.slot == slot && row.epoch == epoch)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn channel(number: usize) -> ChannelId {
        ChannelId(Uuid::from_u128(number as u128))
    }

    fn user(number: usize) -> UserId {
        UserId(Uuid::from_u128(number as u128))
    }

    #[test]
    fn a_crowded_channel_forgets_its_users_when_the_batch_ends() {
        let mut cache = Cache::default();
        for (users, stay) in [(CHANNEL_USERS_MAX, true), (CHANNEL_USERS_MAX + 1, false)] {
            cache.insert(channel(users));
            let known = (0..users).map(|number| (user(number), Vec::new()));
            cache.channel(channel(users)).intervals.extend(known);
            cache.channel(channel(users));
            assert!(cache.knows_member(channel(users), user(0)), "{users}: the batch relies on it");
            cache.batch_ended();
            assert_eq!(cache.knows_member(channel(users), user(0)), stay, "{users}");
            assert!(cache.knows(channel(users)), "{users}: the channel itself stays");
        }
    }

    #[test]
    fn of_too_many_channels_those_touched_longest_ago_are_forgotten() {
        let mut cache = Cache::default();
        let (half, all) = (CHANNELS_MAX / 2, CHANNELS_MAX);
        let known = |cache: &Cache, numbers: std::ops::Range<usize>| {
            numbers.filter(|number| cache.knows(channel(*number))).count()
        };
        for numbers in [0..half, half..all] {
            numbers.for_each(|number| cache.insert(channel(number)));
            cache.batch_ended();
        }
        assert_eq!(known(&cache, 0..all), all, "so many fit");
        cache.channel(channel(0));
        cache.insert(channel(all));
        assert_eq!(known(&cache, 0..all + 1), all + 1, "the batch relies on them");
        cache.batch_ended();
        assert_eq!(known(&cache, 1..all), 0, "half of them at the least");
        assert!(cache.knows(channel(0)) && cache.knows(channel(all)), "touched in this batch");
    }
}

//! Receipts on their way to the log: a machine without I/O that lets at most one a second of a user and channel through.
//! What comes within the second is held, the newest of each kind, and goes when the second is over.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, MessageId, UserId};
use ringside_wire::records::Receipt;

use crate::config::{RECEIPTS_MAX, RECENT_MESSAGES_MAX};

/// A user's receipts of a channel leave the edge this far apart.
pub(crate) const PACE: Duration = Duration::from_secs(1);

type Key = (UserId, ChannelId);

/// Receipts by user and channel.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Those who sent one within the last second, and what they have said since.
    paced: HashMap<Key, Receipt, RandomState>,
    /// In the order in which the seconds end.
    ends: VecDeque<(Instant, Key)>,
    ready: Vec<(Key, Receipt)>,
}

impl Receipts {
    /// Users and channels with a receipt within the last second.
    pub(crate) fn len(&self) -> usize {
        self.paced.len()
    }

    /// A receipt of a message whose place is known; false: there is no room for another user or channel.
    pub(crate) fn offer(&mut self, key: Key, id: MessageId, seq: u64, is_read: bool, now: Instant) -> bool {
        let mut receipt = Receipt { delivered_id: id.0, delivered_seq: seq, ..Receipt::default() };
        if is_read {
            (receipt.read_id, receipt.read_seq) = (id.0, seq);
        }
        let room = self.paced.len() < RECEIPTS_MAX;
        match self.paced.entry(key) {
            Entry::Occupied(mut held) => merge(held.get_mut(), &receipt),
            Entry::Vacant(_) if !room => return false,
            Entry::Vacant(place) => {
                place.insert(Receipt::default());
                self.ends.push_back((now + PACE, key));
                self.ready.push((key, receipt));
            }
        }
        true
    }

    /// When something that is held has to go.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }

    /// Seconds that are over: what was held goes, and begins another; where nothing was held, the pair is forgotten.
    pub(crate) fn handle_time(&mut self, now: Instant) {
        while let Some((end, key)) = self.ends.front().copied()
            && end <= now
        {
            self.ends.pop_front();
            let Some(held) = self.paced.get_mut(&key) else { continue };
            if *held == Receipt::default() {
                self.paced.remove(&key);
            } else {
                self.ready.push((key, std::mem::take(held)));
                self.ends.push_back((now + PACE, key));
            }
        }
    }

    /// Takes what may go now.
    pub(crate) fn poll_ready(&mut self) -> Vec<(Key, Receipt)> {
        std::mem::take(&mut self.ready)
    }

    /// Takes everything, due or not: the edge stops.
    pub(crate) fn take_all(&mut self) -> Vec<(Key, Receipt)> {
        self.ends.clear();
        let held = self.paced.drain().filter(|(_, held)| *held != Receipt::default());
        let mut all = std::mem::take(&mut self.ready);
        all.extend(held);
        all
    }
}

/// Of each register the greater.
fn merge(held: &mut Receipt, new: &Receipt) {
    if new.delivered_seq > held.delivered_seq {
        (held.delivered_id, held.delivered_seq) = (new.delivered_id, new.delivered_seq);
    }
    if new.read_seq > held.read_seq {
        (held.read_id, held.read_seq) = (new.read_id, new.read_seq);
    }
}

/// The places of the newest messages that the edge has handed on.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    places: HashMap<MessageId, (ChannelId, u64), RandomState>,
    order: VecDeque<MessageId>,
}

impl Recent {
    pub(crate) fn push(&mut self, channel: ChannelId, id: MessageId, seq: u64) {
        if self.places.insert(id, (channel, seq)).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > RECENT_MESSAGES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
    }

    /// The message's position in this channel; `None`: not known here.
    pub(crate) fn seq(&self, channel: ChannelId, id: MessageId) -> Option<u64> {
        self.places.get(&id).filter(|(of, _)| *of == channel).map(|(_, seq)| *seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const KEY: Key = (UserId(Uuid::from_u128(1)), ChannelId(Uuid::from_u128(2)));

    fn said(receipts: &mut Receipts) -> Vec<(u64, u64)> {
        receipts.poll_ready().iter().map(|(_, it)| (it.delivered_seq, it.read_seq)).collect()
    }

    #[test]
    fn the_first_goes_at_once_and_the_newest_of_each_second_when_it_is_over() {
        let (mut receipts, start) = (Receipts::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let offer = |receipts: &mut Receipts, seq: u64, is_read, ms| {
            assert!(receipts.offer(KEY, MessageId(seq * 10), seq, is_read, at(ms)));
        };
        offer(&mut receipts, 1, false, 0);
        assert_eq!(said(&mut receipts), [(1, 0)]);
        offer(&mut receipts, 4, false, 100);
        offer(&mut receipts, 3, true, 200);
        offer(&mut receipts, 2, false, 300);
        receipts.handle_time(at(999));
        assert_eq!(said(&mut receipts), []);
        assert_eq!(receipts.next_due(), Some(at(1_000)));
        receipts.handle_time(at(1_000));
        assert_eq!(said(&mut receipts), [(4, 3)]);
        receipts.handle_time(at(2_000));
        assert_eq!((said(&mut receipts), receipts.next_due()), (vec![], None), "forgotten");
        offer(&mut receipts, 5, true, 2_001);
        assert_eq!(said(&mut receipts), [(5, 5)]);
    }

    #[test]
    fn what_is_held_is_taken_when_the_edge_stops() {
        let (mut receipts, now) = (Receipts::default(), Instant::now());
        for seq in [1, 2] {
            receipts.offer(KEY, MessageId(seq), seq, false, now);
        }
        let all: Vec<u64> = receipts.take_all().iter().map(|(_, it)| it.delivered_seq).collect();
        assert_eq!(all, [1, 2]);
        assert!(receipts.take_all().is_empty());
    }

    /// Any order of offers: no two of a pair within a second, and the last one out is the greatest of all.
    #[test]
    fn nothing_is_lost_and_the_pace_is_kept() {
        let start = Instant::now();
        let (mut receipts, mut state) = (Receipts::default(), 9_u64);
        let mut last_at: HashMap<Key, u64, RandomState> = HashMap::default();
        let mut last: HashMap<Key, (u64, u64), RandomState> = HashMap::default();
        let mut greatest = last.clone();
        for step in 0..40_000_u64 {
            let now = start + Duration::from_millis(step);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // The last two seconds are silent, so that what is held can go.
            if step < 38_000 && (state >> 60) < 4 {
                let key = (UserId(Uuid::from_u128(u128::from(state >> 33) % 5)), KEY.1);
                let (seq, is_read) = (state >> 40 & 0xfff, state >> 59 & 1 == 1);
                let known = greatest.entry(key).or_default();
                *known = (known.0.max(seq), if is_read { known.1.max(seq) } else { known.1 });
                receipts.offer(key, MessageId(seq), seq, is_read, now);
            }
            receipts.handle_time(now);
            for (key, receipt) in receipts.poll_ready() {
                let before = last_at.insert(key, step);
                assert!(before.is_none_or(|before| before + 1_000 <= step), "{before:?} and {step}");
                let known = last.entry(key).or_default();
                *known = (known.0.max(receipt.delivered_seq), known.1.max(receipt.read_seq));
            }
        }
        assert_eq!(last, greatest);
    }

    #[test]
    fn so_many_are_paced_at_once() {
        let (mut receipts, now) = (Receipts::default(), Instant::now());
        let offer = |receipts: &mut Receipts, user: usize, now| {
            let key = (UserId(Uuid::from_u128(user as u128)), KEY.1);
            receipts.offer(key, MessageId(1), 1, false, now)
        };
        assert!((0..RECEIPTS_MAX).all(|user| offer(&mut receipts, user, now)));
        assert!(!offer(&mut receipts, RECEIPTS_MAX, now));
        assert!(offer(&mut receipts, 0, now), "who is paced already has their place");
        receipts.handle_time(now + PACE);
        assert!(offer(&mut receipts, RECEIPTS_MAX, now + PACE));
    }

    #[test]
    fn the_oldest_places_are_forgotten() {
        let mut recent = Recent::default();
        for id in 1..=RECENT_MESSAGES_MAX as u64 + 1 {
            recent.push(KEY.1, MessageId(id), id);
        }
        let other = ChannelId(Uuid::from_u128(3));
        let seq = |channel, id| recent.seq(channel, MessageId(id));
        assert_eq!((seq(KEY.1, 1), seq(KEY.1, 2), seq(other, 2)), (None, Some(2), None));
    }
}

//! An edge's side of the chain: which channels it listens to, and whether it has missed a record of one.
//!
//! Vocabulary: a shard [`hold`](Feed::hold)s a channel while it has a member of it. Holding a channel that nobody held
//! makes a *join*, with a number `n` that rises with every join of this lease; letting go makes a *leave*, after a
//! linger. The answer to a join says where the channel's chain begins for this edge; from then on every event carries
//! the id of the one before it, and an event whose predecessor is unknown waits until the *gap* has been read
//! from the store.
//!
//! Inputs are `hold`, `release` and `handle_*`, outputs are pushed to the caller's buffer, and
//! [`poll_interest`](Feed::poll_interest) gives the joins and leaves to append.

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, MessageId};
use ringside_wire::records::{Effective, JoinAnswer};

/// A channel that nobody holds is left after this long.
pub const LINGER: Duration = Duration::from_secs(60);
/// An unanswered join is repeated after this long.
pub const JOIN_REPEAT: Duration = Duration::from_secs(2);
/// Every join is repeated this often, and every one is answered, which finds a lost tail.
pub const JOIN_REFRESH: Duration = Duration::from_secs(300);
/// Events held back per channel while its gap is read. Beyond it they are dropped: the chain shows that they are
/// missing, and the next gap brings them.
pub const GAP_HELD_MAX: usize = 1_024;

const _: () = assert!(JOIN_REPEAT.as_millis() < JOIN_REFRESH.as_millis());

/// What a feed asks of its caller.
#[derive(Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all are Deliver; a box would allocate for each event")]
pub enum Output {
    /// Hand this event to the shards.
    Deliver(ChannelId, Effective),
    /// The channel's join is answered: events follow from above `last`.
    Live { channel_id: ChannelId, last: MessageId },
    /// Read the records above `after` and up to `up_to` from the store, and give them to `handle_gap`.
    ReadGap(GapRange),
}

/// Records that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapRange {
    pub channel_id: ChannelId,
    /// Records above this one,
    pub after: MessageId,
    /// up to and with this one.
    pub up_to: MessageId,
}

/// A join or leave to append to the channel's partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InterestChange {
    pub channel_id: ChannelId,
    /// The edge's count of its joins.
    pub n: u64,
    /// Whether it is a leave.
    pub leaves: bool,
}

#[derive(Debug)]
struct Listening {
    n: u64,
    last: Option<MessageId>,
    holders: u32,
    asked_at: Instant,
    leave_at: Option<Instant>,
    /// `Some` while the gap above `last` is being read.
    held: Option<Held>,
}

/// What waits for a gap.
#[derive(Debug)]
struct Held {
    events: Vec<Effective>,
    /// The newest record that is known to be there, of the gap or behind it.
    newest: MessageId,
}

/// All channels that an edge listens to, in one lease of its slot.
#[derive(Debug, Default)]
pub struct Feed {
    channels: HashMap<ChannelId, Listening, RandomState>,
    turns: Vec<InterestChange>,
    n: u64,
}

impl Feed {
    /// One more holder of a channel. Returns the id of the last record handed on; `None`: not answered yet.
    pub fn hold(&mut self, channel_id: ChannelId, now: Instant) -> Option<MessageId> {
        if let Some(listening) = self.channels.get_mut(&channel_id) {
            listening.holders += 1;
            listening.leave_at = None;
            return listening.last;
        }
        self.n += 1;
        let listening =
            Listening { n: self.n, last: None, holders: 1, asked_at: now, leave_at: None, held: None };
        self.channels.insert(channel_id, listening);
        self.turns.push(InterestChange { channel_id, n: self.n, leaves: false });
        None
    }

    /// One holder less.
    ///
    /// # Panics
    /// When nobody holds the channel: a fault of the caller.
    pub fn release(&mut self, channel_id: ChannelId, now: Instant) {
        let listening = self.channels.get_mut(&channel_id).expect("a released channel is held");
        listening.holders = listening.holders.checked_sub(1).expect("a released channel has a holder");
        if listening.holders == 0 {
            listening.leave_at = Some(now + LINGER);
        }
    }

    /// The last record handed on; `None`: not listened to, or not answered yet.
    pub fn last(&self, channel_id: ChannelId) -> Option<MessageId> {
        self.channels.get(&channel_id)?.last
    }

    /// The newest record of a channel that was seen and waits for a gap; zero: none does.
    pub fn waiting(&self, channel_id: ChannelId) -> MessageId {
        let held = self.channels.get(&channel_id).and_then(|listening| listening.held.as_ref());
        held.map_or(MessageId::ZERO, |held| held.newest)
    }

    /// How many channels are listened to.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether no channel is listened to.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// The answer to a join. That of an earlier `n` is ignored.
    ///
    /// The chain begins at the join, or at the head where nothing is between: so `last` is always an effective record,
    /// which a reader of the store can reach.
    pub fn handle_answer(&mut self, channel_id: ChannelId, answer: &JoinAnswer, out: &mut Vec<Output>) {
        let Some(listening) = self.channels.get_mut(&channel_id) else { return };
        if listening.n != answer.n {
            return;
        }
        let head = answer.head.as_ref().map_or(0, |head| head.last_effective_id);
        let last = match listening.last {
            Some(last) => last,
            None => {
                let last = MessageId(answer.joined_id.min(head));
                listening.last = Some(last);
                out.push(Output::Live { channel_id, last });
                last
            }
        };
        if MessageId(head) > last && listening.held.is_none() {
            listening.held = Some(Held { events: Vec::new(), newest: MessageId(head) });
            out.push(Output::ReadGap(GapRange { channel_id, after: last, up_to: MessageId(head) }));
        }
    }

    /// An event: dropped when it is known, delivered when it follows, held back while what precedes it is read.
    pub fn handle_event(&mut self, channel_id: ChannelId, event: Effective, out: &mut Vec<Output>) {
        let Some(listening) = self.channels.get_mut(&channel_id) else { return };
        // Unanswered: what is below the join's id is not ours, and what is above follows the answer in the
        // slot's partition, or is found missing by the answer's head.
        let Some(last) = listening.last else { return };
        if let Some(held) = &mut listening.held {
            held.newest = held.newest.max(MessageId(event.id));
            if held.events.len() < GAP_HELD_MAX {
                held.events.push(event);
            }
            return;
        }
        let (id, prev) = (MessageId(event.id), MessageId(event.prev));
        if id <= last {
            return;
        }
        if prev <= last {
            listening.last = Some(id);
            out.push(Output::Deliver(channel_id, event));
            return;
        }
        listening.held = Some(Held { events: vec![event], newest: id });
        out.push(Output::ReadGap(GapRange { channel_id, after: last, up_to: prev }));
    }

    /// What the store had of a gap, oldest first.
    pub fn handle_gap(&mut self, range: GapRange, found: Vec<Effective>, out: &mut Vec<Output>) {
        let Some(listening) = self.channels.get_mut(&range.channel_id) else { return };
        let (Some(mut last), Some(held)) = (listening.last, listening.held.take()) else { return };
        for event in found {
            if MessageId(event.id) > last {
                last = MessageId(event.id);
                out.push(Output::Deliver(range.channel_id, event));
            }
        }
        // Everything up to the range's end has been read, whether or not its last record was effective.
        listening.last = Some(last.max(range.up_to));
        for event in held.events {
            self.handle_event(range.channel_id, event, out);
        }
    }

    /// Repeats joins that are unanswered or old, and leaves channels that nobody came back to.
    pub fn handle_tick(&mut self, now: Instant) {
        let turns = &mut self.turns;
        self.channels.retain(|channel_id, listening| {
            if listening.leave_at.is_some_and(|at| at <= now) {
                turns.push(InterestChange { channel_id: *channel_id, n: listening.n, leaves: true });
                return false;
            }
            let patience = if listening.last.is_none() { JOIN_REPEAT } else { JOIN_REFRESH };
            if now.saturating_duration_since(listening.asked_at) >= patience {
                listening.asked_at = now;
                turns.push(InterestChange { channel_id: *channel_id, n: listening.n, leaves: false });
            }
            true
        });
    }

    /// Whether there are joins or leaves to be taken.
    pub fn has_interest_changes(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Takes the joins and leaves that are to be appended, in order.
    pub fn poll_interest(&mut self) -> Vec<InterestChange> {
        std::mem::take(&mut self.turns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_wire::records::Head;
    use uuid::Uuid;

    const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(7));

    fn event(id: u64, prev: u64) -> Effective {
        Effective { id, prev, ..Effective::default() }
    }

    fn answer(n: u64, joined_id: u64, head: u64) -> JoinAnswer {
        JoinAnswer { n, joined_id, head: Some(Head { last_effective_id: head, ..Head::default() }) }
    }

    fn ids(out: &[Output]) -> Vec<u64> {
        out.iter()
            .filter_map(|output| if let Output::Deliver(_, event) = output { Some(event.id) } else { None })
            .collect()
    }

    fn live(last: u64) -> Feed {
        let mut feed = Feed::default();
        assert_eq!(feed.hold(CHANNEL, Instant::now()), None);
        let mut out = Vec::new();
        feed.handle_answer(CHANNEL, &answer(1, last + 1, last), &mut out);
        assert_eq!(out, [Output::Live { channel_id: CHANNEL, last: MessageId(last) }]);
        feed
    }

    #[test]
    fn follows_the_chain_and_drops_what_it_knows() {
        let mut feed = live(10);
        let mut out = Vec::new();
        for (id, prev) in [(9, 8), (11, 9), (11, 9), (12, 11)] {
            feed.handle_event(CHANNEL, event(id, prev), &mut out);
        }
        assert_eq!(ids(&out), [11, 12]);
    }

    #[test]
    fn a_lost_record_is_read_before_its_successor_is_delivered() {
        let mut feed = live(10);
        let mut out = Vec::new();
        feed.handle_event(CHANNEL, event(14, 13), &mut out);
        feed.handle_event(CHANNEL, event(15, 14), &mut out);
        let range = GapRange { channel_id: CHANNEL, after: MessageId(10), up_to: MessageId(13) };
        assert_eq!(out, [Output::ReadGap(range)]);
        assert_eq!(feed.waiting(CHANNEL), MessageId(15), "two wait, and what they wait for is older");
        feed.handle_gap(range, vec![event(10, 9), event(11, 9), event(13, 11)], &mut out);
        assert_eq!(ids(&out), [11, 13, 14, 15], "and what is known is not handed on again");
        assert_eq!(feed.waiting(CHANNEL), MessageId::ZERO);
    }

    #[test]
    fn a_quiet_channel_begins_at_its_head() {
        let mut feed = Feed::default();
        feed.hold(CHANNEL, Instant::now());
        let mut out = Vec::new();
        feed.handle_answer(CHANNEL, &answer(1, 10, 7), &mut out);
        assert_eq!(feed.last(CHANNEL), Some(MessageId(7)), "a reader that has read up to the head is there");
        feed.handle_event(CHANNEL, event(12, 7), &mut out);
        assert_eq!(ids(&out), [12]);
    }

    #[test]
    fn a_lost_tail_is_found_by_a_repeated_join() {
        let mut feed = live(10);
        let mut out = Vec::new();
        feed.handle_tick(Instant::now() + JOIN_REFRESH);
        assert_eq!(feed.poll_interest().len(), 2, "the first join, and its repetition");
        feed.handle_answer(CHANNEL, &answer(1, 10, 12), &mut out);
        assert!(matches!(out[..], [Output::ReadGap(GapRange { up_to: MessageId(12), .. })]));
    }

    #[test]
    fn more_than_is_held_back_is_found_missing_later() {
        let mut feed = live(10);
        let mut out = Vec::new();
        let end = 12 + GAP_HELD_MAX as u64 + 5;
        for id in 12..=end {
            feed.handle_event(CHANNEL, event(id, id - 1), &mut out);
        }
        let Some(Output::ReadGap(first)) = out.pop() else { panic!("a gap") };
        feed.handle_gap(first, vec![event(11, 10)], &mut out);
        feed.handle_event(CHANNEL, event(end + 1, end), &mut out);
        let Some(Output::ReadGap(second)) = out.pop() else { panic!("a second gap") };
        assert_eq!(second.after, MessageId(11 + GAP_HELD_MAX as u64), "so many were held back");
        let missing = (second.after.0 + 1..=second.up_to.0).map(|id| event(id, id - 1)).collect();
        feed.handle_gap(second, missing, &mut out);
        assert_eq!(ids(&out), (11..=end + 1).collect::<Vec<_>>());
    }

    #[test]
    fn leaves_after_the_linger_and_joins_with_a_greater_number() {
        let mut feed = live(10);
        assert_eq!((feed.len(), feed.is_empty(), feed.has_interest_changes()), (1, false, true));
        feed.poll_interest();
        assert!(!feed.has_interest_changes());
        let now = Instant::now();
        feed.release(CHANNEL, now);
        feed.handle_tick(now + LINGER / 2);
        assert_eq!(feed.hold(CHANNEL, now), Some(MessageId(10)), "lingering: nothing was lost");
        feed.release(CHANNEL, now);
        feed.handle_tick(now + LINGER);
        assert_eq!((feed.len(), feed.is_empty(), feed.has_interest_changes()), (0, true, true));
        assert_eq!(feed.poll_interest(), [InterestChange { channel_id: CHANNEL, n: 1, leaves: true }]);
        assert_eq!(feed.hold(CHANNEL, now), None);
        assert_eq!(feed.poll_interest(), [InterestChange { channel_id: CHANNEL, n: 2, leaves: false }]);
        let mut out = Vec::new();
        feed.handle_answer(CHANNEL, &answer(1, 10, 99), &mut out);
        assert_eq!(out, [], "the answer to an earlier join");
    }
}

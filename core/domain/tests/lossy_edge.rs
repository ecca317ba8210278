//! An edge whose slot loses, doubles, reorders and delays records: its clients are whole in the end, and each event is
//! handed on once and in order.

use std::time::Instant;

use proptest::prelude::*;
use ringside_domain::feed::{Feed, GapRange, Output};
use ringside_types::{ChannelId, MessageId};
use ringside_wire::records::{Effective, Head, JoinAnswer};
use uuid::Uuid;

const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(1));
/// Between two effective records there are others, which consume ids.
const ID_STEP: u64 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The partition makes a record and sends it to the edge.
    Append,
    /// One of the records under way arrives: any of them.
    Arrive(usize),
    Lose(usize),
    Double(usize),
    /// A repeated join is answered.
    Answer,
    /// The store answers the oldest read of a gap.
    ReadGap,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Append),
        4 => (0..4_usize).prop_map(Step::Arrive),
        1 => (0..4_usize).prop_map(Step::Lose),
        1 => (0..4_usize).prop_map(Step::Double),
        1 => Just(Step::Answer),
        2 => Just(Step::ReadGap),
    ]
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful at a time, in a test")]
enum Item {
    Event(Effective),
    Answer(JoinAnswer),
}

/// The partition, the store behind it, and what is on its way.
struct World {
    feed: Feed,
    /// Ids of the channel's effective records.
    stored: Vec<u64>,
    joined_id: u64,
    under_way: Vec<Item>,
    gaps: Vec<GapRange>,
    handed_on: Vec<u64>,
}

impl World {
    fn new(before: u64) -> Self {
        let mut feed = Feed::default();
        feed.hold(CHANNEL, Instant::now());
        let stored: Vec<u64> = (1..=before).map(|number| number * ID_STEP).collect();
        let joined_id = before * ID_STEP + 1;
        let (under_way, gaps, handed_on) = (Vec::new(), Vec::new(), Vec::new());
        let mut world = Self { feed, stored, joined_id, under_way, gaps, handed_on };
        let answer = world.answer();
        world.under_way.push(answer);
        world
    }

    fn event(&self, place: usize) -> Effective {
        let prev = place.checked_sub(1).map_or(0, |before| self.stored[before]);
        Effective { id: self.stored[place], prev, ..Effective::default() }
    }

    fn answer(&self) -> Item {
        let head = Head { last_effective_id: self.stored.last().copied().unwrap_or(0), ..Head::default() };
        Item::Answer(JoinAnswer { n: 1, joined_id: self.joined_id, head: Some(head) })
    }

    fn take(&mut self, item: Item) {
        let mut out = Vec::new();
        match item {
            Item::Event(event) => self.feed.handle_event(CHANNEL, event, &mut out),
            Item::Answer(answer) => self.feed.handle_answer(CHANNEL, &answer, &mut out),
        }
        self.collect(out);
    }

    fn read_gap(&mut self) {
        if self.gaps.is_empty() {
            return;
        }
        let range = self.gaps.remove(0);
        let inside = |id: u64| MessageId(id) > range.after && MessageId(id) <= range.up_to;
        let places = (0..self.stored.len()).filter(|place| inside(self.stored[*place]));
        let found = places.map(|place| self.event(place)).collect();
        let mut out = Vec::new();
        self.feed.handle_gap(range, found, &mut out);
        self.collect(out);
    }

    fn collect(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Deliver(_, event) => self.handed_on.push(event.id),
                Output::ReadGap(range) => self.gaps.push(range),
                Output::Live { last, .. } => assert!(last <= MessageId(self.joined_id)),
            }
        }
    }

    fn step(&mut self, step: Step) {
        let at = |index: usize, world: &Self| index.min(world.under_way.len().saturating_sub(1));
        match step {
            Step::Append => {
                let next = self.stored.last().map_or(ID_STEP, |last| last + ID_STEP).max(self.joined_id + 1);
                self.stored.push(next);
                self.under_way.push(Item::Event(self.event(self.stored.len() - 1)));
            }
            Step::Answer => {
                let answer = self.answer();
                self.under_way.push(answer);
            }
            Step::ReadGap => self.read_gap(),
            Step::Arrive(_) | Step::Lose(_) | Step::Double(_) if self.under_way.is_empty() => {}
            Step::Arrive(index) => {
                let item = self.under_way.remove(at(index, self));
                self.take(item);
            }
            Step::Lose(index) => drop(self.under_way.remove(at(index, self))),
            Step::Double(index) => {
                let item = self.under_way[at(index, self)].clone();
                self.under_way.push(item);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_handed_on_once_and_in_order(
        before in 0..5_u64,
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut world = World::new(before);
        for step in steps {
            world.step(step);
        }
        // The join that is repeated every five minutes finds what was lost.
        let answer = world.answer();
        world.take(answer.clone());
        while !world.gaps.is_empty() {
            world.read_gap();
        }
        world.take(answer);
        while !world.gaps.is_empty() {
            world.read_gap();
        }
        let due: Vec<u64> = world.stored.iter().copied().filter(|id| *id > world.joined_id).collect();
        prop_assert_eq!(world.handed_on, due);
    }
}

//! A hierarchical timer wheel: set, cancel and fire in O(1), for a million timers.
//!
//! Pure: time is a count of *ticks* that the caller passes in. Level `n` has 64 slots of 64^n
//! ticks; a timer lies at the level of the highest 6-bit digit in which its deadline differs from
//! now, and moves down when that slot is reached. Entries are doubly linked through indices.

/// Slots of one level: a digit of six bits, so that one word says which are occupied.
const SLOTS: usize = 64;
const DIGIT_BITS: u32 = SLOTS.trailing_zeros();
/// Six levels of 64 reach 64^6 ticks: a century of 50 ms.
const LEVELS: usize = 6;
/// The last tick that can be told; a later deadline is cut to it.
const HORIZON: u64 = (1 << (DIGIT_BITS as u64 * LEVELS as u64)) - 1;
/// End of a list.
const NIL: u32 = u32::MAX;
/// Lists: one per slot and level, then the one of timers that are due.
const DUE: u16 = (LEVELS * SLOTS) as u16;
const LISTS: usize = DUE as usize + 1;
/// The place of an entry that is in no list.
const NOWHERE: u16 = u16::MAX;

/// A timer that was set. Stale once it fired or was cancelled; a stale id is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

impl TimerId {
    /// A timer of whoever drives a handler without a reactor.
    pub const fn from_u64(number: u64) -> Self {
        Self { index: number as u32, generation: (number >> 32) as u32 }
    }

    /// The number that [`from_u64`](Self::from_u64) was given.
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    payload: T,
    deadline: u64,
    next: u32,
    previous: u32,
    generation: u32,
    list: u16,
}

/// The wheel. `T` is what a timer carries.
#[derive(Debug)]
pub struct Wheel<T> {
    now: u64,
    entries: Vec<Entry<T>>,
    heads: Box<[u32; LISTS]>,
    occupied: [u64; LEVELS],
    free: u32,
    len: usize,
}

impl<T: Copy> Default for Wheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel at tick 0.
    #[must_use]
    pub fn new() -> Wheel<T> {
        Wheel {
            now: 0,
            entries: Vec::new(),
            heads: Box::new([NIL; LISTS]),
            occupied: [0; LEVELS],
            free: NIL,
            len: 0,
        }
    }

    /// Timers set and not yet fired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if no timer is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets a timer that fires at `deadline` (a tick), or at the next tick if that has passed.
    pub fn set(&mut self, deadline: u64, payload: T) -> TimerId {
        let deadline = deadline.clamp(self.now + 1, HORIZON);
        let index = self.allocate(deadline, payload);
        self.place(index);
        self.len += 1;
        TimerId { index, generation: self.entries[index as usize].generation }
    }

    /// Cancels a timer and returns what it carried; `None` if it fired or was cancelled before.
    pub fn cancel(&mut self, timer: TimerId) -> Option<T> {
        let entry = self.entries.get(timer.index as usize)?;
        if entry.generation != timer.generation || entry.list == NOWHERE {
            return None;
        }
        self.unlink(timer.index);
        Some(self.release(timer.index))
    }

    /// The next timer whose deadline is at or before tick `to`. Call until `None`; timers may be
    /// set and cancelled in between. Order within a tick is not defined.
    pub fn pop(&mut self, to: u64) -> Option<T> {
        let to = to.min(HORIZON - 1);
        loop {
            let due = self.heads[DUE as usize];
            if due != NIL {
                self.unlink(due);
                return Some(self.release(due));
            }
            match self.next_slot() {
                Some((list, start)) if start <= to => self.turn(list, start),
                _ => {
                    self.now = self.now.max(to);
                    return None;
                }
            }
        }
    }

    /// The tick at which [`Wheel::pop`] has work again: at or before the earliest deadline.
    #[must_use]
    pub fn next_tick(&self) -> Option<u64> {
        if self.heads[DUE as usize] != NIL {
            return Some(self.now);
        }
        self.next_slot().map(|(_, start)| start)
    }

    /// The earliest occupied slot and the tick at which it begins. A lower level is always earlier.
    fn next_slot(&self) -> Option<(u16, u64)> {
        let level = self.occupied.iter().position(|&bits| bits != 0)?;
        // All occupied slots lie after the current one: a deadline's digit at its level is greater.
        let slot = self.occupied[level].trailing_zeros();
        let shift = DIGIT_BITS * level as u32;
        let above = self.now >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        let start = above | u64::from(slot) << shift;
        debug_assert!(start > self.now, "a slot of the past is occupied");
        Some((list_of(level, slot as usize), start))
    }

    /// Moves time to the start of a slot and its timers to where they belong from there.
    fn turn(&mut self, list: u16, start: u64) {
        self.now = start;
        while self.heads[list as usize] != NIL {
            let index = self.heads[list as usize];
            self.unlink(index);
            self.place(index);
        }
    }

    fn place(&mut self, index: u32) {
        let deadline = self.entries[index as usize].deadline;
        let list = if deadline <= self.now {
            DUE
        } else {
            let level = ((deadline ^ self.now).ilog2() / DIGIT_BITS) as usize;
            let slot = (deadline >> (DIGIT_BITS * level as u32)) as usize % SLOTS;
            self.occupied[level] |= 1 << slot;
            list_of(level, slot)
        };
        let head = self.heads[list as usize];
        if head != NIL {
            self.entries[head as usize].previous = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.list = list;
        entry.next = head;
        entry.previous = NIL;
        self.heads[list as usize] = index;
    }

    fn unlink(&mut self, index: u32) {
        let Entry { next, previous, list, .. } = self.entries[index as usize];
        if next != NIL {
            self.entries[next as usize].previous = previous;
        }
        if previous != NIL {
            self.entries[previous as usize].next = next;
        } else {
            self.heads[list as usize] = next;
            if next == NIL && list != DUE {
                self.occupied[list as usize / SLOTS] &= !(1 << (list as usize % SLOTS));
            }
        }
    }

    fn allocate(&mut self, deadline: u64, payload: T) -> u32 {
        if self.free == NIL {
            let index = u32::try_from(self.entries.len()).expect("fewer than 4 billion timers");
            assert!(index != NIL, "fewer than 4 billion timers");
            self.entries.push(Entry {
                payload,
                deadline,
                next: NIL,
                previous: NIL,
                generation: 1,
                list: NOWHERE,
            });
            return index;
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        entry.payload = payload;
        entry.deadline = deadline;
        index
    }

    fn release(&mut self, index: u32) -> T {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.list = NOWHERE;
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
        entry.payload
    }
}

fn list_of(level: usize, slot: usize) -> u16 {
    (level * SLOTS + slot) as u16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u64),
        Cancel(usize),
        Advance(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Delays over all levels: a digit shifted by up to 24 bits.
        let spread = (0u64..64, 0u32..24).prop_map(|(digit, shift)| digit << shift);
        prop_oneof![
            spread.clone().prop_map(Step::Set),
            any::<usize>().prop_map(Step::Cancel),
            spread.prop_map(Step::Advance),
        ]
    }

    proptest! {
        /// Against a sorted map: each timer fires in the first advance that reaches its deadline,
        /// once, and never if it was cancelled.
        #[test]
        fn fires_what_a_sorted_map_would(steps in prop::collection::vec(step(), 1..200)) {
            let mut wheel = Wheel::new();
            let mut model: BTreeMap<u64, (u64, TimerId)> = BTreeMap::new();
            let (mut now, mut named) = (0, 0);
            for step in steps {
                match step {
                    Step::Set(delay) => {
                        let id = wheel.set(now + delay, named);
                        model.insert(named, ((now + delay).max(now + 1), id));
                        named += 1;
                    }
                    Step::Cancel(which) => {
                        let Some((&name, &(_, id))) = model.iter().nth(which % model.len().max(1)) else { continue };
                        prop_assert_eq!(wheel.cancel(id), Some(name));
                        prop_assert_eq!(wheel.cancel(id), None);
                        model.remove(&name);
                    }
                    Step::Advance(by) => {
                        now += by;
                        let earliest = model.values().map(|&(deadline, _)| deadline).min();
                        if let (Some(tick), Some(earliest)) = (wheel.next_tick(), earliest) {
                            prop_assert!(tick <= earliest);
                        }
                        let mut fired: Vec<u64> = std::iter::from_fn(|| wheel.pop(now)).collect();
                        fired.sort_unstable();
                        let due: Vec<u64> = model.iter().filter(|(_, v)| v.0 <= now).map(|(&n, _)| n).collect();
                        prop_assert_eq!(&fired, &due);
                        model.retain(|_, v| v.0 > now);
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                prop_assert_eq!(wheel.next_tick().is_some(), !model.is_empty());
            }
        }
    }

    #[test]
    fn a_timer_may_be_cancelled_by_one_that_fires_at_the_same_tick() {
        let mut wheel = Wheel::new();
        let ids = [wheel.set(70, 0usize), wheel.set(70, 1)];
        let first = wheel.pop(70).expect("both are due");
        assert_eq!(wheel.cancel(ids[1 - first]), Some(1 - first));
        assert_eq!(wheel.pop(70), None);
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_million_timers_fire_once_each() {
        const COUNT: u64 = 1_000_000;
        let mut wheel = Wheel::new();
        for n in 0..COUNT {
            wheel.set(1 + n * 7919 % 100_000, ());
        }
        let fired: u64 =
            (0..=100_000).map(|tick| std::iter::from_fn(|| wheel.pop(tick)).count() as u64).sum();
        assert_eq!(fired, COUNT);
    }
}

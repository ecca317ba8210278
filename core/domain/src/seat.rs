//! An edge's tenure of its slot, computed from `control` alone.
//!
//! Vocabulary: a *claim* is a record in `control`; its offset is the tenure's *epoch*. A *tick* renews it. Whoever reads
//! a later claim of its slot has lost it, and so has who reads that the tenure is over ([`crate::tenures`]): its interest
//! is void in every partition by then. The *fence* is the instant up to which an edge may send channel data: a
//! fixed time after it **appended** the newest own tick that it has read back, so that a paused or cut-off edge
//! falls silent by itself. It counts by the time since boot, which passes while a machine is suspended.

use std::collections::VecDeque;
use std::time::Duration;

use ringside_types::{BootTime, Epoch, Offset, Slot, UnixMillis};
use ringside_wire::records::{Claim, Tick, control};

use crate::tenures::is_over;

/// An edge ticks this often.
pub const TICK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a tick that was read back lets channel data be sent, from when it was appended.
pub const FENCE: Duration = Duration::from_millis(1_500);
/// Ticks that may still be read back at the most. Beyond it the oldest is given up: it was refused, or it is too old to
/// open a fence.
pub const TICKS_PENDING_MAX: usize = 16;

const _: () = assert!(TICK_INTERVAL.as_millis() * 2 < FENCE.as_millis(), "one late tick closes no fence");
const _: () = assert!(
    TICK_INTERVAL.as_millis() * TICKS_PENDING_MAX as u128 > FENCE.as_millis(),
    "a tick that is given up could have opened nothing"
);

/// What a record of `control` means for the seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatChange {
    /// The slot is this edge's, in this epoch.
    Won(Epoch),
    /// Another edge has claimed the slot, or this one was silent for too long: close everything, claim anew.
    Lost,
}

/// One edge's seat.
#[derive(Debug)]
pub struct Seat {
    slot: Slot,
    nonce: [u8; 16],
    epoch: Option<Epoch>,
    /// The log's time of the newest own claim or tick that was read back.
    sign: UnixMillis,
    number: u64,
    pending: VecDeque<(u64, BootTime)>,
    fence: Option<BootTime>,
}

impl Seat {
    /// A seat that is to be claimed; `nonce` is drawn anew for each claim.
    pub fn new(slot: Slot, nonce: [u8; 16]) -> Self {
        let sign = UnixMillis::default();
        Self { slot, nonce, epoch: None, sign, number: 0, pending: VecDeque::new(), fence: None }
    }

    /// The record that claims the slot.
    pub fn claim(&self) -> Claim {
        Claim { slot: u32::from(self.slot.0), nonce: self.nonce.to_vec().into() }
    }

    /// The slot.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The tenure; `None`: not won yet, or lost.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Up to when channel data may be sent; `None`: not at all yet.
    pub fn fence(&self) -> Option<BootTime> {
        self.epoch.and(self.fence)
    }

    /// The tick to append now; `None` while the seat is not held. Ticks that the log refused need no word: each new one
    /// stands for those before it.
    pub fn tick(&mut self, now: BootTime) -> Option<Tick> {
        let epoch = self.epoch?;
        if self.pending.len() >= TICKS_PENDING_MAX {
            self.pending.pop_front();
        }
        self.number += 1;
        self.pending.push_back((self.number, now));
        Some(Tick { slot: u32::from(self.slot.0), epoch: epoch.0, number: self.number })
    }

    /// The machine may have stood still, and no clock of its own says for how long: only what is appended from now on
    /// opens a fence.
    pub fn doubt(&mut self) {
        self.pending.clear();
        self.fence = None;
    }

    /// A record of `control`, in order.
    pub fn handle_control(
        &mut self,
        offset: Offset,
        time: UnixMillis,
        body: &control::Body,
    ) -> Option<SeatChange> {
        if self.epoch.is_some() && is_over(self.sign, time) {
            return self.lost();
        }
        match body {
            control::Body::Claim(claim) if claim.slot == u32::from(self.slot.0) => {
                if claim.nonce[..] != self.nonce {
                    return self.lost();
                }
                self.epoch = Some(Epoch(offset.0));
                self.sign = time;
                Some(SeatChange::Won(Epoch(offset.0)))
            }
            control::Body::Tick(tick) => {
                let own = self.epoch.is_some_and(|epoch| epoch.0 == tick.epoch);
                if own && tick.slot == u32::from(self.slot.0) {
                    self.sign = time;
                    self.read_back(tick.number);
                }
                None
            }
            _ => None,
        }
    }

    fn lost(&mut self) -> Option<SeatChange> {
        self.epoch.take().map(|_| SeatChange::Lost)
    }

    fn read_back(&mut self, number: u64) {
        while let Some((sent, at)) = self.pending.front().copied() {
            if sent > number {
                return;
            }
            self.pending.pop_front();
            if sent == number {
                self.fence = Some(at + FENCE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenures::TENURE_SILENCE_MS;

    const START: UnixMillis = UnixMillis(1_000_000);
    const BOOT: BootTime = BootTime(Duration::from_secs(100));

    fn won() -> Seat {
        let mut seat = Seat::new(Slot(1), [7; 16]);
        let claim = control::Body::Claim(seat.claim());
        assert_eq!(seat.handle_control(Offset(5), START, &claim), Some(SeatChange::Won(Epoch(5))));
        seat
    }

    #[test]
    fn a_fence_counts_from_when_the_tick_was_appended() {
        let mut seat = won();
        let start = BOOT;
        assert_eq!(seat.fence(), None);
        let tick = seat.tick(start).expect("a tick");
        seat.handle_control(Offset(6), START, &control::Body::Tick(tick));
        assert_eq!(seat.fence(), Some(start + FENCE));
    }

    #[test]
    fn in_doubt_nothing_that_was_appended_before_opens_a_fence() {
        let mut seat = won();
        let (before, under_way) = (seat.tick(BOOT).expect("a tick"), seat.tick(BOOT).expect("a tick"));
        seat.handle_control(Offset(6), START, &control::Body::Tick(before));
        assert!(seat.fence().is_some());
        seat.doubt();
        assert_eq!(seat.fence(), None);
        seat.handle_control(Offset(7), START, &control::Body::Tick(under_way));
        assert_eq!(seat.fence(), None);
        let after = seat.tick(BOOT).expect("a tick");
        seat.handle_control(Offset(8), START, &control::Body::Tick(after));
        assert_eq!(seat.fence(), Some(BOOT + FENCE));
    }

    #[test]
    fn ticks_of_another_epoch_or_slot_open_nothing() {
        let mut seat = won();
        let tick = seat.tick(BOOT).expect("a tick");
        for other in [Tick { epoch: 4, ..tick }, Tick { slot: 2, ..tick }] {
            seat.handle_control(Offset(6), START, &control::Body::Tick(other));
            assert_eq!(seat.fence(), None);
        }
    }

    #[test]
    fn a_later_claim_takes_the_seat() {
        let mut seat = won();
        let rival = Seat::new(Slot(1), [8; 16]);
        let claim = control::Body::Claim(rival.claim());
        assert_eq!(seat.handle_control(Offset(9), START, &claim), Some(SeatChange::Lost));
        assert_eq!((seat.epoch(), seat.fence()), (None, None));
        assert_eq!(seat.tick(BOOT), None);
    }

    #[test]
    fn an_edge_that_slept_through_its_end_knows_it_by_the_next_record() {
        let mut seat = won();
        let late = UnixMillis(START.0 + TENURE_SILENCE_MS);
        let tick = control::Body::Tick(seat.tick(BOOT).expect("a tick"));
        assert_eq!(seat.handle_control(Offset(6), late, &tick), Some(SeatChange::Lost));
        assert_eq!((seat.epoch(), seat.fence()), (None, None));
    }

    #[test]
    fn each_tick_renews_the_seat() {
        let mut seat = won();
        for number in 1..=3 {
            let time = UnixMillis(START.0 + number * (TENURE_SILENCE_MS - 1));
            let tick = control::Body::Tick(seat.tick(BOOT).expect("a tick"));
            assert_eq!(seat.handle_control(Offset(5 + number), time, &tick), None);
        }
        assert_eq!(seat.epoch(), Some(Epoch(5)));
    }

    #[test]
    fn a_log_that_refuses_for_long_and_then_confirms_opens_the_fence() {
        let mut seat = won();
        let start = BOOT;
        for number in 0..1_000 {
            seat.tick(start + TICK_INTERVAL * number).expect("a tick, however many were refused");
            assert!(seat.pending.len() <= TICKS_PENDING_MAX);
        }
        assert_eq!(seat.fence(), None);
        let later = start + TICK_INTERVAL * 1_000;
        let tick = seat.tick(later).expect("a tick");
        seat.handle_control(Offset(6), START, &control::Body::Tick(tick));
        assert_eq!(seat.fence(), Some(later + FENCE));
    }
}

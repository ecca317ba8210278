//! An edge's lease of its slot, computed from `control` alone.
//!
//! Vocabulary: a *claim* is a record in `control`; its offset is the lease's *epoch*. A *tick* renews it. Whoever reads
//! a later claim of its slot has lost it, and so has who reads that the lease is over ([`crate::leases`]): its interest
//! is void in every partition by then. The *fence* is the instant up to which an edge may send channel data: a
//! fixed time after it **appended** the newest own tick that it has read back, so that a paused or cut-off edge
//! falls silent by itself. It counts by the time since boot, which passes while a machine is suspended.

use std::collections::VecDeque;
use std::time::Duration;

use ringside_types::{BootTime, Epoch, Offset, Slot, UnixMillis};
use ringside_wire::records::{Claim, Tick, control};

use crate::leases::is_over;

/// An edge ticks this often.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// How long a tick that was read back lets channel data be sent, from when it was appended.
pub const FENCE: Duration = Duration::from_millis(1_500);
/// Ticks that may still be read back at the most. Beyond it the oldest is given up: it was refused, or it is too old to
/// open a fence.
pub const HEARTBEATS_PENDING_MAX: usize = 16;

const _: () =
    assert!(HEARTBEAT_INTERVAL.as_millis() * 2 < FENCE.as_millis(), "one late tick closes no fence");
const _: () = assert!(
    HEARTBEAT_INTERVAL.as_millis() * HEARTBEATS_PENDING_MAX as u128 > FENCE.as_millis(),
    "a tick that is given up could have opened nothing"
);

/// What a record of `control` means for the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseChange {
    /// The slot is this edge's, in this epoch.
    Acquired(Epoch),
    /// Another edge has claimed the slot, or this one was silent for too long: close everything, claim anew.
    Lost,
}

#[derive(Debug)]
pub struct EdgeLease {
    slot: Slot,
    nonce: [u8; 16],
    epoch: Option<Epoch>,
    /// The log's time of the newest own claim or tick that was read back.
    sign: UnixMillis,
    number: u64,
    pending: VecDeque<(u64, BootTime)>,
    fence: Option<BootTime>,
}

impl EdgeLease {
    /// A lease that is to be claimed; `nonce` is drawn anew for each claim.
    pub fn new(slot: Slot, nonce: [u8; 16]) -> Self {
        let sign = UnixMillis::default();
        Self { slot, nonce, epoch: None, sign, number: 0, pending: VecDeque::new(), fence: None }
    }

    /// The record that claims the slot.
    pub fn claim(&self) -> Claim {
        Claim { slot: u32::from(self.slot.0), nonce: self.nonce.to_vec().into() }
    }

    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The lease; `None`: not won yet, or lost.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Up to when channel data may be sent; `None`: not at all yet.
    pub fn fence(&self) -> Option<BootTime> {
        self.epoch.and(self.fence)
    }

    /// The tick to append now; `None` while the lease is not held. Ticks that the log refused need no word: each new one
    /// stands for those before it.
    pub fn tick(&mut self, now: BootTime) -> Option<Tick> {
        let epoch = self.epoch?;
        if self.pending.len() >= HEARTBEATS_PENDING_MAX {
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
    ) -> Option<LeaseChange> {
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
                Some(LeaseChange::Acquired(Epoch(offset.0)))
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

    fn lost(&mut self) -> Option<LeaseChange> {
        self.epoch.take().map(|_| LeaseChange::Lost)
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
    use crate::leases::LEASE_SILENCE_MS;

    const START: UnixMillis = UnixMillis(1_000_000);
    const BOOT: BootTime = BootTime(Duration::from_secs(100));

    fn acquired() -> EdgeLease {
        let mut lease = EdgeLease::new(Slot(1), [7; 16]);
        let claim = control::Body::Claim(lease.claim());
        assert_eq!(lease.handle_control(Offset(5), START, &claim), Some(LeaseChange::Acquired(Epoch(5))));
        lease
    }

    #[test]
    fn a_fence_counts_from_when_the_tick_was_appended() {
        let mut lease = acquired();
        let start = BOOT;
        assert_eq!(lease.fence(), None);
        let tick = lease.tick(start).expect("a tick");
        lease.handle_control(Offset(6), START, &control::Body::Tick(tick));
        assert_eq!(lease.fence(), Some(start + FENCE));
    }

    #[test]
    fn in_doubt_nothing_that_was_appended_before_opens_a_fence() {
        let mut lease = acquired();
        let (before, under_way) = (lease.tick(BOOT).expect("a tick"), lease.tick(BOOT).expect("a tick"));
        lease.handle_control(Offset(6), START, &control::Body::Tick(before));
        assert!(lease.fence().is_some());
        lease.doubt();
        assert_eq!(lease.fence(), None);
        lease.handle_control(Offset(7), START, &control::Body::Tick(under_way));
        assert_eq!(lease.fence(), None);
        let after = lease.tick(BOOT).expect("a tick");
        lease.handle_control(Offset(8), START, &control::Body::Tick(after));
        assert_eq!(lease.fence(), Some(BOOT + FENCE));
    }

    #[test]
    fn a_tick_that_is_under_way_opens_nothing_for_those_before_it() {
        let mut lease = acquired();
        let begun = [BOOT, BOOT + HEARTBEAT_INTERVAL, BOOT + HEARTBEAT_INTERVAL * 2];
        let ticks = begun.map(|now| lease.tick(now).expect("a tick"));
        for (now, tick) in begun.into_iter().zip(ticks) {
            lease.handle_control(Offset(6), START, &control::Body::Tick(tick));
            assert_eq!(lease.fence(), Some(now + FENCE));
        }
    }

    #[test]
    fn ticks_of_another_epoch_or_slot_open_nothing() {
        let mut lease = acquired();
        let tick = lease.tick(BOOT).expect("a tick");
        for other in [Tick { epoch: 4, ..tick }, Tick { slot: 2, ..tick }] {
            lease.handle_control(Offset(6), START, &control::Body::Tick(other));
            assert_eq!(lease.fence(), None);
        }
    }

    #[test]
    fn a_later_claim_takes_the_seat() {
        let mut lease = acquired();
        let claim_of = |slot| control::Body::Claim(EdgeLease::new(slot, [8; 16]).claim());
        assert_eq!(lease.handle_control(Offset(8), START, &claim_of(Slot(2))), None, "another slot");
        let claim = claim_of(Slot(1));
        assert_eq!(lease.handle_control(Offset(9), START, &claim), Some(LeaseChange::Lost));
        assert_eq!((lease.epoch(), lease.fence()), (None, None));
        assert_eq!(lease.tick(BOOT), None);
    }

    #[test]
    fn an_edge_that_slept_through_its_end_knows_it_by_the_next_record() {
        let mut lease = acquired();
        let late = UnixMillis(START.0 + LEASE_SILENCE_MS);
        let tick = control::Body::Tick(lease.tick(BOOT).expect("a tick"));
        assert_eq!(lease.handle_control(Offset(6), late, &tick), Some(LeaseChange::Lost));
        assert_eq!((lease.epoch(), lease.fence()), (None, None));
    }

    #[test]
    fn each_tick_renews_the_seat() {
        let mut lease = acquired();
        for number in 1..=3 {
            let time = UnixMillis(START.0 + number * (LEASE_SILENCE_MS - 1));
            let tick = control::Body::Tick(lease.tick(BOOT).expect("a tick"));
            assert_eq!(lease.handle_control(Offset(5 + number), time, &tick), None);
        }
        assert_eq!(lease.epoch(), Some(Epoch(5)));
    }

    #[test]
    fn a_log_that_refuses_for_long_and_then_confirms_opens_the_fence() {
        let mut lease = acquired();
        let start = BOOT;
        for number in 0..1_000 {
            lease.tick(start + HEARTBEAT_INTERVAL * number).expect("a tick, however many were refused");
            assert!(lease.pending.len() <= HEARTBEATS_PENDING_MAX);
        }
        assert_eq!(lease.fence(), None);
        let later = start + HEARTBEAT_INTERVAL * 1_000;
        let tick = lease.tick(later).expect("a tick");
        lease.handle_control(Offset(6), START, &control::Body::Tick(tick));
        assert_eq!(lease.fence(), Some(later + FENCE));
    }
}

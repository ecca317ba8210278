//! Which leases of edge slots are over, computed from `control` alone.
//!
//! Vocabulary: a lease's *sign of life* is its claim or one of its ticks. A lease is *over* at the first record of
//! `control` whose log time is [`LEASE_SILENCE_MS`] or more after its last sign. Its own edge decides by the same
//! rule ([`crate::lease`]), so an edge that slept through its end knows of it as soon as it reads on.

use std::collections::BTreeMap;

use ringside_types::{Epoch, Offset, Slot, UnixMillis};
use ringside_wire::records::control;

/// A lease without a sign of life for so long, in log time, is over.
pub const LEASE_SILENCE_MS: u64 = 10 * 60 * 1_000;

/// Whether a lease that last showed itself at `sign` is over by a record of `now`.
pub fn is_over(sign: UnixMillis, now: UnixMillis) -> bool {
    now.since(sign) >= LEASE_SILENCE_MS
}

#[derive(Debug, Clone, Copy)]
struct Sign {
    offset: Offset,
    time: UnixMillis,
}

/// The leases that have shown themselves and are not over.
#[derive(Debug, Default)]
pub struct Leases {
    standing: BTreeMap<(Slot, Epoch), Sign>,
}

impl Leases {
    /// A record of `control`, in order: the leases that are over by it, each told once.
    pub fn handle_control(
        &mut self,
        offset: Offset,
        time: UnixMillis,
        body: &control::Body,
    ) -> Vec<(Slot, Epoch)> {
        let over: Vec<_> = self.standing.extract_if(.., |_, sign| is_over(sign.time, time)).collect();
        let lease = match body {
            control::Body::Claim(claim) => Some((claim.slot, offset.0)),
            control::Body::Tick(tick) => Some((tick.slot, tick.epoch)),
            _ => None,
        };
        if let Some((slot, epoch)) = lease
            && let Ok(slot) = u16::try_from(slot)
        {
            self.standing.insert((Slot(slot), Epoch(epoch)), Sign { offset, time });
        }
        over.into_iter().map(|(lease, _)| lease).collect()
    }

    /// Where reading must begin for nothing that stands to be forgotten, when all before `next` has been read.
    pub fn resume_from(&self, next: Offset) -> Offset {
        self.standing.values().map(|sign| sign.offset).min().unwrap_or(next)
    }
}

#[cfg(test)]
mod tests {
    use ringside_wire::records::{Claim, Revoked, Tick};

    use super::*;

    const START: UnixMillis = UnixMillis(1_000_000);

    fn at(ms: u64) -> UnixMillis {
        UnixMillis(START.0 + ms)
    }

    fn claim(slot: u32) -> control::Body {
        control::Body::Claim(Claim { slot, nonce: bytes::Bytes::new() })
    }

    fn tick(slot: u32, epoch: u64) -> control::Body {
        control::Body::Tick(Tick { slot, epoch, number: 1 })
    }

    #[test]
    fn a_silent_tenure_is_over_once_and_not_a_millisecond_early() {
        let mut leases = Leases::default();
        assert_eq!(leases.handle_control(Offset(0), at(0), &claim(1)), []);
        assert_eq!(leases.handle_control(Offset(1), at(0), &claim(2)), []);
        let told: Vec<_> = [LEASE_SILENCE_MS - 1, LEASE_SILENCE_MS, LEASE_SILENCE_MS + 1]
            .into_iter()
            .zip(2..)
            .map(|(ms, offset)| leases.handle_control(Offset(offset), at(ms), &tick(2, 1)))
            .collect();
        assert_eq!(told, [vec![], vec![(Slot(1), Epoch(0))], vec![]]);
    }

    /// Edges and the reaper decide apart, perhaps in different versions: all have to say the same.
    #[test]
    fn a_lease_is_over_after_ten_silent_minutes() {
        assert!(!is_over(at(0), at(599_999)) && is_over(at(0), at(600_000)));
    }

    #[test]
    fn a_slot_taken_over_leaves_the_old_tenure_to_be_told() {
        let mut leases = Leases::default();
        leases.handle_control(Offset(0), at(0), &claim(1));
        leases.handle_control(Offset(1), at(10), &claim(1));
        let over = leases.handle_control(Offset(2), at(LEASE_SILENCE_MS), &tick(1, 1));
        assert_eq!(over, [(Slot(1), Epoch(0))]);
    }

    #[test]
    fn any_record_is_a_clock_and_a_clock_that_steps_back_ends_nothing() {
        let mut leases = Leases::default();
        leases.handle_control(Offset(0), at(0), &claim(1));
        let revoked = control::Body::Revoked(Revoked::default());
        assert_eq!(leases.handle_control(Offset(1), UnixMillis(0), &revoked), []);
        let over = leases.handle_control(Offset(2), at(LEASE_SILENCE_MS), &revoked);
        assert_eq!(over, [(Slot(1), Epoch(0))]);
    }

    #[test]
    fn a_reader_that_resumes_tells_what_it_would_have_told() {
        let records: Vec<_> =
            [(0, claim(1)), (5, claim(2)), (900, tick(2, 1)), (LEASE_SILENCE_MS, tick(2, 1))]
                .into_iter()
                .zip(0..)
                .map(|((ms, body), offset)| (Offset(offset), at(ms), body))
                .collect();
        let mut leases = Leases::default();
        for (offset, time, body) in &records[..3] {
            leases.handle_control(*offset, *time, body);
        }
        assert_eq!(leases.resume_from(Offset(3)), Offset(0));
        let mut resumed = Leases::default();
        let told: Vec<_> = records
            .iter()
            .flat_map(|(offset, time, body)| resumed.handle_control(*offset, *time, body))
            .collect();
        assert_eq!(told, [(Slot(1), Epoch(0))]);
        assert_eq!(resumed.resume_from(Offset(4)), Offset(3));
        assert_eq!(Leases::default().resume_from(Offset(4)), Offset(4));
    }
}

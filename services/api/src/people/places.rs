//! The places of the exports that run: who may begin one, and who has to wait.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringside_ports::presence::network;
use ringside_types::UserId;

/// Exports at once in a process: each reads the whole history of its user's channels.
pub(crate) const EXPORTS_MAX: usize = 4;
/// Those of one address (an IPv6 one's network) at the most, so that it leaves places to others.
pub(crate) const EXPORTS_OF_ADDRESS_MAX: usize = EXPORTS_MAX / 2;
/// One that finds no room is told to come back after this long.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// So many exports that their user did not read to the end within [`CUT_OFF_WINDOW`] keep the user waiting.
const CUT_OFF_MAX: usize = 2;
/// How long an export that was cut off is remembered.
const CUT_OFF_WINDOW: Duration = Duration::from_secs(120);
/// Exports that were cut off remembered at the most; of more, the oldest are forgotten.
const CUT_OFF_REMEMBERED_MAX: usize = 1_024;

/// Exports that run, and those that were cut off of late. A clone is another handle.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    running: Vec<(UserId, IpAddr)>,
    /// The oldest first.
    cut_off: Vec<(UserId, Instant)>,
}

/// An export's place. One that is dropped without [`end`](Self::end) was cut off.
pub(crate) struct Place {
    places: Places,
    user: UserId,
    is_whole: bool,
}

impl Places {
    /// Takes a place: one for each user, so that nobody takes them all, and half of them for one address.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(&self, user: UserId, address: IpAddr, now: Instant) -> Result<Place, Duration> {
        let network = network(address);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.cut_off.retain(|(_, since)| now.duration_since(*since) < CUT_OFF_WINDOW);
        let own: Vec<Instant> =
            state.cut_off.iter().filter(|(one, _)| *one == user).map(|(_, since)| *since).collect();
        if let Some(first) = own.len().checked_sub(CUT_OFF_MAX).map(|at| own[at]) {
            return Err(CUT_OFF_WINDOW.saturating_sub(now.duration_since(first)));
        }
        let of_address = state.running.iter().filter(|(_, one)| *one == network).count();
        let is_running = state.running.iter().any(|(one, _)| *one == user);
        if is_running || state.running.len() >= EXPORTS_MAX || of_address >= EXPORTS_OF_ADDRESS_MAX {
            return Err(RETRY_AFTER);
        }
        state.running.push((user, network));
        Ok(Place { places: self.clone(), user, is_whole: false })
    }

    fn leave(&self, user: UserId, is_whole: bool, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.retain(|(one, _)| *one != user);
        if !is_whole {
            if state.cut_off.len() >= CUT_OFF_REMEMBERED_MAX {
                state.cut_off.remove(0);
            }
            state.cut_off.push((user, now));
        }
    }
}

impl Place {
    /// Gives the place back: its user has done nothing to wait for.
    pub(crate) fn end(mut self) {
        self.is_whole = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave(self.user, self.is_whole, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn user(number: u128) -> UserId {
        UserId(Uuid::from_u128(number))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_has_half_of_the_places() {
        let (places, now) = (Places::default(), Instant::now());
        let take = |number, from: &str| places.take(user(number), address(from), now);
        let first = take(1, "2001:db8::1").expect("free");
        assert!(take(1, "192.0.2.1").is_err(), "one at a time");
        let second = take(2, "2001:db8::2").expect("free");
        assert_eq!(take(3, "2001:db8::3").err(), Some(RETRY_AFTER), "its network has its share");
        let others = [take(3, "192.0.2.1"), take(4, "192.0.2.2")].map(|place| place.expect("free"));
        assert!(take(5, "192.0.2.3").is_err(), "all are taken");
        first.end();
        take(1, "2001:db8::1").expect("who read to the end may ask again").end();
        second.end();
        others.into_iter().for_each(Place::end);
    }

    #[test]
    fn who_does_not_read_to_the_end_waits() {
        let (places, start) = (Places::default(), Instant::now());
        let take = |number, now| places.take(user(number), address("192.0.2.1"), now);
        for _ in 0..CUT_OFF_MAX {
            drop(take(1, start).expect("free"));
        }
        let wait = take(1, Instant::now()).err().expect("waits");
        assert!(wait <= CUT_OFF_WINDOW && wait > CUT_OFF_WINDOW / 2, "{wait:?}");
        take(2, start).expect("others don't").end();
        take(1, Instant::now() + CUT_OFF_WINDOW).expect("has waited").end();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (places, now) = (Places::default(), Instant::now());
        for number in 0..CUT_OFF_REMEMBERED_MAX as u128 + 5 {
            drop(places.take(user(number), address("192.0.2.1"), now).expect("free"));
        }
        assert_eq!(places.0.lock().expect("no panic").cut_off.len(), CUT_OFF_REMEMBERED_MAX);
    }
}

//! The places of a port: how many connections it holds, and who gives way when all are taken.
//!
//! A newcomer is never turned away while somebody holds a place without having shown who they are: of these, one gives
//! way whose address holds the most places, and of that address's the one that has moved no byte for the longest time.
//! Silence tells who holds a place for its own sake; the youngest would most often be somebody honest who has just
//! come. Whoever came in by a token goes last, and not at all where [`Manners::KeepKnown`] says so.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringside_ports::presence::network;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// All who hold places are looked at to find who gives way: so that a flood makes us look seldom, this part of them goes
/// at once, if they are strangers.
const ROUNDS: usize = 64;

/// Whether those who have shown who they are give way as well, when nobody else is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::up) enum Manners {
    /// They do: an answer later, any of them is idle.
    AllGiveWay,
    /// They don't: they have come to stay.
    KeepKnown,
}

/// The places of one port.
pub(in crate::up) struct Places {
    max: usize,
    manners: Manners,
    since: Instant,
    held: Mutex<Held>,
    /// How many are held, for who waits for the last.
    count: watch::Sender<usize>,
    gave_way: AtomicU64,
}

#[derive(Default)]
struct Held {
    last: u64,
    seats: HashMap<u64, Arc<Seat>>,
    of_network: HashMap<IpAddr, usize>,
}

/// What is known of who holds a place.
pub(in crate::up) struct Seat {
    network: IpAddr,
    since: Instant,
    moved_ms: AtomicU64,
    is_known: AtomicBool,
    gives_way: Notify,
}

impl Seat {
    /// A byte went or came.
    pub(super) fn moved(&self) {
        self.moved_ms.store(self.age().as_millis() as u64, Ordering::Relaxed);
    }

    /// Who holds it has shown who they are.
    pub(in crate::up) fn known(&self) {
        self.is_known.store(true, Ordering::Relaxed);
    }

    /// Ends when the place is another's.
    pub(in crate::up) async fn given_away(&self) {
        self.gives_way.notified().await;
    }

    fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// A place; dropped, it is free.
pub(in crate::up) struct Place {
    places: Arc<Places>,
    id: u64,
    seat: Arc<Seat>,
}

impl Place {
    pub(in crate::up) fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.lock();
        held.remove(self.id);
        self.places.count.send_replace(held.seats.len());
    }
}

impl Held {
    /// One that has given way is not there any more.
    fn remove(&mut self, id: u64) -> Option<Arc<Seat>> {
        let seat = self.seats.remove(&id)?;
        if let Some(count) = self.of_network.get_mut(&seat.network) {
            *count -= 1;
            if *count == 0 {
                self.of_network.remove(&seat.network);
            }
        }
        Some(seat)
    }

    /// Those who give way now, `count` strangers at the most, or one other.
    fn who_gives_way(&self, manners: Manners, count: usize) -> Vec<u64> {
        let rank = |(id, seat): (&u64, &Arc<Seat>)| {
            let share = self.of_network.get(&seat.network).copied().unwrap_or(0);
            (seat.is_known(), Reverse(share), seat.moved_ms.load(Ordering::Relaxed), *id)
        };
        let mut ranked: Vec<_> = self.seats.iter().map(rank).collect();
        if ranked.len() > count {
            ranked.select_nth_unstable(count - 1);
            ranked.truncate(count);
        }
        ranked.sort_unstable();
        let strangers = ranked.partition_point(|(is_known, ..)| !is_known);
        ranked.truncate(strangers.max(usize::from(manners == Manners::AllGiveWay)));
        ranked.into_iter().map(|(.., id)| id).collect()
    }
}

impl Places {
    pub(in crate::up) fn new(max: usize, manners: Manners) -> Arc<Self> {
        let count = watch::channel(0).0;
        let gave_way = AtomicU64::new(0);
        Arc::new(Self { max, manners, since: Instant::now(), held: Mutex::default(), count, gave_way })
    }

    /// A place for who comes from this address, somebody else's if there is no other; `None`: nobody gives way.
    pub(in crate::up) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let network = network(peer);
        let mut held = self.lock();
        if held.seats.len() >= self.max {
            for id in held.who_gives_way(self.manners, (self.max / ROUNDS).max(1)) {
                let Some(seat) = held.remove(id) else { continue };
                seat.gives_way.notify_one();
                self.gave_way.fetch_add(1, Ordering::Relaxed);
            }
            if held.seats.len() >= self.max {
                return None;
            }
        }
        held.last += 1;
        let id = held.last;
        let seat = Arc::new(Seat {
            network,
            since: self.since,
            moved_ms: AtomicU64::new(self.since.elapsed().as_millis() as u64),
            is_known: AtomicBool::new(false),
            gives_way: Notify::new(),
        });
        held.seats.insert(id, seat.clone());
        *held.of_network.entry(network).or_default() += 1;
        self.count.send_replace(held.seats.len());
        Some(Place { places: self.clone(), id, seat })
    }

    /// How many had to give way since the start.
    pub(in crate::up) fn gave_way(&self) -> u64 {
        self.gave_way.load(Ordering::Relaxed)
    }

    /// How many are held.
    pub(in crate::up) fn held(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until no place is held.
    pub(in crate::up) async fn empty(&self) {
        // The sender is ours, so it is there.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing is half done where it could panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn v6(host: u16, network: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host).into()
    }

    fn taken(places: &Arc<Places>, peer: IpAddr) -> Place {
        places.take(peer).expect("somebody gives way")
    }

    async fn is_given_away(place: &Place) -> bool {
        tokio::time::timeout(Duration::ZERO, place.seat.given_away()).await.is_ok()
    }

    async fn pass() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_with_the_most_gives_way_by_its_stalest() {
        let places = Places::new(4, Manners::AllGiveWay);
        let lone = taken(&places, OTHER);
        pass().await;
        let mut many = Vec::new();
        for _ in 0..3 {
            many.push(taken(&places, ONE));
            pass().await;
        }
        many[0].seat.moved();
        let newcomer = taken(&places, ONE);
        assert!(is_given_away(&many[1]).await, "the stalest of the many");
        for place in [&lone, &many[0], &many[2], &newcomer] {
            assert!(!is_given_away(place).await);
        }
        assert_eq!(places.gave_way(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_is_one_address() {
        let places = Places::new(3, Manners::AllGiveWay);
        let lone = taken(&places, v6(1, 7));
        pass().await;
        let (first, second) = (taken(&places, v6(1, 8)), taken(&places, v6(2, 8)));
        let _newcomer = taken(&places, v6(1, 9));
        assert!(!is_given_away(&lone).await);
        assert!(is_given_away(&first).await != is_given_away(&second).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_known_goes_last_or_not_at_all() {
        for manners in [Manners::AllGiveWay, Manners::KeepKnown] {
            let places = Places::new(2, manners);
            let known = taken(&places, ONE);
            known.seat.known();
            pass().await;
            let stranger = taken(&places, OTHER);
            let newcomer = taken(&places, OTHER);
            assert!(is_given_away(&stranger).await && !is_given_away(&known).await);
            newcomer.seat.known();
            let last = places.take(OTHER);
            assert_eq!(last.is_some(), manners == Manners::AllGiveWay);
        }
    }

    #[tokio::test]
    async fn a_place_comes_back_once() {
        let places = Places::new(1, Manners::AllGiveWay);
        let first = taken(&places, ONE);
        let second = taken(&places, ONE);
        drop(first);
        assert_eq!(places.lock().seats.len(), 1, "it was the second's already");
        assert!(tokio::time::timeout(Duration::ZERO, places.empty()).await.is_err());
        drop(second);
        places.empty().await;
        assert!(places.lock().of_network.is_empty());
    }
}

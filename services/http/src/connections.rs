//! The connections of a port: how many it holds, and which is evicted when a newcomer finds it full.
//!
//! A newcomer is never turned away while a slot is held by somebody who has not authenticated: of these, one is evicted
//! whose address holds the most slots, and of that address's the one that has moved no byte for the longest time. Silence
//! tells who holds a slot for its own sake; the youngest would most often be somebody honest who has just come. Who has
//! authenticated goes last, and under [`EvictionPolicy::UnauthenticatedOnly`] not at all.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringside_ports::presence::network;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::pace::Pace;

/// All slots are looked at to find whom to evict: so that a flood makes us look seldom, this part of them is evicted at
/// once, of those who have not authenticated.
const ROUNDS: usize = 64;

/// Whether the authenticated are evicted as well, when nobody else is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvictionPolicy {
    /// They are: an answer later, any of them is idle.
    Any,
    /// They are not: they have come to stay.
    UnauthenticatedOnly,
}

/// The connections of one port.
pub struct ConnectionTable {
    max: usize,
    policy: EvictionPolicy,
    since: Instant,
    held: Mutex<Held>,
    /// How many slots are held, for who waits for the last.
    count: watch::Sender<usize>,
    evictions: AtomicU64,
}

#[derive(Default)]
struct Held {
    last: u64,
    states: HashMap<u64, Arc<ConnectionState>>,
    of_network: HashMap<IpAddr, Arc<Network>>,
}

/// What the connections of one address (of IPv6, of one network) share.
#[derive(Default)]
struct Network {
    connections: AtomicUsize,
    pace: Pace,
}

/// What is known of a connection.
pub(crate) struct ConnectionState {
    address: IpAddr,
    network: Arc<Network>,
    since: Instant,
    last_active_ms: AtomicU64,
    is_authenticated: AtomicBool,
    eviction: Notify,
}

impl ConnectionState {
    /// A byte went or came.
    pub(crate) fn touch(&self) {
        self.last_active_ms.store(self.age().as_millis() as u64, Ordering::Relaxed);
    }

    /// A good token came over it.
    pub(crate) fn mark_authenticated(&self) {
        self.is_authenticated.store(true, Ordering::Relaxed);
    }

    /// Waits until another request that shows no good token may be answered.
    pub(crate) async fn pace(&self) {
        let delay = self.network.pace.delay(self.age());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// Ends when the slot is another's.
    pub(crate) async fn evicted(&self) {
        self.eviction.notified().await;
    }

    fn is_authenticated(&self) -> bool {
        self.is_authenticated.load(Ordering::Relaxed)
    }

    fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// A slot; dropped, it is free.
pub(crate) struct ConnectionSlot {
    connections: Arc<ConnectionTable>,
    id: u64,
    state: Arc<ConnectionState>,
}

impl ConnectionSlot {
    pub(crate) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut held = self.connections.lock();
        held.remove(self.id);
        self.connections.count.send_replace(held.states.len());
    }
}

impl Held {
    /// One that was evicted is not there any more.
    fn remove(&mut self, id: u64) -> Option<Arc<ConnectionState>> {
        let state = self.states.remove(&id)?;
        if state.network.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.of_network.remove(&state.address);
        }
        Some(state)
    }

    /// Whom to evict now: `count` who have not authenticated at the most, or one other.
    fn candidates(&self, policy: EvictionPolicy, count: usize) -> Vec<u64> {
        let rank = |(id, state): (&u64, &Arc<ConnectionState>)| {
            let share = state.network.connections.load(Ordering::Relaxed);
            (state.is_authenticated(), Reverse(share), state.last_active_ms.load(Ordering::Relaxed), *id)
        };
        let mut ranked: Vec<_> = self.states.iter().map(rank).collect();
        if ranked.len() > count {
            ranked.select_nth_unstable(count - 1);
            ranked.truncate(count);
        }
        ranked.sort_unstable();
        let unauthenticated = ranked.partition_point(|(is_authenticated, ..)| !is_authenticated);
        ranked.truncate(unauthenticated.max(usize::from(policy == EvictionPolicy::Any)));
        ranked.into_iter().map(|(.., id)| id).collect()
    }
}

impl ConnectionTable {
    pub(crate) fn new(max: usize, policy: EvictionPolicy) -> Arc<Self> {
        let count = watch::channel(0).0;
        let evictions = AtomicU64::new(0);
        Arc::new(Self { max, policy, since: Instant::now(), held: Mutex::default(), count, evictions })
    }

    /// A slot for a connection from this address, an evicted one's if there is no other; `None`: nobody is to be evicted.
    pub(crate) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<ConnectionSlot> {
        let address = network(peer);
        let mut held = self.lock();
        if held.states.len() >= self.max {
            for id in held.candidates(self.policy, (self.max / ROUNDS).max(1)) {
                let Some(state) = held.remove(id) else { continue };
                state.eviction.notify_one();
                self.evictions.fetch_add(1, Ordering::Relaxed);
            }
            if held.states.len() >= self.max {
                return None;
            }
        }
        held.last += 1;
        let id = held.last;
        let network = held.of_network.entry(address).or_default().clone();
        network.connections.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(ConnectionState {
            address,
            network,
            since: self.since,
            last_active_ms: AtomicU64::new(self.since.elapsed().as_millis() as u64),
            is_authenticated: AtomicBool::new(false),
            eviction: Notify::new(),
        });
        held.states.insert(id, state.clone());
        self.count.send_replace(held.states.len());
        Some(ConnectionSlot { connections: self.clone(), id, state })
    }

    /// How many were evicted since the start.
    pub fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Relaxed)
    }

    /// How many slots are held.
    pub fn held(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until no slot is held.
    pub async fn empty(&self) {
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

    fn taken(connections: &Arc<ConnectionTable>, peer: IpAddr) -> ConnectionSlot {
        connections.take(peer).expect("somebody gives way")
    }

    async fn is_evicted(slot: &ConnectionSlot) -> bool {
        tokio::time::timeout(Duration::ZERO, slot.state.evicted()).await.is_ok()
    }

    async fn pass() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_with_the_most_gives_way_by_its_stalest() {
        let connections = ConnectionTable::new(4, EvictionPolicy::Any);
        let lone = taken(&connections, OTHER);
        pass().await;
        let mut many = Vec::new();
        for _ in 0..3 {
            many.push(taken(&connections, ONE));
            pass().await;
        }
        many[0].state.touch();
        let newcomer = taken(&connections, ONE);
        assert!(is_evicted(&many[1]).await, "the stalest of the many");
        for slot in [&lone, &many[0], &many[2], &newcomer] {
            assert!(!is_evicted(slot).await);
        }
        assert_eq!(connections.evictions(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ipv6_network_is_one_address() {
        let connections = ConnectionTable::new(3, EvictionPolicy::Any);
        let lone = taken(&connections, v6(1, 7));
        pass().await;
        let (first, second) = (taken(&connections, v6(1, 8)), taken(&connections, v6(2, 8)));
        let _newcomer = taken(&connections, v6(1, 9));
        assert!(!is_evicted(&lone).await);
        assert!(is_evicted(&first).await != is_evicted(&second).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_known_goes_last_or_not_at_all() {
        for policy in [EvictionPolicy::Any, EvictionPolicy::UnauthenticatedOnly] {
            let connections = ConnectionTable::new(2, policy);
            let known = taken(&connections, ONE);
            known.state.mark_authenticated();
            pass().await;
            let stranger = taken(&connections, OTHER);
            let newcomer = taken(&connections, OTHER);
            assert!(is_evicted(&stranger).await && !is_evicted(&known).await);
            newcomer.state.mark_authenticated();
            let last = connections.take(OTHER);
            assert_eq!(last.is_some(), policy == EvictionPolicy::Any);
        }
    }

    #[tokio::test]
    async fn a_place_comes_back_once() {
        let connections = ConnectionTable::new(1, EvictionPolicy::Any);
        let first = taken(&connections, ONE);
        let second = taken(&connections, ONE);
        drop(first);
        assert_eq!(connections.lock().states.len(), 1, "it was the second's already");
        assert!(tokio::time::timeout(Duration::ZERO, connections.empty()).await.is_err());
        drop(second);
        connections.empty().await;
        assert!(connections.lock().of_network.is_empty());
    }
}

//! Who types: on this edge, for the log; and anywhere, for this edge's members. Machines without I/O.
//!
//! ```text
//! connection --start--> Typists --at most one in 3 s--> log --> Typing --> members
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ringside_session::mail::ConnectionRef;
use ringside_types::limits::TYPING_LIFE_MS;
use ringside_types::{ChannelId, UserId};

use crate::config::{TYPISTS_MAX, TYPISTS_OF_CHANNEL_MAX};

/// A sign of typing is repeated to the log at most this often.
pub(crate) const REPEAT: Duration = Duration::from_secs(3);
/// Who has given no sign for this long types no more.
pub(crate) const LIFE: Duration = Duration::from_millis(TYPING_LIFE_MS);

const _: () = assert!(REPEAT.as_millis() < LIFE.as_millis(), "whoever goes on typing never seems to stop");

type Key = (UserId, ChannelId);

#[derive(Debug, Clone, Copy)]
struct Typist {
    connection: ConnectionRef,
    said_at: Instant,
}

/// Users of this edge who type.
#[derive(Debug, Default)]
pub(crate) struct Typists {
    typing: HashMap<Key, Typist, RandomState>,
    /// In the order in which they were said.
    said: VecDeque<(Instant, Key)>,
}

impl Typists {
    /// A connection's user types; true: the log has to be told.
    pub(crate) fn start(&mut self, key: Key, connection: ConnectionRef, now: Instant) -> bool {
        let known = self.typing.get(&key).map(|typist| typist.said_at);
        let is_fresh = known.is_some_and(|said_at| now < said_at + REPEAT);
        if is_fresh || known.is_none() && self.typing.len() >= TYPISTS_MAX {
            return false;
        }
        self.typing.insert(key, Typist { connection, said_at: now });
        self.said.push_back((now, key));
        true
    }

    /// A user has stopped, or has sent what they typed; true: the log has to be told.
    pub(crate) fn stop(&mut self, key: Key) -> bool {
        self.typing.remove(&key).is_some()
    }

    /// A connection is gone; returns where its user typed on it.
    pub(crate) fn close(&mut self, user: UserId, connection: ConnectionRef) -> Vec<ChannelId> {
        let of_it = |key: &Key, typist: &mut Typist| key.0 == user && typist.connection == connection;
        self.typing.extract_if(of_it).map(|((_, channel), _)| channel).collect()
    }

    /// Forgets those who gave no sign for long: everybody's timer has ended them.
    pub(crate) fn handle_time(&mut self, now: Instant) {
        while let Some((said_at, key)) = self.said.front().copied()
            && said_at + LIFE <= now
        {
            self.said.pop_front();
            if self.typing.get(&key).is_some_and(|typist| typist.said_at == said_at) {
                self.typing.remove(&key);
            }
        }
    }
}

/// Users who type in the channels of this edge, wherever they are.
#[derive(Debug, Default)]
pub(crate) struct Typing {
    channels: HashMap<ChannelId, Vec<(UserId, Instant)>, RandomState>,
    /// In the order in which they end.
    ends: VecDeque<(Instant, ChannelId, UserId)>,
}

impl Typing {
    /// A sign of typing; false: so many type in the channel already that one more is not told of.
    pub(crate) fn begin(&mut self, channel: ChannelId, user: UserId, now: Instant) -> bool {
        let typists = self.channels.entry(channel).or_default();
        let (until, is_full) = (now + LIFE, typists.len() >= TYPISTS_OF_CHANNEL_MAX);
        match typists.iter_mut().find(|(of, _)| *of == user) {
            Some((_, known)) => *known = until,
            None if is_full => return false,
            None => typists.push((user, until)),
        }
        self.ends.push_back((until, channel, user));
        true
    }

    /// A user types no more; false: they did not.
    pub(crate) fn end(&mut self, channel: ChannelId, user: UserId) -> bool {
        let Some(typists) = self.channels.get_mut(&channel) else { return false };
        let before = typists.len();
        typists.retain(|(of, _)| *of != user);
        let ended = typists.len() < before;
        if typists.is_empty() {
            self.channels.remove(&channel);
        }
        ended
    }

    /// Who types in a channel.
    pub(crate) fn users(&self, channel: ChannelId) -> Vec<UserId> {
        let typists = self.channels.get(&channel).map_or(&[][..], Vec::as_slice);
        typists.iter().map(|(user, _)| *user).collect()
    }

    /// When somebody's time may be over.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.ends.front().map(|(end, ..)| *end)
    }

    /// Ends one whose time is over; `None`: there is none, or no more.
    pub(crate) fn poll_over(&mut self, now: Instant) -> Option<(ChannelId, UserId)> {
        while let Some((until, channel, user)) = self.ends.front().copied()
            && until <= now
        {
            self.ends.pop_front();
            let typists = self.channels.get(&channel);
            if typists.is_some_and(|typists| typists.contains(&(user, until))) && self.end(channel, user) {
                return Some((channel, user));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_session::mail::ShardId;
    use uuid::Uuid;

    const USER: UserId = UserId(Uuid::from_u128(1));
    const OTHER: UserId = UserId(Uuid::from_u128(2));
    const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(3));
    const CONNECTION: ConnectionRef = ConnectionRef { shard: ShardId(0), token: 7 };

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn repeats_are_cheap_and_a_stop_makes_the_next_start_new() {
        let (mut typists, start) = (Typists::default(), Instant::now());
        let key = (USER, CHANNEL);
        assert!(typists.start(key, CONNECTION, start));
        assert!(!typists.start(key, CONNECTION, at(start, 2_999)));
        assert!(typists.start(key, CONNECTION, at(start, 3_000)));
        assert!(typists.stop(key) && !typists.stop(key));
        assert!(typists.start(key, CONNECTION, at(start, 3_001)));
        typists.handle_time(at(start, 9_000));
        assert!(typists.stop(key), "it was said again in the meantime");
        typists.start(key, CONNECTION, at(start, 9_000));
        typists.handle_time(at(start, 15_000));
        assert!(!typists.stop(key), "its time was over");
        assert!(typists.said.is_empty());
    }

    #[test]
    fn a_connection_that_closes_ends_what_was_typed_on_it() {
        let (mut typists, now) = (Typists::default(), Instant::now());
        let other = ConnectionRef { token: 8, ..CONNECTION };
        typists.start((USER, CHANNEL), CONNECTION, now);
        assert_eq!(typists.close(USER, other), []);
        assert_eq!(typists.close(USER, CONNECTION), [CHANNEL]);
        assert_eq!(typists.close(USER, CONNECTION), []);
    }

    #[test]
    fn an_entry_lives_six_seconds_from_its_last_sign() {
        let (mut typing, start) = (Typing::default(), Instant::now());
        typing.begin(CHANNEL, USER, start);
        typing.begin(CHANNEL, OTHER, at(start, 1_000));
        typing.begin(CHANNEL, USER, at(start, 3_000));
        assert_eq!(typing.users(CHANNEL), [USER, OTHER]);
        assert_eq!(typing.poll_over(at(start, 6_999)), None);
        assert_eq!(typing.poll_over(at(start, 7_000)), Some((CHANNEL, OTHER)));
        assert_eq!(typing.users(CHANNEL), [USER]);
        assert_eq!(typing.poll_over(at(start, 9_000)), Some((CHANNEL, USER)));
        assert_eq!((typing.users(CHANNEL), typing.next_due()), (vec![], None));
        assert!(typing.channels.is_empty() && !typing.end(CHANNEL, USER));
    }

    #[test]
    fn a_channel_has_so_many_typists_and_no_more() {
        let (mut typing, now) = (Typing::default(), Instant::now());
        let user = |number: usize| UserId(Uuid::from_u128(number as u128));
        let told = (0..100).filter(|number| typing.begin(CHANNEL, user(*number), now)).count();
        assert_eq!(told, TYPISTS_OF_CHANNEL_MAX);
        assert!(typing.end(CHANNEL, user(0)) && typing.begin(CHANNEL, user(99), now));
    }
}

//! Who types: on this edge, for the log; and anywhere, for this edge's members. Machines without I/O.
//!
//! ```text
//! connection --start--> Typists --at most one in 3 s--> log --> Typing --> members
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use ringside_edge_protocol::ConnectionRef;
use ringside_types::hash::RandomState;
use ringside_types::limits::TYPING_LIFE_MS;
use ringside_types::{ChannelId, UserId};

use crate::config::{TYPISTS_MAX, TYPISTS_OF_CHANNEL_MAX};

/// A sign of typing is repeated to the log at most this often.
pub(crate) const REPEAT: Duration = Duration::from_secs(3);
/// Whether a user types in a channel is told to the log at most this often; what it has come to by then is told.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// Who has given no sign for this long types no more.
pub(crate) const LIFE: Duration = Duration::from_millis(TYPING_LIFE_MS);

const _: () = assert!(REPEAT.as_millis() < LIFE.as_millis(), "whoever goes on typing never seems to stop");
const _: () = assert!(PAUSE.as_millis() < REPEAT.as_millis(), "a repetition is never held");

type Key = (UserId, ChannelId);

#[derive(Debug, Clone, Copy)]
struct Typist {
    connection: ConnectionRef,
    is_typing: bool,
    /// What the log was told last, and when.
    is_said: bool,
    said_at: Instant,
    /// It is told again when the pause is over.
    is_held: bool,
}

/// Users of this edge who type, or did a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Typists {
    typing: HashMap<Key, Typist, RandomState>,
    /// In the order in which they were said.
    said: VecDeque<(Instant, Key)>,
    /// In the order in which their pauses are over.
    held: VecDeque<(Instant, Key)>,
}

impl Typists {
    /// Users who type here, each in one channel.
    pub(crate) fn len(&self) -> usize {
        self.typing.len()
    }

    /// A connection's user types; true: the log has to be told.
    pub(crate) fn start(&mut self, key: Key, connection: ConnectionRef, now: Instant) -> bool {
        if let Some(typist) = self.typing.get_mut(&key) {
            typist.connection = connection;
            if typist.is_typing && typist.is_said && now < typist.said_at + REPEAT {
                return false;
            }
        } else if self.typing.len() >= TYPISTS_MAX {
            return false;
        } else {
            let new = Typist { connection, is_typing: true, is_said: true, said_at: now, is_held: false };
            self.typing.insert(key, new);
            self.said.push_back((now, key));
            return true;
        }
        self.change(key, true, now)
    }

    /// A user has stopped, or has sent what they typed; true: the log has to be told.
    pub(crate) fn stop(&mut self, key: Key, now: Instant) -> bool {
        self.typing.get(&key).is_some_and(|typist| typist.is_typing) && self.change(key, false, now)
    }

    fn change(&mut self, key: Key, is_typing: bool, now: Instant) -> bool {
        let Some(typist) = self.typing.get_mut(&key) else { return false };
        typist.is_typing = is_typing;
        let due = typist.said_at + PAUSE;
        if now < due {
            if !std::mem::replace(&mut typist.is_held, true) {
                self.held.push_back((due, key));
            }
            return false;
        }
        (typist.is_said, typist.said_at) = (is_typing, now);
        self.said.push_back((now, key));
        true
    }

    /// When something that was held has to be told.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.held.front().map(|(due, _)| *due)
    }

    /// What the log has to be told now of one that was held: whether they type.
    pub(crate) fn poll_held(&mut self, now: Instant) -> Option<(Key, bool)> {
        while let Some((due, key)) = self.held.front().copied()
            && due <= now
        {
            self.held.pop_front();
            let Some(typist) = self.typing.get_mut(&key).filter(|typist| typist.is_held) else { continue };
            typist.is_held = false;
            // Who stopped and goes on is told again: a message in between has ended it for the others.
            if typist.is_typing || typist.is_said {
                (typist.is_said, typist.said_at) = (typist.is_typing, now);
                self.said.push_back((now, key));
                return Some((key, typist.is_typing));
            }
        }
        None
    }

    /// A connection is gone; returns where its user typed on it.
    pub(crate) fn close(&mut self, user: UserId, connection: ConnectionRef) -> Vec<ChannelId> {
        let of_it = |key: &Key, typist: &mut Typist| key.0 == user && typist.connection == connection;
        let gone = self.typing.extract_if(of_it).filter(|(_, typist)| typist.is_said || typist.is_typing);
        gone.map(|((_, channel), _)| channel).collect()
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
    use ringside_edge_protocol::ShardId;
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
        assert!(typists.stop(key, at(start, 4_000)) && !typists.stop(key, at(start, 4_001)));
        assert!(typists.start(key, CONNECTION, at(start, 5_000)));
        typists.handle_time(at(start, 10_000));
        assert!(typists.stop(key, at(start, 10_000)), "it was said again in the meantime");
        typists.handle_time(at(start, 16_000));
        assert!(!typists.stop(key, at(start, 16_000)), "its time was over");
        assert!(typists.said.is_empty() && typists.typing.is_empty() && typists.held.is_empty());
    }

    #[test]
    fn whoever_starts_and_stops_all_the_time_is_told_once_a_second_and_the_last_always() {
        let (mut typists, start) = (Typists::default(), Instant::now());
        let key = (USER, CHANNEL);
        let mut told = Vec::new();
        for ms in 0..5_000 {
            let (now, is_typing) = (at(start, ms), ms % 20 < 10);
            while let Some((_, is_typing)) = typists.poll_held(now) {
                told.push(is_typing);
            }
            let says = if is_typing { typists.start(key, CONNECTION, now) } else { typists.stop(key, now) };
            if says {
                told.push(is_typing);
            }
        }
        assert!((4..=6).contains(&told.len()), "{told:?}");
        let due = typists.next_due().expect("the last is held");
        assert_eq!(typists.poll_held(due), Some((key, false)));
        assert_eq!((typists.poll_held(due), typists.next_due()), (None, None));
        assert!(typists.said.len() <= 7);
    }

    #[test]
    fn what_changes_within_the_pause_is_told_once_when_it_is_over() {
        for changes in 1..=3 {
            let (mut typists, start) = (Typists::default(), Instant::now());
            let (key, mut is_typing) = ((USER, CHANNEL), true);
            assert!(typists.start(key, CONNECTION, start));
            for change in 1..=changes {
                let now = at(start, change * 100);
                is_typing = !is_typing;
                let says =
                    if is_typing { typists.start(key, CONNECTION, now) } else { typists.stop(key, now) };
                assert!(!says, "{changes} changes");
            }
            let due = at(start, 1_000);
            assert_eq!((typists.next_due(), typists.poll_held(at(start, 999))), (Some(due), None));
            assert_eq!(typists.poll_held(due), Some((key, is_typing)), "{changes} changes");
            assert_eq!((typists.poll_held(due), typists.next_due()), (None, None), "{changes} changes");
        }
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
    fn what_is_held_when_a_connection_closes_is_told_by_its_end() {
        // They start, stop, start again at these times: what comes within the pause is held.
        for (name, changes, is_told) in [
            ("a stop is held", &[0, 100][..], true),
            ("a start is held", &[0, 1_000, 1_100], true),
            ("a stop was told", &[0, 1_000], false),
        ] {
            let (mut typists, start, key) = (Typists::default(), Instant::now(), (USER, CHANNEL));
            for (place, ms) in changes.iter().enumerate() {
                if place % 2 == 0 {
                    typists.start(key, CONNECTION, at(start, *ms));
                } else {
                    typists.stop(key, at(start, *ms));
                }
            }
            assert_eq!(typists.close(USER, CONNECTION), Vec::from_iter(is_told.then_some(CHANNEL)), "{name}");
        }
    }

    #[test]
    fn an_entry_lives_six_seconds_from_its_last_sign() {
        let (mut typing, start) = (Typing::default(), Instant::now());
        typing.begin(CHANNEL, USER, start);
        typing.begin(CHANNEL, OTHER, at(start, 1_000));
        assert_eq!(typing.next_due(), Some(at(start, 6_000)));
        typing.begin(CHANNEL, USER, at(start, 3_000));
        assert_eq!(typing.users(CHANNEL), [USER, OTHER]);
        assert_eq!(typing.poll_over(at(start, 6_999)), None);
        assert_eq!(typing.poll_over(at(start, 7_000)), Some((CHANNEL, OTHER)));
        assert_eq!(typing.users(CHANNEL), [USER]);
        assert!(!typing.end(CHANNEL, OTHER), "they type no more");
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

//! Additions that partitions have told of lately. The Directory's own word of one is a little later than the log's, so
//! that who connects in between is not in its list, and has missed the partition's word: it is asked about them again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use ringside_types::UserId;
use ringside_types::hash::RandomState;

use crate::doubts::Doubt;

/// By so much the Directory may be later than the log.
const LIFE: Duration = Duration::from_secs(60);
/// Additions that are remembered at the most; beyond it the oldest are forgotten.
const ADDITIONS_MAX: usize = 16_384;

#[derive(Debug, Default)]
pub(crate) struct RecentAdditions {
    by_user: HashMap<UserId, Vec<Doubt>, RandomState>,
    /// In the order in which they came.
    order: VecDeque<(Instant, UserId)>,
}

impl RecentAdditions {
    /// A partition has told of an addition.
    pub(crate) fn note(&mut self, now: Instant, addition: Doubt) {
        self.forget_old(now);
        if self.order.len() >= ADDITIONS_MAX {
            self.forget_oldest();
        }
        self.order.push_back((now, addition.user_id));
        self.by_user.entry(addition.user_id).or_default().push(addition);
    }

    /// What was told of a user, the oldest first.
    pub(crate) fn of(&mut self, user: UserId, now: Instant) -> Vec<Doubt> {
        self.forget_old(now);
        self.by_user.get(&user).cloned().unwrap_or_default()
    }

    fn forget_old(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > LIFE) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, user)) = self.order.pop_front() else { return };
        if let Some(of_user) = self.by_user.get_mut(&user) {
            of_user.remove(0);
            if of_user.is_empty() {
                self.by_user.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ringside_types::ChannelId;
    use ringside_wire::records::MemberAdded;
    use uuid::Uuid;

    use super::*;

    fn addition(user: u128, channel: u128) -> Doubt {
        let channel_id = ChannelId(Uuid::from_u128(channel));
        Doubt {
            user_id: UserId(Uuid::from_u128(user)),
            channel_id,
            added: MemberAdded::default(),
            answers: 0,
        }
    }

    fn channels(recent: &mut RecentAdditions, user: u128, now: Instant) -> Vec<u128> {
        let found = recent.of(UserId(Uuid::from_u128(user)), now);
        found.iter().map(|addition| addition.channel_id.0.as_u128()).collect()
    }

    #[test]
    fn additions_are_remembered_for_a_while() {
        let (mut recent, start) = (RecentAdditions::default(), Instant::now());
        recent.note(start, addition(1, 10));
        recent.note(start + LIFE / 2, addition(2, 10));
        recent.note(start + LIFE, addition(1, 11));
        assert_eq!(channels(&mut recent, 1, start + LIFE), [10, 11]);
        assert_eq!(channels(&mut recent, 2, start + LIFE), [10]);
        let later = start + LIFE + Duration::from_millis(1);
        assert_eq!(channels(&mut recent, 1, later), [11]);
        assert_eq!(channels(&mut recent, 3, later), []);
        assert_eq!(channels(&mut recent, 2, start + 3 * LIFE), []);
        assert!(recent.by_user.is_empty() && recent.order.is_empty(), "nothing is left behind");
    }

    #[test]
    fn of_many_the_last_are_remembered() {
        let (mut recent, now) = (RecentAdditions::default(), Instant::now());
        for channel in 0..ADDITIONS_MAX as u128 + 2 {
            recent.note(now, addition(channel % 2, channel));
        }
        assert_eq!(recent.order.len(), ADDITIONS_MAX);
        assert_eq!(channels(&mut recent, 0, now).first(), Some(&2));
        assert_eq!(channels(&mut recent, 1, now).first(), Some(&3));
    }
}

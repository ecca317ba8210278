//! The idempotency keys that a processor has seen lately: bounded memory, oldest forgotten first.

use std::collections::VecDeque;

use hashbrown::HashMap;
use ringside_types::MessageId;
use ringside_types::hash::RandomState;

use crate::rows::Key;

/// Keys remembered at the most; a miss asks the store, so a small window costs reads, never correctness.
pub(crate) const WINDOW_KEYS_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Window {
    made: HashMap<Key, MessageId, RandomState>,
    oldest_first: VecDeque<Key>,
}

impl Window {
    pub(crate) fn message_of(&self, key: &Key) -> Option<MessageId> {
        self.made.get(key).copied()
    }

    pub(crate) fn remember(&mut self, key: Key, message_id: MessageId) {
        if self.made.insert(key, message_id).is_none() {
            self.oldest_first.push_back(key);
        }
        while self.oldest_first.len() > WINDOW_KEYS_MAX {
            if let Some(oldest) = self.oldest_first.pop_front() {
                self.made.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ringside_types::{ChannelId, ClientId, UserId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_oldest_keys_are_forgotten_and_no_others() {
        let key = |number: usize| Key {
            channel_id: ChannelId(Uuid::nil()),
            sender_id: UserId(Uuid::nil()),
            client_id: ClientId(Uuid::from_u128(number as u128)),
        };
        let mut window = Window::default();
        for number in (0..WINDOW_KEYS_MAX).chain(0..=WINDOW_KEYS_MAX) {
            window.remember(key(number), MessageId(number as u64));
        }
        assert_eq!(window.message_of(&key(0)), None);
        assert_eq!(window.message_of(&key(1)), Some(MessageId(1)), "said again, it is no newer");
        assert_eq!(window.message_of(&key(WINDOW_KEYS_MAX)), Some(MessageId(WINDOW_KEYS_MAX as u64)));
        assert_eq!((window.made.len(), window.oldest_first.len()), (WINDOW_KEYS_MAX, WINDOW_KEYS_MAX));
    }
}

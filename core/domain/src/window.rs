//! The idempotency keys that a processor has seen lately: bounded memory, oldest forgotten first.

use std::collections::VecDeque;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ringside_types::MessageId;

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

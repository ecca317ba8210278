//! Reads of pages that can't be made yet, by what they wait for.

use std::hash::Hash;
use std::time::Instant;

use super::ChannelReading;
use hashbrown::HashMap;
use ringside_types::hash::RandomState;

/// Reads by a key, each with the instant up to which it waits.
#[derive(Debug)]
pub(crate) struct PendingReads<K> {
    reads: HashMap<K, Vec<(ChannelReading, Instant)>, RandomState>,
    count: usize,
}

impl<K> Default for PendingReads<K> {
    fn default() -> Self {
        Self { reads: HashMap::default(), count: 0 }
    }
}

impl<K: Hash + Eq> PendingReads<K> {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn add(&mut self, key: K, request: ChannelReading, until: Instant) {
        self.reads.entry(key).or_default().push((request, until));
        self.count += 1;
    }

    /// What waited for this, in its order.
    pub(crate) fn take(&mut self, key: &K) -> Vec<ChannelReading> {
        let taken = self.reads.remove(key).unwrap_or_default();
        self.count -= taken.len();
        taken.into_iter().map(|(request, _)| request).collect()
    }

    /// What has waited for too long. All are looked at: call it now and then.
    pub(crate) fn late(&mut self, now: Instant) -> Vec<ChannelReading> {
        let mut late = Vec::new();
        self.reads.retain(|_, waiting| {
            late.extend(waiting.extract_if(.., |(_, until)| *until <= now).map(|(request, _)| request));
            !waiting.is_empty()
        });
        self.count -= late.len();
        late
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringside_domain::page::ChannelRead;
    use ringside_edge_protocol::{ConnectionRef, ShardId};
    use ringside_types::{ChannelId, MessageId, UserId};
    use uuid::Uuid;

    use super::*;

    fn read(token: u64) -> ChannelReading {
        ChannelReading {
            connection: ConnectionRef { shard: ShardId(0), token },
            user_id: UserId(Uuid::nil()),
            read: ChannelRead {
                channel_id: ChannelId(Uuid::nil()),
                after: MessageId::ZERO,
                after_change: None,
                limit: 1,
                reset_above: 0,
            },
            has_page: true,
        }
    }

    fn tokens(reads: &[ChannelReading]) -> Vec<u64> {
        reads.iter().map(|read| read.connection.token).collect()
    }

    #[test]
    fn each_read_comes_back_once() {
        let (mut awaiting, now) = (PendingReads::default(), Instant::now());
        let second = Duration::from_secs(1);
        for token in 1..=6 {
            awaiting.add(token % 2, read(token), now + second * token as u32);
        }
        assert!(awaiting.late(now).is_empty());
        assert_eq!(tokens(&awaiting.late(now + second)), [1]);
        assert_eq!(tokens(&awaiting.take(&1)), [3, 5]);
        assert_eq!((tokens(&awaiting.take(&1)), awaiting.len()), (vec![], 3));
        assert_eq!(tokens(&awaiting.late(now + second * 4)), [2, 4]);
        assert_eq!(tokens(&awaiting.late(now + second * 9)), [6]);
        assert_eq!((awaiting.len(), awaiting.reads.len()), (0, 0));
    }
}

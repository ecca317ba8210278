//! Deliveries to the shards' bounded mailboxes, and what waits where one is full.

use std::collections::VecDeque;
use std::sync::Arc;

use ringside_edge_protocol::{ShardId, ToShard};

use crate::config::BACKLOG_MAX;

/// Posts deliveries to a shard, in order, and returns those that did not fit.
pub type Post = Arc<dyn Fn(ShardId, Vec<ToShard>) -> Vec<ToShard> + Send + Sync>;

/// The node's own post: nothing is dropped, and the order is kept.
pub(crate) struct Outbox {
    post: Post,
    backlog: Vec<VecDeque<ToShard>>,
}

impl Outbox {
    pub(crate) fn new(post: Post, shards: u16) -> Self {
        Self { post, backlog: (0..shards).map(|_| VecDeque::new()).collect() }
    }

    pub(crate) fn send(&mut self, shard: ShardId, delivery: ToShard) {
        self.backlog[usize::from(shard.0)].push_back(delivery);
    }

    pub(crate) fn send_to_all(&mut self, mut delivery: impl FnMut() -> ToShard) {
        for backlog in &mut self.backlog {
            backlog.push_back(delivery());
        }
    }

    /// Hands on what fits. Called once per turn of the node: one doorbell per shard.
    pub(crate) fn flush(&mut self) {
        for (number, backlog) in self.backlog.iter_mut().enumerate() {
            if !backlog.is_empty() {
                let shard = ShardId(number as u16);
                let rest = (self.post)(shard, backlog.drain(..).collect());
                backlog.extend(rest);
            }
        }
    }

    /// Whether something waits for a mailbox to empty.
    pub(crate) fn is_waiting(&self) -> bool {
        self.backlog.iter().any(|backlog| !backlog.is_empty())
    }

    /// Deliveries that wait for the fullest shard.
    pub(crate) fn waiting(&self) -> usize {
        self.backlog.iter().map(VecDeque::len).max().unwrap_or(0)
    }

    /// Whether so much waits that nothing more may be read from the log.
    pub(crate) fn is_full(&self) -> bool {
        self.backlog.iter().any(|backlog| backlog.len() >= BACKLOG_MAX)
    }
}

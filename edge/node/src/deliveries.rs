//! What waits for the shards, in order, shard by shard.

use std::collections::VecDeque;

use ringside_edge_protocol::{Answer, ConnectionRef, ShardId, ToShard};

use crate::config::BACKLOG_MAX;

/// Messages to the shards. Nothing is dropped, and each shard's order is kept.
#[derive(Debug)]
pub(crate) struct Deliveries {
    shards: Vec<VecDeque<ToShard>>,
}

impl Deliveries {
    pub(crate) fn new(shards: u16) -> Self {
        Self { shards: (0..shards).map(|_| VecDeque::new()).collect() }
    }

    pub(crate) fn send(&mut self, shard: ShardId, message: ToShard) {
        self.shards[usize::from(shard.0)].push_back(message);
    }

    pub(crate) fn send_to_all(&mut self, mut message: impl FnMut() -> ToShard) {
        for waiting in &mut self.shards {
            waiting.push_back(message());
        }
    }

    /// Sends the answer to a command. Those that follow one another to a shard go as one message.
    pub(crate) fn answer(&mut self, connection: ConnectionRef, answer: Answer) {
        let waiting = &mut self.shards[usize::from(connection.shard.0)];
        match waiting.back_mut() {
            Some(ToShard::Answers(answers)) => answers.push(answer),
            _ => waiting.push_back(ToShard::Answers(vec![answer])),
        }
    }

    /// Takes what waits for a shard.
    pub(crate) fn take(&mut self, shard: ShardId) -> Vec<ToShard> {
        self.shards[usize::from(shard.0)].drain(..).collect()
    }

    /// The end of what was taken did not fit into the shard's mailbox: it goes first the next time.
    pub(crate) fn give_back(&mut self, shard: ShardId, rest: Vec<ToShard>) {
        let waiting = &mut self.shards[usize::from(shard.0)];
        for message in rest.into_iter().rev() {
            waiting.push_front(message);
        }
    }

    pub(crate) fn are_waiting(&self) -> bool {
        self.shards.iter().any(|waiting| !waiting.is_empty())
    }

    /// Messages that wait for the fullest shard.
    pub(crate) fn waiting(&self) -> usize {
        self.shards.iter().map(VecDeque::len).max().unwrap_or(0)
    }

    /// Whether so much waits for a shard that nothing more may be read from the log.
    pub(crate) fn are_full(&self) -> bool {
        self.shards.iter().any(|waiting| waiting.len() >= BACKLOG_MAX)
    }
}

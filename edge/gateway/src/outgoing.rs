//! Requests on their way to the node: gathered over a turn, handed over in one batch.

use std::fmt;
use std::sync::Arc;

use ringside_edge_protocol::ToNode;

use crate::config::REQUESTS_WAITING_MAX;

/// Hands a batch to the node, or gives it back where the node's queue is full. Never blocks.
pub type HandOver = Arc<dyn Fn(Vec<ToNode>) -> Result<(), Vec<ToNode>> + Send + Sync>;

pub(crate) struct Outgoing {
    hand_over: HandOver,
    waiting: Vec<ToNode>,
}

impl Outgoing {
    pub(crate) fn new(hand_over: HandOver) -> Self {
        Self { hand_over, waiting: Vec::new() }
    }

    /// Whether so much waits that a command must be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= REQUESTS_WAITING_MAX
    }

    /// Requests that the node has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a request. Whoever can refuse asks [`is_full`](Self::is_full) first; an end of a connection can't.
    pub(crate) fn push(&mut self, request: ToNode) {
        self.waiting.push(request);
    }

    /// Hands over what was gathered; false: the node has no room, try again later.
    pub(crate) fn flush(&mut self) -> bool {
        if self.waiting.is_empty() {
            return true;
        }
        match (self.hand_over)(std::mem::take(&mut self.waiting)) {
            Ok(()) => true,
            Err(back) => {
                self.waiting = back;
                false
            }
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

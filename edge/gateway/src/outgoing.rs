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

    /// How many requests may be added before commands must be refused.
    pub(crate) fn room(&self) -> usize {
        REQUESTS_WAITING_MAX.saturating_sub(self.waiting.len())
    }

    /// Requests that the node has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a request, if there is one. Whoever can refuse asks for [`room`](Self::room) first; an end of a connection can't.
    pub(crate) fn extend(&mut self, request: Option<ToNode>) {
        self.waiting.extend(request);
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

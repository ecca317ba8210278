//! Gaps in a channel's chain, read from the store: nothing of the channel can be delivered before.

use std::collections::VecDeque;
use std::time::Instant;

use ringside_application::backend::ReadAnswer;
use ringside_domain::feed::GapRange;
use ringside_wire::records::Effective;

use crate::config::{GAP_CALLS_MAX, GAPS_BATCH_MAX};
use crate::effect::Effect;
use crate::retry::RETRY_PAUSE;

/// Gaps that are not read yet.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    waiting: VecDeque<GapRange>,
    /// Those that could not be read, each until it is tried again.
    failed: VecDeque<(Instant, GapRange)>,
    calls: usize,
}

impl Gaps {
    pub(crate) fn push(&mut self, range: GapRange) {
        self.waiting.push_back(range);
    }

    /// The next call, while not too many are under way.
    pub(crate) fn poll_read(&mut self, now: Instant) -> Option<Effect> {
        while let Some((_, range)) = self.failed.pop_front_if(|(due, _)| *due <= now) {
            self.waiting.push_back(range);
        }
        if self.calls >= GAP_CALLS_MAX || self.waiting.is_empty() {
            return None;
        }
        self.calls += 1;
        let count = self.waiting.len().min(GAPS_BATCH_MAX);
        Some(Effect::ReadGaps(self.waiting.drain(..count).collect()))
    }

    /// What the store had; what could not be read is tried again.
    pub(crate) fn handle_read(
        &mut self,
        now: Instant,
        ranges: Vec<GapRange>,
        answer: ReadAnswer,
    ) -> Vec<(GapRange, Vec<Effective>)> {
        self.calls -= 1;
        let mut found = Vec::with_capacity(ranges.len());
        let mut answers = answer.gaps.into_iter();
        for range in ranges {
            match answers.next() {
                Some(Ok(records)) => found.push((range, records)),
                failed => {
                    if let Some(Err(error)) = failed {
                        tracing::warn!(%error, channel = %range.channel_id, "reading a gap failed; trying again");
                    }
                    self.failed.push_back((now + RETRY_PAUSE, range));
                }
            }
        }
        found
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.failed.front().map(|(due, _)| *due)
    }
}

//! Members of whom a partition tells, and whom neither `control` nor an admission has named.
//!
//! A partition that lags, or replays, tells of additions that may have been taken back long ago: an edge that has not seen
//! the removal would let the removed read on. So the backend is asked first.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ringside_application::backend::{AuthorizeAnswer, AuthorizeRequest, BackendError};
use ringside_types::{ChannelId, UserId};
use ringside_wire::records::MemberAdded;

use crate::effect::{Effect, Question};

/// Members that wait for an answer at the most; one more is believed when they connect anew.
const DOUBTS_MAX: usize = 65_536;
/// Members in one question.
const ASKED_MAX: usize = 1_000;
/// The pause before a question is asked again: nobody answered, or the Directory's own word of it is still on its way.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Who is no member by then, is none.
const ANSWERS_MAX: u8 = 30;

/// A member in doubt.
#[derive(Debug, Clone, PartialEq)]
pub struct Doubt {
    pub user_id: UserId,
    pub channel_id: ChannelId,
    /// The partition's word, of this member alone.
    pub added: MemberAdded,
    /// How many times the backend did not know them.
    pub answers: u8,
}

/// All members in doubt.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    waiting: VecDeque<Doubt>,
    is_asking: bool,
    ask_at: Option<Instant>,
}

impl Doubts {
    pub(crate) fn push(&mut self, doubt: Doubt) {
        if self.waiting.len() < DOUBTS_MAX {
            self.waiting.push_back(doubt);
        }
    }

    /// When the next question is due that was not answered.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.ask_at
    }

    /// What to ask next, one question at a time.
    pub(crate) fn poll_question(&mut self, now: Instant) -> Option<Effect> {
        if self.is_asking || self.waiting.is_empty() || self.ask_at.is_some_and(|at| at > now) {
            return None;
        }
        (self.is_asking, self.ask_at) = (true, None);
        let count = self.waiting.len().min(ASKED_MAX);
        let asked: Vec<Doubt> = self.waiting.drain(..count).collect();
        let members = asked.iter().map(|doubt| (doubt.channel_id, doubt.user_id)).collect();
        Some(Effect::Authorize(Question::Members(asked), AuthorizeRequest { members, ..Default::default() }))
    }

    /// The answer: those who are members.
    pub(crate) fn handle_answer(
        &mut self,
        now: Instant,
        asked: Vec<Doubt>,
        answered: Result<AuthorizeAnswer, BackendError>,
    ) -> Vec<Doubt> {
        self.is_asking = false;
        let members = match answered {
            Ok(answer) => answer.members,
            Err(error) => {
                tracing::warn!(%error, "whether users are members could not be looked up; trying again");
                Vec::new()
            }
        };
        let answers = u8::from(!members.is_empty());
        let mut confirmed = Vec::new();
        for (doubt, is_member) in asked.into_iter().zip(members.into_iter().chain(std::iter::repeat(false))) {
            let doubt = Doubt { answers: doubt.answers + answers, ..doubt };
            if is_member {
                confirmed.push(doubt);
            } else if doubt.answers < ANSWERS_MAX {
                self.ask_at = Some(now + RETRY_PAUSE);
                self.push(doubt);
            }
        }
        confirmed
    }
}

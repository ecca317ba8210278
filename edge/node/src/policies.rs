//! What channels ask of senders, as far as this edge knows.
//!
//! Most channels restrict nobody, and of those it is enough to know that. What is known comes from the backend and from
//! `control`; of one channel the greater version counts. The backend is asked about the channels of those who come, many
//! at a time, and about any other with the first message to it. Whatever is missed here, the partition still decides by
//! its own record.

use hashbrown::{HashMap, HashSet};
use ringside_application::backend::{AuthorizeAnswer, AuthorizeRequest, BackendError};
use ringside_application::policy::ChannelPolicy;
use ringside_types::ChannelId;
use ringside_types::hash::RandomState;
use ringside_wire::records::Membership;

use crate::effect::{Effect, Question};

/// Channels known at the most, 40 bytes each; with one more all are asked about anew.
pub(crate) const POLICIES_MAX: usize = 1 << 20;
/// Channels in one question.
const ASKED_MAX: usize = 1_000;

/// The policies of many channels.
#[derive(Debug, Default)]
pub(crate) struct ChannelPolicies {
    channels: HashMap<ChannelId, ChannelPolicy, RandomState>,
    wanted: HashSet<ChannelId, RandomState>,
    is_asking: bool,
}

impl ChannelPolicies {
    /// `None`: nothing is known of the channel.
    pub(crate) fn of(&self, channel: ChannelId) -> Option<&ChannelPolicy> {
        self.channels.get(&channel)
    }

    /// A channel whose members are here: unless it is known, the backend is to be asked.
    pub(crate) fn want(&mut self, channel: ChannelId) {
        let has_room = self.channels.len() + self.wanted.len() < POLICIES_MAX;
        if has_room && !self.channels.contains_key(&channel) {
            self.wanted.insert(channel);
        }
    }

    /// What to ask next, one question at a time.
    pub(crate) fn poll_question(&mut self) -> Option<Effect> {
        if self.is_asking || self.wanted.is_empty() {
            return None;
        }
        self.is_asking = true;
        let policies = self.wanted.extract_if(|_| true).take(ASKED_MAX).collect();
        Some(Effect::Authorize(Question::Policies, AuthorizeRequest { policies, ..Default::default() }))
    }

    /// The answer. Where the backend can't say, the first message to each channel asks again.
    pub(crate) fn handle_answer(&mut self, answered: Result<AuthorizeAnswer, BackendError>) {
        self.is_asking = false;
        match answered {
            Ok(answer) => {
                answer.policies.into_iter().for_each(|(channel, policy)| self.learn(channel, policy));
            }
            Err(error) => tracing::warn!(%error, "what channels ask of senders could not be looked up"),
        }
    }

    /// Takes in what is said of a channel.
    pub(crate) fn learn(&mut self, channel: ChannelId, policy: ChannelPolicy) {
        if self.channels.len() >= POLICIES_MAX && !self.channels.contains_key(&channel) {
            self.channels.clear();
        }
        let known = self.channels.entry(channel).or_insert(policy);
        if known.version < policy.version {
            *known = policy;
        }
    }

    /// Takes in a change of the channel itself, known before or not: what was asked before it may be answered after.
    pub(crate) fn change(&mut self, channel: ChannelId, change: &Membership) {
        if let Some(policy) = ChannelPolicy::after(change) {
            self.learn(channel, policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_ports::channels::ChannelKind;
    use uuid::Uuid;

    fn policy(version: u64, slow_mode_s: u32) -> ChannelPolicy {
        ChannelPolicy { version, kind: ChannelKind::Group, slow_mode_s, admins_post: false, is_closed: false }
    }

    fn channel(number: u128) -> ChannelId {
        ChannelId(Uuid::from_u128(number))
    }

    fn asked(policies: &mut ChannelPolicies) -> Vec<ChannelId> {
        match policies.poll_question() {
            Some(Effect::Authorize(Question::Policies, asked)) => asked.policies,
            None => Vec::new(),
            other => panic!("not a question about policies: {other:?}"),
        }
    }

    #[test]
    fn a_late_answer_does_not_undo_a_change() {
        let mut policies = ChannelPolicies::default();
        policies.learn(channel(1), policy(3, 9));
        policies.learn(channel(1), policy(2, 0));
        assert_eq!(policies.of(channel(1)), Some(&policy(3, 9)));
        for number in 0..=POLICIES_MAX as u128 {
            policies.learn(channel(number), policy(1, 0));
        }
        assert!(policies.channels.len() <= POLICIES_MAX);
    }

    #[test]
    fn what_is_wanted_is_asked_about_once_and_in_parts() {
        let mut policies = ChannelPolicies::default();
        policies.learn(channel(0), policy(1, 0));
        let many = ASKED_MAX as u128 + 1;
        for number in (0..=many).chain(0..=many) {
            policies.want(channel(number));
        }
        let mut all = asked(&mut policies);
        assert_eq!(all.len(), ASKED_MAX);
        assert_eq!(asked(&mut policies), [], "one question at a time");
        policies.handle_answer(Err(BackendError("away".into())));
        all.extend(asked(&mut policies));
        all.sort();
        assert_eq!(all, (1..=many).map(channel).collect::<Vec<_>>(), "but for the one that was known");
        let answer = AuthorizeAnswer { policies: vec![(channel(7), policy(1, 5))], ..Default::default() };
        policies.handle_answer(Ok(answer));
        assert_eq!(policies.of(channel(7)), Some(&policy(1, 5)));
        assert_eq!(asked(&mut policies), []);
    }

    #[test]
    fn nothing_is_wanted_that_would_push_out_what_is_known() {
        let mut policies = ChannelPolicies::default();
        for number in 0..POLICIES_MAX as u128 {
            policies.learn(channel(number), policy(1, 0));
        }
        policies.want(channel(POLICIES_MAX as u128));
        assert_eq!(asked(&mut policies), []);
    }
}

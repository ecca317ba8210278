//! Commands on their way to the log: who may send them, what they cost, one append at a time, the answers.
//!
//! A sender's commands reach a channel in the order sent: while the backend is asked about a sender, what they send
//! meanwhile waits behind; and what arrives while an append is under way makes the next one. Who is mentioned is written
//! into a command before it goes.

use std::collections::VecDeque;

use hashbrown::HashMap;
use ringside_application::backend::{
    AuthorizeAnswer, AuthorizeRequest, BackendError, SenderAnswer, SenderRequest,
};
use ringside_application::charges;
use ringside_edge_protocol::{Answer, Outcome, Submission};
use ringside_ports::EngineError;
use ringside_ports::log::Append;
use ringside_ports::presence::JointDecision;
use ringside_types::authorization::{Operation, Refusal};
use ringside_types::hash::RandomState;
use ringside_types::{ChannelId, ErrorCode, Limits, Topic, UserId, partition_of};

use crate::config::{OUTBOUND_BATCH_MAX, OUTBOUND_MAX, SENDERS_CHECKED_MAX};
use crate::counters::{Counters, add};
use crate::deliveries::Deliveries;
use crate::effect::{Batch, Effect, Question};
use crate::names::MemberNames;
use crate::policies::ChannelPolicies;

const UNAVAILABLE: Outcome = Outcome::Refused {
    code: ErrorCode::Unavailable,
    message: "The message was not confirmed; send it again with the same id.",
    retry_after_ms: Some(1_000),
};
const NOT_A_MEMBER: Outcome = Outcome::Refused {
    code: ErrorCode::NotAMember,
    message: "You are not a member of this channel.",
    retry_after_ms: None,
};

/// Commands of one sender to one channel, about whom the backend is asked.
#[derive(Debug)]
pub struct Check {
    pub user_id: UserId,
    pub channel_id: ChannelId,
    /// In order.
    pub submissions: Vec<Submission>,
    /// How many times channels had lost members when this was asked.
    removals: u64,
}

/// A command that may go to the log.
#[derive(Debug)]
pub struct Outgoing {
    pub submission: Submission,
    /// Seconds that slow mode asks for before the sender's next message; 0: none.
    pub slow_mode_s: u32,
}

/// All commands that are not answered yet.
#[derive(Debug)]
pub(crate) struct Submissions {
    limits: Limits,
    partitions: u16,
    names: MemberNames,
    /// Senders who are asked about, and what they have sent meanwhile.
    checking: HashMap<(UserId, ChannelId), Vec<Submission>, RandomState>,
    to_check: Vec<Check>,
    queue: VecDeque<Outgoing>,
    /// Commands whose tokens are taken.
    granted: Vec<Outgoing>,
    is_sending: bool,
}

impl Submissions {
    /// `partitions`: of `messages.send`.
    pub(crate) fn new(limits: Limits, partitions: u16) -> Self {
        Self {
            limits,
            partitions,
            names: MemberNames::default(),
            checking: HashMap::default(),
            to_check: Vec::new(),
            queue: VecDeque::new(),
            granted: Vec::new(),
            is_sending: false,
        }
    }

    /// Senders who are being looked up, each in one channel.
    pub(crate) fn senders_waiting(&self) -> usize {
        self.checking.len()
    }

    /// A channel has lost members, who are to be mentioned no more.
    pub(crate) fn forget_members(&mut self, channel: ChannelId) {
        self.names.forget(channel);
    }

    /// A command of someone who is known as a member goes on where the channel restricts nobody, and whom it names is known;
    /// otherwise the backend is asked. Of a channel that is not known yet, messages alone are held back so long.
    pub(crate) fn offer(
        &mut self,
        mut submission: Submission,
        policies: &ChannelPolicies,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        let key = (submission.user_id, submission.channel_id);
        if let Some(behind) = self.checking.get_mut(&key) {
            return behind.push(submission);
        }
        let policy = policies.of(key.1);
        let is_open = policy.map_or(submission.operation != Operation::Send, |policy| {
            policy.is_open_to(submission.operation)
        });
        let is_named = self.write_names(&mut submission);
        if submission.known_member && is_open && is_named {
            return self.enqueue(Outgoing { submission, slow_mode_s: 0 }, deliveries, counters);
        }
        if self.checking.len() >= SENDERS_CHECKED_MAX {
            add(&counters.senders_refused, 1);
            return answer(deliveries, submission, UNAVAILABLE);
        }
        self.checking.insert(key, Vec::new());
        self.check(key, vec![submission]);
    }

    fn check(&mut self, (user_id, channel_id): (UserId, ChannelId), submissions: Vec<Submission>) {
        self.to_check.push(Check { user_id, channel_id, submissions, removals: self.names.removals() });
    }

    fn enqueue(&mut self, outgoing: Outgoing, deliveries: &mut Deliveries, counters: &Counters) {
        if self.queue.len() >= OUTBOUND_MAX {
            add(&counters.unavailable, 1);
            return answer(deliveries, outgoing.submission, UNAVAILABLE);
        }
        self.queue.push_back(outgoing);
    }

    /// Asks about all senders who are to be looked up.
    pub(crate) fn poll_check(&mut self) -> Option<Effect> {
        if self.to_check.is_empty() {
            return None;
        }
        let checks = std::mem::take(&mut self.to_check);
        let sender = |check: &Check| {
            let mut names = Vec::new();
            for submission in check.submissions.iter().filter(|submission| submission.may_mention) {
                self.names.add_unknown(check.channel_id, &submission.record, &mut names);
            }
            let commands = check.submissions.iter().map(|submission| submission.record.clone()).collect();
            SenderRequest { user_id: check.user_id, channel_id: check.channel_id, commands, names }
        };
        let asked = AuthorizeRequest { senders: checks.iter().map(sender).collect(), ..Default::default() };
        Some(Effect::Authorize(Question::Senders(checks), asked))
    }

    /// The backend has answered about senders, or could not.
    pub(crate) fn handle_checked(
        &mut self,
        checks: Vec<Check>,
        answered: Result<AuthorizeAnswer, BackendError>,
        policies: &mut ChannelPolicies,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        let mut answers = answered.map(|answer| answer.senders.into_iter());
        for check in checks {
            let unanswered = |cause: &BackendError| SenderAnswer {
                access: Err(cause.clone()),
                are_repetitions: Err(cause.clone()),
                named: Err(cause.clone()),
            };
            let answer = match &mut answers {
                Ok(answers) => {
                    answers.next().unwrap_or_else(|| unanswered(&BackendError("no answer".into())))
                }
                Err(error) => unanswered(error),
            };
            self.checked(check, answer, policies, deliveries, counters);
        }
    }

    fn checked(
        &mut self,
        check: Check,
        answered: SenderAnswer,
        policies: &mut ChannelPolicies,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        let Check { user_id, channel_id, mut submissions, removals } = check;
        self.names_told(channel_id, &mut submissions, removals, &answered.named);
        let access = answered.access.map(|access| {
            let (role, policy) = access?;
            policies.learn(channel_id, policy);
            // `control` may know better by now.
            Some((role, policies.of(channel_id).copied().unwrap_or(policy)))
        });
        // What came meanwhile and names nobody new has the same answer; asking for each anew would keep a busy start waiting.
        let key = (user_id, channel_id);
        let mut behind = self.checking.get_mut(&key).map(std::mem::take).unwrap_or_default();
        let naming = behind.iter_mut().position(|submission| !self.write_names(submission));
        let naming = behind.split_off(naming.unwrap_or(behind.len()));
        let mut to_ask = Vec::new();
        for (number, submission) in submissions.into_iter().chain(behind).enumerate() {
            let is_repetition = answered.are_repetitions.as_ref().map(|all| all.get(number).copied());
            let decision = match &access {
                _ if is_repetition == Ok(Some(true)) => Ok(0),
                Ok(Some((role, policy))) => policy.decide(submission.operation, *role).map_err(refused),
                Ok(None) => Err(NOT_A_MEMBER),
                // What members say goes on without the backend: the partition decides.
                Err(_) if submission.known_member => Ok(0),
                Err(_) => Err(UNAVAILABLE),
            };
            match (decision, is_repetition) {
                (Ok(slow_mode_s), _) => {
                    self.enqueue(Outgoing { submission, slow_mode_s }, deliveries, counters);
                }
                // Nothing is refused that may have been acknowledged before.
                (Err(_), Ok(None)) if access.is_ok() => to_ask.push(submission),
                (Err(_), Err(_)) => answer(deliveries, submission, UNAVAILABLE),
                (Err(outcome), _) => answer(deliveries, submission, outcome),
            }
        }
        to_ask.extend(naming);
        if to_ask.is_empty() {
            self.checking.remove(&key);
        } else {
            self.check(key, to_ask);
        }
    }

    /// Writes into a command whom it names, if all of them are known; says whether that is done.
    fn write_names(&self, submission: &mut Submission) -> bool {
        if submission.may_mention
            && let Some(record) = self.names.write_into(submission.channel_id, &submission.record)
        {
            (submission.record, submission.may_mention) = (record, false);
        }
        !submission.may_mention
    }

    /// Writes into commands whom they name, as the backend has said. A message is worth more than its mentions: where they
    /// can't be had, it goes without, and an edited one keeps those that it has.
    fn names_told(
        &mut self,
        channel: ChannelId,
        submissions: &mut [Submission],
        removals: u64,
        told: &Result<Vec<(String, UserId)>, BackendError>,
    ) {
        if let Ok(named) = told
            && removals == self.names.removals()
        {
            self.names.learn(channel, named);
        }
        for submission in submissions.iter_mut().filter(|submission| submission.may_mention) {
            let named = told.as_ref().map_err(|error| {
                tracing::warn!(%error, "whom a message mentions could not be looked up");
            });
            submission.record =
                self.names.write_told_into(channel, &submission.record, named.ok().map(Vec::as_slice));
            submission.may_mention = false;
        }
    }

    /// The next batch on its way: first its tokens are taken, where anything costs some, then it is appended.
    pub(crate) fn poll_send(&mut self) -> Option<Effect> {
        if !self.granted.is_empty() {
            let granted = std::mem::take(&mut self.granted);
            return Some(self.append(granted));
        }
        if self.is_sending || self.queue.is_empty() {
            return None;
        }
        self.is_sending = true;
        let count = self.queue.len().min(OUTBOUND_BATCH_MAX);
        let batch: Vec<Outgoing> = self.queue.drain(..count).collect();
        let is_slow = batch.iter().any(|outgoing| outgoing.slow_mode_s > 0);
        if charges::is_message_free(&self.limits) && !is_slow {
            return Some(self.append(batch));
        }
        let charge = |Outgoing { submission, slow_mode_s }: &Outgoing| {
            charges::of_message(&self.limits, submission.user_id, submission.channel_id, *slow_mode_s)
        };
        let asked = AuthorizeRequest { charges: batch.iter().map(charge).collect(), ..Default::default() };
        Some(Effect::Authorize(Question::Charges(batch), asked))
    }

    fn append(&self, batch: Vec<Outgoing>) -> Effect {
        let append = |Outgoing { submission, .. }: &Outgoing| Append {
            topic: Topic::MessagesSend,
            partition: partition_of(submission.channel_id, self.partitions),
            payload: submission.record.clone(),
        };
        let appends = batch.iter().map(append).collect();
        Effect::Append(Batch::Commands(batch), appends)
    }

    /// The tokens are taken; those that got none are refused. Limits may suffer when their engine does; messages never.
    pub(crate) fn handle_charged(
        &mut self,
        batch: Vec<Outgoing>,
        answered: Result<AuthorizeAnswer, BackendError>,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        let mut decisions = answered.map(|answer| answer.charges).unwrap_or_default().into_iter();
        for outgoing in batch {
            match decisions.next() {
                Some(JointDecision::Refused { retry_after_ms, .. }) => {
                    add(&counters.rate_limited, 1);
                    let outcome = Outcome::Refused {
                        code: ErrorCode::RateLimited,
                        message: "Too many messages; wait, then send it again with the same id.",
                        retry_after_ms: Some(retry_after_ms),
                    };
                    answer(deliveries, outgoing.submission, outcome);
                }
                Some(JointDecision::Granted) | None => self.granted.push(outgoing),
            }
        }
        self.is_sending = !self.granted.is_empty();
    }

    /// The log has the batch, or has not confirmed it.
    pub(crate) fn handle_appended(
        &mut self,
        batch: Vec<Outgoing>,
        appended: Result<(), EngineError>,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        self.is_sending = false;
        let outcome = match appended {
            Ok(()) => {
                add(&counters.acknowledged, batch.len());
                add(&counters.appends, 1);
                Outcome::Acknowledged
            }
            Err(error) => {
                tracing::warn!(%error, messages = batch.len(), "the log did not confirm messages");
                add(&counters.unavailable, batch.len());
                UNAVAILABLE
            }
        };
        for Outgoing { submission, .. } in batch {
            answer(deliveries, submission, outcome.clone());
        }
    }
}

fn answer(deliveries: &mut Deliveries, submission: Submission, outcome: Outcome) {
    let Submission { connection, frame_id, taken_at, .. } = submission;
    deliveries.answer(connection, Answer { token: connection.token, frame_id, outcome, taken_at });
}

fn refused((operation, refusal): (Operation, Refusal)) -> Outcome {
    match refusal {
        Refusal::Forbidden => Outcome::Refused {
            code: ErrorCode::Forbidden,
            message: operation.forbidden(),
            retry_after_ms: None,
        },
        Refusal::NotAMember | Refusal::NotFound => NOT_A_MEMBER,
    }
}

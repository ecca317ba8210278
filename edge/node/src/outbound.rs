//! Messages on their way to the log: limits, one append per batch, the answers.
//!
//! One append is under way at a time; what arrives meanwhile makes the next batch. So a sender's messages keep their
//! order, and a busy edge pays for one durable write per batch.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use ringside_edge_protocol::{Answer, ConnectionRef, Outcome, ShardId, ToShard};
use ringside_ports::log::Append;
use ringside_ports::presence::{Account, Charge, JointVerdict, Rate};
use ringside_ports::{Log, Presence};
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, ErrorCode, Limits, Topic, UserId, partition_of};
use tokio::sync::mpsc;

use crate::config::{BACKLOG_PAUSE, OUTBOUND_BATCH_MAX};
use crate::counters::{Counters, add};
use crate::post::Outbox;

/// A message for the log.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) connection: ConnectionRef,
    pub(crate) frame_id: Option<Box<str>>,
    pub(crate) user_id: UserId,
    pub(crate) channel_id: ChannelId,
    pub(crate) record: Bytes,
    /// As the shard or the roster says.
    pub(crate) known_member: bool,
    /// As far as the shard can tell.
    pub(crate) operation: Operation,
    /// Whether the store has it already: it is acknowledged again, whatever its sender may do now.
    pub(crate) is_repetition: bool,
    /// When the shard took it.
    pub(crate) taken_at: Instant,
    /// Whether its text may name members, who are not looked up yet.
    pub(crate) may_mention: bool,
    /// Seconds that slow mode asks for before the sender's next message; 0: none.
    pub(crate) slow_mode_s: u32,
}

pub(crate) const UNAVAILABLE: Outcome = Outcome::Refused {
    code: ErrorCode::Unavailable,
    message: "The message was not confirmed; send it again with the same id.",
    retry_after_ms: Some(1_000),
};
pub(crate) const NOT_A_MEMBER: Outcome = Outcome::Refused {
    code: ErrorCode::NotAMember,
    message: "You are not a member of this channel.",
    retry_after_ms: None,
};

/// Groups answers by shard.
#[derive(Default)]
pub(crate) struct Answers(HashMap<ShardId, Vec<Answer>>);

impl Answers {
    pub(crate) fn add(&mut self, sending: Sending, outcome: Outcome) {
        let Sending { connection, frame_id, taken_at, .. } = sending;
        let answer = Answer { token: connection.token, frame_id, outcome, taken_at };
        self.0.entry(connection.shard).or_default().push(answer);
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (ShardId, ToShard)> {
        self.0.drain().map(|(shard, answers)| (shard, ToShard::Answers(answers)))
    }
}

/// Appends what comes until the sender is gone. A shard whose mailbox is full keeps only its own answers waiting: they are
/// tried again, and what other shards send goes on. They are at most as many as the commands that the shard's
/// connections may have unanswered.
pub(crate) async fn run<L: Log, P: Presence>(
    mut sendings: mpsc::Receiver<Sending>,
    log: L,
    presence: P,
    limits: Limits,
    mut outbox: Outbox,
    counters: std::sync::Arc<Counters>,
) {
    let partitions = log.partitions(Topic::MessagesSend);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            count = sendings.recv_many(&mut batch, OUTBOUND_BATCH_MAX) => {
                if count == 0 {
                    return;
                }
            }
            () = tokio::time::sleep(BACKLOG_PAUSE), if outbox.is_waiting() => {}
        }
        if !batch.is_empty() {
            let mut answers = Answers::default();
            let granted =
                grant(&presence, &limits, std::mem::take(&mut batch), &mut answers, &counters).await;
            append(&log, partitions, granted, &mut answers, &counters).await;
            for (shard, delivery) in answers.drain() {
                outbox.send(shard, delivery);
            }
        }
        outbox.flush();
    }
}

/// Appends messages, and answers each once the log has it or has not confirmed it.
async fn append<L: Log>(
    log: &L,
    partitions: u16,
    granted: Vec<Sending>,
    answers: &mut Answers,
    counters: &Counters,
) {
    if granted.is_empty() {
        return;
    }
    let appends = granted.iter().map(|sending| Append {
        topic: Topic::MessagesSend,
        partition: partition_of(sending.channel_id, partitions),
        payload: sending.record.clone(),
    });
    let outcome = match log.append(appends.collect()).await {
        Ok(_) => {
            add(&counters.acknowledged, granted.len());
            add(&counters.appends, 1);
            Outcome::Acknowledged
        }
        Err(error) => {
            tracing::warn!(%error, messages = granted.len(), "the log did not confirm messages");
            add(&counters.unavailable, granted.len());
            UNAVAILABLE
        }
    };
    for sending in granted {
        answers.add(sending, outcome.clone());
    }
}

/// Takes each message's tokens; those that are refused are answered.
async fn grant<P: Presence>(
    presence: &P,
    limits: &Limits,
    batch: Vec<Sending>,
    answers: &mut Answers,
    counters: &Counters,
) -> Vec<Sending> {
    let is_slow = batch.iter().any(|sending| sending.slow_mode_s > 0);
    if limits.messages_per_second == 0 && limits.channel_messages_per_minute == 0 && !is_slow {
        return batch;
    }
    let charges: Vec<Vec<Charge>> = batch.iter().map(|sending| charges(limits, sending)).collect();
    // Limits may suffer when their engine does; messages never.
    let Ok(verdicts) = presence.charge_jointly(&charges).await else { return batch };
    let mut granted = Vec::with_capacity(batch.len());
    for (sending, verdict) in batch.into_iter().zip(verdicts) {
        let JointVerdict::Refused { retry_after_ms, .. } = verdict else {
            granted.push(sending);
            continue;
        };
        add(&counters.rate_limited, 1);
        let outcome = Outcome::Refused {
            code: ErrorCode::RateLimited,
            message: "Too many messages; wait, then send it again with the same id.",
            retry_after_ms: Some(retry_after_ms),
        };
        answers.add(sending, outcome);
    }
    granted
}

fn charges(limits: &Limits, sending: &Sending) -> Vec<Charge> {
    let user =
        Rate { per_minute: limits.messages_per_second.saturating_mul(60), burst: limits.messages_burst };
    let channel =
        Rate { per_minute: limits.channel_messages_per_minute, burst: limits.channel_messages_per_minute };
    vec![
        Charge::one(Account::UserMessages(sending.user_id), user),
        Charge::one(Account::ChannelMessages(sending.channel_id), channel),
        // Of no seconds it is no limit, and none is kept.
        Account::slow_mode(sending.channel_id, sending.user_id, sending.slow_mode_s),
    ]
}

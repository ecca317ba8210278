//! A node's inputs, written down for a replay.

use bytes::Bytes;
use ringside_application::backend::{
    Admission, AdmitRefusal, AuthorizeAnswer, BackendError, LookAnswer, ReadAnswer,
};
use ringside_edge_protocol::{ShardId, ToNode};
use ringside_ports::EngineError;
use ringside_ports::log::Record;
use ringside_recording::{Moment, Track};
use ringside_types::{Epoch, Limits, Offset, PublicKey, Slot, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

use crate::effect::{Completion, Effect};
use crate::now::Now;

/// What a node takes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NodeInput {
    /// A lease is claimed, and the node begins.
    Claimed(Box<Claimed>),
    /// It was asked what to do, and named so many effects.
    Polled(u64),
    Control(Vec<LoggedRecord>),
    Received(Vec<LoggedRecord>),
    Presence(Vec<LoggedRecord>),
    /// What came of an effect, by its number since the claim. `first`: records follow at once, before anything that is due.
    Completed {
        effect: u64,
        first: bool,
        answer: Answer,
    },
    /// Batches of requests, each the next one of its shard.
    Requests(Vec<u16>),
    /// Something may be due.
    TimePassed,
    /// A shard was told what waited for it, and had no room for the last ones.
    HandedOver {
        shard: u16,
        taken: usize,
        left: usize,
    },
    /// The lease is over.
    Finished {
        is_lost: bool,
    },
}

/// What a node begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    pub slot: Slot,
    pub nonce: [u8; 16],
    pub epoch: Epoch,
    pub receive_from: Offset,
    pub send_partitions: u16,
    pub status_partitions: u16,
    pub limits: Limits,
    pub shards: u16,
}

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedRecord {
    pub offset: Offset,
    pub time: UnixMillis,
    pub payload: Bytes,
}

impl LoggedRecord {
    fn all(records: &[Record]) -> Vec<Self> {
        let logged = |Record { offset, time, payload }: &Record| Self {
            offset: *offset,
            time: *time,
            payload: payload.clone(),
        };
        records.iter().map(logged).collect()
    }
}

impl From<LoggedRecord> for Record {
    fn from(LoggedRecord { offset, time, payload }: LoggedRecord) -> Self {
        Self { offset, time, payload }
    }
}

/// What the world answered to an effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Whether the log has confirmed.
    Appended(bool),
    /// Who may come in, and where the records to this edge ended, if the log said so.
    Admitted(Vec<Result<Admission, AdmitRefusal>>, Option<Offset>),
    Authorized(Result<AuthorizeAnswer, BackendError>),
    Read(ReadAnswer),
    PresenceChanged(Vec<Result<Vec<UserId>, BackendError>>),
    Looked(Result<LookAnswer, BackendError>),
    KeysRead(Result<Vec<PublicKey>, BackendError>),
}

impl Answer {
    fn of(completion: &Completion) -> Self {
        match completion {
            Completion::Appended(_, confirmed) => Self::Appended(confirmed.is_ok()),
            Completion::Admitted(admitted, end) => {
                let answers = admitted.iter().map(|(_, answer)| answer.clone()).collect();
                Self::Admitted(answers, end.as_ref().ok().copied())
            }
            Completion::Authorized(_, answer) => Self::Authorized(answer.clone()),
            Completion::PagesRead(_, answer) | Completion::GapsRead(_, answer) => Self::Read(answer.clone()),
            Completion::PresenceChanged(_, answer) => Self::PresenceChanged(answer.clone()),
            Completion::Looked(_, answer) => Self::Looked(answer.clone()),
            Completion::KeysRead(answer) => Self::KeysRead(answer.clone()),
        }
    }

    /// What a node is told that has asked for this effect; `None`: it is the answer to another kind of effect.
    pub fn complete(self, effect: Effect) -> Option<Completion> {
        fn unconfirmed() -> EngineError {
            EngineError::Unavailable { engine: "recorded", cause: "it was not confirmed".into() }
        }
        Some(match (effect, self) {
            (Effect::Append(batch, _), Self::Appended(is_confirmed)) => {
                Completion::Appended(batch, if is_confirmed { Ok(()) } else { Err(unconfirmed()) })
            }
            (Effect::Admit(applicants, _), Self::Admitted(answers, end)) => {
                let admitted = applicants.into_iter().zip(answers).collect();
                Completion::Admitted(admitted, end.ok_or_else(unconfirmed))
            }
            (Effect::Authorize(question, _), Self::Authorized(answer)) => {
                Completion::Authorized(question, answer)
            }
            (Effect::ReadPages(readers, _), Self::Read(answer)) => Completion::PagesRead(readers, answer),
            (Effect::ReadGaps(gaps), Self::Read(answer)) => Completion::GapsRead(gaps, answer),
            (Effect::ChangePresence(changing, _), Self::PresenceChanged(answer)) => {
                Completion::PresenceChanged(changing, answer)
            }
            (Effect::Look(looking, _), Self::Looked(answer)) => Completion::Looked(looking, answer),
            (Effect::ReadKeys, Self::KeysRead(answer)) => Completion::KeysRead(answer),
            _ => return None,
        })
    }
}

/// Writes down what a node takes in, if anybody wants it.
#[derive(Debug, Default)]
pub struct NodeRecorder {
    track: Option<Track>,
    seed: u64,
    effects: u64,
}

impl NodeRecorder {
    pub fn new(track: Track, seed: u64) -> Self {
        Self { track: Some(track), seed, effects: 0 }
    }

    /// A node's hashes are seeded so, on whichever thread its task runs.
    pub(crate) fn fix_seed(&self) {
        if self.track.is_some() {
            ringside_types::hash::fix_seed(Some(self.seed));
        }
    }

    /// The number of the next effect.
    pub(crate) fn number_effect(&mut self) -> u64 {
        self.effects += 1;
        self.effects - 1
    }

    pub(crate) fn claimed(&mut self, now: Now, claimed: impl FnOnce() -> Claimed) {
        self.effects = 0;
        self.write(now, || NodeInput::Claimed(Box::new(claimed())));
    }

    pub(crate) fn polled(&mut self, now: Now, effects: u64) {
        // Without an effect, too: what waits for the shards may be put together by it.
        self.write(now, || NodeInput::Polled(effects));
    }

    pub(crate) fn control(&mut self, now: Now, records: &[Record]) {
        self.write(now, || NodeInput::Control(LoggedRecord::all(records)));
    }

    pub(crate) fn received(&mut self, now: Now, records: &[Record]) {
        self.write(now, || NodeInput::Received(LoggedRecord::all(records)));
    }

    pub(crate) fn presence(&mut self, now: Now, records: &[Record]) {
        self.write(now, || NodeInput::Presence(LoggedRecord::all(records)));
    }

    pub(crate) fn completed(&mut self, now: Now, effect: u64, first: bool, completion: &Completion) {
        self.write(now, || NodeInput::Completed { effect, first, answer: Answer::of(completion) });
    }

    pub(crate) fn requests(&mut self, now: Now, batches: &[Vec<ToNode>]) {
        self.write(now, || NodeInput::Requests(batches.iter().filter_map(|batch| shard_of(batch)).collect()));
    }

    pub(crate) fn time_passed(&mut self, now: Now) {
        self.write(now, || NodeInput::TimePassed);
    }

    /// A shard is about to be told: its place among all inputs is before what the shard does about it.
    pub(crate) fn hands_over(&self, now: Now) -> Option<Moment> {
        self.track.as_ref().map(|track| moment(track, now))
    }

    pub(crate) fn handed_over(&mut self, at: Option<Moment>, shard: ShardId, taken: usize, left: usize) {
        if let (Some(track), Some(at)) = (&mut self.track, at) {
            track.write(at, &NodeInput::HandedOver { shard: shard.0, taken, left });
        }
    }

    pub(crate) fn finished(&mut self, now: Now, is_lost: bool) {
        self.write(now, || NodeInput::Finished { is_lost });
    }

    /// Hands what was written to the system.
    pub(crate) fn flush(&mut self) {
        if let Some(track) = &mut self.track {
            track.flush();
        }
    }

    fn write(&mut self, now: Now, input: impl FnOnce() -> NodeInput) {
        if let Some(track) = &mut self.track {
            let moment = moment(track, now);
            track.write(moment, &input());
        }
    }
}

/// The next moment, with the clocks as the node is told them.
fn moment(track: &Track, now: Now) -> Moment {
    let boot_ns = u64::try_from(now.boot.0.as_nanos()).unwrap_or(u64::MAX);
    Moment { wall_ms: now.wall.0, boot_ns, ..track.moment(now.instant) }
}

/// Whose requests these are. A shard hands over its own, and never none.
fn shard_of(batch: &[ToNode]) -> Option<u16> {
    let connection = match batch.first()? {
        ToNode::Admit { connection, .. } | ToNode::Closed { connection } => connection,
        ToNode::Submit(submission) => &submission.connection,
        ToNode::Signal(signal) => &signal.connection,
        ToNode::Presence(presence) => &presence.connection,
        ToNode::Read(read) => &read.connection,
    };
    Some(connection.shard.0)
}

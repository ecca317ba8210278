//! What a node asks of the world, and what came of it. Each [`Effect`] is answered by its [`Completion`], which brings back
//! what the node has to know of it; a [`Heartbeat`](Effect::Heartbeat) is not answered.

use ringside_application::backend::{
    Admission, AdmitRefusal, AuthorizeAnswer, AuthorizeRequest, Backend, BackendError, ConnectionEvent,
    LookAnswer, LookRequest, ReadAnswer, ReadRequest,
};
use ringside_domain::feed::GapRange;
use ringside_ports::log::Append;
use ringside_ports::{EngineError, Log};
use ringside_types::{Offset, PublicKey, Slot, Topic, UserId};

use crate::admissions::Applicant;
use crate::doubts::Doubt;
use crate::presence::{Changing, Looking};
use crate::reads::Reader;
use crate::submissions::{Check, Outgoing};
use ringside_edge_protocol::SignalRequest;

/// What a node asks of the world.
#[derive(Debug)]
pub enum Effect {
    /// Append this to `control`. One that is late opens nothing, so nobody waits for it.
    Heartbeat(Append),
    Append(Batch, Vec<Append>),
    /// Ask whether connections may come in; so many connections may a user have.
    Admit(Vec<Applicant>, u32),
    /// Ask who may do what.
    Authorize(Question, AuthorizeRequest),
    ReadPages(Vec<Reader>, ReadRequest),
    ReadGaps(Vec<GapRange>),
    /// Note what happened to connections.
    ChangePresence(Vec<Changing>, Vec<ConnectionEvent>),
    /// Ask who is there, and who wants to be notified how.
    Look(Looking, LookRequest),
    /// Ask which keys verify access tokens.
    ReadKeys,
}

/// What came of an effect.
#[derive(Debug)]
pub enum Completion {
    /// The records are in the log, or are not confirmed.
    Appended(Batch, Result<(), EngineError>),
    /// Who may come in, and where the records to this edge ended then.
    Admitted(Vec<(Applicant, Result<Admission, AdmitRefusal>)>, Result<Offset, EngineError>),
    /// Who may do what.
    Authorized(Question, Result<AuthorizeAnswer, BackendError>),
    PagesRead(Vec<Reader>, ReadAnswer),
    GapsRead(Vec<GapRange>, ReadAnswer),
    /// Of whom every edge is to be told.
    PresenceChanged(Vec<Changing>, Vec<Result<Vec<UserId>, BackendError>>),
    Looked(Looking, Result<LookAnswer, BackendError>),
    KeysRead(Result<Vec<PublicKey>, BackendError>),
}

#[derive(Debug)]
pub enum Batch {
    /// Joins and leaves of channels, up to the batch of this number; the records, to try again.
    Joins(u64, Vec<Append>),
    Commands(Vec<Outgoing>),
    /// Receipts and typing; the records, to try again.
    Signals(Vec<Append>),
    /// Users who may be seen otherwise now; the record, to try again.
    Presence(Vec<Append>),
}

/// What the backend is asked about.
#[derive(Debug)]
pub enum Question {
    /// Who sends, and whom their messages name.
    Senders(Vec<Check>),
    /// Whether there are tokens for these commands.
    Charges(Vec<Outgoing>),
    /// What channels ask of senders.
    Policies,
    /// Whether readers are members.
    Readers(Vec<Reader>),
    /// Whether users are members of whom a partition tells.
    Members(Vec<Doubt>),
    /// Whether receipts and signs of typing count.
    Signals(Vec<SignalRequest>),
}

/// Carries out an effect of the node that holds `slot`.
///
/// # Panics
/// When the effect is a [`Heartbeat`](Effect::Heartbeat), which has no completion: a fault of the caller.
pub async fn carry_out<L: Log, B: Backend>(effect: Effect, log: &L, backend: &B, slot: Slot) -> Completion {
    match effect {
        Effect::Append(batch, appends) => Completion::Appended(batch, log.append(appends).await.map(drop)),
        Effect::Admit(applicants, connections_max) => {
            let connections = applicants.iter().map(|applicant| applicant.counted).collect();
            let answers = backend.admit(connections, connections_max);
            let bounds = log.bounds(Topic::MessagesReceive, slot.partition());
            let (answers, bounds) = futures_util::future::join(answers, bounds).await;
            let admitted = applicants.into_iter().zip(answers).collect();
            Completion::Admitted(admitted, bounds.map(|bounds| bounds.end))
        }
        Effect::Authorize(question, asked) => {
            Completion::Authorized(question, backend.authorize(asked).await)
        }
        Effect::ReadPages(readers, asked) => Completion::PagesRead(readers, backend.read(asked).await),
        Effect::ReadGaps(gaps) => {
            let asked = ReadRequest { gaps: gaps.clone(), ..ReadRequest::default() };
            Completion::GapsRead(gaps, backend.read(asked).await)
        }
        Effect::ChangePresence(changing, changes) => {
            Completion::PresenceChanged(changing, backend.presence(changes).await)
        }
        Effect::Look(looking, asked) => Completion::Looked(looking, backend.look(asked).await),
        Effect::ReadKeys => Completion::KeysRead(backend.public_keys().await),
        Effect::Heartbeat(_) => unreachable!("nothing comes of a heartbeat"),
    }
}

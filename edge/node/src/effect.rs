//! What a node asks of the world, and what came of it. Each [`Effect`] is answered by its [`Completion`], which brings back
//! what the node has to know of it; a [`Heartbeat`](Effect::Heartbeat) is not answered.

use ringside_application::backend::{
    Admission, AdmitRefusal, AuthorizeAnswer, AuthorizeRequest, BackendError, ConnectionEvent, LookAnswer,
    LookRequest, ReadAnswer, ReadRequest,
};
use ringside_domain::feed::GapRange;
use ringside_ports::EngineError;
use ringside_ports::log::Append;
use ringside_types::{Offset, PublicKey, UserId};

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

//! Invariant 10, its other half: cursors of what was delivered and read never regress, never name what was not said, and
//! are the same for everybody in the end; unread counts are what a recount from the whole history finds.
//!
//! A receipt has no durable answer, so one that was sent may be lost with the server. What a `message.status` or a list
//! once told may not, nor a receipt that the edge took after the last kill.

mod certain;
mod evidence;
mod growth;
mod origin;
mod unread;

use uuid::Uuid;

use crate::history::{ClientHistory, Record};
use crate::index::Index;
use crate::verdict::{Fault, Invariant, Verdict, Violation};
pub use certain::{CertainCursors, certain_cursors};
use evidence::Evidence;
pub(crate) use unread::count as count_unread;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let evidence = Evidence::build(index);
    origin::check(index, &evidence, verdict);
    growth::check(index, &evidence, verdict);
    unread::check(index, &evidence, verdict);
}

/// A violation of cursors.
fn violation(
    channel: Uuid,
    fault: Fault,
    witness: Option<(&ClientHistory, &Record)>,
    detail: String,
) -> Violation {
    let invariant = match fault {
        Fault::UnreadWrong => Invariant::UnreadIsArithmetic,
        _ => Invariant::CursorsGrow,
    };
    Violation {
        invariant,
        fault,
        channel: Some(channel),
        witness: witness.map(|(client, record)| (client.client, record.connection)),
        at_us: witness.map(|(_, record)| record.at_us),
        detail,
    }
}

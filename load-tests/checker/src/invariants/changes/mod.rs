//! Invariant 10: edits and deletions converge. `change` is dense and the same for everyone; what was acknowledged is in
//! the final state, in an order that the acks allow; and what each client put together equals what REST says.
//!
//! The place for read cursors ("never regress") is a file beside these, over the same index.

mod convergence;
mod deletion;
mod effects;
mod numbers;

use ringside_test_client::amendment::Change;
use uuid::Uuid;

use crate::history::{ClientHistory, Event, Record};
use crate::index::Index;
use crate::verdict::{Fault, Invariant, Verdict, Violation};

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    deletion::check(index, verdict);
    numbers::check(index, verdict);
    effects::check(index, verdict);
    convergence::check(index, verdict);
}

/// The changes that a record brought, with their channel.
fn changes_of(record: &Record) -> Option<(Uuid, &[Change])> {
    match &record.event {
        Event::Changed { channel, change } => Some((*channel, std::slice::from_ref(change))),
        Event::Page { channel, changes, .. } => Some((*channel, changes)),
        _ => None,
    }
}

/// A violation that a client's record shows.
fn witnessed(
    client: &ClientHistory,
    record: &Record,
    channel: Uuid,
    fault: Fault,
    detail: String,
) -> Violation {
    Violation {
        invariant: Invariant::ChangesConverge,
        fault,
        channel: Some(channel),
        witness: Some((client.client, record.connection)),
        at_us: Some(record.at_us),
        detail,
    }
}

/// A violation of the final state.
fn unwitnessed(channel: Uuid, fault: Fault, detail: String) -> Violation {
    Violation {
        invariant: Invariant::ChangesConverge,
        fault,
        channel: Some(channel),
        witness: None,
        at_us: None,
        detail,
    }
}

//! Invariant 9: no event reaches a removed member or a revoked session later than a stated bound.

use std::collections::HashMap;

use ringside_test_client::amendment::{Change, Changed};
use uuid::Uuid;

use crate::history::{ClientHistory, Event};
use crate::index::Index;
use crate::verdict::{Fault, Invariant, Verdict, Violation};

/// After the removal or the revocation was answered; the contract's own figure.
pub const SILENT_WITHIN_US: u64 = 2_000_000;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    for client in &index.history.evicted_clients {
        check_client(client, verdict);
    }
}

/// Whether a change tells of comings and goings alone.
fn is_of_members(change: &Change) -> bool {
    let Changed::Other { kind } = &change.what else { return false };
    matches!(kind.as_str(), "channel.member_added" | "channel.member_removed")
}

fn check_client(client: &ClientHistory, verdict: &mut Verdict) {
    // When the client was evicted from a channel, or (under `None`) from all.
    let mut out: HashMap<Option<Uuid>, u64> = HashMap::new();
    for record in &client.records {
        let channel = match &record.event {
            Event::Evicted { channel, .. } => {
                out.insert(*channel, record.at_us);
                continue;
            }
            Event::Readmitted { channel } => {
                out.remove(channel);
                continue;
            }
            // The word of it comes in the channel's order, and may be late.
            Event::Changed { change, .. } if is_of_members(change) => continue,
            // What they had said is told to whoever said it, once.
            Event::New { message, .. } if message.sender == client.user_id => continue,
            Event::New { channel, .. } | Event::Changed { channel, .. } | Event::Page { channel, .. } => {
                Some(*channel)
            }
            // A session that is over opens no connection either.
            Event::Opened => None,
            _ => continue,
        };
        let since = [None, channel].iter().filter_map(|key| out.get(key)).min().copied();
        if let Some(since) = since.filter(|since| record.at_us > since + SILENT_WITHIN_US) {
            verdict.add(Violation {
                invariant: Invariant::SilentAfterRemoval,
                fault: Fault::EventAfterRemoval,
                channel,
                witness: Some((client.client, record.connection)),
                at_us: Some(record.at_us),
                detail: format!(
                    "an event or a connection came {} ms after the guest was shut out",
                    (record.at_us - since) / 1000
                ),
            });
        }
    }
}

//! Who is here and away: their shards notify them of what comes.
//!
//! Whether somebody is away is what all their connections come to, on all edges; so an edge looks it up, and how they want
//! to be notified with it, whenever anything of them changes. It looks only at those who said on one of its connections
//! that they are away.

use std::collections::HashSet;
use std::sync::Arc;

use ringside_domain::attention::Attention;
use ringside_edge_protocol::ToShard;
use ringside_types::UserId;

use crate::config::LOOKS_BATCH_MAX;
use crate::deliveries::Deliveries;
use crate::registry::ConnectionRegistry;

/// Users of this edge who may be away.
#[derive(Debug, Default)]
pub(super) struct AwayUsers {
    /// Users who have connections here, one of which has said that they are away.
    candidates: HashSet<UserId>,
    /// Those of whom something changed.
    changed: HashSet<UserId>,
}

impl AwayUsers {
    /// A connection of this user says that they are away.
    pub(super) fn may_be_away(&mut self, user: UserId) {
        self.candidates.insert(user);
    }

    /// Something of these users changed.
    pub(super) fn handle_changed(
        &mut self,
        users: impl Iterator<Item = UserId>,
        registry: &ConnectionRegistry,
    ) {
        for user in users {
            if !self.candidates.contains(&user) {
                continue;
            }
            // Who is here no longer begins anew when they come back.
            if registry.shards_of(user).is_empty() {
                self.candidates.remove(&user);
            } else {
                self.changed.insert(user);
            }
        }
    }

    /// Whether somebody is to be looked up.
    pub(super) fn is_due(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Those whom the next look asks about.
    pub(super) fn poll(&mut self) -> Vec<UserId> {
        let users: Vec<UserId> = self.changed.iter().copied().take(LOOKS_BATCH_MAX).collect();
        for user in &users {
            self.changed.remove(user);
        }
        users
    }
}

/// Tells the shards of these users how they want to be notified; `None`: they are not away.
pub(super) fn tell(
    looked: impl Iterator<Item = (UserId, Option<Attention>)>,
    registry: &ConnectionRegistry,
    deliveries: &mut Deliveries,
) {
    for (user_id, attention) in looked {
        let attention = attention.map(Arc::new);
        for shard in registry.shards_of(user_id) {
            deliveries.send(shard, ToShard::Attention { user_id, attention: attention.clone() });
        }
    }
}

//! Who is here and away: their shards notify them of what comes.
//!
//! Whether somebody is away is what all their connections come to, on all edges; so an edge looks it up, and what they have
//! muted with it, whenever anything of them changes. It looks only at those who said on one of its connections that they
//! are away.

use std::collections::HashSet;
use std::sync::Arc;

use ringside_edge_protocol::{Attention, ToShard};
use ringside_ports::channels::ChannelKind;
use ringside_ports::people::After;
use ringside_ports::people::relations::Relations;
use ringside_ports::presence::Status;
use ringside_ports::{Channels, EngineError, Log, MessageStore, Presence};
use ringside_types::UserId;

use super::{EdgeDirectory, RETRY_PAUSE};
use crate::config::LOOKS_BATCH_MAX;
use crate::runner::{Engines, Node};
use crate::work::Done;

/// Blocks of a user that are read at once.
const BLOCKS_PAGE: usize = 500;

/// What an edge knows of who is away.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    /// Users who have connections here, one of which has said that they are away.
    candidates: HashSet<UserId>,
    /// Those of whom something changed.
    changed: HashSet<UserId>,
    is_looking: bool,
}

/// How users are to be notified; `None`: they are not away.
pub(crate) type Absent = Vec<(UserId, Option<Arc<Attention>>)>;

impl<L, S, D, P> Node<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    /// A connection of this user says that they are away.
    pub(super) fn may_be_away(&mut self, user: UserId) {
        self.absences.candidates.insert(user);
    }

    /// Something of these users changed.
    pub(super) fn attention_changed(&mut self, users: impl Iterator<Item = UserId>) {
        let Self { absences: Absences { candidates, changed, .. }, roster, .. } = self;
        for user in users {
            if !candidates.contains(&user) {
                continue;
            }
            // Who is here no longer begins anew when they come back.
            if roster.shards_of(user).is_empty() {
                candidates.remove(&user);
            } else {
                changed.insert(user);
            }
        }
    }

    /// At the end of a turn: one look at a time, so an older answer never follows a newer one.
    pub(super) fn look_for_absent(&mut self) {
        let absences = &mut self.absences;
        if absences.is_looking || absences.changed.is_empty() {
            return;
        }
        let users: Vec<UserId> = absences.changed.iter().copied().take(LOOKS_BATCH_MAX).collect();
        absences.changed.retain(|user| !users.contains(user));
        absences.is_looking = true;
        self.work.push(Box::pin(look(self.engines.clone(), users)));
    }

    pub(crate) fn looked_for_absent(&mut self, absent: Absent) {
        self.absences.is_looking = false;
        for (user_id, attention) in absent {
            for shard in self.roster.shards_of(user_id) {
                let attention = attention.clone();
                self.outbox.send(shard, ToShard::Attention { user_id, attention });
            }
        }
    }
}

/// Looks until the engines answer: nobody asks again.
async fn look<L, S, D: Channels + Relations, P: Presence>(
    engines: Engines<L, S, D, P>,
    users: Vec<UserId>,
) -> Done {
    loop {
        match look_once(&engines, &users).await {
            Ok(absent) => return Done::LookedForAbsent(absent),
            Err(error) => {
                tracing::warn!(%error, "who is away could not be read; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }
}

async fn look_once<L, S, D: Channels + Relations, P: Presence>(
    engines: &Engines<L, S, D, P>,
    users: &[UserId],
) -> Result<Absent, EngineError> {
    let statuses = engines.presence.statuses(users).await?;
    let mut absent = Vec::with_capacity(users.len());
    for (user, status) in users.iter().zip(statuses) {
        let is_away = status == Status::Away;
        let attention = if is_away { Some(wishes(&engines.directory, *user).await?) } else { None };
        absent.push((*user, attention.map(Arc::new)));
    }
    Ok(absent)
}

async fn wishes<D: Channels + Relations>(directory: &D, user: UserId) -> Result<Attention, EngineError> {
    let memberships = directory.memberships(user, None).await?;
    let muted = memberships.iter().filter_map(|member| Some((member.channel_id, member.muted_until?)));
    let ids: Vec<_> = memberships.iter().map(|member| member.channel_id).collect();
    let channels = directory.channels(&ids).await?;
    let direct = channels.iter().filter(|channel| channel.kind == ChannelKind::Dm).map(|channel| channel.id);
    let blocked = blocked(directory, user).await?;
    Ok(Attention { muted: muted.collect(), direct: direct.collect(), blocked })
}

async fn blocked<D: Relations>(directory: &D, user: UserId) -> Result<Vec<UserId>, EngineError> {
    let mut blocked: Vec<UserId> = Vec::new();
    loop {
        let part = After { after: blocked.last().copied(), limit: BLOCKS_PAGE };
        let page = directory.blocks(user, part).await?;
        blocked.extend(page.iter().map(|block| block.user_id));
        if page.len() < BLOCKS_PAGE {
            return Ok(blocked);
        }
    }
}

//! Letting connections in. Where a user has as many as they may, the others are asked whether they live: a phone that changed
//! networks leaves sockets behind that nobody has closed.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::hash_map::Entry;
use ringside_edge_protocol::{AdmitRefusal, ConnectionRef, Subscription, ToShard};
use ringside_ports::presence::Connection;
use ringside_ports::{Log, MessageStore, Presence};
use ringside_session::budget::{Charged, HANDSHAKE_UNITS};
use ringside_types::{SessionId, UserId};
use ringside_wire::records::Profile;

use crate::config::{ADMISSIONS_WAITING_MAX, PROBED_USERS_MAX, PROBES_OF_USER_MAX};
use crate::counters::add;
use crate::presence::{EdgeDirectory, came};
use crate::runner::Node;
use crate::work;
use crate::work::admission::Admission;

/// A user who went on in spite of many refusals comes back after this long.
const EXHAUSTED_PAUSE_MS: u64 = 20_000;

/// A connection that asks to be let in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicant {
    pub(crate) connection: ConnectionRef,
    /// As Presence counts it.
    pub(crate) counted: Connection,
    /// Whether it has waited for the user's other connections to answer.
    has_waited: bool,
}

impl<L, S, D, P> Node<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    pub(super) fn admit(&mut self, connection: ConnectionRef, user_id: UserId, session_id: SessionId) {
        if self.admissions.len() >= ADMISSIONS_WAITING_MAX {
            add(&self.counters.admissions_refused, 1);
            self.refuse(connection, AdmitRefusal::Unavailable);
            return;
        }
        let now = Instant::now();
        let allowance = (&self.config.limits).into();
        match self.roster.budget(user_id, now).charge(allowance, HANDSHAKE_UNITS, now) {
            Charged::Granted => {}
            Charged::Refused { retry_after_ms } => {
                return self.refuse(connection, AdmitRefusal::RateLimited { retry_after_ms });
            }
            Charged::Exhausted => {
                return self
                    .refuse(connection, AdmitRefusal::RateLimited { retry_after_ms: EXHAUSTED_PAUSE_MS });
            }
        }
        self.roster.open(connection, user_id, session_id, now);
        let counted = self.presence_of(connection, user_id, session_id);
        self.admissions.push_back(Applicant { connection, counted, has_waited: false });
    }

    fn refuse(&mut self, connection: ConnectionRef, reason: AdmitRefusal) {
        self.outbox.send(connection.shard, ToShard::Refused { token: connection.token, reason });
    }

    pub(super) fn admission(&mut self, applicant: Applicant, answer: Result<Admission, AdmitRefusal>) {
        self.admissions_under_way -= 1;
        if answer.as_ref().err() == Some(&AdmitRefusal::TooManyConnections) && self.probe(applicant) {
            return;
        }
        let Applicant { connection, counted, .. } = applicant;
        let admission = match answer {
            Ok(admission) => admission,
            Err(reason) => {
                // Nothing is left in Presence, so the roster alone forgets it. A look may have seen it meanwhile.
                if reason != AdmitRefusal::TooManyConnections {
                    self.moved(came(counted.user_id));
                }
                if let Some((_, _, released)) = self.roster.close(connection) {
                    self.listen(&released);
                    self.refuse(connection, reason);
                }
                return;
            }
        };
        let Admission { profile, memberships, horizons } = admission;
        let Some(changes) = self.roster.merge(connection, &memberships) else {
            // It closed while the engines were asked: `close` may have come before Presence counted it.
            self.disconnect(counted);
            return;
        };
        self.moved(came(counted.user_id));
        self.listen(&changes);
        for (channel, sees_above) in horizons {
            self.roster.hide(counted.user_id, channel, sees_above);
        }
        for member in &memberships {
            self.standards.want(member.channel_id);
        }
        self.start_work();
        // The joins of this user are in the batch that is under way, in the one after it, or confirmed.
        let unconfirmed = self.feed.has_turns();
        let number = match self.turns_under_way {
            Some(number) => number + u64::from(unconfirmed),
            None => self.turns_appended,
        };
        self.awaiting_turns.push_back((number, connection, Arc::new(profile)));
        self.admit_confirmed();
    }

    /// Asks the user's other connections whether they live, and has this one wait for it; false: it has waited already, or
    /// too many wait.
    fn probe(&mut self, applicant: Applicant) -> bool {
        let user = applicant.counted.user_id;
        let users = self.probes.len();
        let waiting = match self.probes.entry(user) {
            _ if applicant.has_waited => return false,
            Entry::Occupied(waiting) => waiting.into_mut(),
            Entry::Vacant(_) if users >= PROBED_USERS_MAX => return false,
            Entry::Vacant(probe) => {
                for shard in self.roster.shards_of(user) {
                    self.outbox.send(shard, ToShard::Probe(user));
                }
                self.work.push(Box::pin(work::probe(user)));
                probe.insert(Vec::new())
            }
        };
        if waiting.len() >= PROBES_OF_USER_MAX {
            return false;
        }
        waiting.push(Applicant { has_waited: true, ..applicant });
        true
    }

    /// Who did not answer is gone: those who waited ask again, and get what there is now.
    pub(super) fn probed(&mut self, user: UserId) {
        self.admissions.extend(self.probes.remove(&user).unwrap_or_default());
    }

    pub(super) fn turns_confirmed(&mut self, number: u64) {
        self.turns_under_way = None;
        self.turns_appended = number;
        self.admit_confirmed();
    }

    /// Lets in those whose joins the log has.
    fn admit_confirmed(&mut self) {
        while let Some((number, _, _)) = self.awaiting_turns.front()
            && *number <= self.turns_appended
            && let Some((_, connection, profile)) = self.awaiting_turns.pop_front()
        {
            self.let_in(connection, profile);
        }
    }

    fn let_in(&mut self, connection: ConnectionRef, profile: Arc<Profile>) {
        if self.roster.is_revoked(connection) {
            self.refuse(connection, AdmitRefusal::SessionEnded);
            return self.close(connection);
        }
        let Some(channels) = self.roster.admit(connection) else { return };
        let Some(budget) = self.roster.budget_of(connection) else { return };
        let subscription = |(channel_id, sees_above)| {
            let last = self.feed.last(channel_id);
            Subscription { channel_id, last, sees_above }
        };
        let channels = channels.into_iter().map(subscription).collect();
        self.outbox
            .send(connection.shard, ToShard::Admitted { token: connection.token, profile, budget, channels });
    }
}

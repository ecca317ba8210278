//! Letting connections in. Where a user has as many as they may, the others are asked whether they live: a phone that changed
//! networks leaves sockets behind that nobody has closed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use ringside_application::backend;
use ringside_edge_protocol::{AdmitRefusal, ConnectionRef, ToShard};
use ringside_ports::presence::Connection;
use ringside_session::budget::{Charged, HANDSHAKE_UNITS};
use ringside_session::heartbeat::PROBE_DEADLINE;
use ringside_types::hash::RandomState;
use ringside_types::{Limits, Offset, UserId};
use ringside_wire::records::Profile;

use crate::config::{
    ADMISSIONS_BATCH_MAX, ADMISSIONS_MAX, ADMISSIONS_WAITING_MAX, PROBED_USERS_MAX, PROBES_OF_USER_MAX,
};
use crate::counters::{Counters, add};
use crate::deliveries::Deliveries;
use crate::effect::Effect;
use crate::registry::ConnectionRegistry;

/// A user who went on in spite of many refusals comes back after this long.
const EXHAUSTED_PAUSE_MS: u64 = 20_000;
/// What it takes, beyond a probe's deadline, until Presence counts a silent connection no more.
const PROBE_MARGIN: Duration = Duration::from_millis(300);

/// A connection that asks to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applicant {
    pub connection: ConnectionRef,
    /// As Presence counts it.
    pub counted: Connection,
    /// Whether it has waited for the user's other connections to answer.
    pub has_waited: bool,
}

/// Those who wait for the other connections of their user.
#[derive(Debug)]
struct Probe {
    applicants: Vec<Applicant>,
    /// Which connections live is known by then.
    until: Instant,
}

/// All connections that are not let in yet.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    queue: VecDeque<Applicant>,
    under_way: usize,
    probes: HashMap<UserId, Probe, RandomState>,
    /// In the order in which they end.
    probe_ends: VecDeque<(Instant, UserId)>,
    /// Admitted, but for what has to come first.
    admitted: VecDeque<Admitted>,
}

/// A connection that may come in. It has perhaps seen more elsewhere than this edge has handed on, and must not be shown
/// again what has been changed since.
#[derive(Debug)]
struct Admitted {
    connection: ConnectionRef,
    profile: Arc<Profile>,
    /// The log must have the batch of joins of this number.
    joins: u64,
    /// The records to this edge must be read up to here.
    received: Offset,
}

impl Admissions {
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn users_probed(&self) -> usize {
        self.probes.len()
    }

    /// A connection asks to be let in.
    #[expect(clippy::too_many_arguments, reason = "all that it is judged by")]
    pub(crate) fn offer(
        &mut self,
        now: Instant,
        connection: ConnectionRef,
        counted: Connection,
        limits: &Limits,
        registry: &mut ConnectionRegistry,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        if self.queue.len() >= ADMISSIONS_WAITING_MAX {
            add(&counters.admissions_refused, 1);
            return refuse(deliveries, connection, AdmitRefusal::Unavailable);
        }
        let budget = registry.budget(counted.user_id, now);
        let retry_after_ms = match budget.charge(limits.into(), HANDSHAKE_UNITS, now) {
            Charged::Granted => {
                registry.open(connection, counted.user_id, counted.session_id, now);
                return self.queue.push_back(Applicant { connection, counted, has_waited: false });
            }
            Charged::Refused { retry_after_ms } => retry_after_ms,
            Charged::Exhausted => EXHAUSTED_PAUSE_MS,
        };
        refuse(deliveries, connection, AdmitRefusal::RateLimited { retry_after_ms });
    }

    /// The next applicants to ask about, while not too many are.
    pub(crate) fn poll_admit(&mut self, connections_max: u32) -> Option<Effect> {
        let room = ADMISSIONS_MAX.saturating_sub(self.under_way).min(ADMISSIONS_BATCH_MAX);
        let count = self.queue.len().min(room);
        if count == 0 {
            return None;
        }
        self.under_way += count;
        Some(Effect::Admit(self.queue.drain(..count).collect(), connections_max))
    }

    /// The backend has answered about one.
    pub(crate) fn answered(&mut self) {
        self.under_way -= 1;
    }

    /// Asks the user's other connections whether they live, and has this one wait for it; false: it has waited already, or
    /// too many wait.
    pub(crate) fn probe(
        &mut self,
        now: Instant,
        applicant: Applicant,
        registry: &ConnectionRegistry,
        deliveries: &mut Deliveries,
    ) -> bool {
        let user = applicant.counted.user_id;
        let users = self.probes.len();
        let probe = match self.probes.entry(user) {
            _ if applicant.has_waited => return false,
            Entry::Occupied(probe) => probe.into_mut(),
            Entry::Vacant(_) if users >= PROBED_USERS_MAX => return false,
            Entry::Vacant(probe) => {
                for shard in registry.shards_of(user) {
                    deliveries.send(shard, ToShard::Probe(user));
                }
                let until = now + PROBE_DEADLINE + PROBE_MARGIN;
                self.probe_ends.push_back((until, user));
                probe.insert(Probe { applicants: Vec::new(), until })
            }
        };
        if probe.applicants.len() >= PROBES_OF_USER_MAX {
            return false;
        }
        probe.applicants.push(Applicant { has_waited: true, ..applicant });
        true
    }

    /// When the next probe is over.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.probe_ends.front().map(|(end, _)| *end)
    }

    /// Whoever did not answer is gone: those who waited ask again, and get what room there is now.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, user)) = self.probe_ends.pop_front_if(|(end, _)| *end <= now) {
            if let Entry::Occupied(probe) = self.probes.entry(user)
                && probe.get().until <= now
            {
                self.queue.extend(probe.remove().applicants);
            }
        }
    }

    /// A connection is in once the log has the batch of joins of this number, and the records to this edge are read so far.
    pub(crate) fn admit(
        &mut self,
        connection: ConnectionRef,
        profile: Profile,
        joins: u64,
        received: Offset,
    ) {
        self.admitted.push_back(Admitted { connection, profile: Arc::new(profile), joins, received });
    }

    /// The next connection that is in: the log has so many batches of joins, and records are read up to here.
    pub(crate) fn poll_joined(
        &mut self,
        joins: u64,
        received: Offset,
    ) -> Option<(ConnectionRef, Arc<Profile>)> {
        let is_in = |admitted: &mut Admitted| admitted.joins <= joins && admitted.received <= received;
        self.admitted.pop_front_if(is_in).map(|Admitted { connection, profile, .. }| (connection, profile))
    }
}

/// Tells a shard that a connection is not let in.
pub(crate) fn refuse(deliveries: &mut Deliveries, connection: ConnectionRef, reason: AdmitRefusal) {
    deliveries.send(connection.shard, ToShard::Refused { token: connection.token, reason });
}

/// The backend's refusal as shards know it.
pub(crate) fn refusal_of(refusal: backend::AdmitRefusal) -> AdmitRefusal {
    match refusal {
        backend::AdmitRefusal::TooManyConnections => AdmitRefusal::TooManyConnections,
        backend::AdmitRefusal::SessionEnded => AdmitRefusal::SessionEnded,
        backend::AdmitRefusal::Unavailable => AdmitRefusal::Unavailable,
    }
}

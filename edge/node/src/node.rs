//! The edge's node: one lease of the edge's slot as a machine without I/O.
//!
//! Vocabulary: inputs are `handle_*`, each with the time; [`poll_effect`](Node::poll_effect) says what to ask of the log
//! and the backend, [`take_deliveries`](Node::take_deliveries) what to send to a shard, and
//! [`next_timeout`](Node::next_timeout) when to call [`handle_timeout`](Node::handle_timeout).
//!
//! The node itself decides little: it hands each input to the part that knows of it, and what concerns others on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ringside_application::backend;
use ringside_domain::lease::{EdgeLease, FENCE, HEARTBEAT_INTERVAL, LeaseChange};
use ringside_edge_protocol::{
    AdmitRefusal, ConnectionRef, PresenceChange, PresenceRequest, ShardId, Subscription, ToNode, ToShard,
};
use ringside_ports::log::{Append, Record};
use ringside_ports::presence::Connection;
use ringside_types::{BootTime, Epoch, Offset, PartitionId, SessionId, Slot, Topic, UserId};
use ringside_wire::records::{Control, control};
use ringside_wire::signals::PresenceStatus;

use crate::admissions::{self, Admissions, Applicant};
use crate::chains::{Chains, HandedOn};
use crate::config::Config;
use crate::counters::Counters;
use crate::deliveries::Deliveries;
use crate::doubts::Doubts;
use crate::effect::{Batch, Completion, Effect, Question};
use crate::inbound::{self, Item};
use crate::keys::VerifyingKeys;
use crate::memberships::{self, Notice};
use crate::now::Now;
use crate::policies::ChannelPolicies;
use crate::presence::{PresenceTracker, StatusRequest};
use crate::reads::{self, Reader, Reads};
use crate::recent::RecentAdditions;
use crate::registry::{ChannelInterest, ConnectionRegistry};
use crate::signals::{self, Signals};
use crate::submissions::Submissions;

/// How many partitions the topics have that a node writes.
#[derive(Debug, Clone, Copy)]
pub struct Partitions {
    /// Of `messages.send`.
    pub send: u16,
    /// Of `messages.status`.
    pub status: u16,
}

/// One lease: everything in here ends with it.
#[derive(Debug)]
pub struct Node {
    config: Config,
    counters: Arc<Counters>,
    lease: EdgeLease,
    epoch: Epoch,
    is_lost: bool,
    heartbeat_at: Instant,
    heartbeat: Option<Append>,
    /// When the last heartbeat was made.
    last_beat: Now,
    /// The records of the slot are read up to here.
    received: Offset,
    chains: Chains,
    registry: ConnectionRegistry,
    policies: ChannelPolicies,
    admissions: Admissions,
    doubts: Doubts,
    recent: RecentAdditions,
    submissions: Submissions,
    reads: Reads,
    signals: Signals,
    presence: PresenceTracker,
    keys: VerifyingKeys,
    deliveries: Deliveries,
}

impl Node {
    /// A node whose claim of the slot is in the log, at the offset `epoch`. The records of the slot that it is given begin at
    /// the offset `receive_from`, none left out.
    pub fn new(
        now: Now,
        config: Config,
        partitions: Partitions,
        lease: EdgeLease,
        epoch: Epoch,
        receive_from: Offset,
        counters: Arc<Counters>,
    ) -> Self {
        counters.epoch.store(epoch.0, Ordering::Relaxed);
        let slot = config.slot;
        let mut deliveries = Deliveries::new(config.shards);
        deliveries.send_to_all(|| ToShard::Seated { slot, epoch });
        Self {
            submissions: Submissions::new(config.limits.clone(), partitions.send),
            chains: Chains::new(slot, epoch, partitions.send),
            signals: Signals::new(partitions.status),
            config,
            counters,
            lease,
            epoch,
            is_lost: false,
            heartbeat_at: now.instant,
            heartbeat: None,
            last_beat: now,
            received: receive_from,
            registry: ConnectionRegistry::default(),
            policies: ChannelPolicies::default(),
            admissions: Admissions::default(),
            doubts: Doubts::default(),
            recent: RecentAdditions::default(),
            reads: Reads::default(),
            presence: PresenceTracker::default(),
            keys: VerifyingKeys::new(),
            deliveries,
        }
    }

    /// Whether the slot was claimed by another, or this node was silent for too long: nothing more comes of it.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Whether records of the slot may be handed on now: within the fence, and with room for them.
    pub fn takes_records(&self, now: Now) -> bool {
        !self.deliveries.are_full() && self.fence(now).is_some()
    }

    /// Whether so little waits for the shards that more may be read.
    pub fn has_room(&self) -> bool {
        !self.deliveries.are_full()
    }

    /// Whether anything waits for a shard.
    pub fn has_deliveries(&self) -> bool {
        self.deliveries.are_waiting()
    }

    /// What is to be sent to a shard, in order.
    pub fn take_deliveries(&mut self, shard: ShardId) -> Vec<ToShard> {
        self.deliveries.take(shard)
    }

    /// The end of what was taken did not fit.
    pub fn give_back(&mut self, shard: ShardId, rest: Vec<ToShard>) {
        self.deliveries.give_back(shard, rest);
    }

    /// Up to when channel data may be sent; `None`: not now.
    fn fence(&self, now: Now) -> Option<BootTime> {
        self.lease.fence().filter(|fence| *fence > now.boot)
    }

    /// The lease is over: the edge stops, or has lost it. Returns what was held for the log.
    pub fn finish(&mut self, is_lost: bool) -> Vec<Append> {
        self.counters.seated.store(0, Ordering::Relaxed);
        if is_lost {
            self.deliveries.send_to_all(|| ToShard::Fenced);
        }
        self.signals.take_all()
    }

    // ---- time

    /// When something is due.
    pub fn next_timeout(&self) -> Instant {
        let due = [
            self.signals.next_due(),
            self.admissions.next_due(),
            self.chains.next_due(),
            self.presence.next_due(),
            self.keys.next_due(),
            self.doubts.next_due(),
        ];
        due.into_iter().flatten().fold(self.heartbeat_at, Instant::min)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        self.signals.handle_timeout(now.instant);
        self.admissions.handle_timeout(now.instant);
        if now.instant >= self.heartbeat_at {
            self.heartbeat_at = now.instant + HEARTBEAT_INTERVAL;
            self.handle_heartbeat(now);
        }
    }

    fn handle_heartbeat(&mut self, now: Now) {
        // A virtual machine that was paused has stopped all clocks but the one that its host sets.
        if now.wall_has_jumped_since(self.last_beat, FENCE) {
            self.lease.doubt();
        }
        self.last_beat = now;
        if let Some(tick) = self.lease.tick(now.boot) {
            let payload = ringside_wire::encode(&Control { body: Some(control::Body::Tick(tick)) });
            self.heartbeat = Some(Append { topic: Topic::Control, partition: PartitionId(0), payload });
        }
        self.chains.handle_tick(now.instant);
        self.reads.handle_timeout(now.instant, &mut self.deliveries);
        self.registry.forget_rested(now.instant);
        self.presence.handle_timeout(now.wall);
        self.set_gauges(now);
        self.deliveries.send_to_all(|| ToShard::WallClock(now.wall));
    }

    fn set_gauges(&self, now: Now) {
        let counters = &self.counters;
        let [signals, receipts, typists] = self.signals.waiting();
        let [statuses, subscriptions] = self.presence.waiting();
        for (gauge, count) in [
            (&counters.users, self.registry.user_count()),
            (&counters.channels, self.chains.len()),
            (&counters.seated, usize::from(self.fence(now).is_some())),
            (&counters.admissions_waiting, self.admissions.waiting()),
            (&counters.users_probed, self.admissions.users_probed()),
            (&counters.reads_waiting, self.reads.waiting()),
            (&counters.senders_waiting, self.submissions.senders_waiting()),
            (&counters.signals_waiting, signals),
            (&counters.receipts_paced, receipts),
            (&counters.typists, typists),
            (&counters.statuses_waiting, statuses),
            (&counters.subscriptions_waiting, subscriptions),
            (&counters.deliveries_waiting, self.deliveries.waiting()),
        ] {
            gauge.store(count as u64, Ordering::Relaxed);
        }
    }

    // ---- what the world is asked

    /// What to ask of the log and the backend next; `None`: nothing now. Call it until then after every input.
    pub fn poll_effect(&mut self, now: Now) -> Option<Effect> {
        self.signals.flush(self.fence(now), &mut self.deliveries);
        if let Some(heartbeat) = self.heartbeat.take() {
            return Some(Effect::Heartbeat(heartbeat));
        }
        let connections_max = self.config.limits.connections_per_user;
        let (slot, epoch) = (self.config.slot, self.epoch);
        let counted = |connection: ConnectionRef, request: &StatusRequest| {
            counted(slot, epoch, connection, request.user_id, request.session_id)
        };
        let instant = now.instant;
        (self.submissions.poll_check())
            .or_else(|| self.submissions.poll_send())
            .or_else(|| self.chains.poll_effect(instant))
            .or_else(|| self.admissions.poll_admit(connections_max))
            .or_else(|| self.reads.poll_question())
            .or_else(|| self.reads.poll_read())
            .or_else(|| self.policies.poll_question())
            .or_else(|| self.doubts.poll_question(instant))
            .or_else(|| self.signals.poll_question())
            .or_else(|| self.signals.poll_append(instant))
            .or_else(|| self.presence.poll_change(counted))
            .or_else(|| self.presence.poll_look(instant))
            .or_else(|| self.presence.poll_append(instant))
            .or_else(|| self.keys.poll_read(instant))
    }

    /// What came of an effect.
    pub fn handle_completion(&mut self, now: Now, completion: Completion) {
        let instant = now.instant;
        match completion {
            Completion::Appended(Batch::Commands(batch), appended) => {
                let Self { submissions, deliveries, counters, .. } = self;
                submissions.handle_appended(batch, appended, deliveries, counters);
            }
            Completion::Appended(Batch::Joins(number, records), appended) => {
                self.chains.handle_joined(instant, number, records, appended);
                self.let_joined_in(now);
            }
            Completion::Appended(Batch::Signals(records), appended) => {
                self.signals.handle_appended(instant, records, appended);
            }
            Completion::Appended(Batch::Presence(records), appended) => {
                self.presence.handle_appended(instant, records, appended);
            }
            Completion::Admitted(answers, end) => {
                if let Err(error) = &end {
                    tracing::warn!(%error, "connections could not be admitted: the log did not say where it ends");
                }
                for (applicant, answer) in answers {
                    self.handle_admitted(now, applicant, answer, end.as_ref().ok().copied());
                }
            }
            Completion::Authorized(question, answer) => self.handle_authorized(now, question, answer),
            Completion::PagesRead(readers, answer) => {
                let fence = self.fence(now);
                let Self { reads, registry, deliveries, counters, .. } = self;
                reads.handle_pages(readers, answer, fence, registry, deliveries, counters);
            }
            Completion::GapsRead(ranges, answer) => {
                self.chains.handle_gaps(instant, ranges, answer);
                self.hand_on(now);
            }
            Completion::PresenceChanged(changing, noted) => {
                self.presence.handle_noted(changing, noted, &mut self.deliveries);
            }
            Completion::Looked(looking, answer) => {
                let Self { presence, registry, deliveries, .. } = self;
                presence.handle_looked(instant, looking, answer, registry, deliveries);
            }
            Completion::KeysRead(answer) => self.keys.handle_read(instant, answer, &mut self.deliveries),
        }
    }

    fn handle_authorized(
        &mut self,
        now: Now,
        question: Question,
        answer: Result<backend::AuthorizeAnswer, backend::BackendError>,
    ) {
        let Self { registry, policies, submissions, reads, signals, chains, deliveries, counters, .. } = self;
        match question {
            Question::Senders(checks) => {
                submissions.handle_checked(checks, answer, policies, deliveries, counters);
            }
            Question::Charges(batch) => submissions.handle_charged(batch, answer, deliveries, counters),
            Question::Policies => policies.handle_answer(answer),
            Question::Members(asked) => {
                for doubt in self.doubts.handle_answer(now.instant, asked, answer) {
                    let Self { registry, chains, deliveries, .. } = self;
                    let notices = memberships::confirmed(&doubt, registry, chains, deliveries);
                    notices.into_iter().for_each(|notice| self.handle_notice(now, notice));
                }
            }
            Question::Readers(readers) => {
                let members = answer.ok().map(|answer| answer.members);
                reads.handle_members(
                    now.instant,
                    readers,
                    members,
                    &reads::Known { registry, chains },
                    deliveries,
                );
            }
            Question::Signals(asked) => {
                let known = signals::Known { registry, policies };
                signals.handle_looked_up(now.instant, asked, answer, &known, deliveries);
            }
        }
    }

    // ---- shards

    /// A shard asks for something.
    pub fn handle_request(&mut self, now: Now, request: ToNode) {
        let instant = now.instant;
        match request {
            ToNode::Admit { connection, user_id, session_id } => {
                let counted = self.counted(connection, user_id, session_id);
                let Self { admissions, registry, deliveries, counters, config, .. } = self;
                admissions.offer(
                    instant,
                    connection,
                    counted,
                    &config.limits,
                    registry,
                    deliveries,
                    counters,
                );
            }
            ToNode::Submit(mut submission) => {
                let (user, channel) = (submission.user_id, submission.channel_id);
                submission.known_member |= self.registry.is_member(user, channel) == Some(true);
                self.signals.stopped_typing(instant, user, channel);
                let Self { submissions, policies, deliveries, counters, .. } = self;
                submissions.offer(submission, policies, deliveries, counters);
            }
            ToNode::Signal(signal) => {
                let Self { signals, registry, policies, deliveries, counters, .. } = self;
                signals.offer(instant, signal, &signals::Known { registry, policies }, deliveries, counters);
            }
            ToNode::Presence(request) => self.handle_presence_request(request),
            ToNode::Read(asked) => {
                let ringside_edge_protocol::ReadRequest { connection, user_id, channels, pages_max } = asked;
                let reader = Reader { connection, user_id, channels, pages_max };
                let Self { reads, registry, chains, deliveries, counters, .. } = self;
                reads.offer(instant, reader, &reads::Known { registry, chains }, deliveries, counters);
            }
            ToNode::Closed { connection } => self.close(now, connection),
        }
    }

    fn counted(&self, connection: ConnectionRef, user_id: UserId, session_id: SessionId) -> Connection {
        counted(self.config.slot, self.epoch, connection, user_id, session_id)
    }

    /// The backend's word on a connection that asks to be let in.
    fn handle_admitted(
        &mut self,
        now: Now,
        applicant: Applicant,
        answer: Result<backend::Admission, backend::AdmitRefusal>,
        end: Option<Offset>,
    ) {
        self.admissions.answered();
        let Self { admissions, registry, deliveries, .. } = self;
        let is_full = matches!(answer, Err(backend::AdmitRefusal::TooManyConnections));
        if is_full && admissions.probe(now.instant, applicant, registry, deliveries) {
            return;
        }
        let Applicant { connection, counted, .. } = applicant;
        if answer.is_ok() && end.is_none() {
            self.presence.disconnected(counted);
        }
        let admission =
            answer.and_then(|admission| Ok((admission, end.ok_or(backend::AdmitRefusal::Unavailable)?)));
        let (admission, end) = match admission {
            Ok(admission) => admission,
            Err(reason) => {
                // Nothing is left in Presence, so the registry alone forgets it. A look may have seen it meanwhile.
                if !is_full {
                    self.presence.tell_of([counted.user_id]);
                }
                if let Some((_, _, released)) = self.registry.close(connection) {
                    self.listen(now, &released);
                    admissions::refuse(&mut self.deliveries, connection, admissions::refusal_of(reason));
                }
                return;
            }
        };
        let backend::Admission { profile, memberships } = admission;
        let Some(changes) = self.registry.merge(connection, &memberships) else {
            // It closed while the backend was asked: `close` may have come before Presence counted it.
            return self.presence.disconnected(counted);
        };
        self.presence.tell_of([counted.user_id]);
        self.listen(now, &changes);
        for membership in &memberships {
            self.registry.hide(counted.user_id, membership.channel_id, membership.sees_above);
            self.policies.want(membership.channel_id);
        }
        self.doubt_recent(now, counted.user_id);
        let number = self.chains.latest_join();
        self.admissions.admit(connection, profile, number, end);
        self.let_joined_in(now);
    }

    /// The Directory's list may lack what partitions have told of a user already: it is asked about that again.
    fn doubt_recent(&mut self, now: Now, user: UserId) {
        for addition in self.recent.of(user, now.instant) {
            let version = addition.added.membership.as_ref().map_or(0, |membership| membership.version);
            if self.registry.would_change(user, addition.channel_id, version) {
                self.doubts.push(addition);
            }
        }
    }

    /// Lets in those whose joins the log has, and who will be shown nothing that is older than what they have seen.
    fn let_joined_in(&mut self, now: Now) {
        while let Some((connection, profile)) =
            self.admissions.poll_joined(self.chains.joined(), self.received)
        {
            if self.registry.is_revoked(connection) {
                admissions::refuse(&mut self.deliveries, connection, AdmitRefusal::SessionEnded);
                self.close(now, connection);
                continue;
            }
            let Some(channels) = self.registry.admit(connection) else { continue };
            let Some(budget) = self.registry.budget_of(connection) else { continue };
            let subscription = |(channel_id, sees_above)| {
                let (last, waiting) = (self.chains.last(channel_id), self.chains.waiting(channel_id));
                Subscription { channel_id, last, sees_above, waiting }
            };
            let channels = channels.into_iter().map(subscription).collect();
            let token = connection.token;
            let admitted = ToShard::Admitted { token, profile, budget, channels };
            self.deliveries.send(connection.shard, admitted);
        }
    }

    fn handle_presence_request(&mut self, request: PresenceRequest) {
        let PresenceRequest { connection, frame_id, user_id, change } = request;
        let Some(session_id) = self.registry.session_of(connection) else { return };
        match change {
            PresenceChange::Set { status, status_message } => {
                self.registry.say_offline(connection, status == PresenceStatus::Offline);
                if self.registry.seems_offline(user_id) {
                    self.signals.typist_gone(user_id, connection);
                }
                let request = StatusRequest { user_id, session_id, frame_id, status, status_message };
                self.presence.set_status(connection, request);
            }
            PresenceChange::Watch(users) => {
                let Self { presence, deliveries, counters, .. } = self;
                presence.watch(connection, user_id, frame_id, users, deliveries, counters);
            }
            PresenceChange::Unwatch(users) => self.presence.unwatch(connection, &users),
        }
    }

    fn close(&mut self, now: Now, connection: ConnectionRef) {
        let Some((user_id, session_id, released)) = self.registry.close(connection) else { return };
        self.listen(now, &released);
        self.signals.typist_gone(user_id, connection);
        self.presence.close(connection);
        self.presence.disconnected(self.counted(connection, user_id, session_id));
    }

    fn listen(&mut self, now: Now, changes: &[ChannelInterest]) {
        changes.iter().for_each(|change| self.chains.listen(now.instant, *change));
    }

    // ---- the log

    /// Records of this edge's slot, in order.
    pub fn handle_records(&mut self, now: Now, records: Vec<Record>) {
        if let Some(last) = records.last() {
            self.received = last.offset.next();
        }
        for record in records {
            self.counters.receive_seconds.record(now.wall.since(record.time).saturating_mul(1_000), 1);
            for item in inbound::items(record, self.epoch) {
                self.handle_item(now, item);
            }
        }
        self.hand_on(now);
        self.let_joined_in(now);
    }

    fn handle_item(&mut self, now: Now, item: Item) {
        match item {
            Item::Event(channel, event) => self.chains.handle_event(channel, event),
            Item::Join(channel, answer) => self.chains.handle_answer(channel, &answer),
            Item::Rejection(user_id, rejection) => {
                for shard in self.registry.shards_of(user_id) {
                    let rejection = rejection.clone();
                    self.deliveries.send(shard, ToShard::Rejected { user_id, rejection });
                }
            }
            Item::Status(channel, status) => {
                if let Err(error) = self.signals.status(channel, &status) {
                    tracing::error!(%error, %channel, "a receipt to this edge can't be read; it is passed over");
                }
            }
            Item::Typing(channel, user, stopped) => self.signals.typing(now.instant, channel, user, stopped),
        }
    }

    fn hand_on(&mut self, now: Now) {
        let Self { chains, deliveries, counters, lease, .. } = self;
        for handed_on in chains.flush(lease.fence(), deliveries, counters) {
            match handed_on {
                HandedOn::Message { channel, id, seq, sender } => {
                    self.signals.message(now.instant, channel, id, seq, sender);
                }
                HandedOn::Live(channel) => self.reads.channel_is_live(channel),
            }
        }
    }

    /// Records of `control`, in order.
    pub fn handle_control(&mut self, now: Now, records: Vec<Record>) {
        for record in records {
            let (offset, time) = (record.offset, record.time);
            let Some(body) = inbound::control(record) else { continue };
            if self.lease.handle_control(offset, time, &body) == Some(LeaseChange::Lost) {
                self.is_lost = true;
                return;
            }
            match &body {
                control::Body::Claim(claim) => {
                    if let Ok(slot) = u16::try_from(claim.slot) {
                        self.presence.lease_began(Slot(slot), Epoch(offset.0));
                    }
                    continue;
                }
                control::Body::KeysChanged(_) => {
                    self.keys.handle_changed();
                    continue;
                }
                _ => {}
            }
            let Self { registry, policies, chains, deliveries, .. } = self;
            match memberships::handle(body, registry, policies, chains, deliveries) {
                Ok(notices) => notices.into_iter().for_each(|notice| self.handle_notice(now, notice)),
                Err(error) => {
                    tracing::error!(%error, %offset, "a control record is malformed; it is passed over");
                }
            }
        }
    }

    fn handle_notice(&mut self, now: Now, notice: Notice) {
        match notice {
            Notice::Interest(change) => self.listen(now, &[change]),
            Notice::Added(addition) => self.recent.note(now.instant, *addition),
            Notice::Doubtful(doubt) => self.doubts.push(*doubt),
            Notice::MembersLeft(channel) => self.submissions.forget_members(channel),
            Notice::Told(user, channel) => {
                let Self { reads, registry, chains, .. } = self;
                reads.member_is_told(now.instant, user, channel, &reads::Known { registry, chains });
            }
        }
    }

    /// Records of `presence`, in order.
    pub fn handle_presence(&mut self, records: Vec<Record>) {
        for record in records {
            if let Some(users) = inbound::presence(record) {
                self.presence.handle_changed(users.iter().copied(), &self.registry);
            }
        }
    }
}

/// A connection as Presence counts it.
fn counted(
    slot: Slot,
    epoch: Epoch,
    connection: ConnectionRef,
    user_id: UserId,
    session_id: SessionId,
) -> Connection {
    // Tokens are a shard's own; the shard goes into the bits that no token reaches.
    let number = connection.token ^ u64::from(connection.shard.0).rotate_right(16);
    Connection { user_id, session_id, slot, epoch, number }
}

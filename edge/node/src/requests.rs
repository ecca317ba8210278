//! What the shards ask for, and what comes of it.

pub(crate) mod admissions;
pub(crate) mod pending_reads;

use std::time::{Duration, Instant};

use ringside_domain::page::{ChannelPage, ReadOutcome};
use ringside_edge_protocol::{ConnectionRef, Outcome, Submission, ToNode, ToShard};
use ringside_ports::presence::Connection;
use ringside_ports::{EngineError, Log, MessageStore, Presence};
use ringside_types::authorization::Operation;
use ringside_types::{ChannelId, ErrorCode, SessionId, UserId};
use tokio::sync::mpsc::error::TrySendError;

use crate::config::{ADMISSIONS_MAX, READS_MAX, READS_WAITING_MAX, SENDERS_CHECKED_MAX};
use crate::counters::add;
use crate::outbound::{Answers, NOT_A_MEMBER, Sending, UNAVAILABLE};
use crate::pages::PageRead;
use crate::presence::EdgeDirectory;
use crate::roster::Listen;
use crate::runner::Node;
use crate::standards::{Standard, Standing};
use crate::work::{self, Done};

/// A read waits so long for its channel's join to be answered.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

impl<L, S, D, P> Node<L, S, D, P>
where
    L: Log,
    S: MessageStore,
    D: EdgeDirectory,
    P: Presence,
{
    pub(crate) fn request(&mut self, request: ToNode) {
        match request {
            ToNode::Admit { connection, user_id, session_id } => self.admit(connection, user_id, session_id),
            ToNode::Submit(Submission {
                connection,
                frame_id,
                user_id,
                channel_id,
                record,
                known_member,
                operation,
                taken_at,
                may_mention,
            }) => {
                let known_member = known_member || self.roster.is_member(user_id, channel_id) == Some(true);
                self.send(Sending {
                    connection,
                    frame_id,
                    user_id,
                    channel_id,
                    record,
                    known_member,
                    operation,
                    taken_at,
                    may_mention,
                    is_repetition: false,
                    slow_mode_s: 0,
                });
            }
            ToNode::Signal(signal) => self.signal(signal),
            ToNode::Presence(request) => self.presence(request),
            ToNode::Read(asked) => {
                let ringside_edge_protocol::ReadRequest { connection, user_id, channels, .. } = asked;
                for read in channels {
                    self.read(PageRead { connection, user_id, read });
                }
            }
            ToNode::Closed { connection } => self.close(connection),
        }
    }

    pub(crate) fn done(&mut self, done: Done) {
        match done {
            Done::Admission(applicant, answer) => self.admission(applicant, answer),
            Done::Probed(user) => self.probed(user),
            Done::Turns(number) => self.turns_confirmed(number),
            Done::Page(request, page) => self.page(request, page),
            Done::Gap(range, found) => self.gap_read(range, found),
            Done::Checked(user, channel, answer, sendings) => self.checked(user, channel, answer, sendings),
            Done::Learned(standards) => self.learned(standards),
            Done::Reader(request, is_member) => self.reader_is_known(request, is_member.ok()),
            Done::LookedUp(judged) => self.looked_up(judged),
            Done::Signals => self.signals_appended(),
            Done::Moved(moved) => self.moved(moved),
            Done::PresenceSet(connection, user, frame_id, done) => {
                self.presence_set(connection, user, frame_id, done);
            }
            Done::Went(user, moved) => self.has_gone(user, moved),
            Done::Looked(seen) => self.looked(seen),
            Done::LookedForAbsent(absent) => self.looked_for_absent(absent),
            Done::Noted => self.noted(),
            Done::PresenceTold => self.presence_told(),
            Done::Nothing => {}
        }
    }

    /// Starts what the budgets allow.
    pub(crate) fn start_work(&mut self) {
        while self.admissions_under_way < ADMISSIONS_MAX
            && let Some(applicant) = self.admissions.pop_front()
        {
            self.admissions_under_way += 1;
            let limit = self.config.limits.connections_per_user;
            self.work.push(Box::pin(work::admission(self.engines.clone(), applicant, limit)));
        }
        while self.reads_under_way < READS_MAX
            && let Some(request) = self.reads.pop_front()
        {
            self.reads_under_way += 1;
            self.work.push(Box::pin(work::page(self.engines.clone(), request)));
        }
        if !self.is_learning {
            let wanted = self.standards.poll_wanted();
            if !wanted.is_empty() {
                self.is_learning = true;
                self.work.push(Box::pin(work::standards(self.engines.clone(), wanted)));
            }
        }
        if self.turns_under_way.is_none() {
            let turns = self.feed.poll_turns();
            if !turns.is_empty() {
                let number = self.turns_appended + 1;
                self.turns_under_way = Some(number);
                let slot = self.seat.slot();
                self.work.push(Box::pin(work::turns(self.engines.clone(), slot, self.epoch, turns, number)));
            }
        }
    }

    pub(crate) fn presence_of(
        &self,
        connection: ConnectionRef,
        user_id: UserId,
        session_id: SessionId,
    ) -> Connection {
        // Tokens are a shard's own; the shard goes into the bits that no token reaches.
        let number = connection.token ^ u64::from(connection.shard.0).rotate_right(16);
        Connection { user_id, session_id, slot: self.seat.slot(), epoch: self.epoch, number }
    }

    fn learned(&mut self, standards: Vec<(ChannelId, Standard)>) {
        self.is_learning = false;
        for (channel, standard) in standards {
            self.standards.learn(channel, standard);
        }
    }

    /// A command of someone whom the edge knows as a member goes on where the channel holds nobody to anything; otherwise
    /// the Directory is asked. Of a channel that is not known yet, messages alone are held back so long.
    fn send(&mut self, sending: Sending) {
        let key = (sending.user_id, sending.channel_id);
        self.stopped_typing(key.0, key.1);
        if let Some(before) = self.checking.get_mut(&key) {
            return before.push(sending);
        }
        let is_free = self
            .standards
            .of(key.1)
            .map_or(sending.operation != Operation::Send, |standard| standard.is_open_to(sending.operation));
        if sending.known_member && is_free && !sending.may_mention {
            return self.append(sending);
        }
        if self.checking.len() >= SENDERS_CHECKED_MAX {
            add(&self.counters.senders_refused, 1);
            return self.answer(sending, UNAVAILABLE);
        }
        self.checking.insert(key, Vec::new());
        self.work.push(Box::pin(work::check(self.engines.clone(), key.0, key.1, vec![sending])));
    }

    /// The Directory has said who the sender is, and whom these messages name. What came meanwhile and names somebody is
    /// asked about next, with all that is behind it.
    fn checked(
        &mut self,
        user: UserId,
        channel: ChannelId,
        answer: Result<Standing, EngineError>,
        sendings: Vec<Sending>,
    ) {
        let answer = answer.map(|standing| {
            let (role, standard) = standing?;
            self.standards.learn(channel, standard);
            // `control` may know better by now.
            Some((role, self.standards.of(channel).copied().unwrap_or(standard)))
        });
        // What came meanwhile and names nobody has the same answer; asking for each anew would keep a busy start waiting.
        let key = (user, channel);
        let mut behind = self.checking.get_mut(&key).map(std::mem::take).unwrap_or_default();
        let naming = behind.iter().position(|sending| sending.may_mention).unwrap_or(behind.len());
        let to_ask = behind.split_off(naming);
        for sending in sendings.into_iter().chain(behind) {
            match &answer {
                _ if sending.is_repetition => self.append(sending),
                Ok(Some((role, standard))) => match standard.judge(sending.operation, *role) {
                    Ok(slow_mode_s) => self.append(Sending { slow_mode_s, ..sending }),
                    Err(outcome) => self.answer(sending, outcome),
                },
                Ok(None) => self.answer(sending, NOT_A_MEMBER),
                // What members say goes on without the Directory: the partition decides.
                Err(_) if sending.known_member => self.append(sending),
                Err(_) => self.answer(sending, UNAVAILABLE),
            }
        }
        if to_ask.is_empty() {
            self.checking.remove(&key);
        } else {
            self.work.push(Box::pin(work::check(self.engines.clone(), user, channel, to_ask)));
        }
    }

    fn append(&mut self, sending: Sending) {
        match self.sendings.try_send(sending) {
            Ok(()) => {}
            Err(TrySendError::Full(sending) | TrySendError::Closed(sending)) => {
                add(&self.counters.unavailable, 1);
                self.answer(sending, UNAVAILABLE);
            }
        }
    }

    fn answer(&mut self, sending: Sending, outcome: Outcome) {
        let mut answers = Answers::default();
        answers.add(sending, outcome);
        for (shard, delivery) in answers.drain() {
            self.outbox.send(shard, delivery);
        }
    }

    pub(crate) fn reads_waiting(&self) -> usize {
        let awaiting = self.awaiting_live.len() + self.awaiting_member.len();
        self.reads.len() + self.readers_asked_about + awaiting
    }

    fn read(&mut self, request: PageRead) {
        if self.reads_waiting() >= READS_WAITING_MAX {
            add(&self.counters.reads_refused, 1);
            self.refuse_page(&request, ErrorCode::Unavailable);
        } else if !self.roster.is_told(request.user_id, request.read.channel_id) {
            self.readers_asked_about += 1;
            self.work.push(Box::pin(work::reader(self.engines.clone(), request)));
        } else if self.feed.last(request.read.channel_id).is_none() {
            self.awaiting_live.add(request.read.channel_id, request, Instant::now() + JOIN_PATIENCE);
        } else {
            self.reads.push_back(request);
        }
    }

    /// `None`: the Directory could not say.
    fn reader_is_known(&mut self, request: PageRead, is_member: Option<bool>) {
        self.readers_asked_about -= 1;
        match is_member {
            Some(true) => self.await_member(request),
            Some(false) => self.refuse_page(&request, ErrorCode::NotAMember),
            None => self.refuse_page(&request, ErrorCode::Unavailable),
        }
    }

    /// A member whose shards don't know it yet: their word comes first, for a page that comes before it has no place.
    fn await_member(&mut self, request: PageRead) {
        if self.roster.is_told(request.user_id, request.read.channel_id) {
            self.read(request);
        } else {
            let who = (request.user_id, request.read.channel_id);
            self.awaiting_member.add(who, request, Instant::now() + JOIN_PATIENCE);
        }
    }

    pub(crate) fn member_is_told(&mut self, user: UserId, channel: ChannelId) {
        for request in self.awaiting_member.take(&(user, channel)) {
            self.read(request);
        }
    }

    /// Reads that waited for this channel's join can be made now.
    pub(crate) fn channel_is_live(&mut self, channel_id: ChannelId) {
        self.reads.extend(self.awaiting_live.take(&channel_id));
    }

    pub(crate) fn give_up_waiting(&mut self, now: Instant) {
        let mut late = self.awaiting_live.late(now);
        late.extend(self.awaiting_member.late(now));
        for request in late {
            self.refuse_page(&request, ErrorCode::Unavailable);
        }
    }

    fn page(&mut self, request: PageRead, page: Result<Box<ChannelPage>, EngineError>) {
        self.reads_under_way -= 1;
        if self.roster.is_member(request.user_id, request.read.channel_id) != Some(true) {
            return self.refuse_page(&request, ErrorCode::NotAMember);
        }
        let page = page.inspect_err(|error| tracing::warn!(%error, "a page could not be read"));
        match (page, self.fence()) {
            (Ok(page), Some(valid_until)) => {
                add(&self.counters.pages, 1);
                let token = request.connection.token;
                let pages = vec![(request.read, ReadOutcome::Page(page))];
                self.outbox.send(request.connection.shard, ToShard::Pages { token, valid_until, pages });
            }
            _ => self.refuse_page(&request, ErrorCode::Unavailable),
        }
    }

    fn refuse_page(&mut self, request: &PageRead, code: ErrorCode) {
        let (token, channel_id) = (request.connection.token, request.read.channel_id);
        self.outbox.send(request.connection.shard, ToShard::PageRefused { token, channel_id, code });
    }

    fn close(&mut self, connection: ConnectionRef) {
        let Some((user_id, session_id, released)) = self.roster.close(connection) else { return };
        self.listen(&released);
        self.typist_gone(user_id, connection);
        self.watcher_gone(connection);
        let presence = self.presence_of(connection, user_id, session_id);
        self.disconnect(presence);
    }

    pub(crate) fn listen(&mut self, changes: &[Listen]) {
        let now = Instant::now();
        for change in changes {
            match change {
                Listen::Hold(channel_id) => {
                    self.feed.hold(*channel_id, now);
                }
                Listen::Release(channel_id) => self.feed.release(*channel_id, now),
            }
        }
    }
}

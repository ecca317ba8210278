//! Pages that connections wait for: which of them can be read yet, and how many at once.
//!
//! A read waits until its channel's join has been answered, and until its reader's shard knows the membership: a page
//! that came before would have no place there.

mod pending;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ringside_application::backend::{AuthorizeRequest, ReadAnswer, ReadRequest, ReaderRequest};
use ringside_domain::page::{ChannelRead, ReadOutcome};
use ringside_edge_protocol::{ConnectionRef, ToShard};
use ringside_types::{BootTime, ChannelId, ErrorCode, UserId};

use crate::chains::Chains;
use crate::config::{READ_CALLS_MAX, READ_CHANNELS_MAX, READ_PAGES_MAX, READS_WAITING_MAX};
use crate::counters::{Counters, add};
use crate::deliveries::Deliveries;
use crate::effect::{Effect, Question};
use crate::registry::ConnectionRegistry;
use pending::PendingReads;

/// A read waits so long for its channel's join, or for the word of its reader's membership.
const JOIN_PATIENCE: Duration = Duration::from_secs(10);

/// Channels that one connection reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    pub connection: ConnectionRef,
    pub user_id: UserId,
    pub channels: Vec<ChannelRead>,
    /// How many of them may bring something.
    pub pages_max: usize,
}

/// One of them, which waits for something of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChannelReading {
    pub(crate) connection: ConnectionRef,
    pub(crate) user_id: UserId,
    pub(crate) read: ChannelRead,
    /// Whether it may bring something; if not, it is deferred, and asked for again once there is room.
    pub(crate) has_page: bool,
}

impl From<ChannelReading> for Reader {
    fn from(ChannelReading { connection, user_id, read, has_page }: ChannelReading) -> Self {
        Self { connection, user_id, channels: vec![read], pages_max: usize::from(has_page) }
    }
}

/// What reads are judged by.
pub(crate) struct Known<'a> {
    pub(crate) registry: &'a ConnectionRegistry,
    pub(crate) chains: &'a Chains,
}

#[derive(Debug, Default)]
pub(crate) struct Reads {
    ready: VecDeque<Reader>,
    /// Channels in `ready`.
    ready_channels: usize,
    calls: usize,
    /// Readers whom nobody here knows as members: the backend is to be asked.
    unknown: Vec<Reader>,
    asked_about: usize,
    is_asking: bool,
    /// Reads of channels whose join has not been answered yet.
    awaiting_live: PendingReads<ChannelId>,
    /// Reads of members whose shards don't know it yet.
    awaiting_member: PendingReads<(UserId, ChannelId)>,
}

impl Reads {
    pub(crate) fn waiting(&self) -> usize {
        self.ready_channels + self.asked_about + self.awaiting_live.len() + self.awaiting_member.len()
    }

    /// A connection asks for parts of channels.
    pub(crate) fn offer(
        &mut self,
        now: Instant,
        reader: Reader,
        known: &Known<'_>,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        let Reader { connection, user_id, channels, pages_max } = reader;
        // The channels share these pages: where there are fewer, one that waits has none of its own.
        let has_page = channels.len() <= pages_max;
        let mut ready = Vec::with_capacity(channels.len());
        for read in channels {
            let one = ChannelReading { connection, user_id, read, has_page };
            if self.waiting() + ready.len() >= READS_WAITING_MAX {
                add(&counters.reads_refused, 1);
                refuse(deliveries, one, ErrorCode::Unavailable);
            } else if !known.registry.is_told(user_id, read.channel_id) {
                self.asked_about += 1;
                self.unknown.push(one.into());
            } else if known.chains.last(read.channel_id).is_none() {
                self.awaiting_live.add(read.channel_id, one, now + JOIN_PATIENCE);
            } else {
                ready.push(read);
            }
        }
        if !ready.is_empty() {
            self.push_ready(Reader { connection, user_id, channels: ready, pages_max });
        }
    }

    fn push_ready(&mut self, reader: Reader) {
        self.ready_channels += reader.channels.len();
        self.ready.push_back(reader);
    }

    /// Asks about readers whom nobody here knows, one call at a time.
    pub(crate) fn poll_question(&mut self) -> Option<Effect> {
        if self.is_asking || self.unknown.is_empty() {
            return None;
        }
        self.is_asking = true;
        let readers = std::mem::take(&mut self.unknown);
        let pair = |reader: &Reader| (reader.channels[0].channel_id, reader.user_id);
        let asked = AuthorizeRequest { members: readers.iter().map(pair).collect(), ..Default::default() };
        Some(Effect::Authorize(Question::Readers(readers), asked))
    }

    /// The backend has said who of these is a member; `None`: it could not.
    pub(crate) fn handle_members(
        &mut self,
        now: Instant,
        readers: Vec<Reader>,
        members: Option<Vec<bool>>,
        known: &Known<'_>,
        deliveries: &mut Deliveries,
    ) {
        self.is_asking = false;
        self.asked_about -= readers.len();
        let mut members = members.map(Vec::into_iter);
        for Reader { connection, user_id, channels, pages_max } in readers {
            let one = ChannelReading { connection, user_id, read: channels[0], has_page: pages_max > 0 };
            match members.as_mut().map(Iterator::next) {
                Some(Some(true)) => self.await_member(now, one, known),
                Some(_) => refuse(deliveries, one, ErrorCode::NotAMember),
                None => refuse(deliveries, one, ErrorCode::Unavailable),
            }
        }
    }

    fn await_member(&mut self, now: Instant, one: ChannelReading, known: &Known<'_>) {
        let channel = one.read.channel_id;
        if !known.registry.is_told(one.user_id, channel) {
            self.awaiting_member.add((one.user_id, channel), one, now + JOIN_PATIENCE);
        } else if known.chains.last(channel).is_none() {
            self.awaiting_live.add(channel, one, now + JOIN_PATIENCE);
        } else {
            self.push_ready(one.into());
        }
    }

    /// A user's shards know now that they are a member.
    pub(crate) fn member_is_told(
        &mut self,
        now: Instant,
        user: UserId,
        channel: ChannelId,
        known: &Known<'_>,
    ) {
        for one in self.awaiting_member.take(&(user, channel)) {
            self.await_member(now, one, known);
        }
    }

    /// A channel's join is answered.
    pub(crate) fn channel_is_live(&mut self, channel: ChannelId) {
        for one in self.awaiting_live.take(&channel) {
            self.push_ready(one.into());
        }
    }

    /// Reads that have waited for too long are refused. All are looked at: call it now and then.
    pub(crate) fn handle_timeout(&mut self, now: Instant, deliveries: &mut Deliveries) {
        let mut late = self.awaiting_live.late(now);
        late.extend(self.awaiting_member.late(now));
        for one in late {
            refuse(deliveries, one, ErrorCode::Unavailable);
        }
    }

    /// The next call to the backend, while not too many are under way: as many reads as fit.
    pub(crate) fn poll_read(&mut self) -> Option<Effect> {
        if self.calls >= READ_CALLS_MAX || self.ready.is_empty() {
            return None;
        }
        let (mut taken, mut channels, mut pages) = (Vec::new(), 0, 0);
        while let Some(next) = self.ready.front() {
            let of_next = next.pages_max.min(next.channels.len());
            let fits =
                channels + next.channels.len() <= READ_CHANNELS_MAX && pages + of_next <= READ_PAGES_MAX;
            if !fits && !taken.is_empty() {
                break;
            }
            channels += next.channels.len();
            pages += of_next;
            taken.extend(self.ready.pop_front());
        }
        self.ready_channels -= channels;
        self.calls += 1;
        let request = |reader: &Reader| ReaderRequest {
            user_id: reader.user_id,
            channels: reader.channels.clone(),
            pages_max: reader.pages_max,
        };
        let asked = ReadRequest { readers: taken.iter().map(request).collect(), gaps: Vec::new() };
        Some(Effect::ReadPages(taken, asked))
    }

    /// Pages came. `fence`: up to when channel data may be sent.
    pub(crate) fn handle_pages(
        &mut self,
        readers: Vec<Reader>,
        answer: ReadAnswer,
        fence: Option<BootTime>,
        registry: &ConnectionRegistry,
        deliveries: &mut Deliveries,
        counters: &Counters,
    ) {
        self.calls -= 1;
        let mut of_readers = answer.readers.into_iter();
        for Reader { connection, user_id, channels, .. } in readers {
            let mut outcomes = of_readers.next().unwrap_or_default().into_iter();
            let mut pages = Vec::with_capacity(channels.len());
            for read in channels {
                let one = ChannelReading { connection, user_id, read, has_page: false };
                match (outcomes.next(), fence) {
                    _ if registry.is_member(user_id, read.channel_id) != Some(true) => {
                        refuse(deliveries, one, ErrorCode::NotAMember);
                    }
                    (Some(Ok(outcome)), Some(_)) => {
                        let is_page = matches!(outcome, ReadOutcome::Page(_));
                        add(&counters.pages, usize::from(is_page));
                        pages.push((read, outcome));
                    }
                    (outcome, _) => {
                        if let Some(Err(error)) = outcome {
                            tracing::warn!(%error, channel = %read.channel_id, "a page could not be read");
                        }
                        refuse(deliveries, one, ErrorCode::Unavailable);
                    }
                }
            }
            if let Some(valid_until) = fence.filter(|_| !pages.is_empty()) {
                let token = connection.token;
                deliveries.send(connection.shard, ToShard::Pages { token, valid_until, pages });
            }
        }
    }
}

fn refuse(deliveries: &mut Deliveries, one: ChannelReading, code: ErrorCode) {
    let ChannelReading { connection, read, .. } = one;
    let (token, channel_id) = (connection.token, read.channel_id);
    deliveries.send(connection.shard, ToShard::PageRefused { token, channel_id, code });
}

//! The service's contract: messages that REST sends and reads.

use std::collections::HashMap;
use std::time::Duration;

use ringside_application::charges;
use ringside_application::mentions::with_mentions;
use ringside_application::pages::profile_of;
use ringside_application::reading;
use ringside_application::service::{
    Amendment, ChannelSummary, FieldError, HistoryRange, MessageService, NewMessage, OwnContent,
    ReadPosition, SendOutcome, ServiceError,
};
use ringside_clock::now;
use ringside_domain::reactions::ReactionSummary;
use ringside_domain::rows::{HeadRow, Key, MessageRow, Prefetch, ReadRow};
use ringside_domain::view::MessageView;
use ringside_ports::log::Append;
use ringside_ports::presence::{Charge, JointDecision};
use ringside_ports::store::{MessageRange, Order};
use ringside_ports::{ChannelReader, Log, MembershipReader, Presence, UserReader};
use ringside_types::{ChannelId, Limits, MessageId, Topic, UserId, partition_of};
use ringside_wire::records::{self, Answered, Command, Origin, Profile, command};

use crate::replies::{Replies, Reply};

/// How long a REST request waits for its command to be applied.
const APPLIED_WITHIN: Duration = Duration::from_secs(2);

/// Messages over a log, a store, a Directory and the limits.
#[derive(Debug, Clone)]
pub struct Messages<L, S, D, P> {
    pub(crate) log: L,
    pub(crate) store: S,
    pub(crate) directory: D,
    pub(crate) presence: P,
    pub(crate) limits: Limits,
    replies: Replies,
}

/// What a command came to that the log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It made this record, now or before; `None`: nothing had to be made.
    Made(Option<MessageId>),
    /// It is not known within the time that a request waits.
    Unknown,
}

impl<L, S, D, P> Messages<L, S, D, P>
where
    L: Log,
    S: ChannelReader,
    D: MembershipReader + UserReader,
    P: Presence,
{
    /// Over these engines, held to these limits; processors' answers come by `replies`.
    pub fn new(log: L, store: S, directory: D, presence: P, limits: Limits, replies: Replies) -> Self {
        Self { log, store, directory, presence, limits, replies }
    }

    /// The caller as others see them.
    pub(crate) async fn profile(&self, caller: UserId) -> Result<Profile, ServiceError> {
        let user = self.directory.users(&[caller]).await?.into_iter().next();
        let user = user.ok_or_else(|| ServiceError::Unauthorized("This account is gone.".into()))?;
        Ok(profile_of(user))
    }

    /// Sends a command, and waits until readers may see what it made. `command` is told what it has to name as its origin.
    pub(crate) async fn apply(
        &self,
        channel: ChannelId,
        command: impl FnOnce(Option<Origin>) -> Command,
    ) -> Result<Applied, ServiceError> {
        let reply = self.replies.expect(APPLIED_WITHIN).await;
        let append = Append {
            topic: Topic::MessagesSend,
            partition: partition_of(channel, self.log.partitions(Topic::MessagesSend)),
            payload: ringside_wire::encode(&command(reply.as_ref().map(Reply::origin))),
        };
        self.log.append(vec![append]).await?;
        let Some(reply) = reply else { return Ok(Applied::Unknown) };
        match reply.answered(APPLIED_WITHIN).await {
            None => Ok(Applied::Unknown),
            Some(Answered { record_id, code, .. }) if code.is_empty() => {
                Ok(Applied::Made(MessageId(record_id).non_zero()))
            }
            // What it was let through by has changed since.
            Some(Answered { code, .. }) => Err(refusal_of(&code)),
        }
    }

    /// A message that a reader may see whose view begins above `history_start`, deleted or not.
    pub(crate) async fn visible(
        &self,
        channel: ChannelId,
        id: MessageId,
        history_start: MessageId,
    ) -> Result<MessageRow, ServiceError> {
        let head = reading::head(&self.store, channel).await?;
        let is_visible = id > history_start && id <= head.last_message_id;
        let row = if is_visible { self.row(channel, id).await? } else { None };
        row.ok_or_else(|| ServiceError::NotFound("There is no such message in this channel.".into()))
    }

    /// Takes these tokens, or none of them.
    pub(crate) async fn charge(&self, charges: Vec<Charge>) -> Result<(), ServiceError> {
        match self.presence.charge_jointly(std::slice::from_ref(&charges)).await?[..] {
            [JointDecision::Refused { charge, retry_after_ms }] => {
                let Charge { rate, tokens, .. } = &charges[charge];
                let limit = (rate.per_minute / (*tokens).max(1)).max(1);
                Err(ServiceError::RateLimited { retry_after_ms, limit })
            }
            _ => Ok(()),
        }
    }

    /// What the key has made already, where readers may see it.
    pub(crate) async fn made_before(&self, key: Key) -> Result<Option<MessageId>, ServiceError> {
        let loaded = self.store.load(&Prefetch { keys: vec![key], ..Prefetch::default() }).await?;
        let Some(row) = loaded.keys.first().filter(|row| row.is_current(now())) else { return Ok(None) };
        let head = reading::head(&self.store, key.channel_id).await?;
        Ok(Some(row.message_id).filter(|made| *made <= head.last_effective_id))
    }

    /// A message with what stands around it, newest first. The flag says whether there is more below.
    async fn around(
        &self,
        channel: ChannelId,
        id: MessageId,
        history_start: MessageId,
        limit: usize,
    ) -> Result<(Vec<MessageRow>, bool), ServiceError> {
        let range =
            |after, before, limit, order| MessageRange { channel_id: channel, after, before, limit, order };
        let next = MessageId(id.0.saturating_add(1));
        let below = range(history_start, next, limit / 2 + 1, Order::NewestFirst);
        let below = reading::page(&self.store, below).await?;
        let room = limit.saturating_sub(below.messages.len());
        let above = reading::page(
            &self.store,
            range(id.max(history_start), MessageId::MAX, room, Order::OldestFirst),
        )
        .await?;
        let mut messages = above.messages;
        messages.reverse();
        messages.extend(below.messages);
        Ok((messages, below.has_more))
    }

    async fn row(&self, channel: ChannelId, id: MessageId) -> Result<Option<MessageRow>, ServiceError> {
        let range = MessageRange {
            channel_id: channel,
            after: MessageId(id.0.saturating_sub(1)),
            before: MessageId(id.0.saturating_add(1)),
            limit: 1,
            order: Order::OldestFirst,
        };
        Ok(self.store.messages(&[range]).await?.into_iter().flatten().next())
    }
}

impl<L, S, D, P> MessageService for Messages<L, S, D, P>
where
    L: Log,
    S: ChannelReader,
    D: MembershipReader + UserReader,
    P: Presence,
{
    async fn send(&self, caller: UserId, mut message: NewMessage) -> Result<SendOutcome, ServiceError> {
        let NewMessage { channel_id, client_id, ref content, ref metadata, .. } = message;
        let key = Key { channel_id, sender_id: caller, client_id };
        // A repetition is answered like the first, whatever the sender may do now.
        if let Some(id) = self.made_before(key).await?
            && let Some(row) = self.row(channel_id, id).await?
        {
            return Ok(SendOutcome::Stored(row.into()));
        }
        let slow_mode_s = self.admit_sender(caller, channel_id).await?;
        if let Some(target) = message.reply_to {
            let (history_start, _) = reading::history_start(&self.store, channel_id, caller).await?;
            self.visible(channel_id, target, history_start).await?;
        }
        self.charge(charges::of_message(&self.limits, caller, channel_id, slow_mode_s)).await?;
        if let Some(named) = with_mentions(&self.directory, channel_id, content, metadata).await? {
            message.metadata = named;
        }
        let profile = self.profile(caller).await?;
        let command = |origin| send_record(key, profile, message, origin);
        let row = match self.apply(channel_id, command).await? {
            Applied::Made(Some(id)) => self.row(channel_id, id).await?,
            Applied::Made(None) | Applied::Unknown => None,
        };
        Ok(row.map_or(SendOutcome::Received, |row| SendOutcome::Stored(row.into())))
    }

    async fn history(
        &self,
        caller: UserId,
        channel: ChannelId,
        range: HistoryRange,
    ) -> Result<(Vec<MessageView<'static>>, bool), ServiceError> {
        let history_start = self.admit_reader(caller, channel).await?;
        if let Some(id) = range.around {
            let (rows, has_more) = self.around(channel, id, history_start, range.limit).await?;
            return Ok((views(rows), has_more));
        }
        // `after` alone asks for what follows it; everything else for the newest that there is.
        let order = if range.after.is_some() && range.before.is_none() {
            Order::OldestFirst
        } else {
            Order::NewestFirst
        };
        let range = MessageRange {
            channel_id: channel,
            after: range.after.unwrap_or(MessageId::ZERO).max(history_start),
            before: range.before.unwrap_or(MessageId::MAX),
            limit: range.limit,
            order,
        };
        let mut page = reading::page(&self.store, range).await?;
        if order == Order::OldestFirst {
            page.messages.reverse();
        }
        Ok((views(page.messages), page.has_more))
    }

    async fn message(
        &self,
        caller: UserId,
        channel: ChannelId,
        id: MessageId,
    ) -> Result<MessageView<'static>, ServiceError> {
        let history_start = self.admit_reader(caller, channel).await?;
        Ok(self.visible(channel, id, history_start).await?.into())
    }

    async fn amend(&self, caller: UserId, wish: Amendment) -> Result<SendOutcome, ServiceError> {
        self.amended(caller, wish).await
    }

    async fn thread(
        &self,
        caller: UserId,
        channel: ChannelId,
        message: MessageId,
        after: Option<MessageId>,
        limit: usize,
    ) -> Result<(Vec<MessageView<'static>>, bool), ServiceError> {
        let history_start = self.admit_reader(caller, channel).await?;
        self.visible(channel, message, history_start).await?;
        let head = reading::head(&self.store, channel).await?;
        let range = MessageRange {
            channel_id: channel,
            after: after.unwrap_or(MessageId::ZERO).max(history_start),
            before: MessageId(head.last_message_id.0 + 1),
            limit: limit + 1,
            order: Order::OldestFirst,
        };
        let mut rows = self.store.replies(message, range).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        Ok((views(rows), has_more))
    }

    async fn pins(
        &self,
        caller: UserId,
        channel: ChannelId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<(Vec<MessageView<'static>>, Option<MessageId>), ServiceError> {
        let history_start = self.admit_reader(caller, channel).await?;
        let head = reading::head(&self.store, channel).await?;
        let mut pins =
            self.store.load(&Prefetch { pinned: vec![channel], ..Prefetch::default() }).await?.pins;
        pins.retain(|row| row.to_id == MessageId::ZERO && row.from_id <= head.last_effective_id);
        pins.sort_unstable_by_key(|row| std::cmp::Reverse(row.from_id));
        pins.retain(|row| before.is_none_or(|before| row.from_id < before));
        let records = pins.iter().map(|row| (channel, row.message_id)).collect();
        let mut messages = self.store.load(&Prefetch { records, ..Prefetch::default() }).await?.messages;
        messages.retain(|row| !row.is_deleted() && row.message_id > history_start);
        let place = |row: &MessageRow| pins.iter().position(|pin| pin.message_id == row.message_id);
        messages.sort_by_key(place);
        let has_more = messages.len() > limit;
        messages.truncate(limit);
        let last = messages.last().filter(|_| has_more).and_then(place);
        Ok((views(messages), last.map(|place| pins[place].from_id)))
    }

    async fn positions(&self, user: UserId) -> Result<Vec<ReadPosition>, ServiceError> {
        let reads = self.store.load(&Prefetch { reads_of: vec![user], ..Prefetch::default() }).await?.reads;
        let position =
            |row: ReadRow| ReadPosition { channel_id: row.channel_id, last_read_id: row.last_read_id };
        Ok(reads.into_iter().map(position).collect())
    }

    async fn own(
        &self,
        user: UserId,
        channel: ChannelId,
        before: Option<MessageId>,
        limit: usize,
    ) -> Result<OwnContent, ServiceError> {
        let range = MessageRange {
            channel_id: channel,
            after: MessageId::ZERO,
            before: before.unwrap_or(MessageId::MAX),
            limit,
            order: Order::NewestFirst,
        };
        let reading::DensePage { head, mut messages, has_more } = reading::page(&self.store, range).await?;
        let told = messages.iter().map(|row| (row.message_id, row.seq));
        let tallies = reading::tallies(&self.store, &head, told, user).await?;
        let own = tallies.into_iter().filter(|tally| tally.is_own);
        let reactions = own.map(|tally| (tally.message_id, tally.emoji)).collect();
        let next = messages.last().filter(|_| has_more).map(|row| row.message_id);
        messages.retain(|row| row.sender_id == user);
        Ok(OwnContent { messages: views(messages), reactions, next })
    }

    async fn reactions(
        &self,
        caller: UserId,
        messages: &[MessageView<'_>],
    ) -> Result<Vec<ReactionSummary>, ServiceError> {
        let Some(channel) = messages.first().map(|message| message.channel_id) else { return Ok(Vec::new()) };
        let head = reading::head(&self.store, channel).await?;
        let messages = messages.iter().map(|message| (message.message_id, message.seq));
        Ok(reading::tallies(&self.store, &head, messages, caller).await?)
    }

    async fn summaries(
        &self,
        caller: UserId,
        channels: &[ChannelId],
    ) -> Result<Vec<ChannelSummary>, ServiceError> {
        let wanted = Prefetch {
            channels: channels.to_vec(),
            members: channels.iter().map(|channel| (*channel, caller)).collect(),
            reads: channels.iter().map(|channel| (caller, *channel)).collect(),
            ..Prefetch::default()
        };
        let loaded = self.store.load(&wanted).await?;
        let mut unread = Vec::with_capacity(channels.len());
        let mut records = Vec::with_capacity(channels.len());
        for channel in channels {
            let empty = HeadRow::empty(*channel);
            let head = loaded.heads.iter().find(|head| head.channel_id == *channel).unwrap_or(&empty);
            unread.push(reading::unread(&loaded, head, caller));
            let history_start = reading::sees_above(&loaded, head, caller);
            let last = head.last_message_id.non_zero().filter(|id| *id > history_start);
            records.extend(last.map(|id| (*channel, id)));
        }
        let last = self.store.load(&Prefetch { records, ..Prefetch::default() }).await?.messages;
        let mut last: HashMap<ChannelId, MessageRow> =
            last.into_iter().map(|row| (row.channel_id, row)).collect();
        let summary = |(channel, unread_count)| ChannelSummary {
            last_message: last.remove(channel).map(MessageView::from),
            unread_count,
        };
        Ok(channels.iter().zip(unread).map(summary).collect())
    }
}

/// Rows as readers see them.
fn views(rows: Vec<MessageRow>) -> Vec<MessageView<'static>> {
    rows.into_iter().map(MessageView::from).collect()
}

/// Why a processor did not do what was asked, as callers are told.
fn refusal_of(code: &str) -> ServiceError {
    match code {
        "not_a_member" => ServiceError::NotAMember,
        "not_found" => ServiceError::NotFound("There is no such message in this channel.".into()),
        "bad_request" => {
            let message = "The message has as many different emoji as it takes.".into();
            ServiceError::Invalid(vec![FieldError { field: "emoji".into(), message }])
        }
        _ => ServiceError::Forbidden("You are not allowed to do this any more.".into()),
    }
}

fn send_record(key: Key, sender: Profile, message: NewMessage, origin: Option<Origin>) -> Command {
    let send = records::Send {
        channel_id: key.channel_id.as_bytes().to_vec().into(),
        sender_id: key.sender_id.as_bytes().to_vec().into(),
        client_id: key.client_id.as_bytes().to_vec().into(),
        content: message.content,
        content_type: records::ContentType::from(message.content_type).into(),
        reply_to: message.reply_to.map_or(0, |id| id.0),
        metadata: message.metadata,
        sender: Some(sender),
        origin,
    };
    Command { body: Some(command::Body::Send(send)) }
}

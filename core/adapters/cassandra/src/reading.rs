//! Reading what is wanted: grouped by partition, so that many rows of one cost one request, and asked all at once.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use futures_util::future::try_join_all;
use ringside_domain::rows::{
    ChangeRow, HeadRow, InterestRow, KeyRow, MembershipRow, MessageRow, PinRow, Prefetch, Prefetched,
    ReactionRow, SettingsRow,
};
use ringside_ports::EngineError;
use ringside_types::limits::REACTIONS_READ_MAX;
use ringside_types::{ChannelId, MessageId, UserId};
use uuid::Uuid;

use crate::buckets::{CHANGES_PER_BUCKET, Month};
use crate::requests::{Call, Question, Requests};
use crate::rows::{ChangeOfRecord, StatusRow, Stored, Values};
use crate::statements::Statement;

/// Keys that one request names at the most.
const KEYS_MAX: usize = 100;

impl Requests {
    /// Everything wanted, asked in one round, but for changes that are looked up by record.
    pub(crate) async fn load_at_once(
        &self,
        call: &Call,
        wanted: &Prefetch,
    ) -> Result<Prefetched, EngineError> {
        let (heads, others) = tokio::try_join!(
            Box::pin(self.heads(call, &wanted.channels)),
            Box::pin(self.load_all_but_heads(call, wanted))
        )?;
        Ok(Prefetched { heads, ..others })
    }

    /// The same as readers need it: nothing that comes with a head is older than the head is. There are no snapshots, so the
    /// heads are read first; where they and the settings are all that is wanted, that is one round.
    pub(crate) async fn load_heads_first(
        &self,
        call: &Call,
        wanted: &Prefetch,
    ) -> Result<Prefetched, EngineError> {
        let is_heads_alone = wanted.len() == wanted.channels.len();
        if wanted.channels.is_empty() || is_heads_alone {
            return self.load_at_once(call, wanted).await;
        }
        let heads = self.heads(call, &wanted.channels).await?;
        Ok(Prefetched { heads, ..self.load_all_but_heads(call, wanted).await? })
    }

    async fn heads(&self, call: &Call, channels: &[ChannelId]) -> Result<Vec<HeadRow>, EngineError> {
        self.of_channels(call, Statement::Head, channels).await
    }

    async fn load_all_but_heads(&self, call: &Call, wanted: &Prefetch) -> Result<Prefetched, EngineError> {
        // Boxed, or the future of all of them would be carried through every caller.
        let (interest, settings, members, keys, messages, changes, reactions, pins, status, of_users) = tokio::try_join!(
            Box::pin(self.of_channels::<InterestRow>(call, Statement::Interest, &wanted.interest)),
            Box::pin(self.of_channels::<SettingsRow>(call, Statement::Settings, &wanted.channels)),
            Box::pin(self.members(call, wanted)),
            Box::pin(self.keys(call, wanted)),
            Box::pin(self.messages_by_id(call, &wanted.records)),
            Box::pin(self.changes_of(call, &wanted.records)),
            Box::pin(self.reactions(call, wanted)),
            Box::pin(self.pins(call, wanted)),
            Box::pin(self.status(call, &wanted.reads)),
            Box::pin(self.status_of_users(call, &wanted.reads_of))
        )?;
        let reads = status.iter().chain(&of_users).filter_map(|row| row.read).collect();
        let delivered = status.iter().filter_map(|row| row.delivered).collect();
        let heads = Vec::new();
        Ok(Prefetched {
            heads,
            interest,
            settings,
            members,
            keys,
            messages,
            changes,
            reactions,
            pins,
            reads,
            delivered,
        })
    }

    /// The rows of a table that has a partition for each channel.
    async fn of_channels<R: Stored>(
        &self,
        call: &Call,
        statement: Statement,
        channels: &[ChannelId],
    ) -> Result<Vec<R>, EngineError> {
        let ask = |channel: ChannelId| Question { statement, values: Values::default().uuid(channel.0) };
        let questions = each(channels.iter().copied()).into_iter().map(ask).collect();
        Ok(self.rows(call, questions).await?.into_iter().flatten().collect())
    }

    async fn members(&self, call: &Call, wanted: &Prefetch) -> Result<Vec<MembershipRow>, EngineError> {
        let members = wanted.members.iter().map(|(channel, user)| (channel.0, user.0));
        let ask = |channel: Uuid, users: Vec<Uuid>| {
            let values = Values::default()
                .uuid(channel)
                .any_of(users.into_iter().fold(Values::default(), Values::uuid));
            Question { statement: Statement::MembersById, values }
        };
        self.grouped(call, members, ask).await
    }

    async fn keys(&self, call: &Call, wanted: &Prefetch) -> Result<Vec<KeyRow>, EngineError> {
        let keys = wanted.keys.iter().map(|key| ((key.channel_id.0, key.sender_id.0), key.client_id.0));
        let ask = |(channel, sender): (Uuid, Uuid), ids: Vec<Uuid>| {
            let ids = ids.into_iter().fold(Values::default(), Values::uuid);
            let values = Values::default().uuid(channel).uuid(sender).any_of(ids);
            Question { statement: Statement::KeysById, values }
        };
        self.grouped(call, keys, ask).await
    }

    /// Those of these messages that are there.
    pub(crate) async fn messages_by_id(
        &self,
        call: &Call,
        records: &[(ChannelId, MessageId)],
    ) -> Result<Vec<MessageRow>, EngineError> {
        self.by_month(call, Statement::MessagesById, records).await
    }

    async fn by_month<R: Stored>(
        &self,
        call: &Call,
        statement: Statement,
        records: &[(ChannelId, MessageId)],
    ) -> Result<Vec<R>, EngineError> {
        let records = records.iter().map(|(channel, id)| ((*channel, Month::of(*id)), id.0));
        let ask = |(channel, month): (ChannelId, Month), ids: Vec<u64>| {
            let ids = ids.into_iter().fold(Values::default(), Values::u64);
            let values = Values::default().uuid(channel.0).text(month.to_string()).any_of(ids);
            Question { statement, values }
        };
        self.grouped(call, records, ask).await
    }

    async fn changes_of(
        &self,
        call: &Call,
        records: &[(ChannelId, MessageId)],
    ) -> Result<Vec<ChangeRow>, EngineError> {
        let made: Vec<ChangeOfRecord> = self.by_month(call, Statement::ChangesOfRecords, records).await?;
        let numbers = made.iter().map(|row| ((row.channel_id, row.change / CHANGES_PER_BUCKET), row.change));
        let ask = |(channel, bucket): (ChannelId, u64), numbers: Vec<u64>| {
            let numbers = numbers.into_iter().fold(Values::default(), Values::u64);
            let values = Values::default().uuid(channel.0).u64(bucket).any_of(numbers);
            Question { statement: Statement::ChangesByNumber, values }
        };
        let mut rows: Vec<ChangeRow> = self.grouped(call, numbers, ask).await?;
        // Another record may have taken the number since, with a later stamp.
        let asked: HashMap<_, _> =
            made.iter().map(|row| ((row.channel_id, row.record_id), row.change)).collect();
        rows.retain(|row| asked.get(&(row.channel_id, row.record_id)) == Some(&row.change));
        Ok(rows)
    }

    async fn reactions(&self, call: &Call, wanted: &Prefetch) -> Result<Vec<ReactionRow>, EngineError> {
        let mut questions = Vec::new();
        for (channel, message, emoji) in each(wanted.reactions.iter().cloned()) {
            let values = Values::default().uuid(channel.0).text(Month::of(message).to_string());
            let values = values.u64(message.0).text(emoji);
            questions.push(Question { statement: Statement::ReactionsWith, values });
        }
        let ranges = each(wanted.reacted.iter().copied()).into_iter();
        let ranges = ranges.map(|(channel, first, last)| self.reactions_between(call, channel, first, last));
        let (named, between) =
            tokio::try_join!(self.rows::<ReactionRow>(call, questions), try_join_all(ranges))?;
        Ok(named.into_iter().chain(between).flatten().collect())
    }

    /// All reactions on the messages from one to another, both included.
    async fn reactions_between(
        &self,
        call: &Call,
        channel: ChannelId,
        first: MessageId,
        last: MessageId,
    ) -> Result<Vec<ReactionRow>, EngineError> {
        let last = last.min(MessageId::MAX);
        if first > last {
            return Ok(Vec::new());
        }
        let months = match (Month::of(first), Month::of(last)) {
            (one, other) if one == other => vec![one],
            (one, other) => self.months_between(call, channel, one, other).await?,
        };
        let ask = |month: Month| {
            let values = Values::default().uuid(channel.0).text(month.to_string());
            let values = values.u64(first.0).u64(last.0).limit(REACTIONS_READ_MAX);
            Question { statement: Statement::ReactionsBetween, values }
        };
        let rows = self.rows(call, months.into_iter().map(ask).collect()).await?;
        Ok(rows.into_iter().flatten().take(REACTIONS_READ_MAX).collect())
    }

    async fn pins(&self, call: &Call, wanted: &Prefetch) -> Result<Vec<PinRow>, EngineError> {
        let pins = wanted.pins.iter().map(|(channel, message)| (*channel, message.0));
        let ask = |channel: ChannelId, ids: Vec<u64>| {
            let values = Values::default()
                .uuid(channel.0)
                .any_of(ids.into_iter().fold(Values::default(), Values::u64));
            Question { statement: Statement::PinsOf, values }
        };
        let (mut rows, all) = tokio::try_join!(
            self.grouped::<_, _, PinRow>(call, pins, ask),
            self.of_channels::<PinRow>(call, Statement::PinsIn, &wanted.pinned)
        )?;
        rows.extend(all);
        Ok(rows)
    }

    async fn status(
        &self,
        call: &Call,
        reads: &[(UserId, ChannelId)],
    ) -> Result<Vec<StatusRow>, EngineError> {
        let reads = reads.iter().map(|(user, channel)| (user.0, channel.0));
        let ask = |user: Uuid, channels: Vec<Uuid>| {
            let channels = channels.into_iter().fold(Values::default(), Values::uuid);
            Question { statement: Statement::StatusIn, values: Values::default().uuid(user).any_of(channels) }
        };
        self.grouped(call, reads, ask).await
    }

    async fn status_of_users(&self, call: &Call, users: &[UserId]) -> Result<Vec<StatusRow>, EngineError> {
        let ask = |user: UserId| Question {
            statement: Statement::StatusOfUser,
            values: Values::default().uuid(user.0),
        };
        let questions = each(users.iter().copied()).into_iter().map(ask).collect();
        Ok(self.rows(call, questions).await?.into_iter().flatten().collect())
    }

    /// Rows by their keys, the keys of one partition in as few requests as they fit.
    async fn grouped<P: Eq + Hash + Copy, K: Eq + Hash + Clone, R: Stored>(
        &self,
        call: &Call,
        keys: impl Iterator<Item = (P, K)>,
        ask: impl Fn(P, Vec<K>) -> Question,
    ) -> Result<Vec<R>, EngineError> {
        let mut groups: Vec<(P, Vec<K>)> = Vec::new();
        let mut last: HashMap<P, usize> = HashMap::new();
        for (partition, key) in each(keys) {
            match last.get(&partition) {
                Some(group) if groups[*group].1.len() < KEYS_MAX => groups[*group].1.push(key),
                _ => {
                    last.insert(partition, groups.len());
                    groups.push((partition, vec![key]));
                }
            }
        }
        let questions = groups.into_iter().map(|(partition, keys)| ask(partition, keys)).collect();
        Ok(self.rows(call, questions).await?.into_iter().flatten().collect())
    }
}

/// What is wanted twice is asked once.
fn each<T: Eq + Hash + Clone>(wanted: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    wanted.filter(|one| seen.insert(one.clone())).collect()
}

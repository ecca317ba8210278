//! Ranges of a channel, across the borders of its buckets.

use ringside_domain::rows::{ChangeRow, MessageRow};
use ringside_ports::EngineError;
use ringside_ports::store::{ChangeRange, MessageRange, Order};
use ringside_types::{ChannelId, MessageId};

use crate::buckets::{CHANGES_PER_BUCKET, Month};
use crate::requests::{Call, Question, Requests};
use crate::rows::{Reply, Values};
use crate::statements::Statement;

/// Months that are read at once at the most. A range that goes on reads twice as many in each round, beginning with one.
const MONTHS_AT_ONCE_MAX: usize = 8;

impl Requests {
    /// The messages of a range. Those within one month cost one request.
    pub(crate) async fn messages_in(
        &self,
        call: &Call,
        range: MessageRange,
    ) -> Result<Vec<MessageRow>, EngineError> {
        let Some(range) = bounded(range) else { return Ok(Vec::new()) };
        let first = Month::of(MessageId(range.after.0 + 1));
        let last = Month::of(MessageId(range.before.0 - 1));
        // Where the range begins with a message that somebody knows of, its month is read before the others are asked for.
        let (start, is_known) = match range.order {
            Order::OldestFirst => (first, range.after != MessageId::ZERO),
            Order::NewestFirst => (last, range.before < MessageId::MAX),
        };
        let mut rows = Vec::new();
        if first == last || is_known {
            rows = self.messages_of_months(call, range, range.limit, &[start]).await?;
        }
        if first == last || rows.len() >= range.limit {
            return Ok(rows);
        }
        let mut months = self.months_between(call, range.channel_id, first, last).await?;
        months.retain(|month| !is_known || *month != start);
        if range.order == Order::NewestFirst {
            months.reverse();
        }
        let (mut months, mut at_once) = (months.as_slice(), 1);
        while !months.is_empty() && rows.len() < range.limit {
            let (round, later) = months.split_at(at_once.min(months.len()));
            let wanted = range.limit - rows.len();
            rows.extend(self.messages_of_months(call, range, wanted, round).await?);
            (months, at_once) = (later, (at_once * 2).min(MONTHS_AT_ONCE_MAX));
        }
        rows.truncate(range.limit);
        Ok(rows)
    }

    async fn messages_of_months(
        &self,
        call: &Call,
        range: MessageRange,
        limit: usize,
        months: &[Month],
    ) -> Result<Vec<MessageRow>, EngineError> {
        let statement = match range.order {
            Order::OldestFirst => Statement::MessagesOldestFirst,
            Order::NewestFirst => Statement::MessagesNewestFirst,
        };
        let ask = |month: &Month| {
            let values = Values::default().uuid(range.channel_id.0).text(month.to_string());
            Question { statement, values: values.u64(range.after.0).u64(range.before.0).limit(limit) }
        };
        let rows = self.rows(call, months.iter().map(ask).collect()).await?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// The months from one to another, both included, in which a channel has anything; the earliest first.
    pub(crate) async fn months_between(
        &self,
        call: &Call,
        channel: ChannelId,
        first: Month,
        last: Month,
    ) -> Result<Vec<Month>, EngineError> {
        let values = Values::default().uuid(channel.0).text(first.to_string()).text(last.to_string());
        let months = self.rows(call, vec![Question { statement: Statement::BucketsBetween, values }]).await?;
        Ok(months.into_iter().flatten().collect())
    }

    /// The replies to a message within a range.
    pub(crate) async fn replies_in(
        &self,
        call: &Call,
        to: MessageId,
        range: MessageRange,
    ) -> Result<Vec<MessageRow>, EngineError> {
        let Some(range) = bounded(range) else { return Ok(Vec::new()) };
        let statement = match range.order {
            Order::OldestFirst => Statement::RepliesOldestFirst,
            Order::NewestFirst => Statement::RepliesNewestFirst,
        };
        let values = Values::default().uuid(range.channel_id.0).u64(to.0);
        let values = values.u64(range.after.0).u64(range.before.0).limit(range.limit);
        let found: Vec<Vec<Reply>> = self.rows(call, vec![Question { statement, values }]).await?;
        let records: Vec<_> = found.iter().flatten().map(|Reply(id)| (range.channel_id, *id)).collect();
        let mut rows = self.messages_by_id(call, &records).await?;
        match range.order {
            Order::OldestFirst => rows.sort_unstable_by_key(|row| row.message_id),
            Order::NewestFirst => rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.message_id)),
        }
        Ok(rows)
    }

    /// The changes of a range. They have no holes, so that a bucket that ends early is the last one.
    pub(crate) async fn changes_in(
        &self,
        call: &Call,
        range: ChangeRange,
    ) -> Result<Vec<ChangeRow>, EngineError> {
        let up_to = range.up_to.min(i64::MAX as u64);
        let (mut after, mut rows) = (range.after, Vec::<ChangeRow>::new());
        while after < up_to && rows.len() < range.limit {
            let bucket = (after + 1) / CHANGES_PER_BUCKET;
            let last_of_bucket = bucket * CHANGES_PER_BUCKET + (CHANGES_PER_BUCKET - 1);
            let end = up_to.min(last_of_bucket);
            let values = Values::default().uuid(range.channel_id.0).u64(bucket);
            let values = values.u64(after).u64(end).limit(range.limit - rows.len());
            let question = Question { statement: Statement::ChangesBetween, values };
            let found: Vec<Vec<ChangeRow>> = self.rows(call, vec![question]).await?;
            rows.extend(found.into_iter().flatten());
            if rows.last().is_none_or(|row| row.change < end) {
                break;
            }
            after = end;
        }
        Ok(rows)
    }
}

/// The range as the engine's numbers can have it; `None`: nothing is in it.
fn bounded(range: MessageRange) -> Option<MessageRange> {
    let before = range.before.min(MessageId::MAX);
    let is_empty = range.limit == 0 || before.0 <= range.after.0.saturating_add(1);
    (!is_empty).then_some(MessageRange { before, ..range })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn ranges_without_a_message_are_no_question() {
        let check = |after, before, limit, expected: Option<u64>| {
            let range = MessageRange {
                channel_id: ChannelId(Uuid::nil()),
                after: MessageId(after),
                before: MessageId(before),
                limit,
                order: Order::OldestFirst,
            };
            assert_eq!(bounded(range).map(|range| range.before.0), expected, "{range:?}");
        };
        check(0, 2, 1, Some(2));
        check(0, 1, 1, None);
        check(5, 4, 1, None);
        check(0, 2, 0, None);
        check(0, u64::MAX, 1, Some(MessageId::MAX.0));
        check(u64::MAX, u64::MAX, 1, None);
        check(MessageId::MAX.0 - 2, u64::MAX, 1, Some(MessageId::MAX.0));
        check(MessageId::MAX.0 - 1, u64::MAX, 1, None);
    }
}

//! Joins and leaves of channels on their way to the log, batch after batch, so that a leave never overtakes the join before
//! it.

use std::collections::BTreeMap;
use std::time::Instant;

use ringside_domain::feed::{Feed, InterestChange};
use ringside_ports::EngineError;
use ringside_ports::log::Append;
use ringside_types::{Epoch, PartitionId, Slot, Topic, partition_of};
use ringside_wire::records::{ChannelTurn, Command, Joins as JoinsRecord, Leaves as LeavesRecord, command};

use crate::effect::{Batch, Effect};
use crate::retry::Retried;

/// The batches of one lease.
#[derive(Debug)]
pub(crate) struct Joins {
    slot: Slot,
    epoch: Epoch,
    /// Partitions of `messages.send`.
    partitions: u16,
    /// Batches in the log.
    appended: u64,
    under_way: Retried<Vec<Append>>,
}

impl Joins {
    pub(crate) fn new(slot: Slot, epoch: Epoch, partitions: u16) -> Self {
        Self { slot, epoch, partitions, appended: 0, under_way: Retried::Idle }
    }

    /// How many batches the log has.
    pub(crate) fn appended(&self) -> u64 {
        self.appended
    }

    /// The number of the batch with which everything that the feed has joined so far is in the log.
    pub(crate) fn number_of_latest(&self, feed: &Feed) -> u64 {
        let under_way = u64::from(!self.under_way.is_idle());
        self.appended + under_way + u64::from(feed.has_interest_changes())
    }

    /// The next batch, or the one that failed.
    pub(crate) fn poll_append(&mut self, now: Instant, feed: &mut Feed) -> Option<Effect> {
        let number = self.appended + 1;
        if let Some(appends) = self.under_way.poll(now) {
            return Some(Effect::Append(Batch::Joins(number, appends.clone()), appends));
        }
        if !self.under_way.is_idle() || !feed.has_interest_changes() {
            return None;
        }
        let appends = self.records(&feed.poll_interest());
        self.under_way.begin();
        Some(Effect::Append(Batch::Joins(number, appends.clone()), appends))
    }

    /// The log has a batch, or has not confirmed it.
    pub(crate) fn handle_appended(
        &mut self,
        now: Instant,
        number: u64,
        records: Vec<Append>,
        appended: Result<(), EngineError>,
    ) {
        if appended.is_ok() {
            self.appended = number;
        }
        self.under_way.handle_appended(now, records, appended, "joins");
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.under_way.next_due()
    }

    /// One record for the many channels of a partition.
    fn records(&self, turns: &[InterestChange]) -> Vec<Append> {
        let mut per_partition: BTreeMap<u16, (Vec<ChannelTurn>, Vec<ChannelTurn>)> = BTreeMap::new();
        for turn in turns {
            let partition = partition_of(turn.channel_id, self.partitions).0;
            let (joins, leaves) = per_partition.entry(partition).or_default();
            let list = if turn.leaves { leaves } else { joins };
            list.push(ChannelTurn { channel_id: turn.channel_id.as_bytes().to_vec().into(), n: turn.n });
        }
        let (slot, epoch) = (u32::from(self.slot.0), self.epoch.0);
        let mut appends = Vec::new();
        for (partition, (joins, leaves)) in per_partition {
            let mut append = |body| {
                let payload = ringside_wire::encode(&Command { body: Some(body) });
                let partition = PartitionId(partition);
                appends.push(Append { topic: Topic::MessagesSend, partition, payload });
            };
            // A channel that was left and joined again in one batch: the leave names the lower number, and goes first.
            if !leaves.is_empty() {
                append(command::Body::Leaves(LeavesRecord { slot, epoch, channels: leaves }));
            }
            if !joins.is_empty() {
                append(command::Body::Joins(JoinsRecord { slot, epoch, channels: joins }));
            }
        }
        appends
    }
}

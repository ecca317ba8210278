//! The decisions: what one record makes, seen by the records below it alone.

use ringside_types::limits::IDEMPOTENCY_WINDOW_MS;
use ringside_types::{Epoch, ErrorCode, MessageId, Slot};
use ringside_wire::records::{
    self, Answered, JoinAnswer, Origin, Rejection, Send, StoredItem, command, edge_item,
};
use ringside_wire::{InvalidRecord, channel_id, client_id, user_id};

use crate::events::{effective_of, item, record_head, route};
use crate::partition::{Batch, Input, Known, Partition};
use crate::rows::{HeadRow, InterestRow, Key, KeyRow, MessageRow, ReadRow, SlotRow, WriteTimestamp};
use crate::window::Window;

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It made this record, now or before.
    Made(MessageId),
    /// It is so already: nothing had to be made.
    Idle,
    Refused(ErrorCode),
    /// It was applied before and made nothing; why is not known any more.
    Unknown,
}

impl Key {
    /// The key of a send record.
    pub fn of(send: &Send) -> Result<Self, InvalidRecord> {
        Ok(Self {
            channel_id: channel_id(&send.channel_id)?,
            sender_id: user_id(&send.sender_id)?,
            client_id: client_id(&send.client_id)?,
        })
    }
}

impl Partition {
    /// Decides the record that `progress` has just been moved to.
    pub(crate) fn decide(&mut self, input: &Input, known: &mut Known, batch: &mut Batch) {
        let (id, stamp) = (self.progress.last, self.progress.stamp);
        let decided = match &input.command {
            Ok(command::Body::Send(send)) => {
                let decision = self.send(id, stamp, send, known, batch);
                decision.and_then(|decision| {
                    answer(send.origin.as_ref(), Key::of(send)?, decision, batch);
                    Ok(())
                })
            }
            Ok(command::Body::Membership(change)) => self.membership(id, stamp, change, known, batch),
            Ok(command::Body::Joins(joins)) => self.joins(id, stamp, joins, batch),
            Ok(command::Body::Leaves(leaves)) => self.leaves(stamp, leaves, batch),
            Ok(command::Body::EpochDead(dead)) => self.epoch_dead(stamp, dead, batch),
            Ok(command::Body::Amend(amend)) => {
                let decision = self.amend(id, stamp, amend, known, batch);
                decision.and_then(|decision| {
                    answer(amend.origin.as_ref(), Key::asked(amend)?, decision, batch);
                    Ok(())
                })
            }
            Err(reason) => {
                batch.dead.push(dead(input, reason.clone()));
                Ok(())
            }
        };
        if let Err(invalid) = decided {
            batch.dead.push(dead(input, invalid.to_string()));
        }
    }

    fn send(
        &mut self,
        id: MessageId,
        stamp: WriteTimestamp,
        send: &Send,
        known: &mut Known,
        batch: &mut Batch,
    ) -> Result<Decision, InvalidRecord> {
        let key = Key::of(send)?;
        let channel = self.cache.channel(key.channel_id);
        if id <= channel.head.last_effective_id {
            let Some(row) = known.messages.get(&id) else { return Ok(Decision::Unknown) };
            self.window.remember(key, id);
            let effective = effective_of(row, send.sender.clone());
            route(&self.slots, channel, key.channel_id, &effective, batch);
            return Ok(Decision::Made(id));
        }
        let previous = made_below(&self.window, known, &key, id);
        if let Some(made) = previous.filter(|made| is_duplicate(*made, id)) {
            return Ok(Decision::Made(made));
        }
        if let Err(code) = channel.may_send(key.sender_id, id) {
            return Ok(Decision::Refused(code));
        }
        // A deleted message may still be answered: its tombstone stands.
        let answers = |target: &MessageId| {
            let row = known.messages.get(target).filter(|row| row.channel_id == key.channel_id);
            row.is_some_and(|row| {
                row.message_id < id && row.message_id > channel.sees_above(key.sender_id, id)
            })
        };
        if MessageId(send.reply_to).non_zero().is_some_and(|target| !answers(&target)) {
            return Ok(Decision::Refused(ErrorCode::NotFound));
        }
        let row = message_row(&channel.head, id, stamp, send, key);
        channel.head =
            HeadRow { last_effective_id: id, last_message_id: id, last_seq: row.seq, stamp, ..channel.head };
        let effective = effective_of(&row, send.sender.clone());
        route(&self.slots, channel, key.channel_id, &effective, batch);
        batch.stored.push(StoredItem { channel_id: send.channel_id.clone(), effective: Some(effective) });
        batch.rows.keys.push(KeyRow::new(key, id, previous, row.seq, stamp));
        batch.rows.reads.push(ReadRow {
            user_id: key.sender_id,
            channel_id: key.channel_id,
            last_read_id: id,
            last_read_seq: row.seq,
        });
        known.made(&row);
        batch.rows.messages.push(row);
        self.window.remember(key, id);
        Ok(Decision::Made(id))
    }

    fn joins(
        &mut self,
        id: MessageId,
        stamp: WriteTimestamp,
        joins: &records::Joins,
        batch: &mut Batch,
    ) -> Result<(), InvalidRecord> {
        let (slot, epoch) = lease_of(joins.slot, joins.epoch)?;
        if !self.see_epoch(slot, epoch, stamp, batch) {
            return Ok(());
        }
        for turn in &joins.channels {
            let channel_id = channel_id(&turn.channel_id)?;
            let channel = self.cache.channel(channel_id);
            let joined_id = match channel.interest_of(slot, epoch) {
                Some(row) if row.stamp > stamp || row.n > turn.n => continue,
                Some(row) if row.n == turn.n && row.record_id == MessageId::ZERO => continue,
                Some(row) if row.n == turn.n => row.record_id,
                Some(row) => {
                    *row = InterestRow { n: turn.n, record_id: id, stamp, ..*row };
                    batch.rows.interest.push(*row);
                    id
                }
                None => {
                    let row = InterestRow { channel_id, slot, epoch, n: turn.n, record_id: id, stamp };
                    channel.interest.push(row);
                    batch.rows.interest.push(row);
                    id
                }
            };
            let head = Some(record_head(&channel.head));
            let answer = JoinAnswer { n: turn.n, joined_id: joined_id.0, head };
            batch.edges.push((slot, epoch, item(channel_id, edge_item::Body::Join(answer))));
        }
        Ok(())
    }

    fn leaves(
        &mut self,
        stamp: WriteTimestamp,
        leaves: &records::Leaves,
        batch: &mut Batch,
    ) -> Result<(), InvalidRecord> {
        let (slot, epoch) = lease_of(leaves.slot, leaves.epoch)?;
        if !self.see_epoch(slot, epoch, stamp, batch) {
            return Ok(());
        }
        for turn in &leaves.channels {
            let channel_id = channel_id(&turn.channel_id)?;
            let channel = self.cache.channel(channel_id);
            let left = InterestRow { channel_id, slot, epoch, n: turn.n, record_id: MessageId::ZERO, stamp };
            match channel.interest_of(slot, epoch) {
                Some(row) if row.stamp >= stamp || row.n > turn.n || row.record_id == MessageId::ZERO => {
                    continue;
                }
                Some(row) => *row = left,
                None => channel.interest.push(left),
            }
            batch.rows.interest.push(left);
        }
        Ok(())
    }

    /// The lease reaper's word: nothing of this lease counts any more.
    fn epoch_dead(
        &mut self,
        stamp: WriteTimestamp,
        dead: &records::EpochDead,
        batch: &mut Batch,
    ) -> Result<(), InvalidRecord> {
        let (slot, epoch) = lease_of(dead.slot, dead.epoch)?;
        self.see_epoch(slot, Epoch(epoch.0 + 1), stamp, batch);
        Ok(())
    }

    /// Keeps the highest epoch of a slot; says whether this one is it.
    fn see_epoch(&mut self, slot: Slot, epoch: Epoch, stamp: WriteTimestamp, batch: &mut Batch) -> bool {
        let highest = self.slots.entry(slot).or_default();
        if epoch < *highest {
            return false;
        }
        if epoch > *highest {
            *highest = epoch;
            batch.rows.slots.push(SlotRow { slot, epoch, stamp });
        }
        true
    }
}

/// What the key made by a record below this one. The window has no other; of the store's rows, which may be of records at or
/// above it, those are not seen.
pub(crate) fn made_below(window: &Window, known: &Known, key: &Key, id: MessageId) -> Option<MessageId> {
    window.message_of(key).or_else(|| known.keys.get(key).and_then(|row| row.made_below(id)))
}

/// Whether what a key made is recent enough for a record to be its repetition.
pub(crate) fn is_duplicate(made: MessageId, id: MessageId) -> bool {
    id.time().since(made.time()) <= IDEMPOTENCY_WINDOW_MS
}

fn message_row(head: &HeadRow, id: MessageId, stamp: WriteTimestamp, send: &Send, key: Key) -> MessageRow {
    MessageRow {
        channel_id: key.channel_id,
        message_id: id,
        prev: head.last_effective_id,
        seq: head.last_seq + 1,
        change: head.last_change,
        client_id: key.client_id,
        sender_id: key.sender_id,
        content: send.content.clone(),
        content_type: send.content_type().into(),
        metadata: send.metadata.clone(),
        reply_to: MessageId(send.reply_to),
        edited_record: MessageId::ZERO,
        deleted_record: MessageId::ZERO,
        stamp,
    }
}

/// Tells whoever sent a command what it came to: an edge hears of refusals alone, a process that waits for the answer of
/// everything. Nobody else is told, and of a refusal nothing is remembered.
fn answer(origin: Option<&Origin>, key: Key, decision: Decision, batch: &mut Batch) {
    let Some(origin) = origin else { return };
    let Ok(slot) = u16::try_from(origin.slot) else { return };
    let (slot, epoch) = (Slot(slot), Epoch(origin.epoch));
    if origin.request > 0 {
        let (record_id, code) = match decision {
            Decision::Made(id) => (id.0, ""),
            Decision::Idle => (0, ""),
            Decision::Refused(code) => (0, code.name()),
            Decision::Unknown => return,
        };
        let answered = Answered { request: origin.request, record_id, code: code.to_owned() };
        // With the events, after the heads: whoever hears it can read what was made.
        batch.edges.push((slot, epoch, item(key.channel_id, edge_item::Body::Answered(answered))));
    } else if let Decision::Refused(code) = decision {
        let rejection = Rejection {
            sender_id: key.sender_id.as_bytes().to_vec().into(),
            client_id: key.client_id.as_bytes().to_vec().into(),
            code: code.name().to_owned(),
            frame_id: origin.frame_id.clone(),
        };
        let item = item(key.channel_id, edge_item::Body::Rejection(rejection));
        batch.rejections.push((slot, epoch, item));
    }
}

fn lease_of(slot: u32, epoch: u64) -> Result<(Slot, Epoch), InvalidRecord> {
    let slot = u16::try_from(slot).map_err(|_| InvalidRecord::Field("slot"))?;
    Ok((Slot(slot), Epoch(epoch)))
}

fn dead(input: &Input, reason: String) -> records::Dead {
    records::Dead { offset: input.offset.0, reason, payload: input.payload.clone() }
}

#[cfg(test)]
mod tests {
    use ringside_types::{Offset, PartitionId, RINGSIDE_EPOCH_MS, UnixMillis};

    use super::*;
    use crate::rows::{Prefetched, Progress};

    const TIME: UnixMillis = UnixMillis(RINGSIDE_EPOCH_MS + 1_000_000);

    #[test]
    fn a_record_that_can_not_be_read_is_put_aside_whole_and_the_next_is_decided() {
        let input = |offset, command| Input {
            offset: Offset(offset),
            time: TIME,
            command,
            payload: format!("bytes of {offset}").into(),
        };
        let joins = |slot| command::Body::Joins(records::Joins { slot, epoch: 1, channels: Vec::new() });
        let inputs = [
            input(0, Err("no command".into())),
            input(1, Ok(joins(1 << 16))),
            input(2, Ok(joins(1))),
            input(3, Ok(joins(1))),
        ];
        let mut partition = Partition::open(Progress::start(PartitionId(3)), &[]);
        let batch = partition.apply(&inputs, Prefetched::default());
        let aside = |offset: u64, reason: &str| records::Dead {
            offset,
            reason: reason.into(),
            payload: format!("bytes of {offset}").into(),
        };
        let malformed = InvalidRecord::Field("slot").to_string();
        assert_eq!(batch.dead, [aside(0, "no command"), aside(1, &malformed)]);
        let slots: Vec<_> = batch.rows.slots.iter().map(|row| row.slot).collect();
        assert_eq!(slots, [Slot(1)], "a lease is written down once");
        assert_eq!(batch.progress.map(|progress| progress.offset), Some(Offset(4)));
    }

    #[test]
    fn a_request_that_comes_again_within_a_day_is_the_same() {
        let at = |ms| MessageId::following(MessageId::ZERO, TIME.plus_ms(ms), PartitionId(3));
        assert!(is_duplicate(at(0), at(IDEMPOTENCY_WINDOW_MS)));
        assert!(!is_duplicate(at(0), at(IDEMPOTENCY_WINDOW_MS + 1)));
    }
}

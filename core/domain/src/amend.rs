//! Amendments: edits, deletions, reactions and pins of messages that are there.
//!
//! A message's row is overwritten by an edit or a deletion, and still every decision is as of its record: what a row says
//! of its own deletion carries the record that did it, and records at or above the one that decides are not seen.

use ringside_types::authorization::{ChannelKind, Role, allowed};
use ringside_types::limits::{MESSAGE_EMOJI_MAX, REACTION_USERS_SHOWN};
use ringside_types::{ErrorCode, MessageId};
use ringside_wire::mention::Mentions;
use ringside_wire::records::{
    self, Amend, Amended, ChangeBody, Edited, Reacted, Reaction, amend, amended, change_body, effective,
};
use ringside_wire::{InvalidRecord, channel_id, client_id, encode, user_id};

use crate::decide::{Decision, is_duplicate, made_below};
use crate::events::{effective_of_change, route};
use crate::partition::{Batch, Known, Partition};
use crate::reactions::standing;
use crate::rows::{Key, KeyRow, MessageRow, PinRow, ReactionRow, Rows, WriteTimestamp, holds_at};

impl Key {
    /// The key of an amendment: the client's own id, of this kind of request to this message. A client that uses one id
    /// for a message and for its edit, or for edits of two messages, has asked for two things, and gets both.
    pub fn of_amend(amend: &Amend) -> Result<Self, InvalidRecord> {
        let asked = Self::asked(amend)?;
        let (kind, emoji) = match amend.change.as_ref().ok_or(InvalidRecord::Field("change"))? {
            amend::Change::Content(_) => ("edit", ""),
            amend::Change::Deleted(_) => ("delete", ""),
            amend::Change::Reaction(Reaction { emoji, removed: false }) => ("react", emoji.as_str()),
            amend::Change::Reaction(Reaction { emoji, removed: true }) => ("unreact", emoji.as_str()),
            amend::Change::Pinned(true) => ("pin", ""),
            amend::Change::Pinned(false) => ("unpin", ""),
        };
        let request = format!("{kind} {} {emoji}", amend.message_id);
        let client_id = asked.client_id.of_request(&request);
        Ok(Self { client_id, ..asked })
    }

    /// Who asked, and by which id of theirs: what a rejection names.
    pub(crate) fn asked(amend: &Amend) -> Result<Self, InvalidRecord> {
        Ok(Self {
            channel_id: channel_id(&amend.channel_id)?,
            sender_id: user_id(&amend.sender_id)?,
            client_id: client_id(&amend.client_id)?,
        })
    }
}

/// What an amendment comes to.
#[expect(clippy::large_enum_variant, reason = "it lives for one decision")]
enum Amending {
    Effective(amended::Change),
    /// It is so already.
    Idle,
    /// The one who asks may not, or there is nothing to change.
    Refused(ErrorCode),
}

impl Partition {
    pub(crate) fn amend(
        &mut self,
        id: MessageId,
        stamp: WriteTimestamp,
        amend: &Amend,
        known: &mut Known,
        batch: &mut Batch,
    ) -> Result<Decision, InvalidRecord> {
        let key = Key::of_amend(amend)?;
        let target = MessageId(amend.message_id);
        let channel = self.cache.channel(key.channel_id);
        if id <= channel.head.last_effective_id {
            let Some(row) = known.changes.get(&id) else { return Ok(Decision::Unknown) };
            self.window.remember(key, id);
            let event = effective_of_change(row, known.messages.get(&target), amend.sender.clone())?;
            route(&self.slots, channel, key.channel_id, &event, batch);
            return Ok(Decision::Made(id));
        }
        let previous = made_below(&self.window, known, &key, id);
        if let Some(made) = previous.filter(|made| is_duplicate(*made, id)) {
            return Ok(Decision::Made(made));
        }
        let Some(role) = channel.role_at(key.sender_id, id) else {
            return Ok(Decision::Refused(ErrorCode::NotAMember));
        };
        let asked = Asked {
            id,
            stamp,
            key,
            kind: channel.kind_at(id),
            is_closed: channel.is_closed_at(id),
            role,
            sees_above: channel.sees_above(key.sender_id, id),
        };
        let mut change = match asked.decide(target, amend, known, &mut batch.rows)? {
            Amending::Effective(change) => change,
            Amending::Idle => return Ok(Decision::Idle),
            Amending::Refused(code) => return Ok(Decision::Refused(code)),
        };
        // Whom an edit names is content: the store has it with the message alone.
        let made = match &mut change {
            amended::Change::Edited(edited) => Some(std::mem::take(edited)),
            _ => None,
        };
        let amended =
            Amended { message_id: target.0, actor_id: amend.sender_id.clone(), change: Some(change) };
        let body = ChangeBody { event: Some(change_body::Event::Amended(amended)) };
        let row = channel.change(id, stamp, encode(&body));
        let mut event = effective_of_change(&row, known.messages.get(&target), amend.sender.clone())?;
        if let Some(effective::Event::Amended(Amended {
            change: Some(amended::Change::Edited(edited)), ..
        })) = &mut event.event
            && let Some(Edited { mentions, earlier, .. }) = made
        {
            (edited.mentions, edited.earlier) = (mentions, earlier);
        }
        route(&self.slots, channel, key.channel_id, &event, batch);
        batch.rows.keys.push(KeyRow::new(key, id, previous, row.seq, stamp));
        batch.rows.changes.push(row);
        self.window.remember(key, id);
        Ok(Decision::Made(id))
    }
}

/// Who asks, and as of which record.
struct Asked {
    id: MessageId,
    stamp: WriteTimestamp,
    key: Key,
    kind: ChannelKind,
    is_closed: bool,
    role: Role,
    /// Messages up to this record are hidden from them.
    sees_above: MessageId,
}

impl Asked {
    fn decide(
        &self,
        target: MessageId,
        amend: &Amend,
        known: &mut Known,
        rows: &mut Rows,
    ) -> Result<Amending, InvalidRecord> {
        let in_channel = |row: &&mut MessageRow| row.channel_id == self.key.channel_id;
        let Some(message) = known.messages.get_mut(&target).filter(in_channel) else {
            return Ok(Amending::Refused(ErrorCode::NotFound));
        };
        if message.message_id <= self.sees_above {
            return Ok(Amending::Refused(ErrorCode::NotFound));
        }
        let is_there = message.is_there_at(self.id);
        match amend.change.as_ref().ok_or(InvalidRecord::Field("change"))? {
            // A message that is gone stays gone, whoever says so again.
            amend::Change::Deleted(_) if !is_there && message.message_id < self.id => Ok(Amending::Idle),
            _ if !is_there => Ok(Amending::Refused(ErrorCode::NotFound)),
            change if let Err(code) = self.may(change, message) => Ok(Amending::Refused(code)),
            amend::Change::Content(content) => self.edit(message, content, amend.mentions.as_ref(), rows),
            amend::Change::Deleted(_) => Ok(self.delete(message, rows)),
            amend::Change::Reaction(reaction) => Ok(self.react(target, reaction, known, rows)),
            amend::Change::Pinned(pinned) => Ok(self.pin(target, *pinned, known, rows)),
        }
    }

    /// Whether the one who asks may, by the table.
    fn may(&self, change: &amend::Change, message: &MessageRow) -> Result<(), ErrorCode> {
        let operation = change.operation(message.sender_id == self.key.sender_id);
        allowed(operation.within(self.is_closed), self.kind, Some(self.role))
            .map_err(|refusal| refusal.code())
    }

    fn edit(
        &self,
        message: &mut MessageRow,
        content: &str,
        mentions: Option<&records::Mentions>,
        rows: &mut Rows,
    ) -> Result<Amending, InvalidRecord> {
        let earlier = Mentions::in_metadata(&message.metadata);
        let named = mentions.map(Mentions::from_record).transpose()?;
        let metadata = match named.as_ref().filter(|named| **named != earlier) {
            Some(named) => named.written_into(&message.metadata),
            None => message.metadata.clone(),
        };
        // A deletion at or above this record is not seen; the store keeps its later row all the same.
        *message = MessageRow {
            content: content.to_owned(),
            metadata,
            edited_record: self.id,
            deleted_record: MessageId::ZERO,
            stamp: self.stamp,
            ..message.clone()
        };
        rows.messages.push(message.clone());
        let (mentions, earlier) = (named.map(|named| named.to_record()), Some(earlier.to_record()));
        Ok(Amending::Effective(amended::Change::Edited(Edited { mentions, earlier, ..Edited::default() })))
    }

    fn delete(&self, message: &mut MessageRow, rows: &mut Rows) -> Amending {
        *message = MessageRow {
            content: String::new(),
            metadata: String::new(),
            deleted_record: self.id,
            stamp: self.stamp,
            ..message.clone()
        };
        rows.messages.push(message.clone());
        Amending::Effective(amended::Change::Deleted(true))
    }

    fn react(&self, target: MessageId, reaction: &Reaction, known: &mut Known, rows: &mut Rows) -> Amending {
        if !reaction.removed && !self.takes_emoji(target, &reaction.emoji, known) {
            return Amending::Refused(ErrorCode::BadRequest);
        }
        let intervals = known.reactions.entry((target, reaction.emoji.clone())).or_default();
        let own = |row: &&mut ReactionRow| {
            row.user_id == self.key.sender_id && holds_at(row.from_id, row.to_id, self.id)
        };
        match (intervals.iter_mut().find(own), reaction.removed) {
            (Some(row), true) => {
                (row.to_id, row.stamp) = (self.id, self.stamp);
                rows.reactions.push(row.clone());
            }
            (None, false) => {
                let row = ReactionRow {
                    channel_id: self.key.channel_id,
                    message_id: target,
                    emoji: reaction.emoji.clone(),
                    user_id: self.key.sender_id,
                    from_id: self.id,
                    to_id: MessageId::ZERO,
                    stamp: self.stamp,
                };
                rows.reactions.push(row.clone());
                match intervals
                    .iter_mut()
                    .find(|known| known.user_id == row.user_id && known.from_id == row.from_id)
                {
                    Some(same) => *same = row,
                    None => intervals.push(row),
                }
            }
            (Some(_), false) | (None, true) => return Amending::Idle,
        }
        // As the next record will see it.
        let next = MessageId(self.id.0 + 1);
        let users = standing(intervals.iter(), next);
        let count = users.len() as u64;
        let users = users.iter().take(REACTION_USERS_SHOWN).map(|(_, user)| user.as_bytes().to_vec().into());
        let Reaction { emoji, removed } = reaction.clone();
        Amending::Effective(amended::Change::Reacted(Reacted {
            emoji,
            removed,
            count,
            users: users.collect(),
        }))
    }

    /// Whether an emoji stands on the message, or there is room for one more.
    fn takes_emoji(&self, target: MessageId, emoji: &str, known: &Known) -> bool {
        let stands = |rows: &[ReactionRow]| rows.iter().any(|row| holds_at(row.from_id, row.to_id, self.id));
        let on_message =
            known.reactions.iter().filter(|((message, _), rows)| *message == target && stands(rows));
        let (mut count, mut is_there) = (0, false);
        for ((_, one), _) in on_message {
            count += 1;
            is_there |= one == emoji;
        }
        is_there || count < MESSAGE_EMOJI_MAX
    }

    fn pin(&self, target: MessageId, pinned: bool, known: &mut Known, rows: &mut Rows) -> Amending {
        let intervals = known.pins.entry(target).or_default();
        let standing = intervals.iter_mut().find(|row| holds_at(row.from_id, row.to_id, self.id));
        match (standing, pinned) {
            (Some(row), false) => {
                (row.to_id, row.stamp) = (self.id, self.stamp);
                rows.pins.push(*row);
            }
            (None, true) => {
                let row = PinRow {
                    channel_id: self.key.channel_id,
                    message_id: target,
                    from_id: self.id,
                    to_id: MessageId::ZERO,
                    actor_id: self.key.sender_id,
                    stamp: self.stamp,
                };
                rows.pins.push(row);
                match intervals.iter_mut().find(|known| known.from_id == row.from_id) {
                    Some(same) => *same = row,
                    None => intervals.push(row),
                }
            }
            (Some(_), true) | (None, false) => return Amending::Idle,
        }
        Amending::Effective(amended::Change::Pinned(pinned))
    }
}

//! Changes of channels and of who is in them: a channel's settings, memberships and roles as intervals.
//!
//! The Directory has taken versions for them; a record that brings no greater version than the ones below it is a
//! repetition. Members and settings are versioned apart: each row says the version that opened and closed it.

use ringside_types::authorization::{ChannelKind, Operation, Role, allowed};
use ringside_types::{ChannelId, ErrorCode, MessageId, UserId};
use ringside_wire::records::{ChangeBody, Departed, MemberAdded, Membership, MembershipKind, change_body};
use ringside_wire::{InvalidRecord, channel_id, encode, user_id};

use crate::cache::ChannelState;
use crate::events::{effective_of_change, route};
use crate::partition::{Batch, Known, Partition};
use crate::rows::{MembershipRow, SettingsRow, WriteTimestamp};

impl Partition {
    pub(crate) fn membership(
        &mut self,
        id: MessageId,
        stamp: WriteTimestamp,
        record: &Membership,
        known: &Known,
        batch: &mut Batch,
    ) -> Result<(), InvalidRecord> {
        let channel_id = channel_id(&record.channel_id)?;
        let channel = self.cache.channel(channel_id);
        if id <= channel.head.last_effective_id {
            if let Some(row) = known.changes.get(&id) {
                route(&self.slots, channel, channel_id, &effective_of_change(row, None, None)?, batch);
            }
            return Ok(());
        }
        let changed = if channel.settings_at(id).is_some_and(|settings| settings.is_deleted) {
            None
        } else if is_of_settings(record.kind()) {
            change_settings(channel, id, stamp, record, batch)?
        } else {
            change_members(channel, channel_id, id, stamp, record, batch)?
        };
        // Members are not told of what is between the two of a DM.
        let Some(membership) = changed.filter(|_| record.kind() != MembershipKind::Closed) else {
            return Ok(());
        };
        let body = ChangeBody { event: Some(change_body::Event::Membership(membership.clone())) };
        let row = channel.change(id, stamp, encode(&body));
        route(&self.slots, channel, channel_id, &effective_of_change(&row, None, None)?, batch);
        let (seq, change) = (row.seq, row.change);
        batch.rows.changes.push(row);
        let (channel_id, membership) = (record.channel_id.clone(), Some(membership));
        match record.kind() {
            MembershipKind::Created | MembershipKind::Added => {
                let sees_above = hidden_from_joiners(channel, id).0;
                batch.added.push(MemberAdded {
                    channel_id,
                    from_id: id.0,
                    seq,
                    change,
                    membership,
                    sees_above,
                });
            }
            MembershipKind::Removed | MembershipKind::Deleted => {
                batch.departed.push(Departed { channel_id, to_id: id.0, change, membership });
            }
            MembershipKind::Role | MembershipKind::Updated | MembershipKind::Closed => {}
        }
        Ok(())
    }
}

fn is_of_settings(kind: MembershipKind) -> bool {
    matches!(kind, MembershipKind::Updated | MembershipKind::Deleted | MembershipKind::Closed)
}

/// The record with those members whom it changes; `None`: it changes nobody.
fn change_members(
    channel: &mut ChannelState,
    channel_id: ChannelId,
    id: MessageId,
    stamp: WriteTimestamp,
    record: &Membership,
    batch: &mut Batch,
) -> Result<Option<Membership>, InvalidRecord> {
    let users: Vec<UserId> =
        record.members.iter().map(|member| user_id(&member.user_id)).collect::<Result<_, _>>()?;
    let mut members = Vec::new();
    for (user, member) in users.into_iter().zip(&record.members) {
        let rows = intervals(channel, channel_id, user, id, stamp, record, &member.role);
        if !rows.is_empty() {
            members.push(member.clone());
        }
        for row in rows {
            channel.put_interval(row.clone());
            batch.rows.memberships.push(row);
        }
    }
    Ok((!members.is_empty()).then(|| Membership { members, ..record.clone() }))
}

/// The record up to which messages are hidden from who joins by this one; zero: none are.
fn hidden_from_joiners(channel: &ChannelState, id: MessageId) -> MessageId {
    let from_join = channel.settings_at(id).is_some_and(|settings| settings.history_from_join);
    if from_join { id } else { MessageId::ZERO }
}

/// The intervals that a change opens and closes for one user; none: an older or repeated version, or no change.
fn intervals(
    channel: &ChannelState,
    channel_id: ChannelId,
    user: UserId,
    id: MessageId,
    stamp: WriteTimestamp,
    record: &Membership,
    role: &str,
) -> Vec<MembershipRow> {
    if record.version <= channel.version_of(user, id) {
        return Vec::new();
    }
    let open = channel.intervals.get(&user).and_then(|rows| rows.iter().find(|row| row.holds_at(id)));
    let opened = MembershipRow {
        channel_id,
        user_id: user,
        from_id: id,
        to_id: MessageId::ZERO,
        version: record.version,
        to_version: 0,
        from_seq: channel.head.last_seq,
        sees_above: hidden_from_joiners(channel, id),
        role: role.to_owned(),
        stamp,
    };
    let closed =
        |row: &MembershipRow| MembershipRow { to_id: id, to_version: record.version, stamp, ..row.clone() };
    match (open, record.kind()) {
        (Some(row), MembershipKind::Removed) => vec![closed(row)],
        // The role is another, the membership goes on.
        (Some(row), MembershipKind::Role) if row.role != role => {
            let (from_seq, sees_above) = (row.from_seq, row.sees_above);
            vec![closed(row), MembershipRow { from_seq, sees_above, ..opened }]
        }
        // Empty from the start: it remembers the version, so that an addition overtaken by its removal stays out.
        (None, MembershipKind::Removed) => {
            vec![MembershipRow { to_id: id, to_version: record.version, ..opened }]
        }
        (None, MembershipKind::Created | MembershipKind::Added) => vec![opened],
        _ => Vec::new(),
    }
}

/// The record, where it changes what the channel is; `None`: an older or repeated version.
fn change_settings(
    channel: &mut ChannelState,
    id: MessageId,
    stamp: WriteTimestamp,
    record: &Membership,
    batch: &mut Batch,
) -> Result<Option<Membership>, InvalidRecord> {
    if record.version <= channel.settings_version(id) {
        return Ok(None);
    }
    let as_it_is = record.channel.as_ref().ok_or(InvalidRecord::Field("channel"))?;
    let settings = as_it_is.settings.unwrap_or_default();
    let closed = channel.settings_at(id).map(|row| SettingsRow {
        to_id: id,
        to_version: record.version,
        stamp,
        ..*row
    });
    let opened = SettingsRow {
        channel_id: channel.head.channel_id,
        from_id: id,
        to_id: MessageId::ZERO,
        version: record.version,
        to_version: 0,
        kind: ChannelKind::from_name(&as_it_is.r#type).ok_or(InvalidRecord::Field("type"))?,
        admins_post: settings.admins_post,
        history_from_join: settings.history_from_join,
        is_closed: settings.closed,
        is_deleted: record.kind() == MembershipKind::Deleted,
        stamp,
    };
    // What an earlier record closed decides nothing any more.
    channel.settings.retain(|row| row.to_id == MessageId::ZERO || row.to_id >= id);
    for row in closed.into_iter().chain([opened]) {
        channel.put_settings(row);
        batch.rows.settings.push(row);
    }
    Ok(Some(record.clone()))
}

impl ChannelState {
    /// What the channel is held to as the record `id` sees it; `None`: what every new channel is.
    pub(crate) fn settings_at(&self, id: MessageId) -> Option<&SettingsRow> {
        self.settings.iter().find(|row| row.holds_at(id))
    }

    /// The Directory's last version of the settings that the record `id` sees.
    fn settings_version(&self, id: MessageId) -> u64 {
        self.settings.iter().filter(|row| row.from_id < id).map(|row| row.version).max().unwrap_or(0)
    }

    /// Writes settings over those with the same key.
    pub(crate) fn put_settings(&mut self, row: SettingsRow) {
        match self.settings.iter_mut().find(|other| other.from_id == row.from_id) {
            Some(same) => *same = row,
            None => self.settings.push(row),
        }
    }

    /// The role of `user` as the record `id` sees it; `None`: no member, or there is no channel any more.
    pub(crate) fn role_at(&self, user: UserId, id: MessageId) -> Option<Role> {
        if self.settings_at(id).is_some_and(|settings| settings.is_deleted) {
            return None;
        }
        let row = self.intervals.get(&user)?.iter().find(|row| row.holds_at(id))?;
        // A role that this version doesn't know may the least.
        Some(Role::from_name(&row.role).unwrap_or(Role::Guest))
    }

    /// Where records below `id` begin that a member may see; [`MessageId::ZERO`]: with the first.
    pub(crate) fn sees_above(&self, user: UserId, id: MessageId) -> MessageId {
        let row = self.intervals.get(&user).and_then(|rows| rows.iter().find(|row| row.holds_at(id)));
        row.map_or(MessageId::ZERO, |row| row.sees_above)
    }

    /// What the channel is as the record `id` sees it. Of a channel that never changed nothing is known, and every
    /// decision of a partition is the same for all kinds but a DM, whose two are plain members.
    pub(crate) fn kind_at(&self, id: MessageId) -> ChannelKind {
        self.settings_at(id).map_or(ChannelKind::Group, |settings| settings.kind)
    }

    /// Whether the channel is closed as the record `id` sees it.
    pub(crate) fn is_closed_at(&self, id: MessageId) -> bool {
        self.settings_at(id).is_some_and(|settings| settings.is_closed)
    }

    /// Whether `user` may send a message, as the record `id` sees it. Who is not in the channel is told no more: what it is
    /// may not be known here.
    pub(crate) fn may_send(&self, user: UserId, id: MessageId) -> Result<(), ErrorCode> {
        let Some(role) = self.role_at(user, id) else { return Err(ErrorCode::NotAMember) };
        let admins_post = self.settings_at(id).is_some_and(|settings| settings.admins_post);
        let operation = Operation::sending(admins_post).within(self.is_closed_at(id));
        allowed(operation, self.kind_at(id), Some(role)).map_err(|refusal| refusal.code())
    }
}

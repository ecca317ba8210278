//! Rows to write and read back.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ringside_domain::rows::{
    ChangeRow, DeliveredRow, HeadRow, InterestRow, Key, KeyRow, MembershipRow, MessageRow, PinRow,
    ReactionRow, ReadRow, Rows, SettingsRow, SlotRow, WriteTimestamp,
};
use ringside_types::authorization::ChannelKind;
use ringside_types::{ChannelId, ClientId, Epoch, MessageId, Slot, UserId};
use ringside_wire::message::ContentType;
use uuid::Uuid;

/// A stamp of now and `later` microseconds: rows that expire are measured by it.
pub(super) fn stamp(later: u64) -> WriteTimestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    WriteTimestamp(now * 1_000_000 + later)
}

pub(super) fn channel(number: u128) -> ChannelId {
    ChannelId(Uuid::from_u128(0xc0 << 64 | number))
}

pub(super) fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(0xa0 << 64 | number))
}

pub(super) fn message(channel: ChannelId, seq: u64, stamp: WriteTimestamp) -> MessageRow {
    MessageRow {
        channel_id: channel,
        message_id: MessageId(seq * 10),
        prev: MessageId((seq - 1) * 10),
        seq,
        change: 2,
        client_id: ClientId(Uuid::from_u128(u128::from(seq))),
        sender_id: user(1),
        content: format!("message {seq}: ü 日本 \0 🥊"),
        content_type: ContentType::Text,
        metadata: "{\"a\":1}".into(),
        reply_to: MessageId(7),
        edited_record: MessageId::ZERO,
        deleted_record: MessageId::ZERO,
        stamp,
    }
}

pub(super) fn change(channel: ChannelId, change: u64, stamp: WriteTimestamp) -> ChangeRow {
    ChangeRow {
        channel_id: channel,
        change,
        record_id: MessageId(change * 10 + 5),
        prev: MessageId(change * 10),
        seq: 4,
        body: Bytes::from(format!("change {change}")),
        stamp,
    }
}

pub(super) fn head(channel: ChannelId, last_seq: u64, stamp: WriteTimestamp) -> HeadRow {
    HeadRow {
        channel_id: channel,
        last_effective_id: MessageId(last_seq * 10 + 1),
        last_message_id: MessageId(last_seq * 10),
        last_seq,
        last_change: 3,
        stamp,
    }
}

pub(super) fn member(channel: ChannelId, user: UserId, from: u64, stamp: WriteTimestamp) -> MembershipRow {
    MembershipRow {
        channel_id: channel,
        user_id: user,
        from_id: MessageId(from),
        to_id: MessageId::ZERO,
        version: from,
        to_version: 0,
        from_seq: 2,
        sees_above: MessageId(from),
        role: "admin".into(),
        stamp,
    }
}

pub(super) fn settings(channel: ChannelId, from: u64, stamp: WriteTimestamp) -> SettingsRow {
    SettingsRow {
        channel_id: channel,
        from_id: MessageId(from),
        to_id: MessageId::ZERO,
        version: from,
        to_version: 0,
        kind: ChannelKind::Public,
        admins_post: true,
        history_from_join: false,
        is_closed: true,
        is_deleted: false,
        stamp,
    }
}

pub(super) fn reaction(channel: ChannelId, user: UserId, from: u64, stamp: WriteTimestamp) -> ReactionRow {
    let (message_id, emoji) = (MessageId(30), "👍🏽".to_owned());
    let (from_id, to_id) = (MessageId(from), MessageId::ZERO);
    ReactionRow { channel_id: channel, message_id, emoji, user_id: user, from_id, to_id, stamp }
}

pub(super) fn pin(channel: ChannelId, message: u64, from: u64, stamp: WriteTimestamp) -> PinRow {
    let (message_id, from_id, to_id) = (MessageId(message), MessageId(from), MessageId::ZERO);
    PinRow { channel_id: channel, message_id, from_id, to_id, actor_id: user(1), stamp }
}

pub(super) fn key(channel: ChannelId, client: u128, stamp: WriteTimestamp) -> KeyRow {
    let key = Key { channel_id: channel, sender_id: user(1), client_id: ClientId(Uuid::from_u128(client)) };
    KeyRow { key, message_id: MessageId(30), previous: MessageId(20), seq: 3, stamp }
}

pub(super) fn interest(channel: ChannelId, slot: u16, epoch: u64, stamp: WriteTimestamp) -> InterestRow {
    let (slot, epoch) = (Slot(slot), Epoch(epoch));
    InterestRow { channel_id: channel, slot, epoch, n: 2, record_id: MessageId(9), stamp }
}

pub(super) fn slot(slot: u16, epoch: u64, stamp: WriteTimestamp) -> SlotRow {
    SlotRow { slot: Slot(slot), epoch: Epoch(epoch), stamp }
}

pub(super) fn read(user: UserId, channel: ChannelId, seq: u64) -> ReadRow {
    ReadRow { user_id: user, channel_id: channel, last_read_id: MessageId(seq * 10), last_read_seq: seq }
}

pub(super) fn delivered(user: UserId, channel: ChannelId, seq: u64) -> DeliveredRow {
    let (last_delivered_id, last_delivered_seq) = (MessageId(seq * 10), seq);
    DeliveredRow { user_id: user, channel_id: channel, last_delivered_id, last_delivered_seq }
}

/// One row of every table, all of `channel`.
pub(super) fn one_of_each(channel: ChannelId, stamp: WriteTimestamp) -> Rows {
    Rows {
        messages: vec![message(channel, 3, stamp)],
        changes: vec![change(channel, 2, stamp)],
        reactions: vec![reaction(channel, user(1), 50, stamp)],
        pins: vec![pin(channel, 30, 51, stamp)],
        memberships: vec![member(channel, user(1), 5, stamp)],
        settings: vec![settings(channel, 6, stamp)],
        keys: vec![key(channel, 3, stamp)],
        interest: vec![interest(channel, 1, 7, stamp)],
        void_interest: Vec::new(),
        slots: vec![slot(1, 7, stamp)],
        reads: vec![read(user(1), channel, 3)],
        delivered: vec![delivered(user(1), channel, 4)],
    }
}

//! Rows to write and read back.

use std::time::{SystemTime, UNIX_EPOCH};

use ringside_domain::rows::{HeadRow, MessageRow, WriteTimestamp};
use ringside_ports::store::{MessageRange, Order};
use ringside_types::{ChannelId, ClientId, MessageId, PartitionId, UnixMillis, UserId};
use ringside_wire::message::ContentType;
use uuid::Uuid;

/// A stamp of now and `later` microseconds.
pub fn stamp(later: u64) -> WriteTimestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    WriteTimestamp(now * 1_000_000 + later)
}

pub fn channel(number: u128) -> ChannelId {
    ChannelId(Uuid::from_u128(0xc0 << 64 | number))
}

pub fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(0xa0 << 64 | number))
}

/// The first id of a moment, as `2026-11-30T23:59:59.999Z`.
pub fn id_at(time: &str) -> MessageId {
    let time: UnixMillis = serde_json::from_str(&format!("\"{time}\"")).expect("a time");
    MessageId::at(time, PartitionId(3))
}

pub fn message(channel: ChannelId, message_id: MessageId, seq: u64) -> MessageRow {
    MessageRow {
        channel_id: channel,
        message_id,
        prev: MessageId::ZERO,
        seq,
        change: 0,
        client_id: ClientId(Uuid::from_u128(u128::from(seq))),
        sender_id: user(1),
        content: format!("message {seq}"),
        content_type: ContentType::Text,
        metadata: String::new(),
        reply_to: MessageId::ZERO,
        edited_record: MessageId::ZERO,
        deleted_record: MessageId::ZERO,
        stamp: stamp(seq),
    }
}

pub fn head(channel: ChannelId, last_seq: u64) -> HeadRow {
    HeadRow {
        channel_id: channel,
        last_effective_id: MessageId(last_seq * 10),
        last_message_id: MessageId(last_seq * 10),
        last_seq,
        last_change: 0,
        stamp: stamp(last_seq),
    }
}

pub fn range(
    channel: ChannelId,
    after: MessageId,
    before: MessageId,
    limit: usize,
    order: Order,
) -> MessageRange {
    MessageRange { channel_id: channel, after, before, limit, order }
}

/// All of a channel, oldest first.
pub fn all_of(channel: ChannelId) -> MessageRange {
    range(channel, MessageId::ZERO, MessageId::MAX, usize::MAX, Order::OldestFirst)
}

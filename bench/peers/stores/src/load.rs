//! The load: messages, and the four rows of each. The same numbers make the same messages in every engine.

use std::collections::HashMap;

/// Bytes of a record of the log, and of a message's row.
pub const PAYLOAD_BYTES: usize = 250;
/// Partitions of the log.
pub const PARTITIONS: u16 = 4;
/// Channels; each message is of one drawn at random.
pub const CHANNELS: u64 = 10_000;
/// Bytes of a head's row.
pub const HEAD_BYTES: usize = 40;

/// A channel's id.
pub type Channel = [u8; 16];

/// One message.
pub struct Message {
    number: u64,
    channel: Channel,
    payload: [u8; PAYLOAD_BYTES],
}

impl Message {
    /// The message of this number.
    pub fn new(number: u64) -> Self {
        let mut payload = [0; PAYLOAD_BYTES];
        // Random bytes: no engine compresses here, and none could.
        for (index, chunk) in payload.chunks_mut(8).enumerate() {
            let bytes = mixed(number << 8 | index as u64).to_be_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Self { number, channel: channel(mixed(number) % CHANNELS), payload }
    }

    /// (partition, offset) of its record. Offsets grow, with gaps, which no engine minds.
    pub fn log_key(&self) -> [u8; 10] {
        let partition = u16::from(self.channel[15]) % PARTITIONS;
        joined(&[&partition.to_be_bytes(), &self.number.to_be_bytes()])
    }

    /// (channel, message) of its row: a channel's messages lie in order.
    pub fn row_key(&self) -> [u8; 24] {
        joined(&[&self.channel, &self.number.to_be_bytes()])
    }

    /// (channel, sender, client's id) of its idempotency row.
    pub fn idempotency_key(&self) -> [u8; 48] {
        let sender = channel(mixed(!self.number) % (CHANNELS * 2));
        let client = u128::from(mixed(self.number)) << 64 | u128::from(mixed(self.number + 1));
        joined(&[&self.channel, &sender, &client.to_be_bytes()])
    }

    /// What the idempotency row says: the message's id and position.
    pub fn idempotency_value(&self) -> [u8; 16] {
        joined(&[&self.number.to_be_bytes(), &(self.number / CHANNELS).to_be_bytes()])
    }

    /// What the log and the message's row hold.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// What one commit makes durable.
pub struct Batch {
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// The heads that they leave: one a channel, the last.
    pub heads: HashMap<Channel, [u8; HEAD_BYTES]>,
}

impl Batch {
    /// The messages from `first` on.
    pub fn new(first: u64, count: u64) -> Self {
        let messages: Vec<Message> = (first..first + count).map(Message::new).collect();
        let head = |message: &Message| {
            let mut head = [0; HEAD_BYTES];
            head[..8].copy_from_slice(&message.number.to_be_bytes());
            head
        };
        let heads = messages.iter().map(|message| (message.channel, head(message))).collect();
        Self { messages, heads }
    }
}

/// The id of a channel: spread as random ids are.
pub fn channel(number: u64) -> Channel {
    joined(&[&mixed(number).to_be_bytes(), &mixed(number + CHANNELS).to_be_bytes()])
}

fn joined<const BYTES: usize>(parts: &[&[u8]]) -> [u8; BYTES] {
    let mut whole = [0; BYTES];
    let mut from = 0;
    for part in parts {
        whole[from..from + part.len()].copy_from_slice(part);
        from += part.len();
    }
    whole
}

/// The finaliser of SplitMix64: spreads numbers as random ones are.
fn mixed(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

//! Records to bytes and back, and the ids inside them.

use bytes::Bytes;
use prost::Message;
use ringside_types::{ChannelId, ClientId, UserId};

/// The bytes are not a record of the expected kind, or a field in it has an impossible value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// The bytes are not protobuf of this message.
    #[error("not a record of the expected kind: {0}")]
    Encoding(#[from] prost::DecodeError),
    /// A field that every such record has is absent or malformed.
    #[error("the record's field {0} is absent or malformed")]
    Field(&'static str),
}

/// The record's bytes.
pub fn encode(record: &impl Message) -> Bytes {
    record.encode_to_vec().into()
}

/// Reads a record; its byte fields share `bytes`.
pub fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, InvalidRecord> {
    Ok(M::decode(bytes)?)
}

/// A record's `channel_id`.
pub fn channel_id(bytes: &[u8]) -> Result<ChannelId, InvalidRecord> {
    ChannelId::from_slice(bytes).ok_or(InvalidRecord::Field("channel_id"))
}

/// A record's `user_id`, `sender_id` or `actor_id`.
pub fn user_id(bytes: &[u8]) -> Result<UserId, InvalidRecord> {
    UserId::from_slice(bytes).ok_or(InvalidRecord::Field("user_id"))
}

/// A record's `client_id`.
pub fn client_id(bytes: &[u8]) -> Result<ClientId, InvalidRecord> {
    ClientId::from_slice(bytes).ok_or(InvalidRecord::Field("client_id"))
}

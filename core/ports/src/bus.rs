//! The bus: what is told to whoever listens now, and may be lost. Typing and presence.
//!
//! A message reaches a listener at most once, those of one sender and key in order, and is kept for nobody. Who has missed
//! some is told that they have, and asks anew what they must know.

mod backlog;

use std::future::Future;

use bytes::Bytes;
use ringside_types::{ChannelId, UserId};

use crate::EngineError;
pub use backlog::Backlog;

/// Buckets that users are spread over; all processes must agree.
pub const PRESENCE_BUCKETS: u16 = 4_096;
/// Messages that wait for a listener at the most; the oldest give way.
pub const BACKLOG_MESSAGES_MAX: usize = 8_192;
/// Bytes of those messages at the most.
pub const BACKLOG_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a message at the most; more is refused.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Keys that a listener hears at the most; more are refused.
pub const KEYS_MAX: usize = 262_144;
/// Messages that a listener takes at a time at the most.
pub const HEARD_MAX: usize = 1_024;

const _: () = assert!(MESSAGE_BYTES_MAX < BACKLOG_BYTES_MAX, "any message has room when nothing waits");

/// What is told, and listened to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BusKey {
    /// Who types in a channel.
    Typing(ChannelId),
    /// Who of a bucket of users may be seen otherwise; below [`PRESENCE_BUCKETS`].
    Presence(u16),
}

impl BusKey {
    /// Where changes of a user's presence are told.
    pub fn of_user(user: UserId) -> Self {
        // The spread of channels over partitions, which is fixed for ever, does as well for users over buckets.
        Self::Presence(ringside_types::partition_of(ChannelId(user.0), PRESENCE_BUCKETS).0)
    }
}

/// What a listener has heard since it asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The messages, oldest first; at most [`HEARD_MAX`].
    pub messages: Vec<(BusKey, Bytes)>,
    /// Messages before these that were dropped, because the listener was too slow.
    pub dropped: u64,
    /// Some keys were not heard for a while, and are again: anything may have been told of any of them meanwhile.
    pub was_interrupted: bool,
}

/// Tells and listens.
pub trait Bus: Clone + Send + Sync + 'static {
    /// Hears what it has subscribed to.
    type Listener: BusListener;

    /// Tells these messages. Nobody may be listening, and a failure may have told some of them.
    ///
    /// # Errors
    /// `Unavailable` also for a message above [`MESSAGE_BYTES_MAX`]; then none was told.
    fn publish(&self, messages: &[(BusKey, Bytes)]) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// A listener that hears nothing yet.
    fn listener(&self) -> Self::Listener;
}

/// Hears keys, until it is dropped.
pub trait BusListener: Send + 'static {
    /// Hears these keys, too, from the moment of the answer. Where the engine fails, it hears them as soon as the engine is
    /// back, and says that it was interrupted; to ask again does no harm.
    ///
    /// # Errors
    /// `Unavailable` also where it would hear more than [`KEYS_MAX`]; then it hears as many as before.
    fn subscribe(&mut self, keys: &[BusKey]) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Hears these keys no more, whatever comes of the engine; what waits of them may still be heard.
    fn unsubscribe(&mut self, keys: &[BusKey]) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Waits until there is something to hear. Whoever stops waiting loses nothing.
    fn hear(&mut self) -> impl Future<Output = Heard> + Send;
}

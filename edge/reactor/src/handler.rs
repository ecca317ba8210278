//! What a shard does with its connections.

use crate::connection::{CloseReason, ConnectionId};
use crate::io::Io;

/// The number that a handler gave to [`Io::set_timer`].
pub type TimerKey = u64;

/// A shard's logic. One per shard, made and called on the shard's own thread: no locks, no `Send`.
///
/// No method may block. What a method appends to a queue leaves at the end of the turn.
pub trait Handler {
    /// What other threads send to this shard.
    type Mail: Send + 'static;

    /// A connection was accepted, or one of our own was made.
    fn opened(&mut self, io: &mut Io, connection: ConnectionId);

    /// Bytes came. `data` is lent from the receive pool for this call and may be changed in place.
    fn received(&mut self, io: &mut Io, connection: ConnectionId, data: &mut [u8]);

    /// Called once, last, for each opened connection (and, as `ConnectFailed`, for a connection of
    /// our own that could not be made). Its queue is gone; the id is stale from here on.
    fn closed(&mut self, io: &mut Io, connection: ConnectionId, reason: CloseReason);

    /// A timer ran out.
    fn timer(&mut self, io: &mut Io, timer: TimerKey);

    /// Mail came.
    fn mail(&mut self, io: &mut Io, mail: Self::Mail);

    /// The queue of `connection` stood above `send_queue_limit_bytes` for `send_patience_ms`, or passed
    /// what may be waited for.
    ///
    /// The handler may say goodbye: the vector of [`Io::queue`] holds only what the kernel has
    /// not been given, so clearing it drops whole appends, never half a frame; then append the
    /// last words and call [`Io::close_after_flush`]. A connection that is still open and still
    /// above the limit after this call is closed as [`CloseReason::QueueFull`].
    fn overflowed(&mut self, io: &mut Io, connection: ConnectionId) {
        let _ = (io, connection);
    }

    /// End of one turn, after all completions, mail and timers, before the queues are sent.
    fn turn_ended(&mut self, io: &mut Io) {
        let _ = io;
    }
}

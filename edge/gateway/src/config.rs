//! What an operator may set of a gateway, and the limits that the design fixes.

use std::time::Duration;

use ringside_types::Limits;

/// A handshake must be complete this long after the accept.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes after the request that are kept until the handshake is answered.
pub(crate) const EARLY_BYTES_MAX: usize = 4 * 1024;
/// Commands of one connection that wait for an answer at the most.
pub(crate) const CONNECTION_COMMANDS_MAX: u16 = 2_048;
/// Requests that wait for the bridge at the most, before commands are answered `unavailable`.
pub(crate) const REQUESTS_WAITING_MAX: usize = 16_384;
/// A refused hand-over is tried again after this long.
pub(crate) const RETRY: Duration = Duration::from_millis(50);
/// A client that was let go comes back after at least this long, and at the most twice that.
pub(crate) const RETRY_AFTER_MS: u64 = 1_000;
/// A peer answers a close frame within this time, or is cut off.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// The same of a reader that stalled: longer than the reactor's linger, which ends it.
pub(crate) const SLOW_CLOSE_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection reads its next page once less than this waits to be sent to it, in bytes.
pub(crate) const READ_BELOW_BYTES: usize = 64 * 1024;
/// Connections let go in each millisecond of a drain, until its window forces more.
pub(crate) const DRAINED_PER_MS: u64 = 2;

/// A gateway's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The operator's limits.
    pub limits: Limits,
    /// The server pings this often, give or take a tenth, in milliseconds.
    pub heartbeat_interval_ms: u64,
    /// Origins that browsers may connect from: `https://chat.example.org`, without a path.
    pub origins: Vec<String>,
}

//! The limits of one connection that the design fixes. `docs/limits.md` says what happens beyond each.

use std::time::Duration;

/// A handshake must be complete this long after the accept.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes after the request that are kept until the handshake is answered.
pub const EARLY_BYTES_MAX: usize = 4 * 1024;
/// Commands of one connection that may wait for an answer.
pub const CONNECTION_COMMANDS_MAX: u16 = 2_048;
/// Pages with missed messages or changes that one connection may have under way.
pub const PAGES_UNDER_WAY_MAX: usize = 8;
/// Syncs of one connection that may wait behind the one being answered.
pub const SYNCS_WAITING_MAX: usize = 4;
/// A connection asks for pages as long as no more than this waits to be sent to it, in bytes.
pub const READ_BELOW_BYTES: usize = 64 * 1024;
/// A client that was sent away comes back after at least this long, and at most twice that.
pub const RETRY_AFTER_MS: u64 = 1_000;
/// A peer answers a close frame within this time, or is cut off.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for a reader that stalled: longer than the reactor's linger, which ends it.
pub const SLOW_CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

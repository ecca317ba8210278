//! A shard's limits. Every queue, pool and table of the reactor is sized here.

use std::net::SocketAddr;
use std::sync::Arc;

/// Which kernel interface a shard uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// io_uring where the kernel allows it, else poll with one warning.
    #[default]
    Auto,
    /// io_uring or an error.
    Uring,
    /// epoll.
    Poll,
}

/// Default of [`Config::max_connections`].
pub const MAX_CONNECTIONS: u32 = 16_384;
/// Default of [`Config::listen_backlog`].
pub const LISTEN_BACKLOG: u32 = 1024;
/// Default of [`Config::receive_buffer_bytes`]: a chat frame with its headers fits many times.
pub const RECEIVE_BUFFER_BYTES: u32 = 4096;
/// Default of [`Config::receive_buffers`].
pub const RECEIVE_BUFFERS: u16 = 1024;
/// Default of [`Config::submission_entries`]: submit every 256.
pub const SUBMISSION_ENTRIES: u32 = 256;
/// Default of [`Config::completion_entries`]. Locked memory may be 8 MiB for all rings.
pub const COMPLETION_ENTRIES: u32 = 8192;
/// Default of [`Config::ring_descriptors`]: as many as RLIMIT_NOFILE allows.
pub const RING_DESCRIPTORS: u32 = 1 << 23;
/// Default of [`Config::idle_to_watch_ms`].
pub const IDLE_TO_WATCH_MS: u32 = 60_000;
/// Default of [`Config::send_queue_limit_bytes`].
pub const SEND_QUEUE_LIMIT_BYTES: usize = 1 << 20;
/// A queue holds this many times its limit at the most, and one append more. Many senders may say several MiB to one
/// channel in one turn, each within its limits; a reader that takes it in milliseconds is not slow for that. What is said
/// faster than even that is found by syncing.
pub const BURST_FACTOR: usize = 8;
/// Default of [`Config::send_patience_ms`]: a burst of [`BURST_FACTOR`] limits needs some 25 Mbit/s in this time.
pub const SEND_PATIENCE_MS: u32 = 5_000;
/// Default of [`Config::send_stall_ms`]: longer than a telephone needs to change networks.
pub const SEND_STALL_MS: u32 = 30_000;
/// Default of [`Config::send_budget_bytes`]. A burst meets all members of a channel at once: this is one of 4 MiB for 64 of
/// them, and a bound that does not grow with the sockets.
pub const SEND_BUDGET_BYTES: usize = 256 << 20;
/// A queue below this counts for nothing in [`Config::send_budget_bytes`]: most are, and none of them lasts.
pub const SEND_BUDGET_FREE_BYTES: usize = 16 << 10;
/// Default of [`Config::linger_ms`].
pub const LINGER_MS: u32 = 5_000;
/// Default of [`Config::mailbox_capacity`].
pub const MAILBOX_CAPACITY: usize = 16_384;
/// Default of [`Config::mail_per_turn`].
pub const MAIL_PER_TURN: usize = 4096;
/// Upper bound of [`Config::max_connections`]: slots are 24 bits in a completion's token.
pub const MAX_CONNECTIONS_LIMIT: u32 = 1 << 23;
/// Upper bound of [`Config::receive_buffers`]: a buffer ring holds no more.
pub const RECEIVE_BUFFERS_LIMIT: u16 = 1 << 15;

const _: () = assert!(COMPLETION_ENTRIES >= 4 * RECEIVE_BUFFERS as u32);
const _: () = assert!(COMPLETION_ENTRIES >= 4 * SUBMISSION_ENTRIES);
const _: () = assert!(RECEIVE_BUFFERS.is_power_of_two() && RECEIVE_BUFFERS <= RECEIVE_BUFFERS_LIMIT);
const _: () = assert!(MAIL_PER_TURN <= MAILBOX_CAPACITY);
const _: () = assert!(MAX_CONNECTIONS <= MAX_CONNECTIONS_LIMIT);

/// How a shard is built.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which kernel interface.
    pub backend: Backend,
    /// Where to accept connections; port 0 takes a free one ([`crate::ShardHandle::address`] says
    /// which). `None`: a shard that only makes connections.
    pub listen: Option<SocketAddr>,
    /// Connections of one shard, those of its own making included. Accepting stops there and goes
    /// on after closes.
    pub max_connections: u32,
    /// Connections that the kernel may hold complete but not accepted.
    pub listen_backlog: u32,
    /// Bytes of one receive buffer.
    pub receive_buffer_bytes: u32,
    /// Receive buffers of one shard: a power of two.
    pub receive_buffers: u16,
    /// Entries of the submission queue (io_uring): a power of two; a full one is submitted.
    pub submission_entries: u32,
    /// Entries of the completion queue (io_uring): a power of two, at least twice the submissions.
    pub completion_entries: u32,
    /// Direct descriptors of one ring (io_uring), cut to RLIMIT_NOFILE; a shard that needs more
    /// opens further rings, each with its own receive buffers.
    pub ring_descriptors: u32,
    /// Milliseconds without a receive after which a connection is only watched (io_uring): that
    /// saves 600 bytes of the kernel's memory and costs one system call's work to wake. 0: never.
    pub idle_to_watch_ms: u32,
    /// Bytes queued and in flight for one connection above which it is a slow reader if they stand there for
    /// `send_patience_ms`, or at once if they pass [`BURST_FACTOR`] times as much: then
    /// [`crate::Handler::overflowed`] is called.
    pub send_queue_limit_bytes: usize,
    /// Milliseconds that a queue may stand above its limit. 0: none, whatever the kernel would have taken.
    pub send_patience_ms: u32,
    /// Milliseconds within which the kernel must take something of what is in flight for a connection, whatever its
    /// peer sends meanwhile; it is a slow reader otherwise. It may be half as long. 0: no such deadline.
    pub send_stall_ms: u32,
    /// Bytes that all queues of the shard hold together at the most, those below [`SEND_BUDGET_FREE_BYTES`] apart. Beyond
    /// it the connection that has taken nothing for the longest time is not waited for.
    pub send_budget_bytes: usize,
    /// Milliseconds that a closing connection may take to accept what is queued.
    pub linger_ms: u32,
    /// Mails that wait for one shard; a full mailbox is an answer to the sender.
    pub mailbox_capacity: usize,
    /// Mails handled in one turn, so that sockets are not starved.
    pub mail_per_turn: usize,
    /// TLS for accepted connections; `None`: none.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            backend: Backend::Auto,
            listen: None,
            max_connections: MAX_CONNECTIONS,
            listen_backlog: LISTEN_BACKLOG,
            receive_buffer_bytes: RECEIVE_BUFFER_BYTES,
            receive_buffers: RECEIVE_BUFFERS,
            submission_entries: SUBMISSION_ENTRIES,
            completion_entries: COMPLETION_ENTRIES,
            ring_descriptors: RING_DESCRIPTORS,
            idle_to_watch_ms: IDLE_TO_WATCH_MS,
            send_queue_limit_bytes: SEND_QUEUE_LIMIT_BYTES,
            send_patience_ms: SEND_PATIENCE_MS,
            send_stall_ms: SEND_STALL_MS,
            send_budget_bytes: SEND_BUDGET_BYTES,
            linger_ms: LINGER_MS,
            mailbox_capacity: MAILBOX_CAPACITY,
            mail_per_turn: MAIL_PER_TURN,
            tls: None,
        }
    }
}

/// A configuration that can't be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reactor: {field} is {value}, but must be {rule}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it holds.
    pub value: u64,
    /// What it must be.
    pub rule: &'static str,
}

impl Config {
    /// Checks every limit and the relations between them.
    ///
    /// # Errors
    /// The first field that breaks its rule.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |holds: bool, field, value: u64, rule| {
            if holds { Ok(()) } else { Err(ConfigError { field, value, rule }) }
        };
        check(
            (1..=MAX_CONNECTIONS_LIMIT).contains(&self.max_connections),
            "max_connections",
            self.max_connections.into(),
            "between 1 and 8,388,608",
        )?;
        check(
            (1..=65_535).contains(&self.listen_backlog),
            "listen_backlog",
            self.listen_backlog.into(),
            "between 1 and 65,535",
        )?;
        check(
            (64..=1 << 20).contains(&self.receive_buffer_bytes),
            "receive_buffer_bytes",
            self.receive_buffer_bytes.into(),
            "between 64 and 1,048,576",
        )?;
        check(
            self.receive_buffers.is_power_of_two() && self.receive_buffers <= RECEIVE_BUFFERS_LIMIT,
            "receive_buffers",
            self.receive_buffers.into(),
            "a power of two up to 32,768",
        )?;
        check(
            self.submission_entries.is_power_of_two() && self.submission_entries <= 32_768,
            "submission_entries",
            self.submission_entries.into(),
            "a power of two up to 32,768",
        )?;
        check(
            self.completion_entries.is_power_of_two()
                && self.completion_entries >= 2 * self.submission_entries
                && self.completion_entries <= 65_536,
            "completion_entries",
            self.completion_entries.into(),
            "a power of two up to 65,536, at least twice submission_entries",
        )?;
        check(
            (4..=RING_DESCRIPTORS).contains(&self.ring_descriptors),
            "ring_descriptors",
            self.ring_descriptors.into(),
            "between 4 and 8,388,608",
        )?;
        check(
            self.send_queue_limit_bytes > 0 && self.send_queue_limit_bytes <= 1 << 30,
            "send_queue_limit_bytes",
            self.send_queue_limit_bytes as u64,
            "between 1 and 1 GiB",
        )?;
        check(self.mailbox_capacity > 0, "mailbox_capacity", self.mailbox_capacity as u64, "at least 1")?;
        check(self.mail_per_turn > 0, "mail_per_turn", self.mail_per_turn as u64, "at least 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_each_rule_is_checked() {
        assert_eq!(Config::default().validate(), Ok(()));
        let check = |change: fn(&mut Config), field: &str| {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|error| error.field), Err(field));
        };
        check(|c| c.max_connections = 0, "max_connections");
        check(|c| c.listen_backlog = 0, "listen_backlog");
        check(|c| c.receive_buffer_bytes = 1, "receive_buffer_bytes");
        check(|c| c.receive_buffers = 3, "receive_buffers");
        check(|c| c.submission_entries = 100, "submission_entries");
        check(|c| c.completion_entries = 256, "completion_entries");
        check(|c| c.ring_descriptors = 3, "ring_descriptors");
        check(|c| c.send_queue_limit_bytes = 0, "send_queue_limit_bytes");
        check(|c| c.mailbox_capacity = 0, "mailbox_capacity");
        check(|c| c.mail_per_turn = 0, "mail_per_turn");
    }
}

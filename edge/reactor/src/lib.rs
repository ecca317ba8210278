//! The per-core loop: accept, receive, send queues, timers and mailboxes over one kernel interface.
//!
//! A *shard* is one thread with one [`Handler`], a table of connections, a timer wheel and a
//! [`Mailbox`]; shards share nothing. The loop runs in *turns*: wait for the kernel, hand what
//! came to the handler, then mail, then timers, then [`Handler::turn_ended`]; at the end of the
//! turn the queues that the handler appended to are sent, one send per connection.
//!
//! Two backends speak to the kernel, io_uring and poll (epoll through mio). The handler can't tell
//! them apart; [`Backend::Auto`] asks the kernel at start. The vocabulary is in `README.md`.

#![warn(missing_docs)]

mod config;
mod connection;
mod counters;
mod driver;
mod handler;
mod io;
mod listener;
mod mailbox;
mod reactor;
mod send_buffers;
mod shard;
mod table;
mod tls;
pub mod wheel;

pub use config::{BURST_FACTOR, Backend, Config, ConfigError, SEND_BUDGET_FREE_BYTES};
pub use connection::{CloseReason, ConnectionId};
pub use counters::{Counters, CountersSnapshot};
pub use handler::{Handler, TimerKey};
pub use io::Io;
pub use listener::BIND_RETRY;
pub use mailbox::{Full, Mailbox};
pub use shard::{CoreId, ShardHandle, Startup, core_ids, spawn, spawn_shards};
pub use wheel::TimerId;

//! Presence, limits and the bus on Redis, one server or a cluster.
//!
//! * [`RedisPresence`]: who is connected, and limits; all of it in scripts on the server, by the server's clock.
//! * [`RedisBus`]: what is told to whoever listens now, by sharded publish and subscribe.
//! * [`check()`]: what is wrong with the servers, for whoever starts on them.
//! * [`Config`]: where the servers are; [`Counters`]: what was done.

mod bus;
mod check;
mod config;
mod counters;
mod failure;
mod keys;
mod limits;
mod link;
mod nodes;
mod presence;
mod scripts;
mod slots;

pub use bus::{RedisBus, RedisListener};
pub use check::{Finding, check};
pub use config::{ADDRESSES_MAX, CONNECT_TIMEOUT, CONNECTION_LIFE, Config, ConfigError, Mode, TIMEOUT};
pub use counters::Counters;
pub use presence::{CONNECTIONS_OF_USER_MAX, ITEMS_MAX, RedisPresence};

//! Channels and members, and the relay that takes their changes to the log.
//!
//! * [`Conversations`]: the service, over a Directory and the relay.
//! * [`Relay`], [`RelayTask`]: the handle that waits until changes are in the log, and the task that takes them there.

mod conversations;
mod permissions;
mod relay;
mod requests;

pub use conversations::{ADD_MEMBERS_MAX, Conversations};
pub use relay::{
    DAMAGED_ROWS_MAX, LEFTOVERS_INTERVAL, PUBLISH_TIMEOUT, RETRY_PAUSE, ROUND_TIMEOUT, ROWS_MAX, Relay,
    RelayTask,
};

//! A client of the public contract: the machine without I/O, the frames it reads, and a tokio socket around it.
//!
//! The load workers drive [`Machine`] from their own epoll loop; the crash test and the conformance checks use [`Socket`].

mod changes;
mod frames;
mod machine;
mod socket;
mod target;

pub use frames::{FrameError, Message, PageFrame, ServerFrame, SyncedChannel, parse};
pub use machine::{Failure, Input, MAX_INCOMING_BYTES, Machine};
pub use socket::{Incoming, Socket, SocketError};
pub use target::{Target, TargetError};

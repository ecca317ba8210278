//! What the services need of the world, as traits with a contract suite each.
//!
//! Each port has two real implementations or it is no trait: an embedded one, and one for a cluster. One
//! contract suite (`contract`) runs over both. Methods take batches; futures are `Send` and unboxed.

#![warn(missing_docs)]

pub mod accounts;
pub mod bus;
pub mod channels;
pub mod commit;
#[cfg(feature = "contract")]
pub mod contract;
pub mod directory;
mod error;
pub mod keys;
pub mod log;
pub mod people;
pub mod presence;
pub mod store;

pub use accounts::{SignIn, UserReader};
pub use bus::Bus;
pub use channels::{ChannelChanges, ChannelLists, MembershipReader, Outbox};
pub use commit::Committer;
pub use directory::{ChannelDirectory, Directory, People};
pub use error::EngineError;
pub use keys::KeyStore;
pub use log::Log;
pub use people::profiles::Administration;
pub use people::registration::Registration;
pub use presence::Presence;
pub use store::{ChannelReader, MessageStore, PartitionStore};

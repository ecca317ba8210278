//! What the services need of the world, as traits with a contract suite each.
//!
//! Each port has two real implementations or it is no trait: an embedded one, and one for a cluster. One
//! contract suite (`contract`) runs over both. Methods take batches; futures are `Send` and unboxed.

pub mod accounts;
pub mod channels;
pub mod commit;
#[cfg(feature = "contract")]
pub mod contract;
pub mod log;
pub mod presence;
pub mod reading;
pub mod service;
pub mod store;

pub use accounts::Accounts;
pub use channels::Channels;
pub use commit::Committer;
pub use log::Log;
pub use presence::Presence;
pub use store::MessageStore;

/// What an engine answers when it can't do its part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// It may work later: not confirmed, and possibly done all the same.
    #[error("the {engine} engine did not confirm: {cause}")]
    Unavailable {
        /// Which engine.
        engine: &'static str,
        /// In the engine's words.
        cause: String,
    },
    /// What it holds is not what was written; it needs a person.
    #[error("the {engine} engine holds damaged data: {cause}")]
    Damaged {
        /// Which engine.
        engine: &'static str,
        /// What is wrong, and where.
        cause: String,
    },
}

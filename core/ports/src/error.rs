//! How an engine fails, in every port's words.

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

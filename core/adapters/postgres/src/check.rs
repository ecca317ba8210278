//! What a server lacks to keep what the Directory promises.

/// Placeholder.
pub struct Finding;

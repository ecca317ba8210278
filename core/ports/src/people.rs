//! The Directory's people, beside their accounts: profiles, relations, sessions in view, and invitations.

pub mod privacy;
pub mod profiles;
pub mod registration;
pub mod relations;
pub mod sessions;

/// Which part of a list that is ordered by `K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After<K> {
    /// Above this key; `None`: from the first on.
    pub after: Option<K>,
    /// At most so many.
    pub limit: usize,
}

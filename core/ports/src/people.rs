//! The Directory's people, beside their accounts: profiles, relations, sessions in view, and invitations.

pub mod invitations;
pub mod privacy;
pub mod profiles;
pub mod relations;
pub mod sessions;

use crate::Accounts;
use invitations::Invitations;
use profiles::Profiles;
use relations::Relations;
use sessions::Sessions;

/// All that the Directory knows of people.
pub trait People: Accounts + Profiles + Relations + Sessions + Invitations {}

impl<D: Accounts + Profiles + Relations + Sessions + Invitations> People for D {}

/// Which part of a list that is ordered by `K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After<K> {
    /// Above this key; `None`: from the first on.
    pub after: Option<K>,
    /// At most so many.
    pub limit: usize,
}

//! The contracts of the Directory's people.

pub mod erasure;
pub mod invitations;
pub mod profiles;
pub mod relations;
pub mod search;
pub mod sessions;

use ringside_types::{UnixMillis, UserId};
use uuid::Uuid;

use super::accounts::new_user;
use crate::Directory;
use crate::people::After;

const NOW: UnixMillis = UnixMillis(1_000_000);
const LATER: UnixMillis = UnixMillis(2_000_000);

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

/// With users 1 to 9.
async fn peopled<D: Directory>(directory: D) -> D {
    let users: Vec<_> = (1..10).map(new_user).collect();
    directory.create_users(&users).await.expect("creates");
    directory
}

/// From the first on, more than there are.
const fn all<K>() -> After<K> {
    After { after: None, limit: 1_000 }
}

const fn part<K>(after: Option<K>, limit: usize) -> After<K> {
    After { after, limit }
}

//! Addresses from which accounts signed in before: strangers' guesses count apart from theirs.
//!
//! It is memory of this process alone. What it forgets, with a restart too, counts as a stranger's until it signs in.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use ringside_ports::presence::network;
use ringside_types::UserId;

/// Accounts remembered at the most; of more, those that came first are forgotten.
const ACCOUNTS_MAX: usize = 100_000;
/// Addresses of one account; a further one takes the place of the oldest.
const ADDRESSES_MAX: usize = 8;

/// Who signed in from where.
#[derive(Debug, Default)]
pub(crate) struct KnownAddresses(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// Each account's addresses, the latest last.
    addresses: HashMap<UserId, VecDeque<IpAddr>>,
    /// The accounts in the order in which they came.
    order: VecDeque<UserId>,
}

impl KnownAddresses {
    /// Whether the account was signed in to from this address, or another of its network.
    pub(crate) fn knows(&self, user: UserId, address: IpAddr) -> bool {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.addresses.get(&user).is_some_and(|known| known.contains(&network(address)))
    }

    /// The account was signed in to from this address.
    pub(crate) fn remember(&self, user: UserId, address: IpAddr) {
        let address = network(address);
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Remembered { addresses, order } = &mut *remembered;
        if !addresses.contains_key(&user) {
            if order.len() >= ACCOUNTS_MAX
                && let Some(first) = order.pop_front()
            {
                addresses.remove(&first);
            }
            order.push_back(user);
        }
        let known = addresses.entry(user).or_default();
        known.retain(|one| *one != address);
        if known.len() >= ADDRESSES_MAX {
            known.pop_front();
        }
        known.push_back(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn user(number: usize) -> UserId {
        UserId(Uuid::from_u128(number as u128))
    }

    #[test]
    fn an_account_is_known_at_its_latest_addresses() {
        let known = KnownAddresses::default();
        let address = |last: usize| IpAddr::from([192, 0, 2, last as u8]);
        for last in 0..=ADDRESSES_MAX {
            known.remember(user(1), address(last));
        }
        assert!(!known.knows(user(1), address(0)), "the oldest made room");
        assert!(known.knows(user(1), address(1)) && known.knows(user(1), address(ADDRESSES_MAX)));
        assert!(!known.knows(user(2), address(1)), "another account is another");
        known.remember(user(2), "2001:db8::1".parse().expect("an address"));
        assert!(
            known.knows(user(2), "2001:db8::2".parse().expect("an address")),
            "one network is one address"
        );
    }

    #[test]
    fn it_is_bounded() {
        let known = KnownAddresses::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for number in 0..=ACCOUNTS_MAX {
            known.remember(user(number), address);
        }
        assert!(!known.knows(user(0), address) && known.knows(user(ACCOUNTS_MAX), address));
        let remembered = known.0.lock().expect("no panic");
        assert_eq!((remembered.addresses.len(), remembered.order.len()), (ACCOUNTS_MAX, ACCOUNTS_MAX));
    }
}

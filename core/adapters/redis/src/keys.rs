//! What lies where. One hash tag (the part between braces, which alone decides the slot of a Redis Cluster) per user,
//! slot of an edge, and bucket, so that every script touches one slot.

use std::net::IpAddr;

use ringside_ports::bus::BusKey;
use ringside_ports::presence::{Account, Connection};
use ringside_types::{ChannelId, Slot, UserId};
use sha2::{Digest, Sha256};

/// A user's connections: a hash of slot:epoch:number to what each says.
pub(crate) fn session(prefix: &str, user: UserId) -> String {
    format!("{prefix}:session:{{{}}}", user.0.simple())
}

/// The connections that a slot of an edge has, in the order of their epochs.
pub(crate) fn slot(prefix: &str, slot: Slot) -> String {
    format!("{prefix}:slot:{{{}}}", slot.0)
}

/// A connection within its user's hash. Epochs have one width, so that they compare as text.
pub(crate) fn field(connection: &Connection) -> String {
    let Connection { slot, epoch, number, .. } = connection;
    format!("{}:{:016x}:{number:x}", slot.0, epoch.0)
}

/// A connection within its slot's index.
pub(crate) fn member(connection: &Connection) -> String {
    let Connection { user_id, epoch, number, .. } = connection;
    format!("{:016x}:{number:x}:{}", epoch.0, user_id.0.simple())
}

/// Whose connection a member of an index is.
pub(crate) fn user_of(member: &str) -> Option<UserId> {
    uuid::Uuid::try_parse(member.rsplit(':').next()?).ok().map(UserId)
}

/// An account's bucket. Each kind has letters of its own, and ids and addresses can't hold a `:` that would shift them,
/// but for IPv6 addresses, which stand last. What somebody typed is kept as its hash.
pub(crate) fn bucket(prefix: &str, account: &Account) -> String {
    let tag = match account {
        Account::UserMessages(user) => format!("um:{}", user.0.simple()),
        Account::ChannelMessages(channel) => format!("cm:{}", channel.0.simple()),
        Account::SlowMode(channel, user, seconds) => {
            format!("sm:{}:{}:{seconds}", channel.0.simple(), user.0.simple())
        }
        Account::ChannelsMade(user) => format!("cc:{}", user.0.simple()),
        Account::UserRequests(user) => format!("ur:{}", user.0.simple()),
        Account::AddressRegistrations(address) => format!("ar:{}", text_of(address)),
        Account::AddressSignIns(address) => format!("as:{}", text_of(address)),
        Account::LoginGuesses(address, typed) => format!("lg:{}:{}", hash(typed), text_of(address)),
        Account::StrangersGuesses(user) => format!("sg:{}", user.0.simple()),
        Account::KnownAddressGuesses(user, address) => {
            format!("kg:{}:{}", user.0.simple(), text_of(address))
        }
        Account::PasswordChangeGuesses(user) => format!("pg:{}", user.0.simple()),
    };
    format!("{prefix}:rate:{{{tag}}}")
}

/// Where a key of the bus is told.
pub(crate) fn channel(prefix: &str, key: BusKey) -> String {
    match key {
        BusKey::Typing(channel) => format!("{prefix}:typing:{{{}}}", channel.0.simple()),
        BusKey::Presence(bucket) => format!("{prefix}:presence:{{{bucket}}}"),
    }
}

/// The key that is told there; `None`: it is none of ours.
pub(crate) fn key_of(prefix: &str, channel: &str) -> Option<BusKey> {
    let (kind, tag) = channel.strip_prefix(prefix)?.strip_prefix(':')?.split_once(':')?;
    let tag = tag.strip_prefix('{')?.strip_suffix('}')?;
    match kind {
        "typing" => uuid::Uuid::try_parse(tag).ok().map(|id| BusKey::Typing(ChannelId(id))),
        "presence" => tag.parse().ok().map(BusKey::Presence),
        _ => None,
    }
}

/// IPv4 and IPv6 are told apart, whatever they look like.
fn text_of(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("4:{v4}"),
        IpAddr::V6(v6) => format!("6:{:032x}", v6.to_bits()),
    }
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringside_types::{Epoch, SessionId};
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use uuid::Uuid;

    #[test]
    fn every_account_has_a_key_of_its_own() {
        let id = Uuid::from_u128(7);
        let (user, channel, nil) = (UserId(id), ChannelId(id), UserId(Uuid::nil()));
        let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()));
        let accounts = [
            Account::UserMessages(user),
            Account::UserMessages(nil),
            Account::ChannelMessages(channel),
            Account::SlowMode(channel, user, 5),
            Account::SlowMode(channel, user, 6),
            Account::SlowMode(channel, nil, 5),
            Account::ChannelsMade(user),
            Account::UserRequests(user),
            Account::AddressRegistrations(v4),
            Account::AddressRegistrations(v6),
            Account::AddressRegistrations(Ipv6Addr::LOCALHOST.into()),
            Account::AddressSignIns(v4),
            Account::AddressSignIns(v6),
            Account::LoginGuesses(v4, String::new()),
            Account::LoginGuesses(v4, "}:{".into()),
            Account::LoginGuesses(v4, id.to_string()),
            Account::LoginGuesses(v6, id.to_string()),
            Account::StrangersGuesses(user),
            Account::StrangersGuesses(nil),
            Account::KnownAddressGuesses(user, v4),
            Account::KnownAddressGuesses(nil, v4),
            Account::KnownAddressGuesses(user, v6),
            Account::PasswordChangeGuesses(user),
            Account::PasswordChangeGuesses(nil),
        ];
        let keys: BTreeSet<String> = accounts.iter().map(|account| bucket("p", account)).collect();
        assert_eq!(keys.len(), accounts.len(), "{keys:#?}");
        assert!(keys.iter().all(|key| key.matches(['{', '}']).count() == 2), "one hash tag: {keys:#?}");
    }

    #[test]
    fn what_was_typed_is_in_no_key() {
        let key = bucket("p", &Account::LoginGuesses(Ipv4Addr::LOCALHOST.into(), "ada@example.org".into()));
        assert!(!key.contains("ada") && !key.contains("example"), "{key}");
    }

    #[test]
    fn channels_tell_their_keys() {
        for key in
            [BusKey::Presence(0), BusKey::Presence(4_095), BusKey::Typing(ChannelId(Uuid::from_u128(7)))]
        {
            assert_eq!(key_of("a:b", &channel("a:b", key)), Some(key));
            assert_eq!(key_of("a", &channel("a:b", key)), None);
        }
    }

    #[test]
    fn members_stand_in_the_order_of_their_epochs() {
        let user_id = UserId(Uuid::from_u128(7));
        let of = |epoch, number| {
            let session_id = SessionId(Uuid::nil());
            member(&Connection { user_id, session_id, slot: Slot(1), epoch: Epoch(epoch), number })
        };
        assert!(of(9, u64::MAX) < of(10, 0) && of(10, 0) < of(u64::MAX, 0));
        assert_eq!(user_of(&of(1, 2)), Some(user_id));
        assert_eq!(user_of("something else"), None);
    }
}

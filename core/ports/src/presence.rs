//! Presence: who is connected, and the limits that are counted per user, channel, account and address.
//!
//! All of it may be lost at any time; then presence and limits suffer, never a message.

use serde::{Deserialize, Serialize};
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};

use ringside_types::{Epoch, SessionId, Slot, UserId};

use crate::EngineError;

/// A live connection of a user.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Connection {
    /// The user.
    pub user_id: UserId,
    /// The session that its token belongs to.
    pub session_id: SessionId,
    /// The edge's slot,
    pub slot: Slot,
    /// and lease: the connection is live while the epoch is.
    pub epoch: Epoch,
    /// The connection's number on that edge.
    pub number: u64,
}

/// What a user says of being there, connection by connection; and what comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Status {
    /// There.
    #[default]
    Online,
    /// There, and not looking.
    Away,
    /// There, and not to be disturbed.
    Dnd,
    /// Not there, or not to be seen.
    Offline,
}

impl Status {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Dnd => "dnd",
            Self::Offline => "offline",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Online, Self::Away, Self::Dnd, Self::Offline].into_iter().find(|status| status.name() == name)
    }

    /// The status of a user by those of their connections: any that must not be disturbed counts first, then any that
    /// is there, then any that is away.
    pub fn of_all(connections: impl IntoIterator<Item = Self>) -> Self {
        let weight = |status: &Self| match status {
            Self::Dnd => 3,
            Self::Online => 2,
            Self::Away => 1,
            Self::Offline => 0,
        };
        connections.into_iter().max_by_key(weight).unwrap_or(Self::Offline)
    }
}

/// What a charge is counted against.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Account {
    /// Messages of a user.
    UserMessages(UserId),
    /// Messages in a channel.
    ChannelMessages(ringside_types::ChannelId),
    /// A member's next message in a channel whose slow mode asks for so many seconds between two.
    SlowMode(ringside_types::ChannelId, UserId, u32),
    /// Channels that a user makes with others in them, and additions of others.
    ChannelsMade(UserId),
    /// REST requests of a user.
    UserRequests(UserId),
    /// Registrations from an address.
    AddressRegistrations(IpAddr),
    /// Sign-ins, renewals and sign-outs from an address.
    AddressSignIns(IpAddr),
    /// Failed logins from an address, by what was typed there: the same whether that is anybody's login or not.
    LoginGuesses(IpAddr, String),
    /// Failed logins of an account from all addresses that never signed in to it; the nil user's are those of no account.
    StrangersGuesses(UserId),
    /// Failed logins of an account from an address that signed in to it before.
    KnownAddressGuesses(UserId, IpAddr),
    /// Wrong current passwords where a user changes theirs.
    PasswordChangeGuesses(UserId),
}

impl Account {
    /// What slow mode of so many seconds asks of a member's next message.
    pub const fn slow_mode(channel: ringside_types::ChannelId, user: UserId, seconds: u32) -> Charge {
        Charge {
            account: Self::SlowMode(channel, user, seconds),
            rate: Rate { per_minute: if seconds == 0 { 0 } else { 60 }, burst: seconds },
            tokens: seconds,
        }
    }
}

/// What of an address counts: whoever has one IPv6 address has the 2^64 of its network, so the network is what counts.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A token bucket's measures.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// Tokens that come back each minute; 0: no limit.
    pub per_minute: u32,
    /// Tokens that a rested bucket holds.
    pub burst: u32,
}

/// Tokens asked of one bucket.
#[derive(Clone, PartialEq, Debug)]
pub struct Charge {
    /// Whose bucket.
    pub account: Account,
    /// Its measures.
    pub rate: Rate,
    /// How many; more than the burst are never there.
    pub tokens: u32,
}

impl Charge {
    /// One token.
    pub const fn one(account: Account, rate: Rate) -> Self {
        Self { account, rate, tokens: 1 }
    }
}

/// What a bucket answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RateDecision {
    /// Granted; so many tokens are left.
    Granted {
        /// Whole tokens left.
        remaining: u32,
    },
    /// Refused.
    Refused {
        /// A token is there again after this long, in milliseconds.
        retry_after_ms: u64,
    },
}

/// What several buckets answer that were asked together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum JointDecision {
    /// Each granted its tokens.
    Granted,
    /// None was taken from: a bucket refused.
    Refused {
        /// Which of the charges would have to wait longest.
        charge: usize,
        /// Its tokens are there again after this long, in milliseconds.
        retry_after_ms: u64,
    },
}

/// A user's status over all their connections, before and after something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusChange {
    /// As it was.
    pub before: Status,
    /// As it is now.
    pub after: Status,
}

/// Who is connected, and what they have used of their limits.
pub trait Presence: Clone + Send + Sync + 'static {
    /// Adds connections in order, each unless its user has `limit` already (0: no limit); says which were added.
    fn connect(
        &self,
        connections: &[Connection],
        limit: u32,
    ) -> impl Future<Output = Result<Vec<bool>, EngineError>> + Send;

    /// Removes connections in order; unknown ones change nothing.
    fn disconnect(
        &self,
        connections: &[Connection],
    ) -> impl Future<Output = Result<Vec<StatusChange>, EngineError>> + Send;

    /// Sets what connections say, in order; unknown ones change nothing. A new connection says that its user is online.
    fn set_status(
        &self,
        statuses: &[(Connection, Status)],
    ) -> impl Future<Output = Result<Vec<StatusChange>, EngineError>> + Send;

    /// The status of each user over all their connections, in the order asked.
    fn statuses(&self, users: &[UserId]) -> impl Future<Output = Result<Vec<Status>, EngineError>> + Send;

    /// The slot has a new lease: connections of its earlier ones are gone. Returns whose they were, each once.
    fn end_leases(
        &self,
        slot: Slot,
        before: Epoch,
    ) -> impl Future<Output = Result<Vec<UserId>, EngineError>> + Send;

    /// Takes the tokens of each charge from its bucket, in order. A charge that is refused takes nothing.
    fn charge(
        &self,
        charges: &[Charge],
    ) -> impl Future<Output = Result<Vec<RateDecision>, EngineError>> + Send;

    /// Takes the tokens of each group's charges, in order of the groups: all of a group's, or, where one of its buckets
    /// refuses, none. What one limit refuses costs nobody anything who shares another.
    fn charge_jointly(
        &self,
        groups: &[Vec<Charge>],
    ) -> impl Future<Output = Result<Vec<JointDecision>, EngineError>> + Send;

    /// Gives the tokens back to the bucket of each charge, never above its burst: what it was taken for did not count.
    fn refund(&self, charges: &[Charge]) -> impl Future<Output = Result<(), EngineError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::{Status, network};

    #[test]
    fn a_status_is_over_all_connections() {
        use Status::{Away, Dnd, Offline, Online};
        let check = |connections: &[Status], expected| {
            assert_eq!(Status::of_all(connections.iter().copied()), expected, "{connections:?}");
        };
        check(&[], Offline);
        check(&[Offline, Offline], Offline);
        check(&[Offline, Away], Away);
        check(&[Online, Away], Online);
        check(&[Online, Dnd, Away], Dnd);
    }

    #[test]
    fn one_network_has_one_limit() {
        let check = |one: &str, other: &str, are_same: bool| {
            let [one, other] = [one, other].map(|text| network(text.parse().expect("an address")));
            assert_eq!(one == other, are_same, "{one} {other}");
        };
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:0:0:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }
}

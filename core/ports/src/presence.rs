//! Presence: who is connected, and the limits that are counted per user, channel, account and address.
//!
//! All of it may be lost at any time; then presence and limits suffer, never a message.

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
    /// and tenure: the connection is live while the epoch is.
    pub epoch: Epoch,
    /// The connection's number on that edge.
    pub number: u64,
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
    /// REST requests of a user.
    UserRequests(UserId),
    /// Registrations from an address.
    AddressRegistrations(IpAddr),
    /// Sign-ins, renewals and sign-outs from an address.
    AddressSignIns(IpAddr),
    /// Failed logins of an account, by what was typed.
    LoginFailures(String),
}

impl Account {
    /// What one charge takes: a token, or of slow mode as many as it asks for seconds.
    pub const fn tokens(&self) -> u32 {
        match self {
            Self::SlowMode(_, _, seconds) => *seconds,
            _ => 1,
        }
    }

    /// What slow mode of so many seconds asks of a member's next message.
    pub const fn slow_mode(channel: ringside_types::ChannelId, user: UserId, seconds: u32) -> Charge {
        Charge {
            account: Self::SlowMode(channel, user, seconds),
            rate: Rate { per_minute: if seconds == 0 { 0 } else { 60 }, burst: seconds },
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

/// One token asked of one bucket.
#[derive(Clone, PartialEq, Debug)]
pub struct Charge {
    /// Whose bucket.
    pub account: Account,
    /// Its measures.
    pub rate: Rate,
}

/// What a bucket answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
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

/// Who is connected, and what they have used of their limits.
pub trait Presence: Clone + Send + Sync + 'static {
    /// Adds a connection, unless its user has `limit` already (0: no limit); says whether it was added.
    fn connect(
        &self,
        connection: Connection,
        limit: u32,
    ) -> impl Future<Output = Result<bool, EngineError>> + Send;

    /// Removes connections; unknown ones are ignored.
    fn disconnect(&self, connections: &[Connection]) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// The live connections of each user, in the order asked.
    fn connections(
        &self,
        users: &[UserId],
    ) -> impl Future<Output = Result<Vec<Vec<Connection>>, EngineError>> + Send;

    /// Takes the [`tokens`](Account::tokens) of each charge from its bucket, in order. A charge that is refused takes nothing.
    fn charge(&self, charges: &[Charge]) -> impl Future<Output = Result<Vec<Verdict>, EngineError>> + Send;

    /// Gives the tokens back to the bucket of each charge, never above its burst: what it was taken for did not count.
    fn refund(&self, charges: &[Charge]) -> impl Future<Output = Result<(), EngineError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::network;

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

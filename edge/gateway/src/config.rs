//! What an operator may set of a gateway, and the limits that the design fixes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ringside_session::context::Settings;
use ringside_session::origins::Origins;
use ringside_types::Limits;
use ringside_types::forwarded::TrustedProxies;

/// Connections beyond [`Config::connections_max`] that the reactor must hold, so that the next can be answered.
pub const SPARE_CONNECTIONS: u32 = 64;
/// So many of these are always free: for each connection beyond, one that has not asked for anything gives way.
pub(crate) const FREE_CONNECTIONS: u32 = SPARE_CONNECTIONS / 2;
/// Requests that wait for the node at the most, before commands are answered `unavailable`.
pub(crate) const REQUESTS_WAITING_MAX: usize = 16_384;
/// A refused hand-over is tried again after this long.
pub(crate) const RETRY: Duration = Duration::from_millis(50);
/// Connections let go in each millisecond of a drain, until its window forces more.
pub(crate) const DRAINED_PER_MS: u64 = 2;

#[derive(Clone, Debug)]
pub struct Config {
    pub limits: Limits,
    /// The server pings this often, give or take a tenth, in milliseconds.
    pub heartbeat_interval_ms: u64,
    /// Whose pages may connect.
    pub origins: Origins,
    /// Connections of one shard that are let in. The reactor holds [`SPARE_CONNECTIONS`] more.
    pub connections_max: u32,
    /// Proxies whose `X-Forwarded-*` headers count.
    pub trusted_proxies: TrustedProxies,
    /// Who is behind a connection.
    pub peers: PeerLookup,
}

impl Config {
    pub(crate) fn session_settings(&self) -> Settings {
        Settings {
            limits: self.limits.clone(),
            heartbeat_interval_ms: self.heartbeat_interval_ms,
            origins: self.origins.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
        }
    }
}

/// Who is at the other end of a connection with this peer: somebody else, where the peer is a relay of this process.
#[derive(Clone)]
pub struct PeerLookup(Arc<dyn Fn(SocketAddr) -> IpAddr + Send + Sync>);

impl PeerLookup {
    /// Asks this function, which must not wait.
    pub fn new(lookup: impl Fn(SocketAddr) -> IpAddr + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    pub(crate) fn of(&self, peer: SocketAddr) -> IpAddr {
        (self.0)(peer)
    }
}

/// Every peer is itself.
impl Default for PeerLookup {
    fn default() -> Self {
        Self::new(|peer| peer.ip())
    }
}

impl fmt::Debug for PeerLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerLookup").finish_non_exhaustive()
    }
}

//! Where to connect: a `ws://` address, parsed once.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use thiserror::Error;

/// The edge's address and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The `Host` header.
    pub host: String,
    pub path: String,
    /// The first address that the host resolves to.
    pub address: SocketAddr,
}

/// Why a text is no target.
#[derive(Debug, Error)]
pub enum TargetError {
    /// Only plain `ws://` is spoken here.
    #[error("the edge's address begins with ws://, like ws://127.0.0.1:8081/ws")]
    Scheme,
    /// The host did not resolve.
    #[error("{0} is no address")]
    Resolve(String),
}

impl Target {
    /// The product's path at this address.
    pub fn at(address: SocketAddr) -> Self {
        Self { host: address.to_string(), path: "/ws".to_owned(), address }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let rest = text.strip_prefix("ws://").ok_or(TargetError::Scheme)?;
        let (host, path) = match rest.find('/') {
            Some(slash) => (&rest[..slash], &rest[slash..]),
            None => (rest, "/ws"),
        };
        let resolved = if host.contains(':') { host.to_socket_addrs() } else { (host, 80).to_socket_addrs() };
        let address = resolved.ok().and_then(|mut addresses| addresses.next());
        let address = address.ok_or_else(|| TargetError::Resolve(host.to_owned()))?;
        Ok(Self { host: host.to_owned(), path: path.to_owned(), address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_addresses() {
        let target: Target = "ws://127.0.0.1:8081/ws?x=1".parse().expect("a target");
        assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1:8081", "/ws?x=1"));
        assert_eq!("ws://127.0.0.1:8081".parse::<Target>().expect("a target").path, "/ws");
        assert!(matches!("http://127.0.0.1".parse::<Target>(), Err(TargetError::Scheme)));
    }
}

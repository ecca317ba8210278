//! How a client reached us, through proxies that say so.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, header};
use ringside_types::forwarded::{Forwarded, ForwardedHeaders, TrustedProxies};

/// The other end of a request's connection.
pub fn peer(info: Option<&ConnectInfo<SocketAddr>>) -> IpAddr {
    info.map_or(IpAddr::from([0, 0, 0, 0]), |info| info.0.ip()).to_canonical()
}

/// What proxies have written into a request.
pub fn forwarded_headers(headers: &HeaderMap) -> ForwardedHeaders<'_> {
    let [addresses, hosts, schemes] = TrustedProxies::HEADERS
        .map(|name| headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect());
    ForwardedHeaders { addresses, hosts, schemes }
}

/// How a client reached us: by the name in `Host`, or as a trusted proxy says.
#[derive(Clone, Copy, Debug)]
pub struct Reached<'a> {
    /// The header `Host`: a name or address, perhaps with a port.
    pub host: &'a str,
    /// What a trusted proxy says.
    pub forwarded: Forwarded<'a>,
}

impl<'a> Reached<'a> {
    /// Reads the headers of a request that came from this peer.
    pub fn of(headers: &'a HeaderMap, peer: IpAddr, trusted: &TrustedProxies) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        Self { host, forwarded: trusted.forwarded(peer, &forwarded_headers(headers)) }
    }
}

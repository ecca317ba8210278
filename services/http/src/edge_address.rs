//! Where clients find the edge.

use std::net::{IpAddr, SocketAddr};

use crate::forwarded::Reached;

/// Where the edge is.
#[derive(Clone, Debug)]
pub enum EdgeAddress {
    /// Where the operator says: `wss://chat.example.org/ws`.
    Url(String),
    Socket {
        /// The address; `0.0.0.0` and `[::]` are all of this machine's.
        address: SocketAddr,
        /// Whether it takes TLS alone, as the API does.
        is_tls: bool,
    },
}

impl EdgeAddress {
    /// The URL for a client that reached the API in this way. Behind a proxy that says how, it is the proxy's own address:
    /// what leads to the API's port leads to the edge.
    pub fn url_for(&self, reached: &Reached<'_>) -> String {
        let Reached { host, forwarded } = reached;
        match self {
            Self::Socket { is_tls, .. } if forwarded.host.is_some() || forwarded.is_tls.is_some() => {
                let host = forwarded.host.unwrap_or(host);
                if name(host).is_empty() {
                    return self.url("");
                }
                let scheme = if forwarded.is_tls.unwrap_or(*is_tls) { "wss" } else { "ws" };
                format!("{scheme}://{host}/ws")
            }
            _ => self.url(host),
        }
    }

    /// The URL for a client that found the API as `host` (the header `Host`: a name or address, perhaps with a port).
    ///
    /// An edge that listens on all addresses is found under the same name. One that listens on this machine's loopback
    /// alone is out of reach of whoever came by another name: they are sent to the API's own port, which leads there too.
    pub fn url(&self, host: &str) -> String {
        let (address, is_tls) = match self {
            Self::Url(url) => return url.clone(),
            Self::Socket { address, is_tls } => (address, is_tls),
        };
        let scheme = if *is_tls { "wss" } else { "ws" };
        let name = name(host);
        let place = match address.ip() {
            _ if name.is_empty() => SocketAddr::new(reachable(address.ip()), address.port()).to_string(),
            ip if ip.is_unspecified() => format!("{name}:{}", address.port()),
            ip if ip.is_loopback() && !is_local(name) => host.to_owned(),
            _ => address.to_string(),
        };
        format!("{scheme}://{place}/ws")
    }
}

/// The host without its port; empty where it is none.
fn name(host: &str) -> &str {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    if !host.bytes().all(is_known) {
        return "";
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Whether a name means the machine itself.
fn is_local(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or_else(|_| name.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// An address under which this machine finds itself.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use ringside_types::forwarded::Forwarded;

    use super::*;

    #[test]
    fn the_edge_is_where_the_client_can_reach_it() {
        let socket = |address: &str, is_tls| EdgeAddress::Socket {
            address: address.parse().expect("an address"),
            is_tls,
        };
        let here = socket("127.0.0.1:8081", false);
        let everywhere = socket("0.0.0.0:8081", true);
        let outside = socket("192.0.2.7:8081", false);
        for (edge, host, expected) in [
            (&here, "127.0.0.1:8080", "ws://127.0.0.1:8081/ws"),
            (&here, "localhost:8080", "ws://127.0.0.1:8081/ws"),
            (&here, "[::1]:8080", "ws://127.0.0.1:8081/ws"),
            (&here, "", "ws://127.0.0.1:8081/ws"),
            (&here, "192.0.2.7:8080", "ws://192.0.2.7:8080/ws"),
            (&here, "chat.example.org", "ws://chat.example.org/ws"),
            (&everywhere, "192.0.2.7:8080", "wss://192.0.2.7:8081/ws"),
            (&everywhere, "chat.example.org", "wss://chat.example.org:8081/ws"),
            (&everywhere, "[2001:db8::1]:8080", "wss://[2001:db8::1]:8081/ws"),
            (&everywhere, "[2001:db8::1]", "wss://[2001:db8::1]:8081/ws"),
            (&everywhere, "", "wss://127.0.0.1:8081/ws"),
            (&everywhere, "a/b;c", "wss://127.0.0.1:8081/ws"),
            (&outside, "chat.example.org", "ws://192.0.2.7:8081/ws"),
            (&EdgeAddress::Url("wss://e.example.org/ws".into()), "x", "wss://e.example.org/ws"),
        ] {
            assert_eq!(edge.url(host), expected, "{edge:?} for {host}");
        }
    }

    #[test]
    fn behind_a_proxy_it_is_where_the_proxy_is() {
        let socket = |address: &str| EdgeAddress::Socket {
            address: address.parse().expect("an address"),
            is_tls: false,
        };
        let (here, everywhere) = (socket("127.0.0.1:8081"), socket("0.0.0.0:8081"));
        let said = EdgeAddress::Url("wss://e.example.org/ws".into());
        let chat = Some("chat.example.org");
        for (edge, host, forwarded, is_tls, expected) in [
            (&here, "127.0.0.1:8080", chat, Some(true), "wss://chat.example.org/ws"),
            (&here, "127.0.0.1:8080", Some("localhost:8443"), Some(true), "wss://localhost:8443/ws"),
            (&here, "127.0.0.1:8080", chat, Some(false), "ws://chat.example.org/ws"),
            (&here, "127.0.0.1:8080", chat, None, "ws://chat.example.org/ws"),
            (&here, "chat.example.org", None, Some(true), "wss://chat.example.org/ws"),
            (&everywhere, "ringside:8080", chat, Some(true), "wss://chat.example.org/ws"),
            (&everywhere, "ringside:8080", None, None, "ws://ringside:8081/ws"),
            (&here, "a/b;c", None, Some(true), "ws://127.0.0.1:8081/ws"),
            (&said, "127.0.0.1:8080", chat, Some(true), "wss://e.example.org/ws"),
        ] {
            let reached = Reached { host, forwarded: Forwarded { host: forwarded, is_tls } };
            assert_eq!(edge.url_for(&reached), expected, "{edge:?} for {reached:?}");
        }
    }
}

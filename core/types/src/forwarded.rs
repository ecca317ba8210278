//! What reverse proxies say of a request: whom it is from, and under which address the client reached them.
//!
//! Only proxies that the operator trusts are believed. Each of them either replaces a header or appends one value to
//! it, so that the value of the outermost trusted proxy is found by counting from the right: what a client sent itself
//! stands left of that.

use std::net::IpAddr;

/// A forwarded host is no longer than a domain name and its port.
const HOST_BYTES_MAX: usize = 255 + ":65535".len();

/// The proxies that are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpAddr>);

/// The values of the `X-Forwarded-*` headers, line by line as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedHeaders<'a> {
    /// `X-Forwarded-For`: addresses.
    pub addresses: Vec<&'a str>,
    /// `X-Forwarded-Host`: what the client's `Host` was.
    pub hosts: Vec<&'a str>,
    /// `X-Forwarded-Proto`: `https` or `http`.
    pub schemes: Vec<&'a str>,
}

/// A request as its client sees it, where a trusted proxy tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded<'a> {
    /// The host, perhaps with a port, that the client asked.
    pub host: Option<&'a str>,
    /// Whether the client came over TLS.
    pub is_tls: Option<bool>,
}

impl From<Vec<IpAddr>> for TrustedProxies {
    fn from(addresses: Vec<IpAddr>) -> Self {
        Self(addresses.into_iter().map(|address| address.to_canonical()).collect())
    }
}

impl TrustedProxies {
    /// The names of the headers, for whoever gathers their lines: [`ForwardedHeaders`] in its order.
    pub const HEADERS: [&'static str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

    /// Their addresses, in the canonical form: IPv4 where it was mapped into IPv6.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.0
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether what this peer says of others is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.0.contains(&peer.to_canonical())
    }

    /// Whom a request is from: the nearest address that is no trusted proxy.
    pub fn client(&self, peer: IpAddr, headers: &ForwardedHeaders<'_>) -> IpAddr {
        let mut nearest = peer.to_canonical();
        for hop in values(&headers.addresses).into_iter().rev() {
            if !self.trusts(nearest) {
                break;
            }
            let Ok(address) = hop.parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
        }
        nearest
    }

    /// How the client reached the outermost trusted proxy; nothing where the peer is none.
    pub fn forwarded<'a>(&self, peer: IpAddr, headers: &ForwardedHeaders<'a>) -> Forwarded<'a> {
        if !self.trusts(peer) {
            return Forwarded::default();
        }
        let addresses = values(&headers.addresses);
        let is_trusted = |hop: &&&str| hop.parse().is_ok_and(|address| self.trusts(address));
        let proxies = 1 + addresses.iter().rev().take_while(is_trusted).count();
        let said = |lines: &[&'a str]| -> Option<&'a str> {
            let values = values(lines);
            values.get(values.len().saturating_sub(proxies)).copied()
        };
        let is_tls = match said(&headers.schemes).map(str::to_ascii_lowercase).as_deref() {
            Some("https" | "wss") => Some(true),
            Some("http" | "ws") => Some(false),
            _ => None,
        };
        Forwarded { host: said(&headers.hosts).filter(|host| is_host(host)), is_tls }
    }
}

/// The elements of comma-separated lists.
fn values<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let all = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    all.filter(|value| !value.is_empty()).collect()
}

/// A name or an address, perhaps with a port.
fn is_host(host: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
    !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn trusted(addresses: &[&str]) -> TrustedProxies {
        let addresses: Vec<IpAddr> =
            addresses.iter().map(|address| address.parse().expect("an address")).collect();
        addresses.into()
    }

    #[test]
    fn only_trusted_peers_are_believed_whom_a_request_is_from() {
        let check = |line: &str, proxies: &[&str], wanted: &str| {
            let headers = ForwardedHeaders { addresses: vec![line], ..ForwardedHeaders::default() };
            let client = trusted(proxies).client(PROXY.parse().expect("an address"), &headers);
            assert_eq!(client.to_string(), wanted, "{line}");
        };
        check("1.1.1.1", &[], PROXY);
        check("1.1.1.1", &[PROXY], "1.1.1.1");
        check("6.6.6.6, 1.1.1.1", &[PROXY], "1.1.1.1");
        check("6.6.6.6, 1.1.1.1, 10.0.0.2", &[PROXY, "10.0.0.2"], "1.1.1.1");
        check("junk, 10.0.0.2", &[PROXY, "10.0.0.2"], "10.0.0.2");
        check("", &[PROXY], PROXY);
        check("::ffff:1.1.1.1", &["::ffff:10.0.0.1"], "1.1.1.1");
    }

    #[test]
    fn the_outermost_trusted_proxy_says_how_the_client_reached_it() {
        let check = |proxies: &[&str], lines: [&[&str]; 3], wanted: (Option<&str>, Option<bool>)| {
            let [addresses, hosts, schemes] = lines.map(<[&str]>::to_vec);
            let headers = ForwardedHeaders { addresses, hosts, schemes };
            let forwarded = trusted(proxies).forwarded(PROXY.parse().expect("an address"), &headers);
            assert_eq!((forwarded.host, forwarded.is_tls), wanted, "{headers:?}");
        };
        let chat = Some("chat.example.org");
        check(&[], [&[], &["chat.example.org"], &["https"]], (None, None));
        check(&["10.0.0.9"], [&[], &["chat.example.org"], &["https"]], (None, None));
        check(&[PROXY], [&[], &["chat.example.org"], &["HTTPS"]], (chat, Some(true)));
        check(&[PROXY], [&["1.1.1.1"], &["chat.example.org"], &["http"]], (chat, Some(false)));
        // A proxy that appends: what the client sent itself stands before it.
        check(
            &[PROXY],
            [&["1.1.1.1"], &["evil.example", "chat.example.org"], &["http, https"]],
            (chat, Some(true)),
        );
        // Two proxies that append, and two that replace.
        let both = [PROXY, "10.0.0.2"];
        let hops: &[&str] = &["1.1.1.1, 10.0.0.2"];
        check(
            &both,
            [hops, &["evil.example, chat.example.org, inner:8080"], &["https,http"]],
            (chat, Some(true)),
        );
        check(&both, [hops, &["chat.example.org"], &["https"]], (chat, Some(true)));
        check(&[PROXY], [&[], &["[2001:db8::1]:8443"], &[]], (Some("[2001:db8::1]:8443"), None));
        for bad in ["a b", "a;script-src *", "a/b", "user@a", "ä", ""] {
            check(&[PROXY], [&[], &[bad], &["gopher"]], (None, None));
        }
        let long = "a".repeat(HOST_BYTES_MAX + 1);
        check(&[PROXY], [&[], &[&long], &[]], (None, None));
    }
}

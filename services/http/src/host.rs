//! Whom a request is for: its `Host` line (RFC 9112 section 3.2), and what a trusted proxy says that line was.

use std::net::{IpAddr, SocketAddr};

use crate::forwarded::forwarded_headers;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Version};
use ringside_types::forwarded::TrustedProxies;

/// Which requests a port answers.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// The names that it has.
    pub allowed: AllowedHosts,
    /// Proxies that say by which name a request came to them.
    pub trusted: TrustedProxies,
}

impl Hosts {
    /// Whether a request of this peer is for this port. Where a trusted proxy says by which name it was asked, that name
    /// must be ours as well as the one in `Host`: a page can write the proxy's header itself, but not `Host`.
    pub(crate) fn check(&self, version: Version, headers: &HeaderMap, peer: IpAddr) -> Result<(), HostError> {
        self.allowed.check(version, headers)?;
        match self.trusted.forwarded(peer, &forwarded_headers(headers)).host {
            Some(host) => self.allowed.check_name(host),
            None => Ok(()),
        }
    }
}

/// The names that a port answers to.
#[derive(Clone, Debug)]
pub enum AllowedHosts {
    /// Any: whoever runs it gives it names that it doesn't know.
    Any,
    /// The address that it is bound to, `localhost`, and these. A page whose own name was made to resolve to the port's
    /// address (DNS rebinding) names itself, and gets nothing.
    Only {
        /// Where the port is.
        bound: SocketAddr,
        /// Further names, lower case.
        names: Vec<String>,
    },
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostError {
    /// 400: no `Host`, more than one, or none that can be read.
    Invalid,
    /// 421: for somebody else.
    NotAllowed,
}

impl AllowedHosts {
    /// Whether a request is for this port.
    fn check(&self, version: Version, headers: &HeaderMap) -> Result<(), HostError> {
        let mut lines = headers.get_all(HOST).iter();
        let host = match (lines.next(), lines.next()) {
            (Some(host), None) => host,
            // HTTP/1.0 has none.
            (None, _) if version == Version::HTTP_10 => return self.unnamed(),
            _ => return Err(HostError::Invalid),
        };
        self.check_name(host.to_str().map_err(|_| HostError::Invalid)?)
    }

    fn check_name(&self, host: &str) -> Result<(), HostError> {
        let host = Authority::try_from(host).map_err(|_| HostError::Invalid)?;
        if host.as_str().contains('@') {
            return Err(HostError::Invalid);
        }
        match self {
            Self::Any => Ok(()),
            Self::Only { bound, names } => {
                is_ours(host.host(), bound.ip(), names).then_some(()).ok_or(HostError::NotAllowed)
            }
        }
    }

    fn unnamed(&self) -> Result<(), HostError> {
        match self {
            Self::Any => Ok(()),
            Self::Only { .. } => Err(HostError::NotAllowed),
        }
    }
}

fn is_ours(host: &str, bound: IpAddr, names: &[String]) -> bool {
    let host = host.to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        // Bound to all, it can't know by which of them a container or a router passes requests on.
        return bound.is_unspecified() || address.to_canonical() == bound.to_canonical();
    }
    host == "localhost" || names.contains(&host)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(bound: &str, hosts: &[&str]) -> Result<(), HostError> {
        let bound = SocketAddr::new(bound.parse().expect("an address"), 8082);
        let names = AllowedHosts::Only { bound, names: vec!["metrics.example.org".into()] };
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).expect("a value"));
        }
        names.check(Version::HTTP_11, &headers)
    }

    #[test]
    fn one_host_line_that_is_ours() {
        for (bound, host, is_ours) in [
            ("127.0.0.1", "127.0.0.1:8082", true),
            ("127.0.0.1", "LOCALHOST:9", true),
            ("127.0.0.1", "metrics.example.org", true),
            ("127.0.0.1", "192.0.2.1:8082", false),
            ("127.0.0.1", "evil.example.org:8082", false),
            ("127.0.0.1", "127.0.0.1.example.org", false),
            ("::1", "[::1]:8082", true),
            ("0.0.0.0", "192.0.2.1:8082", true),
            ("::", "[2001:db8::1]", true),
            ("0.0.0.0", "evil.example.org", false),
        ] {
            let expected = if is_ours { Ok(()) } else { Err(HostError::NotAllowed) };
            assert_eq!(check(bound, &[host]), expected, "{host} at {bound}");
        }
    }

    #[test]
    fn what_a_trusted_proxy_says_it_was_asked_for_must_be_ours_too() {
        let bound = SocketAddr::from(([127, 0, 0, 1], 8082));
        let allowed = AllowedHosts::Only { bound, names: vec!["metrics.example.org".into()] };
        let proxy = IpAddr::from([10, 0, 0, 1]);
        let hosts = Hosts { allowed, trusted: vec![proxy].into() };
        let check = |peer: IpAddr, host: &'static str, forwarded: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            headers.insert("x-forwarded-host", HeaderValue::from_static(forwarded));
            hosts.check(Version::HTTP_11, &headers, peer)
        };
        let refused = Err(HostError::NotAllowed);
        let stranger = IpAddr::from([192, 0, 2, 9]);
        assert_eq!(check(proxy, "127.0.0.1:8082", "metrics.example.org"), Ok(()));
        assert_eq!(check(proxy, "127.0.0.1:8082", "evil.example.org"), refused);
        assert_eq!(check(proxy, "evil.example.org", "metrics.example.org"), refused);
        assert_eq!(check(stranger, "127.0.0.1:8082", "evil.example.org"), Ok(()), "nobody believes them");
        assert_eq!(check(stranger, "evil.example.org", "metrics.example.org"), refused);
    }

    #[test]
    fn none_two_and_unreadable_ones_are_refused() {
        for hosts in [&[][..], &["localhost", "localhost"], &[""], &["a b"], &["user@localhost"], &["a/b"]] {
            assert_eq!(check("127.0.0.1", hosts), Err(HostError::Invalid), "{hosts:?}");
        }
        let old = AllowedHosts::Any.check(Version::HTTP_10, &HeaderMap::new());
        assert_eq!(old, Ok(()), "HTTP/1.0 has no Host");
    }
}

//! Whose pages may connect.

use ringside_types::forwarded::Forwarded;

/// The origins (RFC 6454) that browsers may connect from.
#[derive(Clone, Debug)]
pub struct Origins {
    /// Each as browsers write it: `https://chat.example.org`, without a path.
    pub listed: Vec<String>,
    /// The port of the API, which serves the web client.
    pub api_port: u16,
}

impl Origins {
    /// Names of this machine that mean another one to everybody else. Their origins are listed, scheme and port.
    const LOCAL: [&str; 2] = ["127.0.0.1", "localhost"];

    /// Whether a page of `origin` may connect to us, whom its browser knows as `host` (the header `Host`): it is listed, or
    /// it came from the API under that same name, directly or through a proxy that passes the name on or says it.
    pub(crate) fn admit(&self, origin: &str, host: &str, forwarded: Forwarded<'_>) -> bool {
        self.listed.iter().any(|listed| listed == origin)
            || match forwarded.host {
                Some(host) => is_same_origin(origin, host, forwarded.is_tls),
                None => self.is_own(origin, host),
            }
    }

    fn is_own(&self, origin: &str, host: &str) -> bool {
        let Some(("http" | "https", authority)) = origin.split_once("://") else { return false };
        let ((page, page_port), (here, port)) = (name_and_port(authority), name_and_port(host));
        page.eq_ignore_ascii_case(here)
            && !Self::LOCAL.contains(&page)
            && (page_port == port || page_port.parse() == Ok(self.api_port))
    }
}

/// Whether a page's origin is this host, as its browser reached it through a proxy: scheme, name and port.
fn is_same_origin(origin: &str, host: &str, is_tls: Option<bool>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match (scheme, is_tls) {
        ("https", Some(true) | None) => "443",
        ("http", Some(false) | None) => "80",
        _ => return false,
    };
    let ((page, page_port), (here, port)) = (name_and_port(authority), name_and_port(host));
    let or_default = |port: &str| if port.is_empty() { default_port.to_owned() } else { port.to_owned() };
    page.eq_ignore_ascii_case(here) && or_default(page_port) == or_default(port)
}

/// The parts of `name:port`, the port empty where there is none; a name may be an IPv6 address in brackets.
fn name_and_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (authority, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_ours_may_connect_under_any_name_and_no_other_may() {
        let origins = Origins { listed: vec!["http://127.0.0.1:8080".into()], api_port: 8080 };
        for (origin, host, admitted) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8081", true),
            ("http://127.0.0.1:8080", "chat.example.org", true),
            // Directly, at the edge's port and at the API's.
            ("http://192.0.2.7:8080", "192.0.2.7:8081", true),
            ("http://192.0.2.7:8080", "192.0.2.7:8080", true),
            ("http://[2001:db8::1]:8080", "[2001:db8::1]:8081", true),
            ("http://[2001:db8::1]:8080", "[2001:db8::1]", true),
            // Through a proxy.
            ("https://chat.example.org", "chat.example.org", true),
            ("https://chat.example.org:8443", "Chat.Example.org:8443", true),
            ("https://chat.example.org", "127.0.0.1:8080", false),
            ("https://chat.example.org:8443", "chat.example.org", false),
            ("http://192.0.2.7:9000", "192.0.2.7:8081", false),
            ("http://192.0.2.8:8080", "192.0.2.7:8080", false),
            ("http://[2001:db8::2]", "[2001:db8::1]", false),
            // What is ours on this machine is listed.
            ("https://127.0.0.1:8080", "127.0.0.1:8080", false),
            ("http://localhost:8081", "localhost:8081", false),
            ("null", "null", false),
            ("file://", "", false),
            ("chat.example.org", "chat.example.org", false),
            ("ftp://chat.example.org", "chat.example.org", false),
        ] {
            let direct = Forwarded::default();
            assert_eq!(origins.admit(origin, host, direct), admitted, "{origin} at {host}");
        }
    }

    #[test]
    fn behind_a_proxy_that_says_how_it_was_reached_its_own_origin_counts() {
        let origins = Origins { listed: vec!["http://127.0.0.1:8080".into()], api_port: 8080 };
        for (origin, host, is_tls, admitted) in [
            ("https://chat.example.org", "chat.example.org", Some(true), true),
            ("https://chat.example.org", "Chat.Example.org:443", Some(true), true),
            ("https://chat.example.org:8443", "chat.example.org:8443", Some(true), true),
            ("http://chat.example.org", "chat.example.org", Some(false), true),
            ("https://chat.example.org", "chat.example.org", None, true),
            ("https://localhost:8443", "localhost:8443", Some(true), true),
            ("http://127.0.0.1:8080", "chat.example.org", Some(true), true),
            ("http://chat.example.org", "chat.example.org", Some(true), false),
            ("https://chat.example.org", "chat.example.org", Some(false), false),
            ("https://chat.example.org:8080", "chat.example.org", Some(true), false),
            ("https://evil.example", "chat.example.org", Some(true), false),
            ("https://127.0.0.1:8081", "chat.example.org", Some(true), false),
            ("ftp://chat.example.org", "chat.example.org", None, false),
            ("null", "null", None, false),
        ] {
            let forwarded = Forwarded { host: Some(host), is_tls };
            let is_admitted = origins.admit(origin, "127.0.0.1:8080", forwarded);
            assert_eq!(is_admitted, admitted, "{origin} at {host}, TLS {is_tls:?}");
        }
    }
}

//! What every HTTP answer says to a browser, whichever part of the server gives it.

/// The headers that stand on every answer but a 101: names in lower case, as HTTP libraries want them.
pub const SECURITY_HEADERS: [(&str, &str); 7] = [
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    (
        "content-security-policy",
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'",
    ),
    ("x-xss-protection", "0"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

//! Every row of the public contract under `/api/v1`, so that what is not built yet says so.

/// The rows that have no handler yet: path and methods. They answer 501 with a problem body.
pub const UNIMPLEMENTED: [(&str, &[&str]); 8] = [
    ("/auth/oauth/{provider}/start", &["GET"]),
    ("/auth/oauth/{provider}/callback", &["GET"]),
    ("/users/me/devices", &["GET", "POST", "DELETE"]),
    ("/search/messages", &["GET"]),
    ("/upload", &["POST"]),
    ("/upload/{id}", &["GET", "DELETE"]),
    ("/keys/{*rest}", &["PUT", "GET"]),
    ("/moderation/reports", &["GET", "POST"]),
];

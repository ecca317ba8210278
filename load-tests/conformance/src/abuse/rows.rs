//! The REST rows that the server names in its own description, as requests.

use serde_json::Value;

use super::attack::{Action, Attack, Port, REST_CONNECTIONS};
use super::template::request;

/// A method and a path with names in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub method: String,
    pub path: String,
}

/// Bodies that rows take; by method and the end of the path.
const BODIES: &[(&str, &str, &str)] = &[
    ("POST", "/auth/login", r#"{"login":"{name}","password":"{password}"}"#),
    ("POST", "/auth/logout", r#"{"refresh_token":"{id}"}"#),
    ("POST", "/auth/refresh", r#"{"refresh_token":"{id}"}"#),
    (
        "POST",
        "/auth/register",
        r#"{"email":"u{short}@example.org","username":"u{short}","password":"long enough a password"}"#,
    ),
    ("PUT", "/users/me/password", r#"{"current":"{password}","new":"{password}"}"#),
    ("PATCH", "/users/me", r#"{"display_name":"{short}"}"#),
    ("POST", "/users/me/contacts", r#"{"user_id":"{peer}"}"#),
    ("POST", "/channels", r#"{"name":"{short}","type":"group","member_ids":["{peer}"]}"#),
    ("PATCH", "/channels/{channel_id}", r#"{"topic":"{short}"}"#),
    ("POST", "/members", r#"{"user_id":"{peer}"}"#),
    ("PATCH", "/members/{user_id}", r#"{"role":"member"}"#),
    ("POST", "/messages", r#"{"content":"{short}","content_type":"text"}"#),
    ("PATCH", "/messages/{message_id}", r#"{"content":"{short}"}"#),
    ("PUT", "/mute", r#"{"until":"2099-01-01T00:00:00.000Z"}"#),
];

/// What rows are asked in their query.
const QUERIES: &[(&str, &str)] = &[
    ("/users/search", "?q=honest&limit=100"),
    ("/presence", "?user_ids={peer}"),
    ("/messages", "?limit=100"),
    ("/channels", "?limit=100"),
    ("/discover", "?limit=100"),
];

/// A body of no use to any row.
const BAD_BODY: &str = r#"{"login":7,"name":[[[{"#;

/// The rows of an OpenAPI description.
pub(super) fn of_description(description: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for (path, methods) in description["paths"].as_object().into_iter().flatten() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if methods.get(method).is_some() {
                rows.push(Row { method: method.to_uppercase(), path: path.clone() });
            }
        }
    }
    rows
}

/// A request with the account's token.
pub(super) fn as_the_account(method: &str, path: &str, body: Option<&str>) -> String {
    request(method, path, Some("{token}"), body)
}

/// An attack for each row: half of the connections ask as they should, half do not.
pub(super) fn attacks(rows: &[Row]) -> Vec<Attack> {
    let attack = |row: &Row| {
        let requests = vec![good(row), bad(row)];
        let actions = vec![Action::Requests { port: Port::Api, connections: REST_CONNECTIONS, requests }];
        Attack::new(format!("rest {} {}", row.method, row.path), actions)
    };
    rows.iter().map(attack).collect()
}

fn good(row: &Row) -> String {
    let body = BODIES.iter().find(|(method, end, _)| *method == row.method && row.path.ends_with(end));
    let query = QUERIES.iter().find(|(end, _)| row.method == "GET" && row.path.ends_with(end));
    let path = row
        .path
        .replace("{channel_id}", "{channel}")
        .replace("{message_id}", "{message}")
        .replace("{user_id}", "{peer}")
        .replace("{emoji}", "%F0%9F%91%8D");
    let path = format!("{}{}", unnamed(&path), query.map_or("", |(_, query)| query));
    as_the_account(&row.method, &path, body.map(|(.., body)| *body))
}

fn bad(row: &Row) -> String {
    let path = row.path.replace("{message_id}", "12345").replace("{emoji}", "%FF").replace("_id}", "}");
    let path = unnamed(&path.replace("{channel}", "{id}").replace("{user}", "{id}"));
    let body = (row.method != "GET").then_some(BAD_BODY);
    as_the_account(&row.method, &format!("{path}?limit=-1&q="), body)
}

/// Names that are not known here become fresh ids.
fn unnamed(path: &str) -> String {
    let known = ["{channel}", "{message}", "{peer}", "{id}"];
    let segment = |segment: &str| match segment.starts_with('{') && !known.contains(&segment) {
        true => "{id}".to_owned(),
        false => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_become_requests() {
        let description = json!({ "paths": {
            "/api/v1/channels/{channel_id}/members/{user_id}": { "parameters": [], "patch": {}, "delete": {} },
            "/api/v1/auth/sessions/{session_id}": { "delete": {} },
        }});
        let rows = of_description(&description);
        assert_eq!(rows.len(), 3);
        let requests: Vec<String> = rows.iter().map(good).collect();
        assert!(requests.iter().any(|it| it.starts_with("PATCH /api/v1/channels/{channel}/members/{peer} ")));
        assert!(requests.iter().any(|it| it.starts_with("DELETE /api/v1/auth/sessions/{id} ")));
        assert!(requests.iter().any(|it| it.ends_with(r#"{"role":"member"}"#)));
        let wrong: Vec<String> = rows.iter().map(bad).collect();
        assert!(wrong.iter().any(|it| it.starts_with("PATCH /api/v1/channels/{id}/members/{id}?")));
    }
}

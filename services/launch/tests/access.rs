//! What an operator learns of those who want in: a line in the log, a count by its reason, an entry in the audit log,
//! and in none of them a secret.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, ask, folder};

const PASSWORD: &str = "a long enough phrase";
const GUESS: &str = "my other secret phrase";

/// The status of an upgrade at a port with these header lines.
fn upgrade(server: &Server, port: &str, lines: &str) -> u16 {
    let mut stream = TcpStream::connect(server.address(port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n",
        server.address(port)
    );
    stream.write_all(request.as_bytes()).expect("taken");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    String::from_utf8_lossy(&head[9..]).parse().expect("a status")
}

fn post(server: &Server, path: &str, headers: &str, body: &Value) -> (u16, Value) {
    let (status, answer) = server.post_api(&format!("/api/v1{path}"), headers, &body.to_string());
    (status, serde_json::from_str(&answer).unwrap_or_default())
}

/// The value of a sample that has these labels, in any order; 0: it is not there.
fn count(server: &Server, name: &str, labels: &[(&str, &str)]) -> f64 {
    let (_, text) = server.get_admin("/metrics");
    let fits = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
    };
    text.lines()
        .filter(fits)
        .map(|line| line.rsplit(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0.0))
        .sum()
}

/// The log's lines with this message: its fields.
fn logged(server: &Server, message: &str) -> Vec<Value> {
    let log = server.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
}

/// The audit log's entries, once there are so many.
fn audited(data: &Path, count: usize) -> Vec<Value> {
    let since = Instant::now();
    loop {
        let text = fs::read_to_string(data.join("audit.jsonl")).expect("it is there");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        if whole.lines().count() >= count {
            return whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        }
        assert!(since.elapsed() < Duration::from_secs(20), "only {text}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All that was written where an operator looks.
fn all_written(server: &Server, data: &Path) -> String {
    let (_, metrics) = server.get_admin("/metrics");
    let audit = fs::read_to_string(data.join("audit.jsonl")).expect("it is there");
    server.log() + &metrics + &audit
}

/// Each attempt is counted by what was attempted and why it failed, and each refusal logged with the address.
fn is_counted_and_logged(server: &Server) {
    let refused = |action: &str, reason: &str| {
        count(server, "ringside_access_refused_total", &[("action", action), ("reason", reason)])
    };
    for (action, reason) in [
        ("sign_in", "wrong_password"),
        ("sign_in", "unknown_account"),
        ("refresh", "invalid_token"),
        ("password_change", "wrong_password"),
        ("request", "no_token"),
        ("request", "invalid_token"),
        ("request", "session_ended"),
    ] {
        assert_eq!(refused(action, reason), 1.0, "{action} {reason}");
        let message = if action == "request" { "an access token was refused" } else { "access was refused" };
        let lines = logged(server, message);
        let line = lines
            .iter()
            .find(|line| line["reason"] == reason && (action == "request" || line["action"] == action));
        assert_eq!(line.expect("a line")["address"], "127.0.0.1", "{lines:?}");
    }
    for (action, expected) in
        [("sign_in", 1.0), ("register", 1.0), ("refresh", 1.0), ("password_change", 1.0)]
    {
        let granted = count(server, "ringside_access_granted_total", &[("action", action)]);
        assert_eq!(granted, expected, "{action}");
    }
}

/// What an account did, and what was tried in its name, is in the audit log.
fn is_audited(data: &Path, id: &str) {
    let entries = audited(data, 7);
    let told: Vec<[&str; 4]> = entries
        .iter()
        .map(|entry| ["action", "outcome", "reason", "actor"].map(|key| entry[key].as_str().unwrap_or("")))
        .collect();
    let own = format!("user:{id}");
    let expected: [[&str; 4]; 7] = [
        ["register", "granted", "", &own],
        ["sign_in", "granted", "", &own],
        ["sign_in", "refused", "wrong_password", "anonymous"],
        ["sign_in", "refused", "unknown_account", "anonymous"],
        ["refresh", "refused", "invalid_token", "anonymous"],
        ["password_change", "refused", "wrong_password", &own],
        ["password_change", "granted", "", &own],
    ];
    assert_eq!(told, expected);
    assert_eq!((&entries[2]["target"], &entries[3]["target"]), (&json!(id), &Value::Null));
    for entry in &entries {
        assert_eq!(entry["address"], "127.0.0.1", "{entry}");
        let time = entry["time"].as_str().expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z'), "{entry}");
    }
    let mode = data.join("audit.jsonl").metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn refused_sign_ins_and_tokens_are_logged_counted_and_recorded() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let ada = server.register("ada");
    let id = ada["user"]["id"].as_str().expect("an id");
    let sign_in = |login: &str, password: &str| {
        post(&server, "/auth/login", "", &json!({"login": login, "password": password}))
    };
    let (status, signed) = sign_in("ada", PASSWORD);
    assert_eq!(status, 200);
    assert_eq!(sign_in("ada", GUESS).0, 401);
    assert_eq!(sign_in(GUESS, PASSWORD).0, 401, "a password in the wrong field");
    let refresh = |token: &Value| post(&server, "/auth/refresh", "", &json!({"refresh_token": token})).0;
    assert_eq!(refresh(&signed["refresh_token"]), 200);
    assert_eq!(refresh(&json!("A".repeat(43))), 401);
    let token = signed["access_token"].as_str().expect("a token");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let change = |current: &str| {
        let body = json!({"current": current, "new": "yet another phrase"}).to_string();
        ask(
            server.address("api"),
            "PUT",
            "/api/v1/users/me/password",
            &format!("Content-Type: application/json\r\n{bearer}"),
            &body,
        )
        .status
    };
    assert_eq!((change(GUESS), change(PASSWORD)), (403, 204));
    assert_eq!(server.get_api("/api/v1/users/me").0, 401);
    assert_eq!(server.get_api_as("/api/v1/users/me", "a.b.c").0, 401);
    // The password's change has ended the session that registering opened.
    let ended = ada["access_token"].as_str().expect("a token");
    assert_eq!(server.get_api_as("/api/v1/users/me", ended).0, 401);

    is_counted_and_logged(&server);
    is_audited(data.path(), id);

    let written = all_written(&server, data.path());
    let secrets = [&signed["access_token"], &signed["refresh_token"], &ada["refresh_token"]];
    for secret in [PASSWORD, GUESS, "yet another phrase", "ada@example.org", &"A".repeat(43)]
        .into_iter()
        .chain(secrets.map(|secret| secret.as_str().expect("a token")))
    {
        assert!(!written.contains(secret), "{secret} is written");
    }
}

#[test]
fn refused_handshakes_are_logged_with_the_client_and_counted_by_the_reason() {
    for backend in ["uring", "poll"] {
        let data = folder();
        let trust = [("RINGSIDE_TRUSTED_PROXIES", "127.0.0.1"), ("RINGSIDE_BACKEND", backend)];
        let server = Server::start(data.path(), &["--shards", "2"], &trust);
        let ada = server.register("ada");
        let token = ada["access_token"].as_str().expect("a token");
        for port in ["edge", "api"] {
            assert_eq!(upgrade(&server, port, ""), 401);
            assert_eq!(
                upgrade(&server, port, "Authorization: Bearer a.b.c\r\nX-Forwarded-For: 192.0.2.7\r\n"),
                401
            );
            let foreign = format!("Origin: https://evil.example\r\nAuthorization: Bearer {token}\r\n");
            assert_eq!(upgrade(&server, port, &foreign), 403);
            assert_eq!(upgrade(&server, port, "Sec-WebSocket-Version: 12\r\n"), 400, "two versions");
        }
        let (status, _) = post(&server, "/auth/logout", "", &json!({"refresh_token": ada["refresh_token"]}));
        assert_eq!(status, 204);
        let ended = format!("Authorization: Bearer {token}\r\nX-Forwarded-For: 192.0.2.8\r\n");
        assert_eq!(upgrade(&server, "edge", &ended), 401);

        let name = "ringside_gateway_refused_total";
        let refused = |reason: &str| count(&server, name, &[("reason", reason)]);
        let reasons = ["no_token", "invalid_token", "origin", "bad_request", "session_ended", "full"];
        assert_eq!(reasons.map(refused), [2.0, 2.0, 2.0, 2.0, 1.0, 0.0], "{backend}");
        let mut addresses = BTreeMap::new();
        for line in logged(&server, "a handshake was refused") {
            let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            *addresses.entry((word("reason"), word("address"))).or_insert(0) += 1;
        }
        let expected = [
            ("bad_request", "127.0.0.1", 2),
            ("invalid_token", "192.0.2.7", 2),
            ("no_token", "127.0.0.1", 2),
            ("origin", "127.0.0.1", 2),
            ("session_ended", "192.0.2.8", 1),
        ];
        let expected = expected.map(|(reason, address, count)| ((reason.into(), address.into()), count));
        assert_eq!(addresses, BTreeMap::from(expected), "{backend}");
        assert!(!all_written(&server, data.path()).contains(token));
    }
}

#[test]
fn nobody_who_is_not_trusted_says_where_they_come_from() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[("RINGSIDE_TRUSTED_PROXIES", "192.0.2.1")]);
    for port in ["edge", "api"] {
        assert_eq!(upgrade(&server, port, "X-Forwarded-For: 192.0.2.7\r\n"), 401);
    }
    let headers = "X-Forwarded-For: 192.0.2.7\r\n";
    let wrong = json!({"login": "nobody", "password": GUESS});
    assert_eq!(post(&server, "/auth/login", headers, &wrong).0, 401);
    for message in ["a handshake was refused", "access was refused"] {
        for line in logged(&server, message) {
            assert_eq!(line["address"], "127.0.0.1", "{line}");
        }
    }
    assert_eq!(audited(data.path(), 1)[0]["address"], "127.0.0.1");
}

#[test]
fn the_audit_log_is_bounded_and_goes_on_after_a_crash() {
    let data = folder();
    let small = [("RINGSIDE_AUDIT_FILE_BYTES", "4096"), ("RINGSIDE_AUDIT_FILES", "3")];
    let guesses = |server: &Server, count: usize| {
        for _ in 0..count {
            let wrong = json!({"refresh_token": "A".repeat(43)});
            assert_eq!(post(server, "/auth/refresh", "", &wrong).0, 401);
        }
    };
    let server = Server::start(data.path(), &[], &small);
    guesses(&server, 5);
    audited(data.path(), 5);
    server.kill();
    let server = Server::start(data.path(), &[], &small);
    guesses(&server, 5);
    assert_eq!(audited(data.path(), 10).len(), 10, "what was answered before the crash is there");
    guesses(&server, 110);
    assert!(server.stop().success());
    let mut files: Vec<(String, u64)> = fs::read_dir(data.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), entry.metadata().expect("there").len())
        })
        .filter(|(name, _)| name.starts_with("audit"))
        .collect();
    files.sort();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"]);
    assert!(files.iter().all(|(_, bytes)| *bytes <= 4_096), "{files:?}");

    let off = folder();
    let server = Server::start(off.path(), &[], &[("RINGSIDE_AUDIT_FILES", "0")]);
    guesses(&server, 1);
    assert!(server.stop().success());
    assert!(!off.path().join("audit.jsonl").exists(), "0 keeps none");
}

#[test]
fn what_a_limit_refuses_is_counted_and_fills_no_audit_log() {
    let data = folder();
    let limits = [("RINGSIDE_LIMITS_SIGN_INS_PER_MINUTE_PER_ADDRESS", "3")];
    let server = Server::start(data.path(), &[], &limits);
    let wrong = json!({"login": "nobody", "password": GUESS});
    let statuses: Vec<u16> = (0..6).map(|_| post(&server, "/auth/login", "", &wrong).0).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429]);
    let labels = [("action", "sign_in"), ("reason", "rate_limited")];
    assert_eq!(count(&server, "ringside_access_refused_total", &labels), 3.0);
    assert!(server.stop().success());
    assert_eq!(audited(data.path(), 3).len(), 3);
}

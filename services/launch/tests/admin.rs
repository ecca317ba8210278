//! The operator's commands, on a stopped data folder and through a running server.

mod support;

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, folder, run};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{Message, WebSocket};

/// A session that has ended hears nothing any more after this long.
const SILENT_WITHIN: Duration = Duration::from_secs(2);

fn admin(data: &Path, arguments: &[&str]) -> (bool, String) {
    let data = data.display().to_string();
    let output = run(&[&["admin"], arguments, &["--data-dir", &data]].concat(), &[]);
    let said = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.success(), String::from_utf8_lossy(said).trim().to_owned())
}

/// A command that must succeed; what it prints.
fn done(data: &Path, arguments: &[&str]) -> String {
    let (success, said) = admin(data, arguments);
    assert!(success, "{arguments:?}: {said}");
    said
}

/// Every command once, with what it prints.
fn administer(data: &Path) {
    let done = |arguments: &[&str]| done(data, arguments);
    let made = |name: &str| {
        done(&["users", "create", "--username", name, "--email", &format!("{name}@example.org")])
    };
    assert_ne!(made("ada"), made("bob"), "a password each");
    let listed = done(&["users", "list"]);
    let told: Vec<Vec<&str>> = listed.lines().map(|line| line.split('\t').skip(1).collect()).collect();
    assert_eq!(told, [["admin", "ada", "ada@example.org"], ["user", "bob", "bob@example.org"]]);
    assert!(done(&["role", "BOB@example.org", "admin"]).contains("bob has the role admin"));
    assert_eq!(done(&["users", "list"]).matches("\tadmin\t").count(), 2);
    assert_eq!(done(&["invite", "--days", "1"]).len(), 43, "a code");
    assert_eq!(done(&["password-reset", "bob"]).len(), 43, "a password");
    assert_eq!(done(&["sessions", "bob"]), "");
    assert_eq!(done(&["sessions", "bob", "--end"]), "0 sessions ended.");
    let keys = done(&["keys", "list"]);
    let key = done(&["keys", "rotate"]);
    assert_eq!(done(&["keys", "list"]), format!("{keys}\n{key}"));
    assert!(done(&["users", "erase", "bob"]).contains("is erased"));
    assert_eq!(done(&["users", "list"]).lines().count(), 1);
    let check = |arguments: &[&str], part: &str| {
        let (success, said) = admin(data, arguments);
        assert!(!success && said.contains(part), "{arguments:?}: {said}");
    };
    check(&["role", "nobody", "admin"], "no account \"nobody\"");
    check(&["role", "nobody", "king"], "`admin` and `user`");
    check(&["invite", "--days", "0"], "--days is from 1");
    check(
        &["users", "create", "--username", "x", "--email", "x@example.org"],
        "--username: This username is too short",
    );
}

/// The actions of the audit log that are the operator's, and what became of each.
fn recorded(data: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(data.join("audit.jsonl")).expect("it is there");
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let word = |entry: &Value, name: &str| entry[name].as_str().expect("a word").to_owned();
    let operators = entries.filter(|entry| word(entry, "actor").starts_with("operator:"));
    operators.map(|entry| (word(&entry, "action"), word(&entry, "outcome"))).collect()
}

#[test]
fn accounts_are_made_listed_and_changed_in_a_stopped_folder() {
    let data = folder();
    assert!(Server::start(data.path(), &[], &[]).stop().success());
    administer(data.path());
    assert!(Server::start(data.path(), &[], &[]).stop().success(), "it starts on what was changed");
}

#[test]
fn a_running_server_does_the_same_and_both_are_recorded_alike() {
    let stopped = folder();
    assert!(Server::start(stopped.path(), &[], &[]).stop().success());
    administer(stopped.path());
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let socket = data.path().join("control.sock");
    assert_eq!(socket.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    administer(data.path());
    assert_eq!(server.get_admin("/ready").0, 200);
    assert!(server.stop().success());
    assert!(!socket.exists(), "it goes with the server");
    let recorded = [recorded(data.path()), recorded(stopped.path())];
    assert_eq!(recorded[0], recorded[1]);
    let failed = recorded[0].iter().filter(|(_, outcome)| outcome == "failed").count();
    assert_eq!((recorded[0].len(), failed), (18, 4), "{:?}", recorded[0]);
    assert!(Server::start(data.path(), &[], &[]).stop().success(), "it starts on what was changed");
}

type Socket = WebSocket<TcpStream>;

/// Connects as this person, and is greeted.
fn connect(server: &Server, person: &Value) -> Socket {
    let address = server.address("edge");
    let mut request = format!("ws://{address}/ws").into_client_request().expect("an address");
    let token = person["access_token"].as_str().expect("a token");
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let (mut socket, _) = tungstenite::client(request, stream).expect("let in");
    let Message::Text(hello) = socket.read().expect("a frame") else { panic!("no text") };
    assert!(hello.contains("\"hello\""), "{hello}");
    socket
}

/// The code that the server closes with.
fn close_code(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(close) = socket.read().expect("a frame or a close") {
            return close.expect("a code").code.into();
        }
    }
}

/// Signs in; the status.
fn sign_in(server: &Server, login: &str, password: &str) -> u16 {
    let body = json!({"login": login, "password": password}).to_string();
    server.post_api("/api/v1/auth/login", "", &body).0
}

#[test]
fn a_password_reset_ends_live_sessions_at_once_and_the_new_password_works() {
    let data = folder();
    let server = Server::start(data.path(), &["--shards", "2"], &[]);
    let (ada, bob) = (server.register("ada"), server.register("bob"));
    let mut sockets = [connect(&server, &ada), connect(&server, &bob)];
    let ends_in_time = |socket: &mut Socket| {
        let answered = Instant::now();
        assert_eq!(close_code(socket), 4009);
        assert!(answered.elapsed() < SILENT_WITHIN, "{:?}", answered.elapsed());
    };
    let password = done(data.path(), &["password-reset", "ada"]);
    ends_in_time(&mut sockets[0]);
    let token = ada["access_token"].as_str().expect("a token");
    assert_eq!(server.get_api_as("/api/v1/users/me", token).0, 401);
    assert_eq!(sign_in(&server, "ada", "a long enough phrase"), 401);
    assert_eq!(sign_in(&server, "ada", &password), 200);

    // The other ways to end somebody's sessions.
    assert_eq!(done(data.path(), &["sessions", "bob"]).lines().count(), 1);
    assert_eq!(done(data.path(), &["sessions", "bob", "--end"]), "1 sessions ended.");
    ends_in_time(&mut sockets[1]);
    let carl = server.register("carl");
    let mut socket = connect(&server, &carl);
    assert!(done(data.path(), &["users", "erase", "carl"]).contains("hear of it now"));
    ends_in_time(&mut socket);
    let token = carl["access_token"].as_str().expect("a token");
    assert_eq!(server.knock(token), 401);
}

#[test]
fn a_server_by_invitation_needs_no_stop() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[("RINGSIDE_REGISTRATION", "invitation")]);
    let register = |username: &str, invitation: &str| {
        let body = json!({"email": format!("{username}@example.org"), "username": username,
            "password": "a long enough phrase", "invitation": invitation});
        server.post_api("/api/v1/auth/register", "", &body.to_string()).0
    };
    assert_eq!(register("ada", "none"), 403);
    let code = done(data.path(), &["invite"]);
    assert_eq!((register("ada", &code), register("bob", &code)), (201, 403), "each lets one in");
    let key = done(data.path(), &["keys", "rotate"]);
    let (_, keys) = server.get_api("/api/v1/auth/jwks.json");
    assert!(keys.contains(&key), "it is shown at once: {keys}");
}

#[test]
fn a_long_path_and_many_commands_at_once_are_no_obstacle() {
    let data = folder();
    // Beyond what a socket's address holds.
    let path = data.path().join("x".repeat(120));
    let server = Server::start(&path, &[], &[]);
    std::thread::scope(|scope| {
        for number in 0..12 {
            let path = &path;
            scope.spawn(move || {
                let (name, email) = (format!("user{number}"), format!("user{number}@example.org"));
                done(path, &["users", "create", "--username", &name, "--email", &email]);
            });
        }
    });
    assert_eq!(done(&path, &["users", "list"]).lines().count(), 12);
    assert!(server.stop().success());
    assert_eq!(done(&path, &["users", "list"]).lines().count(), 12, "stopped, too");
}

#[test]
fn a_crash_leaves_a_socket_that_nobody_is_deceived_by() {
    let data = folder();
    Server::start(data.path(), &[], &[]).kill();
    assert!(data.path().join("control.sock").exists());
    done(data.path(), &["users", "create", "--username", "ada", "--email", "ada@example.org"]);
    let _server = Server::start(data.path(), &[], &[]);
    assert_eq!(done(data.path(), &["users", "list"]).lines().count(), 1);
}

#[test]
fn a_folder_that_is_none_is_not_made() {
    let data = folder();
    let (success, said) = admin(&data.path().join("nowhere"), &["users", "list"]);
    assert!(!success && said.contains("no data folder"), "{said}");
    assert!(!data.path().join("nowhere").exists(), "a mistyped folder is not made");
}

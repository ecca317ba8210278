//! The binary as its user starts it: it comes up on a folder that is not there, and each way to start it wrongly ends
//! with a sentence that says what to do.

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use support::{Refusal, Server, folder, refused, run};

#[test]
fn comes_up_on_nothing_and_stops_cleanly() {
    let data = folder();
    let server = Server::start(&data.path().join("new"), &[], &[]);
    assert_eq!(server.get_admin("/health").0, 200);
    assert_eq!(server.get_admin("/ready").0, 200);
    let (status, metrics) = server.get_admin("/metrics");
    assert!(status == 200 && metrics.contains("ringside_gateway_open{shard=\"0\"} 0"), "{metrics}");
    let (status, page) = server.get_api("/");
    assert!(status == 200 && page.contains("Ringside"), "{page}");
    assert_eq!(
        server.get_api("/api/v1/moderation/reports").0,
        501,
        "a row of the contract that is not built"
    );
    assert_eq!(server.get_api("/api/v1/nonsense").0, 404);
    assert!(server.stop().success(), "SIGTERM ends it with 0");
}

#[test]
fn comes_up_again_on_what_it_left() {
    let data = folder();
    let keys = |server: &Server| server.get_api("/api/v1/auth/jwks.json").1;
    let server = Server::start(data.path(), &[], &[]);
    let before = keys(&server);
    server.kill();
    let server = Server::start(data.path(), &[], &[]);
    assert_eq!(keys(&server), before, "tokens survive a restart");
}

#[test]
fn what_is_written_is_its_owners_alone() {
    let data = folder();
    let path = data.path().join("made by hand");
    fs::create_dir(&path).expect("made");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("opened");
    let doctor = || run(&["doctor", "--data-dir", &path.display().to_string()], &[]).stdout;
    assert!(String::from_utf8_lossy(&doctor()).contains("(mode 755)"), "the doctor sees it");
    let server = Server::start(&path, &[], &[]);
    assert_private(&path);
    assert!(String::from_utf8_lossy(&doctor()).contains("its owner's alone (mode 700)"));
    assert!(server.stop().success());
}

/// Neither this folder nor anything in it has a permission for group or others.
fn assert_private(path: &Path) {
    let about = fs::symlink_metadata(path).expect("it is there");
    assert_eq!(about.permissions().mode() & 0o077, 0, "{}", path.display());
    if about.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            assert_private(&entry.expect("an entry").path());
        }
    }
}

#[test]
fn polls_where_io_uring_is_forbidden_and_says_so() {
    let data = folder();
    let server = support::without_io_uring(|| Server::start(data.path(), &[], &[]));
    assert_eq!(server.backend(), "Poll");
    assert!(server.log().contains("using the poll backend"), "{}", server.log());
    assert!(server.stop().success());
    let words = support::without_io_uring(|| refused(data.path(), &[], &[("RINGSIDE_BACKEND", "uring")]));
    assert!(words.says("io_uring"), "{words:?}");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let check = |arguments: &[&str], environment: &[(&str, &str)], parts: &[&str]| {
        let data = folder();
        let refusal = refused(data.path(), arguments, environment);
        for part in parts {
            assert!(refusal.says(part), "{arguments:?} {environment:?}: {refusal:?} does not say {part:?}");
        }
    };
    check(&["--api-addr", &address], &[], &[&address, "--api-addr"]);
    check(&["--admin-addr", &address], &[], &[&address, "--admin-addr"]);
    check(&["--edge-addr", &address], &[], &[&address, "--edge-addr"]);
    check(&["--api-addr", "nonsense"], &[], &["api_addr"]);
    check(&["--shards", "many"], &[], &["--shards", "whole number"]);
    check(&["--config", "/no/such/file.toml"], &[], &["/no/such/file.toml", "can't be read"]);
    check(&["--tls-cert", "a.pem"], &[], &["tls_key"]);
    check(&["--tls-cert", "/no/cert.pem", "--tls-key", "/no/key.pem"], &[], &["tls_cert", "/no/cert.pem"]);
    check(&[], &[("RINGSIDE_LIMITS_MESSAGE_BYTES", "12")], &["limits.message_bytes", "from 1024"]);
    check(&[], &[("RINGSIDE_BACKEND", "epoll")], &["backend", "poll"]);
}

#[test]
fn an_unknown_key_names_the_one_that_was_meant() {
    let data = folder();
    let file = data.path().join("ringside.toml");
    fs::write(&file, "[limits]\nmessage_per_second = 5\n").expect("written");
    let file = file.display().to_string();
    let refusal = refused(data.path(), &["--config", &file], &[]);
    assert!(refusal.says("did you mean `limits.messages_per_second`?"), "{refusal:?}");
    let checked = run(&["config", "check", "--config", &file], &[]);
    assert!(!checked.status.success() && String::from_utf8_lossy(&checked.stderr).contains("did you mean"));
}

#[test]
fn a_data_folder_that_can_not_be_used_is_left_as_it_is() {
    let data = folder();
    let check = |name: &str, make: &dyn Fn(&Path), part: &str| {
        let path = data.path().join(name);
        make(&path);
        let refusal: Refusal = refused(&path, &[], &[]);
        assert!(refusal.says(part), "{name}: {refusal:?} does not say {part:?}");
    };
    let made = |path: &Path| assert!(Server::start(path, &[], &[]).stop().success());
    check("a file", &|path| fs::write(path, "x").expect("written"), "a file");
    let foreign = |path: &Path| {
        fs::create_dir(path).expect("made");
        fs::write(path.join("letter.txt"), "dear").expect("written");
    };
    check("foreign", &foreign, "is not a Ringside data folder");
    let newer = |path: &Path| {
        made(path);
        let version = fs::read_to_string(path.join("VERSION")).expect("read");
        fs::write(path.join("VERSION"), version.replacen('2', "99", 1)).expect("written");
    };
    check("newer", &newer, "written by a newer Ringside");
    let spoiled = |path: &Path| {
        made(path);
        for key in fs::read_dir(path.join("keys")).expect("a folder") {
            fs::write(key.expect("a file").path(), "no key").expect("written");
        }
    };
    check("spoiled key", &spoiled, "is no signing key");
    let server = Server::start(&data.path().join("in use"), &[], &[]);
    check("in use", &|_| {}, "in use by another Ringside");
    assert_eq!(server.get_admin("/ready").0, 200, "the first is not disturbed");
}

#[test]
fn a_role_of_a_cluster_says_what_is_there_instead() {
    let told = run(&["message"], &[]);
    let words = String::from_utf8_lossy(&told.stderr);
    assert!(!told.status.success() && words.contains("ringside up"), "{words}");
}

#[test]
fn seeds_a_stopped_folder_once() {
    let data = folder();
    let path = data.path().display().to_string();
    let seed =
        || run(&["seed", "--users", "6", "--channels", "9", "--members", "2", "--data-dir", &path], &[]);
    let first = seed();
    assert!(first.status.success(), "{first:?}");
    let text = fs::read_to_string(data.path().join("seed.json")).expect("the token file");
    let seeded: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(seeded["users"].as_array().map(Vec::len), Some(6));
    assert_eq!(seeded["channels"].as_array().map(Vec::len), Some(9));
    let second = seed();
    assert!(!second.status.success() && String::from_utf8_lossy(&second.stderr).contains("seeded"));
    let server = Server::start(data.path(), &[], &[]);
    let token = seeded["users"][0]["access_token"].as_str().expect("a token");
    let (status, list) = server.get_api_as("/api/v1/channels", token);
    assert_eq!(status, 200, "{list}");
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(3), "each is in as many: {list}");
}

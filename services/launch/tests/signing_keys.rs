//! Keys rotate while the server runs and while it is stopped, and edges take up the new ones without a restart.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringside_types::UnixMillis;
use ringside_user::SigningKeys;
use serde_json::Value;
use support::{Server, folder, run};
use uuid::{Timestamp, Uuid};

const DAY_S: u64 = 24 * 60 * 60;

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn key_files(data: &Path) -> Vec<PathBuf> {
    let list = std::fs::read_dir(data.join("keys")).expect("a folder");
    list.map(|entry| entry.expect("a file").path()).collect()
}

/// Makes the only key as old as its new name says.
fn age(data: &Path, days: u64) -> String {
    let [file] = &key_files(data)[..] else { panic!("one key") };
    let name = Uuid::new_v7(Timestamp::from_unix_time(now_s() - days * DAY_S, 0, 0, 0)).to_string();
    std::fs::rename(file, data.join("keys").join(format!("{name}.pem"))).expect("renamed");
    name
}

fn listed(server: &Server) -> Vec<String> {
    let (status, set) = server.get_api("/api/v1/auth/jwks.json");
    assert_eq!(status, 200, "{set}");
    let set: Value = serde_json::from_str(&set).expect("JSON");
    let keys = set["keys"].as_array().expect("keys").iter();
    keys.map(|key| key["kid"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn an_old_key_is_rotated_and_the_edge_knows_the_new_one() {
    let data = folder();
    assert!(Server::start(data.path(), &[], &[("RINGSIDE_SIGNING_KEY_DAYS", "0")]).stop().success());
    let old = age(data.path(), 31);
    let server = Server::start(data.path(), &["--shards", "2"], &[]);
    let since = Instant::now();
    while listed(&server).len() < 2 {
        assert!(since.elapsed() < Duration::from_secs(20), "no new key");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(listed(&server)[0], old);
    let registered = server.register("ada");
    let token = registered["access_token"].as_str().expect("a token");
    assert_eq!(server.knock(token), 101, "the old key signs and verifies");

    // What the new key will sign in a minute, signed now.
    let alone = folder();
    let new = key_files(data.path()).into_iter().find(|file| !file.ends_with(format!("{old}.pem")));
    let new = new.expect("a second key");
    std::fs::copy(&new, alone.path().join(new.file_name().expect("a name"))).expect("copied");
    let time = UnixMillis(now_s() * 1_000);
    let keys = SigningKeys::open(data.path().join("keys").as_path(), time).expect("opens");
    let claims = keys.verify(token, time).expect("good");
    let forged_ahead = SigningKeys::open(alone.path(), time).expect("opens");
    let ahead = forged_ahead.issue(claims.sub, claims.sid, time, 60);
    let since = Instant::now();
    // The shards are told after the list is.
    for _ in 0..4 {
        while server.knock(&ahead) != 101 {
            assert!(since.elapsed() < Duration::from_secs(20), "the edge does not know the new key");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    assert_eq!(server.get_api_as("/api/v1/users/me", &ahead).0, 200);
    assert_eq!(server.get_api_as("/api/v1/users/me", token).0, 200);
}

#[test]
fn the_operator_rotates_a_stopped_folder() {
    let data = folder();
    let server = Server::start(data.path(), &[], &[]);
    let registered = server.register("ada");
    let token = registered["access_token"].as_str().expect("a token");
    let path = data.path().display().to_string();
    let rotate = || run(&["admin", "keys", "rotate", "--data-dir", &path], &[]);
    assert!(!rotate().status.success(), "a running server's folder is not touched");
    assert!(server.stop().success());
    let rotated = rotate();
    assert!(rotated.status.success(), "{rotated:?}");
    let name = String::from_utf8_lossy(&rotated.stdout).trim().to_owned();
    let server = Server::start(data.path(), &[], &[]);
    assert_eq!(listed(&server)[1], name);
    assert_eq!(server.knock(token), 101, "nobody is signed out");
}

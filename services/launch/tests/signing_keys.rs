//! Keys rotate while the server runs and while it is stopped, and edges take up the new ones without a restart.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringside_embedded::KeyFiles;
use ringside_ports::KeyStore as _;
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

fn keys_in(folder: &Path) -> SigningKeys {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let set = runtime.block_on(KeyFiles::new(folder).load()).expect("loads");
    SigningKeys::new(&set.keys)
}

/// What a new key will sign in a minute, signed now: a token of the same session as this one's.
fn signed_ahead(data: &Path, new: &str, token: &str) -> String {
    let (alone, name) = (folder(), format!("{new}.pem"));
    std::fs::copy(data.join("keys").join(&name), alone.path().join(&name)).expect("copied");
    let time = UnixMillis(now_s() * 1_000);
    let claims = keys_in(&data.join("keys")).verify(token, time).expect("good");
    keys_in(alone.path()).issue(claims.sub, claims.sid, time, 60)
}

/// Waits until each shard takes this token: they are told after the list is.
fn is_taken_up(server: &Server, token: &str) {
    let since = Instant::now();
    for _ in 0..4 {
        while server.knock(token) != 101 {
            assert!(since.elapsed() < Duration::from_secs(20), "the edge does not know the new key");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
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

    let new = listed(&server)[1].clone();
    let ahead = signed_ahead(data.path(), &new, token);
    is_taken_up(&server, &ahead);
    assert_eq!(server.get_api_as("/api/v1/users/me", &ahead).0, 200);
    assert_eq!(server.get_api_as("/api/v1/users/me", token).0, 200);
}

#[test]
fn the_operator_rotates_a_running_server_and_a_stopped_folder() {
    let data = folder();
    let server = Server::start(data.path(), &["--shards", "2"], &[]);
    let registered = server.register("ada");
    let token = registered["access_token"].as_str().expect("a token");
    let path = data.path().display().to_string();
    let rotate = || {
        let rotated = run(&["admin", "keys", "rotate", "--data-dir", &path], &[]);
        assert!(rotated.status.success(), "{rotated:?}");
        String::from_utf8_lossy(&rotated.stdout).trim().to_owned()
    };
    let second = rotate();
    assert_eq!(listed(&server)[1], second, "it is shown at once");
    is_taken_up(&server, &signed_ahead(data.path(), &second, token));
    assert!(server.stop().success());
    let third = rotate();
    let server = Server::start(data.path(), &[], &[]);
    assert_eq!(listed(&server)[1..], [second, third]);
    assert_eq!(server.knock(token), 101, "nobody is signed out");
}

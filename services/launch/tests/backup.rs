//! A backup of a running server loses nothing that was acknowledged before it began, and a restore checks what it gets.

mod support;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Server, folder, run};
use uuid::Uuid;

const SENDERS: usize = 3;
const LIMITS_OFF: [(&str, &str); 4] = [
    ("RINGSIDE_LIMITS_MESSAGES_PER_SECOND", "0"),
    ("RINGSIDE_LIMITS_CHANNEL_MESSAGES_PER_MINUTE", "0"),
    ("RINGSIDE_LIMITS_REST_PER_MINUTE", "0"),
    ("RINGSIDE_LIMITS_REGISTER_PER_MINUTE_PER_ADDRESS", "0"),
];

fn command(name: &str, data: &Path, flag: &str, place: &Path) -> (bool, String) {
    let (data, place) = (data.display().to_string(), place.display().to_string());
    let output = run(&[name, flag, &place, "--data-dir", &data], &[]);
    let said = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.success(), String::from_utf8_lossy(said).into_owned())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn create_channel(server: &Server, token: &str, name: &str) -> String {
    let body = format!(r#"{{"name":"{name}","type":"group","member_ids":[]}}"#);
    let (status, answer) = server.post_api("/api/v1/channels", &bearer(token), &body);
    assert_eq!(status, 201, "{answer}");
    let channel: Value = serde_json::from_str(&answer).expect("JSON");
    channel["id"].as_str().expect("an id").to_owned()
}

/// Sends one message; whether it was acknowledged.
fn send(server: &Server, token: &str, channel: &str, id: Uuid) -> bool {
    let path = format!("/api/v1/channels/{channel}/messages");
    let headers = format!("{}Idempotency-Key: {id}\r\n", bearer(token));
    let (status, _) = server.post_api(&path, &headers, r#"{"content":"kept","content_type":"text"}"#);
    (200..300).contains(&status)
}

/// How often each client id is in the channel's history; the numbers must be dense.
fn history(server: &Server, token: &str, channel: &str) -> HashMap<Uuid, usize> {
    let (mut found, mut before, mut sequence) = (HashMap::new(), String::new(), Vec::new());
    loop {
        let path = format!("/api/v1/channels/{channel}/messages?limit=100{before}");
        let (status, page) = server.get_api_as(&path, token);
        assert_eq!(status, 200, "{page}");
        let page: Value = serde_json::from_str(&page).expect("JSON");
        let items = page["items"].as_array().expect("items");
        let Some(last) = items.last() else { break };
        before = format!("&before={}", last["message_id"].as_str().expect("an id"));
        for item in items {
            sequence.push(item["seq"].as_u64().expect("a number"));
            let id = item["client_id"].as_str().and_then(|id| id.parse().ok()).expect("a client id");
            *found.entry(id).or_insert(0) += 1;
        }
    }
    sequence.reverse();
    assert!(sequence.iter().copied().eq(1..=sequence.len() as u64), "the numbers are not dense");
    found
}

fn modes_are_private(folder: &Path) {
    for entry in fs::read_dir(folder).expect("lists") {
        let entry = entry.expect("reads");
        let mode = entry.metadata().expect("is there").permissions().mode() & 0o777;
        if entry.file_type().expect("a type").is_dir() {
            assert_eq!(mode, 0o700, "{}", entry.path().display());
            modes_are_private(&entry.path());
        } else {
            assert_eq!(mode, 0o600, "{}", entry.path().display());
        }
    }
}

#[test]
fn under_load_nothing_acknowledged_before_it_began_is_lost() {
    let (data, place) = (folder(), folder());
    let (backup, restored) = (place.path().join("backup"), place.path().join("restored"));
    let server = Server::start(data.path(), &["--shards", "2"], &LIMITS_OFF);
    let registered = server.register("ada");
    let token = registered["access_token"].as_str().expect("a token").to_owned();
    let channel = create_channel(&server, &token, "kept");
    let (acknowledged, enough) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let before = std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (server, token, channel, acknowledged, enough) =
                (&server, &token, &channel, &acknowledged, &enough);
            scope.spawn(move || {
                let mut number = 0;
                while !enough.load(Ordering::Relaxed) {
                    let id = Uuid::from_u128(((sender as u128 + 1) << 64) | number | (4 << 76) | (8 << 60));
                    if send(server, token, channel, id) {
                        acknowledged.lock().expect("no panic").push(id);
                    }
                    number += 1;
                    // Accounts and channels change meanwhile, too.
                    if number % 10 == 0 {
                        create_channel(server, token, &format!("{sender}-{number}"));
                    }
                }
            });
        }
        let count = || acknowledged.lock().expect("no panic").len();
        let since = Instant::now();
        while count() < 100 {
            assert!(since.elapsed() < Duration::from_secs(30), "only {} acknowledged", count());
            std::thread::sleep(Duration::from_millis(5));
        }
        let before = acknowledged.lock().expect("no panic").clone();
        let (success, said) = command("backup", data.path(), "--to", &backup);
        assert!(success, "{said}");
        assert!(said.contains("running"), "{said}");
        let during = count();
        let since = Instant::now();
        while count() < during + 20 {
            assert!(since.elapsed() < Duration::from_secs(30), "the server does not go on");
            std::thread::sleep(Duration::from_millis(5));
        }
        enough.store(true, Ordering::Relaxed);
        before
    });
    assert!(server.stop().success());
    modes_are_private(&backup);

    let (success, said) = command("restore", &restored, "--from", &backup);
    assert!(success && said.contains("ringside up"), "{said}");
    modes_are_private(&restored);
    let server = Server::start(&restored, &["--shards", "1"], &LIMITS_OFF);
    let found = history(&server, &token, &channel);
    let missing = before.iter().filter(|id| !found.contains_key(id)).count();
    assert_eq!(missing, 0, "of {} acknowledged before it began", before.len());
    assert!(found.values().all(|count| *count == 1), "something is there twice");
    assert_eq!(server.knock(&token), 101, "keys and sessions came along");
    // It goes on as if nothing had been: a retry is one, a new message and a new channel work.
    assert!(send(&server, &token, &channel, before[0]));
    assert!(send(&server, &token, &channel, Uuid::new_v4()));
    let since = Instant::now();
    while history(&server, &token, &channel).len() < found.len() + 1 {
        assert!(since.elapsed() < Duration::from_secs(20), "the new message did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(history(&server, &token, &channel)[&before[0]], 1);
    create_channel(&server, &token, "after");
}

#[test]
fn a_stopped_folder_is_backed_up_and_what_is_wrong_is_refused() {
    let (data, place) = (folder(), folder());
    let place = |name: &str| place.path().join(name);
    let server = Server::start(data.path(), &[], &[]);
    server.register("ada");
    assert!(server.stop().success());
    let refused = |name: &str, data: &Path, flag: &str, at: &Path, part: &str| {
        let (success, said) = command(name, data, flag, at);
        assert!(!success && said.contains(part), "{name} {}: {said}", at.display());
    };
    refused("backup", data.path(), "--to", &data.path().join("inside"), "inside of the data folder");
    refused("backup", &place("nowhere"), "--to", &place("b"), "no data folder");
    let (success, said) = command("backup", data.path(), "--to", &place("good"));
    assert!(success && said.contains("stopped"), "{said}");
    refused("backup", data.path(), "--to", &place("good"), "not there yet");

    refused("restore", data.path(), "--from", &place("good"), "not empty");
    refused("restore", &place("new"), "--from", data.path(), "is no backup");
    let manifest = fs::read_to_string(place("good").join("manifest.json")).expect("a manifest");
    let check = |change: &dyn Fn(&Path), part: &str| {
        let (backup, to) = (place(&format!("bad {part}")), place("bad"));
        copy_all(&place("good"), &backup);
        change(&backup);
        refused("restore", &to, "--from", &backup, part);
        assert!(!to.exists(), "{part}: nothing is left");
    };
    let spoil = |backup: &Path| {
        let file = backup.join("data/directory.sqlite");
        let mut bytes = fs::read(&file).expect("reads");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).expect("writes");
    };
    check(&spoil, "has changed or is damaged");
    check(
        &|backup| fs::remove_file(backup.join("data/directory.sqlite")).expect("removed"),
        "can't be restored",
    );
    check(&|backup| fs::remove_file(backup.join("manifest.json")).expect("removed"), "not finished");
    let newer = manifest.replacen("\"format\": 1", "\"format\": 9", 1);
    check(&|backup| fs::write(backup.join("manifest.json"), &newer).expect("writes"), "knows up to 1");
    let outside = manifest.replacen("\"path\": \"", "\"path\": \"../", 1);
    check(
        &|backup| fs::write(backup.join("manifest.json"), &outside).expect("writes"),
        "none of a data folder",
    );
    let (success, said) = command("restore", &place("new"), "--from", &place("good"));
    assert!(success, "{said}");
    assert!(Server::start(&place("new"), &[], &[]).stop().success());
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).expect("made");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("reads");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

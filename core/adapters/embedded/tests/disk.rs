//! Disks that are full or read-only. Each test runs itself again in a mount namespace of its own, where it may mount a
//! small file system without being root, and which takes the mount with it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ringside_embedded::{Config, Engine, OpenError};
use ringside_ports::Log;
use ringside_types::{PartitionId, Topic};
use support::{config, read_from, record};

const INSIDE: &str = "RINGSIDE_TEST_NAMESPACE";
const MIB: u64 = 1024 * 1024;

/// Runs `test` (by its name, `name`) with a file system of `bytes` bytes.
fn on_a_small_disk(name: &str, bytes: u64, test: impl AsyncFnOnce(&Path)) {
    if std::env::var_os(INSIDE).is_none() {
        let itself = std::env::current_exe().expect("this test's file");
        let status = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount"])
            .arg(itself)
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .status()
            .expect("unshare (util-linux) is needed to mount a small disk");
        assert!(status.success(), "see above; user namespaces must be allowed for this test");
        return;
    }
    let place = tempfile::tempdir().expect("a temporary folder");
    mount(place.path(), &["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test(place.path()));
}

fn mount(place: &Path, words: &[&str]) {
    let status = Command::new("mount").args(words).arg(place).status().expect("mount runs");
    assert!(status.success(), "mount {words:?}");
}

/// Takes up all but `left` bytes.
fn fill(place: &Path, left: u64) -> PathBuf {
    let filler = place.join("filler");
    let free = rustix::fs::statvfs(place).map(|stat| stat.f_bavail * stat.f_frsize).expect("statvfs");
    fs::write(&filler, vec![1; free.saturating_sub(left) as usize]).expect("fills");
    filler
}

#[test]
fn a_read_only_folder_is_refused() {
    on_a_small_disk("a_read_only_folder_is_refused", 64 * MIB, async |place| {
        let folder = place.join("data");
        drop(Engine::open(&folder, config()).expect("opens"));
        mount(place, &["-o", "remount,ro"]);
        let existing = Engine::open(&folder, config()).expect_err("can't be written");
        assert!(matches!(existing, OpenError::ReadOnly { .. }), "{existing:?}");
        assert!(existing.to_string().contains("mounted read-only"), "{existing}");
        let new = Engine::open(&place.join("new"), config()).expect_err("can't be made");
        assert!(matches!(new, OpenError::ReadOnly { .. }), "{new:?}");
    });
}

#[test]
fn too_small_a_disk_is_refused() {
    on_a_small_disk("too_small_a_disk_is_refused", 16 * MIB, async |place| {
        let folder = place.join("data");
        let wanted = Config { free_bytes_min: 32 * MIB, ..config() };
        let error = Engine::open(&folder, wanted).expect_err("too little room");
        assert!(matches!(error, OpenError::DiskFull { .. }), "{error:?}");
        assert!(error.to_string().contains("Free some space"), "{error}");
        Engine::open(&folder, config()).expect("what the first try left is no hindrance");
    });
}

#[test]
fn a_full_disk_is_refused() {
    on_a_small_disk("a_full_disk_is_refused", 4 * MIB, async |place| {
        let filler = fill(place, 0);
        let folder = place.join("data");
        let error = Engine::open(&folder, config()).expect_err("no room at all");
        assert!(matches!(error, OpenError::DiskFull { .. }), "{error:?}");
        fs::remove_file(filler).expect("makes room");
        Engine::open(&folder, config()).expect("opens once there is room");
    });
}

#[test]
fn writes_are_refused_while_room_is_short_and_go_on_after() {
    on_a_small_disk("writes_are_refused_while_room_is_short_and_go_on_after", 128 * MIB, async |place| {
        let folder = place.join("data");
        let engine = Engine::open(&folder, Config { free_bytes_min: 32 * MIB, ..config() }).expect("opens");
        let log = engine.log();
        log.append(vec![record(0, "before")]).await.expect("there is room");
        let filler = fill(place, 8 * MIB);
        let refused = until(async || log.append(vec![record(0, "x")]).await.err()).await;
        assert!(refused.to_string().contains("almost full"), "{refused}");
        fs::remove_file(filler).expect("makes room");
        let after = until(async || log.append(vec![record(0, "after")]).await.ok()).await;
        let records = read_from(&log, Topic::MessagesSend, PartitionId(0), 0).await;
        assert_eq!(records[0].payload, "before");
        assert_eq!(records.len() as u64, after[0].offset.0 + 1, "what was refused has left no hole");
    });
}

/// Tries until it has what it wants: the disk's room is looked at once a second.
async fn until<T>(attempt: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn a_disk_that_fills_up_refuses_and_goes_on_by_itself() {
    on_a_small_disk("a_disk_that_fills_up_refuses_and_goes_on_by_itself", 24 * MIB, async |place| {
        let folder = place.join("data");
        let engine = Engine::open(&folder, config()).expect("opens");
        let log = engine.log();
        let large = || record(0, vec![7; MIB as usize]);
        let mut answered = 0;
        let refused = loop {
            match log.append(vec![large()]).await {
                Ok(_) => answered += 1,
                Err(error) => break error,
            }
            assert!(answered < 24, "the disk holds no more");
        };
        assert!(refused.to_string().contains("No space left"), "{refused}");
        let records = read_from(&log, Topic::MessagesSend, PartitionId(0), 0).await;
        assert_eq!(records.len(), answered, "readers see what was answered, and nothing else");
        mount(place, &["-o", &format!("remount,size={}", 128 * MIB)]);
        let position =
            log.append(vec![large()]).await.expect("there is room, and nothing was half written")[0];
        assert_eq!(position.offset.0, answered as u64, "what was refused has left no hole");
        drop((log, engine));
        let engine = Engine::open(&folder, config()).expect("opens");
        let records = read_from(&engine.log(), Topic::MessagesSend, PartitionId(0), 0).await;
        assert_eq!(records.len(), answered + 1);
        assert!(records.iter().all(|record| record.payload == vec![7; MIB as usize]));
    });
}

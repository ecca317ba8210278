//! What a data folder refuses, and with which sentence.

mod support;

use std::fs;
use std::path::Path;

use ringside_embedded::{Config, Engine, FORMAT, OpenError, Partitions};
use ringside_ports::Log;
use ringside_types::{PartitionId, Topic};
use support::{config, read_from, record};

fn refusal(folder: &Path, config: Config) -> (OpenError, String) {
    let error = Engine::open(folder, config).expect_err("must be refused");
    let sentence = error.to_string();
    assert!(sentence.contains(&folder.display().to_string()), "names the folder: {sentence}");
    (error, sentence)
}

#[tokio::test]
async fn a_second_start_is_refused_and_the_folder_is_free_after_the_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::open(folder.path(), config()).expect("opens");
    let log = engine.log();
    let (error, sentence) = refusal(folder.path(), config());
    assert!(matches!(error, OpenError::Locked(_)), "{error:?}");
    assert!(sentence.contains("in use by another Ringside"), "{sentence}");
    log.append(vec![record(0, "a")]).await.expect("the first goes on");
    drop(engine);
    assert!(Engine::open(folder.path(), config()).is_err(), "a handle holds the folder as well");
    drop(log);
    let engine = Engine::open(folder.path(), config()).expect("opens again");
    let records = read_from(&engine.log(), Topic::MessagesSend, PartitionId(0), 0).await;
    assert_eq!(records.len(), 1);
}

#[test]
fn a_newer_folder_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    drop(Engine::open(folder.path(), config()).expect("opens"));
    let version = folder.path().join("VERSION");
    let text = fs::read_to_string(&version).expect("reads");
    let newer = text.replace(&format!("format {FORMAT}"), &format!("format {}\nwhatever comes", FORMAT + 1));
    fs::write(&version, &newer).expect("writes");
    let (error, sentence) = refusal(folder.path(), config());
    assert!(matches!(error, OpenError::Newer { found, .. } if found == FORMAT + 1), "{error:?}");
    assert!(sentence.contains("newer Ringside"), "{sentence}");
    assert_eq!(fs::read_to_string(&version).expect("reads"), newer, "nothing was changed");
}

#[test]
fn what_is_not_ours_is_refused_untouched() {
    for (name, content) in
        [("letter.txt", "dear"), ("VERSION", "2.0"), ("VERSION", "format 1\n"), ("VERSION", "")]
    {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join(name), content).expect("writes");
        let (error, _) = refusal(folder.path(), config());
        assert!(matches!(error, OpenError::Foreign { .. }), "{name} {content:?}: {error:?}");
        assert!(!folder.path().join("store").exists());
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("VERSION"), "format 1\nmessages.send 0\nmessages.receive 4\n")
        .expect("writes");
    assert!(matches!(refusal(folder.path(), config()).0, OpenError::Foreign { .. }), "no partitions");
}

#[test]
fn a_file_is_no_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("writes");
    let (error, sentence) = refusal(&file, config());
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    assert!(sentence.contains("is a folder"), "{sentence}");
}

#[test]
fn a_folder_that_lost_its_store_is_damaged_and_not_new() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    drop(Engine::open(folder.path(), config()).expect("opens"));
    fs::remove_dir_all(folder.path().join("store")).expect("removes");
    let (error, sentence) = refusal(folder.path(), config());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(sentence.contains("restore a backup"), "{sentence}");
}

#[test]
fn a_first_start_that_was_cut_short_is_finished() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("lock"), "").expect("writes");
    fs::create_dir(folder.path().join("store")).expect("makes");
    fs::write(folder.path().join("store/version"), "half a").expect("writes");
    fs::write(folder.path().join("VERSION"), "format 1\nmessages.send 3\nmessages.receive 2\nnew\n")
        .expect("writes");
    let engine = Engine::open(folder.path(), config()).expect("opens");
    assert_eq!(engine.partitions(), Partitions { messages: 3, slots: 2 });
    drop(engine);
    let text = fs::read_to_string(folder.path().join("VERSION")).expect("reads");
    assert!(!text.contains("new"), "{text}");
}

#[test]
fn counts_of_partitions_are_the_folders() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let wish = |messages, slots| Config { partitions: Partitions { messages, slots }, ..config() };
    drop(Engine::open(folder.path(), wish(2, 3)).expect("opens"));
    let engine = Engine::open(folder.path(), wish(8, 8)).expect("opens");
    let log = engine.log();
    assert_eq!(log.partitions(Topic::MessagesSend), 2);
    assert_eq!(log.partitions(Topic::MessagesStored), 2);
    assert_eq!(log.partitions(Topic::MessagesDead), 2);
    assert_eq!(log.partitions(Topic::MessagesReceive), 3);
    assert_eq!(log.partitions(Topic::Control), 1);
}

#[test]
fn a_store_that_can_not_be_read_is_damaged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    drop(Engine::open(folder.path(), config()).expect("opens"));
    fs::write(folder.path().join("store/version"), "nonsense").expect("writes");
    let (error, sentence) = refusal(folder.path(), config());
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(sentence.contains("Copy the folder away"), "{sentence}");
}

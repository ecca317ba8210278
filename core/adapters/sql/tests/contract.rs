//! The Directory against the contracts of its ports; every query runs here.

use std::cell::RefCell;

use ringside_ports::contract::people::{erasure, invitations, profiles, relations, search, sessions};
use ringside_ports::contract::{accounts, channels};
use ringside_sql::{Directory, OpenError};
use tempfile::TempDir;

/// Makes fresh Directories, and keeps their folders.
async fn fresh(folders: &RefCell<Vec<TempDir>>) -> Directory {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("directory.sqlite");
    folders.borrow_mut().push(folder);
    Directory::open(&path).await.expect("opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_keep_their_contract() {
    let folders = RefCell::default();
    accounts::suite(async || fresh(&folders).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_keep_their_contract() {
    let folders = RefCell::default();
    channels::suite(async || fresh(&folders).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_keep_their_contract() {
    let folders = RefCell::default();
    profiles::suite(async || fresh(&folders).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_keeps_its_contract() {
    let folders = RefCell::default();
    search::suite(async || fresh(&folders).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_keep_their_contract() {
    let folders = RefCell::default();
    relations::suite(async || fresh(&folders).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_keep_their_contract() {
    let folders = RefCell::default();
    sessions::suite(async || fresh(&folders).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_keep_their_contract() {
    let folders = RefCell::default();
    invitations::suite(async || fresh(&folders).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasure_keeps_its_contract() {
    let folders = RefCell::default();
    erasure::suite(async || fresh(&folders).await).await;
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("directory.sqlite");
    for _ in 0..2 {
        Directory::open(&path).await.expect("opens").close().await;
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("directory.sqlite");
    std::fs::write(&path, vec![7; 8192]).expect("writes");
    let refused = Directory::open(&path).await.expect_err("refuses");
    assert!(matches!(refused, OpenError::Database(_) | OpenError::Migration(_)), "{refused}");
}

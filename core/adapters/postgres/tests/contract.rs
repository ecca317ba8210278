//! The Directory and the keys against the contracts of their ports, on the real server.

mod fresh;

use std::cell::RefCell;

use fresh::{Database, fresh};
use ringside_ports::contract::people::{erasure, invitations, profiles, relations, search, sessions};
use ringside_ports::contract::{accounts, channels, keys};
use ringside_postgres::{MasterKey, PostgresKeys};

#[tokio::test(flavor = "multi_thread")]
async fn accounts_keep_their_contract() {
    let databases = RefCell::default();
    accounts::suite(async || fresh(&databases).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_keep_their_contract() {
    let databases = RefCell::default();
    channels::suite(async || fresh(&databases).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_keep_their_contract() {
    let databases = RefCell::default();
    profiles::suite(async || fresh(&databases).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_keeps_its_contract() {
    let databases = RefCell::default();
    search::suite(async || fresh(&databases).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_keep_their_contract() {
    let databases = RefCell::default();
    relations::suite(async || fresh(&databases).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_keep_their_contract() {
    let databases = RefCell::default();
    sessions::suite(async || fresh(&databases).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_keep_their_contract() {
    let databases = RefCell::default();
    invitations::suite(async || fresh(&databases).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasure_keeps_its_contract() {
    let databases = RefCell::default();
    erasure::suite(async || fresh(&databases).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_keep_their_contract() {
    let databases: RefCell<Vec<Database>> = RefCell::default();
    keys::suite(async || PostgresKeys::new(fresh(&databases).await, MasterKey::new([7; 32]))).await;
}

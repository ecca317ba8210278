//! The contract suites of the ports, over the embedded engines.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringside_embedded::{
    EmbeddedCommitter, EmbeddedLog, EmbeddedStore, Engine, KeyFiles, MemoryBus, MemoryPresence,
};
use ringside_ports::contract;
use support::Folders;

fn parts(engine: &Engine) -> (EmbeddedLog, EmbeddedStore, EmbeddedCommitter) {
    (engine.log(), engine.store(), engine.committer())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log() {
    let folders = Folders::default();
    contract::log::suite(async || folders.engine().log()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store() {
    let folders = Folders::default();
    contract::store::suite(async || folders.engine().store()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committer() {
    let folders = Folders::default();
    contract::committer::suite(async || parts(&folders.engine())).await;
}

/// A runtime of one thread is never held up by the engine: its writer is a thread of its own.
#[tokio::test]
async fn all_on_one_thread() {
    let folders = Folders::default();
    let suites = async {
        contract::log::suite(async || folders.engine().log()).await;
        contract::committer::suite(async || parts(&folders.engine())).await;
    };
    tokio::time::timeout(Duration::from_secs(120), suites).await.expect("no deadlock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence() {
    contract::presence::suite(async || MemoryPresence::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys() {
    let folders = tempfile::tempdir().expect("a temporary folder");
    let number = AtomicUsize::new(0);
    let fresh = || folders.path().join(format!("{}/keys", number.fetch_add(1, Ordering::Relaxed)));
    contract::keys::suite(async || KeyFiles::new(fresh())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bus() {
    contract::bus::suite(async || MemoryBus::new()).await;
}

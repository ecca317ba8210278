//! The contract suite of the message store, over a real engine.

mod support;

use ringside_ports::contract;
use support::Keyspaces;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store() {
    Keyspaces::with(async |keyspaces| contract::store::suite(async || keyspaces.store().await).await).await;
}

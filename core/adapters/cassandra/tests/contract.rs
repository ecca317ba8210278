//! The contract suite of the message store, over a real engine.

mod support;

use ringside_ports::contract;
use support::Keyspaces;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store() {
    Keyspaces::with(async |keyspaces| {
        let fresh = async || {
            // The parts come one after the other, and each lets go of its store.
            keyspaces.drop_all().await;
            keyspaces.store().await
        };
        contract::store::suite(fresh).await;
    })
    .await;
}

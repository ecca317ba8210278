//! The log's contract, over real brokers.

mod support;

use ringside_ports::contract;
use support::cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log() {
    let cluster = cluster().await;
    contract::log::suite(async || cluster.log().await).await;
    cluster.remove().await;
}

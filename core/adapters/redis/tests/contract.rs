//! The contract suites, over one server and over a cluster.

mod support;

use std::sync::Mutex;

use ringside_ports::contract;
use support::Fresh;

async fn presence_on(servers: Fresh) {
    let used = Mutex::new(Vec::new());
    contract::presence::suite(async || {
        let fresh = servers.again();
        let presence = fresh.presence();
        used.lock().expect("no panic").push(fresh);
        presence
    })
    .await;
    for fresh in used.into_inner().expect("no panic") {
        fresh.drop_keys().await;
        assert_eq!(fresh.keys().await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_on_a_single_server() {
    presence_on(Fresh::single()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_on_a_cluster() {
    presence_on(Fresh::cluster()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_on_a_single_server() {
    contract::bus::suite(async || Fresh::single().bus()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_on_a_cluster() {
    contract::bus::suite(async || Fresh::cluster().bus()).await;
}

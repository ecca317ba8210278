//! Answers that are lost, and an engine that can't be reached for a while: what is not confirmed is said so within the
//! deadline, may have been done, and can be done again.

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringside_cassandra::{CassandraStore, Config};
use ringside_domain::rows::{Prefetch, Rows};
use ringside_ports::{ChannelReader as _, EngineError, PartitionStore as _};
use ringside_types::PartitionId;
use support::proxy::{Carries, Proxy};
use support::rows::{all_of, channel, head, id_at, message};
use support::{Keyspaces, contact_points};

/// The product's deadline.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(2);
/// What must come, comes within this time.
const SOON: Duration = Duration::from_secs(60);

struct Engine {
    /// Sees the engine as it is.
    direct: CassandraStore,
    /// Sees it through the proxy.
    store: CassandraStore,
    proxy: Proxy,
}

async fn engine(keyspaces: &Keyspaces) -> Engine {
    let config = keyspaces.made().await;
    let proxy = Proxy::before(contact_points().swap_remove(0)).await;
    let through = Config {
        contact_points: vec![proxy.address.to_string()],
        deadline: DEADLINE,
        attempt_timeout: Config::default().attempt_timeout,
        ..config.clone()
    };
    let store = CassandraStore::open(through).await.expect("opens");
    Engine { direct: CassandraStore::open(config).await.expect("opens"), store, proxy }
}

fn rows(seq: u64) -> Rows {
    let first = id_at("2026-11-15T00:00:00.000Z");
    let id = ringside_types::MessageId(first.0 + seq);
    Rows { messages: vec![message(channel(1), id, seq)], ..Rows::default() }
}

/// Whether it says that it does not know, in time.
async fn is_unavailable<T: std::fmt::Debug>(outcome: impl Future<Output = Result<T, EngineError>>) {
    let begun = Instant::now();
    match outcome.await {
        Err(EngineError::Unavailable { engine: "cassandra", cause }) => assert!(!cause.is_empty()),
        other => panic!("{other:?} is not `Unavailable`"),
    }
    assert!(begun.elapsed() < DEADLINE + SLACK, "after {:?}", begun.elapsed());
}

/// Tries until it works: connections are made anew by themselves.
async fn recovers<T>(mut attempt: impl AsyncFnMut() -> Result<T, EngineError>) -> T {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(outcome) => return outcome,
            Err(error) => assert!(begun.elapsed() < SOON, "still after {SOON:?}: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_is_lost_is_unavailable_and_may_be_repeated() {
    Keyspaces::with(async |keyspaces| {
        let Engine { direct, store, proxy } = engine(keyspaces).await;
        recovers(async || store.write_rows(PartitionId(3), &rows(1)).await).await;
        proxy.carry(Carries::RequestsOnly);
        is_unavailable(store.write_rows(PartitionId(3), &rows(2))).await;
        is_unavailable(store.write_heads(&[head(channel(1), 2)])).await;
        is_unavailable(store.messages(&[all_of(channel(1))])).await;
        // Not confirmed, and done all the same.
        let seen = async || {
            let rows = direct.messages(&[all_of(channel(1))]).await.expect("reads").concat();
            rows.iter().map(|row| row.seq).collect::<Vec<_>>()
        };
        let begun = Instant::now();
        while seen().await != [1, 2] {
            assert!(begun.elapsed() < SOON, "the request did not reach the engine");
        }
        proxy.carry(Carries::All);
        recovers(async || store.write_rows(PartitionId(3), &rows(2)).await).await;
        let expected = [rows(1).messages, rows(2).messages].concat();
        let found = recovers(async || store.messages(&[all_of(channel(1))]).await).await.concat();
        let without_stamps = |rows: &[ringside_domain::rows::MessageRow]| {
            rows.iter().map(|row| (row.message_id, row.seq, row.content.clone())).collect::<Vec<_>>()
        };
        assert_eq!(without_stamps(&found), without_stamps(&expected), "written twice is written once");
        assert!(store.counters().retries.load(Ordering::Relaxed) > 0, "it was tried more than once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_away_is_unavailable_at_once_and_comes_back_by_itself() {
    Keyspaces::with(async |keyspaces| {
        let Engine { store, proxy, .. } = engine(keyspaces).await;
        recovers(async || store.write_rows(PartitionId(3), &rows(1)).await).await;
        proxy.carry(Carries::Nothing);
        for _ in 0..3 {
            is_unavailable(store.write_rows(PartitionId(3), &rows(2))).await;
            is_unavailable(store.load(&Prefetch { channels: vec![channel(1)], ..Prefetch::default() })).await;
            is_unavailable(store.partition(PartitionId(3))).await;
        }
        proxy.carry(Carries::All);
        recovers(async || store.write_rows(PartitionId(3), &rows(2)).await).await;
        let found = recovers(async || store.messages(&[all_of(channel(1))]).await).await.concat();
        assert_eq!(found.len(), 2);
    })
    .await;
}

/// More than fits in flight waits for its turn; what waits too long is refused, and the rest is not harmed by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_at_once_waits_and_is_then_refused() {
    Keyspaces::with(async |keyspaces| {
        let config = keyspaces.made().await;
        let proxy = Proxy::before(contact_points().swap_remove(0)).await;
        let narrow = Config {
            contact_points: vec![proxy.address.to_string()],
            in_flight_max: 4,
            turn_wait: Duration::from_millis(200),
            ..config.clone()
        };
        let patient = Config { in_flight_max: 4, ..config };
        let patient = CassandraStore::open(patient).await.expect("opens");
        let heads: Vec<_> = (0..300).map(|number| head(channel(number), 1)).collect();
        patient.write_heads(&heads).await.expect("three hundred rows pass through four places");

        let store = CassandraStore::open(narrow).await.expect("opens");
        store.write_heads(&heads[..1]).await.expect("writes");
        proxy.carry(Carries::RequestsOnly);
        let waiting: Vec<_> = (0..8)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.write_heads(&[head(channel(number), 2)]).await })
            })
            .collect();
        // Four hold their places for as long as an attempt takes; the others give up before.
        let begun = Instant::now();
        while store.counters().refusals.load(Ordering::Relaxed) < 4 {
            assert!(begun.elapsed() < SOON, "nobody is refused");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for call in waiting {
            call.abort();
        }
        proxy.carry(Carries::All);
        recovers(async || store.write_heads(&heads).await).await;
    })
    .await;
}

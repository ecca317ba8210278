//! Nodes that are killed. With one contact point the engine is one node, with three it is a ring of three.
//!
//! It stops nodes that other tests use: run it alone.

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringside_cassandra::{CassandraStore, Config, Severity, check};
use ringside_domain::rows::{HeadRow, Prefetch, Rows};
use ringside_ports::{ChannelReader as _, EngineError, PartitionStore as _};
use ringside_types::{MessageId, PartitionId};
use support::rows::{all_of, channel, head, id_at, message};
use support::{Keyspaces, contact_points};

const PARTITION: PartitionId = PartitionId(3);
/// The product's deadline.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(2);
/// A node is back within this time.
const RESTART: Duration = Duration::from_secs(240);

/// Does something with a node.
fn engines(command: &str, node: usize) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/local/engines");
    let script = std::env::var_os("RINGSIDE_TEST_ENGINES_SCRIPT").unwrap_or(own.into());
    let done = Command::new(script).args([command, "cassandra", &node.to_string()]).status();
    assert!(done.expect("the script runs").success(), "{command} cassandra {node}");
}

fn rows(seq: u64) -> Rows {
    let first = id_at("2026-11-15T00:00:00.000Z");
    Rows { messages: vec![message(channel(1), MessageId(first.0 + seq), seq)], ..Rows::default() }
}

async fn commit(store: &CassandraStore, seq: u64) -> Result<(), EngineError> {
    store.write_rows(PARTITION, &rows(seq)).await?;
    // A channel for each, so that every node is asked.
    store.write_heads(&[head(channel(u128::from(seq)), seq)]).await
}

/// As many at once as a page of a sync asks for.
async fn heads(store: &CassandraStore, up_to: u64) -> Result<Vec<HeadRow>, EngineError> {
    let all: Vec<_> = (1..=up_to).map(|seq| channel(seq.into())).collect();
    let mut heads = Vec::new();
    for channels in all.chunks(50) {
        let wanted = Prefetch { channels: channels.to_vec(), ..Prefetch::default() };
        heads.extend(store.load(&wanted).await?.heads);
    }
    Ok(heads)
}

/// Tries until it works, and says how long it took.
async fn recovers(mut attempt: impl AsyncFnMut() -> Result<(), EngineError>) -> Duration {
    let begun = Instant::now();
    while let Err(error) = attempt().await {
        assert!(begun.elapsed() < RESTART, "still after {RESTART:?}: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

/// Whether calls say that they don't know, in time, with no node that could answer.
async fn all_is_unavailable(store: &CassandraStore) {
    for seq in 900..905 {
        let begun = Instant::now();
        let outcome = store.write_rows(PARTITION, &rows(seq)).await;
        assert!(matches!(outcome, Err(EngineError::Unavailable { .. })), "{outcome:?}");
        let outcome = heads(store, 3).await;
        assert!(matches!(outcome, Err(EngineError::Unavailable { .. })), "{outcome:?}");
        assert!(begun.elapsed() < 2 * (DEADLINE + SLACK), "after {:?}", begun.elapsed());
    }
}

async fn one_node_is_killed(store: &CassandraStore) {
    commit(store, 1).await.expect("commits");
    engines("kill", 1);
    all_is_unavailable(store).await;
    engines("start", 1);
    let took = recovers(async || commit(store, 2).await).await;
    eprintln!("one node, killed and started: {took:?} until the first commit");
    assert_eq!(heads(store, 2).await.expect("loads").len(), 2);
}

async fn one_node_of_three_is_killed(store: &CassandraStore, config: &Config) {
    const COMMITS: u64 = 300;
    for seq in 1..=COMMITS {
        commit(store, seq).await.expect("commits");
    }
    engines("kill", 2);
    let (mut unconfirmed, begun) = (0, Instant::now());
    for seq in COMMITS + 1..=2 * COMMITS {
        if commit(store, seq).await.is_err() {
            unconfirmed += 1;
            recovers(async || commit(store, seq).await).await;
        }
    }
    let retries = store.counters().retries.load(Ordering::Relaxed);
    let took = begun.elapsed();
    eprintln!(
        "one of three killed: {COMMITS} commits in {took:?}, {unconfirmed} not confirmed at once, {retries} retries"
    );
    assert!(unconfirmed <= 5, "{unconfirmed} of {COMMITS}: only what was on its way to the node");
    assert_eq!(heads(store, 2 * COMMITS).await.expect("loads").len() as u64, 2 * COMMITS);
    let findings = check(config).await;
    assert!(findings.iter().all(|it| it.severity < Severity::Bad), "a quorum is there: {findings:?}");
    engines("kill", 3);
    all_is_unavailable(store).await;
    engines("start", 3);
    engines("start", 2);
    let took = recovers(async || commit(store, 2 * COMMITS + 1).await).await;
    eprintln!("two of three started again: {took:?} until the first commit");
    let seqs = async || {
        let rows = store.messages(&[all_of(channel(1))]).await?.concat();
        Ok(rows.iter().map(|row| row.seq).filter(|seq| *seq < 900).collect::<Vec<_>>())
    };
    let mut found = Vec::new();
    recovers(async || {
        found = seqs().await?;
        Ok(())
    })
    .await;
    assert_eq!(found, (1..=2 * COMMITS + 1).collect::<Vec<_>>(), "what was confirmed is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_killed_take_nothing_with_them() {
    Keyspaces::with(async |keyspaces| {
        let nodes = contact_points().len();
        let made = keyspaces.made().await;
        let config =
            Config { deadline: DEADLINE, attempt_timeout: Config::default().attempt_timeout, ..made };
        let store = CassandraStore::open(config.clone()).await.expect("opens");
        match nodes {
            1 => one_node_is_killed(&store).await,
            3 => one_node_of_three_is_killed(&store, &config).await,
            other => panic!("RINGSIDE_TEST_CASSANDRA names {other} nodes: one, or a ring of three"),
        }
    })
    .await;
}

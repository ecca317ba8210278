//! Replies that are lost, and servers that don't answer: what is counted stays within its limit, and nobody waits for long.

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ringside_ports::presence::{Account, Charge, Connection, JointDecision, Rate, RateDecision, Status};
use ringside_ports::{EngineError, Presence as _};
use ringside_redis::{Config, RedisPresence};
use ringside_types::{Epoch, SessionId, Slot, UserId};
use support::Fresh;
use support::proxy::Proxy;
use uuid::Uuid;

const USER: UserId = UserId(Uuid::from_u128(1));
const SLOW: Rate = Rate { per_minute: 1, burst: 10 };
const TIMEOUT: Duration = Duration::from_millis(500);
/// A machine that has other work wakes nobody on time.
const SLACK: Duration = Duration::from_millis(500);

fn charge() -> Charge {
    Charge::one(Account::UserMessages(USER), SLOW)
}

fn connection(number: u64) -> Connection {
    let session_id = SessionId(Uuid::from_u128(9));
    Connection { user_id: USER, session_id, slot: Slot(1), epoch: Epoch(2), number }
}

fn granted(decisions: &[RateDecision]) -> usize {
    decisions.iter().filter(|decision| matches!(decision, RateDecision::Granted { .. })).count()
}

fn is_unavailable<T>(answer: &Result<T, EngineError>) -> bool {
    matches!(answer, Err(EngineError::Unavailable { engine: "redis", .. }))
}

async fn behind_a_proxy(fresh: &Fresh) -> (RedisPresence, Proxy) {
    let proxy = Proxy::to(&fresh.config.addresses[0]).await;
    let config = Config { addresses: vec![proxy.address.clone()], ..fresh.config.clone() };
    let presence = RedisPresence::new(&config).expect("right");
    // The server knows the scripts, so that the reply that is lost is that of what was done.
    let other = Charge { account: Account::ChannelsMade(USER), ..charge() };
    presence.charge(std::slice::from_ref(&other)).await.expect("answers");
    presence.charge_jointly(&[vec![other.clone()]]).await.expect("answers");
    presence.refund(&[other]).await.expect("answers");
    presence
        .connect(&[Connection { user_id: UserId(Uuid::nil()), ..connection(1) }], 0)
        .await
        .expect("answers");
    presence
        .disconnect(&[Connection { user_id: UserId(Uuid::nil()), ..connection(1) }])
        .await
        .expect("answers");
    (presence, proxy)
}

#[tokio::test]
async fn a_charge_whose_reply_is_lost_costs_a_token_and_grants_none_too_many() {
    let fresh = Fresh::single();
    let (presence, proxy) = behind_a_proxy(&fresh).await;
    assert_eq!(presence.charge(&[charge()]).await, Ok(vec![RateDecision::Granted { remaining: 9 }]));
    proxy.cut_next_reply();
    assert_eq!(presence.charge(&[charge()]).await, Ok(vec![RateDecision::Granted { remaining: 7 }]));
    proxy.cut_next_reply();
    let group = vec![charge(), Charge { account: Account::UserRequests(USER), ..charge() }];
    assert_eq!(presence.charge_jointly(&[group]).await, Ok(vec![JointDecision::Granted]));
    assert_eq!(proxy.lost(), 2);
    let left = presence.charge(&vec![charge(); 20]).await.expect("answers");
    assert_eq!(granted(&left), 5, "three were granted, two lost");
    fresh.drop_keys().await;
}

#[tokio::test]
async fn a_refund_is_not_repeated() {
    let fresh = Fresh::single();
    let (presence, proxy) = behind_a_proxy(&fresh).await;
    presence.charge(&vec![charge(); 10]).await.expect("answers");
    proxy.cut_next_reply();
    assert!(is_unavailable(&presence.refund(&[charge()]).await));
    assert_eq!(granted(&presence.charge(&vec![charge(); 10]).await.expect("answers")), 1, "given back once");
    fresh.drop_keys().await;
}

#[tokio::test]
async fn a_disconnection_whose_reply_is_lost_is_done_and_not_confirmed() {
    let fresh = Fresh::single();
    let (presence, proxy) = behind_a_proxy(&fresh).await;
    assert_eq!(presence.connect(&[connection(1)], 1).await, Ok(vec![true]));
    proxy.cut_next_reply();
    assert_eq!(presence.connect(&[connection(2)], 2).await, Ok(vec![true]), "repeated, and counted once");
    assert_eq!(presence.connect(&[connection(3)], 2).await, Ok(vec![false]));
    proxy.cut_next_reply();
    assert!(is_unavailable(&presence.disconnect(&[connection(1), connection(2)]).await));
    assert_eq!(presence.statuses(&[USER]).await, Ok(vec![Status::Offline]));
    proxy.cut_next_reply();
    assert_eq!(presence.end_leases(Slot(1), Epoch(9)).await, Ok(vec![]), "nothing of them is left");
    fresh.drop_keys().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_holds_nobody_up() {
    let fresh = Fresh::single();
    let proxy = Proxy::to(&fresh.config.addresses[0]).await;
    let addresses = vec![proxy.address.clone()];
    let connect_timeout = Duration::from_millis(200);
    let config = Config { addresses, timeout: TIMEOUT, connect_timeout, ..fresh.config.clone() };
    let presence = RedisPresence::new(&config).expect("right");
    assert_eq!(presence.statuses(&[USER]).await, Ok(vec![Status::Offline]));
    proxy.swallow_replies();
    for _ in 0..3 {
        let start = Instant::now();
        assert!(is_unavailable(&presence.charge(&[charge()]).await));
        assert!(start.elapsed() < TIMEOUT + SLACK, "{:?}", start.elapsed());
    }
    // Once it is known, most calls don't wait at all.
    let start = Instant::now();
    let many: Vec<_> = (0..50).map(|_| presence.statuses(&[USER])).collect();
    assert!(futures_util::future::join_all(many).await.iter().all(is_unavailable));
    assert!(start.elapsed() < TIMEOUT + SLACK, "fifty at once: {:?}", start.elapsed());
    proxy.pass();
    let start = Instant::now();
    while is_unavailable(&presence.statuses(&[USER]).await) {
        assert!(start.elapsed() < Duration::from_secs(20), "it comes back by itself");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let counters = presence.counters();
    assert!(counters.connections_lost.load(Ordering::Relaxed) >= 1);
    assert!(counters.calls_failed.load(Ordering::Relaxed) >= 53);
    fresh.drop_keys().await;
}

#[tokio::test]
async fn connections_that_nobody_ends_are_over_some_day() {
    for mut fresh in Fresh::both() {
        fresh.config.connection_life = Duration::from_secs(1);
        let presence = fresh.presence();
        presence.connect(&[connection(1)], 1).await.expect("answers");
        assert_eq!(presence.statuses(&[USER]).await, Ok(vec![Status::Online]));
        let start = Instant::now();
        // Its place is free for another one, which is no reason for the first to live on.
        while presence.connect(&[connection(2)], 1).await != Ok(vec![true]) {
            assert!(start.elapsed() < Duration::from_secs(20), "it is never over");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while !fresh.keys().await.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(20), "keys stay: {:?}", fresh.keys().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

//! Servers that are wiped, killed, replaced, or whose slots move, and what a question costs them. One test at a time,
//! because each disturbs all that runs on the servers.

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::{Value, cmd};
use ringside_ports::bus::{Bus as _, BusKey, BusListener as _};
use ringside_ports::presence::{Account, Charge, Connection, JointDecision, Rate, RateDecision, Status};
use ringside_ports::{EngineError, Presence as _};
use ringside_redis::{Config, RedisPresence, check};
use ringside_types::{Epoch, SessionId, Slot, UserId};
use support::{Fresh, ask};
use tokio::sync::Mutex;
use uuid::Uuid;

static ALONE: Mutex<()> = Mutex::const_new(());

const SLOW: Rate = Rate { per_minute: 1, burst: 10 };
const TIMEOUT: Duration = Duration::from_millis(500);
/// A machine that has other work wakes nobody on time.
const SLACK: Duration = Duration::from_millis(500);
/// What has to come, comes within this time.
const SOON: Duration = Duration::from_secs(60);
const SINGLE: &str = "redis";
const CLUSTER: &str = "redis-cluster";

fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

fn charge(number: u128) -> Charge {
    Charge::one(Account::UserMessages(user(number)), SLOW)
}

fn connection(of: u128, number: u64) -> Connection {
    let session_id = SessionId(Uuid::from_u128(9));
    Connection { user_id: user(of), session_id, slot: Slot(1), epoch: Epoch(2), number }
}

fn granted(decisions: &[RateDecision]) -> usize {
    decisions.iter().filter(|decision| matches!(decision, RateDecision::Granted { .. })).count()
}

fn is_unavailable<T>(answer: &Result<T, EngineError>) -> bool {
    matches!(answer, Err(EngineError::Unavailable { engine: "redis", .. }))
}

/// Kills or starts the node of that number.
fn engine(action: &str, name: &str, node: usize) {
    let script = std::env::var("RINGSIDE_TEST_ENGINES_SCRIPT").unwrap_or_else(|_| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        root.join("deploy/local/engines").to_string_lossy().into_owned()
    });
    let done = Command::new(&script).args([action, name, &node.to_string()]).status();
    assert!(done.is_ok_and(|status| status.success()), "{script} {action} {name} {node} failed");
}

/// Waits for what must come, asking again and again.
async fn until(what: &str, is_there: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is_there().await {
        assert!(start.elapsed() < SOON, "{what}: not within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn impatient(fresh: &Fresh) -> Config {
    let connect_timeout = Duration::from_millis(200);
    Config { timeout: TIMEOUT, connect_timeout, ..fresh.config.clone() }
}

#[tokio::test]
async fn what_was_wiped_begins_anew() {
    let _alone = ALONE.lock().await;
    for fresh in Fresh::both() {
        let presence = fresh.presence();
        presence.connect(&[connection(1, 1), connection(2, 1)], 1).await.expect("connects");
        assert_eq!(granted(&presence.charge(&vec![charge(1); 12]).await.expect("answers")), 10);
        for address in &fresh.config.addresses {
            let mut connection = support::connection(address).await.expect("the server is there");
            // Replicas refuse, and follow.
            let _: redis::RedisResult<Value> = cmd("FLUSHALL").query_async(&mut connection).await;
        }
        assert_eq!(presence.statuses(&[user(1), user(2)]).await, Ok(vec![Status::Offline; 2]));
        let said = presence.set_status(&[(connection(1, 1), Status::Away)]).await.expect("answers");
        assert_eq!(said[0].after, Status::Offline, "nobody knows that connection any more");
        assert_eq!(
            presence.disconnect(&[connection(2, 1)]).await.expect("answers")[0].before,
            Status::Offline
        );
        assert_eq!(presence.connect(&[connection(1, 1)], 1).await, Ok(vec![true]));
        assert_eq!(presence.statuses(&[user(1)]).await, Ok(vec![Status::Online]));
        assert_eq!(granted(&presence.charge(&vec![charge(1); 12]).await.expect("answers")), 10);
        assert_eq!(presence.end_leases(Slot(1), Epoch(3)).await, Ok(vec![user(1)]));
        fresh.drop_keys().await;
    }
}

#[tokio::test]
async fn scripts_that_were_forgotten_are_loaded_again() {
    let _alone = ALONE.lock().await;
    for fresh in Fresh::both() {
        let presence = fresh.presence();
        for round in 1..=3_u32 {
            for address in &fresh.config.addresses {
                ask(address, cmd("SCRIPT").arg("FLUSH")).await;
            }
            let charges: Vec<Charge> = (0..20).map(charge).collect();
            let decisions = presence.charge(&charges).await;
            assert_eq!(decisions, Ok(vec![RateDecision::Granted { remaining: 10 - round }; 20]));
            let connections: Vec<Connection> = (0..20).map(|number| connection(number, 1)).collect();
            assert_eq!(presence.connect(&connections, 1).await, Ok(vec![true; 20]));
        }
        fresh.drop_keys().await;
    }
}

#[tokio::test]
async fn a_memory_that_forgets_is_said() {
    let _alone = ALONE.lock().await;
    let fresh = Fresh::single();
    let set = async |policy: &str| {
        let server = &fresh.config.addresses[0];
        ask(server, cmd("CONFIG").arg("SET").arg("maxmemory-policy").arg(policy)).await
    };
    set("allkeys-lru").await;
    let findings = check(&fresh.config).await;
    set("noeviction").await;
    assert!(findings.len() == 1 && findings[0].0.contains("allkeys-lru"), "{findings:?}");
    assert_eq!(check(&fresh.config).await, []);
}

/// How often a script ran on all primaries, and how many pipelines went out.
async fn costs(fresh: &Fresh, presence: &RedisPresence, question: impl AsyncFn()) -> (u64, u64) {
    let ran = async || {
        let mut ran = 0;
        for address in &fresh.config.addresses {
            let Value::BulkString(text) = ask(address, cmd("INFO").arg("commandstats")).await else {
                continue;
            };
            let text = String::from_utf8(text).expect("text");
            let line = text.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
            let calls = line.and_then(|rest| rest.split(',').next()?.parse::<u64>().ok());
            ran += calls.unwrap_or(0);
        }
        ran
    };
    let round_trips = || presence.counters().round_trips.load(Ordering::Relaxed);
    let before = (ran().await, round_trips());
    question().await;
    (ran().await - before.0, round_trips() - before.1)
}

#[tokio::test]
async fn a_question_is_one_round_trip_to_each_server() {
    let _alone = ALONE.lock().await;
    for fresh in Fresh::both() {
        let presence = &fresh.presence();
        let servers = if fresh.config.addresses.len() == 1 { 1 } else { 3 };
        let users: Vec<UserId> = (0..100).map(user).collect();
        let connections: Vec<Connection> = (0..100).map(|number| connection(number, 1)).collect();
        let charges: Vec<Charge> = (0..100).map(charge).collect();
        let channel = Account::ChannelMessages(ringside_types::ChannelId(Uuid::from_u128(1)));
        let of_channel = Charge::one(channel, Rate { per_minute: 1, burst: 60 });
        let groups: Vec<Vec<Charge>> =
            charges.iter().map(|one| vec![one.clone(), of_channel.clone()]).collect();
        let warm = async || {
            presence.statuses(&users).await.expect("answers");
            presence.connect(&connections, 0).await.expect("answers");
            presence.charge(&charges).await.expect("answers");
            presence.charge_jointly(&groups[..50]).await.expect("answers");
            presence.refund(&charges).await.expect("answers");
        };
        // Scripts are loaded, and the map is known.
        warm().await;
        let of = async |question: &str| {
            costs(&fresh, presence, async || match question {
                "statuses" => drop(presence.statuses(&users).await.expect("answers")),
                "connect" => drop(presence.connect(&connections, 0).await.expect("answers")),
                "charge" => drop(presence.charge(&charges).await.expect("answers")),
                "a channel's" => {
                    drop(presence.charge(&vec![of_channel.clone(); 100]).await.expect("answers"));
                }
                "groups" => drop(presence.charge_jointly(&groups[50..60]).await.expect("answers")),
                other => panic!("{other}"),
            })
            .await
        };
        assert_eq!(of("groups").await, (11, servers), "ten users' buckets, and the channel's");
        assert_eq!(of("statuses").await, (100, servers));
        assert_eq!(of("connect").await, (101, servers), "a hash for each user, and one index");
        assert_eq!(of("charge").await, (100, servers));
        assert_eq!(of("a channel's").await, (1, 1), "one bucket is one command");
        // The channel's are used up now: one round to find that out, one to give back what the users' buckets gave.
        let spent = costs(&fresh, presence, async || {
            let decided = presence.charge_jointly(&groups).await.expect("answers");
            assert!(
                decided.iter().all(|it| matches!(it, JointDecision::Refused { charge: 1, .. })),
                "{decided:?}"
            );
        })
        .await;
        assert_eq!(spent, (201, 2 * servers));
        fresh.drop_keys().await;
    }
}

#[tokio::test]
async fn a_server_that_is_killed_holds_nobody_up_and_is_found_again() {
    let _alone = ALONE.lock().await;
    let fresh = Fresh::single();
    let config = impatient(&fresh);
    let presence = RedisPresence::new(&config).expect("right");
    let bus = fresh.bus();
    let mut listener = bus.listener();
    let key = BusKey::Presence(1);
    listener.subscribe(&[key]).await.expect("subscribes");
    presence.connect(&[connection(1, 1)], 0).await.expect("connects");
    engine("kill", SINGLE, 1);
    for _ in 0..20 {
        let start = Instant::now();
        assert!(is_unavailable(&presence.charge(&[charge(1)]).await));
        assert!(is_unavailable(&presence.connect(&[connection(1, 2)], 0).await));
        assert!(is_unavailable(&presence.end_leases(Slot(1), Epoch(1)).await));
        assert!(start.elapsed() < 3 * TIMEOUT + SLACK, "{:?}", start.elapsed());
    }
    assert!(bus.publish(&[(key, Bytes::from("lost"))]).await.is_err());
    assert!(listener.subscribe(&[BusKey::Presence(2)]).await.is_err(), "not yet");
    engine("start", SINGLE, 1);
    until("presence answers again", async || presence.connect(&[connection(1, 1)], 0).await.is_ok()).await;
    assert_eq!(presence.statuses(&[user(1)]).await, Ok(vec![Status::Online]));
    let heard = tokio::time::timeout(SOON, listener.hear()).await.expect("the listener is back");
    assert!(heard.was_interrupted && heard.messages.is_empty(), "{heard:?}");
    let told = [(key, Bytes::from("one")), (BusKey::Presence(2), Bytes::from("two"))];
    until("the bus answers again", async || bus.publish(&told).await.is_ok()).await;
    let mut messages = Vec::new();
    while messages.len() < 2 {
        messages.extend(tokio::time::timeout(SOON, listener.hear()).await.expect("heard").messages);
    }
    assert_eq!(messages, told, "what was wished for while it was away is heard, too");
    fresh.drop_keys().await;
}

/// The number of the node that has a key, and its address.
async fn owner(fresh: &Fresh, key: &str) -> (usize, String) {
    let slot = slot_of(fresh, key).await;
    let addresses = &fresh.config.addresses;
    let Value::Array(ranges) = ask(&addresses[0], cmd("CLUSTER").arg("SLOTS")).await else {
        panic!("a cluster tells its slots")
    };
    for range in ranges {
        let (first, last, primary): (i64, i64, Vec<Value>) = match range {
            Value::Array(range) => match &range[..] {
                [Value::Int(first), Value::Int(last), Value::Array(primary), ..] => {
                    (*first, *last, primary.clone())
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        if (first..=last).contains(&slot) {
            let Value::Int(port) = primary[1] else { panic!("{primary:?}") };
            let at = addresses.iter().position(|it| it.ends_with(&format!(":{port}")));
            let at = at.expect("every server is in the variable");
            return (at + 1, addresses[at].clone());
        }
    }
    panic!("slot {slot} has no server")
}

async fn slot_of(fresh: &Fresh, key: &str) -> i64 {
    match ask(&fresh.config.addresses[0], cmd("CLUSTER").arg("KEYSLOT").arg(key)).await {
        Value::Int(slot) => slot,
        other => panic!("{other:?}"),
    }
}

fn session_key(fresh: &Fresh, of: u128) -> String {
    format!("{}:session:{{{}}}", fresh.config.prefix, user(of).0.simple())
}

#[tokio::test]
async fn a_replica_takes_over() {
    let _alone = ALONE.lock().await;
    let fresh = Fresh::cluster();
    let presence = RedisPresence::new(&impatient(&fresh)).expect("right");
    let bus = fresh.bus();
    let mut listener = bus.listener();
    let keys: Vec<BusKey> = (0..200).map(BusKey::Presence).collect();
    listener.subscribe(&keys).await.expect("subscribes");
    let connections: Vec<Connection> = (0..50).map(|number| connection(number, 1)).collect();
    presence.connect(&connections, 0).await.expect("connects");
    let users: Vec<UserId> = (0..50).map(user).collect();
    let (node, address) = owner(&fresh, &session_key(&fresh, 1)).await;
    // What a replica has not heard yet would be gone.
    ask(&address, cmd("WAIT").arg(1).arg(10_000)).await;
    engine("kill", CLUSTER, node);
    let start = Instant::now();
    let answer = presence.statuses(&[user(1)]).await;
    assert!(is_unavailable(&answer), "{answer:?}");
    assert!(start.elapsed() < TIMEOUT + SLACK, "{:?}", start.elapsed());
    until("the replica answers", async || presence.statuses(&users).await.is_ok()).await;
    let took = start.elapsed();
    assert_eq!(presence.statuses(&users).await, Ok(vec![Status::Online; 50]), "after {took:?}");
    let charges: Vec<Charge> = (0..50).map(charge).collect();
    until("limits are held", async || presence.charge(&charges).await.is_ok()).await;
    let heard = tokio::time::timeout(SOON, listener.hear()).await.expect("the listener is back");
    assert!(heard.was_interrupted, "{heard:?}");
    let told: Vec<_> = keys.iter().map(|key| (*key, Bytes::from("told"))).collect();
    until("the bus answers", async || bus.publish(&told).await.is_ok()).await;
    let mut found = Vec::new();
    while found.len() < told.len() {
        found.extend(tokio::time::timeout(SOON, listener.hear()).await.expect("heard").messages);
    }
    found.sort();
    found.dedup();
    assert_eq!(found, told);
    engine("start", CLUSTER, node);
    until("the cluster is whole", async || is_whole(&fresh).await).await;
    fresh.drop_keys().await;
}

/// Every server knows the cluster as good, and every replica has its primary.
async fn is_whole(fresh: &Fresh) -> bool {
    for address in &fresh.config.addresses {
        let Ok(mut connection) = support::connection(address).await else { return false };
        let state: redis::RedisResult<String> = cmd("CLUSTER").arg("INFO").query_async(&mut connection).await;
        let role: redis::RedisResult<String> =
            cmd("INFO").arg("replication").query_async(&mut connection).await;
        let is_good = state.is_ok_and(|text| text.contains("cluster_state:ok"))
            && role.is_ok_and(|text| !text.contains("master_link_status:down"));
        if !is_good {
            return false;
        }
    }
    true
}

async fn id_of(address: &str) -> String {
    match ask(address, cmd("CLUSTER").arg("MYID")).await {
        Value::BulkString(id) => String::from_utf8(id).expect("text"),
        other => panic!("{other:?}"),
    }
}

/// Moves a slot with all that is in it, in the steps of a real move; `between` runs after each of them.
async fn move_slot(slot: i64, from: &str, to: &str, all: &[String], between: impl AsyncFn()) {
    let (from_id, to_id) = (id_of(from).await, id_of(to).await);
    let set = |words: [&str; 2]| {
        let mut command = cmd("CLUSTER");
        command.arg("SETSLOT").arg(slot).arg(&words);
        command
    };
    ask(to, &set(["IMPORTING", &from_id])).await;
    ask(from, &set(["MIGRATING", &to_id])).await;
    between().await;
    let Value::Array(keys) = ask(from, cmd("CLUSTER").arg("GETKEYSINSLOT").arg(slot).arg(1_000)).await else {
        panic!("keys are listed")
    };
    let port = to.rsplit(':').next().expect("a port");
    for key in keys {
        let Value::BulkString(key) = key else { panic!("{key:?}") };
        ask(from, cmd("MIGRATE").arg("127.0.0.1").arg(port).arg(key).arg(0).arg(5_000)).await;
        between().await;
    }
    for address in [to, from].into_iter().chain(all.iter().map(String::as_str)) {
        let mut connection = support::connection(address).await.expect("the server is there");
        // Replicas refuse, and hear of it.
        let _: redis::RedisResult<Value> = set(["NODE", &to_id]).query_async(&mut connection).await;
    }
    between().await;
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let _alone = ALONE.lock().await;
    let fresh = Fresh::cluster();
    let presence = fresh.presence();
    let of: u128 = rand::random();
    let slot = slot_of(&fresh, &session_key(&fresh, of)).await;
    let (from, from_address) = owner(&fresh, &session_key(&fresh, of)).await;
    let mut to = None;
    for other in 0.. {
        let (node, address) = owner(&fresh, &session_key(&fresh, other)).await;
        if node != from {
            to = Some(address);
            break;
        }
    }
    let to_address = to.expect("another primary");
    // A channel that is told on the same server as the user's hash.
    let bus = fresh.bus();
    let mut listener = bus.listener();
    let key = BusKey::Typing(ringside_types::ChannelId(user(of).0));
    listener.subscribe(&[key]).await.expect("subscribes");
    let number = std::sync::atomic::AtomicU64::new(0);
    // What is wrong is told when the slot is back in its place, where others expect it.
    let wrong = std::sync::Mutex::new(Vec::new());
    let use_it = async || {
        let connection = connection(of, number.fetch_add(1, Ordering::Relaxed));
        let added = presence.connect(&[connection], 0).await;
        let said = presence.set_status(&[(connection, Status::Dnd)]).await;
        let seen = presence.statuses(&[user(of), user(0)]).await;
        let is_right = added == Ok(vec![true])
            && said.as_ref().is_ok_and(|changes| changes[0].after == Status::Dnd)
            && seen == Ok(vec![Status::Dnd, Status::Offline]);
        if !is_right {
            wrong.lock().expect("no panic").push(format!("{added:?} {said:?} {seen:?}"));
        }
    };
    use_it().await;
    let addresses = &fresh.config.addresses;
    move_slot(slot, &from_address, &to_address, addresses, &use_it).await;
    let there = Bytes::from("there");
    let hears_there = async {
        loop {
            let _ = bus.publish(&[(key, there.clone())]).await;
            let heard = tokio::time::timeout(Duration::from_millis(50), listener.hear()).await;
            if heard.is_ok_and(|heard| heard.messages.contains(&(key, there.clone()))) {
                break;
            }
        }
    };
    let hears_there = tokio::time::timeout(SOON, hears_there).await;
    move_slot(slot, &to_address, &from_address, addresses, &use_it).await;
    assert_eq!(wrong.into_inner().expect("no panic"), [""; 0]);
    assert!(hears_there.is_ok(), "the listener does not follow");
    assert!(presence.counters().redirections.load(Ordering::Relaxed) > 0);
    let all: Vec<Connection> = (0..number.into_inner()).map(|number| connection(of, number)).collect();
    assert_eq!(presence.end_leases(Slot(1), Epoch(3)).await, Ok(vec![user(of)]));
    let after = presence.disconnect(&all).await.expect("answers");
    assert!(after.iter().all(|change| change.before == Status::Offline), "none was lost on the way");
    fresh.drop_keys().await;
}

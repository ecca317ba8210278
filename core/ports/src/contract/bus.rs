//! The contract of [`Bus`].

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use ringside_types::{ChannelId, UserId};
use uuid::Uuid;

use super::soon;
use crate::bus::{
    BACKLOG_MESSAGES_MAX, Bus, BusKey, BusListener, Heard, MESSAGE_BYTES_MAX, PRESENCE_BUCKETS,
};

/// What must not come is waited for this long; a bus that is slower passes, and none fails for it.
const QUIET: Duration = Duration::from_millis(50);

/// Runs every part, each over a fresh engine.
pub async fn suite<B: Bus>(make: impl AsyncFn() -> B) {
    users_are_spread_over_the_buckets();
    who_listens_hears(make().await).await;
    keys_are_apart(make().await).await;
    who_listens_no_more_hears_nothing(make().await).await;
    every_listener_hears_for_itself(make().await).await;
    messages_of_a_key_keep_their_order(make().await).await;
    a_subscription_twice_is_heard_once(make().await).await;
    a_slow_listener_loses_the_oldest(make().await).await;
    many_keys_at_once(make().await).await;
    what_is_too_large_is_refused(make().await).await;
    who_stops_waiting_loses_nothing(make().await).await;
}

fn typing(number: u128) -> BusKey {
    BusKey::Typing(ChannelId(Uuid::from_u128(number)))
}

fn message(key: BusKey, text: &str) -> (BusKey, Bytes) {
    (key, Bytes::copy_from_slice(text.as_bytes()))
}

async fn publish<B: Bus>(bus: &B, messages: &[(BusKey, Bytes)]) {
    bus.publish(messages).await.expect("publishes");
}

async fn heard(listener: &mut impl BusListener) -> Heard {
    soon("a message", listener.hear()).await
}

/// So many messages, in any number of pieces, none of them dropped.
async fn messages(listener: &mut impl BusListener, count: usize) -> Vec<(BusKey, Bytes)> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let heard = heard(listener).await;
        assert!(heard.dropped == 0 && !heard.was_interrupted, "nothing is lost: {heard:?}");
        messages.extend(heard.messages);
    }
    messages
}

async fn hears_nothing(listener: &mut impl BusListener) {
    let heard = tokio::time::timeout(QUIET, listener.hear()).await;
    assert!(heard.is_err(), "{heard:?}");
}

fn users_are_spread_over_the_buckets() {
    let key = |number| BusKey::of_user(UserId(Uuid::from_u128(number)));
    let keys: BTreeSet<BusKey> = (0..100_000).map(key).collect();
    assert!(keys.iter().all(|key| matches!(key, BusKey::Presence(bucket) if *bucket < PRESENCE_BUCKETS)));
    assert_eq!(keys.len(), usize::from(PRESENCE_BUCKETS));
}

/// From the moment of the answer on; what was told before is not kept.
pub async fn who_listens_hears<B: Bus>(bus: B) {
    let key = typing(1);
    publish(&bus, &[]).await;
    publish(&bus, &[message(key, "before")]).await;
    let mut listener = bus.listener();
    listener.subscribe(&[]).await.expect("nothing to do");
    listener.subscribe(&[key]).await.expect("subscribes");
    publish(&bus, &[message(key, "one"), message(key, "")]).await;
    assert_eq!(messages(&mut listener, 2).await, [message(key, "one"), message(key, "")]);
    let binary = (key, Bytes::from((0..=255).collect::<Vec<u8>>()));
    publish(&bus, std::slice::from_ref(&binary)).await;
    assert_eq!(messages(&mut listener, 1).await, [binary]);
    hears_nothing(&mut listener).await;
}

/// Kinds and numbers.
pub async fn keys_are_apart<B: Bus>(bus: B) {
    let keys = [BusKey::Presence(1), BusKey::Presence(2), typing(1), typing(2)];
    let mut listener = bus.listener();
    listener.subscribe(&[keys[0], keys[3]]).await.expect("subscribes");
    publish(&bus, &keys.map(|key| message(key, "told"))).await;
    let mut found = messages(&mut listener, 2).await;
    found.sort();
    let mut expected = vec![message(keys[0], "told"), message(keys[3], "told")];
    expected.sort();
    assert_eq!(found, expected);
    hears_nothing(&mut listener).await;
}

/// Nor does who never did.
pub async fn who_listens_no_more_hears_nothing<B: Bus>(bus: B) {
    let (one, other) = (typing(1), typing(2));
    let mut listener = bus.listener();
    listener.unsubscribe(&[one]).await.expect("unknown ones change nothing");
    listener.subscribe(&[one, other]).await.expect("subscribes");
    listener.unsubscribe(&[one]).await.expect("unsubscribes");
    publish(&bus, &[message(one, "told"), message(other, "told")]).await;
    assert_eq!(messages(&mut listener, 1).await, [message(other, "told")]);
    hears_nothing(&mut listener).await;
    listener.subscribe(&[one]).await.expect("subscribes again");
    publish(&bus, &[message(one, "again")]).await;
    assert_eq!(messages(&mut listener, 1).await, [message(one, "again")]);
}

/// And one that is gone takes nothing of the others'.
pub async fn every_listener_hears_for_itself<B: Bus>(bus: B) {
    let key = BusKey::Presence(7);
    let (mut one, mut other) = (bus.listener(), bus.clone().listener());
    one.subscribe(&[key]).await.expect("subscribes");
    other.subscribe(&[key]).await.expect("subscribes");
    publish(&bus, &[message(key, "both")]).await;
    assert_eq!(messages(&mut one, 1).await, [message(key, "both")]);
    assert_eq!(messages(&mut other, 1).await, [message(key, "both")]);
    one.unsubscribe(&[key]).await.expect("unsubscribes");
    drop(one);
    publish(&bus, &[message(key, "one")]).await;
    assert_eq!(messages(&mut other, 1).await, [message(key, "one")]);
}

/// Over calls, too.
pub async fn messages_of_a_key_keep_their_order<B: Bus>(bus: B) {
    let key = typing(1);
    let mut listener = bus.listener();
    listener.subscribe(&[key]).await.expect("subscribes");
    let all: Vec<_> = (0..300).map(|number| message(key, &number.to_string())).collect();
    for some in all.chunks(30) {
        publish(&bus, some).await;
    }
    assert_eq!(messages(&mut listener, all.len()).await, all);
}

/// One subscription, and one end of it.
pub async fn a_subscription_twice_is_heard_once<B: Bus>(bus: B) {
    let key = typing(1);
    let mut listener = bus.listener();
    listener.subscribe(&[key, key]).await.expect("subscribes");
    listener.subscribe(&[key]).await.expect("subscribes");
    publish(&bus, &[message(key, "once")]).await;
    assert_eq!(messages(&mut listener, 1).await, [message(key, "once")]);
    hears_nothing(&mut listener).await;
    listener.unsubscribe(&[key]).await.expect("unsubscribes");
    publish(&bus, &[message(key, "told")]).await;
    hears_nothing(&mut listener).await;
}

/// And is told how many; others lose nothing.
pub async fn a_slow_listener_loses_the_oldest<B: Bus>(bus: B) {
    let (key, last) = (typing(1), BusKey::Presence(9));
    let (mut slow, mut witness) = (bus.listener(), bus.listener());
    slow.subscribe(&[key, last]).await.expect("subscribes");
    witness.subscribe(&[key]).await.expect("subscribes");
    let count = 2 * BACKLOG_MESSAGES_MAX;
    let all: Vec<_> = (0..count).map(|number| message(key, &number.to_string())).collect();
    for some in all.chunks(1_000) {
        publish(&bus, some).await;
        // Who keeps up has it all.
        assert_eq!(messages(&mut witness, some.len()).await, some);
    }
    // The last comes after all others, or beside them where it is told by another server.
    publish(&bus, &[message(last, "last")]).await;
    let (mut dropped, mut seen) = (0, Vec::new());
    while seen.len() + dropped < count + 1 {
        let heard = heard(&mut slow).await;
        dropped += usize::try_from(heard.dropped).expect("a few");
        seen.extend(heard.messages);
    }
    // What was still on its way when the listener began to hear had room.
    assert!((1..=BACKLOG_MESSAGES_MAX + 1).contains(&dropped), "{dropped} are dropped");
    assert_eq!(seen.len() + dropped, count + 1);
    assert!(!seen.contains(&message(key, "0")) && seen.contains(&message(key, &(count - 1).to_string())));
}

/// All buckets of presence, as an edge may listen to where its users watch many.
pub async fn many_keys_at_once<B: Bus>(bus: B) {
    let keys: Vec<BusKey> = (0..PRESENCE_BUCKETS).map(BusKey::Presence).collect();
    let mut listener = bus.listener();
    soon("all buckets", listener.subscribe(&keys)).await.expect("subscribes");
    let all: Vec<_> = keys.iter().map(|key| message(*key, "told")).collect();
    for some in all.chunks(1_000) {
        publish(&bus, some).await;
        let mut found = messages(&mut listener, some.len()).await;
        found.sort();
        assert_eq!(found, some);
    }
    soon("the end of all", listener.unsubscribe(&keys[1..])).await.expect("unsubscribes");
    publish(&bus, &all[..2]).await;
    assert_eq!(messages(&mut listener, 1).await, all[..1]);
    hears_nothing(&mut listener).await;
}

/// And nothing of the same call is told.
pub async fn what_is_too_large_is_refused<B: Bus>(bus: B) {
    let key = typing(1);
    let mut listener = bus.listener();
    listener.subscribe(&[key]).await.expect("subscribes");
    let of = |bytes| (key, Bytes::from(vec![b'x'; bytes]));
    assert!(bus.publish(&[message(key, "small"), of(MESSAGE_BYTES_MAX + 1)]).await.is_err());
    publish(&bus, &[of(MESSAGE_BYTES_MAX)]).await;
    assert_eq!(messages(&mut listener, 1).await, [of(MESSAGE_BYTES_MAX)]);
}

/// As a loop does that waits for several things at once.
pub async fn who_stops_waiting_loses_nothing<B: Bus>(bus: B) {
    let key = typing(1);
    let mut listener = bus.listener();
    listener.subscribe(&[key]).await.expect("subscribes");
    let mut found = Vec::new();
    for number in 0..20 {
        publish(&bus, &[message(key, &number.to_string())]).await;
        if let Ok(heard) = tokio::time::timeout(Duration::from_micros(number * 50), listener.hear()).await {
            found.extend(heard.messages);
        }
    }
    let missing = 20 - found.len();
    found.extend(messages(&mut listener, missing).await);
    let expected: Vec<_> = (0..20).map(|number: u64| message(key, &number.to_string())).collect();
    assert_eq!(found, expected);
}

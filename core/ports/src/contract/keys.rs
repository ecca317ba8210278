//! The contract of [`KeyStore`].

use uuid::Uuid;

use super::soon;
use crate::keys::{KEYS_MAX, KeyStore, KeyStoreError, StoredKey};

/// Runs every part, each over a fresh store that holds nothing.
pub async fn suite<K: KeyStore>(make: impl AsyncFn() -> K) {
    what_is_swapped_in_is_loaded(make().await).await;
    keys_come_oldest_first(make().await).await;
    what_is_left_out_is_gone(make().await).await;
    a_swap_from_another_set_changes_nothing(make().await).await;
    of_two_swaps_at_once_one_is_made(make().await).await;
    a_full_set_takes_no_more(make().await).await;
}

/// The key of this number, made so many milliseconds after the epoch.
fn key(number: u8, made_at: u64) -> StoredKey {
    let id = uuid::Builder::from_unix_timestamp_millis(made_at, &[number; 10]).into_uuid();
    StoredKey { id, seed: [number; 32] }
}

/// A fresh store holds no key; then it holds what was swapped in, private halves included, until the next swap.
pub async fn what_is_swapped_in_is_loaded<K: KeyStore>(store: K) {
    let fresh = store.load().await.expect("loads");
    assert_eq!(fresh.keys, []);
    let made = store.swap(fresh.version, vec![key(1, 1_000)]).await.expect("swaps").expect("as it was");
    assert_eq!(made.keys, [key(1, 1_000)]);
    assert_ne!(made.version, fresh.version);
    for _ in 0..2 {
        assert_eq!(store.load().await.expect("loads"), made, "reading changes nothing");
    }
    assert_eq!(store.clone().load().await.expect("loads"), made, "a clone is another handle");
}

/// In whatever order they are given. A name that says no time is older than all.
pub async fn keys_come_oldest_first<K: KeyStore>(store: K) {
    let unnamed = StoredKey { id: Uuid::from_u128(7), seed: [9; 32] };
    let fresh = store.load().await.expect("loads");
    let given = vec![key(2, 3_000), key(3, 1_000), unnamed.clone(), key(1, 2_000)];
    let made = store.swap(fresh.version, given).await.expect("swaps").expect("as it was");
    let expected = [unnamed, key(3, 1_000), key(1, 2_000), key(2, 3_000)];
    assert_eq!(made.keys, expected);
    assert_eq!(store.load().await.expect("loads").keys, expected);
}

/// A swap is the whole set: what it leaves out is not kept, what it keeps stays as it was.
pub async fn what_is_left_out_is_gone<K: KeyStore>(store: K) {
    let fresh = store.load().await.expect("loads");
    let both = vec![key(1, 1_000), key(2, 2_000)];
    let both = store.swap(fresh.version, both).await.expect("swaps").expect("as it was");
    let one = store.swap(both.version, vec![key(2, 2_000)]).await.expect("swaps").expect("as it was");
    assert_eq!(one.keys, [key(2, 2_000)]);
    assert_eq!(store.load().await.expect("loads"), one);
}

/// Whoever has not seen the last change can't undo it.
pub async fn a_swap_from_another_set_changes_nothing<K: KeyStore>(store: K) {
    let fresh = store.load().await.expect("loads");
    let first = store.swap(fresh.version, vec![key(1, 1_000)]).await.expect("swaps").expect("as it was");
    assert_eq!(store.swap(fresh.version, vec![key(2, 2_000)]).await, Ok(None));
    assert_eq!(store.load().await.expect("loads"), first);
}

/// Two that begin at the same set: one is made, the other is told that it was late.
pub async fn of_two_swaps_at_once_one_is_made<K: KeyStore>(store: K) {
    let fresh = store.load().await.expect("loads");
    let swap = |number| {
        let store = store.clone();
        tokio::spawn(async move { store.swap(fresh.version, vec![key(number, 1_000)]).await })
    };
    let (one, other) = (swap(1), swap(2));
    let answers = [soon("a swap", one).await, soon("a swap", other).await];
    let made: Vec<_> =
        answers.into_iter().filter_map(|answer| answer.expect("no panic").expect("swaps")).collect();
    assert_eq!(made.len(), 1);
    assert_eq!(store.load().await.expect("loads"), made[0]);
}

/// More than [`KEYS_MAX`] are refused before anything is changed.
pub async fn a_full_set_takes_no_more<K: KeyStore>(store: K) {
    let fresh = store.load().await.expect("loads");
    let keys =
        |count: usize| (0..count).map(|number| key(number as u8, number as u64 + 1)).collect::<Vec<_>>();
    let full = store.swap(fresh.version, keys(KEYS_MAX)).await.expect("swaps").expect("as it was");
    let refused = store.swap(full.version, keys(KEYS_MAX + 1)).await;
    assert!(matches!(refused, Err(KeyStoreError::TooMany(_))), "{refused:?}");
    assert_eq!(store.load().await.expect("loads"), full);
}

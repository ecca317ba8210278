//! Rotation of the signing keys while the server runs.

use std::sync::Arc;
use std::time::Duration;

use ringside_clock::now;
use ringside_edge_protocol::{ShardId, ToShard};
use ringside_node::ToShards;
use ringside_user::{SHOWN_FIRST_MS, SigningKeys};
use tokio::sync::watch;

/// The keys are looked at when the server starts, and then this often.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// A full mailbox is tried again after this long.
const RETRY: Duration = Duration::from_millis(50);
/// A disk that refused is tried again after this long.
const RETRY_DISK: Duration = Duration::from_secs(60 * 60);

// A shard that has no room for so long has more than a key to worry about.
const _: () = assert!(RETRY.as_millis() * 100 < SHOWN_FIRST_MS as u128);

/// Runs until `stop` turns true.
pub(super) async fn run(keys: Arc<SigningKeys>, days: u64, shards: Shards, mut stop: watch::Receiver<bool>) {
    loop {
        let tended = {
            let keys = keys.clone();
            tokio::task::spawn_blocking(move || keys.tend(days, now())).await
        };
        let mut pause = EVERY;
        match tended {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => tell(&keys, &shards).await,
            // What it did before it failed holds as well.
            Ok(Err(error)) => {
                tracing::error!(%error, "the signing keys could not be rotated; it is tried again in an hour");
                tell(&keys, &shards).await;
                pause = RETRY_DISK;
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How shards are told something, and how many there are.
pub(crate) type Shards = (ToShards, usize);

/// Every shard takes up the keys at its next turn, long before the newest signs.
pub(crate) async fn tell(keys: &SigningKeys, (to_shards, shards): &Shards) {
    for number in 0..*shards {
        let mut mail = vec![ToShard::Keys(keys.verifier())];
        loop {
            mail = to_shards(ShardId(number as u16), mail);
            if mail.is_empty() {
                break;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

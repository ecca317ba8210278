//! The way of new signing keys to the shards, until the edge's node learns of them from `control` by itself.

use std::sync::Arc;
use std::time::Duration;

use ringside_edge_protocol::{ShardId, ToShard};
use ringside_node::ToShards;
use ringside_session::token::Verifier;
use ringside_user::{KeyChanges, SHOWN_FIRST_MS};
use tokio::sync::watch;

/// A full mailbox is tried again after this long.
const RETRY: Duration = Duration::from_millis(50);

// A shard that has no room for so long has more than a key to worry about.
const _: () = assert!(RETRY.as_millis() * 100 < SHOWN_FIRST_MS as u128);

/// How shards are told something, and how many there are.
pub(super) type Shards = (ToShards, usize);

/// Tells each change to all shards, until `stop` turns true.
pub(super) async fn follow(mut keys: KeyChanges, shards: Shards, mut stop: watch::Receiver<bool>) {
    // Whatever came since the shards were started.
    let mut public = keys.current();
    loop {
        let next = async {
            tell(&public.verifier, &shards).await;
            keys.next().await
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            next = next => match next {
                Some(next) => public = next,
                None => return,
            }
        }
    }
}

/// Every shard takes up the keys at its next turn, long before the newest signs.
async fn tell(verifier: &Arc<Verifier>, (to_shards, shards): &Shards) {
    for number in 0..*shards {
        let mut mail = vec![ToShard::Keys(verifier.clone())];
        loop {
            mail = to_shards(ShardId(number as u16), mail);
            if mail.is_empty() {
                break;
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

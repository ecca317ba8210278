//! The public keys that verify access tokens: read when a lease begins, and whenever `control` says that they are others.

use std::sync::Arc;
use std::time::Instant;

use ringside_application::backend::BackendError;
use ringside_edge_protocol::ToShard;
use ringside_session::token::Verifier;
use ringside_types::PublicKey;

use crate::deliveries::Deliveries;
use crate::effect::Effect;
use crate::retry::Retried;

/// What the shards verify tokens with, and whether it is up to date.
#[derive(Debug)]
pub(crate) struct VerifyingKeys {
    is_stale: bool,
    reading: Retried<()>,
}

impl VerifyingKeys {
    /// Of a new lease: what changed between this one and the one before, nobody has read.
    pub(crate) fn new() -> Self {
        Self { is_stale: true, reading: Retried::default() }
    }

    /// The keys are others now. An answer that is under way may not know them yet.
    pub(crate) fn handle_changed(&mut self) {
        self.is_stale = true;
    }

    pub(crate) fn poll_read(&mut self, now: Instant) -> Option<Effect> {
        if self.reading.is_idle() && self.is_stale {
            self.reading.begin();
        } else {
            self.reading.poll(now)?;
        }
        self.is_stale = false;
        Some(Effect::ReadKeys)
    }

    /// Tells the shards, or asks again: a shard that doesn't know a key lets nobody in whose token it signed.
    pub(crate) fn handle_read(
        &mut self,
        now: Instant,
        answer: Result<Vec<PublicKey>, BackendError>,
        deliveries: &mut Deliveries,
    ) {
        let verifier = answer
            .map_err(|error| error.to_string())
            .and_then(|keys| Verifier::new(&keys).map_err(|_| "a public key is malformed".to_owned()));
        match verifier {
            Ok(verifier) => {
                self.reading.done();
                let verifier = Arc::new(verifier);
                deliveries.send_to_all(|| ToShard::Keys(verifier.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "the public keys could not be read; trying again");
                self.reading.failed((), now);
            }
        }
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.reading.next_due()
    }
}

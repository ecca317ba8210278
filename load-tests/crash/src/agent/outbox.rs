//! What a client has said and not yet seen: what the contract tells it to send again, and when.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Without an ack for this long on a live connection, a message is sent again.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// Acknowledged and not seen for this long, a message makes the client sync.
const OVERDUE_AFTER: Duration = Duration::from_secs(4);
/// Messages remembered after they were seen, for retries that must change nothing.
const MAX_REMEMBERED: usize = 32;

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub channel: Uuid,
    pub client_id: Uuid,
    pub content: String,
}

#[derive(Debug)]
struct Pending {
    outgoing: Outgoing,
    acknowledged: bool,
    last_attempt: Instant,
}

/// One client's unfinished business.
#[derive(Debug, Default)]
pub struct Outbox {
    /// In the order in which they were first sent.
    pending: BTreeMap<u64, Pending>,
    by_client_id: HashMap<Uuid, u64>,
    next: u64,
    seen: Vec<Outgoing>,
}

impl Outbox {
    /// Messages that are not done with.
    pub fn count(&self) -> usize {
        self.pending.len()
    }

    pub fn add(&mut self, outgoing: Outgoing, now: Instant) {
        self.by_client_id.insert(outgoing.client_id, self.next);
        self.pending.insert(self.next, Pending { outgoing, acknowledged: false, last_attempt: now });
        self.next += 1;
    }

    pub fn acknowledged(&mut self, client_id: Uuid) {
        if let Some(pending) =
            self.by_client_id.get(&client_id).and_then(|number| self.pending.get_mut(number))
        {
            pending.acknowledged = true;
        }
    }

    /// The end of a message: its own `message.new` came, or a refusal.
    pub fn finished(&mut self, client_id: Uuid, seen: bool) {
        let Some(pending) =
            self.by_client_id.remove(&client_id).and_then(|number| self.pending.remove(&number))
        else {
            return;
        };
        if seen {
            if self.seen.len() >= MAX_REMEMBERED {
                self.seen.remove(0);
            }
            self.seen.push(pending.outgoing);
        }
    }

    /// What a new connection has to send again at once: everything without an ack.
    pub fn unacknowledged(&mut self, now: Instant) -> Vec<Outgoing> {
        self.again(now, |pending| !pending.acknowledged)
    }

    /// After `sync.done`: everything that was acknowledged before and still is not seen.
    pub fn acknowledged_unseen(&mut self, now: Instant) -> Vec<Outgoing> {
        self.again(now, |pending| pending.acknowledged)
    }

    /// What has waited for an ack for too long.
    pub fn due_for_retry(&mut self, now: Instant) -> Vec<Outgoing> {
        self.again(now, |pending| {
            !pending.acknowledged && now.duration_since(pending.last_attempt) > RETRY_AFTER
        })
    }

    /// Whether something acknowledged should have been seen by now.
    pub fn has_overdue(&self, now: Instant) -> bool {
        let overdue = |pending: &Pending| {
            pending.acknowledged && now.duration_since(pending.last_attempt) > OVERDUE_AFTER
        };
        self.pending.values().any(overdue)
    }

    /// Messages that the server has for certain: sending them again must change nothing.
    pub fn seen_lately(&self) -> &[Outgoing] {
        &self.seen
    }

    fn again(&mut self, now: Instant, which: impl Fn(&Pending) -> bool) -> Vec<Outgoing> {
        let chosen = self.pending.values_mut().filter(|pending| which(pending));
        chosen
            .map(|pending| {
                pending.last_attempt = now;
                pending.outgoing.clone()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u128) -> Outgoing {
        Outgoing {
            channel: Uuid::from_u128(1),
            client_id: Uuid::from_u128(number),
            content: number.to_string(),
        }
    }

    #[test]
    fn sends_again_what_the_contract_says() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        for number in [5, 3, 4] {
            outbox.add(message(number), now);
        }
        outbox.acknowledged(Uuid::from_u128(3));
        assert_eq!(outbox.unacknowledged(now), [message(5), message(4)]);
        assert_eq!(outbox.acknowledged_unseen(now), [message(3)]);
        assert!(outbox.due_for_retry(now).is_empty() && !outbox.has_overdue(now));
        let later = now + RETRY_AFTER + OVERDUE_AFTER;
        assert!(outbox.has_overdue(later));
        assert_eq!(outbox.due_for_retry(later), [message(5), message(4)]);
        assert!(outbox.due_for_retry(later).is_empty());
    }

    #[test]
    fn what_was_seen_is_done_and_remembered() {
        let now = Instant::now();
        let mut outbox = Outbox::default();
        outbox.add(message(1), now);
        outbox.add(message(2), now);
        outbox.finished(Uuid::from_u128(1), true);
        outbox.finished(Uuid::from_u128(2), false);
        assert_eq!(outbox.count(), 0);
        assert_eq!(outbox.seen_lately(), [message(1)]);
    }
}

//! What a client asks to change of messages that it has seen, and what of it is still without an answer.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::SmallRng;
use ringside_checker::history::SeenMessage;
use ringside_test_client::amendment::Amendment;
use serde_json::{Value, json};
use uuid::Uuid;

/// Messages remembered, so that there is something to change.
const MAX_REMEMBERED: usize = 48;
/// Requests without an answer at once.
const MAX_PENDING: usize = 16;
/// Without an answer for this long on a live connection, a request is made again.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// Few, so that people meet on them.
const EMOJI: [&str; 3] = ["👍", "🦀", "+1"];

/// A request for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub channel: Uuid,
    pub client_id: Uuid,
    pub message_id: u64,
    pub amendment: Amendment,
}

impl Request {
    /// The frame; `None`: pins are asked for over REST.
    pub fn frame(&self) -> Option<String> {
        let mut payload = json!({ "channel_id": self.channel, "message_id": self.message_id.to_string() });
        let kind = match &self.amendment {
            Amendment::Edit { content } => {
                payload["content"] = Value::from(content.as_str());
                "message.edit"
            }
            Amendment::Delete => "message.delete",
            Amendment::React { emoji, added } => {
                payload["emoji"] = Value::from(emoji.as_str());
                if *added { "reaction.add" } else { "reaction.remove" }
            }
            Amendment::Pin { .. } => return None,
        };
        Some(json!({ "type": kind, "id": self.client_id, "payload": payload }).to_string())
    }
}

#[derive(Debug, Default)]
pub struct Amendments {
    remembered: VecDeque<(Uuid, u64, bool)>,
    pending: BTreeMap<Uuid, (Request, Instant)>,
    count: u64,
}

impl Amendments {
    /// Requests without an answer.
    pub fn count(&self) -> usize {
        self.pending.len()
    }

    pub fn saw(&mut self, channel: Uuid, seen: &SeenMessage, is_own: bool) {
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((channel, seen.message_id, is_own));
    }

    /// A message that was seen lately, with its channel.
    pub fn any(&self, random: &mut SmallRng) -> Option<(Uuid, u64)> {
        let count = self.remembered.len();
        let at = (count > 0).then(|| random.random_range(0..count))?;
        self.remembered.get(at).map(|(channel, message_id, _)| (*channel, *message_id))
    }

    /// Something to ask for, if anything is known; it is pending from now on, unless it is a pin.
    pub fn choose(&mut self, random: &mut SmallRng, client: u32, now: Instant) -> Option<Request> {
        if self.remembered.is_empty() || self.pending.len() >= MAX_PENDING {
            return None;
        }
        let at = random.random_range(0..self.remembered.len());
        let (channel, message_id, is_own) = self.remembered[at];
        self.count += 1;
        let amendment = match random.random_range(0..100u32) {
            0..=39 if is_own => {
                Amendment::Edit { content: format!("edit {}.{} 🦀 \"\\", client, self.count) }
            }
            40..=49 if is_own => Amendment::Delete,
            50..=59 => Amendment::Pin { pinned: random.random_bool(0.6) },
            // What is not one's own can't be edited; that is tried now and then.
            60 => Amendment::Edit { content: format!("foreign {}.{}", client, self.count) },
            _ => Amendment::React {
                emoji: EMOJI[random.random_range(0..EMOJI.len())].to_owned(),
                added: random.random_bool(0.6),
            },
        };
        let client_id = uuid::Builder::from_random_bytes(random.random()).into_uuid();
        let request = Request { channel, client_id, message_id, amendment };
        if !matches!(request.amendment, Amendment::Pin { .. }) {
            self.pending.insert(client_id, (request.clone(), now));
        }
        Some(request)
    }

    /// An ack, or a refusal.
    pub fn answered(&mut self, client_id: Uuid) {
        self.pending.remove(&client_id);
    }

    /// What a new connection has to ask for again.
    pub fn unanswered(&mut self, now: Instant) -> Vec<Request> {
        self.again(now, Duration::ZERO)
    }

    /// What has waited for too long.
    pub fn due_for_retry(&mut self, now: Instant) -> Vec<Request> {
        self.again(now, RETRY_AFTER)
    }

    fn again(&mut self, now: Instant, after: Duration) -> Vec<Request> {
        let certain_cursors =
            self.pending.values_mut().filter(|(_, last)| now.duration_since(*last) >= after);
        certain_cursors
            .map(|(request, last)| {
                *last = now;
                request.clone()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn asks_for_what_it_knows_until_it_is_answered() {
        let (now, mut random) = (Instant::now(), SmallRng::seed_from_u64(5));
        let mut amendments = Amendments::default();
        assert_eq!(amendments.choose(&mut random, 1, now), None);
        let id = Uuid::from_u128(1);
        let seen = SeenMessage {
            message_id: 9,
            seq: 1,
            client_id: id,
            sender: id,
            content: String::new(),
            deleted: false,
            edited: false,
        };
        amendments.saw(id, &seen, true);
        let made: Vec<Request> = (0..40).filter_map(|_| amendments.choose(&mut random, 1, now)).collect();
        assert!(made.iter().all(|request| request.message_id == 9) && amendments.count() == MAX_PENDING);
        assert!(amendments.due_for_retry(now).is_empty());
        assert_eq!(amendments.unanswered(now).len(), MAX_PENDING);
        for request in &made {
            assert_eq!(request.frame().is_none(), matches!(request.amendment, Amendment::Pin { .. }));
            amendments.answered(request.client_id);
        }
        assert!(amendments.unanswered(now + RETRY_AFTER).is_empty());
    }
}

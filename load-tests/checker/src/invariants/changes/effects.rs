//! What was acknowledged is in the final state, unless something that was asked for later took its place.
//!
//! Everything that could have made the final value is a candidate: what stood there first, and each request of that
//! value. A candidate is out when another value was acknowledged, never refused, and asked for only after the candidate
//! had been answered and was not tried again. A final value whose candidates are all out means that an effect was lost.

use std::collections::{BTreeMap, HashMap};

use ringside_test_client::amendment::{Amendment, Changed};
use uuid::Uuid;

use super::unwitnessed;
use crate::history::{ChannelHistory, Event, Record, SeenMessage};
use crate::index::Index;
use crate::verdict::{Fault, Verdict};

/// One request with what its client knows of it.
#[derive(Clone, Debug)]
struct Request<'h> {
    amendment: &'h Amendment,
    first_us: u64,
    last_us: u64,
    /// The last word on it.
    answered_us: Option<u64>,
    acknowledged: bool,
    refused: bool,
}

impl Request<'_> {
    fn is_certain(&self) -> bool {
        self.acknowledged && !self.refused
    }

    /// Whether all of this happened before the other was asked for.
    fn is_before(&self, other: &Self) -> bool {
        self.last_us < other.first_us && self.answered_us.is_some_and(|answered| answered < other.first_us)
    }
}

/// What a request is about: (channel, message).
type Target = (Uuid, u64);

/// All requests, by what they are about; the user is the one who asked.
fn requests<'h>(index: &Index<'h>) -> BTreeMap<Target, Vec<(Uuid, Request<'h>)>> {
    let mut by_key: BTreeMap<(Uuid, Uuid, Uuid), (Target, Request<'h>)> = BTreeMap::new();
    for client in &index.history.clients {
        for record in &client.records {
            note(&mut by_key, client.user_id, record);
        }
    }
    let mut by_target: BTreeMap<Target, Vec<(Uuid, Request<'h>)>> = BTreeMap::new();
    for ((_, user, _), (target, request)) in by_key {
        by_target.entry(target).or_default().push((user, request));
    }
    by_target
}

fn note<'h>(
    by_key: &mut BTreeMap<(Uuid, Uuid, Uuid), (Target, Request<'h>)>,
    user: Uuid,
    record: &'h Record,
) {
    let at_us = record.at_us;
    match &record.event {
        Event::Asked { channel, client_id, message_id, amendment } => {
            let first = Request {
                amendment,
                first_us: at_us,
                last_us: at_us,
                answered_us: None,
                acknowledged: false,
                refused: false,
            };
            let key = (*channel, user, *client_id);
            let (_, request) = by_key.entry(key).or_insert(((*channel, *message_id), first));
            request.last_us = at_us;
        }
        Event::Acked { channel, client_id } => {
            if let Some((_, request)) = by_key.get_mut(&(*channel, user, *client_id)) {
                request.acknowledged = true;
                request.answered_us = Some(at_us);
            }
        }
        Event::Refused { channel, client_id, .. } | Event::Rejected { channel, client_id, .. } => {
            if let Some((_, request)) = by_key.get_mut(&(*channel, user, *client_id)) {
                request.refused = true;
                request.answered_us = Some(at_us);
            }
        }
        _ => {}
    }
}

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    let requests = requests(index);
    for channel in &index.history.channels {
        let Some(reading) = channel.readings.first() else { continue };
        for seen in &reading.messages {
            let Some(asked) = requests.get(&(channel.channel_id, seen.message_id)) else { continue };
            check_deletion(channel, seen, asked, verdict);
            if !seen.deleted {
                check_content(index, channel, seen, asked, verdict);
                check_reactions(channel, seen, asked, verdict);
            }
            let pinned = reading.pins.as_ref().map(|pins| pins.contains(&seen.message_id));
            if let Some(pinned) = pinned.filter(|_| !seen.deleted) {
                let value = |request: &Request<'_>| match request.amendment {
                    Amendment::Pin { pinned } => Some(*pinned),
                    _ => None,
                };
                let all = asked.iter().map(|(_, request)| request);
                check_value(channel, seen, "pinned", all, value, &pinned, !pinned, verdict);
            }
        }
    }
}

fn check_deletion(
    channel: &ChannelHistory,
    seen: &SeenMessage,
    asked: &[(Uuid, Request<'_>)],
    verdict: &mut Verdict,
) {
    // A member's refusal may get lost with the connection: only those who certainly may are held against the server.
    let by_sender = asked.iter().filter(|(user, _)| *user == seen.sender);
    let mut deletions = by_sender.map(|(_, request)| request).filter(|r| *r.amendment == Amendment::Delete);
    if !seen.deleted && deletions.any(Request::is_certain) {
        let detail =
            format!("message {}: its deletion was acknowledged, and it is still there", seen.message_id);
        verdict.add(unwitnessed(channel.channel_id, Fault::LostAmendment, detail));
    }
}

fn check_content(
    index: &Index<'_>,
    channel: &ChannelHistory,
    seen: &SeenMessage,
    asked: &[(Uuid, Request<'_>)],
    verdict: &mut Verdict,
) {
    let by_sender = asked.iter().filter(|(user, _)| *user == seen.sender);
    let edits =
        by_sender.map(|(_, request)| request).filter(|r| matches!(r.amendment, Amendment::Edit { .. }));
    let value = |request: &Request<'_>| match request.amendment {
        Amendment::Edit { content } => Some(content.clone()),
        _ => None,
    };
    let key =
        crate::index::SendKey { channel: channel.channel_id, sender: seen.sender, client_id: seen.client_id };
    let is_original = index.sends.get(&key).is_some_and(|sending| sending.content == seen.content);
    check_value(channel, seen, "content", edits, value, &seen.content, is_original, verdict);
}

fn check_reactions(
    channel: &ChannelHistory,
    seen: &SeenMessage,
    asked: &[(Uuid, Request<'_>)],
    verdict: &mut Verdict,
) {
    let Some(changes) = &channel.changes else { return };
    let mut present: HashMap<(Uuid, &str), bool> = HashMap::new();
    for change in changes {
        if let Changed::Reacted { message_id, emoji, user_id, added, .. } = &change.what
            && *message_id == seen.message_id
        {
            present.insert((*user_id, emoji), *added);
        }
    }
    let mut by_user: BTreeMap<(Uuid, &str), Vec<&Request<'_>>> = BTreeMap::new();
    for (user, request) in asked {
        if let Amendment::React { emoji, .. } = request.amendment {
            by_user.entry((*user, emoji)).or_default().push(request);
        }
    }
    for ((user, emoji), requests) in by_user {
        let is_present = present.get(&(user, emoji)).copied().unwrap_or(false);
        let value = |request: &Request<'_>| match request.amendment {
            Amendment::React { added, .. } => Some(*added),
            _ => None,
        };
        let what = format!("{emoji} of {user}");
        check_value(channel, seen, &what, requests.into_iter(), value, &is_present, !is_present, verdict);
    }
}

#[expect(clippy::too_many_arguments, reason = "one rule over three kinds of values")]
fn check_value<'a, 'h: 'a, V: PartialEq + std::fmt::Debug>(
    channel: &ChannelHistory,
    seen: &SeenMessage,
    what: &str,
    requests: impl Iterator<Item = &'a Request<'h>>,
    value: impl Fn(&Request<'_>) -> Option<V>,
    last: &V,
    is_first: bool,
    verdict: &mut Verdict,
) {
    let valued: Vec<(&Request<'_>, V)> = requests.filter_map(|r| Some((r, value(r)?))).collect();
    let others = || valued.iter().filter(|(request, value)| request.is_certain() && value != last);
    // What stood there first was answered before anybody could ask for another.
    let first_stands = is_first && others().next().is_none();
    let another_stands = valued.iter().filter(|(_, value)| value == last).any(|(candidate, _)| {
        let had_no_effect = candidate.refused && candidate.was_tried_once();
        let is_replaced = others().any(|(request, _)| candidate.is_before(request));
        !had_no_effect && !is_replaced
    });
    if !first_stands && !another_stands {
        let detail = format!(
            "message {}: {what} is {last:?} in the end, though another was acknowledged later",
            seen.message_id
        );
        verdict.add(unwitnessed(channel.channel_id, Fault::LostAmendment, detail));
    }
}

impl Request<'_> {
    /// Refused at its only attempt: it can't have had an effect.
    fn was_tried_once(&self) -> bool {
        self.first_us == self.last_us
    }
}

//! One pass over a history that answers what every invariant asks: who sent what, and who saw what where.

use std::collections::{BTreeMap, HashMap, VecDeque};

use ringside_test_client::amendment::Amendment;
use ringside_test_client::eviction::Eviction;
use uuid::Uuid;

use crate::history::{ChannelHistory, ClientHistory, Event, History, Record, SeenMessage};
use crate::invariants::count_unread;
use crate::verdict::Counts;

/// Codes of what a sender may not do.
const PERMISSION: [&str; 3] = ["not_a_member", "forbidden", "not_found"];

/// The idempotency key in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SendKey {
    pub channel: Uuid,
    pub sender: Uuid,
    pub client_id: Uuid,
}

/// All that is known of one message from its sender's side.
#[derive(Clone, Debug)]
pub(crate) struct Sending<'h> {
    pub content: &'h str,
    pub attempts: u32,
    /// Attempts that were refused for certain.
    pub refusals: u32,
    pub was_rejected: bool,
    /// When an attempt was sent that was refused for what its sender may not do.
    pub turned_away_us: Option<u64>,
    /// Its sender may be removed, and what they sent be rejected after it was acknowledged.
    pub is_evictable: bool,
    pub first_sent_us: u64,
    /// Order among the records of its client, for sends and acks within one microsecond.
    pub first_sent_at: usize,
    pub first_ack: Option<(u64, usize)>,
    pub client: u32,
}

/// Where a message was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Live,
    Page,
    Final,
}

/// One message seen once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting<'h> {
    pub channel: Uuid,
    pub reader: Uuid,
    /// Client and connection; none for the final history.
    pub witness: Option<(u32, u32)>,
    pub at_us: Option<u64>,
    pub source: Source,
    pub seen: &'h SeenMessage,
}

/// The history with its indices.
pub(crate) struct Index<'h> {
    pub history: &'h History,
    pub channels: HashMap<Uuid, &'h ChannelHistory>,
    pub sends: BTreeMap<SendKey, Sending<'h>>,
    pub sightings: Vec<Sighting<'h>>,
    /// `seq` of each message id, by the first sighting.
    pub seq_of: HashMap<(Uuid, u64), u64>,
    /// Per channel: the greatest seq that anyone had seen up to a time, as rising steps (time, seq).
    pub stored_by: HashMap<Uuid, Vec<(u64, u64)>>,
    /// Contents that were ever asked for by edits, by channel and message.
    pub edits: HashMap<(Uuid, u64), Vec<&'h str>>,
    /// Final seq by key, from the first reading of each channel.
    pub final_seq: HashMap<SendKey, u64>,
}

impl<'h> Index<'h> {
    pub(crate) fn build(history: &'h History) -> Self {
        let mut index = Index {
            history,
            channels: history.channels.iter().map(|channel| (channel.channel_id, channel)).collect(),
            sends: BTreeMap::new(),
            sightings: Vec::new(),
            seq_of: HashMap::new(),
            stored_by: HashMap::new(),
            edits: HashMap::new(),
            final_seq: HashMap::new(),
        };
        for client in &history.clients {
            for (position, record) in client.records.iter().enumerate() {
                index.note_sending(client.client, client.user_id, position, record);
                index.note_sightings(client.client, client.user_id, record);
            }
        }
        // What they send counts; what they see has rules of its own.
        for client in &history.evicted_clients {
            for (position, record) in client.records.iter().enumerate() {
                index.note_sending(client.client, client.user_id, position, record);
            }
            let own = index.sends.values_mut().filter(|sending| sending.client == client.client);
            own.for_each(|sending| sending.is_evictable = true);
        }
        history
            .clients
            .iter()
            .chain(&history.evicted_clients)
            .for_each(|client| index.note_turned_away(client));
        index.note_final_readings();
        index.note_steps();
        index
    }

    fn note_sending(&mut self, client: u32, sender: Uuid, position: usize, record: &'h Record) {
        match &record.event {
            Event::Sent { channel, client_id, content } => {
                let key = SendKey { channel: *channel, sender, client_id: *client_id };
                let sending = self.sends.entry(key).or_insert(Sending {
                    content,
                    attempts: 0,
                    refusals: 0,
                    was_rejected: false,
                    turned_away_us: None,
                    is_evictable: false,
                    first_sent_us: record.at_us,
                    first_sent_at: position,
                    first_ack: None,
                    client,
                });
                sending.attempts += 1;
            }
            Event::Asked { channel, message_id, amendment: Amendment::Edit { content }, .. } => {
                self.edits.entry((*channel, *message_id)).or_default().push(content);
            }
            Event::Acked { channel, client_id } => {
                if let Some(sending) =
                    self.sends.get_mut(&SendKey { channel: *channel, sender, client_id: *client_id })
                {
                    sending.first_ack.get_or_insert((record.at_us, position));
                }
            }
            Event::Refused { channel, client_id, .. } => {
                let key = SendKey { channel: *channel, sender, client_id: *client_id };
                if let Some(sending) = self.sends.get_mut(&key) {
                    sending.refusals += 1;
                }
            }
            Event::Rejected { channel, client_id, .. } => {
                let key = SendKey { channel: *channel, sender, client_id: *client_id };
                // It may be told twice, and for whichever attempt.
                if let Some(sending) = self.sends.get_mut(&key)
                    && !std::mem::replace(&mut sending.was_rejected, true)
                {
                    sending.refusals += 1;
                }
            }
            _ => {}
        }
    }

    /// Which attempts were refused for what their sender may not do. On one connection attempts are answered in their order.
    fn note_turned_away(&mut self, client: &'h ClientHistory) {
        let mut waiting: HashMap<(u32, SendKey), VecDeque<u64>> = HashMap::new();
        let key = |channel: &Uuid, client_id: &Uuid| SendKey {
            channel: *channel,
            sender: client.user_id,
            client_id: *client_id,
        };
        for record in &client.records {
            let (key, code) = match &record.event {
                Event::Sent { channel, client_id, .. } => {
                    let key = key(channel, client_id);
                    waiting.entry((record.connection, key)).or_default().push_back(record.at_us);
                    continue;
                }
                Event::Acked { channel, client_id } | Event::Unconfirmed { channel, client_id } => {
                    (key(channel, client_id), None)
                }
                Event::Refused { channel, client_id, code } => (key(channel, client_id), Some(code.as_str())),
                _ => continue,
            };
            let attempt = waiting.get_mut(&(record.connection, key)).and_then(VecDeque::pop_front);
            if code.is_some_and(|code| PERMISSION.contains(&code))
                && let Some(sending) = self.sends.get_mut(&key)
            {
                sending.turned_away_us = attempt.max(sending.turned_away_us);
            }
        }
    }

    fn note_sightings(&mut self, client: u32, reader: Uuid, record: &'h Record) {
        let (channel, source, messages): (Uuid, Source, &'h [SeenMessage]) = match &record.event {
            Event::New { channel, message } => (*channel, Source::Live, std::slice::from_ref(message)),
            Event::Page { channel, messages, .. } => (*channel, Source::Page, messages),
            _ => return,
        };
        for seen in messages {
            self.seq_of.entry((channel, seen.message_id)).or_insert(seen.seq);
            let witness = Some((client, record.connection));
            self.sightings.push(Sighting {
                channel,
                reader,
                witness,
                at_us: Some(record.at_us),
                source,
                seen,
            });
        }
    }

    fn note_final_readings(&mut self) {
        for channel in &self.history.channels {
            for (number, reading) in channel.readings.iter().enumerate() {
                for seen in &reading.messages {
                    self.seq_of.entry((channel.channel_id, seen.message_id)).or_insert(seen.seq);
                    self.sightings.push(Sighting {
                        channel: channel.channel_id,
                        reader: reading.reader,
                        witness: None,
                        at_us: None,
                        source: Source::Final,
                        seen,
                    });
                    if number == 0 {
                        let key = SendKey {
                            channel: channel.channel_id,
                            sender: seen.sender,
                            client_id: seen.client_id,
                        };
                        self.final_seq.entry(key).or_insert(seen.seq);
                    }
                }
            }
        }
    }

    fn note_steps(&mut self) {
        let mut seen: Vec<(Uuid, u64, u64)> = self
            .sightings
            .iter()
            .filter_map(|sighting| Some((sighting.channel, sighting.at_us?, sighting.seen.seq)))
            .collect();
        seen.sort_unstable();
        for (channel, at_us, seq) in seen {
            let steps = self.stored_by.entry(channel).or_default();
            if steps.last().is_none_or(|&(_, highest)| seq > highest) {
                steps.push((at_us, seq));
            }
        }
    }

    /// The greatest seq of the channel that anybody had seen strictly before this time.
    pub(crate) fn stored_before(&self, channel: Uuid, at_us: u64) -> u64 {
        let Some(steps) = self.stored_by.get(&channel) else { return 0 };
        match steps.partition_point(|&(time, _)| time < at_us) {
            0 => 0,
            count => steps[count - 1].1,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts { messages: self.sends.len() as u64, ..Counts::default() };
        let known: std::collections::HashSet<SendKey> = self.sightings.iter().map(Sighting::key).collect();
        for (key, sending) in &self.sends {
            counts.attempts += u64::from(sending.attempts);
            counts.acknowledged += u64::from(sending.first_ack.is_some());
            let unknown =
                sending.first_ack.is_none() && sending.refusals < sending.attempts && !known.contains(key);
            counts.unknown += u64::from(unknown);
        }
        counts.stored = self
            .history
            .channels
            .iter()
            .filter_map(|c| c.readings.first())
            .map(|r| r.messages.len() as u64)
            .sum();
        counts.live = self.sightings.iter().filter(|sighting| sighting.source == Source::Live).count() as u64;
        counts.synced =
            self.sightings.iter().filter(|sighting| sighting.source == Source::Page).count() as u64;
        let mut asked = std::collections::HashSet::new();
        counts.changes =
            self.history.channels.iter().filter_map(|c| c.changes.as_ref()).map(|c| c.len() as u64).sum();
        for record in self.history.evicted_clients.iter().flat_map(|evicted_client| &evicted_client.records) {
            let Event::Evicted { eviction: by, .. } = record.event else { continue };
            for (times, eviction) in counts.evictions.iter_mut().zip(Eviction::ALL) {
                *times += u64::from(eviction == by);
            }
        }
        for record in self.history.clients.iter().flat_map(|client| &client.records) {
            match &record.event {
                Event::Opened => counts.connections += 1,
                Event::SyncDone { .. } => counts.syncs += 1,
                Event::Asked { client_id, .. } => counts.amendments += u64::from(asked.insert(*client_id)),
                Event::Page { reset: true, .. } => counts.resets += 1,
                Event::Receipt { .. } => counts.receipts += 1,
                Event::Status { .. } => counts.cursors += 1,
                Event::Receipts { cursors, .. } => counts.cursors += cursors.len() as u64,
                _ => {}
            }
        }
        counts.unread = count_unread(self);
        counts
    }
}

impl Sighting<'_> {
    pub(crate) fn key(&self) -> SendKey {
        SendKey { channel: self.channel, sender: self.seen.sender, client_id: self.seen.client_id }
    }
}

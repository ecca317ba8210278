//! Invariants 6 and 7: reads never go backwards, and a sync brings exactly what came after, or says `reset`.

use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::history::{ClientHistory, Event, Record, SeenMessage};
use crate::index::Index;
use crate::verdict::{Fault, Invariant, Verdict, Violation};

/// One channel of a sync that is under way.
#[derive(Default)]
struct Progress {
    /// The seq that the client said it had.
    after_seq: u64,
    /// The last seq of the pages so far; equals `after_seq` before the first.
    reached: u64,
    refused: bool,
}

/// One client's records, read in order.
struct Reader<'a, 'h> {
    index: &'a Index<'h>,
    client: &'h ClientHistory,
    connection: u32,
    open: Option<OpenSync>,
    /// What came live on this connection.
    live: HashMap<Uuid, BTreeSet<u64>>,
    /// What this client ever saw.
    ever: HashMap<Uuid, BTreeSet<u64>>,
    /// Channels that were reset: the client forgot, so its own past proves nothing there.
    reset: HashSet<Uuid>,
}

struct OpenSync {
    sent_us: u64,
    channels: HashMap<Uuid, Progress>,
    /// The greatest seq that this client itself had seen when it asked.
    own: HashMap<Uuid, u64>,
}

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    for client in &index.history.clients {
        let mut reader = Reader {
            index,
            client,
            connection: 0,
            open: None,
            live: HashMap::new(),
            ever: HashMap::new(),
            reset: HashSet::new(),
        };
        for record in &client.records {
            reader.read(record, verdict);
        }
        reader.finish(verdict);
    }
}

impl Reader<'_, '_> {
    fn read(&mut self, record: &Record, verdict: &mut Verdict) {
        if record.connection != self.connection {
            self.connection = record.connection;
            self.open = None;
            self.live.clear();
        }
        match &record.event {
            Event::New { channel, message } => {
                self.live.entry(*channel).or_default().insert(message.seq);
                self.ever.entry(*channel).or_default().insert(message.seq);
            }
            Event::SyncSent { channels, .. } => self.begin(record, channels),
            Event::Page { channel, messages, reset, .. } => {
                self.page(record, *channel, messages, *reset, verdict);
            }
            Event::SyncRefused { channel } => self.refuse(*channel),
            Event::SyncDone { channels, .. } => self.done(record, channels, verdict),
            _ => {}
        }
    }

    fn begin(&mut self, record: &Record, channels: &[(Uuid, Option<u64>)]) {
        let progress = |&(channel, after): &(Uuid, Option<u64>)| {
            let after_seq = after.and_then(|id| self.index.seq_of.get(&(channel, id)).copied()).unwrap_or(0);
            (channel, Progress { after_seq, reached: after_seq, refused: false })
        };
        let own = |&(channel, _): &(Uuid, Option<u64>)| Some((channel, *self.ever.get(&channel)?.last()?));
        self.open = Some(OpenSync {
            sent_us: record.at_us,
            channels: channels.iter().map(progress).collect(),
            own: channels.iter().filter_map(own).collect(),
        });
    }

    fn refuse(&mut self, channel: Option<Uuid>) {
        let Some(open) = &mut self.open else { return };
        for (id, progress) in &mut open.channels {
            progress.refused |= channel.is_none_or(|channel| channel == *id);
        }
    }

    fn page(
        &mut self,
        record: &Record,
        channel: Uuid,
        messages: &[SeenMessage],
        reset: bool,
        verdict: &mut Verdict,
    ) {
        let ever = self.ever.entry(channel).or_default();
        if reset {
            ever.clear();
            self.reset.insert(channel);
        }
        ever.extend(messages.iter().map(|message| message.seq));
        let Some(progress) = self.open.as_mut().and_then(|open| open.channels.get_mut(&channel)) else {
            let detail = "a page came that no sync had asked for".to_owned();
            return self.report(
                record,
                channel,
                Invariant::SyncIsSuffix,
                Fault::NotTheSuffix,
                detail,
                verdict,
            );
        };
        let first_page = progress.reached == progress.after_seq;
        if let (true, Some(first)) = (reset, messages.first()) {
            progress.reached = first.seq - 1;
        }
        let mut wrong = None;
        for message in messages {
            if message.seq != progress.reached + 1 && wrong.is_none() {
                wrong = Some((progress.reached, message.seq));
            }
            progress.reached = message.seq;
        }
        if let Some((reached, seq)) = wrong {
            let fault = if first_page && reached == progress.after_seq {
                Fault::NotTheSuffix
            } else {
                Fault::HoleInSync
            };
            let detail = format!("seq {seq} came in a page after seq {reached}");
            self.report(record, channel, Invariant::SyncIsSuffix, fault, detail, verdict);
        }
    }

    fn done(&mut self, record: &Record, channels: &[(Uuid, u64)], verdict: &mut Verdict) {
        let Some(open) = self.open.take() else { return };
        let named: HashMap<Uuid, u64> = channels.iter().copied().collect();
        for (channel, progress) in open.channels.iter().filter(|(_, progress)| !progress.refused) {
            let Some(&last_seq) = named.get(channel) else {
                let detail = "sync.done leaves out a channel that was asked for".to_owned();
                self.report(
                    record,
                    *channel,
                    Invariant::SyncIsSuffix,
                    Fault::SyncIncomplete,
                    detail,
                    verdict,
                );
                continue;
            };
            let before = self
                .index
                .stored_before(*channel, open.sent_us)
                .max(open.own.get(channel).copied().unwrap_or(0));
            if last_seq < before || last_seq < progress.reached {
                let detail = format!(
                    "sync.done names seq {last_seq}; seq {before} had been seen before it was asked, and pages reached {}",
                    progress.reached
                );
                self.report(record, *channel, Invariant::ReadsAdvance, Fault::StaleRead, detail, verdict);
            }
            let live = self.live.get(channel);
            let mut covered = progress.reached;
            while covered < last_seq && live.is_some_and(|live| live.contains(&(covered + 1))) {
                covered += 1;
            }
            if covered < last_seq {
                let detail = format!(
                    "sync after seq {} names seq {last_seq} at its end, but brought only up to {covered}",
                    progress.after_seq
                );
                self.report(
                    record,
                    *channel,
                    Invariant::SyncIsSuffix,
                    Fault::SyncIncomplete,
                    detail,
                    verdict,
                );
            }
        }
    }

    /// A client that settled has seen the channel from its first message to its last.
    fn finish(&self, verdict: &mut Verdict) {
        let (true, Some(last)) = (self.client.settled, self.client.records.last()) else { return };
        for channel in &self.index.history.channels {
            let member = channel.members.contains(&self.client.user_id);
            let (true, Some(reading)) =
                (member && !self.reset.contains(&channel.channel_id), channel.readings.first())
            else {
                continue;
            };
            let ever = self.ever.get(&channel.channel_id);
            let absent =
                reading.messages.iter().find(|seen| !ever.is_some_and(|ever| ever.contains(&seen.seq)));
            if let Some(absent) = absent {
                let detail = format!("the client settled and never saw seq {}", absent.seq);
                let id = channel.channel_id;
                self.report(last, id, Invariant::SyncIsSuffix, Fault::SyncIncomplete, detail, verdict);
            }
        }
    }

    fn report(
        &self,
        record: &Record,
        channel: Uuid,
        invariant: Invariant,
        fault: Fault,
        detail: String,
        verdict: &mut Verdict,
    ) {
        verdict.add(Violation {
            invariant,
            fault,
            channel: Some(channel),
            witness: Some((self.client.client, record.connection)),
            at_us: Some(record.at_us),
            detail,
        });
    }
}

//! A small correct server, for the checker's tests: it makes histories that must pass, from a seed.
//!
//! It has what makes real histories hard to check: acks in flight when a connection dies, retries of what was stored,
//! crashes between log and store, syncs that interleave with live messages, refusals, deletions.

mod changes;
mod cursors;

use std::collections::{HashMap, HashSet, VecDeque};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringside_checker::history::{
    ChannelHistory, ClientHistory, Event, FinalReading, History, Record, SeenMessage,
};
use ringside_test_client::amendment::Change;
use ringside_test_client::cursor::Cursor;
use uuid::Uuid;

const STEPS: u32 = 900;
const CLIENTS: usize = 5;
const CHANNELS: usize = 3;
const PAGE: usize = 3;

enum Request {
    Send { channel: usize, client_id: Uuid, content: String },
    Sync { channels: Vec<(usize, u64, u64)> },
}

#[derive(Default)]
struct Link {
    open: bool,
    up: VecDeque<Request>,
    down: VecDeque<Event>,
    /// Channels that a sync still has to page, with the seq and the change it starts after.
    syncing: VecDeque<(usize, u64, u64)>,
    in_sync: bool,
}

#[derive(Default)]
struct Device {
    connection: u32,
    records: Vec<Record>,
    link: Link,
    synced: bool,
    /// Greatest (id, seq) known without a hole, per channel.
    cursor: [(u64, u64); CHANNELS],
    newest_live: [(u64, u64); CHANNELS],
    /// The same for changes.
    change_cursor: [u64; CHANNELS],
    newest_live_change: [u64; CHANNELS],
    /// Sent and not yet answered, or acknowledged and not yet seen.
    pending: Vec<(usize, Uuid, String)>,
}

struct Model {
    random: SmallRng,
    now_us: u64,
    next_id: u64,
    log: VecDeque<(usize, Uuid, Uuid, String)>,
    stored: Vec<Vec<SeenMessage>>,
    changes: Vec<Vec<Change>>,
    known: HashSet<(usize, Uuid, Uuid)>,
    /// How far each user has come, by channel.
    cursors: HashMap<(usize, Uuid), Cursor>,
    devices: Vec<Device>,
}

/// Users of the devices: the last device belongs to the first user.
fn user_of(device: usize) -> Uuid {
    Uuid::from_u128(0x1000 + (device % (CLIENTS - 1)) as u128)
}

/// Everybody is in channel 0; of the others each leaves one user out.
fn is_member(device: usize, channel: usize) -> bool {
    channel == 0 || device % (CLIENTS - 1) != channel
}

fn channel_id(channel: usize) -> Uuid {
    Uuid::from_u128(0x2000 + channel as u128)
}

/// A history that breaks no invariant.
pub fn correct_history(seed: u64) -> History {
    let mut model = Model {
        random: SmallRng::seed_from_u64(seed),
        now_us: 0,
        next_id: 1,
        log: VecDeque::new(),
        stored: vec![Vec::new(); CHANNELS],
        changes: vec![Vec::new(); CHANNELS],
        known: HashSet::new(),
        cursors: HashMap::new(),
        devices: (0..CLIENTS).map(|_| Device::default()).collect(),
    };
    for _ in 0..STEPS {
        model.step();
    }
    model.settle();
    model.into_history(seed)
}

impl Model {
    fn record(&mut self, device: usize, event: Event) {
        self.now_us += 1;
        let connection = self.devices[device].connection;
        self.devices[device].records.push(Record { at_us: self.now_us, connection, event });
    }

    fn step(&mut self) {
        let device = self.random.random_range(0..CLIENTS);
        match self.random.random_range(0..100u32) {
            0..=39 => self.send_new(device),
            40..=49 => self.serve(device),
            50..=69 => self.process(),
            70..=79 => self.receive(device),
            80..=81 => self.disconnect(device),
            82 => self.crash(),
            83 => self.amend(),
            84..=85 => self.retry_known(device),
            86..=88 => self.amend(),
            89..=92 => self.tell_or_ask(device),
            _ => self.connect(device),
        }
        // Most of the work is moving what lies in queues.
        for device in 0..CLIENTS {
            if self.random.random_bool(0.5) {
                self.serve(device);
            }
            if self.random.random_bool(0.5) {
                self.receive(device);
            }
        }
    }

    fn connect(&mut self, device: usize) {
        if self.devices[device].link.open {
            return;
        }
        self.devices[device].connection += 1;
        self.devices[device].link = Link { open: true, ..Link::default() };
        self.devices[device].synced = false;
        self.devices[device].newest_live = Default::default();
        self.devices[device].newest_live_change = Default::default();
        self.record(device, Event::Opened);
        self.ask_sync(device);
        for (channel, client_id, content) in self.devices[device].pending.clone() {
            self.send(device, channel, client_id, content);
        }
    }

    fn ask_sync(&mut self, device: usize) {
        let asked: Vec<usize> = (0..CHANNELS).filter(|&channel| is_member(device, channel)).collect();
        let cursor = self.devices[device].cursor;
        let named = |&channel: &usize| (channel_id(channel), Some(cursor[channel].0).filter(|&id| id > 0));
        let change_cursor = self.devices[device].change_cursor;
        let changes = asked.iter().map(|&channel| (channel_id(channel), change_cursor[channel])).collect();
        self.record(device, Event::SyncSent { channels: asked.iter().map(named).collect(), changes });
        let channels =
            asked.iter().map(|&channel| (channel, cursor[channel].1, change_cursor[channel])).collect();
        self.devices[device].link.up.push_back(Request::Sync { channels });
    }

    fn send(&mut self, device: usize, channel: usize, client_id: Uuid, content: String) {
        let sent = Event::Sent { channel: channel_id(channel), client_id, content: content.clone() };
        self.record(device, sent);
        self.devices[device].link.up.push_back(Request::Send { channel, client_id, content });
    }

    fn send_new(&mut self, device: usize) {
        let channel = self.random.random_range(0..CHANNELS);
        if !self.devices[device].link.open || !is_member(device, channel) {
            return;
        }
        let client_id = Uuid::from_u128(self.random.random());
        let content = format!("said at {}", self.now_us);
        self.devices[device].pending.push((channel, client_id, content.clone()));
        self.send(device, channel, client_id, content);
    }

    fn retry_known(&mut self, device: usize) {
        let Some(pending) = self.devices[device].pending.last().cloned() else { return };
        if self.devices[device].link.open {
            self.send(device, pending.0, pending.1, pending.2);
        }
    }

    /// The server takes one request, or pages one channel of a sync.
    fn serve(&mut self, device: usize) {
        if self.devices[device].link.in_sync {
            return self.serve_sync(device);
        }
        match self.devices[device].link.up.pop_front() {
            Some(Request::Send { channel, client_id, .. }) if self.random.random_bool(0.05) => {
                let refused =
                    Event::Refused { channel: channel_id(channel), client_id, code: "rate_limited".into() };
                self.devices[device].link.down.push_back(refused);
            }
            Some(Request::Send { channel, client_id, content }) => {
                self.log.push_back((channel, user_of(device), client_id, content));
                self.devices[device]
                    .link
                    .down
                    .push_back(Event::Acked { channel: channel_id(channel), client_id });
            }
            Some(Request::Sync { channels }) => {
                self.devices[device].link.syncing = channels.into();
                self.devices[device].link.in_sync = true;
            }
            None => {}
        }
    }

    fn serve_sync(&mut self, device: usize) {
        let link = &mut self.devices[device].link;
        let Some((channel, after, after_change)) = link.syncing.pop_front() else {
            link.in_sync = false;
            let heads = || (0..CHANNELS).filter(|&c| is_member(device, c));
            let channels = heads().map(|c| (channel_id(c), self.stored[c].len() as u64)).collect();
            let changes = heads().map(|c| (channel_id(c), self.changes[c].len() as u64)).collect();
            let unread = heads().map(|c| (channel_id(c), self.unread(c, user_of(device)).count)).collect();
            let done = Event::SyncDone { channels, changes, unread };
            return self.devices[device].link.down.push_back(done);
        };
        let missing = &self.stored[channel][after as usize..];
        let changes = &self.changes[channel][after_change as usize..];
        let mut pages: Vec<&[SeenMessage]> = missing.chunks(PAGE).collect();
        if pages.is_empty() && !changes.is_empty() {
            pages.push(&[]);
        }
        for (number, page) in pages.iter().enumerate() {
            let has_more = number + 1 < pages.len();
            link.down.push_back(Event::Page {
                channel: channel_id(channel),
                messages: page.to_vec(),
                changes: if has_more { Vec::new() } else { changes.to_vec() },
                has_more,
                reset: false,
            });
        }
    }

    fn process(&mut self) {
        let Some((channel, sender, client_id, content)) = self.log.pop_front() else { return };
        self.next_id += self.random.random_range(1..5u64);
        if !self.known.insert((channel, sender, client_id)) {
            return;
        }
        let seq = self.stored[channel].len() as u64 + 1;
        let seen = SeenMessage {
            message_id: self.next_id,
            seq,
            client_id,
            sender,
            content,
            deleted: false,
            edited: false,
        };
        self.stored[channel].push(seen.clone());
        self.has_come(channel, sender, seen.message_id, true);
        self.fan_out(channel, &Event::New { channel: channel_id(channel), message: seen });
    }

    /// Live events are dropped for a connection while the channel is still to be paged to it.
    fn fan_out(&mut self, channel: usize, event: &Event) {
        for device in (0..CLIENTS).filter(|&device| is_member(device, channel)) {
            let link = &mut self.devices[device].link;
            if link.open && !link.syncing.iter().any(|&(syncing, ..)| syncing == channel) {
                link.down.push_back(event.clone());
            }
        }
    }

    fn receive(&mut self, device: usize) {
        let Some(event) = self.devices[device].link.down.pop_front() else { return };
        self.digest(device, &event);
        self.record(device, event);
    }

    fn digest(&mut self, device: usize, event: &Event) {
        let state = &mut self.devices[device];
        let number = |id: &Uuid| (id.as_u128() - 0x2000) as usize;
        match event {
            Event::New { channel, message } => {
                let channel = number(channel);
                state.newest_live[channel] = (message.message_id, message.seq);
                if state.synced {
                    state.cursor[channel] = (message.message_id, message.seq);
                }
                state.pending.retain(|(_, client_id, _)| *client_id != message.client_id);
            }
            Event::Changed { channel, change } => {
                let channel = number(channel);
                state.newest_live_change[channel] = change.number;
                if state.synced {
                    state.change_cursor[channel] = change.number;
                }
            }
            Event::Page { channel, messages, changes, .. } => {
                let last = changes.last().map_or(0, |change| change.number);
                let cursor = &mut state.change_cursor[number(channel)];
                *cursor = last.max(*cursor);
                for message in messages {
                    state.cursor[number(channel)] = (message.message_id, message.seq);
                    state.pending.retain(|(_, client_id, _)| *client_id != message.client_id);
                }
            }
            Event::SyncDone { .. } => {
                state.synced = true;
                for channel in 0..CHANNELS {
                    state.cursor[channel] = state.cursor[channel].max(state.newest_live[channel]);
                    let live = state.newest_live_change[channel];
                    state.change_cursor[channel] = state.change_cursor[channel].max(live);
                }
            }
            _ => {}
        }
    }

    fn disconnect(&mut self, device: usize) {
        if self.devices[device].link.open {
            self.devices[device].link = Link::default();
            self.record(device, Event::Closed { code: None });
        }
    }

    fn crash(&mut self) {
        for device in 0..CLIENTS {
            self.disconnect(device);
        }
    }

    fn settle(&mut self) {
        for _ in 0..3 {
            for device in 0..CLIENTS {
                self.disconnect(device);
                self.connect(device);
            }
            for device in 0..CLIENTS {
                while !self.devices[device].link.up.is_empty() || self.devices[device].link.in_sync {
                    self.serve(device);
                }
            }
            while !self.log.is_empty() {
                self.process();
            }
            for device in 0..CLIENTS {
                while !self.devices[device].link.down.is_empty() {
                    self.receive(device);
                }
            }
        }
    }

    fn into_history(self, seed: u64) -> History {
        let mut members: HashMap<usize, Vec<Uuid>> = HashMap::new();
        for channel in 0..CHANNELS {
            let users = (0..CLIENTS - 1).filter(|&device| is_member(device, channel)).map(user_of);
            members.insert(channel, users.collect());
        }
        let pins: Vec<Vec<u64>> = (0..CHANNELS).map(|channel| self.pins(channel)).collect();
        let evicted_clients = vec![self.evicted_client()];
        let mut final_cursors: Vec<_> =
            (0..CHANNELS).map(|channel| self.final_cursors(channel, &members[&channel])).collect();
        let (stored, changes) = (self.stored, self.changes);
        let channels = (0..CHANNELS).map(|channel| ChannelHistory {
            channel_id: channel_id(channel),
            members: members[&channel].clone(),
            readings: members[&channel]
                .iter()
                .take(2)
                .map(|&reader| FinalReading {
                    reader,
                    messages: stored[channel].clone(),
                    pins: Some(pins[channel].clone()),
                })
                .collect(),
            changes: Some(changes[channel].clone()),
            final_cursors: std::mem::take(&mut final_cursors[channel]),
        });
        let clients = self.devices.into_iter().enumerate().map(|(device, state)| ClientHistory {
            client: device as u32,
            user_id: user_of(device),
            settled: true,
            records: state.records,
        });
        let (channels, clients) = (channels.collect(), clients.collect());
        History { seed, channels, clients, evicted_clients, undisturbed_from_us: Some(0) }
    }
}

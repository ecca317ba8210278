//! Whatever a node answers, in which order and at which moment: the client has everything once and in order.

mod support;

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use ringside_domain::page::{ChannelRead, ReadOutcome};
use ringside_session::cursor::Cursor;
use ringside_session::delivery::Delivery;
use ringside_session::limits::PAGES_UNDER_WAY_MAX;
use ringside_session::output::Output;
use ringside_session::session::Session;
use ringside_types::{ChannelId, MessageId};
use serde_json::{Value, json};
use support::{Sent, TestSession, channel, page};

/// A part that was asked for, and is not answered yet.
struct Asked {
    /// Which request it came with.
    request: usize,
    read: ChannelRead,
}

/// A node, a shard's index and a client around one session.
struct TestNode {
    one: TestSession,
    /// The last record of each channel in the store; the shard may have seen fewer.
    stored: BTreeMap<ChannelId, u64>,
    cursors: BTreeMap<ChannelId, Cursor>,
    asked: Vec<Asked>,
    /// Answers on their way, and whether they bring something.
    answers: VecDeque<(ChannelRead, ReadOutcome, bool)>,
    /// By request: how many more of its parts may bring something.
    pages_left: Vec<usize>,
    is_stalled: bool,
    got: BTreeMap<ChannelId, Vec<u64>>,
    is_done: bool,
}

impl TestNode {
    fn new(missed: &[u64]) -> Self {
        let count = missed.len() as u128;
        let mut node = Self {
            one: TestSession::member_of(0..count),
            stored: (0..count).map(|number| (channel(number), 10)).collect(),
            cursors: BTreeMap::new(),
            asked: Vec::new(),
            answers: VecDeque::new(),
            pages_left: Vec::new(),
            is_stalled: false,
            got: BTreeMap::new(),
            is_done: false,
        };
        let channels: Vec<Value> = (0..count)
            .map(|number| (channel(number), (10 - missed[number as usize]).to_string()))
            .map(|(id, has)| json!({"channel_id": id, "last_message_id": has}))
            .collect();
        let sync = json!({"type": "sync", "payload": {"channels": channels, "limit": 2}});
        let outputs = node.one.say(&sync);
        node.take(outputs);
        node
    }

    /// Does what a call has asked for, and reads what the client got.
    fn take(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::SetCursor(channel, cursor) => {
                    self.cursors.insert(channel, cursor);
                }
                Output::Read { channels, pages_max, .. } => {
                    let request = self.pages_left.len();
                    self.pages_left.push(pages_max.min(channels.len()));
                    self.asked.extend(channels.into_iter().map(|read| Asked { request, read }));
                }
                Output::Stalled => self.is_stalled = true,
                other => panic!("{other:?}"),
            }
        }
        let coming: usize = (0..self.pages_left.len())
            .map(|request| {
                let parts = self.asked.iter().filter(|asked| asked.request == request).count();
                parts.min(self.pages_left[request])
            })
            .sum();
        let coming = coming + self.answers.iter().filter(|(.., brings_something)| *brings_something).count();
        assert!(coming <= PAGES_UNDER_WAY_MAX, "{coming} pages may be under way");
        for sent in self.one.sent() {
            let Sent::Json(frame) = sent else { panic!("{sent:?}") };
            let payload = &frame["payload"];
            let messages = match frame["type"].as_str() {
                Some("sync.page") => payload["messages"].as_array().expect("messages").clone(),
                Some("message.new") => vec![payload.clone()],
                Some("sync.done") => {
                    self.is_done = true;
                    continue;
                }
                other => panic!("{other:?}"),
            };
            for message in messages {
                let id = message["message_id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
                let of = serde_json::from_value(message["channel_id"].clone()).expect("a channel");
                self.got.entry(of).or_default().push(id);
            }
        }
    }

    /// The node reads one part: a page or, where it may, it is deferred.
    fn read(&mut self, which: usize, may_defer: bool) {
        let Asked { request, read } = self.asked.remove(which % self.asked.len());
        let head = self.stored[&read.channel_id];
        let is_missing = read.after.0 < head;
        if is_missing && (self.pages_left[request] == 0 || may_defer) {
            return self.answers.push_back((read, ReadOutcome::Deferred, false));
        }
        self.pages_left[request] -= usize::from(is_missing);
        self.answers.push_back((read, page(&read, head), is_missing));
    }

    /// An answer arrives, later than it was read.
    fn answer(&mut self) {
        let Some((read, outcome, _)) = self.answers.pop_front() else { return };
        let outputs = self.one.tell(Delivery::Pages(&[(read, outcome)]));
        self.take(outputs);
    }

    /// A channel has one more record, which the shard sees now or later.
    fn append(&mut self, number: u128, is_seen: bool) {
        let channel = channel(number);
        *self.stored.get_mut(&channel).expect("known") += 1;
        if is_seen {
            self.see(number);
        }
    }

    /// The shard sees all records of a channel: they go to who is live.
    fn see(&mut self, number: u128) {
        let channel = channel(number);
        let seen = self.one.host.last_records[&channel].0;
        for id in seen + 1..=self.stored[&channel] {
            if self.cursors[&channel].takes(MessageId(id)) {
                self.got.entry(channel).or_default().push(id);
            }
            self.one.host.last_records.insert(channel, MessageId(id));
        }
    }

    fn come_back(&mut self) {
        self.is_stalled = false;
        let outputs = self.one.call(Session::handle_stalled);
        self.take(outputs);
    }
}

proptest! {
    #[test]
    fn everything_comes_once_and_in_order(
        missed in prop::collection::vec(0..8_u64, 1..30),
        steps in prop::collection::vec((0..7_u8, 0..1_000_usize), 0..120),
    ) {
        let mut node = TestNode::new(&missed);
        let count = missed.len();
        for (step, number) in steps {
            let of = (number % count) as u128;
            match step {
                0 | 1 if !node.asked.is_empty() => node.read(number, number % 5 == 0),
                6 => node.answer(),
                2 => node.append(of, number % 2 == 0),
                3 => node.see(of),
                4 => node.one.host.in_flight = if number % 2 == 0 { 0 } else { 1 << 20 },
                _ if node.is_stalled => node.come_back(),
                _ => {}
            }
        }
        node.one.host.in_flight = 0;
        // The shard catches up with the store.
        (0..count).for_each(|number| node.see(number as u128));
        while !(node.asked.is_empty() && node.answers.is_empty()) || node.is_stalled {
            if node.is_stalled {
                node.come_back();
            }
            if !node.asked.is_empty() {
                node.read(0, false);
            }
            node.answer();
        }
        prop_assert!(node.is_done);
        for (number, missed) in missed.iter().enumerate() {
            let of = channel(number as u128);
            let expected: Vec<u64> = (10 - missed + 1..=node.stored[&of]).collect();
            prop_assert_eq!(node.got.remove(&of).unwrap_or_default(), expected);
            prop_assert!(node.cursors[&of] != Cursor::Reading, "it is live in the end");
        }
    }
}

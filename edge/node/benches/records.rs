//! How many events a second one node takes in: decoded, chained, and handed to the shards, which take them at once.
//!
//! `cargo bench -p ringside-node`. CPU time of one thread; under `cargo test` it runs once, with little.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use bytes::Bytes;
use ringside_edge_protocol::ShardId;
use ringside_ports::log::Record;
use ringside_types::{ChannelId, Offset};
use ringside_wire::records::{EdgeBatch, edge_item};
use rustix::time::{ClockId, clock_gettime};
use support::{EPOCH, TestNode, event, item};
use uuid::Uuid;

const CHANNELS: u64 = 1_000;
/// Items in one record: what a busy partition packs into a batch.
const ITEMS: u64 = 64;
const CONTENT: usize = 120;

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn channel(number: u64) -> ChannelId {
    ChannelId(Uuid::from_u128(5_000 + u128::from(number)))
}

/// The record of the edge's slot with the events of this number.
fn record(number: u64) -> Record {
    let mut items = Vec::new();
    for of_record in 0..ITEMS {
        let event_number = number * ITEMS + of_record;
        let (channel_number, id) = (event_number % CHANNELS, 10 + event_number / CHANNELS + 1);
        let mut event = event(id, id - 1);
        if let Some(ringside_wire::records::effective::Event::Message(message)) = &mut event.event {
            message.content = "x".repeat(CONTENT);
        }
        items.push(item(channel(channel_number), edge_item::Body::Effective(event)));
    }
    let payload: Bytes = ringside_wire::encode(&EdgeBatch { epoch: EPOCH.0, items });
    Record { offset: Offset(number), time: ringside_types::UnixMillis(1), payload }
}

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let records = if is_bench { 4_000 } else { 16 };
    let mut test = TestNode::holding();
    let channels: Vec<ChannelId> = (0..CHANNELS).map(channel).collect();
    test.connect(1, 4, &channels);
    for (n, channel) in channels.iter().enumerate() {
        test.live(*channel, n as u64 + 1, 10);
    }
    test.deliveries();
    let all: Vec<Record> = (0..records).map(record).collect();
    let begun = cpu();
    for batch in all.chunks(16) {
        test.node.handle_records(test.now, batch.to_vec());
        while test.node.poll_effect(test.now).is_some() {}
        for shard in [ShardId(0), ShardId(1)] {
            std::hint::black_box(test.node.take_deliveries(shard));
        }
    }
    let spent = cpu().saturating_sub(begun);
    let events = test.counters.events.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(events, records * ITEMS, "every event was handed on");
    let a_second = events as f64 / spent.as_secs_f64();
    println!("{events} events in {spent:?}: {a_second:.0} a second, {:.0} ns each", 1e9 / a_second);
}

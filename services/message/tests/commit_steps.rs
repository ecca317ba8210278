//! Crash before any write of the commit, and wake a paused second owner: the tables equal an undisturbed run's, and
//! an edge that follows its slot has every record of its channels once, in order.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ringside_domain::feed::{Feed, Output};
use ringside_domain::partition::Partition;
use ringside_domain::{effective_of, effective_of_change};
use ringside_message::processor::{Counters, init, open, turn};
use ringside_message::stepwise::Stepwise;
use ringside_ports::log::Append;
use ringside_ports::store::{ChangeRange, MessageRange, Order};
use ringside_ports::{ChannelReader, Log};
use ringside_types::{ChannelId, MessageId, PartitionId, Topic, UnixMillis};
use ringside_wire::records::{
    Channel, ChannelTurn, Command, EdgeBatch, Effective, EpochDead, Joins, Leaves, Member, Membership,
    MembershipKind, Send, Settings, command, edge_item,
};
use support::{Memory, Tables};
use uuid::Uuid;

const PARTITION: PartitionId = PartitionId(0);
const CHANNELS: u128 = 3;
const USERS: u128 = 3;
const RECORDS: usize = 120;
const SEEDS: u64 = 12;
const EPOCH: u64 = 7;

/// xorshift64*: the scripts must be the same for ever, whatever a library does.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}

fn bytes(number: u128) -> bytes::Bytes {
    Uuid::from_u128(number).as_bytes().to_vec().into()
}

fn channel_bytes(random: &mut Random) -> bytes::Bytes {
    bytes(0xc0 + u128::from(random.below(CHANNELS as u64)))
}

/// Sends (with retries), members that come and go (with repeated and late versions), an edge that joins and leaves,
/// another whose lease ends, and nonsense.
fn script(seed: u64) -> Vec<(i64, command::Body)> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut script = vec![(0, joins(0, EPOCH, 1))];
    for channel in 0..CHANNELS {
        let members = (0..USERS).collect();
        script.push((1, membership(0xc0 + channel, 1, MembershipKind::Created, members)));
    }
    for step in 0..RECORDS {
        let body = match random.below(20) {
            0..=12 => send(&mut random, step),
            13..=14 => {
                let kinds = [MembershipKind::Added, MembershipKind::Removed, MembershipKind::Role];
                let kind = kinds[random.below(3) as usize];
                let version = (2 + step as u64).saturating_sub(random.below(4));
                let user = u128::from(random.below(USERS as u64));
                membership(0xc0 + u128::from(random.below(CHANNELS as u64)), version, kind, vec![user])
            }
            15 => settings(&mut random, step),
            16 => joins(1, random.below(4), random.below(3)),
            17 => {
                let turn = ChannelTurn { channel_id: channel_bytes(&mut random), n: random.below(3) };
                command::Body::Leaves(Leaves { slot: 1, epoch: random.below(4), channels: vec![turn] })
            }
            18 => command::Body::EpochDead(EpochDead { slot: 1, epoch: random.below(3) }),
            _ => command::Body::Send(Send { channel_id: bytes::Bytes::from_static(b"?"), ..Send::default() }),
        };
        script.push((random.below(400) as i64 - 50, body));
    }
    script
}

fn send(random: &mut Random, step: usize) -> command::Body {
    // Every third is likely to be a retry of an earlier key.
    let client = if random.below(3) == 0 { random.below(step as u64 + 1) } else { step as u64 };
    command::Body::Send(Send {
        channel_id: channel_bytes(random),
        sender_id: bytes(u128::from(random.below(USERS as u64))),
        client_id: bytes(0xffff + u128::from(client)),
        content: format!("message {step}"),
        ..Send::default()
    })
}

fn membership(channel: u128, version: u64, kind: MembershipKind, users: Vec<u128>) -> command::Body {
    let role = if kind == MembershipKind::Role && version.is_multiple_of(2) { "admin" } else { "member" };
    let members = users.into_iter().map(|user| Member { user_id: bytes(user), role: role.into() });
    command::Body::Membership(Membership {
        channel_id: bytes(channel),
        version,
        actor_id: bytes(0),
        kind: kind.into(),
        channel: None,
        members: members.collect(),
    })
}

/// What a channel is held to, told to its members or not; and now and then its end.
fn settings(random: &mut Random, step: usize) -> command::Body {
    let kind = match random.below(20) {
        0 => MembershipKind::Deleted,
        1..=9 => MembershipKind::Updated,
        _ => MembershipKind::Closed,
    };
    let settings = Settings {
        slow_mode_s: 0,
        admins_post: random.below(3) == 0,
        history_from_join: random.below(2) == 0,
        closed: random.below(3) == 0,
    };
    command::Body::Membership(Membership {
        channel_id: channel_bytes(random),
        version: (2 + step as u64).saturating_sub(random.below(4)),
        actor_id: bytes(0),
        kind: kind.into(),
        channel: Some(Channel { r#type: "group".into(), settings: Some(settings), ..Channel::default() }),
        members: Vec::new(),
    })
}

fn joins(slot: u32, epoch: u64, n: u64) -> command::Body {
    let turn = |channel| ChannelTurn { channel_id: bytes(0xc0 + channel), n };
    command::Body::Joins(Joins { slot, epoch, channels: (0..CHANNELS).map(turn).collect() })
}

/// The log holds the whole script, and nobody has processed it.
async fn prepared(seed: u64, batch: usize) -> Memory {
    // Lag is measured against the clock; every run of a process starts at the same instant.
    static START: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let start = START.get_or_init(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64 - 600_000
    });
    let memory = Memory::new(UnixMillis(*start), batch);
    init(PARTITION, &memory, &memory).await.expect("an empty log has a beginning");
    for (pause_ms, body) in script(seed) {
        memory.advance(pause_ms);
        let payload = ringside_wire::encode(&Command { body: Some(body) });
        let append = Append { topic: Topic::MessagesSend, partition: PARTITION, payload };
        memory.append(vec![append]).await.expect("appends");
    }
    memory
}

/// Processes until nothing is left, or a write fails.
async fn process(memory: &Memory, machine: &mut Partition) -> Result<(), String> {
    let committer = Stepwise::new(memory.clone(), memory.clone());
    let end = memory.bounds(Topic::MessagesSend, PARTITION).await.expect("bounds").end;
    while machine.progress().offset < end {
        let done = turn(machine, memory, memory, &committer, &Counters::default()).await;
        done.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn opened(memory: &Memory) -> Partition {
    open(PARTITION, memory, memory).await.expect("opens")
}

async fn undisturbed(seed: u64) -> Tables {
    let memory = prepared(seed, 1_000).await;
    process(&memory, &mut opened(&memory).await).await.expect("no crash");
    assert_edge_is_whole(&memory, seed).await;
    memory.tables()
}

/// Follows slot 0 as an edge does, and holds what it was given against the tables.
async fn assert_edge_is_whole(memory: &Memory, seed: u64) {
    let mut feed = Feed::default();
    for channel in 0..CHANNELS {
        feed.hold(ChannelId(Uuid::from_u128(0xc0 + channel)), Instant::now());
    }
    let mut delivered: BTreeMap<ChannelId, Vec<u64>> = BTreeMap::new();
    for record in memory.records(Topic::MessagesReceive, PARTITION) {
        let batch: EdgeBatch = ringside_wire::decode(record.payload).expect("a record to the edge");
        for item in batch.items {
            let channel = ringside_wire::channel_id(&item.channel_id).expect("a channel");
            let mut out = Vec::new();
            match item.body {
                // The script joins all channels with n = 1; the feed counts 1, 2, 3.
                Some(edge_item::Body::Join(answer)) => {
                    for n in 1..=CHANNELS as u64 {
                        feed.handle_answer(
                            channel,
                            &ringside_wire::records::JoinAnswer { n, ..answer },
                            &mut out,
                        );
                    }
                }
                Some(edge_item::Body::Effective(event)) => feed.handle_event(channel, event, &mut out),
                other => panic!("seed {seed}: {other:?}"),
            }
            while !out.is_empty() {
                for output in std::mem::take(&mut out) {
                    match output {
                        Output::Deliver(channel, event) => {
                            delivered.entry(channel).or_default().push(event.id);
                        }
                        Output::Live { .. } => {}
                        Output::ReadGap(range) => {
                            let mut found = effective(memory, channel).await;
                            found.retain(|one| one.id > range.after.0 && one.id <= range.up_to.0);
                            feed.handle_gap(range, found, &mut out);
                        }
                    }
                }
            }
        }
    }
    for channel in (0..CHANNELS).map(|channel| ChannelId(Uuid::from_u128(0xc0 + channel))) {
        let wanted: Vec<u64> = effective(memory, channel).await.iter().map(|one| one.id).collect();
        assert!(!wanted.is_empty());
        assert_eq!(delivered.remove(&channel).unwrap_or_default(), wanted, "seed {seed}, channel {channel}");
    }
}

/// All effective records of a channel, oldest first; dense in both counters.
async fn effective(memory: &Memory, channel_id: ChannelId) -> Vec<Effective> {
    let (after, before) = (MessageId::ZERO, MessageId::MAX);
    let range = MessageRange { channel_id, after, before, limit: usize::MAX, order: Order::OldestFirst };
    let messages = memory.messages(&[range]).await.expect("messages").remove(0);
    let range = ChangeRange { channel_id, after: 0, up_to: u64::MAX, limit: usize::MAX };
    let changes = memory.changes(&[range]).await.expect("changes").remove(0);
    assert!(messages.iter().zip(1..).all(|(row, seq)| row.seq == seq), "seq is dense");
    assert!(changes.iter().zip(1..).all(|(row, change)| row.change == change), "change is dense");
    let keys: BTreeSet<_> = messages.iter().map(|row| (row.sender_id, row.client_id)).collect();
    assert_eq!(keys.len(), messages.len(), "N retries, one message");
    let mut all: Vec<Effective> = messages.iter().map(|row| effective_of(row, None)).collect();
    all.extend(changes.iter().map(|row| effective_of_change(row, None, None).expect("a change")));
    all.sort_by_key(|one| one.id);
    all
}

#[tokio::test]
async fn a_crash_before_any_write_changes_nothing() {
    for seed in 0..SEEDS {
        let wanted = undisturbed(seed).await;
        for writes in 0..40 {
            let memory = prepared(seed, 1 + writes % 7).await;
            memory.crash_after(writes);
            let crashed = process(&memory, &mut opened(&memory).await).await;
            assert!(crashed.is_err(), "seed {seed}: the script takes more than {writes} writes");
            memory.restart();
            process(&memory, &mut opened(&memory).await).await.expect("it goes on after the crash");
            assert_eq!(memory.tables(), wanted, "seed {seed}, crash after {writes} writes");
            assert_edge_is_whole(&memory, seed).await;
        }
    }
}

#[tokio::test]
async fn a_paused_owner_that_wakes_changes_nothing() {
    for seed in 0..SEEDS {
        let wanted = undisturbed(seed).await;
        for turns in 1..10 {
            let memory = prepared(seed, 5).await;
            let committer = Stepwise::new(memory.clone(), memory.clone());
            let mut paused = opened(&memory).await;
            for _ in 0..turns {
                turn(&mut paused, &memory, &memory, &committer, &Counters::default()).await.expect("a turn");
            }
            process(&memory, &mut opened(&memory).await).await.expect("the second owner finishes");
            process(&memory, &mut paused).await.expect("the first one wakes, and finishes, too");
            assert_eq!(memory.tables(), wanted, "seed {seed}, paused after {turns} turns");
            assert_edge_is_whole(&memory, seed).await;
        }
    }
}

#[tokio::test]
async fn records_without_progress_are_a_loss_and_never_a_beginning() {
    let memory = Memory::new(UnixMillis(0), 10);
    let append = Append { topic: Topic::MessagesSend, partition: PARTITION, payload: bytes::Bytes::new() };
    memory.append(vec![append]).await.expect("appends");
    let refused = open(PARTITION, &memory, &memory).await.expect_err("refuses");
    assert!(refused.to_string().contains("partition_progress"), "{refused}");
}

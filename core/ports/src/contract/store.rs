//! The contract of [`MessageStore`].

pub mod reading;

use ringside_domain::rows::{
    HeadRow, MessageRow, PinRow, Prefetch, Prefetched, Progress, ReactionRow, Rows, WriteTimestamp,
};
use ringside_types::{ChannelId, Epoch, MessageId, Offset, PartitionId, Slot};

use super::rows::{
    change, channel, delivered, head, interest, key, member, message, one_of_each, pin, reaction, read, slot,
    stamp, user,
};
use crate::store::{ChangeRange, MessageRange, MessageStore, Order, PartitionRows};

const FIRST: PartitionId = PartitionId(0);
const SECOND: PartitionId = PartitionId(1);

/// Runs every part, each over a fresh store.
pub async fn suite<S: MessageStore>(make: impl AsyncFn() -> S) {
    an_empty_store_has_nothing(make().await).await;
    every_row_comes_back(make().await).await;
    only_what_is_wanted_comes(make().await).await;
    messages_by_range(make().await).await;
    changes_by_range(make().await).await;
    the_greater_stamp_wins(make().await).await;
    the_greater_stamp_wins_within_one_write(make().await).await;
    heads_by_stamp(make().await).await;
    read_cursors_only_grow(make().await).await;
    delivery_cursors_are_registers_of_their_own(make().await).await;
    progress_only_grows(make().await).await;
    intervals_open_and_close(make().await).await;
    reactions_and_pins_open_and_close(make().await).await;
    replies_by_what_they_answer(make().await).await;
    void_interest_goes(make().await).await;
    slots_belong_to_their_partition(make().await).await;
    racing_writes_leave_the_latest(make().await).await;
    reading::messages_over_years(make().await).await;
    reading::changes_by_the_thousand(make().await).await;
    reading::a_large_write_comes_back_whole(make().await).await;
    reading::nothing_is_older_than_the_head_it_comes_with(make().await).await;
}

async fn load<S: MessageStore>(store: &S, wanted: Prefetch) -> Prefetched {
    store.load(&wanted).await.expect("loads")
}

async fn write<S: MessageStore>(store: &S, rows: Rows) {
    store.write_rows(FIRST, &rows).await.expect("writes");
}

/// All that is known of `rows`.
fn wanted_of(rows: &Rows) -> Prefetch {
    Prefetch {
        channels: rows.interest.iter().map(|row| row.channel_id).collect(),
        interest: rows.interest.iter().map(|row| row.channel_id).collect(),
        members: rows.memberships.iter().map(|row| (row.channel_id, row.user_id)).collect(),
        keys: rows.keys.iter().map(|row| row.key).collect(),
        records: rows
            .messages
            .iter()
            .map(|row| (row.channel_id, row.message_id))
            .chain(rows.changes.iter().map(|row| (row.channel_id, row.record_id)))
            .collect(),
        reactions: rows
            .reactions
            .iter()
            .map(|row| (row.channel_id, row.message_id, row.emoji.clone()))
            .collect(),
        pins: rows.pins.iter().map(|row| (row.channel_id, row.message_id)).collect(),
        reads: rows.reads.iter().map(|row| (row.user_id, row.channel_id)).collect(),
        ..Prefetch::default()
    }
}

fn loaded_of(rows: &Rows, heads: &[HeadRow]) -> Prefetched {
    Prefetched {
        heads: heads.to_vec(),
        interest: rows.interest.clone(),
        settings: rows.settings.clone(),
        members: rows.memberships.clone(),
        keys: rows.keys.clone(),
        messages: rows.messages.clone(),
        changes: rows.changes.clone(),
        reactions: rows.reactions.clone(),
        pins: rows.pins.clone(),
        reads: rows.reads.clone(),
        delivered: rows.delivered.clone(),
    }
}

fn range(channel: ChannelId, after: u64, before: u64, limit: usize, order: Order) -> MessageRange {
    MessageRange { channel_id: channel, after: MessageId(after), before: MessageId(before), limit, order }
}

/// Unknown ids are absent, and empty writes and wishes are fine.
pub async fn an_empty_store_has_nothing<S: MessageStore>(store: S) {
    assert_eq!(load(&store, Prefetch::default()).await, Prefetched::default());
    write(&store, Rows::default()).await;
    store.write_heads(&[]).await.expect("writes");
    let wanted = wanted_of(&one_of_each(channel(1), stamp(0)));
    assert_eq!(load(&store, wanted).await, Prefetched::default());
    assert_eq!(store.partition(FIRST).await, Ok(PartitionRows::default()));
    let messages = store.messages(&[range(channel(1), 0, u64::MAX, 10, Order::OldestFirst)]).await;
    assert_eq!(messages, Ok(vec![Vec::new()]));
    assert_eq!(store.messages(&[]).await, Ok(Vec::new()));
    let all = ChangeRange { channel_id: channel(1), after: 0, up_to: u64::MAX, limit: 10 };
    assert_eq!(store.changes(&[all]).await, Ok(vec![Vec::new()]));
}

/// What is written is read, field by field.
pub async fn every_row_comes_back<S: MessageStore>(store: S) {
    let (rows, head) = (one_of_each(channel(1), stamp(0)), head(channel(1), 3, stamp(0)));
    write(&store, rows.clone()).await;
    assert_eq!(load(&store, wanted_of(&rows)).await, loaded_of(&rows, &[]), "rows come before their head");
    store.write_heads(&[head]).await.expect("writes");
    assert_eq!(load(&store, wanted_of(&rows)).await, loaded_of(&rows, &[head]));
    let kept = store.partition(FIRST).await.expect("reads");
    assert_eq!(kept, PartitionRows { progress: None, slots: rows.slots.clone() });
    write(&store, rows.clone()).await;
    assert_eq!(load(&store, wanted_of(&rows)).await, loaded_of(&rows, &[head]), "a replay changes nothing");
}

/// Rows of neighbours don't come along: other channels, users, records, clients.
pub async fn only_what_is_wanted_comes<S: MessageStore>(store: S) {
    let (one, other) = (one_of_each(channel(1), stamp(0)), one_of_each(channel(2), stamp(0)));
    write(&store, one.clone()).await;
    write(&store, other.clone()).await;
    store.write_heads(&[head(channel(1), 3, stamp(0)), head(channel(2), 9, stamp(0))]).await.expect("writes");
    assert_eq!(load(&store, wanted_of(&other)).await, loaded_of(&other, &[head(channel(2), 9, stamp(0))]));
    let strangers = Prefetch {
        channels: vec![channel(3)],
        interest: vec![channel(3)],
        members: vec![(channel(1), user(2)), (channel(3), user(1))],
        keys: vec![key(channel(1), 99, stamp(0)).key],
        records: vec![(channel(1), MessageId(31)), (channel(3), MessageId(30))],
        reactions: vec![(channel(1), MessageId(30), "👎".into()), (channel(3), MessageId(30), "👍🏽".into())],
        reacted: vec![(channel(3), MessageId(1), MessageId(99))],
        pins: vec![(channel(1), MessageId(31))],
        pinned: vec![channel(3)],
        reads: vec![(user(2), channel(1)), (user(1), channel(3))],
        reads_of: vec![user(99)],
    };
    assert_eq!(load(&store, strangers).await, Prefetched::default());
    let mut both = wanted_of(&one);
    both.records.extend(wanted_of(&other).records);
    let loaded = load(&store, both).await;
    assert_eq!((loaded.messages.len(), loaded.changes.len()), (2, 2), "a batch of many is answered whole");
}

/// Both ends are excluded; either order; at most the limit.
pub async fn messages_by_range<S: MessageStore>(store: S) {
    let mut rows = Rows::default();
    for seq in 1..=20 {
        rows.messages.push(message(channel(1), seq, stamp(seq)));
        rows.messages.push(message(channel(2), seq, stamp(seq)));
    }
    write(&store, rows).await;
    let check = async |range: MessageRange, expected: &[u64]| {
        let rows = store.messages(&[range]).await.expect("reads").remove(0);
        let seqs: Vec<u64> = rows.iter().map(|row| row.seq).collect();
        assert_eq!(seqs, expected, "{range:?}");
        assert!(rows.iter().all(|row| row.channel_id == range.channel_id));
    };
    let one = channel(1);
    check(range(one, 0, u64::MAX, 3, Order::OldestFirst), &[1, 2, 3]).await;
    check(range(one, 0, u64::MAX, 3, Order::NewestFirst), &[20, 19, 18]).await;
    check(range(one, 50, 80, 10, Order::OldestFirst), &[6, 7]).await;
    check(range(one, 50, 80, 10, Order::NewestFirst), &[7, 6]).await;
    check(range(one, 50, 80, 1, Order::NewestFirst), &[7]).await;
    check(range(one, 49, 51, 10, Order::OldestFirst), &[5]).await;
    check(range(one, 50, 51, 10, Order::OldestFirst), &[]).await;
    check(range(one, 80, 50, 10, Order::OldestFirst), &[]).await;
    check(range(one, 50, 80, 0, Order::OldestFirst), &[]).await;
    check(range(one, MessageId::MAX.0, MessageId::MAX.0, 10, Order::OldestFirst), &[]).await;
    check(range(one, u64::MAX, u64::MAX, 10, Order::NewestFirst), &[]).await;
    check(range(channel(3), 0, u64::MAX, 10, Order::OldestFirst), &[]).await;
}

/// Above the lower end, up to and with the upper one, oldest first.
pub async fn changes_by_range<S: MessageStore>(store: S) {
    let changes = (1..=10).flat_map(|number| {
        [change(channel(1), number, stamp(number)), change(channel(2), number, stamp(number))]
    });
    write(&store, Rows { changes: changes.collect(), ..Rows::default() }).await;
    let check = async |after, up_to, limit, expected: &[u64]| {
        let range = ChangeRange { channel_id: channel(1), after, up_to, limit };
        let rows = store.changes(&[range]).await.expect("reads").remove(0);
        let numbers: Vec<u64> = rows.iter().map(|row| row.change).collect();
        assert_eq!(numbers, expected, "{range:?}");
        assert!(rows.iter().all(|row| row.channel_id == channel(1)));
    };
    check(0, 10, 100, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).await;
    check(3, 5, 100, &[4, 5]).await;
    check(3, 10, 2, &[4, 5]).await;
    check(10, 20, 100, &[]).await;
    check(5, 3, 100, &[]).await;
    check(0, 10, 0, &[]).await;
    check(u64::MAX, u64::MAX, 10, &[]).await;
}

/// Two versions of every stamped row: the later stays, whichever comes first.
pub async fn the_greater_stamp_wins<S: MessageStore>(store: S) {
    for (channel, later_first) in [(channel(1), false), (channel(2), true)] {
        let early = one_of_each(channel, stamp(0));
        let late = altered(channel, stamp(1_000));
        let (first, second) = if later_first { (&late, &early) } else { (&early, &late) };
        write(&store, first.clone()).await;
        write(&store, second.clone()).await;
        assert_eq!(load(&store, wanted_of(&late)).await, loaded_of(&late, &[]), "later first: {later_first}");
        let slots = store.partition(FIRST).await.expect("reads").slots;
        assert_eq!(slots, late.slots, "later first: {later_first}");
    }
}

/// As [`one_of_each`], with the same keys and other contents.
fn altered(channel: ChannelId, stamp: WriteTimestamp) -> Rows {
    let mut rows = one_of_each(channel, stamp);
    rows.messages[0].content = "another".into();
    rows.messages[0].metadata = String::new();
    rows.changes[0].body = "another".into();
    rows.memberships[0].to_id = MessageId(99);
    rows.memberships[0].to_version = 8;
    rows.memberships[0].role = "owner".into();
    rows.settings[0].to_id = MessageId(99);
    rows.settings[0].is_deleted = true;
    rows.reactions[0].to_id = MessageId(99);
    rows.pins[0].to_id = MessageId(98);
    rows.keys[0].message_id = MessageId(77);
    rows.interest[0].n = 5;
    rows.interest[0].record_id = MessageId::ZERO;
    rows.slots[0].epoch = Epoch(70);
    rows
}

/// The same within one write, where a row comes twice.
pub async fn the_greater_stamp_wins_within_one_write<S: MessageStore>(store: S) {
    for (channel, later_first) in [(channel(1), false), (channel(2), true)] {
        let (mut rows, late) = (one_of_each(channel, stamp(0)), altered(channel, stamp(1_000)));
        let at = |length: usize| if later_first { 0 } else { length };
        rows.messages.insert(at(1), late.messages[0].clone());
        rows.changes.insert(at(1), late.changes[0].clone());
        rows.memberships.insert(at(1), late.memberships[0].clone());
        rows.settings.insert(at(1), late.settings[0]);
        rows.reactions.insert(at(1), late.reactions[0].clone());
        rows.pins.insert(at(1), late.pins[0]);
        rows.keys.insert(at(1), late.keys[0]);
        rows.interest.insert(at(1), late.interest[0]);
        rows.slots.insert(at(1), late.slots[0]);
        rows.reads.insert(at(1), read(user(1), channel, 2));
        write(&store, rows).await;
        assert_eq!(load(&store, wanted_of(&late)).await, loaded_of(&late, &[]), "later first: {later_first}");
    }
}

/// A head written by a later record stays; a zombie's older one loses.
pub async fn heads_by_stamp<S: MessageStore>(store: S) {
    let (early, late) = (head(channel(1), 9, stamp(0)), head(channel(1), 4, stamp(10)));
    let kept = async || {
        let wanted = Prefetch { channels: vec![channel(1)], ..Prefetch::default() };
        load(&store, wanted).await.heads
    };
    store.write_heads(&[early]).await.expect("writes");
    store.write_heads(&[late]).await.expect("writes");
    assert_eq!(kept().await, [late], "by stamp, not by number");
    store.write_heads(&[early]).await.expect("a stale write is no error");
    assert_eq!(kept().await, [late]);
}

/// Read cursors are registers that only grow.
pub async fn read_cursors_only_grow<S: MessageStore>(store: S) {
    let reads = |seqs: &[u64]| Rows {
        reads: seqs.iter().map(|seq| read(user(1), channel(1), *seq)).collect(),
        ..Rows::default()
    };
    for (seqs, expected) in [(&[5][..], 5), (&[3], 5), (&[8, 6], 8), (&[8], 8), (&[1, 9], 9)] {
        write(&store, reads(seqs)).await;
        let wanted = Prefetch { reads: vec![(user(1), channel(1))], ..Prefetch::default() };
        assert_eq!(load(&store, wanted).await.reads, [read(user(1), channel(1), expected)], "after {seqs:?}");
    }
    let others = vec![read(user(1), channel(2), 4), read(user(2), channel(1), 3)];
    write(&store, Rows { reads: others, ..Rows::default() }).await;
    let wanted = Prefetch { reads_of: vec![user(1)], ..Prefetch::default() };
    let mut found = load(&store, wanted).await.reads;
    found.sort_unstable_by_key(|row| row.channel_id);
    assert_eq!(found, [read(user(1), channel(1), 9), read(user(1), channel(2), 4)], "wherever one has read");
}

/// What was delivered and what was read grow apart: a write of one leaves the other as it is.
pub async fn delivery_cursors_are_registers_of_their_own<S: MessageStore>(store: S) {
    let kept = async || {
        let wanted = Prefetch { reads: vec![(user(1), channel(1))], ..Prefetch::default() };
        let loaded = load(&store, wanted).await;
        (loaded.reads, loaded.delivered)
    };
    let write_delivered = async |seqs: &[u64]| {
        let rows = seqs.iter().map(|seq| delivered(user(1), channel(1), *seq)).collect();
        write(&store, Rows { delivered: rows, ..Rows::default() }).await;
    };
    write_delivered(&[7, 5]).await;
    assert_eq!(kept().await, (vec![], vec![delivered(user(1), channel(1), 7)]));
    write(&store, Rows { reads: vec![read(user(1), channel(1), 9)], ..Rows::default() }).await;
    write_delivered(&[6]).await;
    let expected = (vec![read(user(1), channel(1), 9)], vec![delivered(user(1), channel(1), 7)]);
    assert_eq!(kept().await, expected);
}

/// Progress only grows, each partition for itself.
pub async fn progress_only_grows<S: MessageStore>(store: S) {
    let progress = |partition, offset| Progress {
        partition,
        offset: Offset(offset),
        last: MessageId(offset * 100),
        stamp: WriteTimestamp(offset * 1_000),
    };
    let kept = async |partition| store.partition(partition).await.expect("reads").progress;
    let start = Progress::start(FIRST);
    store.write_progress(start).await.expect("writes");
    assert_eq!(
        kept(FIRST).await,
        Some(start),
        "the start is progress: without it the log's records count as lost"
    );
    for (offset, expected) in [(5, 5), (3, 5), (5, 5), (6, 6)] {
        store.write_progress(progress(FIRST, offset)).await.expect("writes");
        assert_eq!(kept(FIRST).await, Some(progress(FIRST, expected)));
    }
    assert_eq!(kept(SECOND).await, None);
}

/// All intervals of the users asked for; a close overwrites its opening.
pub async fn intervals_open_and_close<S: MessageStore>(store: S) {
    let first = member(channel(1), user(1), 5, stamp(0));
    let second = member(channel(1), user(1), 300, stamp(2));
    let other = member(channel(1), user(2), 6, stamp(0));
    let memberships = vec![first.clone(), second.clone(), other];
    write(&store, Rows { memberships, ..Rows::default() }).await;
    let mut closed = first;
    (closed.to_id, closed.to_version, closed.stamp) = (MessageId(200), 2, stamp(1));
    write(&store, Rows { memberships: vec![closed.clone()], ..Rows::default() }).await;
    let wanted = Prefetch { members: vec![(channel(1), user(1))], ..Prefetch::default() };
    let mut members = load(&store, wanted).await.members;
    members.sort_by_key(|row| row.from_id);
    assert_eq!(members, [closed, second]);
}

/// Reactions and pins are intervals, found by what they hang on.
pub async fn reactions_and_pins_open_and_close<S: MessageStore>(store: S) {
    let opened = [reaction(channel(1), user(1), 50, stamp(1)), reaction(channel(1), user(2), 51, stamp(2))];
    let pinned = [pin(channel(1), 30, 52, stamp(3)), pin(channel(1), 40, 53, stamp(4))];
    let rows = Rows { reactions: opened.to_vec(), pins: pinned.to_vec(), ..Rows::default() };
    write(&store, rows).await;
    let closed = ReactionRow { to_id: MessageId(60), stamp: stamp(5), ..opened[0].clone() };
    let unpinned = PinRow { to_id: MessageId(61), stamp: stamp(6), ..pinned[0] };
    let rows = Rows { reactions: vec![closed.clone()], pins: vec![unpinned], ..Rows::default() };
    write(&store, rows).await;
    let emoji = opened[0].emoji.clone();
    let wanted = Prefetch {
        reactions: vec![(channel(1), MessageId(30), emoji.clone()), (channel(2), MessageId(30), emoji)],
        pins: vec![(channel(1), MessageId(30))],
        ..Prefetch::default()
    };
    let mut loaded = load(&store, wanted).await;
    loaded.reactions.sort_unstable_by_key(|row| row.from_id);
    assert_eq!(loaded.reactions, [closed, opened[1].clone()]);
    assert_eq!(loaded.pins, [unpinned]);
    let all = load(&store, Prefetch { pinned: vec![channel(1)], ..Prefetch::default() }).await;
    assert_eq!(all.pins.len(), 2);
    for (first, last, count) in [(30, 30, 2), (1, 99, 2), (1, 29, 0), (31, 99, 0)] {
        let reacted = vec![(channel(1), MessageId(first), MessageId(last))];
        let found = load(&store, Prefetch { reacted, ..Prefetch::default() }).await.reactions;
        assert_eq!(found.len(), count, "reactions on messages {first} to {last}");
    }
}

/// Replies are found by what they answer, in either order, within a range.
pub async fn replies_by_what_they_answer<S: MessageStore>(store: S) {
    let mut rows: Vec<MessageRow> = (1..=6).map(|seq| message(channel(1), seq, stamp(seq))).collect();
    for row in &mut rows {
        row.reply_to = if row.seq % 2 == 0 { MessageId(10) } else { MessageId::ZERO };
    }
    write(&store, Rows { messages: rows, ..Rows::default() }).await;
    let seqs = |rows: Vec<MessageRow>| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
    let found =
        store.replies(MessageId(10), range(channel(1), 0, u64::MAX >> 1, 9, Order::OldestFirst)).await;
    assert_eq!(seqs(found.expect("reads")), [2, 4, 6]);
    let found = store.replies(MessageId(10), range(channel(1), 20, 61, 1, Order::NewestFirst)).await;
    assert_eq!(seqs(found.expect("reads")), [6]);
    let found =
        store.replies(MessageId(20), range(channel(1), 0, u64::MAX >> 1, 9, Order::OldestFirst)).await;
    assert!(found.expect("reads").is_empty());
}

/// Interest of every edge and epoch comes; what is void goes, and only that.
pub async fn void_interest_goes<S: MessageStore>(store: S) {
    let rows =
        [(1, 7), (1, 9), (2, 8), (300, 8)].map(|(slot, epoch)| interest(channel(1), slot, epoch, stamp(0)));
    write(&store, Rows { interest: rows.to_vec(), ..Rows::default() }).await;
    let kept = async || {
        let wanted = Prefetch { interest: vec![channel(1)], ..Prefetch::default() };
        let mut interest = load(&store, wanted).await.interest;
        interest.sort_by_key(|row| (row.slot, row.epoch));
        interest
    };
    assert_eq!(kept().await, rows);
    let void_interest = vec![(channel(1), Slot(1), Epoch(7)), (channel(1), Slot(4), Epoch(1))];
    write(&store, Rows { void_interest, ..Rows::default() }).await;
    assert_eq!(kept().await, rows[1..]);
}

/// Slots are kept per partition of the write.
pub async fn slots_belong_to_their_partition<S: MessageStore>(store: S) {
    let (one, two) = (slot(1, 7, stamp(0)), slot(300, 8, stamp(0)));
    let rows = Rows { slots: vec![one, two], ..Rows::default() };
    store.write_rows(SECOND, &rows).await.expect("writes");
    assert_eq!(store.partition(FIRST).await.expect("reads").slots, []);
    let mut slots = store.partition(SECOND).await.expect("reads").slots;
    slots.sort_by_key(|row| row.slot);
    assert_eq!(slots, [one, two]);
}

/// Many write one row at once: the latest stamp is what is left.
pub async fn racing_writes_leave_the_latest<S: MessageStore>(store: S) {
    const WRITERS: u64 = 50;
    let begin = stamp(0).0;
    // An order that is neither rising nor falling.
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (store, number) = (store.clone(), number * 7 % WRITERS);
            tokio::spawn(async move {
                store
                    .write_heads(&[head(channel(1), number, WriteTimestamp(begin + number))])
                    .await
                    .expect("writes");
                let reads = vec![read(user(1), channel(1), number)];
                write(&store, Rows { reads, ..Rows::default() }).await;
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("the writer did not panic");
    }
    let wanted =
        Prefetch { channels: vec![channel(1)], reads: vec![(user(1), channel(1))], ..Prefetch::default() };
    let loaded = load(&store, wanted).await;
    assert_eq!(loaded.heads, [head(channel(1), WRITERS - 1, WriteTimestamp(begin + WRITERS - 1))]);
    assert_eq!(loaded.reads, [read(user(1), channel(1), WRITERS - 1)]);
}

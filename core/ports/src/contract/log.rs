//! The contract of [`Log`].

use std::time::{Duration, Instant};

use bytes::Bytes;
use ringside_types::{Offset, PartitionId, Topic, UnixMillis};

use super::soon;
use crate::log::{
    Append, Bounds, COMMIT_METADATA_BYTES_MAX, Commit, Log, Position, RECORD_BYTES_MAX, ReadLimit, Record,
};

const SEND: Topic = Topic::MessagesSend;
const FIRST: PartitionId = PartitionId(0);
const ALL: ReadLimit = ReadLimit { records: usize::MAX, bytes: usize::MAX };
const NO_WAIT: Duration = Duration::ZERO;
/// Far longer than anything here takes: a reader that returns before was woken.
const LONG: Duration = Duration::from_secs(600);

/// Runs every part, each over a fresh log with at least two partitions of `messages.send`.
pub async fn suite<L: Log>(make: impl AsyncFn() -> L) {
    appended_is_read_in_order(make().await).await;
    nothing_to_append(make().await).await;
    partitions_are_apart(make().await).await;
    limits_hold_but_one_record_always_comes(make().await).await;
    an_empty_end_is_waited_for(make().await).await;
    a_waiting_reader_is_woken(make().await).await;
    no_wake_up_is_lost(make().await).await;
    racing_appends_are_dense(make().await).await;
    pages_join_without_a_hole(make().await).await;
    offsets_by_time(make().await).await;
    groups_keep_what_they_commit(make().await).await;
    unknown_partitions_are_refused(make().await).await;
    the_largest_record_is_kept_and_a_larger_one_refused(make().await).await;
}

fn record(partition: PartitionId, payload: impl Into<Bytes>) -> Append {
    Append { topic: SEND, partition, payload: payload.into() }
}

async fn append<L: Log>(log: &L, partition: PartitionId, payloads: &[&'static str]) -> Vec<Position> {
    let records = payloads.iter().map(|payload| record(partition, *payload)).collect();
    log.append(records).await.expect("appends")
}

async fn read<L: Log>(log: &L, partition: PartitionId, from: u64) -> Vec<Record> {
    log.read(SEND, partition, Offset(from), ALL, NO_WAIT).await.expect("reads")
}

fn payloads(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| std::str::from_utf8(&record.payload).expect("text")).collect()
}

/// Positions are in the order of the records, offsets dense from 0, times never fall; what is read is what was appended.
pub async fn appended_is_read_in_order<L: Log>(log: L) {
    let mut positions = append(&log, FIRST, &["a", "b"]).await;
    positions.extend(append(&log, FIRST, &["c"]).await);
    let offsets: Vec<u64> = positions.iter().map(|position| position.offset.0).collect();
    assert_eq!(offsets, [0, 1, 2]);
    assert!(positions.is_sorted_by_key(|position| position.time), "{positions:?}");
    let records = read(&log, FIRST, 0).await;
    assert_eq!(payloads(&records), ["a", "b", "c"]);
    let read_back: Vec<Position> =
        records.iter().map(|record| Position { offset: record.offset, time: record.time }).collect();
    assert_eq!(read_back, positions, "a record is read with the position that its append answered");
    assert_eq!(payloads(&read(&log, FIRST, 2).await), ["c"]);
    let bounds = log.bounds(SEND, FIRST).await.expect("bounds");
    assert_eq!(bounds, Bounds { start: Offset(0), end: Offset(3) });
}

/// Nothing is appended by an empty list; a record may be empty.
pub async fn nothing_to_append<L: Log>(log: L) {
    assert_eq!(log.append(Vec::new()).await, Ok(Vec::new()));
    let bounds = log.bounds(SEND, FIRST).await.expect("bounds");
    assert_eq!(bounds, Bounds { start: Offset(0), end: Offset(0) });
    append(&log, FIRST, &[""]).await;
    assert_eq!(payloads(&read(&log, FIRST, 0).await), [""]);
}

/// One append to many partitions and topics keeps the order of each, and each counts for itself.
pub async fn partitions_are_apart<L: Log>(log: L) {
    let last = PartitionId(log.partitions(SEND) - 1);
    assert_ne!(last, FIRST, "the suite needs two partitions");
    let control = |payload: &'static str| Append {
        topic: Topic::Control,
        partition: FIRST,
        payload: Bytes::from_static(payload.as_bytes()),
    };
    let records = vec![
        record(FIRST, "a"),
        record(last, "x"),
        control("claim"),
        record(FIRST, "b"),
        record(last, "y"),
        control("tick"),
    ];
    let positions = log.append(records).await.expect("appends");
    let offsets: Vec<u64> = positions.iter().map(|position| position.offset.0).collect();
    assert_eq!(offsets, [0, 0, 0, 1, 1, 1]);
    assert_eq!(payloads(&read(&log, FIRST, 0).await), ["a", "b"]);
    assert_eq!(payloads(&read(&log, last, 0).await), ["x", "y"]);
    let records = log.read(Topic::Control, FIRST, Offset(0), ALL, NO_WAIT).await.expect("reads");
    assert_eq!(payloads(&records), ["claim", "tick"]);
}

/// A read ends at its limits, and returns one record whatever they are.
pub async fn limits_hold_but_one_record_always_comes<L: Log>(log: L) {
    append(&log, FIRST, &["aaaa", "bbbb", "cccc"]).await;
    let check = async |from, records, bytes, expected: &[&str]| {
        let limit = ReadLimit { records, bytes };
        let read = log.read(SEND, FIRST, Offset(from), limit, NO_WAIT).await.expect("reads");
        assert_eq!(payloads(&read), expected, "{limit:?}");
    };
    check(0, 2, usize::MAX, &["aaaa", "bbbb"]).await;
    check(1, usize::MAX, 8, &["bbbb", "cccc"]).await;
    check(0, usize::MAX, 11, &["aaaa", "bbbb"]).await;
    check(0, 1, 1, &["aaaa"]).await;
}

/// At the end there is nothing, after the time that one waits, and not before.
pub async fn an_empty_end_is_waited_for<L: Log>(log: L) {
    append(&log, FIRST, &["a"]).await;
    assert_eq!(read(&log, FIRST, 1).await, []);
    let (began, wait) = (Instant::now(), Duration::from_millis(50));
    let records = log.read(SEND, FIRST, Offset(1), ALL, wait).await.expect("reads");
    assert_eq!(records, []);
    assert!(began.elapsed() >= wait, "waited {:?} of {wait:?}", began.elapsed());
}

/// A reader that waits at the end gets what comes; so do all of several, and none of another partition.
pub async fn a_waiting_reader_is_woken<L: Log>(log: L) {
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let log = log.clone();
            tokio::spawn(async move { log.read(SEND, FIRST, Offset(0), ALL, LONG).await })
        })
        .collect();
    let other = PartitionId(log.partitions(SEND) - 1);
    append(&log, other, &["elsewhere"]).await;
    append(&log, FIRST, &["a"]).await;
    for reader in readers {
        let records = soon("the record", reader).await.expect("no panic").expect("reads");
        assert_eq!(payloads(&records), ["a"]);
    }
}

/// A reader follows a writer that appends one by one; a wake-up that is lost would hold it for minutes.
pub async fn no_wake_up_is_lost<L: Log>(log: L) {
    const RECORDS: u64 = 300;
    let following = {
        let log = log.clone();
        tokio::spawn(async move {
            let mut next = 0;
            while next < RECORDS {
                let records = log.read(SEND, FIRST, Offset(next), ALL, LONG).await.expect("reads");
                for record in records {
                    assert_eq!(record.offset, Offset(next), "dense");
                    next += 1;
                }
            }
        })
    };
    let appending = async {
        for _ in 0..RECORDS {
            append(&log, FIRST, &["a"]).await;
        }
    };
    soon("the last append", appending).await;
    soon("the last record", following).await.expect("the reader did not panic");
}

/// Many append at once: no offset twice, none missing, each writer's in its own order.
pub async fn racing_appends_are_dense<L: Log>(log: L) {
    const WRITERS: usize = 16;
    const APPENDS: usize = 25;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut offsets = Vec::new();
                for turn in 0..APPENDS {
                    let records =
                        ["a", "b"].map(|part| record(FIRST, format!("{writer} {turn} {part}"))).to_vec();
                    let positions = log.append(records).await.expect("appends");
                    offsets.extend(positions.iter().map(|position| position.offset.0));
                }
                assert!(offsets.is_sorted(), "a writer's appends are in its order: {offsets:?}");
                offsets
            })
        })
        .collect();
    let mut offsets = Vec::new();
    for writer in writers {
        offsets.extend(soon("a writer's end", writer).await.expect("the writer did not panic"));
    }
    offsets.sort_unstable();
    let expected: Vec<u64> = (0..(WRITERS * APPENDS * 2) as u64).collect();
    assert_eq!(offsets, expected);
    let records = read_all(&log, FIRST, ALL).await;
    assert_eq!(records.len(), expected.len());
    for pair in records.chunks(2) {
        let (a, b) = (payloads(&pair[..1])[0], payloads(&pair[1..])[0]);
        assert_eq!(a.strip_suffix(" a"), b.strip_suffix(" b"), "one append's records stand together");
    }
    assert!(records.is_sorted_by_key(|record| record.time), "times never fall");
}

async fn read_all<L: Log>(log: &L, partition: PartitionId, limit: ReadLimit) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let from = Offset(records.len() as u64);
        let page = log.read(SEND, partition, from, limit, NO_WAIT).await.expect("reads");
        if page.is_empty() {
            return records;
        }
        records.extend(page);
    }
}

/// Reading in pages from the beginning gives every record once, large ones too.
pub async fn pages_join_without_a_hole<L: Log>(log: L) {
    let sizes: Vec<usize> =
        (0..200).map(|number| if number % 20 == 7 { 300_000 } else { number * 10 }).collect();
    for part in sizes.chunks(50) {
        let records = part.iter().map(|size| record(FIRST, vec![b'x'; *size])).collect();
        log.append(records).await.expect("appends");
    }
    for limit in [ReadLimit { records: 7, ..ALL }, ReadLimit { bytes: 100_000, ..ALL }, ALL] {
        let records = read_all(&log, FIRST, limit).await;
        let read: Vec<usize> = records.iter().map(|record| record.payload.len()).collect();
        assert_eq!(read, sizes);
        assert!(records.iter().zip(0..).all(|(record, offset)| record.offset == Offset(offset)));
    }
}

/// The first record at or after a time; the end where there is none.
pub async fn offsets_by_time<L: Log>(log: L) {
    let at = async |time| log.offset_at(SEND, FIRST, time).await.expect("finds").0;
    assert_eq!(at(UnixMillis(0)).await, 0, "an empty log ends where it begins");
    let mut positions = Vec::new();
    for _ in 0..6 {
        positions.extend(append(&log, FIRST, &["a", "b"]).await);
        // Times of different milliseconds make the search do something.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(at(UnixMillis(0)).await, 0);
    for Position { time, .. } in &positions {
        let first = positions.iter().find(|position| position.time >= *time).expect("itself at the latest");
        assert_eq!(at(*time).await, first.offset.0);
        let after = positions.iter().find(|position| position.time > *time);
        let expected = after.map_or(positions.len() as u64, |position| position.offset.0);
        assert_eq!(at(time.plus_ms(1)).await, expected, "times are whole milliseconds");
    }
}

/// The last commit of a group, apart from other groups, topics and partitions.
pub async fn groups_keep_what_they_commit<L: Log>(log: L) {
    let last = PartitionId(log.partitions(SEND) - 1);
    let commit = |offset, metadata: &[u8]| Commit {
        offset: Offset(offset),
        metadata: Bytes::copy_from_slice(metadata),
    };
    let committed =
        async |group, topic, partition| log.committed(group, topic, partition).await.expect("answers");
    assert_eq!(committed("one", SEND, FIRST).await, None);
    log.commit("one", SEND, FIRST, commit(5, b"note")).await.expect("commits");
    assert_eq!(committed("one", SEND, FIRST).await, Some(commit(5, b"note")));
    assert_eq!(committed("on", SEND, FIRST).await, None);
    assert_eq!(committed("one", SEND, last).await, None);
    assert_eq!(committed("one", Topic::MessagesStored, FIRST).await, None);
    log.commit("two", SEND, FIRST, commit(9, &[7; COMMIT_METADATA_BYTES_MAX])).await.expect("commits");
    log.commit("one", SEND, FIRST, commit(3, b"")).await.expect("commits");
    assert_eq!(
        committed("one", SEND, FIRST).await,
        Some(commit(3, b"")),
        "the last commit, not the greatest"
    );
    assert_eq!(committed("two", SEND, FIRST).await, Some(commit(9, &[7; COMMIT_METADATA_BYTES_MAX])));
}

/// A partition that the topic doesn't have is an error for every operation, and nothing is appended with it.
pub async fn unknown_partitions_are_refused<L: Log>(log: L) {
    let none = PartitionId(log.partitions(SEND));
    let (start, note) = (Offset(0), Commit { offset: Offset(0), metadata: Bytes::new() });
    assert!(log.append(vec![record(FIRST, "a"), record(none, "b")]).await.is_err());
    assert!(log.read(SEND, none, start, ALL, NO_WAIT).await.is_err());
    assert!(log.bounds(SEND, none).await.is_err());
    assert!(log.offset_at(SEND, none, UnixMillis(0)).await.is_err());
    assert!(log.commit("one", SEND, none, note).await.is_err());
    assert!(log.committed("one", SEND, none).await.is_err());
}

/// A record as large as may be is read back; with a larger one nothing of an append is there.
pub async fn the_largest_record_is_kept_and_a_larger_one_refused<L: Log>(log: L) {
    let largest = Bytes::from(vec![b'x'; RECORD_BYTES_MAX]);
    let too_large = Bytes::from(vec![b'x'; RECORD_BYTES_MAX + 1]);
    assert!(log.append(vec![record(FIRST, "a"), record(FIRST, too_large)]).await.is_err());
    log.append(vec![record(FIRST, largest.clone()), record(FIRST, "b")]).await.expect("appends");
    let records = read_all(&log, FIRST, ALL).await;
    let read: Vec<&Bytes> = records.iter().map(|record| &record.payload).collect();
    assert_eq!(read.len(), 2, "the largest record, and the one behind it");
    assert!(*read[0] == largest && *read[1] == "b");
}

/// Below the start of a partition that retention has shortened, a read is an error and never a silent skip. The
/// adapter hands over a log whose `partition` begins above 0 and is not empty.
pub async fn below_the_start_is_an_error<L: Log>(log: L, topic: Topic, partition: PartitionId) {
    let Bounds { start, end } = log.bounds(topic, partition).await.expect("bounds");
    assert!(start > Offset(0) && start < end, "the part needs a shortened log: {start}..{end}");
    for from in [0, start.0 - 1] {
        let read = log.read(topic, partition, Offset(from), ALL, NO_WAIT).await;
        assert!(matches!(read, Err(crate::EngineError::Damaged { .. })), "{from}: {read:?}");
    }
    let records = log.read(topic, partition, start, ALL, NO_WAIT).await.expect("reads");
    assert_eq!(records.first().map(|record| record.offset), Some(start));
    let at = log.offset_at(topic, partition, UnixMillis(0)).await.expect("finds");
    assert_eq!(at, start, "what is gone is not found by time either");
}

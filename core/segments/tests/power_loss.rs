//! The power fails at any operation of the disk: what was answered is there, whole and in order, and nothing else but
//! perhaps the group that was in flight.

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use ringside_segments::{End, LogError, Stream, Writer};
use ringside_types::Offset;
use support::{NOW, VirtualDisk, all, config, open, stream};

const CUTS: u64 = 4_000;
/// The same folder loses power so often in a row.
const LIVES: u64 = 3;
const STREAMS: u16 = 5;

/// The payloads of each stream.
type History = BTreeMap<Stream, Vec<Bytes>>;

/// What is sure to be there, and what was in flight.
#[derive(Default, Clone)]
struct Expected {
    answered: History,
    in_flight: History,
    /// How many of each stream's records retention may have removed.
    trimmed: BTreeMap<Stream, u64>,
}

fn random_payload(random: &mut StdRng) -> Bytes {
    let length = if random.random_ratio(1, 20) { 3_000 } else { random.random_range(0..200) };
    Bytes::from((0..length).map(|_| random.random()).collect::<Vec<u8>>())
}

/// Writes groups until the power is gone, or enough is written.
fn live(disk: &VirtualDisk, random: &mut StdRng, expected: &mut Expected) -> Result<(), LogError> {
    let mut writer = Writer::open(disk.clone(), config(), random.random(), NOW, &[])?;
    for _ in 0..40 {
        for _ in 0..random.random_range(1..5) {
            let (stream, payload) = (stream(random.random_range(0..STREAMS)), random_payload(random));
            writer.stage(stream, NOW, &payload);
            expected.in_flight.entry(stream).or_default().push(payload);
        }
        writer.sync(NOW)?;
        for (stream, payloads) in std::mem::take(&mut expected.in_flight) {
            expected.answered.entry(stream).or_default().extend(payloads);
        }
        if random.random_ratio(1, 10) {
            let keep = random.random_range(0..30);
            let goes = |stream: Stream, end: End| end.next.0 + keep < expected.answered[&stream].len() as u64;
            writer.trim(NOW, goes)?;
        }
        for (stream, start) in &mut expected.trimmed {
            *start = writer.reader().start(*stream).0;
        }
    }
    Ok(())
}

/// Opens the folder and compares; what was in flight counts as answered where it is there.
fn judge(disk: &VirtualDisk, expected: &mut Expected, seed: u64) {
    let writer = open(disk);
    let in_flight = std::mem::take(&mut expected.in_flight);
    let arrived = |stream: &Stream| {
        writer.end(*stream).next.0 > expected.answered.get(stream).map_or(0, |records| records.len() as u64)
    };
    let is_whole = in_flight.keys().all(arrived);
    assert!(
        is_whole || !in_flight.keys().any(arrived),
        "seed {seed}: a part of the group that was in flight"
    );
    if is_whole {
        for (stream, payloads) in in_flight {
            expected.answered.entry(stream).or_default().extend(payloads);
        }
    }
    for (stream, answered) in &expected.answered {
        let (end, start) = (writer.end(*stream).next, writer.reader().start(*stream).0 as usize);
        assert_eq!(end, Offset(answered.len() as u64), "seed {seed}: the end of {stream}");
        assert_eq!(all(&writer.reader(), *stream, end), answered[start..], "seed {seed}: {stream}");
    }
}

#[test]
fn nothing_answered_is_lost_doubled_or_renumbered() {
    let mut deaths = 0;
    for seed in 0..CUTS / LIVES {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut disk, mut expected) = (VirtualDisk::default(), Expected::default());
        for life in 0..LIVES {
            disk.cut_after(random.random_range(0..160));
            let died = live(&disk, &mut random, &mut expected);
            deaths += u64::from(died.is_err());
            if expected.answered.is_empty() {
                // Nobody was ever answered, and the folder is not marked as made: it is wiped.
                (disk, expected) = (VirtualDisk::default(), Expected::default());
                continue;
            }
            disk = disk.after_power_loss(seed * LIVES + life);
            judge(&disk, &mut expected, seed);
            disk = disk.copy();
        }
    }
    assert!(deaths > CUTS / 3, "the power failed {deaths} times");
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_it_wrote() {
    let (disk, mut random) = (VirtualDisk::default(), StdRng::seed_from_u64(1));
    let mut expected = Expected::default();
    for _ in 0..20 {
        live(&disk, &mut random, &mut expected).expect("the power stays");
        judge(&disk, &mut expected, 1);
    }
}

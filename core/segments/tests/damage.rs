//! Bits that flip: named and refused, or without any effect; never read as if nothing had happened.

mod support;

use ringside_segments::{End, LogError, Stream, Writer};
use ringside_types::{Offset, UnixMillis};
use support::{NOW, VirtualDisk, all, config, open, stream};

const STREAMS: u16 = 3;
const GROUPS: u64 = 60;

/// A log of several segments, and its last group's bytes: after a crash nobody can tell damage there from a cut.
fn filled() -> (VirtualDisk, u64) {
    let disk = VirtualDisk::default();
    let mut writer = open(&disk);
    let mut last = 0;
    for group in 0..GROUPS {
        for number in 0..STREAMS {
            writer.stage(stream(number), NOW, &[group as u8; 40]);
        }
        last = writer.staged_bytes() as u64;
        writer.sync(NOW).expect("writes");
    }
    (disk, last)
}

fn read_all(disk: &VirtualDisk) -> Result<Vec<(Stream, u64)>, LogError> {
    let writer = Writer::open(disk.clone(), config(), 7, NOW, &[])?;
    let mut found = Vec::new();
    for number in 0..STREAMS {
        let (stream, reader) = (stream(number), writer.reader());
        let end = writer.end(stream).next;
        let records = reader.read(stream, reader.start(stream), end, (usize::MAX, usize::MAX))?;
        for (group, record) in records.iter().enumerate() {
            assert_eq!(record.payload, [group as u8; 40][..], "{stream}: never a wrong byte");
        }
        found.push((stream, records.len() as u64));
    }
    Ok(found)
}

#[test]
fn every_flipped_byte_is_refused_or_of_no_effect() {
    let (disk, last) = filled();
    let segments: Vec<String> = disk.names().into_iter().filter(|name| name.ends_with(".segment")).collect();
    assert!(segments.len() >= 3, "{segments:?}");
    let whole: Vec<_> = (0..STREAMS).map(|number| (stream(number), GROUPS)).collect();
    let (mut refused, mut cut) = (0, 0);
    for name in disk.names() {
        for position in (0..disk.length(&name)).step_by(3) {
            let damaged = disk.copy();
            damaged.flip(&name, position);
            match read_all(&damaged) {
                Ok(found) if found == whole => {}
                Ok(found) => {
                    assert!(
                        found.iter().all(|(_, count)| *count == GROUPS - 1),
                        "{name} at {position}: {found:?}"
                    );
                    cut += 1;
                }
                Err(LogError::Damaged(error)) => {
                    assert_eq!(error.file, name, "{error}");
                    refused += 1;
                }
                Err(error) => panic!("{name} at {position}: {error}"),
            }
        }
    }
    assert!(cut <= last / 3 + 1, "only the last group may be taken for one that was in flight: {cut}");
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn a_segment_that_is_gone_is_named() {
    let (disk, _) = filled();
    use ringside_segments::Disk as _;
    disk.remove("00000000000000000001.segment").expect("removes");
    let Err(LogError::Damaged(error)) = read_all(&disk) else { panic!("refused") };
    assert_eq!(error.to_string(), "00000000000000000001.segment of the log: it is missing");
}

#[test]
fn an_index_that_is_gone_is_made_anew() {
    use ringside_segments::Disk as _;
    let (disk, _) = filled();
    let expected = read_all(&disk).expect("reads");
    for name in disk.names().into_iter().filter(|name| name.ends_with(".index")) {
        disk.remove(&name).expect("removes");
    }
    assert_eq!(read_all(&disk).expect("reads"), expected);
}

#[test]
fn a_failed_sync_is_final() {
    let disk = VirtualDisk::default();
    let mut writer = open(&disk);
    writer.stage(stream(0), NOW, b"answered");
    writer.sync(NOW).expect("writes");
    disk.fail_syncs(1);
    writer.stage(stream(0), NOW, b"unknown");
    assert!(matches!(writer.sync(NOW), Err(LogError::Failed(_))));
    writer.stage(stream(0), NOW, b"never");
    assert!(matches!(writer.sync(NOW), Err(LogError::Failed(_))), "though the disk syncs again");
    assert_eq!(all(&writer.reader(), stream(0), writer.end(stream(0)).next), [&b"answered"[..]]);
    drop(writer);
    let writer = open(&disk);
    let found = all(&writer.reader(), stream(0), writer.end(stream(0)).next);
    assert_eq!(found, [&b"answered"[..], b"unknown"], "what the disk has after all counts");
}

#[test]
fn a_full_disk_refuses_and_goes_on() {
    let disk = VirtualDisk::default();
    let mut writer = open(&disk);
    let write = |writer: &mut Writer<VirtualDisk>| {
        writer.stage(stream(0), NOW, &[1; 500]);
        writer.sync(NOW)
    };
    disk.set_full(true);
    let mut answered = 0;
    while write(&mut writer).is_ok() {
        answered += 1;
        assert!(answered < 100, "it is full");
    }
    assert!(matches!(write(&mut writer), Err(LogError::Refused(_))));
    disk.set_full(false);
    write(&mut writer).expect("there is room again");
    assert_eq!(all(&writer.reader(), stream(0), writer.end(stream(0)).next).len(), answered + 1);
    drop(writer);
    let writer = open(&disk);
    assert_eq!(all(&writer.reader(), stream(0), writer.end(stream(0)).next).len(), answered + 1);
}

#[test]
fn a_segment_that_grows_old_is_followed_by_another() {
    let disk = VirtualDisk::default();
    let mut writer = open(&disk);
    let later = UnixMillis(NOW.0 + config().segment_age_ms);
    for now in [NOW, later, later] {
        writer.stage(stream(0), now, b"record");
        writer.sync(now).expect("writes");
    }
    let removed = writer.trim(later, |_, end| end.time < later).expect("trims");
    assert_eq!((removed, writer.reader().start(stream(0)).0), (1, 1));
    assert_eq!(writer.reader().at_time(stream(0), later).expect("reads").map(|offset| offset.0), Some(1));
    let below = writer.reader().read(stream(0), Offset(0), writer.end(stream(0)).next, (9, 9));
    assert!(matches!(below, Err(LogError::BelowStart { start: 1, .. })), "{below:?}");
    assert_eq!(writer.trim(later, |_, _| true).expect("trims"), 1, "the one that is written to, too");
    assert_eq!(writer.trim(later, |_, _| true).expect("trims"), 0, "there is nothing left");
    writer.stage(stream(0), NOW, b"next");
    writer.sync(later).expect("writes");
    drop(writer);
    let (disk, end) = (disk.copy(), 4);
    let writer = open(&disk);
    assert_eq!(
        writer.end(stream(0)),
        End { next: Offset(end), time: later },
        "neither offset nor time steps back"
    );
    assert_eq!(all(&writer.reader(), stream(0), Offset(end)), [&b"next"[..]]);
}

//! The outbox: what is appended is there, whatever fails; what is not as it was written is told.

mod damage;
mod faults;
mod model;
mod real;
mod world;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::persist::batch::Batch;
use crate::persist::disk::Disk;
use crate::persist::disk::faulty::FaultyDisk;
use crate::persist::record::{Record, StoredValue};
use crate::persist::store::Id;

const NAME: Name = Name { data_set: Id([1; 16]), epoch: 7, owner: Id([3; 16]) };

/// The bytes of a frame with one of these tests' batches.
const FRAME: u64 = 50;

/// A segment holds three of those batches, and four segments are merged.
const LIMITS: Limits =
    Limits { segment_bytes: 200, window_bytes: 600, window_micros: 10_000_000, compact_bytes: 700 };

/// A batch that puts its number under a key.
fn batch(seq: u64, key: &str) -> Batch {
    let content = Content::Integer(seq.cast_signed());
    let value = StoredValue { content, expiry: Expiry::NEVER };
    let record = Record { database: 0, key: key.as_bytes().into(), value: Some(value) };
    Batch { epoch: NAME.epoch, first_seq: seq, seq, records: vec![record].into(), ..Batch::default() }
}

fn first_record(batch: &Batch) -> Record {
    batch.records.iter().next().unwrap().to_record()
}

/// A directory on a disk in memory.
fn directory(disk: &FaultyDisk) -> DataDirectory {
    DataDirectory::on(Arc::new(disk.clone()), Path::new("/")).unwrap()
}

fn created(disk: &FaultyDisk) -> Outbox {
    Outbox::create(&directory(disk), NAME, LIMITS).unwrap()
}

/// What a process has left on it.
fn ended(disk: &FaultyDisk) -> EndedOutbox {
    EndedOutbox::open(&directory(disk), NAME).unwrap()
}

fn fill(outbox: &mut Outbox, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        outbox.append(seq, &batch(seq, "key")).unwrap();
    }
}

/// What is read behind `seq`: the first number and the last of each batch.
fn ranges(outbox: &Outbox, seq: u64) -> Vec<(u64, u64)> {
    ranges_of(outbox.read_after(seq))
}

fn ranges_of(batches: Batches) -> Vec<(u64, u64)> {
    batches.map(|stored| stored.unwrap()).map(|stored| (stored.first_seq, stored.batch.seq)).collect()
}

/// What a process has left on the disk, behind `seq`, nothing of it torn.
fn left(disk: &FaultyDisk, seq: u64) -> Vec<(u64, u64)> {
    let ended = ended(disk);
    assert_eq!(ended.torn(), []);
    ranges_of(ended.read_after(seq))
}

fn singles(seqs: std::ops::RangeInclusive<u64>) -> Vec<(u64, u64)> {
    seqs.map(|seq| (seq, seq)).collect()
}

fn seconds(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn compact(outbox: &mut Outbox) -> bool {
    let compaction = outbox.compaction().unwrap().expect("it is worth it");
    outbox.replace(compaction.run().unwrap()).unwrap()
}

#[test]
fn batches_come_back_in_their_order() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    assert_eq!((outbox.name(), outbox.path()), (NAME, Path::new("/").join(NAME.to_string()).as_path()));
    assert_eq!((outbox.first_kept_seq(), outbox.last_seq(), outbox.bytes()), (None, None, 0));
    let empty = ended(&disk);
    assert_eq!((empty.first_kept_seq(), empty.last_seq(), left(&disk, 0)), (None, None, vec![]));
    assert_eq!(ranges(&outbox, 0), []);
    fill(&mut outbox, 4..=20);
    assert_eq!((outbox.first_kept_seq(), outbox.last_seq(), outbox.segments()), (Some(4), Some(20), 6));
    assert_eq!(ranges(&outbox, 3), singles(4..=20));
    assert_eq!(ranges(&outbox, 13), singles(14..=20));
    assert_eq!(ranges(&outbox, 20), []);
    assert_eq!(ranges(&outbox, u64::MAX), []);
    let third = outbox.read_after(5).next().unwrap().unwrap();
    assert_eq!(third, Stored { first_seq: 6, batch: batch(6, "key") });
    drop(outbox);
    disk.kill();
    let ended = ended(&disk);
    assert_eq!((ended.first_kept_seq(), ended.last_seq()), (Some(4), Some(20)));
    assert_eq!(left(&disk, 3), singles(4..=20));
    assert_eq!(left(&disk, 13), singles(14..=20));
}

#[test]
fn a_reader_goes_on_when_more_is_written() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=2);
    let mut batches = outbox.read_after(0);
    let mut next = || batches.next().map(|stored| stored.unwrap().batch.seq);
    assert_eq!([next(), next(), next()], [Some(1), Some(2), None]);
    fill(&mut outbox, 3..=5);
    assert_eq!([next(), next(), next(), next()], [Some(3), Some(4), Some(5), None]);
}

#[test]
fn only_the_next_batch_is_taken() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    let mut check = |first_seq: u64, batch: &Batch, expected: &str| {
        let error = outbox.append(first_seq, batch).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(
        0,
        &batch(1, "a"),
        "batches 0 to 1 of epoch 7 do not go on from the outbox of epoch 7, which is empty",
    );
    check(3, &batch(2, "a"), "batches 3 to 2 of epoch 7 do not");
    check(1, &Batch { epoch: 8, ..batch(1, "a") }, "batches 1 to 1 of epoch 8 do not go on from");
    outbox.append(3, &batch(5, "a")).unwrap();
    let mut check = |first_seq: u64, seq: u64| {
        let error = outbox.append(first_seq, &batch(seq, "a")).unwrap_err().to_string();
        assert!(error.ends_with("where batch 6 is next"), "{error}");
    };
    check(5, 5);
    check(7, 7);
    outbox.append(6, &batch(9, "a")).unwrap();
    assert_eq!(ranges(&outbox, 2), [(3, 5), (6, 9)]);
    assert_eq!(ranges(&outbox, 3), [(3, 5), (6, 9)], "the first one covers the next number");
    assert_eq!(ranges(&outbox, 6), [(6, 9)]);
}

#[test]
fn what_is_applied_stays_for_the_window() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=20);
    assert!(outbox.unapplied_bytes() > 900);
    outbox.applied(7, seconds(0)).unwrap();
    assert_eq!(outbox.first_kept_seq(), Some(1));
    // A replica without the last commits was promoted.
    assert_eq!(ranges(&outbox, 2), singles(3..=20));
    outbox.applied(20, seconds(5)).unwrap();
    let kept = outbox.first_kept_seq().unwrap();
    assert!(kept > 1 && (600..=600 + 2 * 223).contains(&outbox.bytes()), "{kept}, {}", outbox.bytes());
    assert_eq!(outbox.unapplied_bytes(), 0);
    let error = outbox.read_after(0).next().unwrap().unwrap_err().to_string();
    assert_eq!(
        error,
        format!("batch 1 was applied and is no longer kept; the first one that is has number {kept}")
    );
    outbox.applied(20, seconds(16)).unwrap();
    assert_eq!((outbox.segments(), outbox.last_seq()), (1, Some(20)));
    assert_eq!(disk.list(outbox.path()).unwrap().len(), 1, "the files are gone");
}

#[test]
fn what_the_truth_has_lost_is_kept_until_it_has_it_again() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=8);
    outbox.applied(8, seconds(0)).unwrap();
    outbox.set_back(1);
    assert!(outbox.unapplied_bytes() > 0);
    outbox.applied(2, seconds(100)).unwrap();
    assert_eq!(ranges(&outbox, 2), singles(3..=8));
    // Whoever tells what was applied before knows nothing of the loss.
    outbox.replayed(3);
    for now in [200, 300] {
        outbox.applied(8, seconds(now)).unwrap();
        assert_eq!(ranges(&outbox, 3), singles(4..=8));
    }
    outbox.end_replay();
    outbox.applied(8, seconds(400)).unwrap();
    outbox.applied(8, seconds(500)).unwrap();
    assert_eq!(outbox.segments(), 1);
}

#[test]
fn what_waits_is_merged() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=9);
    assert!(outbox.compaction().unwrap().is_none(), "too little waits");
    for seq in 10..=20 {
        outbox.append(seq, &batch(seq, if seq % 2 == 0 { "even" } else { "odd" })).unwrap();
    }
    let before = outbox.bytes();
    assert!(compact(&mut outbox));
    let read = ranges(&outbox, 0);
    let (first_seq, merged_seq) = read[0];
    assert!(first_seq == 1 && merged_seq >= 16 && outbox.bytes() < before / 2, "{read:?}");
    assert_eq!(read[1..], singles(merged_seq + 1..=20));
    let merged = outbox.read_after(7).next().unwrap().unwrap().batch;
    let values = [("even", merged_seq & !1), ("key", 9), ("odd", (merged_seq - 1) | 1)];
    let records = values.map(|(key, seq)| first_record(&batch(seq, key)));
    assert_eq!(merged, Batch { first_seq: 1, records: Vec::from(records).into(), ..batch(merged_seq, "") });
    assert_eq!(disk.list(outbox.path()).unwrap().len(), outbox.segments());
    // As little as is left of it is not merged again before twice as much waits.
    assert!(outbox.compaction().unwrap().is_none());
    assert_eq!(left(&disk, 0), read);
}

#[test]
fn a_merged_segment_is_worth_merging_again_when_it_has_doubled() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    let mut merged = Vec::new();
    for seq in 1..=200 {
        outbox.append(seq, &batch(seq, &seq.to_string())).unwrap();
        if let Some(compaction) = outbox.compaction().unwrap() {
            assert!(outbox.replace(compaction.run().unwrap()).unwrap());
            let segments = outbox.catalog.lock().segments().clone();
            merged.push(segments[0].end);
        }
    }
    assert!(merged.len() > 2 && merged.is_sorted(), "{merged:?}");
    assert!(merged.windows(2).all(|pair| pair[1] < pair[0] * 3), "{merged:?}");
    assert_eq!(ranges(&outbox, 0).first().unwrap().0, 1);
}

#[test]
fn a_compaction_steps_back_for_what_was_applied_meanwhile() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=20);
    let compaction = outbox.compaction().unwrap().unwrap();
    assert!(outbox.compaction().unwrap().is_none(), "one at a time");
    let done = compaction.run().unwrap();
    fill(&mut outbox, 21..=22);
    outbox.applied(1, seconds(0)).unwrap();
    assert!(!outbox.replace(done).unwrap());
    assert_eq!(ranges(&outbox, 0), singles(1..=22));
    assert_eq!(disk.list(outbox.path()).unwrap().len(), outbox.segments(), "its file is gone");
    // The next one leaves out what is applied in part.
    fill(&mut outbox, 23..=60);
    assert!(compact(&mut outbox));
    let read = ranges(&outbox, 0);
    assert_eq!(read[..4], [(1, 1), (2, 2), (3, 3), (4, read[3].1)]);
    assert!(read[3].1 > 50);
}

#[test]
fn a_compaction_goes_on_although_its_segments_are_removed() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=20);
    let compaction = outbox.compaction().unwrap().unwrap();
    outbox.applied(20, seconds(0)).unwrap();
    outbox.applied(20, seconds(100)).unwrap();
    assert_eq!(outbox.segments(), 1);
    let done = compaction.run().unwrap();
    assert!(!outbox.replace(done).unwrap());
    assert_eq!(disk.list(outbox.path()).unwrap().len(), 1);
}

#[test]
fn a_reader_in_the_midst_of_what_is_merged_gets_it_whole() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=20);
    let mut batches = outbox.read_after(0);
    let mut next =
        || batches.next().map(|stored| stored.map(|stored| (stored.first_seq, stored.batch.seq)).unwrap());
    assert_eq!([next(), next()], [Some((1, 1)), Some((2, 2))]);
    assert!(compact(&mut outbox));
    let merged = ranges(&outbox, 0)[0];
    assert_eq!(next(), Some(merged));
    assert_eq!(next(), Some((merged.1 + 1, merged.1 + 1)));
}

#[test]
fn outboxes_are_found_set_aside_and_removed() {
    let disk = FaultyDisk::new();
    let directory = directory(&disk);
    let older = Name { epoch: 2, ..NAME };
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=2);
    drop(outbox);
    drop(Outbox::create(&directory, older, LIMITS).unwrap());
    disk.create_directory(Path::new("/outbox-of-somebody")).unwrap();
    assert_eq!(Outbox::find(&directory).unwrap(), [older, NAME]);
    let error = Outbox::create(&directory, NAME, LIMITS).err().unwrap().to_string();
    assert!(error.contains("is there and not empty, although its epoch has just begun"), "{error}");
    drop(Outbox::create(&directory, older, LIMITS).unwrap());
    let mut paths = Vec::new();
    for _ in 0..3 {
        paths.push(Outbox::set_aside(&directory, NAME).unwrap());
        drop(created(&disk));
    }
    let text = NAME.to_string();
    let expected = ["", "-2", "-3"].map(|end| Path::new("/").join(format!("set-aside-{text}{end}")));
    assert_eq!(paths, expected);
    assert_eq!(disk.list(&paths[0]).unwrap().len(), 1, "with its batches");
    Outbox::remove(&directory, older).unwrap();
    assert_eq!(Outbox::find(&directory).unwrap(), [NAME]);
    assert!(EndedOutbox::open(&directory, older).err().unwrap().to_string().contains("cannot be listed"));
}

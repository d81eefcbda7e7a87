//! Single faults: what is told, what remains, and what becomes of the file.

use super::*;
use crate::persist::disk::faulty::{Chance, Fault};

fn files(disk: &FaultyDisk) -> Vec<String> {
    let mut files = disk.list(&Path::new("/").join(NAME.to_string())).unwrap();
    files.sort();
    files
}

#[test]
fn a_full_disk_is_told_and_the_batch_fits_later() {
    for room in 0..49 {
        let disk = FaultyDisk::new();
        let mut outbox = created(&disk);
        fill(&mut outbox, 1..=2);
        disk.limit_room(room);
        let error = outbox.append(3, &batch(3, "key")).unwrap_err().to_string();
        assert!(error.ends_with("00000000000000000001-000000.log cannot be written: scripted"), "{error}");
        assert_eq!(ranges(&outbox, 0), singles(1..=2));
        disk.heal();
        fill(&mut outbox, 3..=3);
        assert_eq!(ranges(&outbox, 0), singles(1..=3));
        assert_eq!(files(&disk).len(), 1, "the same file is gone on with");
        disk.crash(&mut Chance(1));
        assert_eq!(left(&disk, 0), singles(1..=3));
    }
}

#[test]
fn a_short_write_is_gone_on_with() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    for ahead in 0..3 {
        disk.fail(ahead, Fault::Short(10));
    }
    fill(&mut outbox, 1..=3);
    disk.fail(0, Fault::Short(10));
    fill(&mut outbox, 4..=4);
    disk.crash(&mut Chance(1));
    assert_eq!(left(&disk, 0), singles(1..=4));
}

#[test]
fn a_part_that_cannot_be_taken_away_ends_the_file() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=1);
    disk.limit_room(30);
    disk.fail(2, Fault::Before);
    outbox.append(2, &batch(2, "key")).unwrap_err();
    disk.heal();
    fill(&mut outbox, 2..=3);
    assert_eq!(files(&disk), ["00000000000000000001-000000.log", "00000000000000000002-000001.log"]);
    assert_eq!(left(&disk, 0), singles(1..=3), "the part was written again whole");
}

/// The file of a failed sync has the batch, as it is read, and so has the next one.
#[test]
fn a_failed_sync_ends_the_file_and_the_batch_is_there_once() {
    for fault in [Fault::Before, Fault::After] {
        let disk = FaultyDisk::new();
        let mut outbox = created(&disk);
        fill(&mut outbox, 1..=2);
        disk.fail(1, fault);
        let error = outbox.append(3, &batch(3, "lost")).unwrap_err().to_string();
        assert!(error.ends_with("000000.log cannot be synced to the disk: scripted"), "{error}");
        assert_eq!(ranges(&outbox, 0), singles(1..=2));
        outbox.append(3, &batch(4, "key")).unwrap();
        let expected = [(1, 1), (2, 2), (3, 4)];
        assert_eq!(ranges(&outbox, 0), expected);
        let first = Path::new("/").join(NAME.to_string()).join("00000000000000000001-000000.log");
        assert_eq!(disk.change(&first, |bytes| bytes.len()), 76 + 3 * 50 + 1);
        assert_eq!(left(&disk, 0), expected);
        for seed in 0..20 {
            disk.crash(&mut Chance(seed));
            assert_eq!(left(&disk, 0), expected);
        }
    }
}

#[test]
fn a_segment_that_cannot_be_begun_leaves_nothing() {
    for ahead in 0..4 {
        for fault in [Fault::Before, Fault::After] {
            let disk = FaultyDisk::new();
            let mut outbox = created(&disk);
            fill(&mut outbox, 1..=3);
            assert_eq!(outbox.segments(), 1);
            disk.fail(ahead, fault);
            outbox.append(4, &batch(4, "key")).unwrap_err();
            fill(&mut outbox, 4..=4);
            assert_eq!(ranges(&outbox, 0), singles(1..=4));
            assert_eq!(files(&disk).len(), 2, "step {ahead}, {fault:?}");
        }
    }
}

#[test]
fn files_that_cannot_be_removed_are_removed_later_and_never_are_many() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=3);
    for _ in 0..100 {
        // Creating and writing succeed, the sync fails, and so does removing the file.
        disk.fail(2, Fault::Before);
        disk.fail(3, Fault::Before);
        let failed = outbox.append(4, &batch(4, "key"));
        disk.heal();
        if failed.is_ok() {
            break;
        }
        disk.fail(0, Fault::Before);
        outbox.applied(3, seconds(0)).unwrap_err();
    }
    assert!(files(&disk).len() <= 1 + 64 + 1, "{}", files(&disk).len());
    disk.heal();
    fill(&mut outbox, 4..=4);
    outbox.applied(4, seconds(0)).unwrap();
    assert_eq!(files(&disk).len(), 2);
}

#[test]
fn what_cannot_be_read_is_told_and_is_no_damage() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=20);
    let compaction = outbox.compaction().unwrap().unwrap();
    let mut batches = outbox.read_after(0);
    batches.next().unwrap().unwrap();
    disk.stop();
    let read = batches.next().unwrap().unwrap_err();
    assert!(read.to_string().ends_with("000000.log cannot be read: scripted"), "{read}");
    assert!(batches.next().is_none(), "it has ended");
    let errors = [outbox.read_after(0).next().unwrap().unwrap_err(), compaction.run().err().unwrap()];
    assert!(errors.iter().all(|error| matches!(error, OutboxError::Disk(_))), "{errors:?}");
    disk.kill();
    assert_eq!(ranges(&outbox, 0), singles(1..=20));
}

#[test]
fn an_outbox_that_could_not_be_made_is_made_later() {
    for ahead in 0..2 {
        for fault in [Fault::Before, Fault::After] {
            let disk = FaultyDisk::new();
            let directory = directory(&disk);
            disk.fail(ahead, fault);
            assert!(matches!(Outbox::create(&directory, NAME, LIMITS), Err(OutboxError::Disk(_))));
            fill(&mut Outbox::create(&directory, NAME, LIMITS).unwrap(), 1..=1);
            disk.crash(&mut Chance(3));
            assert_eq!(left(&disk, 0), singles(1..=1));
        }
    }
}

fn left_as(directory: &DataDirectory, name: Name) -> Vec<(u64, u64)> {
    ranges_of(EndedOutbox::open(directory, name).unwrap().read_after(0))
}

#[test]
fn a_crash_while_it_is_removed_leaves_it_whole_or_not_at_all() {
    for seed in 0..60 {
        let disk = FaultyDisk::new();
        let directory = directory(&disk);
        let mut outbox = created(&disk);
        fill(&mut outbox, 1..=20);
        drop(outbox);
        disk.crash_in(seed % 12, seed % 2 == 0);
        let _ = Outbox::remove(&directory, NAME);
        disk.crash(&mut Chance(seed));
        for name in Outbox::find(&directory).unwrap() {
            assert_eq!(left_as(&directory, name), singles(1..=20));
        }
        let left = disk.list(Path::new("/")).unwrap();
        assert!(!left.iter().any(|name| name.starts_with("removing-")), "{left:?}");
    }
}

/// A process is killed while it removes an outbox, and the system crashes while the one after it removes the rest.
#[test]
fn a_crash_after_a_kill_while_it_is_removed_leaves_it_whole_or_not_at_all() {
    for (kill, crash) in (0..12).flat_map(|kill| (0..12).map(move |crash| (kill, crash))) {
        for seed in 0..20 {
            let disk = FaultyDisk::new();
            let directory = directory(&disk);
            fill(&mut created(&disk), 1..=20);
            disk.crash_in(kill, seed % 2 == 0);
            let _ = Outbox::remove(&directory, NAME);
            disk.kill();
            disk.crash_in(crash, seed % 2 == 0);
            let _ = Outbox::find(&directory);
            disk.crash(&mut Chance(seed));
            for name in Outbox::find(&directory).unwrap() {
                assert_eq!(left_as(&directory, name), singles(1..=20));
            }
        }
    }
}

/// Where the disk took nothing for a while and the truth everything, the outbox goes on behind the gap.
#[test]
fn a_cleared_outbox_takes_any_next_batch() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=7);
    assert!(outbox.append(9, &batch(9, "key")).is_err(), "there is a gap");
    outbox.clear().unwrap();
    assert_eq!((outbox.first_kept_seq(), outbox.bytes()), (None, 0));
    fill(&mut outbox, 9..=12);
    drop(outbox);
    disk.kill();
    assert_eq!(left(&disk, 8), singles(9..=12));
}

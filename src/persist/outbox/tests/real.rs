//! On the machine's disk, and on several threads.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn files_are_for_nobody_else_and_come_back() {
    let parent = tempfile::tempdir().unwrap();
    let directory = DataDirectory::open(parent.path()).unwrap();
    let name = Name { owner: directory.owner(), ..NAME };
    let mut outbox = Outbox::create(&directory, name, LIMITS).unwrap();
    fill(&mut outbox, 1..=7);
    let file = outbox.path().join("00000000000000000001-000000.log");
    assert_eq!([mode(outbox.path()), mode(&file)], [0o700, 0o600]);
    drop(directory);
    assert!(DataDirectory::open(parent.path()).is_err(), "the outbox keeps the directory");
    drop(outbox);

    let directory = DataDirectory::open(parent.path()).unwrap();
    let last = parent.path().join(name.to_string()).join("00000000000000000007-000002.log");
    let bytes = std::fs::read(&last).unwrap();
    std::fs::write(&last, [&bytes[..], b"torn"].concat()).unwrap();
    let ended = EndedOutbox::open(&directory, name).unwrap();
    let torn = TornTail { file: last.clone(), offset: 76 + FRAME, bytes: 4 };
    assert_eq!((ended.torn(), ranges_of(ended.read_after(0))), (&[torn][..], singles(1..=7)));
    drop(ended);
    Outbox::remove(&directory, name).unwrap();

    let name = Name { epoch: name.epoch + 1, ..name };
    let mut outbox = Outbox::create(&directory, name, LIMITS).unwrap();
    let next = |seq| Batch { epoch: name.epoch, ..batch(seq, "key") };
    for seq in 8..=27 {
        outbox.append(seq, &next(seq)).unwrap();
    }
    assert!(compact(&mut outbox));
    outbox.applied(27, seconds(0)).unwrap();
    outbox.applied(27, seconds(100)).unwrap();
    assert_eq!(outbox.path().read_dir().unwrap().count(), 1);
    drop(outbox);
    assert_eq!(Outbox::find(&directory).unwrap(), [name]);
    let aside = Outbox::set_aside(&directory, name).unwrap();
    assert!(aside.is_dir());
    drop(Outbox::create(&directory, name, LIMITS).unwrap());
    Outbox::remove(&directory, name).unwrap();
    assert_eq!(Outbox::find(&directory).unwrap(), []);
}

/// What is written into a file that somebody removes is gone with it.
#[test]
fn nothing_counts_as_kept_that_is_in_a_removed_file() {
    let parent = tempfile::tempdir().unwrap();
    let directory = DataDirectory::open(parent.path()).unwrap();
    let name = Name { owner: directory.owner(), ..NAME };
    let mut outbox = Outbox::create(&directory, name, LIMITS).unwrap();
    fill(&mut outbox, 1..=2);
    std::fs::remove_file(outbox.path().join("00000000000000000001-000000.log")).unwrap();
    let refused = outbox.append(3, &batch(3, "key")).unwrap_err().to_string();
    assert!(refused.contains("was removed or replaced while this server writes to it"), "{refused}");
    outbox.append(3, &batch(3, "key")).unwrap();
    assert_eq!(outbox.last_seq(), Some(3));
    std::fs::remove_dir_all(parent.path()).unwrap();
    assert!(outbox.append(4, &batch(4, "key")).is_err(), "in the removed file");
    assert!(outbox.append(4, &batch(4, "key")).is_err(), "in a directory that is gone");
    assert_eq!(outbox.last_seq(), Some(3));
}

#[test]
fn it_may_be_given_to_another_thread() {
    fn check<T: Send + 'static>() {}
    check::<(Outbox, EndedOutbox, Batches, Compaction, Compacted, OutboxError)>();
}

/// One thread reads and one merges, while batches are appended.
#[test]
fn others_read_and_merge_meanwhile() {
    const LAST: u64 = 2_000;
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=1);
    let mut batches = outbox.read_after(0);
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let (mut seq, mut merged) = (0, 0);
            while seq < LAST {
                let Some(stored) = batches.next() else {
                    std::thread::yield_now();
                    continue;
                };
                let Stored { first_seq, batch } = stored.unwrap();
                assert!(first_seq <= seq + 1 && batch.seq > seq, "{first_seq} to {} behind {seq}", batch.seq);
                merged += u64::from(first_seq < batch.seq);
                seq = batch.seq;
            }
            merged
        });
        let (give, take) = std::sync::mpsc::sync_channel::<Compaction>(1);
        let (put, fetch) = std::sync::mpsc::sync_channel(1);
        scope.spawn(move || {
            for compaction in take {
                if put.send(compaction.run().unwrap()).is_err() {
                    return;
                }
            }
        });
        let mut replaced = 0;
        for seq in 2..=LAST {
            outbox.append(seq, &batch(seq, &(seq % 10).to_string())).unwrap();
            if let Some(compaction) = outbox.compaction().unwrap() {
                give.send(compaction).unwrap();
            }
            if let Ok(done) = fetch.try_recv() {
                replaced += u64::from(outbox.replace(done).unwrap());
            }
        }
        drop(give);
        // On a busy machine all is appended before the first merge is done.
        for done in fetch {
            replaced += u64::from(outbox.replace(done).unwrap());
        }
        assert!(replaced > 0);
        reader.join().unwrap();
    });
    let mut next = 1;
    for (first_seq, seq) in ranges(&outbox, 0) {
        assert_eq!(first_seq, next);
        next = seq + 1;
    }
    assert_eq!(next, LAST + 1);
}

//! Bytes that are not as they were written: they are told, and no batch is made of them.

use super::*;

fn path_of(file: &str) -> std::path::PathBuf {
    Path::new("/").join(NAME.to_string()).join(file)
}

const FIRST: &str = "00000000000000000001-000000.log";
const SECOND: &str = "00000000000000000004-000001.log";

/// Two segments: the batches 1 to 3, and 4 and 5.
fn sample() -> FaultyDisk {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=5);
    drop(outbox);
    disk
}

fn open_changed(file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<EndedOutbox, OutboxError> {
    let disk = sample();
    disk.change(&path_of(file), change);
    EndedOutbox::open(&directory(&disk), NAME)
}

fn check_damaged(file: &str, change: impl FnOnce(&mut Vec<u8>), at: u64, expected: &str) {
    let error = open_changed(file, change).err().expect(expected);
    let text = error.to_string();
    let OutboxError::Damaged { file: found, offset, .. } = error else { panic!("{text}") };
    assert!(found.ends_with(file) && offset == at, "{text}");
    let remedy = format!("move the directory /{NAME} away: what was not applied in it since batch 1 is lost");
    assert!(text.contains(expected) && text.ends_with(&remedy), "{text}");
}

#[test]
fn damage_is_told_with_its_place_and_its_remedy() {
    let last = 76 + 2 * FRAME;
    check_damaged(
        FIRST,
        |bytes| bytes[80] ^= 1,
        76,
        "there is no batch, although a batch follows at byte 126",
    );
    check_damaged(
        FIRST,
        |bytes| bytes[120] ^= 1,
        76,
        "the checksum of a batch is wrong, although a batch follows",
    );
    check_damaged(
        FIRST,
        |bytes| bytes[8] ^= 1,
        0,
        "it does not begin with the header of a segment; to start",
    );
    // Also where nothing of it is a batch.
    check_damaged(
        FIRST,
        |bytes| bytes.fill(7),
        0,
        "it does not begin with the header of a segment; to start",
    );
    check_damaged(
        FIRST,
        |bytes| bytes[180] ^= 1,
        last,
        "there is no batch, and batch 4 follows where batch 3 is next",
    );
    check_damaged(FIRST, |bytes| bytes.truncate(220), last, "a batch ends early, and batch 4 follows");
    check_damaged(
        SECOND,
        |bytes| bytes[80] ^= 1,
        76,
        "there is no batch, although a batch follows at byte 126",
    );
    let whole = |bytes: &mut Vec<u8>| bytes.truncate(126);
    check_damaged(
        SECOND,
        |bytes| bytes.drain(76..126).for_each(drop),
        76,
        "batches 5 to 5 are where batch 4 is next",
    );
    let error = open_changed(FIRST, whole).err().unwrap().to_string();
    assert!(
        error.contains("it does not go on where the file before it ends, and batch 4 follows where"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_missing_or_of_another_outbox_is_told() {
    let disk = FaultyDisk::new();
    let mut outbox = created(&disk);
    fill(&mut outbox, 1..=7);
    disk.remove_file(&path_of(SECOND)).unwrap();
    let error = EndedOutbox::open(&directory(&disk), NAME).err().unwrap().to_string();
    assert!(error.contains("and batch 7 follows where batch 4 is next"), "{error}");

    let disk = sample();
    let other = Name { epoch: 8, ..NAME };
    disk.rename(&path_of(""), &Path::new("/").join(other.to_string())).unwrap();
    let error = EndedOutbox::open(&directory(&disk), other).err().unwrap().to_string();
    assert!(error.contains("at byte 0: it begins with the header of another file"), "{error}");
}

#[test]
fn a_torn_end_is_cut_and_told() {
    for length in 126..174 {
        let ended = open_changed(SECOND, |bytes| bytes.truncate(length)).unwrap();
        let bytes = u64::try_from(length).unwrap() - 126;
        let torn = TornTail { file: path_of(SECOND), offset: 126, bytes };
        let expected = if bytes == 0 { Vec::new() } else { vec![torn] };
        assert_eq!(ended.torn(), expected);
        assert_eq!(ranges_of(ended.read_after(0)), singles(1..=4));
    }
}

#[test]
fn a_file_that_was_hardly_begun_is_left_out_and_told() {
    for length in 0..126 {
        let ended = open_changed(SECOND, |bytes| bytes.truncate(length)).unwrap();
        let torn: Vec<_> = ended.torn().iter().map(|torn| (torn.offset, torn.bytes)).collect();
        let bytes = u64::try_from(length).unwrap();
        let expected = if length < 76 { (0, bytes) } else { (76, bytes - 76) };
        assert_eq!(torn, if expected.1 == 0 { Vec::new() } else { vec![expected] });
        assert_eq!(ranges_of(ended.read_after(0)), singles(1..=3));
    }
}

/// Who looks at what a process has left may do so again, however often; nothing of it is gone or is another.
#[test]
fn what_is_left_is_not_changed() {
    let disk = sample();
    disk.change(&path_of(FIRST), |bytes| bytes.extend(*b"torn"));
    disk.change(&path_of(SECOND), |bytes| bytes.extend(*b"torn"));
    drop(disk.create(&path_of("00000000000000000001-000002.tmp")).unwrap());
    let steps = disk.steps();
    for _ in 0..2 {
        let ended = ended(&disk);
        assert_eq!((ranges_of(ended.read_after(0)), ended.torn().len()), (singles(1..=5), 1));
    }
    assert_eq!(disk.steps(), steps);
}

#[test]
fn a_newer_version_is_told() {
    let newer = |bytes: &mut Vec<u8>| {
        bytes[11] = 2;
        let sum = crc32c::crc32c(&bytes[..72]).to_be_bytes();
        bytes[72..76].copy_from_slice(&sum);
    };
    let error = open_changed(SECOND, newer).err().unwrap().to_string();
    let expected = "has version 2, written by a newer quotad; this one reads versions up to 1: start the quotad that wrote it";
    assert!(error.contains(expected), "{error}");
}

/// A value may hold the bytes of a frame: behind a torn end it is none.
#[test]
fn what_a_client_put_into_a_value_is_no_batch() {
    let other = FaultyDisk::new();
    let mut outbox = created(&other);
    fill(&mut outbox, 1..=1);
    let frame = other.change(&path_of(FIRST), |bytes| bytes.split_off(76));
    let disk = FaultyDisk::new();
    let mut outbox = Outbox::create(&directory(&disk), NAME, Limits { segment_bytes: 1, ..LIMITS }).unwrap();
    fill(&mut outbox, 1..=1);
    let content = Content::Text(crate::engine::value::Text::new(&frame));
    let mut forged = batch(2, "forged");
    let value = Some(StoredValue { content, expiry: Expiry::NEVER });
    forged.records = vec![Record { value, ..first_record(&forged) }].into();
    outbox.append(2, &forged).unwrap();
    disk.change(&path_of("00000000000000000002-000001.log"), |bytes| bytes.truncate(bytes.len() - 1));
    let ended = ended(&disk);
    assert_eq!((ranges_of(ended.read_after(0)), ended.torn().len()), (singles(1..=1), 1));
}

/// Every bit of a small outbox, one after the other: never a wrong batch, never a panic; and only the last batch may count as torn.
#[test]
fn no_bit_that_flips_makes_another_batch() {
    for file in [FIRST, SECOND] {
        let length = sample().change(&path_of(file), |bytes| bytes.len());
        for bit in 0..length * 8 {
            match open_changed(file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)) {
                Ok(ended) => {
                    let torn = TornTail { file: path_of(SECOND), offset: 126, bytes: FRAME };
                    assert_eq!(ended.torn(), [torn], "{file}, bit {bit}");
                    let batches: Vec<_> = ended.read_after(0).map(|stored| stored.unwrap().batch).collect();
                    assert_eq!(batches, (1..=4).map(|seq| batch(seq, "key")).collect::<Vec<_>>());
                }
                Err(OutboxError::Damaged { .. }) => {}
                Err(error) => panic!("{file}, bit {bit}: {error}"),
            }
        }
    }
}

#[test]
fn a_batch_that_rots_while_it_waits_is_told_when_it_is_read() {
    for at in [80, 120] {
        let disk = FaultyDisk::new();
        let mut outbox = created(&disk);
        fill(&mut outbox, 1..=3);
        disk.change(&path_of(FIRST), |bytes| bytes[at] ^= 1);
        let mut batches = outbox.read_after(0);
        let error = batches.next().unwrap().unwrap_err();
        assert!(matches!(error, OutboxError::Damaged { offset: 76, since: 1, .. }), "{error}");
        assert!(batches.next().is_none());
    }
}

//! The disk for tests: what it keeps, what it may lose, and that it fails as it is told.

use std::collections::BTreeSet;

use super::*;

const PATH: &str = "/file";

fn path() -> &'static Path {
    Path::new(PATH)
}

fn bytes(disk: &FaultyDisk) -> Option<Vec<u8>> {
    let file = disk.open(path()).ok()?;
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    assert_eq!(super::super::read_full(&*file, &mut bytes, 0).unwrap(), bytes.len());
    Some(bytes)
}

/// A file with "safe" on the disk; then `change`.
fn changed(change: impl FnOnce(&FaultyDisk, &mut Box<dyn DiskFile>)) -> FaultyDisk {
    let disk = FaultyDisk::new();
    let mut file = disk.create(path()).unwrap();
    file.write_all(b"safe").unwrap();
    file.sync().unwrap();
    disk.sync_directory(Path::new("/")).unwrap();
    change(&disk, &mut file);
    disk
}

/// Everything that crashes leave behind `change`.
fn left(change: impl Fn(&FaultyDisk, &mut Box<dyn DiskFile>)) -> BTreeSet<Option<Vec<u8>>> {
    let crashed = |seed| {
        let disk = changed(&change);
        disk.crash(&mut Chance(seed));
        bytes(&disk)
    };
    (0..400).map(crashed).collect()
}

fn all(texts: &[&[u8]]) -> BTreeSet<Option<Vec<u8>>> {
    texts.iter().map(|text| Some(text.to_vec())).collect()
}

#[test]
fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
    let found = left(|_, file| file.write_all(b"xy").unwrap());
    assert_eq!(found, all(&[b"safe", b"safex", b"safexy", b"safe\0", b"safe\0y", b"safex\0", b"safe\0\0"]));
    let found = left(|_, file| {
        file.write_all(b"x").unwrap();
        file.sync().unwrap();
    });
    assert_eq!(found, all(&[b"safex"]));
    let found = left(|_, file| {
        file.write_all(b"x").unwrap();
        file.truncate(4).unwrap();
    });
    assert!(found.is_superset(&all(&[b"safe", b"safex"])), "{found:?}");
}

#[test]
fn a_failed_sync_is_final() {
    let found = left(|disk, file| {
        file.write_all(b"x").unwrap();
        disk.fail(0, Fault::Before);
        file.sync().unwrap_err();
        assert_eq!(bytes(disk).unwrap(), b"safex", "it looks as if it were there");
        file.sync().unwrap();
    });
    assert_eq!(found, all(&[b"safe", b"safex", b"safe\0"]));
}

#[test]
fn names_are_lost_unless_their_directory_was_synced() {
    let other = Path::new("/other");
    let removed = left(|disk, _| disk.remove_file(path()).unwrap());
    assert_eq!(removed, BTreeSet::from([None, Some(b"safe".to_vec())]));
    let synced = left(|disk, _| {
        disk.rename(path(), other).unwrap();
        disk.sync_directory(Path::new("/")).unwrap();
    });
    assert_eq!(synced, BTreeSet::from([None]));
}

#[test]
fn it_fails_where_it_is_told_to() {
    changed(|disk, file| {
        disk.fail(1, Fault::Short(2));
        assert_eq!(file.write(b"abc").unwrap(), 3);
        assert_eq!(file.write(b"abc").unwrap(), 2);
        disk.limit_room(1);
        assert_eq!(file.write(b"abc").unwrap(), 1);
        assert_eq!(file.write(b"abc").unwrap_err().kind(), ErrorKind::StorageFull);
        disk.fail(0, Fault::After);
        disk.heal();
        file.write_all(b"d").unwrap();
        disk.fail(0, Fault::After);
        disk.remove_file(path()).unwrap_err();
        assert_eq!(bytes(disk), None);
    });
    let disk = changed(|disk, file| {
        let steps = disk.steps();
        disk.crash_in(1, true);
        file.write_all(b"a").unwrap();
        file.write_all(b"b").unwrap_err();
        file.write_all(b"c").unwrap_err();
        assert_eq!(disk.steps(), steps + 2);
        assert!(disk.is_crashed() && disk.open(path()).is_err());
    });
    disk.kill();
    assert_eq!(bytes(&disk).unwrap(), b"safeab");
    disk.stop();
    assert!(disk.list(Path::new("/")).is_err());
}

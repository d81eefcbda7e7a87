//! The data directory: one at a time, one identity, which no crash takes away.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::persist::disk::faulty::{Chance, Fault, FaultyDisk};
use crate::persist::store::Id;

const DATA_SET: DataSetId = Id([5; 16]);

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn it_is_made_for_nobody_else_and_keeps_its_identity() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("deep/data");
    let mut directory = DataDirectory::open(&path).unwrap();
    let owner = directory.owner();
    assert_eq!(directory.data_set(), None);
    assert_eq!([mode(&path), mode(&path.join("lock")), mode(&path.join("identity"))], [0o700, 0o600, 0o600]);
    directory.set_data_set(DATA_SET).unwrap();
    directory.set_data_set(DATA_SET).unwrap();
    drop(directory);
    let mut directory = DataDirectory::open(&path).unwrap();
    assert_eq!((directory.owner(), directory.data_set()), (owner, Some(DATA_SET)));
    let error = directory.set_data_set(Id([6; 16])).unwrap_err().to_string();
    assert!(error.contains("belongs to the data set 05050505-"), "{error}");
    let other = DataDirectory::open(&parent.path().join("other")).unwrap();
    assert_ne!(other.owner(), owner);
}

#[test]
fn a_second_one_is_told_who_has_it() {
    let parent = tempfile::tempdir().unwrap();
    let directory = DataDirectory::open(parent.path()).unwrap();
    let error = DataDirectory::open(parent.path()).err().unwrap().to_string();
    let expected = format!(
        "the data directory {} is in use by quotad, process {} on host ",
        parent.path().display(),
        std::process::id()
    );
    assert!(error.starts_with(&expected) && error.len() > expected.len(), "{error}");
    std::fs::write(parent.path().join("lock"), "").unwrap();
    let error = DataDirectory::open(parent.path()).err().unwrap().to_string();
    assert!(error.ends_with("is in use by another process"), "{error}");
    // Whatever is done in it keeps it.
    let lock = directory.lock();
    drop(directory);
    assert!(matches!(DataDirectory::open(parent.path()), Err(DirectoryError::InUse { .. })));
    drop(lock);
    DataDirectory::open(parent.path()).unwrap();
}

#[test]
fn a_copy_is_told_from_what_it_was_copied_from() {
    let parent = tempfile::tempdir().unwrap();
    let [original, copy, renamed] = ["original", "copy", "renamed"].map(|name| parent.path().join(name));
    let mut directory = DataDirectory::open(&original).unwrap();
    directory.set_data_set(DATA_SET).unwrap();
    assert!(!directory.is_copy());
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(original.join("identity"), copy.join("identity")).unwrap();
    let mut copied = DataDirectory::open(&copy).unwrap();
    assert!(copied.is_copy() && copied.owner() == directory.owner());
    copied.put_down_place().unwrap();
    assert!(!copied.is_copy() && copied.owner() != directory.owner(), "it is a server of its own");
    assert_eq!(copied.data_set(), directory.data_set());
    let own = copied.owner();
    drop((directory, copied));
    assert_eq!(DataDirectory::open(&copy).unwrap().owner(), own);
    assert!(!DataDirectory::open(&copy).unwrap().is_copy(), "it is at home now");
    std::fs::rename(&original, &renamed).unwrap();
    assert!(!DataDirectory::open(&renamed).unwrap().is_copy(), "another name is no copy");
}

#[test]
fn what_is_no_directory_is_told() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("file");
    std::fs::write(&path, "").unwrap();
    let error = DataDirectory::open(&path).err().unwrap().to_string();
    assert!(error.ends_with("file cannot be used: it is no directory"), "{error}");
    let error = DataDirectory::open(&path.join("below")).err().unwrap().to_string();
    assert!(error.contains("below cannot be made: Not a directory"), "{error}");
}

#[test]
fn a_damaged_identity_is_told_with_its_remedy() {
    let check = |text: &[u8], expected: &str| {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("identity"), text).unwrap();
        let error = DataDirectory::open(parent.path()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("or remove it: then this directory gets a new owner id"), "{error}");
    };
    let id = Id([1; 16]);
    check(b"", "it names no owner");
    check(b"\xff", "it is no text");
    check(b"owner", "'owner' is no 'name = id'");
    check(b"owner = 12", "'12' is no id of 32");
    check(format!("owner = {id}\ninode = -1").as_bytes(), "'-1' is the number of no inode");
    check(format!("owner = {id}\nowner = {id}").as_bytes(), "'owner' is there twice");
    check(
        format!("owner = {id}\nage = {id}").as_bytes(),
        "it has 'age'; known are owner, data_set, inode, epoch and applied",
    );
    check(format!("data_set = {id}").as_bytes(), "it names no owner");
}

/// At every step of both writes, a crash leaves the identity as it was before or as it is after; an id that was told stays.
#[test]
fn no_crash_takes_the_identity_away() {
    for seed in 0..40 {
        for step in 0..14 {
            let disk = FaultyDisk::new();
            let chance = &mut Chance(seed);
            disk.crash_in(step, chance.below(2) == 0);
            let open = || DataDirectory::on(Arc::new(disk.clone()), Path::new("/"));
            let mut owner = None;
            let mut is_set = false;
            if let Ok(mut directory) = open() {
                owner = Some(directory.owner());
                is_set = directory.set_data_set(DATA_SET).is_ok();
            }
            disk.crash(chance);
            let directory = open().unwrap();
            assert!(owner.is_none_or(|owner| owner == directory.owner()), "step {step}");
            assert!(!is_set || directory.data_set() == Some(DATA_SET), "step {step}");
        }
    }
}

#[test]
fn a_write_that_fails_is_told_and_may_be_tried_again() {
    for step in 0..6 {
        for fault in [Fault::Before, Fault::After] {
            let disk = FaultyDisk::new();
            let mut directory = DataDirectory::on(Arc::new(disk.clone()), Path::new("/")).unwrap();
            disk.fail(step, fault);
            let failed = directory.set_data_set(DATA_SET);
            // The first step removes a temporary file that is not there.
            assert_eq!(failed.is_err(), step > 0, "{failed:?}");
            assert_eq!(directory.data_set(), failed.is_ok().then_some(DATA_SET));
            directory.set_data_set(DATA_SET).unwrap();
            disk.crash(&mut Chance(step));
            let again = DataDirectory::on(Arc::new(disk), Path::new("/")).unwrap();
            assert_eq!((again.owner(), again.data_set()), (directory.owner(), Some(DATA_SET)));
        }
    }
}

//! What writes and deletions that were cut short leave in a folder, which no list shows: files that were not given their names yet, and
//! folders of which everything was deleted. A bucket has neither.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use super::name::is_folder;
use crate::clock::Timestamp;

/// The most that is looked at in one go; the rest is left for the next time.
const MOST_LOOKED_AT: usize = 1_000_000;

/// Deletes, or with `dry_run` only counts, what is left over below a folder since before `before`, by the clock of this machine.
pub(super) fn clean_up(folder: &Path, before: Timestamp, dry_run: bool) -> io::Result<u64> {
    let mut round = Round { before, dry_run, looked_at: 0, found: 0 };
    match fs::read_dir(folder) {
        Ok(entries) => round.enter(entries)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(round.found)
}

struct Round {
    before: Timestamp,
    dry_run: bool,
    looked_at: usize,
    found: u64,
}

impl Round {
    fn enter(&mut self, entries: fs::ReadDir) -> io::Result<()> {
        for entry in entries {
            self.looked_at += 1;
            if self.looked_at > MOST_LOOKED_AT {
                return Ok(());
            }
            match self.look_at(&entry?) {
                // Somebody else was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                looked => looked?,
            }
        }
        Ok(())
    }

    fn look_at(&mut self, entry: &DirEntry) -> io::Result<()> {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return Ok(()) };
        let kind = entry.file_type()?;
        if kind.is_file() && is_unfinished(name) && self.is_old(entry)? {
            return self.remove(|| fs::remove_file(entry.path()));
        }
        if kind.is_dir() && is_folder(name) {
            // Asked before anything in it is deleted, which makes it young.
            let is_old = self.is_old(entry)?;
            self.enter(fs::read_dir(entry.path())?)?;
            if is_old && fs::read_dir(entry.path())?.next().is_none() {
                return self.remove(|| fs::remove_dir(entry.path()));
            }
        }
        Ok(())
    }

    fn is_old(&self, entry: &DirEntry) -> io::Result<bool> {
        let modified = entry.metadata()?.modified()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(since.as_micros() < u128::from(self.before.as_micros()))
    }

    fn remove(&mut self, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !self.dry_run {
            match remove() {
                // Something was written into it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(()),
                removed => removed?,
            }
        }
        self.found += 1;
        Ok(())
    }
}

/// Whether a file is one that is written and has not been given its name yet: `name#1`, as `object_store` calls it. No object of ours has a
/// name that is hidden.
fn is_unfinished(name: &str) -> bool {
    name.split_once('#').is_some_and(|(name, number)| {
        let is_ours = !name.is_empty() && !name.starts_with('.') && is_folder(name);
        is_ours && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const NOON: u64 = 1_794_744_000;

    fn age(path: &Path, seconds: u64) {
        File::open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(NOON - seconds)).unwrap();
    }

    #[test]
    fn only_what_is_old_and_left_over_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a/empty", "a/full", "a/cut", "young"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        let files = [
            "a/full/1.part",
            "a/full/2.part#1",
            "a/full/3.part#12",
            "a/full/4.part#x",
            "a/cut/1.part#1",
            "a/.b#1",
        ];
        for name in files {
            fs::write(path(name), "x").unwrap();
            age(&path(name), 100);
        }
        age(&path("a/full/3.part#12"), 10);
        for name in ["a/empty", "a/full", "a/cut", "a"] {
            age(&path(name), 100);
        }
        age(&path("young"), 10);
        let before = Timestamp::from_millis((NOON - 50) * 1_000);
        // The folder of the file that goes is empty only then.
        assert_eq!(clean_up(folder.path(), before, true).unwrap(), 3);
        assert!(path("a/empty").exists());
        assert_eq!(clean_up(folder.path(), before, false).unwrap(), 4);
        for (name, stays) in [
            ("a/empty", false),
            ("a/cut", false),
            ("a/full/1.part", true),
            ("a/full/2.part#1", false),
            ("a/full/3.part#12", true),
            ("a/full/4.part#x", true),
            ("a/.b#1", true),
            ("young", true),
        ] {
            assert_eq!(path(name).exists(), stays, "{name}");
        }
        assert_eq!(clean_up(&path("none"), before, false).unwrap(), 0);
    }
}

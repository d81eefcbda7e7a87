//! Where the file is: one that was removed or replaced takes everything that is written, and nobody finds it again.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::persist::store::StoreError;

/// The file under its name.
pub(super) struct FilePlace {
    path: PathBuf,
    /// Its log, which SQLite keeps beside it for as long as it has the file; `None`: the file system allows none.
    log: Option<PathBuf>,
    /// Which file that was when it was looked at last; `None`: not since the connection was made that writes, which may have begun one.
    log_file: LogFile,
    file: (u64, u64),
}

/// The number of the log's file.
pub(super) type LogFile = Arc<Mutex<Option<(u64, u64)>>>;

/// What tells files apart, whatever their names: the file system and the number there.
fn number_of(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

impl FilePlace {
    /// The place of a file that was just opened, and `has_log`, of which whoever makes the connection that writes forgets which it was.
    pub(super) fn of(path: &Path, has_log: bool, log_file: LogFile) -> io::Result<Self> {
        // SQLite names it after the file that a link leads to.
        let mut log = path.canonicalize()?.into_os_string();
        log.push("-wal");
        let log = has_log.then(|| log.into());
        Ok(Self { path: path.to_owned(), log, log_file, file: number_of(&path.metadata()?) })
    }

    /// Makes sure, within a transaction or behind one, that it is where it was.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let gone = |path: &Path, what| {
            Err(StoreError::Unavailable(format!(
                "{} was {what} while this server has it: what is written goes into a file that nobody finds again. Put it back under its \
                 name. Where that cannot be, what is in memory can still be read, and snapshots keep it (SAVE, then quotad snapshot restore --any)",
                path.display()
            )))
        };
        match self.path.metadata() {
            Ok(found) if number_of(&found) == self.file => {}
            Ok(_) => return gone(&self.path, "replaced"),
            Err(_) => return gone(&self.path, "removed"),
        }
        let Some(log) = &self.log else { return Ok(()) };
        let Ok(found) = log.metadata() else { return gone(log, "removed") };
        let found = number_of(&found);
        if *self.log_file.lock().get_or_insert(found) == found { Ok(()) } else { gone(log, "replaced") }
    }
}

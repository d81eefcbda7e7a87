//! The data directory: one process has it at a time, and it knows who it is.
//!
//! It holds the files `lock`, which is locked for as long as the process has the directory and says which process that is, and
//! `identity`, which says under which id the directory owns a truth and which data that truth has.

mod identity;

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{DIRECTORY_MODE, Disk, DiskError, FILE_MODE, RealDisk, failed};
use super::store::{DataSetId, OwnerId};
use identity::Identity;
pub use identity::Known;

/// The name of the file that says who it is.
pub(super) const IDENTITY: &str = identity::FILE;

/// The name of the file that is locked.
const LOCK: &str = "lock";

/// The most bytes of the lock file that are read: a process and a host's name.
const MAX_HOLDER_BYTES: u64 = 1_024;

/// A data directory that this process has to itself until it, and every outbox in it, is dropped.
pub struct DataDirectory {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    /// Locked; a test's directory in memory has none.
    lock: Option<Arc<File>>,
    identity: Identity,
    /// The number of the directory on its file system; a test's directory in memory has none.
    inode: Option<u64>,
}

impl DataDirectory {
    /// Takes the directory; makes it, for nobody else to read, where it is missing, and gives it an owner id where it has none.
    ///
    /// # Errors
    /// [`DirectoryError`] with what to do about it.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        if let Ok(found) = path.metadata()
            && !found.is_dir()
        {
            return Err(DirectoryError::NoDirectory { path: path.to_owned() });
        }
        make(path).map_err(failed("made", path))?;
        let lock = lock(path)?;
        Self::identified(path, Arc::new(RealDisk), Some(Arc::new(lock)))
    }

    /// A directory that is there on a test's disk.
    #[cfg(test)]
    pub(super) fn on(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, DirectoryError> {
        Self::identified(path, disk, None)
    }

    fn identified(path: &Path, disk: Arc<dyn Disk>, lock: Option<Arc<File>>) -> Result<Self, DirectoryError> {
        let inode = match &lock {
            Some(_) => Some(path.metadata().map_err(failed("looked at", path))?.ino()),
            None => None,
        };
        let identity = match Identity::read(&*disk, path)? {
            Some(identity) => identity,
            None => {
                let identity = Identity { owner: random_id()?, data_set: None, inode, known: None };
                identity.write(&*disk, path)?;
                identity
            }
        };
        Ok(Self { path: path.to_owned(), disk, lock, identity, inode })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Under which id this directory owns a truth.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        self.identity.owner
    }

    /// Which data this directory belongs to; `None`: it has not met a truth yet.
    #[must_use]
    pub fn data_set(&self) -> Option<DataSetId> {
        self.identity.data_set
    }

    /// Notes which data this directory belongs to, which is for good.
    ///
    /// # Errors
    /// [`DirectoryError::OtherDataSet`] where it belongs to other data; otherwise nothing is known to be noted, and it may be tried again.
    pub fn set_data_set(&mut self, data_set: DataSetId) -> Result<(), DirectoryError> {
        match self.identity.data_set {
            Some(known) if known == data_set => return Ok(()),
            Some(known) => {
                return Err(DirectoryError::OtherDataSet { path: self.path.clone(), known, asked: data_set });
            }
            None => {}
        }
        let identity = Identity { data_set: Some(data_set), ..self.identity };
        identity.write(&*self.disk, &self.path)?;
        self.identity = identity;
        Ok(())
    }

    /// Whether it was copied, or moved to another file system, since it was [put down](Self::put_down_place) where it is: then another
    /// process may have the same identity, in spite of the lock.
    #[must_use]
    pub fn is_copy(&self) -> bool {
        self.identity.inode.is_some() && self.identity.inode != self.inode
    }

    /// Notes where it is. A copy owns under an id of its own from then on, so that the one it was copied from, should it be started
    /// again, is another server.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn put_down_place(&mut self) -> Result<(), DirectoryError> {
        if self.identity.inode == self.inode {
            return Ok(());
        }
        let owner = if self.is_copy() { random_id()? } else { self.identity.owner };
        let identity = Identity { owner, inode: self.inode, ..self.identity };
        identity.write(&*self.disk, &self.path)?;
        self.identity = identity;
        Ok(())
    }

    /// How far its truth was known to be; `None`: nothing is known.
    #[must_use]
    pub fn known(&self) -> Option<Known> {
        self.identity.known
    }

    /// Notes how far its truth is, so that one that is set back while no server runs is found out.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_known(&mut self, known: Known) -> Result<(), DirectoryError> {
        let identity = Identity { known: Some(known), ..self.identity };
        identity.write(&*self.disk, &self.path)?;
        self.identity = identity;
        Ok(())
    }

    /// The file that says who it is.
    #[must_use]
    pub fn identity_file(&self) -> PathBuf {
        self.path.join(IDENTITY)
    }

    pub(super) fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    /// What keeps the directory this process's.
    pub(super) fn lock(&self) -> Option<Arc<File>> {
        self.lock.clone()
    }
}

fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
    // So that a crash does not take it away with what is in it.
    match path.canonicalize()?.parent() {
        Some(parent) => RealDisk.sync_directory(parent),
        None => Ok(()),
    }
}

/// Locks the lock file and writes into it who has it.
fn lock(directory: &Path) -> Result<File, DirectoryError> {
    let path = directory.join(LOCK);
    let options =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(&path);
    let mut file = options.map_err(failed("opened", &path))?;
    // By flock(2): it ends with the process, however that ends.
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = read_holder(&mut file).unwrap_or_default();
            return Err(DirectoryError::InUse { path: directory.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed("locked", &path)(error).into()),
    }
    write_holder(&mut file).map_err(failed("written", &path))?;
    Ok(file)
}

fn write_holder(file: &mut File) -> io::Result<()> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("quotad, process {} on host {host}\n", std::process::id()).as_bytes())
}

/// Who wrote the lock file; empty where nobody has yet.
fn read_holder(file: &mut File) -> io::Result<String> {
    let mut holder = String::new();
    file.take(MAX_HOLDER_BYTES).read_to_string(&mut holder)?;
    Ok(holder.trim().to_owned())
}

/// An id from the system's random numbers.
///
/// # Errors
/// When the system has none.
pub fn random_id() -> Result<OwnerId, DirectoryError> {
    let mut id = [0; 16];
    let mut filled = 0;
    while filled < id.len() {
        match rustix::rand::getrandom(&mut id[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(read) => filled += read,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(DirectoryError::NoRandomNumbers(error.into())),
        }
    }
    Ok(super::store::Id(id))
}

/// Why there is no data directory.
#[derive(Debug)]
pub enum DirectoryError {
    /// Another process has it.
    InUse {
        /// Which directory.
        path: PathBuf,
        /// Who has it; empty where that is not known.
        holder: String,
    },
    /// Its path names something else.
    NoDirectory {
        /// Which path.
        path: PathBuf,
    },
    /// Its identity cannot be read.
    Damaged {
        /// The identity file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It belongs to other data.
    OtherDataSet {
        /// Which directory.
        path: PathBuf,
        /// Its data.
        known: DataSetId,
        /// The other data.
        asked: DataSetId,
    },
    /// The system gave no random numbers for an id.
    NoRandomNumbers(io::Error),
    /// The system refused.
    Disk(DiskError),
}

impl From<DiskError> for DirectoryError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path, holder } => {
                let holder = if holder.is_empty() { "another process" } else { holder };
                write!(formatter, "the data directory {} is in use by {holder}", path.display())
            }
            Self::NoDirectory { path } => {
                write!(formatter, "the data directory {} cannot be used: it is no directory", path.display())
            }
            Self::Damaged { file, reason } => write!(
                formatter,
                "{} cannot be read: {reason}; write it again from a copy, or remove it: then this directory gets a new owner id, \
                 and the outboxes in it, whose names end in the old one, are set aside unapplied",
                file.display()
            ),
            Self::OtherDataSet { path, known, asked } => write!(
                formatter,
                "the data directory {} belongs to the data set {known}, not to {asked}: use the directory of that data set, or an empty one",
                path.display()
            ),
            Self::NoRandomNumbers(error) => write!(formatter, "the system gives no random numbers: {error}"),
            Self::Disk(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for DirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoRandomNumbers(error) => Some(error),
            Self::Disk(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

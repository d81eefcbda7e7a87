//! What is done to files, as a trait: the machine's disk, and for tests one that fails, fills up and crashes.

#[cfg(test)]
pub(super) mod faulty;

use std::fmt;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The mode of a file: it holds everybody's data.
pub(super) const FILE_MODE: u32 = 0o600;

/// The mode of a directory.
pub(super) const DIRECTORY_MODE: u32 = 0o700;

/// What is done to a disk. Each call may fail with or without having had its effect.
pub(super) trait Disk: Send + Sync {
    /// Makes a directory; fails where something has its name.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in no order; without those that are no UTF-8, which are nobody's here.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Makes what was created, renamed and removed in a directory survive a crash.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that is written at its end; fails where something has its name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that is there.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives something another name in its directory; a file that has that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with the files in it.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
}

/// An open file. What is written goes behind its end.
pub(super) trait DiskFile: Write + Send {
    /// Reads from `offset` on; fewer bytes than asked for may come, none at the end.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// How many bytes it has.
    fn length(&self) -> io::Result<u64>;

    /// Cuts it.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Whether it is what has this name now.
    fn has_name(&self, path: &Path) -> bool;

    /// Makes what was written and cut survive a crash. After a failure nobody knows what does, and a later success does not tell.
    fn sync(&self) -> io::Result<()>;
}

/// The machine's disk.
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(DIRECTORY_MODE).create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = path.read_dir()?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().append(true).create_new(true).mode(FILE_MODE).open(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().read(true).append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }
}

impl DiskFile for File {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn has_name(&self, path: &Path) -> bool {
        let number = |found: io::Result<Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
        number(self.metadata()).is_some_and(|own| number(path.metadata()) == Some(own))
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Fills `bytes` from `offset` on; answers how many there were before the end.
pub(super) fn read_full(file: &dyn DiskFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + length_of(filled)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes a small file whole: after a crash it is there as it was before, or as it is now.
pub(super) fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let temporary = path.with_extension("tmp");
    remove_if_there(disk, &temporary).map_err(failed("removed", &temporary))?;
    let mut file = disk.create(&temporary).map_err(failed("made", &temporary))?;
    file.write_all(bytes).map_err(failed("written", &temporary))?;
    file.sync().map_err(failed("synced to the disk", &temporary))?;
    disk.rename(&temporary, path).map_err(failed("replaced", path))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    disk.sync_directory(directory).map_err(failed("synced to the disk", directory))
}

/// Removes a file that may be gone already.
pub(super) fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An amount of bytes as files count them.
pub(super) fn length_of(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("a length fits 64 bits")
}

/// What the system refused to do to a file or directory.
#[derive(Debug)]
pub struct DiskError {
    /// What.
    pub path: PathBuf,
    /// What was not done to it, as a participle.
    pub not_done: &'static str,
    /// The system's reason.
    pub error: io::Error,
}

/// Names what was not done to what.
pub(super) fn failed(not_done: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    move |error| DiskError { path: path.to_owned(), not_done, error }
}

impl fmt::Display for DiskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, not_done, error } = self;
        write!(formatter, "{} cannot be {not_done}: {error}", path.display())
    }
}

impl std::error::Error for DiskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

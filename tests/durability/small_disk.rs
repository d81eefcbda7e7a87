//! A disk that is small enough to be filled.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of it: an outbox fits, and it is filled at once.
const BYTES: usize = 8 << 20;

/// Bytes of a larger one: an SQLite file and its log fit, and more batches than wait in memory.
const MORE_BYTES: usize = 96 << 20;

/// A disk in memory, gone when this is dropped.
pub struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts it.
    ///
    /// # Panics
    /// Where this is not root.
    pub fn mount() -> Self {
        Self::of(BYTES)
    }

    /// Mounts a larger one.
    pub fn mount_larger() -> Self {
        Self::of(MORE_BYTES)
    }

    fn of(bytes: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let size = format!("size={bytes}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(directory.path()).status();
        assert!(
            mount.is_ok_and(|status| status.success()),
            "a disk that can be filled needs root, to mount it"
        );
        Self { directory }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn filling(&self) -> PathBuf {
        self.path().join("filling")
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.filling()).expect("a file can be made");
        for part in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![b'x'; part]).is_ok() {}
        }
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.filling()).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever has files open there ends after this.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

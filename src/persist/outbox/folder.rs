//! The directory of one outbox: its files by their names, and what goes wrong with them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::OutboxError;
use super::format::{HEADER_BYTES, header};
use super::name::{Name, SegmentName};
use crate::persist::directory::{DataDirectory, IDENTITY};
use crate::persist::disk::{Disk, DiskError, DiskFile, failed};

/// Where an outbox is. The data directory stays this process's for as long as one of these is there.
pub(super) struct Folder {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
    pub(super) name: Name,
    /// Held for what its drop does.
    _lock: Option<Arc<File>>,
}

impl Folder {
    pub(super) fn new(directory: &DataDirectory, name: Name) -> Self {
        let path = directory.path().join(name.to_string());
        Self { disk: directory.disk(), path, name, _lock: directory.lock() }
    }

    /// Whether the data directory that it was in is there, with what else is in it.
    pub(super) fn has_parent(&self) -> bool {
        let parent = self.path.parent().and_then(|parent| self.disk.list(parent).ok());
        parent.is_some_and(|names| names.iter().any(|name| name == IDENTITY))
    }

    pub(super) fn path_of(&self, segment: SegmentName) -> PathBuf {
        self.path.join(segment.file())
    }

    pub(super) fn header(&self, segment: SegmentName) -> [u8; HEADER_BYTES] {
        header(&self.name, segment)
    }

    pub(super) fn open(&self, segment: SegmentName) -> Result<Box<dyn DiskFile>, DiskError> {
        let path = self.path_of(segment);
        self.disk.open(&path).map_err(failed("opened", &path))
    }

    pub(super) fn sync(&self) -> Result<(), DiskError> {
        sync_directory(&*self.disk, &self.path)
    }

    /// A segment is not as it was written, so that no batch from `since` on can be relied on.
    pub(super) fn damaged(
        &self,
        segment: SegmentName,
        offset: u64,
        reason: impl Into<String>,
        since: u64,
    ) -> OutboxError {
        OutboxError::Damaged {
            directory: self.path.clone(),
            file: self.path_of(segment),
            offset,
            reason: reason.into(),
            since,
        }
    }
}

pub(super) fn sync_directory(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    disk.sync_directory(path).map_err(failed("synced to the disk", path))
}

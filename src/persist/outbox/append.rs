//! Appending: one write and one sync a batch, and what becomes of a file in which either fails.

use std::io::{ErrorKind, Write};
use std::path::Path;

use super::error::OutboxError;
use super::format::{HEADER_BYTES, Salt};
use super::name::SegmentName;
use super::segment::Segment;
use super::{Active, Outbox};
use crate::persist::batch::Batch;
use crate::persist::disk::{DiskError, DiskFile, failed};

/// How many files may wait to be removed before no new one is begun: a disk that takes files but does not give them up is full soon.
const MAX_REMOVALS: usize = 64;

/// The most memory that is kept from one append to the next; a batch of 100,000 records needs less.
const MAX_BUFFER_BYTES: usize = 16 * 1024 * 1024;

impl Outbox {
    /// Appends a batch that covers the numbers from `first_seq` on; it is on the disk when this answers.
    ///
    /// # Errors
    /// [`OutboxError::Disk`] where it is not: try the same batch again. [`OutboxError::NotNext`] and [`OutboxError::TooLarge`] for
    /// one that can never be appended.
    pub fn append(&mut self, first_seq: u64, batch: &Batch) -> Result<(), OutboxError> {
        let (last_seq, end) = {
            let catalog = self.catalog.lock();
            (catalog.last_seq(), catalog.segments().back().map_or(0, |segment| segment.end))
        };
        self.check_next(first_seq, batch, last_seq)?;
        let appended = match self.active.take().filter(|_| end < self.limits.segment_bytes) {
            Some(active) => self.append_frame(active, end, first_seq, batch),
            None => self.begin_segment(first_seq, batch),
        };
        if self.buffer.capacity() > MAX_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        appended
    }

    fn check_next(&self, first_seq: u64, batch: &Batch, last_seq: Option<u64>) -> Result<(), OutboxError> {
        let Batch { epoch, seq, .. } = *batch;
        let own_epoch = self.folder.name.epoch;
        let next = last_seq.map(|last| last + 1);
        let is_range = 0 < first_seq && first_seq <= seq && seq < u64::MAX;
        if is_range && epoch == own_epoch && next.is_none_or(|next| next == first_seq) {
            return Ok(());
        }
        Err(OutboxError::NotNext { covers: (first_seq, seq), epoch, next, own_epoch })
    }

    /// Writes a frame behind those of `active`, which ends at `end`.
    fn append_frame(
        &mut self,
        mut active: Active,
        end: u64,
        first_seq: u64,
        batch: &Batch,
    ) -> Result<(), OutboxError> {
        self.buffer.clear();
        let put = active.salt.put_frame(&mut self.buffer, first_seq, batch.seq, |out| batch.encode(out));
        let frame_bytes = match put {
            Ok(bytes) => bytes,
            Err(error) => {
                self.active = Some(active);
                return Err(error);
            }
        };
        let path = self.folder.path_of(active.name);
        if let Err(error) = active.file.write_all(&self.buffer) {
            // A part of the frame may be there. Where it can be taken away, the file can be gone on with.
            if active.file.truncate(end).is_ok() {
                self.active = Some(active);
            }
            return Err(failed("written", &path)(error).into());
        }
        // After a failure nobody knows what is on the disk, and the next sync might not tell: the file is not written to any more.
        active.file.sync().map_err(failed("synced to the disk", &path))?;
        // Whoever has removed it has removed what was written just now.
        if !active.file.has_name(&path) {
            let gone = std::io::Error::other("it was removed or replaced while this server writes to it");
            return Err(failed("written", &path)(gone).into());
        }
        self.catalog.lock().push_frame(batch.seq, frame_bytes);
        self.active = Some(active);
        Ok(())
    }

    /// Writes a frame as the first one of a new segment.
    fn begin_segment(&mut self, first_seq: u64, batch: &Batch) -> Result<(), OutboxError> {
        if self.removals.len() >= MAX_REMOVALS {
            self.remove_files()?;
        }
        let name = SegmentName { first_seq, number: self.next_number };
        let header = self.folder.header(name);
        let salt = Salt::of(&header);
        self.buffer.clear();
        self.buffer.extend(header);
        let frame_bytes = salt.put_frame(&mut self.buffer, first_seq, batch.seq, |out| batch.encode(out))?;

        self.next_number += 1;
        let path = self.folder.path_of(name);
        let file = match self.write_segment(&path) {
            Ok(file) => file,
            Err(error) => {
                // Nothing in it is relied on; removing it may fail, and is tried again then.
                if error.error.kind() != ErrorKind::AlreadyExists {
                    self.removals.push_back(vec![path]);
                    let _ = self.remove_files();
                }
                return Err(error.into());
            }
        };
        self.catalog.lock().push_segment(Segment::begin(name, batch.seq, frame_bytes));
        self.active = Some(Active { name, file, salt });
        Ok(())
    }

    /// Makes a file with what is in the buffer: a header and a frame.
    fn write_segment(&self, path: &Path) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut file = self.folder.disk.create(path).map_err(failed("made", path))?;
        // The header is on the disk before the frame is written, as is every frame before the next one: no crash leaves one behind bytes
        // that are none.
        let (header, frame) = self.buffer.split_at(HEADER_BYTES);
        for part in [header, frame] {
            file.write_all(part).map_err(failed("written", path))?;
            file.sync().map_err(failed("synced to the disk", path))?;
        }
        self.folder.sync()?;
        Ok(file)
    }
}

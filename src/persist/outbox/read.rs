//! Reading the batches of an outbox, one at a time, while others are written to it.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::catalog::Catalog;
use super::error::OutboxError;
use super::folder::Folder;
use super::format::{FRAME_BYTES, FrameHeader, HEADER_BYTES, Salt};
use super::name::SegmentName;
use super::segment::Segment;
use crate::persist::batch::Batch;
use crate::persist::bytes::DecodeError;
use crate::persist::disk::{DiskFile, failed, length_of, read_full};

/// A batch of an outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The first number that it covers; its own, unless it was merged of several.
    pub first_seq: u64,
    /// The batch.
    pub batch: Batch,
}

/// The batches behind a number, in their order. At the end it gives none, and goes on when more were written.
///
/// The first one covers the number that is next; it may cover lower ones too, also where batches are merged meanwhile. After an error there
/// is nothing more.
pub struct Batches {
    folder: Arc<Folder>,
    catalog: Arc<Mutex<Catalog>>,
    next_seq: u64,
    open: Option<SegmentReader>,
    has_failed: bool,
}

impl Batches {
    pub(super) fn new(folder: Arc<Folder>, catalog: Arc<Mutex<Catalog>>, after: u64) -> Self {
        Self { folder, catalog, next_seq: after.saturating_add(1), open: None, has_failed: false }
    }

    fn read(&mut self) -> Result<Option<Stored>, OutboxError> {
        let Some((mut reader, end)) = self.locate()? else { return Ok(None) };
        while let Some(frame) = reader.header(end)? {
            if frame.seq < self.next_seq {
                reader.skip(&frame);
                continue;
            }
            let batch = reader.batch(&frame)?;
            self.next_seq = frame.seq + 1;
            self.open = Some(reader);
            return Ok(Some(Stored { first_seq: frame.first_seq, batch }));
        }
        Err(reader.damaged(format!("batch {} is not in it", self.next_seq)))
    }

    /// Where the next batch is, at or behind what the reader reads next, and where its segment ends.
    fn locate(&mut self) -> Result<Option<(SegmentReader, u64)>, OutboxError> {
        let catalog = self.catalog.lock();
        let Some(segment) = catalog.covering(self.next_seq) else {
            return match catalog.first_seq() {
                Some(first_kept) if self.next_seq < first_kept => {
                    Err(OutboxError::NotKept { asked: self.next_seq, first_kept })
                }
                _ => Ok(None),
            };
        };
        let mark = segment.mark_before(self.next_seq);
        let reader = match self.open.take().filter(|reader| reader.name == segment.name) {
            Some(reader) => SegmentReader { offset: reader.offset.max(mark.offset), ..reader },
            // With the catalog held, so that the file is still there.
            None => SegmentReader::open(&self.folder, segment.name, mark.offset)?,
        };
        Ok(Some((reader, segment.end)))
    }
}

impl Iterator for Batches {
    type Item = Result<Stored, OutboxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let read = self.read();
        self.has_failed = read.is_err();
        read.transpose()
    }
}

/// A segment that is read, with a handle of its own.
pub(super) struct SegmentReader {
    folder: Arc<Folder>,
    name: SegmentName,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    salt: Salt,
    offset: u64,
}

impl SegmentReader {
    /// From `offset` on, where a frame begins.
    pub(super) fn open(folder: &Arc<Folder>, name: SegmentName, offset: u64) -> Result<Self, OutboxError> {
        let salt = Salt::of(&folder.header(name));
        let file = folder.open(name)?;
        Ok(Self { folder: Arc::clone(folder), name, path: folder.path_of(name), file, salt, offset })
    }

    /// All of it.
    pub(super) fn whole(folder: &Arc<Folder>, segment: &Segment) -> Result<Self, OutboxError> {
        Self::open(folder, segment.name, length_of(HEADER_BYTES))
    }

    /// What stands before the next payload; `None` at `end`.
    pub(super) fn header(&self, end: u64) -> Result<Option<FrameHeader>, OutboxError> {
        if self.offset >= end {
            return Ok(None);
        }
        let mut bytes = [0; FRAME_BYTES];
        let read = self.fill(&mut bytes, self.offset)?;
        let frame = self.salt.read_frame(&bytes[..read]);
        frame.map(Some).ok_or_else(|| self.damaged("there is no batch, as there was before"))
    }

    /// The next batch; `None` at `end`.
    pub(super) fn next(&mut self, end: u64) -> Result<Option<Batch>, OutboxError> {
        let Some(frame) = self.header(end)? else { return Ok(None) };
        self.batch(&frame).map(Some)
    }

    /// Goes behind the next frame.
    pub(super) fn skip(&mut self, frame: &FrameHeader) {
        self.offset += frame.frame_bytes();
    }

    /// The next payload.
    pub(super) fn payload(&mut self, frame: &FrameHeader) -> Result<Vec<u8>, OutboxError> {
        // Its length is believed: the header has a checksum of its own.
        let mut payload = vec![0; usize::try_from(frame.length).expect("32 bits fit a usize")];
        let read = self.fill(&mut payload, self.offset + length_of(FRAME_BYTES))?;
        if read < payload.len() || self.salt.sum(None, &payload) != frame.sum {
            return Err(self.damaged("the checksum of a batch is wrong, as it was not before"));
        }
        self.skip(frame);
        Ok(payload)
    }

    /// The next batch.
    pub(super) fn batch(&mut self, frame: &FrameHeader) -> Result<Batch, OutboxError> {
        let offset = self.offset;
        let payload = self.payload(frame)?;
        let damaged = |reason| self.folder.damaged(self.name, offset, reason, frame.first_seq);
        let batch = Batch::decode(&payload).map_err(|error| match error {
            DecodeError::Version { part, found, newest } if found > newest => {
                let (found, newest) = (found.into(), newest.into());
                OutboxError::Newer { file: self.path.clone(), found, newest, part }
            }
            error => damaged(error.to_string()),
        })?;
        if (batch.epoch, batch.seq) != (self.folder.name.epoch, frame.seq) {
            let Batch { epoch, seq, .. } = batch;
            return Err(damaged(format!(
                "batch {seq} of epoch {epoch} is where batch {} should be",
                frame.seq
            )));
        }
        Ok(batch)
    }

    fn fill(&self, bytes: &mut [u8], offset: u64) -> Result<usize, OutboxError> {
        Ok(read_full(&*self.file, bytes, offset).map_err(failed("read", &self.path))?)
    }

    fn damaged(&self, reason: impl Into<String>) -> OutboxError {
        self.folder.damaged(self.name, self.offset, reason, self.name.first_seq)
    }
}

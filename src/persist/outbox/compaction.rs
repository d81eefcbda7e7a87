//! Making one batch of many that wait for the truth, beside whatever else is done with the outbox.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::OutboxError;
use super::folder::Folder;
use super::format::Salt;
use super::name::SegmentName;
use super::read::SegmentReader;
use super::segment::Segment;
use crate::persist::batch::Batch;
use crate::persist::disk::{failed, remove_if_there};

/// Segments that are to be one. While it, or what it becomes, is there, the outbox gives out no other.
pub struct Compaction {
    folder: Arc<Folder>,
    covered: Vec<SegmentName>,
    /// All are open, so that nothing is missed where they are removed meanwhile; each with where its segment ends.
    readers: Vec<(SegmentReader, u64)>,
    name: SegmentName,
    token: Arc<()>,
}

/// One segment that holds the batches of several, waiting to take their place; dropped, it leaves everything as it is.
pub struct Compacted {
    pub(super) covered: Vec<SegmentName>,
    pub(super) segment: Segment,
    pub(super) file: Unfinished,
    _token: Arc<()>,
}

impl Compaction {
    pub(super) fn new<'a>(
        folder: &Arc<Folder>,
        segments: impl Iterator<Item = &'a Segment>,
        name: SegmentName,
        token: Arc<()>,
    ) -> Result<Self, OutboxError> {
        let (mut covered, mut readers) = (Vec::new(), Vec::new());
        for segment in segments {
            covered.push(segment.name);
            readers.push((SegmentReader::whole(folder, segment)?, segment.end));
        }
        Ok(Self { folder: Arc::clone(folder), covered, readers, name, token })
    }

    /// Merges the batches and writes the one that they become, on any thread. It needs memory for the last state of each key, in memory
    /// and as bytes.
    ///
    /// # Errors
    /// [`OutboxError`]; everything is as if it had not been tried.
    pub fn run(self) -> Result<Compacted, OutboxError> {
        let Self { folder, covered, readers, name, token } = self;
        let merged = merged(readers)?;
        let header = folder.header(name);
        let mut bytes = header.to_vec();
        let frame_bytes =
            Salt::of(&header).put_frame(&mut bytes, name.first_seq, merged.seq, |out| merged.encode(out))?;
        let segment = Segment::begin(name, merged.seq, frame_bytes);
        drop(merged);

        let path = folder.path.join(name.unfinished_file());
        let file = Unfinished { folder, path };
        let path = &file.path;
        let mut written = file.folder.disk.create(path).map_err(failed("made", path))?;
        written.write_all(&bytes).map_err(failed("written", path))?;
        written.sync().map_err(failed("synced to the disk", path))?;
        Ok(Compacted { covered, segment, file, _token: token })
    }
}

/// The batches of all segments as one.
fn merged(readers: Vec<(SegmentReader, u64)>) -> Result<Batch, OutboxError> {
    let mut failure = None;
    let mut readers = readers.into_iter();
    let mut current = readers.next();
    let batches = std::iter::from_fn(|| {
        while let Some((reader, end)) = &mut current {
            match reader.next(*end) {
                Ok(Some(batch)) => return Some(batch),
                Ok(None) => current = readers.next(),
                Err(error) => {
                    failure = Some(error);
                    return None;
                }
            }
        }
        None
    });
    let merged = Batch::merge_all(batches);
    match failure {
        Some(error) => Err(error),
        None => Ok(merged.expect("every segment has a batch")),
    }
}

/// A file that is removed unless it was given its name.
pub(super) struct Unfinished {
    folder: Arc<Folder>,
    pub(super) path: PathBuf,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // What remains is removed when the outbox is opened again.
        let _ = remove_if_there(&*self.folder.disk, &self.path);
    }
}

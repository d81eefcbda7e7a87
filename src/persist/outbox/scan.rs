//! Reading a segment whole, to find out what of it may be relied on.

use std::path::PathBuf;

use super::error::OutboxError;
use super::folder::Folder;
use super::format::{
    FRAME_BYTES, FrameHeader, HEADER_BYTES, Header, MARKER, MAX_HEADER_BYTES, Salt, VERSION, judge,
};
use super::name::SegmentName;
use super::segment::Segment;
use crate::persist::disk::{DiskFile, failed, length_of, read_full};

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Why a file is none of an outbox.
const NO_HEADER: &str = "it does not begin with the header of a segment";

/// What a file was found to be.
pub(super) struct Scan {
    /// Which file.
    pub(super) name: SegmentName,
    /// What of it may be relied on; `None`: nothing.
    pub(super) segment: Option<Segment>,
    /// What follows behind that: no frame, and no frame follows it.
    pub(super) torn: Option<Torn>,
}

/// The bytes behind the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn {
    /// Where they begin.
    pub(super) offset: u64,
    /// How many they are.
    pub(super) bytes: u64,
    /// Why they are no frame.
    pub(super) reason: &'static str,
}

/// Reads a segment; `since` is the outbox's first number, for the error.
///
/// # Errors
/// [`OutboxError::Damaged`] where a frame follows behind bytes that are none: no crash does that, since a frame is written when the
/// one before it has reached the disk.
pub(super) fn scan(folder: &Folder, name: SegmentName, since: u64) -> Result<Scan, OutboxError> {
    let path = folder.path_of(name);
    let file = folder.open(name)?;
    let length = file.length().map_err(failed("read", &path))?;
    let header = folder.header(name);
    let salt = Salt::of(&header);
    let mut scanner = Scanner { folder, name, path, file, length, salt, since, chunk: vec![0; CHUNK_BYTES] };
    let mut start = [0; MAX_HEADER_BYTES];
    let read = scanner.read(&mut start, 0)?;
    let (segment, bad) = match judge(&start[..read], &header) {
        Header::Own => scanner.frames()?,
        Header::Absent if length == 0 => (None, None),
        // It was on the disk before the first batch was written.
        Header::Absent if length > length_of(HEADER_BYTES) => return Err(scanner.damaged(0, NO_HEADER)),
        Header::Absent => (None, Some((0, NO_HEADER))),
        Header::Foreign => return Err(scanner.damaged(0, "it begins with the header of another file")),
        Header::Newer(found) => {
            return Err(OutboxError::Newer { file: scanner.path, found, newest: VERSION, part: "outbox" });
        }
    };
    let Some((offset, reason)) = bad else { return Ok(Scan { name, segment, torn: None }) };
    if let Some(behind) = scanner.frame_from(offset + 1)? {
        let reason = format!("{reason}, although a batch follows at byte {behind}");
        return Err(scanner.damaged(offset, reason));
    }
    Ok(Scan { name, segment, torn: Some(Torn { offset, bytes: length - offset, reason }) })
}

/// Where bytes begin that are no frame, and why they are none.
type Bad = (u64, &'static str);

struct Scanner<'a> {
    folder: &'a Folder,
    name: SegmentName,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    length: u64,
    salt: Salt,
    since: u64,
    chunk: Vec<u8>,
}

impl Scanner<'_> {
    /// Reads the frames up to the end, or to the first that is none.
    fn frames(&mut self) -> Result<(Option<Segment>, Option<Bad>), OutboxError> {
        let mut segment: Option<Segment> = None;
        let mut end = length_of(HEADER_BYTES);
        while end < self.length {
            let frame = match self.frame(end)? {
                Ok(frame) => frame,
                Err(reason) => return Ok((segment, Some((end, reason)))),
            };
            let next = segment.as_ref().map_or(self.name.first_seq, |segment| segment.seq + 1);
            if frame.first_seq != next || frame.seq < next {
                let FrameHeader { first_seq, seq, .. } = frame;
                let reason = format!("batches {first_seq} to {seq} are where batch {next} is next");
                return Err(self.damaged(end, reason));
            }
            match &mut segment {
                None => segment = Some(Segment::begin(self.name, frame.seq, frame.frame_bytes())),
                Some(segment) => segment.push(frame.seq, frame.frame_bytes()),
            }
            end += frame.frame_bytes();
        }
        Ok((segment, None))
    }

    /// Checks the frame at `offset`, or says why it is none.
    fn frame(&mut self, offset: u64) -> Result<Result<FrameHeader, &'static str>, OutboxError> {
        let mut bytes = [0; FRAME_BYTES];
        let read = self.read(&mut bytes, offset)?;
        let Some(frame) = self.salt.read_frame(&bytes[..read]) else {
            return Ok(Err(if read < FRAME_BYTES { "a batch ends early" } else { "there is no batch" }));
        };
        let end = offset + frame.frame_bytes();
        if end > self.length {
            return Ok(Err("a batch ends early"));
        }
        let (mut sum, mut at) = (None, offset + length_of(FRAME_BYTES));
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let mut chunk = std::mem::take(&mut self.chunk);
            let read = self.read(&mut chunk[..wanted], at)?;
            self.chunk = chunk;
            if read < wanted {
                return Ok(Err("a batch ends early"));
            }
            sum = Some(self.salt.sum(sum, &self.chunk[..read]));
            at += length_of(read);
        }
        let is_right = sum.unwrap_or(self.salt.sum(None, &[])) == frame.sum;
        Ok(if is_right { Ok(frame) } else { Err("the checksum of a batch is wrong") })
    }

    /// Where, from `offset` on, the first thing is that stands before a payload in this segment.
    fn frame_from(&mut self, mut offset: u64) -> Result<Option<u64>, OutboxError> {
        let finder = memchr::memmem::Finder::new(&MARKER);
        while offset < self.length {
            let mut chunk = std::mem::take(&mut self.chunk);
            let read = self.read(&mut chunk, offset)?;
            self.chunk = chunk;
            let bytes = &self.chunk[..read];
            let found = finder.find_iter(bytes).find(|&at| self.salt.read_frame(&bytes[at..]).is_some());
            if let Some(at) = found {
                return Ok(Some(offset + length_of(at)));
            }
            // What begins in the last bytes of this chunk is whole in the next one.
            let Some(step) = (read + 1).checked_sub(FRAME_BYTES).filter(|step| *step > 0) else { break };
            offset += length_of(step);
        }
        Ok(None)
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<usize, OutboxError> {
        Ok(read_full(&*self.file, bytes, offset).map_err(failed("read", &self.path))?)
    }

    fn damaged(&self, offset: u64, reason: impl Into<String>) -> OutboxError {
        self.folder.damaged(self.name, offset, reason, self.since)
    }
}

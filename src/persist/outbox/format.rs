//! The bytes of a segment: a header that says whose it is, then frames, each with one batch.
//!
//! All numbers are big-endian, all checksums CRC-32C. A header, in every version: magic, version, its length, ..., checksum of all
//! before. A frame: marker, length of the payload, first and last number that it covers, checksum of the payload, checksum of all before;
//! then the payload. A frame's checksums go on from its segment's, so that no frame of another file is taken for one, nor bytes
//! that a client has put into a value.

use super::error::OutboxError;
use super::name::{Name, SegmentName};
use crate::persist::disk::length_of;

const MAGIC: [u8; 8] = *b"quotadOB";

/// The version that is written.
pub(super) const VERSION: u32 = 1;

/// The bytes of a header of this version.
pub(super) const HEADER_BYTES: usize = 76;

/// The most bytes that a header of a later version may have.
pub(super) const MAX_HEADER_BYTES: usize = 4_096;

/// What a frame begins with, so that it is found behind bytes that are damaged.
pub(super) const MARKER: [u8; 4] = [0xf7, 0x0b, 0xa7, 0xc4];

/// The bytes of a frame before its payload.
pub(super) const FRAME_BYTES: usize = 32;

/// What the beginning of a file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// The header that the file should have.
    Own,
    /// One of a later version.
    Newer(u32),
    /// One of another file.
    Foreign,
    /// None.
    Absent,
}

/// The header of a segment.
pub(super) fn header(name: &Name, segment: SegmentName) -> [u8; HEADER_BYTES] {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(u32::try_from(HEADER_BYTES).expect("a header is short").to_be_bytes());
    bytes.extend(name.data_set.0);
    bytes.extend(name.epoch.to_be_bytes());
    bytes.extend(name.owner.0);
    bytes.extend(segment.first_seq.to_be_bytes());
    bytes.extend(segment.number.to_be_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    bytes.try_into().expect("the parts are as long as the whole")
}

/// Judges what a file begins with that should begin with `expected`.
pub(super) fn judge(bytes: &[u8], expected: &[u8; HEADER_BYTES]) -> Header {
    if bytes.starts_with(expected) {
        return Header::Own;
    }
    let Some((version, true)) = checked_version(bytes) else { return Header::Absent };
    if version > VERSION { Header::Newer(version) } else { Header::Foreign }
}

/// The version of a header, and whether its checksum is right.
fn checked_version(bytes: &[u8]) -> Option<(u32, bool)> {
    let (magic, rest) = bytes.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (covered, sum) = bytes.get(..length)?.split_last_chunk()?;
    let is_right = crc32c::crc32c(covered) == u32::from_be_bytes(*sum);
    (*magic == MAGIC).then_some((u32::from_be_bytes(*version), is_right))
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// The first number that is covered.
    pub(super) first_seq: u64,
    /// The last one.
    pub(super) seq: u64,
    /// The bytes of the payload.
    pub(super) length: u32,
    /// The checksum of the payload.
    pub(super) sum: u32,
}

impl FrameHeader {
    /// The bytes of the whole frame.
    pub(super) fn frame_bytes(&self) -> u64 {
        length_of(FRAME_BYTES) + u64::from(self.length)
    }
}

/// What the checksums of a segment's frames go on from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Salt(u32);

impl Salt {
    /// That of a segment with this header.
    pub(super) fn of(header: &[u8; HEADER_BYTES]) -> Self {
        // The checksum of all of it would say less: what ends in its own checksum may have the same one whatever it says.
        let (_, sum) = header.split_last_chunk().expect("a header ends in its checksum");
        Self(u32::from_be_bytes(*sum))
    }

    /// The checksum of a payload, or of the next part of one whose parts before have `sum`.
    pub(super) fn sum(self, sum: Option<u32>, payload: &[u8]) -> u32 {
        crc32c::crc32c_append(sum.unwrap_or(self.0), payload)
    }

    /// Appends a frame, with the payload that `write` appends; answers the frame's bytes.
    pub(super) fn put_frame(
        self,
        out: &mut Vec<u8>,
        first_seq: u64,
        seq: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u64, OutboxError> {
        let start = out.len();
        out.resize(start + FRAME_BYTES, 0);
        write(out);
        let (header, payload) = out[start..].split_at_mut(FRAME_BYTES);
        let bytes = payload.len();
        let length = u32::try_from(bytes).map_err(|_| OutboxError::TooLarge { seq, bytes })?;
        let (covered, sum) = header.split_at_mut(FRAME_BYTES - size_of::<u32>());
        covered[..4].copy_from_slice(&MARKER);
        covered[4..8].copy_from_slice(&length.to_be_bytes());
        covered[8..16].copy_from_slice(&first_seq.to_be_bytes());
        covered[16..24].copy_from_slice(&seq.to_be_bytes());
        covered[24..28].copy_from_slice(&self.sum(None, payload).to_be_bytes());
        sum.copy_from_slice(&self.sum(None, covered).to_be_bytes());
        Ok(length_of(out.len() - start))
    }

    /// Reads what stands before a payload; `None` where it is no frame's of this segment.
    pub(super) fn read_frame(self, bytes: &[u8]) -> Option<FrameHeader> {
        let (covered, sum) = bytes.get(..FRAME_BYTES)?.split_last_chunk()?;
        if self.sum(None, covered) != u32::from_be_bytes(*sum) {
            return None;
        }
        let (marker, rest) = covered.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (first_seq, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (sum, _) = rest.split_first_chunk()?;
        let header = FrameHeader {
            first_seq: u64::from_be_bytes(*first_seq),
            seq: u64::from_be_bytes(*seq),
            length: u32::from_be_bytes(*length),
            sum: u32::from_be_bytes(*sum),
        };
        (*marker == MARKER).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::store::Id;

    const NAME: Name = Name { data_set: Id([1; 16]), epoch: 2, owner: Id([3; 16]) };

    const SEGMENT: SegmentName = SegmentName { first_seq: 4, number: 5 };

    /// These bytes are on disks: a change needs a new version.
    #[test]
    fn a_header_and_a_frame_have_their_bytes() {
        let header = header(&NAME, SEGMENT);
        let mut expected = b"quotadOB\0\0\0\x01\0\0\0\x4c".to_vec();
        expected.extend([1; 16]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 2]);
        expected.extend([3; 16]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5]);
        expected.extend(SUMS[0]);
        assert_eq!(header.as_slice(), expected);
        let mut frame = Vec::new();
        let bytes = Salt::of(&header).put_frame(&mut frame, 4, 6, |out| out.extend(b"payload")).unwrap();
        assert_eq!(bytes, 39);
        let mut expected = vec![0xf7, 0x0b, 0xa7, 0xc4, 0, 0, 0, 7];
        expected.extend([0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 6]);
        expected.extend([SUMS[1], SUMS[2]].concat());
        expected.extend(b"payload");
        assert_eq!(frame, expected);
    }

    /// Of the header, of the payload, and of what stands before the payload; reckoned by another program.
    const SUMS: [[u8; 4]; 3] = [[0x71, 0xed, 0xc9, 0x12], [0x32, 0x4e, 0xd5, 0xbc], [0xcd, 0xc8, 0x20, 0xf3]];

    #[test]
    fn headers_are_judged() {
        let own = header(&NAME, SEGMENT);
        let check = |bytes: &[u8], expected: Header| assert_eq!(judge(bytes, &own), expected);
        check(&own, Header::Own);
        check(&[&own[..], b"more"].concat(), Header::Own);
        check(&header(&Name { epoch: 3, ..NAME }, SEGMENT), Header::Foreign);
        check(&header(&NAME, SegmentName { number: 6, ..SEGMENT }), Header::Foreign);
        check(&own[..own.len() - 1], Header::Absent);
        check(b"", Header::Absent);
        let mut newer = b"quotadOB\0\0\0\x02\0\0\0\x18more".to_vec();
        newer.extend(crc32c::crc32c(&newer).to_be_bytes());
        check(&newer, Header::Newer(2));
        newer[16] ^= 1;
        check(&newer, Header::Absent);
    }

    #[test]
    fn frames_come_back_only_in_their_own_segment() {
        let salt = Salt::of(&header(&NAME, SEGMENT));
        let mut frame = Vec::new();
        salt.put_frame(&mut frame, 7, 9, |out| out.extend(b"payload")).unwrap();
        let read = salt.read_frame(&frame).unwrap();
        assert_eq!((read.first_seq, read.seq, read.length, read.frame_bytes()), (7, 9, 7, 39));
        assert_eq!(read.sum, salt.sum(Some(salt.sum(None, b"pay")), b"load"));
        let other = Salt::of(&header(&NAME, SegmentName { number: 6, ..SEGMENT }));
        assert_eq!(other.read_frame(&frame), None);
        assert_eq!(salt.read_frame(&frame[..FRAME_BYTES - 1]), None);
    }
}

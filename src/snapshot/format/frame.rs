//! What stands before the payload of a block, and the trailer.
//!
//! A block: marker, its number, bytes of its columns, bytes of its payload (with the tag of a seal), entries, checksum of the payload,
//! checksum of all before. The trailer: marker, blocks, entries, the tag where the part is sealed, checksum of all before.
//! Checksums go on from the header's, so that nothing of another part is taken for this one's. A part whose last bytes are missing
//! has no trailer.

use super::error::{FormatError, Place, Problem};
use super::header::HEADER_BYTES;
use super::seal::{Seal, TAG_BYTES};

/// What a block begins with.
pub(super) const BLOCK: [u8; 4] = [0xb1, 0x0c, 0x5a, 0x3e];

/// What the trailer begins with.
pub(super) const TRAILER: [u8; 4] = [0x4e, 0xf3, 0xa5, 0xc1];

/// The bytes before a payload.
pub(super) const FRAME_BYTES: usize = 28;

/// The first of them, which are sealed with the payload.
const FIELD_BYTES: usize = 20;

/// The bytes of the trailer's fields.
const TRAILER_FIELD_BYTES: usize = 16;

/// What the checksums of a part go on from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Salt(u32);

impl Salt {
    /// That of a part with this header.
    pub(super) fn of(header: &[u8; HEADER_BYTES]) -> Self {
        // The checksum of all of it would say less: what ends in its own checksum may have the same one whatever it says.
        let (_, sum) = header.split_last_chunk().expect("a header ends in its checksum");
        Self(u32::from_be_bytes(*sum))
    }

    /// The checksum of `bytes` in this part.
    pub(super) fn sum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }

    /// Whether `bytes` end in the checksum of all before.
    fn is_whole(self, bytes: &[u8]) -> bool {
        bytes.split_last_chunk().is_some_and(|(covered, sum)| self.sum(covered) == u32::from_be_bytes(*sum))
    }
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The number of the block.
    pub(super) number: u32,
    /// The bytes of its columns.
    pub(super) raw_bytes: u32,
    /// The bytes of its payload.
    pub(super) stored_bytes: u32,
    /// Its entries.
    pub(super) count: u32,
}

impl Frame {
    /// The fields that are sealed with the payload.
    pub(super) fn fields(&self) -> [u8; FIELD_BYTES] {
        let mut bytes = [0; FIELD_BYTES];
        bytes[..4].copy_from_slice(&BLOCK);
        let numbers = [self.number, self.raw_bytes, self.stored_bytes, self.count];
        for (field, number) in bytes[4..].chunks_exact_mut(4).zip(numbers) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// The bytes before a payload with the checksum `sum`.
    pub(super) fn encode(&self, salt: Salt, sum: u32) -> [u8; FRAME_BYTES] {
        let mut bytes = [0; FRAME_BYTES];
        bytes[..FIELD_BYTES].copy_from_slice(&self.fields());
        bytes[FIELD_BYTES..FIELD_BYTES + 4].copy_from_slice(&sum.to_be_bytes());
        let whole = salt.sum(&bytes[..FRAME_BYTES - 4]);
        bytes[FRAME_BYTES - 4..].copy_from_slice(&whole.to_be_bytes());
        bytes
    }

    /// Reads what stands before the payload of block `number`, and the payload, whose checksum is right; answers what follows too.
    pub(super) fn read(bytes: &[u8], number: u32, salt: Salt) -> Result<(Self, &[u8], &[u8]), FormatError> {
        let place = Place::Block(number);
        let wrong = |problem| FormatError::new(place, problem);
        let (head, rest) = bytes.split_first_chunk::<FRAME_BYTES>().ok_or(wrong(Problem::Ends))?;
        if !salt.is_whole(head) || !head.starts_with(&BLOCK) {
            return Err(wrong(Problem::Checksum));
        }
        let field = |at: usize| {
            let bytes = head[at..].first_chunk().expect("a frame has all of its fields");
            u32::from_be_bytes(*bytes)
        };
        let frame = Self { number: field(4), raw_bytes: field(8), stored_bytes: field(12), count: field(16) };
        place.expect("number", &frame.number, &number)?;
        let stored = usize::try_from(frame.stored_bytes).unwrap_or(usize::MAX);
        let (payload, rest) = rest.split_at_checked(stored).ok_or(wrong(Problem::Ends))?;
        if salt.sum(payload) != field(FIELD_BYTES) {
            return Err(wrong(Problem::Checksum));
        }
        Ok((frame, payload, rest))
    }
}

/// What a part ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Its blocks.
    pub(super) blocks: u32,
    /// Its entries.
    pub(super) entries: u64,
}

impl Trailer {
    /// The bytes of a trailer.
    pub(super) const fn bytes(is_sealed: bool) -> usize {
        TRAILER_FIELD_BYTES + if is_sealed { TAG_BYTES } else { 0 } + size_of::<u32>()
    }

    /// Appends the trailer.
    pub(super) fn put(&self, out: &mut Vec<u8>, salt: Salt, seal: Option<&Seal>) {
        let start = out.len();
        out.extend(TRAILER);
        out.extend(self.blocks.to_be_bytes());
        out.extend(self.entries.to_be_bytes());
        if let Some(seal) = seal {
            let tag = seal.close(self.blocks, true, &out[start..], &mut []);
            out.extend(tag);
        }
        let sum = salt.sum(&out[start..]);
        out.extend(sum.to_be_bytes());
    }

    /// Reads a trailer of all of `bytes`.
    pub(super) fn read(bytes: &[u8], salt: Salt, seal: Option<&Seal>) -> Result<Self, FormatError> {
        let wrong = |problem| FormatError::new(Place::Trailer, problem);
        if bytes.len() < Self::bytes(seal.is_some()) {
            return Err(wrong(Problem::Ends));
        }
        let (whole, follows) = bytes.split_at(Self::bytes(seal.is_some()));
        if !salt.is_whole(whole) || !whole.starts_with(&TRAILER) {
            return Err(wrong(Problem::Checksum));
        }
        if !follows.is_empty() {
            return Err(wrong(Problem::Follows(follows.len())));
        }
        let blocks = whole[4..].first_chunk().expect("a trailer has all of its fields");
        let entries = whole[8..].first_chunk().expect("a trailer has all of its fields");
        let trailer = Self { blocks: u32::from_be_bytes(*blocks), entries: u64::from_be_bytes(*entries) };
        if let Some(seal) = seal {
            let (fields, rest) = whole.split_at(TRAILER_FIELD_BYTES);
            seal.open(Place::Trailer, trailer.blocks, fields, &mut rest[..TAG_BYTES].to_vec())?;
        }
        Ok(trailer)
    }
}

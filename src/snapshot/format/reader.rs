//! Reads a part: everything is checked before it is believed, and no more memory is taken than a block may have.

use super::closed::period_of;
use super::entries::{Entry, read_entries};
use super::error::{FormatError, Place, Problem};
use super::frame::{BLOCK, Frame, Salt, TRAILER, Trailer};
use super::header::{self, HEADER_BYTES, PartHeader};
use super::key::SealingKeys;
use super::packing::Unpacker;
use super::seal::Seal;
use super::writer::{MAX_BLOCK_BYTES, MAX_ENTRY_BYTES};
use crate::persist::ClosedPeriod;

/// Reads the part that should be `expected`, and shows each entry to `visit`; answers how many there were.
///
/// Entries of a block are shown before the blocks behind it were looked at: an error says that nothing shown may be used. A part that is
/// not sealed is read whatever keys there are; the manifest tells whether it should be.
///
/// # Errors
/// [`FormatError`] for whatever [`PartWriter`](super::PartWriter) does not write into this part; what `visit` answers.
pub fn read_part<E: From<FormatError>>(
    bytes: &[u8],
    expected: &PartHeader,
    keys: &SealingKeys,
    mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    read_blocks(bytes, expected, keys, |_, entry| visit(entry))
}

/// As [`read_part`], of a part that holds closed periods.
///
/// # Errors
/// As [`read_part`].
pub fn read_closed_part<E: From<FormatError>>(
    bytes: &[u8],
    expected: &PartHeader,
    keys: &SealingKeys,
    mut visit: impl FnMut(ClosedPeriod) -> Result<(), E>,
) -> Result<u64, E> {
    read_blocks(bytes, expected, keys, |block, entry| {
        let wrong = |error| FormatError::new(Place::Block(block), Problem::Decode(error));
        visit(period_of(entry).map_err(wrong)?)
    })
}

/// Shows each entry with the number of its block.
fn read_blocks<E: From<FormatError>>(
    bytes: &[u8],
    expected: &PartHeader,
    keys: &SealingKeys,
    mut visit: impl FnMut(u32, Entry<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let (header, sealing) = header::read(bytes, expected)?;
    let seal = match sealing {
        Some(sealing) => Some(Seal::new(keys.opening(sealing.key, Place::Header)?, &sealing, header)),
        None => None,
    };
    let mut part = Part {
        salt: Salt::of(header),
        seal,
        rest: &bytes[HEADER_BYTES..],
        blocks: 0,
        entries: 0,
        unpacker: Unpacker::new(),
        opened: Vec::new(),
        raw: Vec::new(),
    };
    while !part.is_at_trailer() {
        let frame = part.block()?;
        read_entries(&part.raw, frame.number, frame.count, &mut |entry| visit(frame.number, entry))?;
        part.entries += u64::from(frame.count);
        part.blocks += 1;
    }
    part.trailer()?;
    Ok(part.entries)
}

/// What is left of a part.
struct Part<'a> {
    salt: Salt,
    seal: Option<Seal>,
    rest: &'a [u8],
    blocks: u32,
    entries: u64,
    unpacker: Unpacker,
    opened: Vec<u8>,
    /// The columns of the block that was read last.
    raw: Vec<u8>,
}

impl Part<'_> {
    /// Whether what follows is no block. Marks are not relied on alone: where no more than a trailer is left, one has to be there.
    fn is_at_trailer(&self) -> bool {
        let mark = &self.rest[..self.rest.len().min(BLOCK.len())];
        let is_block = !mark.is_empty() && BLOCK.starts_with(mark);
        let is_short = self.rest.len() <= Trailer::bytes(self.seal.is_some());
        self.rest.starts_with(&TRAILER) || (is_short && !is_block)
    }

    /// Reads the next block into `raw`.
    fn block(&mut self) -> Result<Frame, FormatError> {
        let (frame, payload, rest) = Frame::read(self.rest, self.blocks, self.salt)?;
        self.rest = rest;
        let place = Place::Block(frame.number);
        let raw_bytes = usize::try_from(frame.raw_bytes).unwrap_or(usize::MAX);
        let most = if frame.count == 1 { MAX_ENTRY_BYTES } else { MAX_BLOCK_BYTES };
        place.limit("size", frame.raw_bytes.into(), most.try_into().unwrap_or(u64::MAX))?;
        if frame.count == 0 {
            return Err(FormatError::refused(place, "it has no entries"));
        }
        let packed = match &self.seal {
            Some(seal) => {
                self.opened.clear();
                self.opened.extend_from_slice(payload);
                seal.open(place, frame.number, &frame.fields(), &mut self.opened)?
            }
            None => payload,
        };
        let wrong = |problem| FormatError::new(place, problem);
        self.unpacker.unpack(packed, raw_bytes, &mut self.raw).map_err(wrong)?;
        Ok(frame)
    }

    /// Reads the trailer, and checks that it is of what was read.
    fn trailer(&self) -> Result<(), FormatError> {
        let trailer = Trailer::read(self.rest, self.salt, self.seal.as_ref())?;
        Place::Trailer.expect("number of blocks", &trailer.blocks, &self.blocks)?;
        Place::Trailer.expect("number of entries", &trailer.entries, &self.entries)
    }
}

//! Writes a part: entries into open blocks under a guard, blocks into bytes outside of it.

use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

use super::closed::content_of;
use super::columns::Columns;
use super::error::{FormatError, Place};
use super::frame::{FRAME_BYTES, Frame, Salt, Trailer};
use super::header::{self, PartHeader, SALT_BYTES, Sealing};
use super::key::SealingKey;
use super::packing::Packer;
use super::seal::{Seal, TAG_BYTES};
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::persist::ClosedPeriod;

/// A block is closed when its columns have so many bytes: with a quarter of it a snapshot has 1 to 5% more, with twice 1% less
/// (`cargo bench --bench snapshot_format`).
pub const BLOCK_BYTES: usize = 256 * 1024;

/// The most bytes of the columns of a block with several entries: one that is almost closed, and one entry that is not large,
/// whose durable form has at most twice the bytes that [`is_large`] counts, and what comes with it.
pub(super) const MAX_BLOCK_BYTES: usize = 4 * BLOCK_BYTES;

/// The most bytes of a block with one entry: a key and a value of 512 MiB each, and what comes with them.
pub(super) const MAX_ENTRY_BYTES: usize = 1025 * 1024 * 1024;

/// The most bytes of a part, unless one entry alone has more: what is small enough to be held and sent again as a whole.
pub const MAX_PART_BYTES: usize = 16 * 1024 * 1024;

/// Blocks whose memory is kept for the next ones.
const SPARE_BLOCKS: usize = 4;

/// A part that is written.
pub struct PartWriter {
    out: Vec<u8>,
    salt: Salt,
    seal: Option<Seal>,
    open: Columns,
    /// Blocks that are closed and not yet packed.
    closed: Vec<Columns>,
    closed_bytes: usize,
    spare: Vec<Columns>,
    packer: Packer,
    plane: Vec<u8>,
    blocks: u32,
    entries: u64,
}

/// A part that is written to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedPart {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its entries, or closed periods.
    pub entries: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

impl PartWriter {
    /// Begins a part, sealed where there is a key.
    ///
    /// # Errors
    /// [`FormatError`] if the system has no random numbers for a key of the part's own.
    pub fn new(part: &PartHeader, key: Option<&SealingKey>) -> Result<Self, FormatError> {
        let mut salt = [0; SALT_BYTES];
        if key.is_some() {
            SystemRandom::new().fill(&mut salt).map_err(|_| {
                FormatError::refused(Place::Header, "the system has no random numbers for its key")
            })?;
        }
        Ok(Self::with_salt(part, key, salt))
    }

    /// Begins a part whose own key is derived with `salt`, which is never used again.
    pub(super) fn with_salt(part: &PartHeader, key: Option<&SealingKey>, salt: [u8; SALT_BYTES]) -> Self {
        let key = key.map(|key| (key, Sealing { key: key.id(), salt }));
        let header = header::encode(part, key.as_ref().map(|(_, sealing)| sealing));
        Self {
            out: header.to_vec(),
            salt: Salt::of(&header),
            seal: key.map(|(key, sealing)| Seal::new(key, &sealing, &header)),
            open: Columns::with_room(),
            closed: Vec::new(),
            closed_bytes: 0,
            spare: Vec::new(),
            packer: Packer::new(),
            plane: Vec::new(),
            blocks: 0,
            entries: 0,
        }
    }

    /// Adds an entry to the open block. Nothing is packed, large texts are held instead of copied, and no memory is taken once a
    /// block was as full as it gets and [`turn_block`](Self::turn_block) is called between guards.
    #[inline]
    pub fn entry(&mut self, database: u8, key: &[u8], content: &Content, expiry: Expiry) {
        if self.open.bytes() >= BLOCK_BYTES || (is_large(key, content) && self.open.count() > 0) {
            self.close_block();
        }
        self.open.push(database, key, content, expiry);
        self.entries += 1;
    }

    /// Adds a closed period, to a part that holds such.
    pub fn closed(&mut self, period: &ClosedPeriod) {
        let (content, end) = content_of(period);
        self.entry(period.database, &period.subject, &content, end);
    }

    #[cold]
    pub(super) fn close_block(&mut self) {
        let next = self.spare.pop().unwrap_or_else(Columns::with_room);
        self.closed_bytes += self.open.bytes();
        self.closed.push(std::mem::replace(&mut self.open, next));
    }

    /// Packs and seals the blocks that are full; to be called while no guard is held.
    ///
    /// # Errors
    /// [`FormatError`] for an entry that no part can hold.
    pub fn turn_block(&mut self) -> Result<(), FormatError> {
        if self.open.bytes() >= BLOCK_BYTES {
            self.close_block();
        }
        self.pack_blocks()
    }

    fn pack_blocks(&mut self) -> Result<(), FormatError> {
        self.closed_bytes = 0;
        for mut block in std::mem::take(&mut self.closed) {
            self.pack(&block)?;
            block.clear();
            if self.spare.len() < SPARE_BLOCKS {
                self.spare.push(block);
            }
        }
        Ok(())
    }

    fn pack(&mut self, block: &Columns) -> Result<(), FormatError> {
        let place = Place::Block(self.blocks);
        let directory = block.directory();
        let raw_bytes = directory.len() + block.bytes();
        let most = if block.count() == 1 { MAX_ENTRY_BYTES } else { MAX_BLOCK_BYTES };
        place.limit("size", raw_bytes.try_into().unwrap_or(u64::MAX), most.try_into().unwrap_or(u64::MAX))?;
        let raw_bytes = u32::try_from(raw_bytes).expect("the most is below 4 GiB");
        let start = self.begin_block();
        let Self { out, packer, plane, .. } = self;
        packer
            .pack(raw_bytes, out, |packing| block.feed(&directory, plane, packing))
            .map_err(|problem| FormatError::new(place, problem))?;
        self.end_block(start, raw_bytes, block.count());
        Ok(())
    }

    /// Leaves room for a frame; answers where.
    fn begin_block(&mut self) -> usize {
        let start = self.out.len();
        self.out.resize(start + FRAME_BYTES, 0);
        start
    }

    /// Seals the payload behind the frame at `start`, and writes the frame.
    fn end_block(&mut self, start: usize, raw_bytes: u32, count: u32) {
        let tag_bytes = if self.seal.is_some() { TAG_BYTES } else { 0 };
        let payload = start + FRAME_BYTES;
        let stored_bytes = u32::try_from(self.out.len() - payload + tag_bytes).expect("it is below 4 GiB");
        let frame = Frame { number: self.blocks, raw_bytes, stored_bytes, count };
        if let Some(seal) = &self.seal {
            let tag = seal.close(frame.number, false, &frame.fields(), &mut self.out[payload..]);
            self.out.extend(tag);
        }
        let sum = self.salt.sum(&self.out[payload..]);
        self.out[start..payload].copy_from_slice(&frame.encode(self.salt, sum));
        self.blocks += 1;
    }

    /// The bytes of the part so far, without blocks that are not packed yet.
    #[must_use]
    pub fn stored_bytes(&self) -> usize {
        self.out.len()
    }

    /// Whether another block, packed badly, could make the part larger than [`MAX_PART_BYTES`]: the next entry belongs into the
    /// next part. Asked behind each [`turn_block`](Self::turn_block), it keeps all parts to that size in which no entry is large,
    /// if at most a block's entries are added between.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.out.len() + self.closed_bytes + self.open.bytes() + MAX_BLOCK_BYTES >= MAX_PART_BYTES
    }

    /// Packs what is left, and ends the part.
    ///
    /// # Errors
    /// [`FormatError`] for an entry that no part can hold.
    pub fn finish(mut self) -> Result<FinishedPart, FormatError> {
        if self.open.count() > 0 {
            self.close_block();
        }
        self.pack_blocks()?;
        let trailer = Trailer { blocks: self.blocks, entries: self.entries };
        trailer.put(&mut self.out, self.salt, self.seal.as_ref());
        let digest = digest::digest(&digest::SHA256, &self.out);
        let sha256 = digest.as_ref().try_into().expect("a digest has 32 bytes");
        Ok(FinishedPart { bytes: self.out, entries: self.entries, sha256 })
    }
}

/// Whether an entry has a block of its own.
#[inline]
fn is_large(key: &[u8], content: &Content) -> bool {
    key.len() + content.heap_bytes() >= BLOCK_BYTES
}

/// A part with one block of these columns, whatever they say: its frame and checksums are right, so that a fuzzer reaches what is
/// behind them.
#[cfg(any(test, fuzzing))]
#[must_use]
pub fn part_of_block(part: &PartHeader, raw: &[u8], count: u32) -> Vec<u8> {
    let mut writer = PartWriter::with_salt(part, None, [0; SALT_BYTES]);
    let start = writer.begin_block();
    let raw_bytes = u32::try_from(raw.len()).expect("it is short");
    writer.packer.pack(raw_bytes, &mut writer.out, |packing| packing.column(raw)).expect("it is packed");
    writer.end_block(start, raw_bytes, count);
    writer.entries = count.into();
    writer.finish().expect("nothing is left to be packed").bytes
}

/// The columns that entries become in one block.
#[cfg(any(test, fuzzing))]
#[must_use]
pub fn block_of_part(bytes: &[u8]) -> Vec<u8> {
    let header = bytes.first_chunk().expect("it is a part");
    let (frame, payload, _) =
        Frame::read(&bytes[header::HEADER_BYTES..], 0, Salt::of(header)).expect("it has a block");
    let mut raw = Vec::new();
    let raw_bytes = usize::try_from(frame.raw_bytes).expect("it is short");
    super::packing::Unpacker::new().unpack(payload, raw_bytes, &mut raw).expect("it is a frame");
    raw
}

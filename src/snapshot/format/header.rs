//! What a part begins with: whose it is, and how it is sealed.
//!
//! All numbers are big-endian. In every version: magic, version, length of the header, ..., CRC-32C of all before. In this one between
//! them: flags, id of the key, salt, data set, second, epoch and number of the cut, number of the part. What is not sealed has
//! zeros for key and salt. The flags say whether it is sealed, and what the part holds.

use std::fmt;

use super::error::{FormatError, Place, Problem};
use super::identity::SnapshotId;
use super::key::KeyId;
use crate::persist::Id;

const MAGIC: [u8; 8] = *b"quotadSP";

/// The version that is written.
const VERSION: u32 = 1;

/// The bytes of a header of this version.
pub(super) const HEADER_BYTES: usize = 108;

/// The most bytes that a header of a later version may have.
const MAX_HEADER_BYTES: usize = 4_096;

/// The bytes that are drawn for each part, so that no two parts have one key.
pub(super) const SALT_BYTES: usize = 32;

/// The flag of a part that is sealed.
const SEALED: u32 = 1;

/// The flag of a part of closed periods.
const CLOSED: u32 = 2;

/// What is in a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Holds {
    /// Keys with their values.
    #[default]
    Entries,
    /// What was used of budgets in periods that are over.
    ClosedPeriods,
}

impl fmt::Display for Holds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Entries => "entries",
            Self::ClosedPeriods => "closed periods",
        })
    }
}

/// Which part of which snapshot of which data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartHeader {
    /// The data set.
    pub data_set: Id,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The number of the part.
    pub number: u32,
    /// What is in it.
    pub holds: Holds,
}

/// How a part is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sealing {
    /// The key.
    pub(super) key: KeyId,
    /// What the part's own key is derived with.
    pub(super) salt: [u8; SALT_BYTES],
}

/// The bytes of a header.
pub(super) fn encode(part: &PartHeader, sealing: Option<&Sealing>) -> [u8; HEADER_BYTES] {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_be_bytes());
    bytes.extend(u32::try_from(HEADER_BYTES).expect("a header is short").to_be_bytes());
    bytes.extend(flags(part.holds, sealing.is_some()).to_be_bytes());
    bytes.extend(sealing.map_or([0; 8], |sealing| sealing.key.0));
    bytes.extend(sealing.map_or([0; SALT_BYTES], |sealing| sealing.salt));
    bytes.extend(part.data_set.0);
    bytes.extend(part.snapshot.numbers().iter().flat_map(|number| number.to_be_bytes()));
    bytes.extend(part.number.to_be_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    bytes.try_into().expect("the fields are as long as the whole")
}

fn flags(holds: Holds, is_sealed: bool) -> u32 {
    let of_content = match holds {
        Holds::Entries => 0,
        Holds::ClosedPeriods => CLOSED,
    };
    of_content | if is_sealed { SEALED } else { 0 }
}

/// Reads the header of a part that should be `expected`; answers its bytes and how the part is sealed.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    expected: &PartHeader,
) -> Result<(&'a [u8; HEADER_BYTES], Option<Sealing>), FormatError> {
    let wrong = |problem| FormatError::new(Place::Header, problem);
    if bytes.is_empty() {
        return Err(wrong(Problem::Empty));
    }
    let begins = bytes.len().min(MAGIC.len());
    if bytes[..begins] != MAGIC[..begins] {
        return Err(wrong(Problem::Foreign));
    }
    let (version, is_whole) = checked_version(bytes).ok_or(wrong(Problem::Ends))?;
    match is_whole {
        true if version > VERSION => return Err(wrong(Problem::Newer { found: version, newest: VERSION })),
        true if version == VERSION => {}
        _ => return Err(wrong(Problem::Checksum)),
    }
    let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(wrong(Problem::Ends))?;
    let (part, sealing) = fields(header)?;
    Place::Header.expect("data set", &part.data_set, &expected.data_set)?;
    Place::Header.expect("snapshot", &part.snapshot, &expected.snapshot)?;
    Place::Header.expect("number", &part.number, &expected.number)?;
    Place::Header.expect("content", &part.holds, &expected.holds)?;
    if encode(&part, sealing.as_ref()) != *header {
        return Err(FormatError::refused(Place::Header, "its length, flags, key or salt cannot be"));
    }
    Ok((header, sealing))
}

/// The version of a header, and whether its checksum is right; `None` where the bytes end before.
fn checked_version(bytes: &[u8]) -> Option<(u32, bool)> {
    let (version, rest) = bytes.get(MAGIC.len()..)?.split_first_chunk()?;
    let (length, _) = rest.split_first_chunk()?;
    let version = u32::from_be_bytes(*version);
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > MAX_HEADER_BYTES || (version == VERSION && length != HEADER_BYTES) {
        return Some((version, false));
    }
    let (covered, sum) = bytes.get(..length)?.split_last_chunk()?;
    Some((version, crc32c::crc32c(covered) == u32::from_be_bytes(*sum)))
}

/// The fields of a header whose checksum is right.
fn fields(header: &[u8; HEADER_BYTES]) -> Result<(PartHeader, Option<Sealing>), FormatError> {
    let rest = &mut &header[MAGIC.len() + 8..];
    let flags = u32::from_be_bytes(take(rest));
    let sealing = Sealing { key: KeyId(take(rest)), salt: take(rest) };
    let data_set = Id(take(rest));
    let numbers = [(); 3].map(|()| u64::from_be_bytes(take(rest)));
    let number = u32::from_be_bytes(take(rest));
    let snapshot = SnapshotId::from_numbers(numbers)
        .ok_or_else(|| FormatError::refused(Place::Header, "its time is behind the year 9999"))?;
    let holds = if flags & CLOSED == 0 { Holds::Entries } else { Holds::ClosedPeriods };
    Ok((PartHeader { data_set, snapshot, number, holds }, (flags & SEALED != 0).then_some(sealing)))
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (field, behind) = rest.split_first_chunk().expect("a header has all of its fields");
    *rest = behind;
    *field
}

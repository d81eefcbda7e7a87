//! Bytes are no part and no manifest of a snapshot, or are written again as the same entries and the same bytes: nothing that an
//! object store gives back makes a panic or takes memory without end.
//!
//! The bytes are taken as a whole part of entries or of closed periods, as the columns of a block whose checksums are right, as a manifest,
//! and as the body of one whose digest is right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad::clock::Timestamp;
use quotad::persist::{ClosedPeriod, Id};
use quotad::snapshot::format::{
    Entry, FormatError, Holds, Manifest, PartHeader, PartWriter, SealingKeys, SnapshotId, block_of_part,
    part_of_block, read_closed_part, read_part, seal_text,
};

/// The part that the seeds are.
fn header(holds: Holds) -> PartHeader {
    let snapshot = SnapshotId::new(Timestamp::from_micros(1_795_716_912_000_000), 3, 12_345);
    PartHeader { data_set: Id([9; 16]), snapshot, number: 2, holds }
}

/// Reads a part and writes what it holds again, all into one block.
fn rewritten(holds: Holds, part: &[u8]) -> Result<Vec<u8>, FormatError> {
    let (header, keys) = (header(holds), SealingKeys::default());
    let mut writer = PartWriter::new(&header, None)?;
    let count = match holds {
        Holds::Entries => read_part(part, &header, &keys, |entry: Entry<'_>| {
            writer.entry(entry.database, entry.key, &entry.content, entry.expiry);
            Ok::<_, FormatError>(())
        })?,
        Holds::ClosedPeriods => read_closed_part(part, &header, &keys, |period: ClosedPeriod| {
            writer.closed(&period);
            Ok::<_, FormatError>(())
        })?,
    };
    let written = writer.finish()?;
    assert_eq!(written.entries, count);
    Ok(written.bytes)
}

fuzz_target!(|input: &[u8]| {
    for holds in [Holds::Entries, Holds::ClosedPeriods] {
        // Blocks are cut elsewhere than they were, and zstd has many forms for one: the second time is the same.
        if let Ok(once) = rewritten(holds, input) {
            assert_eq!(rewritten(holds, &once), Ok(once));
        }
        if let Some((&count, raw)) = input.split_first()
            && let Ok(once) = rewritten(holds, &part_of_block(&header(holds), raw, count.into()))
        {
            assert_eq!(block_of_part(&once), raw);
        }
    }
    for manifest in [input.to_vec(), seal_text(&String::from_utf8_lossy(input))] {
        if let Ok(read) = Manifest::decode(&manifest, &SealingKeys::default())
            && read.key_id.is_none()
        {
            assert_eq!(read.encode(&SealingKeys::default()), Ok(manifest));
        }
    }
});

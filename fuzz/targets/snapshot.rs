//! Bytes are no part and no manifest of a snapshot, or are written again as the same entries and the same bytes: nothing that an
//! object store gives back makes a panic or takes memory without end.
//!
//! The bytes are taken as a whole part, as the columns of a block whose checksums are right, as a manifest, and as the body of one
//! whose digest is right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quotad::clock::Timestamp;
use quotad::persist::Id;
use quotad::snapshot::format::{
    Entry, FormatError, Manifest, PartHeader, PartWriter, SealingKeys, SnapshotId, block_of_part,
    part_of_block, read_part, seal_text,
};

/// The part that the seeds are.
fn header() -> PartHeader {
    let snapshot = SnapshotId::new(Timestamp::from_micros(1_795_716_912_000_000), 3, 12_345);
    PartHeader { data_set: Id([9; 16]), snapshot, number: 2 }
}

/// Reads a part and writes its entries again, all into one block.
fn rewritten(part: &[u8]) -> Result<Vec<u8>, FormatError> {
    let mut writer = PartWriter::new(&header(), None)?;
    let count = read_part(part, &header(), &SealingKeys::default(), |entry: Entry<'_>| {
        writer.entry(entry.database, entry.key, &entry.content, entry.expiry);
        Ok::<_, FormatError>(())
    })?;
    let written = writer.finish()?;
    assert_eq!(written.entries, count);
    Ok(written.bytes)
}

fuzz_target!(|input: &[u8]| {
    // Blocks are cut elsewhere than they were, and zstd has many forms for one: the second time is the same.
    if let Ok(once) = rewritten(input) {
        assert_eq!(rewritten(&once), Ok(once));
    }
    if let Some((&count, raw)) = input.split_first()
        && let Ok(once) = rewritten(&part_of_block(&header(), raw, count.into()))
    {
        assert_eq!(block_of_part(&once), raw);
    }
    for manifest in [input.to_vec(), seal_text(&String::from_utf8_lossy(input))] {
        if let Ok(read) = Manifest::decode(&manifest, &SealingKeys::default())
            && read.key_id.is_none()
        {
            assert_eq!(read.encode(&SealingKeys::default()), Ok(manifest));
        }
    }
});

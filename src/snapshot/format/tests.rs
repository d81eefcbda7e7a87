//! Parts come back as they were written; whatever else is found out, and where.

use proptest::prelude::*;

use super::header::HEADER_BYTES;
use super::writer::block_of_part;
use super::*;
use crate::clock::Timestamp;
use crate::engine::Expiry;
use crate::engine::value::{Content, Text};
use crate::persist::{Id, StoredValue, encode, strategy};
use crate::quota::limits;

const SALT: [u8; 32] = [7; 32];

fn header() -> PartHeader {
    let snapshot = SnapshotId::new(Timestamp::from_micros(1_795_716_912_000_000), 3, 12_345);
    PartHeader { data_set: Id([9; 16]), snapshot, number: 2 }
}

fn keys(bytes: &[u8]) -> SealingKeys {
    SealingKeys::new(bytes.iter().map(|byte| SealingKey::from_bytes([*byte; 32])).collect())
}

type Stored = (u8, Vec<u8>, StoredValue);

fn stored(database: u8, key: &str, content: Content, expiry: Expiry) -> Stored {
    (database, key.as_bytes().to_vec(), StoredValue { content, expiry })
}

/// A part of blocks with these entries.
fn write(blocks: &[Vec<Stored>], keys: &SealingKeys) -> Vec<u8> {
    write_as(&header(), blocks, keys)
}

fn write_as(header: &PartHeader, blocks: &[Vec<Stored>], keys: &SealingKeys) -> Vec<u8> {
    let mut writer = PartWriter::with_salt(header, keys.sealing(), SALT);
    for block in blocks {
        for (database, key, value) in block {
            writer.entry(*database, key, &value.content, value.expiry);
        }
        writer.close_block();
    }
    writer.turn_block().unwrap();
    let part = writer.finish().unwrap();
    assert_eq!(part.entries, u64::try_from(blocks.iter().map(Vec::len).sum::<usize>()).unwrap());
    part.bytes
}

fn read(bytes: &[u8], keys: &SealingKeys) -> Result<Vec<Stored>, FormatError> {
    read_as(&header(), bytes, keys)
}

fn read_as(header: &PartHeader, bytes: &[u8], keys: &SealingKeys) -> Result<Vec<Stored>, FormatError> {
    let mut entries = Vec::new();
    let count = read_part(bytes, header, keys, |entry| {
        let Entry { database, key, content, expiry } = entry;
        entries.push((database, key.to_vec(), StoredValue { content, expiry }));
        Ok::<_, FormatError>(())
    })?;
    assert_eq!(count, u64::try_from(entries.len()).unwrap());
    Ok(entries)
}

fn limit(words: &str) -> crate::quota::Limit {
    let (limits, _) = limits(words.split(' ').map(str::as_bytes)).unwrap();
    *limits.first().unwrap()
}

/// Two blocks with a value of each kind but several slots.
fn small() -> Vec<Vec<Stored>> {
    let rate = limit("RATE 10 PER 1s");
    vec![
        vec![
            stored(0, "key:1", Content::Integer(-3), Expiry::at_millis(1_795_716_912_345)),
            stored(0, "key:12", Content::Text(Text::new(b"text")), Expiry::NEVER),
        ],
        vec![
            stored(15, "a/1", Content::Quota(rate, 0x0102), Expiry::NEVER),
            stored(15, "a/2", Content::Quota(rate, 0x0304), Expiry::NEVER),
            stored(15, "", Content::Throttle(5), Expiry::NEVER),
        ],
    ]
}

/// These bytes lie in object stores for years: a change needs a new version.
#[test]
fn a_part_has_its_bytes() {
    let bytes = text::hex(&write(&small(), &SealingKeys::default()));
    assert_eq!(bytes, SMALL);
    let bytes = text::parse_hex::<{ SMALL.len() / 2 }>(SMALL).unwrap();
    assert_eq!(read(&bytes, &keys(&[])), Ok(small().concat()));
    let bytes = text::hex(&write(&small(), &keys(&[1])));
    assert_eq!(bytes, SEALED);
    let bytes = text::parse_hex::<{ SEALED.len() / 2 }>(SEALED).unwrap();
    assert_eq!(read(&bytes, &keys(&[1])), Ok(small().concat()));
}

/// The columns, without what compression makes of them.
#[test]
fn a_block_has_its_bytes() {
    let part = write(&small()[1..], &SealingKeys::default());
    let mut expected = vec![15, 3, 3, 3, 3, 4, 0, 2, 0, 0, 0, 48, 24];
    // The limit: its unit, RATE, 10, its burst, a second.
    expected.extend(b"\x08requests\x01\x0a\x0a\xc0\x84\x3d");
    expected.extend([15, 15, 15, 4, 4, 3]);
    expected.extend([0, 2, 0, 3, 1, 0]);
    expected.extend(b"a/12");
    expected.extend([0, 0]);
    expected.extend([0; 42]);
    expected.extend([1, 3, 0, 2, 4, 5]);
    expected.extend([0; 24]);
    assert_eq!(block_of_part(&part), expected);
}

const SMALL: &str = "";

const SEALED: &str = "";

/// Where the bytes of a part belong.
fn places(part: &[u8], is_sealed: bool) -> Vec<Place> {
    let mut places = vec![Place::Header; HEADER_BYTES];
    let trailer = frame::Trailer::bytes(is_sealed);
    for number in 0.. {
        let rest = &part[places.len()..];
        if rest.len() == trailer {
            break;
        }
        let stored = u32::from_be_bytes(*rest[12..].first_chunk().unwrap());
        let block = frame::FRAME_BYTES + usize::try_from(stored).unwrap();
        places.extend(std::iter::repeat_n(Place::Block(number), block));
    }
    places.extend(std::iter::repeat_n(Place::Trailer, trailer));
    assert_eq!(places.len(), part.len());
    places
}

#[test]
fn every_flipped_bit_is_found_where_it_is() {
    for keys in [keys(&[]), keys(&[1])] {
        let part = write(&small(), &keys);
        let places = places(&part, keys.sealing().is_some());
        for at in 0..part.len() * 8 {
            let mut bytes = part.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            let error = read(&bytes, &keys).unwrap_err();
            assert_eq!(error.place, places[at / 8], "bit {at}: {error}");
        }
    }
}

#[test]
fn every_truncation_is_found_where_it_is() {
    for keys in [keys(&[]), keys(&[1])] {
        let part = write(&small(), &keys);
        let places = places(&part, keys.sealing().is_some());
        for length in 0..part.len() {
            let error = read(&part[..length], &keys).unwrap_err();
            // Where a whole block is missing, it may be the trailer that is missing.
            let is_near = error.place == places[length]
                || (error.place == Place::Trailer && places[length - 1] != places[length])
                || (error.place == Place::Trailer
                    && places[length - 3..length].contains(&places[length - 4]));
            assert!(is_near, "{length} bytes: {error}");
            let expected = if length == 0 { Problem::Empty } else { Problem::Ends };
            assert_eq!(error.problem, expected, "{length} bytes: {error}");
        }
        let error = read(&[&part[..], b"more"].concat(), &keys).unwrap_err();
        assert_eq!(error.to_string(), "trailer of the part: 4 bytes follow behind its end");
    }
}

//! Parts come back as they were written; whatever else is found out, and where.

use proptest::prelude::*;

use super::header::HEADER_BYTES;
use super::writer::block_of_part;
use super::*;
use crate::clock::Timestamp;
use crate::engine::Expiry;
use crate::engine::value::{Content, Text};
use crate::persist::{Id, StoredValue, strategy};
use crate::quota::limits;

mod closed;

const SALT: [u8; 32] = [7; 32];

fn header() -> PartHeader {
    let snapshot = SnapshotId::new(Timestamp::from_micros(1_795_716_912_000_000), 3, 12_345);
    PartHeader { data_set: Id([9; 16]), snapshot, number: 2, holds: Holds::Entries }
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

/// The payloads are of zstd 1.5.7, and a later one may write others: then these are only read. Checksums, the part's key and the seals were
/// reckoned by another program too.
const SMALL: &str = "\
    71756f7461645350000000010000006c0000000000000000000000000000000000000000000000000000000000000000\
    00000000000000000000000009090909090909090909090909090909000000006b087730000000000000000300000000\
    00003039000000021550250db10c5a3e00000000000000310000003a0000000253f3ddab9bcbd87928b52ffd20318901\
    000002020202060100000104001000000102000505016b65793a3132050474657874000000000100a200190011009400\
    d900b10c5a3e00000001000000760000004600000003c59cb37f3f3180dc28b52ffd2076ed010044030f030303030400\
    020000003018087265717565737473010a0ac0843d0f0f0f040403000200030100612f313200010300020405000200a0\
    36c504654ef3a5c1000000020000000000000005a82ce6af";

const SEALED: &str = "\
    71756f7461645350000000010000006c00000001ff7d07688362a72e0707070707070707070707070707070707070707\
    07070707070707070707070709090909090909090909090909090909000000006b087730000000000000000300000000\
    0000303900000002a96ad57bb10c5a3e00000000000000310000004a00000002076d09da6b54dcfde8a449c6fcb79fee\
    1b8ec7f4dd82095a783371a11a2835f8055cd2f130dd387e8bd3ffcfdfd4d32e5c8a9e23557d82d2ee78d5c144790e01\
    5c5f7fe0cf1ced245a271c009e84f9c662e2b10c5a3e00000001000000760000005600000003b3986405bdecc8c2c1f8\
    5c492bc9cd25511dadc8607c31cc8eed406713b9985440518d56d140625d56ee56cf6757d1f431ba271842d6183c5543\
    bf2436de69f34ecd1ae6acdd5eec0aa0095c99579a6dbc6320a50a07936df88007fda3fa4ef3a5c10000000200000000\
    00000005eec8a9abc3ae3ae7419096d8d48ae89c98fd0652";

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
            // Where a whole block is missing, it may be the trailer that is.
            let is_between = length >= HEADER_BYTES && places[length - 1] != places[length];
            let is_near = error.place == places[length] || (is_between && error.place == Place::Trailer);
            assert!(is_near, "{length} bytes: {error}");
            let expected = if length == 0 { Problem::Empty } else { Problem::Ends };
            assert_eq!(error.problem, expected, "{length} bytes: {error}");
        }
        let error = read(&[&part[..], b"more"].concat(), &keys).unwrap_err();
        assert_eq!(error.to_string(), "trailer of the part: 4 bytes follow behind its end");
    }
}

/// A part of the small entries as it was written, and what its reader says of it in another's place.
#[test]
fn a_part_is_read_only_in_its_own_place() {
    for keys in [keys(&[]), keys(&[1])] {
        let part = write(&small(), &keys);
        let check = |header: PartHeader, expected: &str| {
            let error = read_as(&header, &part, &keys).unwrap_err().to_string();
            assert_eq!(error, format!("header of the part: {expected}"));
        };
        check(PartHeader { number: 3, ..header() }, "its number is 2; expected was 3");
        let snapshot = SnapshotId::new(header().snapshot.cut_at(), 3, 12_346);
        let expected = "its snapshot is 20261126T181512Z-3-12345; expected was 20261126T181512Z-3-12346";
        check(PartHeader { snapshot, ..header() }, expected);
        let expected = "its data set is 09090909-0909-0909-0909-090909090909; \
            expected was 0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";
        check(PartHeader { data_set: Id([10; 16]), ..header() }, expected);
        let expected = "its content is entries; expected was closed periods";
        check(PartHeader { holds: Holds::ClosedPeriods, ..header() }, expected);
    }
}

/// Cuts a part into its header, its blocks and its trailer.
fn pieces(part: &[u8], is_sealed: bool) -> Vec<Vec<u8>> {
    let places = places(part, is_sealed);
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for (at, byte) in part.iter().enumerate() {
        if at == 0 || places[at] != places[at - 1] {
            pieces.push(Vec::new());
        }
        pieces.last_mut().unwrap().push(*byte);
    }
    pieces
}

#[test]
fn blocks_stay_in_their_order_and_part() {
    for keys in [keys(&[]), keys(&[1])] {
        let is_sealed = keys.sealing().is_some();
        let own = pieces(&write(&small(), &keys), is_sealed);
        let other = PartHeader { number: 3, ..header() };
        let other = pieces(&write_as(&other, &small(), &keys), is_sealed);
        let check = |pieces: [&[u8]; 4], expected: &str| {
            let error = read(&pieces.concat(), &keys).unwrap_err().to_string();
            assert_eq!(error, expected);
        };
        let [header, one, two, trailer] = [0, 1, 2, 3].map(|at| own[at].as_slice());
        assert_eq!(read(&[header, one, two, trailer].concat(), &keys), Ok(small().concat()));
        check([header, two, one, trailer], "block 0 of the part: its number is 1; expected was 0");
        check([header, two, &[], trailer], "block 0 of the part: its number is 1; expected was 0");
        check([header, one, one, trailer], "block 1 of the part: its number is 0; expected was 1");
        check([header, one, &[], trailer], "trailer of the part: its number of blocks is 2; expected was 1");
        check([header, one, two, &[]], "trailer of the part: the bytes end before its end");
        let foreign = "its checksum is another one; it was damaged or belongs elsewhere";
        check([header, one, &other[2], trailer], &format!("block 1 of the part: {foreign}"));
        check([header, one, two, &other[3]], &format!("trailer of the part: {foreign}"));
    }
}

/// Whoever can reckon checksums still cannot make a sealed part.
#[test]
fn a_seal_holds_where_checksums_are_made_to_fit() {
    let keys = keys(&[1]);
    let mut part = write(&small(), &keys);
    // A byte of the salt, so that the own key of the part is another one.
    part[40] ^= 1;
    let sum = crc32c::crc32c(&part[..HEADER_BYTES - 4]).to_be_bytes();
    part[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&sum);
    let salt = frame::Salt::of(part.first_chunk().unwrap());
    let places = places(&part, true);
    let mut at = HEADER_BYTES;
    while let Some(Place::Block(_)) = places.get(at) {
        let head: [u8; frame::FRAME_BYTES] = part[at..at + frame::FRAME_BYTES].try_into().unwrap();
        let field = |from: usize| u32::from_be_bytes(*head[from..].first_chunk().unwrap());
        let frame =
            frame::Frame { number: field(4), raw_bytes: field(8), stored_bytes: field(12), count: field(16) };
        let payload = at + frame::FRAME_BYTES;
        let end = payload + usize::try_from(frame.stored_bytes).unwrap();
        let head = frame.encode(salt, salt.sum(&part[payload..end]));
        part[at..payload].copy_from_slice(&head);
        at = end;
    }
    let error = read(&part, &keys).unwrap_err();
    assert_eq!(error, FormatError::new(Place::Block(0), Problem::Seal));
}

#[test]
fn keys_rotate_and_a_missing_one_is_named() {
    let part = write(&small(), &keys(&[1]));
    assert_eq!(read(&part, &keys(&[2, 1])), Ok(small().concat()));
    let id = keys(&[1]).sealing().unwrap().id();
    for others in [keys(&[]), keys(&[2])] {
        let error = read(&part, &others).unwrap_err().to_string();
        let expected =
            format!("header of the part: it is sealed with the key {id}, which is none of the keys given");
        assert_eq!(error, expected);
    }
    assert_eq!(read(&write(&small(), &keys(&[2, 1])), &keys(&[2])), Ok(small().concat()));
    assert_eq!(read(&write(&small(), &keys(&[])), &keys(&[2])), Ok(small().concat()));
}

#[test]
fn every_part_has_a_key_of_its_own() {
    let keys = keys(&[1]);
    let salt = || {
        let part = PartWriter::new(&header(), keys.sealing()).unwrap().finish().unwrap();
        assert_eq!(read(&part.bytes, &keys), Ok(Vec::new()));
        part.bytes[28..60].to_vec()
    };
    assert_ne!(salt(), salt());
}

#[test]
fn other_bytes_are_no_part() {
    let check = |bytes: &[u8], expected: &str| {
        let error = read(bytes, &keys(&[])).unwrap_err().to_string();
        assert_eq!(error, format!("header of the part: {expected}"));
    };
    check(b"", "there are no bytes");
    check(b"REDIS0011", "this was not written by a quotad: it begins otherwise");
    check(b"q", "the bytes end before its end");
    let mut newer = b"quotadSP\0\0\0\x02\0\0\0\x18more".to_vec();
    newer.extend(crc32c::crc32c(&newer).to_be_bytes());
    check(&newer, "written by a newer quotad in version 2 of the format; this one reads versions up to 1");
    newer[16] ^= 1;
    check(&newer, "its checksum is another one; it was damaged or belongs elsewhere");
}

/// What is announced is not believed: no block is larger than it may be.
#[test]
fn no_announced_size_is_believed() {
    let part = write(&small(), &keys(&[]));
    let salt = frame::Salt::of(part.first_chunk().unwrap());
    let check = |raw_bytes: u32, count: u32, expected: &str| {
        let payload = b"x";
        let frame = frame::Frame { number: 0, raw_bytes, stored_bytes: 1, count };
        let mut bytes = part[..HEADER_BYTES].to_vec();
        bytes.extend(frame.encode(salt, salt.sum(payload)));
        bytes.extend(payload);
        bytes.extend([0; 40]);
        let error = read(&bytes, &keys(&[])).unwrap_err().to_string();
        assert_eq!(error, format!("block 0 of the part: {expected}"));
    };
    check(u32::MAX, 1, "its size is 4294967295; at most 1074790400 is allowed");
    check(1_048_577, 2, "its size is 1048577; at most 1048576 is allowed");
    check(1, 0, "it has no entries");
    check(1_048_576, 2, "it cannot be unpacked: Unknown frame descriptor");
}

#[test]
fn columns_have_one_form() {
    let check = |raw: &[u8], count: u32, expected: &str| {
        let part = part_of_block(&header(), raw, count);
        let error = read(&part, &keys(&[])).unwrap_err().to_string();
        assert_eq!(error, format!("block 0 of the part: {expected}"), "{raw:?}");
    };
    // A database, a kind, shared, length, key, integer, expiry.
    let one = |shared: u8, length: u8, database: u8| {
        let mut raw = vec![0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 8, database, 1, shared, length, b'k', 4];
        raw.extend([0; 8]);
        raw
    };
    let part = part_of_block(&header(), &one(0, 1, 3), 1);
    assert_eq!(read(&part, &keys(&[])), Ok(vec![stored(3, "k", Content::Integer(2), Expiry::NEVER)]));
    check(&one(1, 1, 3), 1, "the shared bytes of a key cannot be: the key before has fewer");
    check(&one(0, 2, 3), 1, "the bytes end inside of the key");
    check(&one(0, 0, 3), 1, "the keys cannot be: 1 belong to no entry");
    check(&one(0, 1, 16), 1, "16 is no known database");
    check(&one(0, 1, 3), 2, "the columns cannot be: they are not of 2 entries");
    check(&[&one(0, 1, 3)[..], &[0]].concat(), 1, "1 bytes follow behind the end");
    check(&one(0, 1, 3)[..20], 1, "the bytes end inside of the length of a column");
    let mut two = vec![0, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 16, 0, 0, 1, 1, 0, 0, 1, 1, b'k', b'k', 4, 4];
    two.extend([0; 16]);
    check(&two, 2, "the shared bytes of a key cannot be: the keys share more");
}

#[test]
fn large_values_have_blocks_of_their_own() {
    for keys in [keys(&[]), keys(&[1])] {
        let large = Content::Text(Text::new(&vec![b'x'; 5 * BLOCK_BYTES]));
        let shared = Content::Text(Text::new(&vec![b'y'; 20_000]));
        let entries = vec![
            stored(0, "small", Content::Integer(1), Expiry::NEVER),
            stored(0, "large", large, Expiry::NEVER),
            stored(0, "shared", shared, Expiry::NEVER),
            stored(0, "text", Content::Text(Text::new(b"text")), Expiry::NEVER),
        ];
        let part = write(std::slice::from_ref(&entries), &keys);
        assert_eq!(pieces(&part, keys.sealing().is_some()).len(), 5);
        assert_eq!(read(&part, &keys), Ok(entries));
    }
}

#[test]
fn blocks_are_closed_in_time_and_parts_stay_small() {
    let mut writer = PartWriter::new(&header(), None).unwrap();
    let mut count = 0_u64;
    let mut state = 1_u64;
    while !writer.is_full() {
        // Bytes that do not pack.
        let mut value = Vec::new();
        for _ in 0..1_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            value.extend((state >> 32).to_be_bytes());
        }
        let content = Content::Text(Text::new(&value));
        writer.entry(1, format!("key:{count}").as_bytes(), &content, Expiry::NEVER);
        count += 1;
        // As one guard may hold for more than one block.
        if count.is_multiple_of(200) {
            writer.turn_block().unwrap();
            assert!(writer.stored_bytes() <= MAX_PART_BYTES);
        }
    }
    let part = writer.finish().unwrap();
    assert!(part.bytes.len() <= MAX_PART_BYTES && part.bytes.len() > MAX_PART_BYTES / 4);
    assert_eq!(part.entries, count);
    assert_eq!(read(&part.bytes, &keys(&[])).unwrap().len(), usize::try_from(count).unwrap());
}

proptest! {
    #[test]
    fn all_values_come_back(
        blocks in prop::collection::vec(
            prop::collection::vec((0_u8..16, prop::collection::vec(0_u8..3, 0..12), strategy::value()), 1..12),
            0..4,
        ),
        is_sealed: bool,
    ) {
        let keys = if is_sealed { keys(&[1]) } else { keys(&[]) };
        let part = write(&blocks, &keys);
        prop_assert_eq!(read(&part, &keys).unwrap(), blocks.concat());
    }
}

/// The fuzzer begins with these; one that is refused would teach it nothing.
#[test]
fn the_seeds_of_the_fuzzer_are_read() {
    let keys = keys(&[]);
    let part = include_bytes!("../../../fuzz/corpus/snapshot/part");
    assert_eq!(read(part, &keys), Ok(small().concat()));
    let blocks: [&[u8]; 2] = [
        include_bytes!("../../../fuzz/corpus/snapshot/block"),
        include_bytes!("../../../fuzz/corpus/snapshot/slots"),
    ];
    for seed in blocks {
        let (count, raw) = seed.split_first().unwrap();
        let entries = read(&part_of_block(&header(), raw, (*count).into()), &keys).unwrap();
        assert_eq!(block_of_part(&write(&[entries], &keys)), raw);
    }
    closed::the_seeds_are_read();
    let manifest = include_bytes!("../../../fuzz/corpus/snapshot/manifest");
    let body = include_str!("../../../fuzz/corpus/snapshot/body");
    assert_eq!(seal_text(body), manifest);
    assert!(Manifest::decode(manifest, &keys).is_ok());
}

//! Closed periods come back as they were written, and nothing else is taken for them.

use super::*;
use crate::persist::ClosedPeriod;

fn closed_header() -> PartHeader {
    PartHeader { holds: Holds::ClosedPeriods, ..header() }
}

fn period(subject: &str, words: &str, start: u64, used: u64) -> ClosedPeriod {
    ClosedPeriod {
        database: 3,
        subject: subject.as_bytes().into(),
        limit: limit(words),
        start: Timestamp::from_micros(start),
        end: Timestamp::from_micros(start + 3_600_000_000),
        used,
    }
}

/// Two of one budget, whose maximum was changed for the second, and one of another.
fn periods() -> Vec<ClosedPeriod> {
    vec![
        period("org/1", "BUDGET 9 PER HOUR", 1_795_716_000_000_000, 7),
        period("org/1", "BUDGET 8 PER HOUR", 1_795_719_600_000_000, u64::MAX),
        period("org/22", "BUDGET 9 PER MONTH TZ Europe/Berlin ANCHOR 15 UNIT usd_micro", 0, 1),
    ]
}

fn write_closed(periods: &[ClosedPeriod], keys: &SealingKeys) -> Vec<u8> {
    let mut writer = PartWriter::with_salt(&closed_header(), keys.sealing(), SALT);
    periods.iter().for_each(|period| writer.closed(period));
    let part = writer.finish().unwrap();
    assert_eq!(part.entries, u64::try_from(periods.len()).unwrap());
    part.bytes
}

fn read_closed(bytes: &[u8], keys: &SealingKeys) -> Result<Vec<ClosedPeriod>, FormatError> {
    let mut periods = Vec::new();
    let count = read_closed_part(bytes, &closed_header(), keys, |period| {
        periods.push(period);
        Ok::<_, FormatError>(())
    })?;
    assert_eq!(count, u64::try_from(periods.len()).unwrap());
    Ok(periods)
}

/// These bytes lie in object stores for years: a change needs a new version.
#[test]
fn a_part_of_closed_periods_has_its_bytes() {
    let bytes = text::hex(&write_closed(&periods(), &keys(&[])));
    assert_eq!(bytes, CLOSED);
    for keys in [keys(&[]), keys(&[1])] {
        assert_eq!(read_closed(&write_closed(&periods(), &keys), &keys), Ok(periods()));
        assert_eq!(read_closed(&write_closed(&[], &keys), &keys), Ok(Vec::new()));
    }
}

#[test]
fn what_a_part_holds_is_told_apart() {
    for keys in [keys(&[]), keys(&[1])] {
        let error = read_closed(&write(&small(), &keys), &keys).unwrap_err().to_string();
        assert_eq!(error, "header of the part: its content is entries; expected was closed periods");
        let error = read(&write_closed(&periods(), &keys), &keys).unwrap_err().to_string();
        assert_eq!(error, "header of the part: its content is closed periods; expected was entries");
    }
    // Whoever can reckon checksums still cannot make one of the other.
    let keys = keys(&[1]);
    let mut part = write_closed(&periods(), &keys);
    part[19] = 1;
    let sum = crc32c::crc32c(&part[..HEADER_BYTES - 4]).to_be_bytes();
    part[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&sum);
    assert_eq!(read(&part, &keys).unwrap_err().problem, Problem::Checksum);
}

#[test]
fn only_periods_of_budgets_are_read() {
    let check = |content: Content, expiry: Expiry, expected: &str| {
        let mut writer = PartWriter::with_salt(&closed_header(), None, SALT);
        writer.entry(0, b"org", &content, expiry);
        let error = read_closed(&writer.finish().unwrap().bytes, &keys(&[])).unwrap_err().to_string();
        assert_eq!(error, format!("block 0 of the part: the closed period cannot be: {expected}"));
    };
    let at = Expiry::at_millis;
    check(Content::Integer(1), at(5), "it has no limit");
    check(Content::Quota(limit("RATE 10 PER 1s"), 1 << 64), at(5), "its limit is no budget");
    let hour = limit("BUDGET 9 PER HOUR");
    check(Content::Quota(hour, 1 << 64), Expiry::NEVER, "it has no end");
    check(Content::Quota(hour, 6 << 64), at(5), "it ends before it begins");
}

#[test]
fn every_flipped_bit_is_found() {
    for keys in [keys(&[]), keys(&[1])] {
        let part = write_closed(&periods(), &keys);
        for at in 0..part.len() * 8 {
            let mut flipped = part.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(read_closed(&flipped, &keys).is_err(), "bit {at}");
        }
    }
}

proptest! {
    #[test]
    fn all_closed_periods_come_back(periods in prop::collection::vec(strategy::budget_period(), 0..40)) {
        let keys = keys(&[]);
        prop_assert_eq!(read_closed(&write_closed(&periods, &keys), &keys).unwrap(), periods);
    }
}

pub(super) fn the_seeds_are_read() {
    let keys = keys(&[]);
    let part = include_bytes!("../../../../fuzz/corpus/snapshot/closed_part");
    assert_eq!(read_closed(part, &keys), Ok(periods()));
    let seed = include_bytes!("../../../../fuzz/corpus/snapshot/closed_block");
    let (count, raw) = seed.split_first().unwrap();
    let found = read_closed(&part_of_block(&closed_header(), raw, (*count).into()), &keys).unwrap();
    assert_eq!(found, periods());
    assert_eq!(block_of_part(&write_closed(&found, &keys)), raw);
}

const CLOSED: &str = "\
    71756f7461645350000000010000006c0000000200000000000000000000000000000000000000000000000000000000\
    00000000000000000000000009090909090909090909090909090909000000006b087730000000000000000300000000\
    0000303900000002b13f7c29b10c5a3e00000000000000a30000008d000000031c02fa2e514585aa28b52ffd20a32504\
    00d2871d2890398d01ff0fc55ac67315dfc2bf41d02eea7eedf76e526f116f2d7e3beff93655961ad92bdb4e01ff84ba\
    2415ab48d685d8b226fbff1a8c25b62847e8289a61fea51d23f430e85c7eeeed9cdbddc0636a507978243569850038f8\
    2695268762512bf8cdf9065f8d545941247504847f6f76770d010300531503e99239b689074ef3a5c100000001000000\
    0000000003ed0cbd0a";

//! The forms of values: each comes back, none is another's, and none changes from one version to the next.

use proptest::prelude::*;

use super::*;
use crate::persist::record::StoredValue;
use crate::persist::strategy::content;
use crate::quota::{Anchor, CalendarPeriod, Period, Rule, Unit, Zone};

fn bytes_of(content: &Content) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(content, &mut bytes);
    bytes
}

fn in_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn stored(content: Content) -> StoredValue {
    StoredValue { content, expiry: crate::engine::Expiry::NEVER }
}

/// The value has these bytes, which are written in every database there is: a change needs a new version.
fn check_golden(content: Content, hex: &str) {
    let expected = from_hex(hex);
    assert_eq!(in_hex(&bytes_of(&content)), in_hex(&expected));
    assert_eq!(stored(decode(&expected).unwrap()), stored(content));
}

fn limit_of(unit: &str, rule: Rule) -> Limit {
    Limit { unit: Unit::parse(unit.as_bytes()).unwrap(), rule }
}

const WORD: u128 = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f;

const WORD_HEX: &str = "000102030405060708090a0b0c0d0e0f";

fn minute() -> Period {
    Period::from_secs(60).unwrap()
}

#[test]
fn plain_values_have_their_bytes() {
    check_golden(Content::Integer(0), "01 01 00");
    check_golden(Content::Integer(-1), "01 01 01");
    check_golden(Content::Integer(i64::MIN), "01 01 ffffffffffffffffff01");
    check_golden(Content::Text(Text::new(b"")), "01 02");
    check_golden(Content::Text(Text::new(b"a\0b")), "01 02 610062");
    check_golden(Content::Throttle(WORD), &format!("01 03 {WORD_HEX}"));
}

#[test]
fn limits_have_their_bytes() {
    let check = |limit: Limit, hex: &str| {
        check_golden(Content::Quota(limit, WORD), &format!("01 04 {hex} {WORD_HEX}"));
    };
    let requests = "08 7265717565737473";
    check(
        limit_of("requests", Rule::rate(10, minute(), Some(200)).unwrap()),
        &format!("{requests} 01 0a c801 808ece1c"),
    );
    check(
        limit_of("requests", Rule::fixed_window(7, minute()).unwrap()),
        &format!("{requests} 02 07 808ece1c"),
    );
    check(
        limit_of("requests", Rule::sliding_window(7, minute()).unwrap()),
        &format!("{requests} 03 07 808ece1c"),
    );
    check(
        limit_of("requests", Rule::log_window(7, minute()).unwrap()),
        &format!("{requests} 04 07 808ece1c"),
    );
    let budget = |period, zone: &str, anchor| {
        let zone = Zone::parse(zone.as_bytes()).unwrap();
        let rule = Rule::budget(5, period, zone, Anchor::new(period, anchor).unwrap()).unwrap();
        limit_of("usd_micro", rule)
    };
    let usd = "09 7573645f6d6963726f 05 05";
    check(budget(CalendarPeriod::Hour, "UTC", 0), &format!("{usd} 01 00 00"));
    check(budget(CalendarPeriod::Day, "+05:30", 0), &format!("{usd} 02 06 2b30353a3330 00"));
    check(budget(CalendarPeriod::Week, "UTC", 7), &format!("{usd} 03 00 07"));
    check(
        budget(CalendarPeriod::Month, "Europe/Berlin", 15),
        &format!("{usd} 04 0d 4575726f70652f4265726c696e 0f"),
    );
    check(budget(CalendarPeriod::Year, "UTC", 1231), &format!("{usd} 05 00 cf09"));
    check(budget(CalendarPeriod::Total, "UTC", 0), &format!("{usd} 06 00 00"));
}

#[test]
fn several_slots_have_their_bytes() {
    let mut slots = QuotaSlots::default();
    check_golden(Content::Quotas(slots.clone()), "01 05 00");
    slots.push(QuotaSlot::new(limit_of("a", Rule::fixed_window(7, minute()).unwrap()), State::Word(WORD)));
    let takes = [(1_000, 2), (1_001, 300)].map(|(time, amount)| (Timestamp::from_micros(time), amount));
    let log = State::Log(Box::new(LogState::from_takes(takes).unwrap()));
    slots.push(QuotaSlot::new(limit_of("b", Rule::log_window(7, minute()).unwrap()), log));
    let first = format!("0161 02 07 808ece1c 01 {WORD_HEX}");
    check_golden(
        Content::Quotas(slots),
        &format!("01 05 02 {first} 0162 04 07 808ece1c 02 02 e807 02 01 ac02"),
    );
}

#[test]
fn what_is_never_written_is_refused_with_its_reason() {
    let check = |hex: &str, expected: &str| {
        let error = decode(&from_hex(hex)).expect_err(hex).to_string();
        assert!(error.contains(expected), "{hex}: {error}");
    };
    check("", "end inside of the value");
    check("02 01 00", "version 2, written by a newer quotad; this one reads versions up to 1");
    check("00 01 00", "version 0; the versions are 1 to 1");
    check("01 09", "9 is no known kind of value");
    check("01 01 00 00 00", "2 bytes follow");
    check("01 01 80 00", "padded");
    check("01 03 00", "end inside of the arrival time");
    let word = WORD_HEX;
    check(&format!("01 04 0141 02 07 01 {word}"), "unit 'A' must be");
    check(&format!("01 04 0161 06 07 01 {word}"), "6 is no known kind of limit");
    check(&format!("01 04 0161 02 07 00 {word}"), "0 us are not within 36525d");
    check(&format!("01 04 0161 01 00 01 01 {word}"), "rate 0 must be between");
    check(&format!("01 04 0161 05 05 07 00 00 {word}"), "7 is no known calendar period");
    check(&format!("01 04 0161 05 05 04 00 20 {word}"), "anchor 32 must be");
    check(&format!("01 04 0161 05 05 04 00 01 {word}"), "shorter form");
    check(&format!("01 04 0161 05 05 04 03 555443 00 {word}"), "written UTC");
    check(&format!("01 04 0161 05 05 04 04 4d617273 00 {word}"), "time zone 'Mars' must be");
    check("01 05 21", "end inside of the slots");
    check(&format!("01 05 21 {}", "00".repeat(400)), "33 limits are more than the 32");
    let slot = format!("0161 02 07 808ece1c 01 {word}");
    check(&format!("01 05 02 {slot} {slot}"), "a:fixed:1m is there twice");
    check("01 05 01 0161 04 07 01 02 02 05 01 00 01", "times do not rise");
    check("01 05 01 0161 04 07 01 02 01 05 00", "an amount is 0");
    check(&format!("01 05 01 0161 04 07 01 02 914e {}", "0101".repeat(10_001)), "more than the 10000");
}

proptest! {
    #[test]
    fn every_value_comes_back(content in content()) {
        let bytes = bytes_of(&content);
        let read = decode(&bytes).unwrap();
        prop_assert_eq!(&bytes_of(&read), &bytes);
        prop_assert_eq!(stored(read), stored(content));
    }

    #[test]
    fn a_value_that_is_cut_is_refused(content in content(), cut in any::<prop::sample::Index>()) {
        // A text has no end of its own: its length is that of the whole.
        prop_assume!(!matches!(content, Content::Text(_)));
        let bytes = bytes_of(&content);
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_have_one_form(
        kind in 0_u8..8,
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        bytes.splice(0..0, [VERSION, kind]);
        if let Ok(content) = decode(&bytes) {
            prop_assert_eq!(bytes_of(&content), bytes);
        }
    }

    #[test]
    fn a_changed_byte_is_refused_or_has_one_form(
        content in content(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = bytes_of(&content);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(content) = decode(&bytes) {
            prop_assert_eq!(bytes_of(&content), bytes);
        }
    }
}

//! The form of a batch: it comes back, nothing else is read, and it does not change from one version to the next.

use proptest::prelude::*;

use super::*;
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::persist::record::{Record, StoredValue};
use crate::persist::strategy::batch;
use crate::quota::{Anchor, CalendarPeriod, Rule, Unit, Zone};

fn bytes_of(batch: &Batch) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch.encode(&mut bytes);
    bytes
}

fn sample() -> Batch {
    let value = StoredValue { content: Content::Integer(-1), expiry: Expiry::at_millis(300) };
    let rule = Rule::budget(9, CalendarPeriod::Month, Zone::UTC, Anchor::NONE).unwrap();
    let closed = ClosedPeriod {
        database: 1,
        subject: (*b"s").into(),
        limit: Limit { unit: Unit::parse(b"u").unwrap(), rule },
        start: Timestamp::from_micros(5),
        end: Timestamp::from_micros(8),
        used: 7,
    };
    Batch {
        epoch: 2,
        first_seq: 299,
        seq: 300,
        cut_at: Timestamp::from_micros(4),
        flushed_databases: vec![3],
        records: vec![
            Record { database: 0, key: (*b"").into(), value: None },
            Record { database: 0, key: (*b"k").into(), value: Some(value) },
        ]
        .into(),
        closed_periods: vec![closed],
    }
}

#[test]
fn a_batch_has_its_bytes() {
    let mut expected = vec![1, 2, 0xab, 2, 0xac, 2, 4, 1, 3];
    expected.extend([2, 0, 0, 0, 0, 1, b'k', 3, 1, 1, 1, 0xac, 2]);
    expected.extend([1, 1, 1, b's', 1, b'u', 5, 9, 4, 0, 0, 5, 3, 7]);
    assert_eq!(bytes_of(&sample()), expected);
    assert_eq!(Batch::decode(&expected), Ok(sample()));
}

#[test]
fn records_out_of_order_are_refused() {
    let mut batch = sample();
    let mut records: Vec<Record> = batch.records.iter().map(|record| record.to_record()).collect();
    records.reverse();
    batch.records = records.clone().into();
    assert!(!batch.is_sorted());
    let error = Batch::decode(&bytes_of(&batch)).unwrap_err().to_string();
    assert!(error.contains("not in their order"), "{error}");
    batch.sort();
    assert!(batch.is_sorted());
    records[0].key = (*b"").into();
    batch.records = records.into();
    assert!(!batch.is_sorted(), "a key is there once");
    assert!(Batch::decode(&bytes_of(&batch)).is_err());
}

#[test]
fn what_is_no_batch_is_refused_with_its_reason() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let mut bytes = bytes_of(&sample());
        change(&mut bytes);
        let error = Batch::decode(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|bytes| bytes[0] = 2, "the batch has version 2, written by a newer quotad");
    check(&|bytes| bytes[8] = 16, "16 is no known database");
    check(&|bytes| bytes[2] = 0xad, "the number of the batch cannot be: it is below the first one");
    check(&|bytes| bytes.push(0), "1 bytes follow");
    check(&|bytes| bytes.truncate(10), "end inside of the");
}

proptest! {
    #[test]
    fn every_batch_comes_back(batch in batch()) {
        let bytes = bytes_of(&batch);
        prop_assert_eq!(Batch::decode(&bytes), Ok(batch));
    }

    #[test]
    fn a_batch_that_is_cut_is_refused(batch in batch(), cut in any::<prop::sample::Index>()) {
        let bytes = bytes_of(&batch);
        prop_assert!(Batch::decode(&bytes[..cut.index(bytes.len())]).is_err());
    }

    #[test]
    fn a_changed_byte_is_refused_or_has_one_form(
        batch in batch(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = bytes_of(&batch);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(batch) = Batch::decode(&bytes) {
            prop_assert_eq!(bytes_of(&batch), bytes);
        }
    }
}

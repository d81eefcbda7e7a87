//! The order of a batch's records: by (database, key).
//!
//! Records are large and keys alike at their beginning (`org/acme/...`), so what is sorted are small places: the eight bytes behind
//! what all keys begin with, and the record's number. Records are moved once, and keys are compared only where these bytes are equal.

use crate::persist::record::Record;

/// Bits of a place that hold the number of its record in the list.
const NUMBER_BITS: u32 = 56;

/// Where a record belongs, as one integer, which sorts without a branch: 8 bits of the database, 64 of the bytes of its key behind the
/// common beginning (short ones end in zeros), and the record's number in the list.
fn place(database: u8, head: u64, number: usize) -> u128 {
    let number = u128::try_from(number).expect("a list's length is below 2^56");
    u128::from(database) << (64 + NUMBER_BITS) | u128::from(head) << NUMBER_BITS | number
}

fn number_of(place: u128) -> usize {
    usize::try_from(place & ((1 << NUMBER_BITS) - 1)).expect("it was made of one")
}

/// Sorts by (database, key).
pub(super) fn sort(records: &mut Vec<Record>) {
    let common = common_beginning(records);
    let place_of =
        |(number, record): (usize, &Record)| place(record.database, head_of(&record.key[common..]), number);
    let mut places: Vec<u128> = records.iter().enumerate().map(place_of).collect();
    places.sort_unstable();
    for alike in places.chunk_by_mut(|one, other| one >> NUMBER_BITS == other >> NUMBER_BITS) {
        alike
            .sort_unstable_by(|one, other| records[number_of(*one)].key.cmp(&records[number_of(*other)].key));
    }
    *records = places.into_iter().map(|place| std::mem::take(&mut records[number_of(place)])).collect();
}

/// How many bytes all keys begin with alike.
fn common_beginning(records: &[Record]) -> usize {
    let Some((first, others)) = records.split_first() else { return 0 };
    let is_same = |(one, other): &(&u8, &u8)| one == other;
    others.iter().fold(first.key.len(), |common, record| {
        first.key[..common].iter().zip(&record.key).take_while(is_same).count()
    })
}

/// The first eight bytes as a number. Equal numbers say nothing: a key may end here, or have more.
fn head_of(bytes: &[u8]) -> u64 {
    let mut head = [0; 8];
    let length = bytes.len().min(head.len());
    head[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(database: u8, key: &[u8]) -> Record {
        Record { database, key: key.into(), value: None }
    }

    fn sorted(mut records: Vec<Record>) -> Vec<Record> {
        sort(&mut records);
        records
    }

    #[test]
    fn keys_that_differ_only_in_their_length_are_told_apart() {
        let [short, zero, long] = [&b"ab"[..], b"ab\0", b"ab\0\0\0\0\0\0\0\0"].map(|key| record(0, key));
        let records = vec![long.clone(), zero.clone(), short.clone()];
        assert_eq!(sorted(records), [short, zero, long]);
        assert_eq!(sorted(Vec::new()), []);
    }

    proptest! {
        #[test]
        fn records_are_in_the_order_of_their_places(
            keys in prop::collection::vec((0..3_u8, prop::collection::vec(0..3_u8, 0..12)), 0..60),
            beginning in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let whole = |(database, key): (u8, Vec<u8>)| record(database, &[beginning.clone(), key].concat());
            let records: Vec<Record> = keys.into_iter().map(whole).collect();
            let mut expected = records.clone();
            expected.sort_by(|one, other| one.place().cmp(&other.place()));
            prop_assert_eq!(sorted(records), expected);
        }
    }
}

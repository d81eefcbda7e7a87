//! The order of a batch's records: by (database, key).
//!
//! Keys are alike at their beginning (`org/acme/...`), so what is sorted are small places: the eight bytes behind what all keys begin with,
//! and where the record lies. Records are moved once, and keys are compared only where these bytes are equal.

use super::records::{PackedRecord, Records};

/// Bits of a place that hold where its record begins.
const START_BITS: u32 = 56;

/// Where a record belongs, as one integer, which sorts without a branch: 8 bits of the database, 64 of the bytes of its key behind the
/// common beginning (short ones end in zeros), and where the record begins.
fn place(database: u8, head: u64, start: usize) -> u128 {
    let start = u128::try_from(start).expect("memory has less than 2^56 bytes");
    u128::from(database) << (64 + START_BITS) | u128::from(head) << START_BITS | start
}

fn start_of(place: u128) -> usize {
    usize::try_from(place & ((1 << START_BITS) - 1)).expect("it was made of one")
}

impl Records {
    /// The same records in the order of (database, key).
    #[must_use]
    pub fn sorted(&self) -> Self {
        let common = self.common_beginning();
        let mut places = Vec::with_capacity(self.len());
        let mut start = 0;
        for record in self {
            places.push(place(record.database, head_of(&record.key[common..]), start));
            start += record.form.len();
        }
        places.sort_unstable();
        let at = |place: &u128| self.at(start_of(*place));
        for alike in places.chunk_by_mut(|one, other| one >> START_BITS == other >> START_BITS) {
            alike.sort_unstable_by(|one, other| at(one).key.cmp(at(other).key));
        }
        let mut sorted = Self::with_capacity(self.byte_len());
        places.iter().for_each(|place| sorted.push_form(at(place).form));
        sorted
    }

    /// The record that begins there.
    #[inline]
    fn at(&self, start: usize) -> PackedRecord<'_> {
        self.iter_at(start).next().expect("a record begins there")
    }

    /// How many bytes all keys begin with alike.
    fn common_beginning(&self) -> usize {
        let mut records = self.iter();
        let Some(first) = records.next() else { return 0 };
        let is_same = |(one, other): &(&u8, &u8)| one == other;
        records.fold(first.key.len(), |common, record| {
            first.key[..common].iter().zip(record.key).take_while(is_same).count()
        })
    }
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

    use crate::persist::record::Record;

    fn record(database: u8, key: &[u8]) -> Record {
        Record { database, key: key.into(), value: None }
    }

    fn sorted(records: Vec<Record>) -> Vec<Record> {
        Records::from(records).sorted().iter().map(|record| record.to_record()).collect()
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

//! Rows that the truth has refused and not taken since, so that nobody is told that they are durable.
//!
//! Invariant: a key is here from before the batch with its row counts as applied until a later row of it is taken, or its database is
//! flushed; of a closed period the batch is, for good.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::batch::Batch;
use super::store::RejectedRecord;

/// Keys that are remembered one by one: some MiB. Behind them whole batches count as refused.
const MOST_KEYS: usize = 10_000;

/// Batches that are remembered of a key, and for closed periods; where there are more, the first and all between count as one.
const MOST_BATCHES: usize = 16;

/// What was refused of a key.
struct Refusal {
    /// The merged batches with rows of it that were refused, since one was taken.
    batches: Vec<RangeInclusive<u64>>,
    reason: String,
}

/// All of them; any thread asks.
#[derive(Default)]
pub struct Refusals {
    /// Whether there are any: what mostly is asked.
    has_any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: HashMap<(u8, Box<[u8]>), Refusal>,
    /// The batches with refused keys that had no room.
    others: Option<RangeInclusive<u64>>,
    /// The merged batches with closed periods that were refused: nothing brings those again.
    periods: Vec<RangeInclusive<u64>>,
}

/// Adds merged batches to those that are remembered.
fn remember(batches: &mut Vec<RangeInclusive<u64>>, batch: &Batch) {
    let (first, last) = (batch.first_seq, batch.seq);
    if let Some(before) = batches.pop_if(|before| *before.end() == last) {
        // The same again, perhaps merged with more.
        batches.push(first.min(*before.start())..=last);
        return;
    }
    if batches.len() == MOST_BATCHES {
        let second = batches.remove(1);
        batches[0] = *batches[0].start()..=*second.end();
    }
    batches.push(first..=last);
}

impl Refusals {
    /// The keys that are known as refused and have a row in the batch.
    fn known_in(&self, batch: &Batch) -> HashSet<(u8, Box<[u8]>)> {
        let mut known: Vec<(u8, Box<[u8]>)> = self.state.lock().keys.keys().cloned().collect();
        known.sort_unstable();
        let mut records = batch.records.iter().peekable();
        known.retain(|(database, key)| {
            let place = (*database, &**key);
            while records.next_if(|record| record.place() < place).is_some() {}
            records.peek().is_some_and(|record| record.place() == place)
        });
        known.into_iter().collect()
    }

    /// Notes what became of a batch, before it counts as applied.
    pub fn note(&self, batch: &Batch, rejected: &[RejectedRecord]) {
        if rejected.is_empty() && !self.has_any() {
            return;
        }
        let (periods, rejected): (Vec<_>, Vec<_>) =
            rejected.iter().partition(|record| record.period.is_some());
        let again: HashSet<_> = rejected.iter().map(|record| (record.database, &*record.key)).collect();
        // Looked for before the guard: nobody else writes, and who reads is a client's thread.
        let mut taken = self.known_in(batch);
        taken.retain(|(database, key)| !again.contains(&(*database, key)));
        let mut state = self.state.lock();
        state.keys.retain(|place, _| !taken.contains(place) && !batch.flushed_databases.contains(&place.0));
        if !periods.is_empty() {
            remember(&mut state.periods, batch);
        }
        for RejectedRecord { database, key, reason, .. } in rejected {
            let place = (*database, key.clone());
            if let Some(refusal) = state.keys.get_mut(&place) {
                remember(&mut refusal.batches, batch);
                refusal.reason.clone_from(reason);
            } else if state.keys.len() < MOST_KEYS {
                let batches = vec![batch.first_seq..=batch.seq];
                state.keys.insert(place, Refusal { batches, reason: reason.clone() });
            } else {
                let first = state.others.as_ref().map_or(batch.first_seq, |others| *others.start());
                state.others = Some(first..=batch.seq);
            }
        }
        let has_any = !state.keys.is_empty() || state.others.is_some() || !state.periods.is_empty();
        self.has_any.store(has_any, Ordering::Release);
    }

    /// Whether the truth lacks anything for that reason.
    #[must_use]
    pub fn has_any(&self) -> bool {
        self.has_any.load(Ordering::Acquire)
    }

    /// Whether memory has rows that the truth has refused. Of closed periods that were, memory has nothing any more.
    #[must_use]
    pub fn has_rows(&self) -> bool {
        self.has_any() && {
            let state = self.state.lock();
            !state.keys.is_empty() || state.others.is_some()
        }
    }

    /// Why the truth has refused a key that was changed in batch `seq` or before, and not taken it since.
    #[must_use]
    pub fn of(&self, database: u8, key: &[u8], seq: u64) -> Option<String> {
        if !self.has_any() {
            return None;
        }
        let state = self.state.lock();
        match state.keys.get(&(database, Box::from(key))) {
            Some(refusal) => Some(refusal.reason.clone()),
            None if state.others.as_ref().is_some_and(|others| others.contains(&seq)) => {
                Some("many rows of its batch were".to_owned())
            }
            None => None,
        }
    }

    /// Whether the truth lacks a row of batch `seq`.
    #[must_use]
    pub fn touch(&self, seq: u64) -> bool {
        if !self.has_any() {
            return false;
        }
        let state = self.state.lock();
        let keys = state.keys.values().flat_map(|refusal| &refusal.batches);
        let mut batches = keys.chain(&state.others).chain(&state.periods);
        batches.any(|batches| batches.contains(&seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::contract::{batch, put};

    fn rejected(key: &str) -> RejectedRecord {
        RejectedRecord { database: 0, key: key.as_bytes().into(), period: None, reason: format!("no {key}") }
    }

    #[test]
    fn a_closed_period_that_is_refused_is_lost_for_good() {
        let refusals = Refusals::default();
        let period = |period: &str| RejectedRecord { period: Some(period.to_owned()), ..rejected("a") };
        let first = Batch { first_seq: 2, ..batch(1, 3, vec![put("a", 1), put("b", 1)]) };
        refusals.note(&first, &[period("day"), period("month"), rejected("b")]);
        assert_eq!(refusals.of(0, b"a", 3), None, "its record was taken");
        refusals.note(&batch(1, 4, vec![put("a", 2), put("b", 2)]), &[]);
        assert_eq!([1, 2, 3, 4].map(|seq| refusals.touch(seq)), [false, true, true, false]);
        assert!(refusals.has_any() && !refusals.has_rows());
    }

    #[test]
    fn a_refused_key_is_known_until_it_is_taken() {
        let refusals = Refusals::default();
        let merged = Batch { first_seq: 2, ..batch(1, 4, vec![put("a", 1), put("b", 1), put("c", 1)]) };
        refusals.note(&merged, &[rejected("a"), rejected("b")]);
        assert_eq!(refusals.of(0, b"a", 4).as_deref(), Some("no a"));
        assert_eq!([refusals.of(0, b"c", 4), refusals.of(1, b"a", 4)], [None, None]);
        assert_eq!([1, 2, 4, 5].map(|seq| refusals.touch(seq)), [false, true, true, false]);
        // Others change nothing for it.
        refusals.note(&batch(1, 5, vec![put("c", 2)]), &[]);
        assert!(refusals.of(0, b"a", 5).is_some() && refusals.has_rows());
        // Refused again, and taken.
        refusals.note(&batch(1, 6, vec![put("a", 2), put("b", 2)]), &[rejected("b")]);
        assert_eq!(refusals.of(0, b"a", 6), None);
        assert_eq!([1, 3, 5, 6, 7].map(|seq| refusals.touch(seq)), [false, true, false, true, false]);
        // Gone with its database.
        refusals.note(&Batch { flushed_databases: vec![0], ..batch(1, 7, Vec::new()) }, &[]);
        assert!(!refusals.has_any() && !refusals.touch(6));
    }

    #[test]
    fn a_key_that_is_refused_again_and_again_counts_in_every_batch() {
        let refusals = Refusals::default();
        for seq in (1..200).step_by(2) {
            refusals.note(&batch(1, seq, vec![put("a", 1)]), &[rejected("a")]);
        }
        assert!((1..200).step_by(2).all(|seq| refusals.touch(seq)));
        assert_eq!([190, 196, 198].map(|seq| refusals.touch(seq)), [false; 3]);
    }

    #[test]
    fn more_than_are_remembered_make_their_batches_refused() {
        let refusals = Refusals::default();
        let keys: Vec<String> = (0..MOST_KEYS + 1).map(|at| format!("{at:06}")).collect();
        let records = keys.iter().map(|key| put(key, 1)).collect();
        let rejected: Vec<_> = keys.iter().map(|key| rejected(key)).collect();
        refusals.note(&batch(1, 3, records), &rejected);
        assert!(keys.iter().all(|key| refusals.of(0, key.as_bytes(), 3).is_some()));
        assert_eq!(refusals.of(0, keys[MOST_KEYS].as_bytes(), 4), None);
        assert!(refusals.touch(3) && !refusals.touch(4));
    }
}

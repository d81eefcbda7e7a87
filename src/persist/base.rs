//! A copy of the truth as it was behind one batch, from which a start loads what has not changed since.
//!
//! First the rows that were changed since are read from the truth, then the copy: what is loaded is put only where memory has
//! nothing and nothing was changed, so the truth wins whatever the copy says.

use std::collections::HashSet;
use std::future::Future;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::Arc;

use super::store::{DataSetId, EpochRow};
use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::engine::{DatabaseSet, Expiry};

/// What a truth says of its past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Which data it holds.
    pub data_set: DataSetId,
    /// Its epochs, the newest first.
    pub epochs: Vec<EpochRow>,
    /// The last batch that it has.
    pub applied: u64,
    /// Keys whose end was written up to this batch may be missing without a row.
    pub pruned: u64,
    /// When it says so.
    pub now: Timestamp,
}

impl Past {
    /// Whether the truth was once as it is behind this batch of this epoch at this time, and still tells all that was changed since. A
    /// truth that was set back gives numbers a second time, but at a later time. What was cut in the future was cut by a wrong clock, which
    /// had ended what lives.
    #[must_use]
    pub fn has(&self, epoch: u64, seq: u64, at: Timestamp) -> bool {
        let row = self.epochs.iter().find(|row| row.epoch == epoch);
        let is_known = at <= self.now
            && row.is_some_and(|row| {
                row.started_at <= at
                    && (row.first_seq.saturating_sub(1)..=row.last_seq.unwrap_or(self.applied)).contains(&seq)
            });
        is_known && seq <= self.applied && seq >= self.pruned
    }
}

/// A copy that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBase {
    /// Its name.
    pub id: String,
    /// The batch behind which it is; of one that is of no single moment, the first.
    pub seq: u64,
    /// Its entries.
    pub entries: u64,
}

/// One entry of a copy.
#[derive(Debug)]
pub struct BaseEntry<'a> {
    /// Its database.
    pub database: u8,
    /// Its bytes.
    pub key: &'a [u8],
    /// Its value.
    pub content: Content,
    /// When it ends.
    pub expiry: Expiry,
}

/// Why nothing can be told of copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseError {
    /// They cannot be reached now.
    Away(String),
    /// The newest cannot be read as things are, though it may be good: a key or a right is missing.
    Refused(String),
}

/// Where copies are.
pub trait Base: Send + Sync {
    /// Finds the newest copy of a state that this truth had; `None`: there is none, and the log says why where it should not be.
    fn find<'a>(&'a self, past: &'a Past) -> Pin<Box<dyn Future<Output = Option<FoundBase>> + Send + 'a>>;

    /// Tells the newest copy that there is, of whatever data; `None`: there is none.
    fn newest(&self) -> Pin<Box<dyn Future<Output = Result<Option<String>, BaseError>> + Send + '_>>;

    /// Hands every entry of the copy that was found last to `put`, from several threads at once. An error's text where a part cannot
    /// be read; what was handed out before that is right all the same.
    fn load(&self, put: Put) -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send + '_>>;

    /// Hands every entry of those databases that no truth has, as the newest copy that can be read has them, to what `begin` gives: once
    /// for each copy that is begun with. Answers its name; `None`: no copy has any.
    fn load_ephemeral<'a>(
        &'a self,
        data_set: DataSetId,
        databases: DatabaseSet,
        begin: &'a (dyn Fn() -> Put + Sync),
    ) -> Pin<Box<dyn Future<Output = Result<Option<String>, BaseError>> + Send + 'a>>;
}

/// What takes the entries of a copy.
pub type Put = Arc<dyn Fn(BaseEntry<'_>) + Send + Sync>;

/// The keys that were changed behind a copy, by 128 bits of hash: two keys share them once in 10^26 pairs.
#[derive(Default)]
pub struct ChangedKeys {
    hashers: [foldhash::quality::RandomState; 2],
    hashes: HashSet<u128, foldhash::fast::RandomState>,
}

impl ChangedKeys {
    /// Notes a key.
    pub fn insert(&mut self, database: u8, key: &[u8]) {
        self.hashes.insert(self.hash(database, key));
    }

    /// Whether a key was noted.
    #[must_use]
    pub fn contains(&self, database: u8, key: &[u8]) -> bool {
        !self.hashes.is_empty() && self.hashes.contains(&self.hash(database, key))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    fn hash(&self, database: u8, key: &[u8]) -> u128 {
        let [high, low] = &self.hashers;
        u128::from(high.hash_one((database, key))) << 64 | u128::from(low.hash_one((database, key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persist::Id;

    #[test]
    fn only_states_that_the_truth_had_and_still_tells_of_are_known() {
        let row = |epoch, first_seq, last_seq| EpochRow {
            epoch,
            started_at: Timestamp::from_millis(epoch * 1_000),
            first_seq,
            last_seq,
        };
        let epochs = vec![row(5, 41, None), row(3, 11, Some(40)), row(2, 1, Some(10))];
        let past = Past {
            data_set: Id([1; 16]),
            epochs,
            applied: 50,
            pruned: 20,
            now: Timestamp::from_millis(9_000),
        };
        let known = |epoch, seq| past.has(epoch, seq, Timestamp::from_millis(epoch * 1_000 + 500));
        assert!(known(5, 50) && known(5, 40) && known(3, 40) && known(3, 20));
        assert!(!known(5, 51), "the truth has lost it");
        assert!(!known(3, 41), "the epoch ended before");
        assert!(!known(3, 19), "deletions behind it are forgotten");
        assert!(!known(4, 40), "the truth never had this epoch");
        assert!(!known(6, 50));
        let at = |millis| past.has(5, 50, Timestamp::from_millis(millis));
        assert!(at(5_000) && at(9_000));
        assert!(!at(4_999), "another epoch had this number before the truth was set back");
        assert!(!at(9_001), "the clock was ahead");
    }

    #[test]
    fn keys_are_found_again_in_their_database() {
        let mut changed = ChangedKeys::default();
        assert!(changed.is_empty() && !changed.contains(0, b"a"));
        changed.insert(0, b"a");
        changed.insert(0, b"a");
        assert!(changed.contains(0, b"a") && !changed.contains(1, b"a") && !changed.contains(0, b"b"));
        assert_eq!(changed.len(), 1);
    }
}

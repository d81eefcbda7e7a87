//! The state: every key of every database in memory.
//!
//! **Owns** shards and their locks, entries, values, expiry, the background sweep, eviction, and what is known of keys that are
//! not in memory.
//! **Does not own** the quota rules, the clock, the commands; it calls nobody.
//! **May use** `quota`, `clock`, `metrics`.

mod access;
mod ahead;
mod closed;
mod counter;
mod databases;
mod dirty;
mod entry;
mod evict;
mod fetch;
mod flush;
mod gate;
mod generation;
mod index;
mod key;
mod latest;
mod left;
mod limits;
mod loading;
mod memory;
mod prefetch;
mod random;
mod residency;
mod scan;
mod shards;
mod slab;
mod snapshot;
mod sweep;
mod sync;
mod table;
mod take;
mod throttle;
pub mod value;
mod view;

#[cfg(all(test, feature = "shuttle"))]
mod interleavings;
#[cfg(test)]
mod tests;

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

pub use access::{Slot, Slots};
pub use ahead::Ahead;
pub use closed::ClosedBudget;
pub use counter::AddError;
pub use databases::DatabaseSet;
pub use dirty::{Change, Collected};
pub use entry::Expiry;
pub use evict::{Evicted, Eviction, Need};
pub use fetch::{Fetch, FetchNumber};
pub use flush::Discarded;
pub use gate::{Gate, StillRunning};
pub use generation::Generation;
pub use limits::{LimitId, MAX_NUMBERED_LIMITS, NumberedLimit};
pub use memory::MemoryReport;
pub use residency::{Lookup, Missing, MissingKey};
pub use scan::{Cursor, ScanPage};
pub use snapshot::{SnapshotCut, SnapshotEntry, SnapshotPlace, Visit};
pub use sweep::{SweepCursor, SweepReport};
pub use take::{Charge, TakeError};
pub use throttle::ThrottleRefusal;
pub use view::{StringView, View};

use dirty::Tracking;
use fetch::Fetches;
use latest::LatestTime;
use limits::LimitTable;
use residency::Residency;
use shards::Shards;
use snapshot::Snapshots;

/// Databases a client can SELECT, as Redis has by default.
pub const DATABASES: usize = 16;

/// All keys in memory, and what guards them.
///
/// Every method is synchronous, holds its guards for a bounded time and may be called from any thread.
pub struct Engine {
    shards: Shards,
    hasher: Hasher,
    limits: LimitTable,
    residency: Residency,
    fetches: Fetches,
    latest: LatestTime,
    /// Of what goes to a truth.
    durable: Tracking,
    /// Of what does not: only snapshots have it.
    ephemeral: Tracking,
    snapshots: Arc<Snapshots>,
    /// The databases of the latter.
    ephemeral_databases: DatabaseSet,
    expired_keys: AtomicU64,
    /// By database, written by the sweep.
    average_ttl_ms: [AtomicU64; DATABASES],
}

impl Engine {
    /// An empty engine that knows all keys: what is not in memory is absent.
    #[must_use]
    pub fn new() -> Self {
        let snapshots = Arc::new(Snapshots::none());
        Self {
            shards: Shards::new(),
            hasher: Hasher::default(),
            limits: LimitTable::default(),
            residency: Residency::complete(),
            fetches: Fetches::default(),
            latest: LatestTime::new(),
            durable: Tracking::off(&snapshots),
            ephemeral: Tracking::off(&snapshots),
            snapshots,
            ephemeral_databases: DatabaseSet::ALL,
            expired_keys: AtomicU64::new(0),
            average_ttl_ms: Default::default(),
        }
    }

    /// An engine without a truth that is being [loaded](Self::load) from a snapshot: no command runs before the
    /// [end](Self::end_loading) of that.
    #[must_use]
    pub fn to_be_loaded() -> Self {
        Self { residency: Residency::loading(), ..Self::new() }
    }

    /// An engine in front of a truth that is being [loaded](Self::load): what is not in memory is unknown until it was loaded or
    /// [filled](Self::fill), or until the [end](Self::end_loading) of the loading.
    #[must_use]
    pub fn in_front_of_truth() -> Self {
        Self::in_front_of_truth_beside(DatabaseSet::NONE)
    }

    /// As [`in_front_of_truth`](Self::in_front_of_truth), which does not get what is in these databases. No command runs before the
    /// [end of their loading](Self::end_loading_ephemeral).
    #[must_use]
    pub fn in_front_of_truth_beside(ephemeral: DatabaseSet) -> Self {
        let engine = Self::new();
        Self {
            residency: Residency::loading(),
            durable: Tracking::on(&engine.snapshots),
            ephemeral_databases: ephemeral,
            ..engine
        }
    }

    /// What is known of changes in a database.
    #[inline]
    pub(self) const fn tracking(&self, database: u8) -> &Tracking {
        if self.ephemeral_databases.contains(database) { &self.ephemeral } else { &self.durable }
    }

    /// The databases that only snapshots have: all without a truth.
    #[must_use]
    pub const fn ephemeral_databases(&self) -> DatabaseSet {
        self.ephemeral_databases
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

/// Hashes keys with a seed of this process: keys come from users, who must not be able to aim at one shard.
#[cfg(not(feature = "shuttle"))]
type KeyHashing = foldhash::fast::RandomState;

/// A failed schedule is replayed, so hashes must not differ between runs.
#[cfg(feature = "shuttle")]
type KeyHashing = foldhash::fast::FixedState;

#[derive(Clone, Default)]
struct Hasher(KeyHashing);

impl Hasher {
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        use std::hash::Hasher as _;
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

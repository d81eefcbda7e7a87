//! The latest time any thread has decided with.
//!
//! A thread reads the clock once a turn and may be stopped before it decides. To its old time the states that others wrote
//! meanwhile lie ahead, and one more than a period ahead is read as the work of a wrong clock and used up *then*, which
//! frees it now. So no decision is made at a time before those that wrote what it looks at.
//!
//! Invariant: whoever writes a state has advanced this time to its own first. Reading the time after the state (the
//! acquiring load of the word, or the guard) therefore gives one that is not before the state's.

use crossbeam_utils::CachePadded;

use super::sync::{AtomicU64, Ordering};
use crate::clock::Timestamp;

/// A time that only moves forward.
pub(super) struct LatestTime(CachePadded<AtomicU64>);

impl LatestTime {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(AtomicU64::new(0)))
    }

    /// Before a decision at `now`: moves the time forward. Mostly it stands there already, from earlier in the turn.
    #[inline]
    pub(super) fn advance(&self, now: Timestamp) {
        if self.0.load(Ordering::Relaxed) < now.as_micros() {
            self.0.fetch_max(now.as_micros(), Ordering::AcqRel);
        }
    }

    /// After a state was read: the time to decide at, `now` or the latest.
    #[inline]
    pub(super) fn not_before(&self, now: Timestamp) -> Timestamp {
        now.max(Timestamp::from_micros(self.0.load(Ordering::Acquire)))
    }
}

//! The background sweep: removes keys that expired and quota states that equal fresh ones.
//!
//! Access is exact without it; it gives memory back. Each step looks at a bounded number of entries, first under the
//! shared guard, and takes the exclusive one only for shards that have something to remove.

use std::sync::atomic::Ordering;

use super::closed::Closing;
use super::entry::Value;
use super::shards::{Place, SHARDS};
use super::table::Table;
use super::value::Freshness;
use super::{DATABASES, Engine};
use crate::clock::Timestamp;
use crate::quota::SpanCache;

/// Where the sweep goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepCursor {
    database: u8,
    shard: u16,
    slot: u32,
    /// Keys of the database with an expiry that were seen so far, and the milliseconds until they end.
    expiring: u64,
    ttl_sum_ms: u128,
}

/// What one step came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Entries that were looked at.
    pub visited: usize,
    /// Entries that were removed.
    pub removed: usize,
    /// The end was reached, and the cursor is back at the beginning.
    pub wrapped: bool,
}

/// What was looked at under one guard.
struct Looked {
    visited: usize,
    /// Where to go on in the shard.
    slot: Option<u32>,
}

/// Entries looked at under one guard: some 10 us, the longest a take should wait for the sweep.
const ENTRIES_UNDER_GUARD: usize = 256;

/// Seconds a quota state that equals a fresh one is kept after its last use: a limit that refills within milliseconds is fresh
/// between any two calls, and removing and making its entry each time costs three times the take.
const FRESH_SECS: u64 = 2;

/// Seconds a mark that a key is absent is kept after its last use.
const KNOWN_ABSENT_SECS: u64 = 60;

impl Engine {
    /// Looks at up to `budget` entries from `cursor` on, or to the end, and removes what no longer counts.
    pub fn sweep(
        &self,
        cursor: &mut SweepCursor,
        budget: usize,
        now: Timestamp,
        cache: &mut SpanCache,
    ) -> SweepReport {
        let mut report = SweepReport::default();
        let mut found = Vec::new();
        while report.visited < budget {
            if usize::from(cursor.database) >= DATABASES {
                *cursor = SweepCursor::default();
                report.wrapped = true;
                break;
            }
            if !self.shards.is_used(cursor.database) || usize::from(cursor.shard) >= SHARDS {
                self.tell_average_ttl(cursor);
                *cursor = SweepCursor { database: cursor.database + 1, ..SweepCursor::default() };
                continue;
            }
            let place = Place::at(cursor.database, cursor.shard);
            let next = self.find_ended(place, cursor, now, cache, &mut found);
            report.visited += next.visited;
            report.removed += self.remove_ended(place, &found, now, cache);
            found.clear();
            match next.slot {
                Some(slot) => cursor.slot = slot,
                None => *cursor = SweepCursor { shard: cursor.shard + 1, slot: 0, ..*cursor },
            }
        }
        report
    }

    /// Collects the slots of one guard's worth of entries that no longer count.
    fn find_ended(
        &self,
        place: Place,
        cursor: &mut SweepCursor,
        now: Timestamp,
        cache: &mut SpanCache,
        found: &mut Vec<u32>,
    ) -> Looked {
        let table = self.shards.read(place);
        let mut looked = Looked { visited: 0, slot: table.next_used(cursor.slot) };
        while let Some(slot) = looked.slot.filter(|_| looked.visited < ENTRIES_UNDER_GUARD) {
            looked.visited += 1;
            // While the truth is loaded, marks tell what changed since the start.
            if !self.residency.is_loading() {
                self.tracking(place.database()).clean(table.entry(slot));
            }
            if self.has_ended(&table, place, slot, now, cache) {
                found.push(slot);
            } else if let Some(millis) = table.entry(slot).remaining_ms(now) {
                cursor.expiring += 1;
                cursor.ttl_sum_ms += u128::from(millis);
            }
            looked.slot = table.next_used(slot + 1);
        }
        looked
    }

    /// Keeps what a pass over a database saw of the expiries in it.
    fn tell_average_ttl(&self, cursor: &SweepCursor) {
        if let Some(average) = self.average_ttl_ms.get(usize::from(cursor.database)) {
            let millis = cursor.ttl_sum_ms.checked_div(u128::from(cursor.expiring)).unwrap_or(0);
            average.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Removes those of `found` that still do not count: between the guards they may have been used again.
    fn remove_ended(&self, place: Place, found: &[u32], now: Timestamp, cache: &mut SpanCache) -> usize {
        if found.is_empty() {
            return 0;
        }
        let mut table = self.shards.write(place);
        let mut removed = 0;
        let mut expired = 0;
        for &slot in found {
            if table.next_used(slot) == Some(slot) && self.has_ended(&table, place, slot, now, cache) {
                expired += u64::from(table.entry(slot).is_expired(now));
                let mut closing = Closing::new(self, place.database());
                closing.note_dropped(self, table.entry(slot), cache);
                self.leave_closed(place.database(), table.entry(slot).key.as_bytes(), closing);
                self.remove_swept(place.database(), &mut table, slot);
                removed += 1;
            }
        }
        self.count_expired(expired);
        removed
    }

    /// In front of a truth a value is removed there first: until then its absence stays as news.
    fn remove_swept(&self, database: u8, table: &mut Table, slot: u32) {
        if !self.is_tracked(database) || table.entry(slot).is_known_absent() {
            table.remove(&self.hasher, slot);
            return;
        }
        table.keep_for_cut(slot, self.tracking(database), &self.limits);
        table.queue(slot, self.tracking(database));
        table.replace(slot, Value::KnownAbsent, 0);
    }

    fn has_ended(
        &self,
        table: &Table,
        place: Place,
        slot: u32,
        now: Timestamp,
        cache: &mut SpanCache,
    ) -> bool {
        let entry = table.entry(slot);
        match entry.value {
            Value::Vacant => false,
            Value::KnownAbsent => {
                entry.idle_secs(now) > KNOWN_ABSENT_SECS && self.may_leave(entry, place.database())
            }
            Value::Integer | Value::Text(_) => entry.is_expired(now),
            Value::Throttle | Value::Quota(_) | Value::Quotas(_) => {
                entry.idle_secs(now) >= FRESH_SECS
                    && matches!(entry.fresh_at(&self.limits, cache), Freshness::At(time) if time <= now)
            }
        }
    }
}

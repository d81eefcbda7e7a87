//! What everything was at one cut, read table by table while commands run on.
//!
//! A snapshot [begins](Engine::begin_snapshot) between turns. From then on the first change of an entry that was not read yet keeps
//! what it was, so what is read in all is the state at that cut, whatever happens meanwhile. What is kept has a limit: beyond it
//! the snapshot is no longer [of one moment](SnapshotCut::is_exact), and the entries that are still to be read are read as they are.
//!
//! Invariants, under the guards of a shard:
//! 1. While a snapshot runs, a slot is *settled* once its entry was read or kept for it, or was made behind the cut. Only what is
//!    settled is changed; what is settled is not read again.
//! 2. An entry that leaves memory unsettled is not kept: the truth has it as it was at the cut, and its rows are read behind memory. When
//!    it comes back it owes what it is. One that leaves settled is remembered, since it may come back changed.
//!
//! Whether a snapshot runs changes only while no thread executes, or at its end, when nobody asks any more what was kept.

use std::mem::take;
use std::ops::ControlFlow;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use hashbrown::HashSet;
use parking_lot::Mutex;

use super::dirty::{Kept, Tracking, state_of};
use super::entry::Expiry;
use super::limits::LimitTable;
use super::shards::Place;
use super::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use super::table::Table;
use super::value::Content;
use super::{DATABASES, Engine};

/// Entries read under one guard: some 20 us, the longest a take should wait for it.
const ENTRIES_UNDER_GUARD: usize = 256;

/// Bytes that may be kept for a snapshot before it gives up being of one moment: most of the memory that a snapshot may take.
const MOST_KEPT_BYTES: u64 = 32 << 20;

/// No snapshot runs.
const NONE: u32 = 0;

/// What one table still owes to a snapshot, and what it has kept for it.
#[derive(Default)]
pub(super) struct Owed {
    /// The snapshot that `settled` and `kept` are of.
    snapshot: u32,
    /// One bit per slot that owes nothing more.
    settled: Vec<u64>,
    /// What entries that changed were at the cut.
    kept: Vec<Kept>,
    /// Keys that were settled when they left memory.
    left: HashSet<Box<[u8]>, foldhash::fast::RandomState>,
}

impl Owed {
    /// Heap bytes, without what the kept values hold beyond themselves.
    pub(super) fn heap_bytes(&self) -> usize {
        self.settled.capacity() * size_of::<u64>()
            + self.kept.capacity() * size_of::<Kept>()
            + self.left.capacity() * size_of::<Box<[u8]>>()
    }

    /// Makes this what is owed to `snapshot`: at first everything.
    fn turn_to(&mut self, snapshot: u32) {
        if self.snapshot != snapshot {
            *self = Self { snapshot, ..Self::default() };
        }
    }

    /// Settles a slot; whether it was not.
    fn settle(&mut self, slot: u32) -> bool {
        let (word, bit) = place_of(slot);
        if self.settled.len() <= word {
            self.settled.resize(word + 1, 0);
        }
        let was_settled = self.settled[word] & bit != 0;
        self.settled[word] |= bit;
        !was_settled
    }

    fn is_settled(&self, slot: u32) -> bool {
        let (word, bit) = place_of(slot);
        self.settled.get(word).is_some_and(|settled| settled & bit != 0)
    }

    /// The slot owes what is put there now.
    fn unsettle(&mut self, slot: u32) {
        let (word, bit) = place_of(slot);
        if let Some(settled) = self.settled.get_mut(word) {
            *settled &= !bit;
        }
    }
}

fn place_of(slot: u32) -> (usize, u64) {
    (usize::try_from(slot / u64::BITS).expect("32 bits fit a usize"), 1 << (slot % u64::BITS))
}

/// What the engine knows of the snapshot that runs.
pub(super) struct Snapshots {
    /// The number of the snapshot that runs, [`NONE`] while none does.
    running: AtomicU32,
    /// The number of the last one.
    last: AtomicU32,
    /// Bytes that are kept for it and wait to be read.
    kept_bytes: CachePadded<AtomicU64>,
    /// Bytes of keys that were settled when they left memory: they stay until its end.
    left_bytes: AtomicU64,
    /// It is no longer of one moment.
    is_inexact: AtomicBool,
    /// Keys that only the truth had were emptied away behind the cut.
    has_gap: AtomicBool,
    /// Tables that were emptied behind the cut, with their databases.
    emptied: Mutex<Vec<Emptied>>,
}

impl Snapshots {
    pub(super) fn none() -> Self {
        Self {
            running: AtomicU32::new(NONE),
            last: AtomicU32::new(NONE),
            kept_bytes: CachePadded::new(AtomicU64::new(0)),
            left_bytes: AtomicU64::new(0),
            is_inexact: AtomicBool::new(false),
            has_gap: AtomicBool::new(false),
            emptied: Mutex::new(Vec::new()),
        }
    }

    /// The number of the snapshot that runs.
    #[inline]
    fn running(&self) -> Option<u32> {
        Some(self.running.load(Ordering::Relaxed)).filter(|&number| number != NONE)
    }

    /// Counts what is kept, in `which` of the two counts; too much of both ends that the snapshot is of one moment.
    fn count(&self, which: &AtomicU64, bytes: usize) {
        which.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        let all = self.kept_bytes.load(Ordering::Relaxed) + self.left_bytes.load(Ordering::Relaxed);
        if all > MOST_KEPT_BYTES {
            self.is_inexact.store(true, Ordering::Relaxed);
        }
    }

    /// Takes over tables that are about to be freed, where a snapshot still reads them.
    pub(super) fn keep_emptied(&self, database: u8, had_all: bool, tables: &mut Vec<Table>) {
        let Some(number) = self.running() else { return };
        if !had_all {
            self.has_gap.store(true, Ordering::Relaxed);
        }
        // What was made behind the cut owes nothing; and in one that is not of one moment what is gone need not be.
        let is_inexact = self.is_inexact.load(Ordering::Relaxed);
        let emptied = tables.extract_if(.., |table| !is_inexact && table.owes(number));
        let emptied = emptied.map(|table| Emptied { database, table, next: Some(0) });
        self.emptied.lock().extend(emptied);
    }
}

/// A table that was emptied behind the cut.
struct Emptied {
    database: u8,
    table: Table,
    /// Where it is read on.
    next: Option<u32>,
}

/// A snapshot that runs. Each of its [places](Self::places) is read from end to end, by any number of threads.
#[must_use = "what changes is kept for it until it ends"]
pub struct SnapshotCut {
    engine: Arc<Engine>,
    number: u32,
}

/// A part of memory that a snapshot reads.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPlace(Place);

impl SnapshotPlace {
    /// The database that it is a part of.
    #[must_use]
    pub const fn database(self) -> u8 {
        self.0.database()
    }
}

/// What takes entries, and says when it has enough for now.
pub type Visit<'a> = &'a mut dyn FnMut(SnapshotEntry<'_>) -> ControlFlow<()>;

/// One key as a snapshot has it.
#[derive(Debug)]
pub struct SnapshotEntry<'a> {
    /// Its database.
    pub database: u8,
    /// Its bytes.
    pub key: &'a [u8],
    /// Its value.
    pub content: Content,
    /// When it ends.
    pub expiry: Expiry,
}

impl Table {
    /// Before the entry at `slot` is changed or removed: keeps what it is for the snapshot that runs.
    #[inline]
    pub(super) fn keep_for_snapshot(&mut self, slot: u32, tracking: &Tracking, limits: &LimitTable) {
        if let Some(number) = tracking.snapshots.running() {
            self.keep_for(number, slot, &tracking.snapshots, limits);
        }
    }

    #[cold]
    fn keep_for(&mut self, number: u32, slot: u32, snapshots: &Snapshots, limits: &LimitTable) {
        let (entry, changes) = self.entry_and_changes(slot);
        let owed = &mut changes.owed;
        owed.turn_to(number);
        if snapshots.is_inexact.load(Ordering::Relaxed) || !owed.settle(slot) {
            return;
        }
        let Some((content, expiry)) = state_of(entry, limits) else { return };
        let key = entry.key.as_bytes();
        let bytes = size_of::<Kept>() + key.len() + content.heap_bytes();
        snapshots.count(&snapshots.kept_bytes, bytes);
        owed.kept.push((key.into(), Some((content, expiry))));
    }

    /// The entry at `slot` was made by a command: it is none of a snapshot whose cut was before.
    #[inline]
    pub(super) fn settle_for_snapshot(&mut self, slot: u32, tracking: &Tracking) {
        if let Some(number) = tracking.snapshots.running() {
            let is_inexact = tracking.snapshots.is_inexact.load(Ordering::Relaxed);
            let owed = &mut self.changes().owed;
            owed.turn_to(number);
            if is_inexact {
                // What was under another name and not read is under none any more: it was not kept.
                owed.unsettle(slot);
            } else {
                owed.settle(slot);
            }
        }
    }

    /// What is at `slot` was under another key.
    pub(super) fn owe_moved(&mut self, slot: u32, tracking: &Tracking) {
        if let Some(number) = tracking.snapshots.running()
            && tracking.snapshots.is_inexact.load(Ordering::Relaxed)
        {
            let owed = &mut self.changes().owed;
            owed.turn_to(number);
            owed.unsettle(slot);
        }
    }

    /// The entry at `slot` came from the truth.
    #[inline]
    pub(super) fn owe_to_snapshot(&mut self, slot: u32, tracking: &Tracking) {
        if let Some(number) = tracking.snapshots.running() {
            let (entry, changes) = self.entry_and_changes(slot);
            let owed = &mut changes.owed;
            owed.turn_to(number);
            if owed.left.contains(entry.key.as_bytes()) {
                owed.settle(slot);
            } else {
                owed.unsettle(slot);
            }
        }
    }

    /// The entry at `slot` is about to leave memory.
    pub(super) fn leave_snapshot(&mut self, slot: u32, tracking: &Tracking) {
        let Some(number) = tracking.snapshots.running() else { return };
        let (entry, changes) = self.entry_and_changes(slot);
        let owed = &mut changes.owed;
        owed.turn_to(number);
        if owed.is_settled(slot) && !entry.is_known_absent() {
            let key = entry.key.as_bytes();
            let snapshots = &tracking.snapshots;
            snapshots.count(&snapshots.left_bytes, size_of::<Box<[u8]>>() + key.len());
            owed.left.insert(key.into());
        }
    }

    /// Whether it has anything that a snapshot of one moment still needs.
    fn owes(&mut self, number: u32) -> bool {
        let mut next = self.next_used(0);
        while let Some(slot) = next {
            let owed = &mut self.changes().owed;
            owed.turn_to(number);
            if !owed.is_settled(slot) {
                return true;
            }
            next = self.next_used(slot + 1);
        }
        let owed = &mut self.changes().owed;
        owed.turn_to(number);
        !owed.kept.is_empty()
    }

    /// Takes up to `most` of what was kept.
    fn take_kept(&mut self, number: u32, most: usize) -> Vec<Kept> {
        let owed = &mut self.changes().owed;
        owed.turn_to(number);
        let from = owed.kept.len().saturating_sub(most);
        if from == 0 { take(&mut owed.kept) } else { owed.kept.split_off(from) }
    }

    /// Puts back what was taken and not read.
    fn put_back(&mut self, kept: impl Iterator<Item = Kept>) {
        self.changes().owed.kept.extend(kept);
    }

    /// Reads entries from `slot` on that owe it, until `visit` has enough; answers where to go on.
    fn read_owed(
        &mut self,
        number: u32,
        slot: u32,
        limits: &LimitTable,
        mut visit: impl FnMut(&[u8], Content, Expiry) -> ControlFlow<()>,
    ) -> Option<u32> {
        self.changes().owed.turn_to(number);
        let mut next = self.next_used(slot);
        for _ in 0..ENTRIES_UNDER_GUARD {
            let slot = next?;
            let (entry, changes) = self.entry_and_changes(slot);
            let mut flow = ControlFlow::Continue(());
            if changes.owed.settle(slot)
                && let Some((content, expiry)) = state_of(entry, limits)
            {
                flow = visit(entry.key.as_bytes(), content, expiry);
            }
            next = self.next_used(slot + 1);
            if flow.is_break() {
                break;
            }
        }
        next
    }
}

impl Engine {
    /// Begins a snapshot of everything as it is now. The caller has closed the [gate](super::Gate), and in front of a truth has
    /// [cut](Self::cut) in the same closure: whatever is changed from now on belongs to the open generation. `None`: one runs already.
    pub fn begin_snapshot(self: &Arc<Self>) -> Option<SnapshotCut> {
        let snapshots = &self.snapshots;
        if snapshots.running().is_some() {
            return None;
        }
        self.ephemeral.separate();
        let number = snapshots.last.load(Ordering::Relaxed).wrapping_add(1).max(1);
        snapshots.last.store(number, Ordering::Relaxed);
        snapshots.kept_bytes.store(0, Ordering::Relaxed);
        snapshots.left_bytes.store(0, Ordering::Relaxed);
        snapshots.is_inexact.store(false, Ordering::Relaxed);
        snapshots.has_gap.store(false, Ordering::Relaxed);
        snapshots.running.store(number, Ordering::Relaxed);
        Some(SnapshotCut { engine: Arc::clone(self), number })
    }

    /// Whether memory has something under a key that the truth does not have as it is. While a snapshot runs whose cut the truth has, what
    /// such a key was at the cut is read from memory, and an older row of it counts no more: the truth may have refused the later one.
    #[must_use]
    pub fn has_changed(&self, database: u8, key: &[u8]) -> bool {
        let hash = self.hasher.hash(key);
        let table = self.shards.read(Place::new(database, hash));
        table.find(hash, key).is_some_and(|slot| !self.tracking(database).is_clean(table.entry(slot)))
    }

    /// Whether memory has every key of every database, so that a snapshot of memory is one of everything.
    #[must_use]
    pub fn has_everything(&self) -> bool {
        !self.is_loading()
            && (0..DATABASES).all(|at| u8::try_from(at).is_ok_and(|at| self.residency.is_complete(at)))
    }
}

impl SnapshotCut {
    /// The parts of memory that it reads.
    #[must_use]
    pub fn places(&self) -> Vec<SnapshotPlace> {
        let databases = (0..DATABASES).filter_map(|number| u8::try_from(number).ok());
        databases.flat_map(|database| self.engine.tables(database)).map(SnapshotPlace).collect()
    }

    /// Hands entries of a place from `slot` on to `visit`, until that has enough or some were read; `visit` must not call the engine and
    /// holds up takes for as long as it runs. Answers where to go on, `None` behind the last. Begin with 0.
    pub fn read(&self, place: SnapshotPlace, slot: u32, visit: Visit<'_>) -> Option<u32> {
        let SnapshotPlace(place) = place;
        let database = place.database();
        self.engine.shards.write(place).read_owed(
            self.number,
            slot,
            &self.engine.limits,
            |key, content, expiry| visit(SnapshotEntry { database, key, content, expiry }),
        )
    }

    /// Hands out some of what a place has kept; whether it may have kept more. When every place was [read](Self::read) to its end,
    /// what was kept of all of them is the rest.
    pub fn read_kept(&self, place: SnapshotPlace, visit: Visit<'_>) -> bool {
        let SnapshotPlace(place) = place;
        let kept = self.engine.shards.write(place).take_kept(self.number, ENTRIES_UNDER_GUARD);
        let mut kept = kept.into_iter();
        let has_more = self.hand_out(place.database(), &mut kept, visit);
        if has_more {
            self.engine.shards.write(place).put_back(kept);
        }
        has_more
    }

    /// Hands out some of what was emptied away behind the cut; whether there is more. A table that was read to its end is freed here.
    pub fn read_emptied(&self, visit: Visit<'_>) -> bool {
        let emptied = &self.engine.snapshots.emptied;
        let Some(Emptied { database, mut table, next }) = emptied.lock().pop() else { return false };
        let mut kept = table.take_kept(self.number, ENTRIES_UNDER_GUARD).into_iter();
        let next = if self.hand_out(database, &mut kept, visit) || kept.len() > 0 {
            table.put_back(kept);
            next
        } else {
            next.and_then(|slot| {
                table.read_owed(self.number, slot, &self.engine.limits, |key, content, expiry| {
                    visit(SnapshotEntry { database, key, content, expiry })
                })
            })
        };
        if next.is_some() || !table.changes().owed.kept.is_empty() {
            emptied.lock().push(Emptied { database, table, next });
        }
        true
    }

    /// Hands out until `visit` has enough; whether it may want the rest later.
    fn hand_out(&self, database: u8, kept: &mut impl Iterator<Item = Kept>, visit: Visit<'_>) -> bool {
        let (mut bytes, mut flow, mut read) = (0, ControlFlow::Continue(()), 0);
        while flow.is_continue()
            && let Some((key, content)) = kept.next()
        {
            read += 1;
            let Some((content, expiry)) = content else { continue };
            bytes += size_of::<Kept>() + key.len() + content.heap_bytes();
            flow = visit(SnapshotEntry { database, key: &key, content, expiry });
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.engine.snapshots.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
        flow.is_break() || read == ENTRIES_UNDER_GUARD
    }

    /// Bytes that wait to be read, of what changed behind the cut: the places are worth a look when it grows.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        self.engine.snapshots.kept_bytes.load(Ordering::Relaxed)
    }

    /// Whether everything was kept as it was at the cut. Else changes came faster than they were read, and what was read is from
    /// the cut or behind it.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.engine.snapshots.is_inexact.load(Ordering::Relaxed)
    }

    /// Whether a database was emptied behind the cut of which only the truth had some keys: they can no longer be read.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.engine.snapshots.has_gap.load(Ordering::Relaxed)
    }
}

impl Drop for SnapshotCut {
    fn drop(&mut self) {
        let snapshots = &self.engine.snapshots;
        snapshots.running.store(NONE, Ordering::Relaxed);
        drop(take(&mut *snapshots.emptied.lock()));
        // Whoever has seen it run may still keep a little: that goes here, or with the next snapshot.
        for place in self.places() {
            let SnapshotPlace(place) = place;
            self.engine.shards.write(place).changes().owed = Owed::default();
        }
    }
}

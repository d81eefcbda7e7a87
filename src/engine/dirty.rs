//! Which entries changed since the truth had them, and what they were at the last cut.
//!
//! Changes are counted in *generations*; a [cut](Engine::cut) closes the open one and opens the next. Whoever writes the truth
//! then [collects](Engine::collect) the closed generation while commands run on: the first change in the open generation of an
//! entry that is not collected yet keeps its old state for the collector. So a collected generation is the state at its
//! cut, whatever happens meanwhile.
//!
//! Invariants, under the guards of a shard:
//! 1. An entry is in the list of a generation exactly if its mark is *queued* in that generation, and it is there once.
//! 2. There are at most two generations with queued entries: the open one, and the closed one that is being collected.
//! 3. An entry leaves memory only when it is clean: its mark's generation was applied in the truth. A removed key stays as
//!    [`Value::KnownAbsent`] until then.
//! 4. A word is swapped under a shared guard only if its entry is queued in the open generation already.
//!
//! The open generation does not change while a thread executes: see [`Gate`](super::Gate).

use parking_lot::Mutex;

use super::entry::{Entry, Expiry, Value};
use super::limits::LimitTable;
use super::shards::Place;
use super::sync::{AtomicU32, Ordering};
use super::table::{Table, copy_of};
use super::value::Content;
use super::{DATABASES, Engine};

/// Entries collected under one guard: some 20 us, the longest a take should wait for the collector.
const ENTRIES_UNDER_GUARD: usize = 256;

/// Generations further apart than this are taken as counted past the end of 31 bits: the sweep takes marks away long before.
const LARGEST_DISTANCE: u32 = 1 << 29;

/// Numbers a generation: 1 is the first, 0 none. 31 bits, counted on from 1 behind the end: at ten cuts a second in seven years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Generation(u32);

impl Generation {
    /// Nothing is tracked.
    pub(super) const NONE: Self = Self(0);
    /// The first.
    const FIRST: Self = Self(1);

    const fn next(self) -> Self {
        Self(if self.0 == u32::MAX >> 1 { 1 } else { self.0 + 1 })
    }

    /// Whether this is `other` or before it.
    const fn is_up_to(self, other: Self) -> bool {
        (other.0.wrapping_sub(self.0) & (u32::MAX >> 1)) < LARGEST_DISTANCE
    }
}

/// What an entry knows of its last change: the generation, and whether it was collected for that; 0: never changed, or clean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark(u32);

impl Mark {
    /// Of an entry as the truth has it.
    pub(super) const CLEAN: Self = Self(0);

    #[inline]
    pub(super) const fn queued(generation: Generation) -> Self {
        Self(generation.0 << 1)
    }

    const fn collected(generation: Generation) -> Self {
        Self(generation.0 << 1 | 1)
    }

    const fn generation(self) -> Generation {
        Generation(self.0 >> 1)
    }

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }
}

/// A key with what it was at a cut.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its database.
    pub database: u8,
    /// Its bytes.
    pub key: Box<[u8]>,
    /// Its value and expiry; `None`: it was absent.
    pub content: Option<(Content, Expiry)>,
}

/// A key and what it was; `None`: absent.
type Kept = (Box<[u8]>, Option<(Content, Expiry)>);

/// What of one table changed.
#[derive(Default)]
pub(super) struct Changes {
    /// The generation of `open`.
    generation: Generation,
    /// Slots of entries that are queued in it.
    open: Vec<u32>,
    /// Slots of entries that were queued in the generation before; those whose marks say otherwise were kept in `kept`.
    closed: Vec<u32>,
    /// Entries of the generation before that changed again before they were collected, as they were at the cut.
    kept: Vec<Kept>,
}

impl Changes {
    /// Heap bytes, without what the kept values hold beyond themselves.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.open.capacity() + self.closed.capacity()) * size_of::<u32>()
            + self.kept.capacity() * size_of::<Kept>()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len() + self.closed.len() + self.kept.len()
    }

    /// Makes `open` the list of the open generation.
    fn turn_to(&mut self, open: Generation) {
        if self.generation != open {
            debug_assert!(
                self.closed.is_empty() && self.kept.is_empty(),
                "one generation is collected at a time"
            );
            self.closed = std::mem::take(&mut self.open);
            self.generation = open;
        }
    }
}

/// What the engine knows of changes beyond single tables.
pub(super) struct Tracking {
    /// The open generation; 0: nothing is tracked.
    open: AtomicU32,
    /// The last generation that the truth has.
    applied: AtomicU32,
    rare: Mutex<Rare>,
}

#[derive(Default)]
struct Rare {
    /// Databases that were emptied, with the generation.
    flushed: Vec<(Generation, u8)>,
    /// What tables that were emptied still held of the closed generation.
    kept: Vec<Change>,
}

impl Tracking {
    pub(super) fn off() -> Self {
        Self { open: AtomicU32::new(0), applied: AtomicU32::new(0), rare: Mutex::new(Rare::default()) }
    }

    pub(super) fn on() -> Self {
        Self { open: AtomicU32::new(Generation::FIRST.0), ..Self::off() }
    }

    /// Stable while a thread executes, so it needs no order of its own: the gate gives it.
    #[inline]
    pub(super) fn open(&self) -> Generation {
        Generation(self.open.load(Ordering::Relaxed))
    }

    /// Takes the mark of a clean entry away, so that no mark grows as old as the numbers of generations reach. The shared guard
    /// does for that: only exclusive ones make an entry dirty.
    pub(super) fn clean(&self, entry: &Entry) {
        if entry.mark() != Mark::CLEAN && self.is_clean(entry) {
            entry.set_mark(Mark::CLEAN);
        }
    }

    /// Whether the truth has the entry as it is.
    pub(super) fn is_clean(&self, entry: &Entry) -> bool {
        let mark = entry.mark();
        mark == Mark::CLEAN || mark.generation().is_up_to(Generation(self.applied.load(Ordering::Acquire)))
    }
}

impl Table {
    /// Before the entry at `slot` is changed: keeps what it is for the generation that is being collected, if it still owes
    /// that.
    pub(super) fn keep_for_cut(&mut self, slot: u32, open: Generation, limits: &LimitTable) {
        if open == Generation::NONE {
            return;
        }
        let (entry, changes) = self.entry_and_changes(slot);
        changes.turn_to(open);
        let mark = entry.mark();
        if mark.bits() & 1 == 0 && mark != Mark::CLEAN && mark.generation() != open {
            changes.kept.push((entry.key.as_bytes().into(), state_of(entry, limits)));
            entry.set_mark(Mark::collected(mark.generation()));
        }
    }

    /// Queues the entry at `slot` in the open generation: it was changed, or will be before the guard is gone.
    pub(super) fn queue(&mut self, slot: u32, open: Generation) {
        if open == Generation::NONE {
            return;
        }
        let (entry, changes) = self.entry_and_changes(slot);
        changes.turn_to(open);
        if entry.mark() != Mark::queued(open) {
            entry.set_mark(Mark::queued(open));
            changes.open.push(slot);
        }
    }

    /// Collects up to `most` entries of the generation before `open`; whether there are more.
    fn collect(
        &mut self,
        database: u8,
        open: Generation,
        most: usize,
        limits: &LimitTable,
        into: &mut Vec<Change>,
    ) -> bool {
        let changes = self.changes();
        changes.turn_to(open);
        let change = |(key, content): Kept| Change { database, key, content };
        into.extend(std::mem::take(&mut changes.kept).into_iter().map(change));
        let from = changes.closed.len().saturating_sub(most);
        let slots = changes.closed.split_off(from);
        let more = !changes.closed.is_empty();
        if !more {
            changes.closed = Vec::new();
        }
        for slot in slots {
            let entry = self.entry(slot);
            let mark = entry.mark();
            // One that was kept is there as it was.
            if mark.bits() & 1 == 0 && mark.generation() != open && mark != Mark::CLEAN {
                entry.set_mark(Mark::collected(mark.generation()));
                let key = entry.key.as_bytes().into();
                into.push(Change { database, key, content: state_of(entry, limits) });
            }
        }
        more
    }

    /// Everything the generation before `open` still owes, as the table is about to be emptied.
    fn collect_all(&mut self, database: u8, open: Generation, limits: &LimitTable, into: &mut Vec<Change>) {
        while self.collect(database, open, usize::MAX, limits, into) {}
    }
}

fn state_of(entry: &Entry, limits: &LimitTable) -> Option<(Content, Expiry)> {
    match entry.value {
        Value::Vacant | Value::KnownAbsent => None,
        _ => Some(copy_of(entry, limits)),
    }
}

impl Engine {
    /// Whether the word of an entry may be swapped under a shared guard; always where nothing is tracked.
    #[inline]
    pub(super) fn is_queued(&self, entry: &Entry) -> bool {
        entry.mark() == Mark::queued(self.tracking.open())
    }

    /// Whether changes are tracked for a truth.
    #[must_use]
    pub fn is_tracked(&self) -> bool {
        self.tracking.open() != Generation::NONE
    }

    /// The generation that what is changed now belongs to.
    #[must_use]
    pub fn open_generation(&self) -> Generation {
        self.tracking.open()
    }

    /// Closes the open generation and answers it. The caller has closed the gate, and has collected all of the one before.
    pub fn cut(&self) -> Generation {
        let closed = self.tracking.open();
        self.tracking.open.store(closed.next().0, Ordering::Relaxed);
        closed
    }

    /// Hands the changes of the generation that was closed last to `visit`, in portions; then the databases that were emptied
    /// in it are answered, whose older keys are gone.
    pub fn collect(&self, closed: Generation, mut visit: impl FnMut(Vec<Change>)) -> Vec<u8> {
        let open = self.tracking.open();
        debug_assert_eq!(closed.next(), open, "the last closed generation is collected");
        for number in 0..DATABASES {
            let Ok(database) = u8::try_from(number) else { break };
            for place in self.tables(database) {
                self.collect_table(place, database, open, &mut visit);
            }
        }
        // Behind the tables: one that is emptied meanwhile leaves here what it owed.
        let mut rare = self.tracking.rare.lock();
        let kept = std::mem::take(&mut rare.kept);
        let mut flushed = Vec::new();
        rare.flushed.retain(|&(generation, database)| {
            if generation == closed && !flushed.contains(&database) {
                flushed.push(database);
            }
            generation != closed
        });
        drop(rare);
        if !kept.is_empty() {
            visit(kept);
        }
        flushed.sort_unstable();
        flushed
    }

    fn collect_table(
        &self,
        place: Place,
        database: u8,
        open: Generation,
        visit: &mut impl FnMut(Vec<Change>),
    ) {
        loop {
            let mut portion = Vec::new();
            let more = self.shards.write(place).collect(
                database,
                open,
                ENTRIES_UNDER_GUARD,
                &self.limits,
                &mut portion,
            );
            if !portion.is_empty() {
                visit(portion);
            }
            if !more {
                return;
            }
        }
    }

    /// Says that the truth has everything up to this generation: entries that were not changed since are clean.
    pub fn set_applied(&self, generation: Generation) {
        self.tracking.applied.store(generation.0, Ordering::Release);
    }

    /// Entries that changed and are not collected yet.
    #[must_use]
    pub fn uncollected(&self) -> usize {
        let databases = (0..DATABASES).filter_map(|number| u8::try_from(number).ok());
        let places = databases.flat_map(|database| self.tables(database));
        let changed: usize = places.map(|place| self.shards.read(place).changed()).sum();
        let rare = self.tracking.rare.lock();
        changed + rare.kept.len() + rare.flushed.len()
    }

    /// Notes that a database was emptied, under the guards of its tables; what they owe to the closed generation is kept.
    pub(super) fn note_flush<'t>(&self, database: u8, tables: impl Iterator<Item = &'t mut Table>) {
        let open = self.tracking.open();
        if open == Generation::NONE {
            return;
        }
        let mut kept = Vec::new();
        tables.for_each(|table| table.collect_all(database, open, &self.limits, &mut kept));
        let mut rare = self.tracking.rare.lock();
        rare.kept.append(&mut kept);
        rare.flushed.push((open, database));
    }
}

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
//!    [`Value::KnownAbsent`] until then. What the truth refused is *pinned*: clean only after it changed again.
//! 4. A word is swapped under a shared guard only if its entry is queued in the open generation already.
//!
//! The open generation does not change while a thread executes: see [`Gate`](super::Gate).

use std::borrow::Cow;
use std::sync::Arc;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::closed::ClosedBudget;
use super::entry::{Entry, Expiry, Value};
use super::generation::{Generation, Mark};
use super::limits::LimitTable;
use super::prefetch::line_of;
use super::shards::Place;
use super::snapshot::{Owed, Snapshots};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use super::table::{Table, copy_of};
use super::value::{Content, Text};
use super::{DATABASES, Engine};

/// Entries collected under one guard: some 20 us, the longest a take should wait for the collector.
const ENTRIES_UNDER_GUARD: usize = 256;

/// How many entries ahead the next ones are brought into the cache: they lie in the order of their changes, which is none.
const ENTRIES_AHEAD: usize = 8;

/// A key with what it was at a cut.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// Its database.
    pub database: u8,
    /// Its bytes, in the entry itself where it has not changed since.
    pub key: Cow<'a, [u8]>,
    /// Its value and expiry; `None`: it was absent.
    pub content: Option<(Content, Expiry)>,
}

impl Change<'_> {
    fn kept(database: u8, (key, content): Kept) -> Change<'static> {
        Change { database, key: Cow::Owned(key.into_vec()), content }
    }

    /// Whether its value is of few bytes: neither a shared text nor limits with logs.
    const fn is_short(&self) -> bool {
        !matches!(self.content, Some((Content::Text(Text::Shared(_)) | Content::Quotas(_), _)))
    }

    /// With a key of its own.
    #[must_use]
    pub fn into_owned(self) -> Change<'static> {
        let Change { database, key, content } = self;
        Change { database, key: Cow::Owned(key.into_owned()), content }
    }
}

/// A key and what it was; `None`: absent.
pub(super) type Kept = (Box<[u8]>, Option<(Content, Expiry)>);

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
    /// What a snapshot that runs still needs.
    pub(super) owed: Owed,
}

impl Changes {
    /// Heap bytes, without what the kept values hold beyond themselves.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.open.capacity() + self.closed.capacity()) * size_of::<u32>()
            + self.kept.capacity() * size_of::<Kept>()
            + self.owed.heap_bytes()
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

/// What a generation holds beside the changes of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The databases that were emptied in it, whose older keys are gone.
    pub flushed_databases: Vec<u8>,
    /// The calendar periods of budgets that were closed in it.
    pub closed_periods: Vec<ClosedBudget>,
}

/// What the engine knows of changes beyond single tables.
pub(super) struct Tracking {
    /// The open generation; 0: nothing is tracked.
    open: AtomicU32,
    /// Whether changes are collected for a truth. Without one, generations only tell what changed behind a snapshot's cut.
    has_truth: bool,
    /// The last generation that the truth has.
    applied: AtomicU32,
    /// Entries queued in the open generation, and databases emptied in it. On a line of its own: others only read the words above.
    queued: CachePadded<AtomicU64>,
    rare: Mutex<Rare>,
    pub(super) snapshots: Arc<Snapshots>,
}

#[derive(Default)]
struct Rare {
    /// Databases that were emptied, with the generation.
    flushed: Vec<(Generation, u8)>,
    /// What tables that were emptied still held of the closed generation.
    kept: Vec<Change<'static>>,
    /// Periods that were closed, with the generation.
    closed: Vec<(Generation, ClosedBudget)>,
}

impl Tracking {
    pub(super) fn off(snapshots: &Arc<Snapshots>) -> Self {
        Self {
            open: AtomicU32::new(Generation::NONE.number()),
            has_truth: false,
            applied: AtomicU32::new(Generation::NONE.number()),
            queued: CachePadded::new(AtomicU64::new(0)),
            rare: Mutex::new(Rare::default()),
            snapshots: Arc::clone(snapshots),
        }
    }

    pub(super) fn on(snapshots: &Arc<Snapshots>) -> Self {
        Self { open: AtomicU32::new(Generation::FIRST.number()), has_truth: true, ..Self::off(snapshots) }
    }

    /// Puts what is changed from now on into another generation than what was changed before, so that no word is swapped unseen.
    /// Only where no truth is: in front of one a cut has done that, or nothing was changed in the open generation.
    pub(super) fn separate(&self) {
        debug_assert!(!self.has_truth, "in front of a truth every generation is a batch");
        self.open.store(self.open().next().number(), Ordering::Relaxed);
    }

    /// Whether changes are collected for a truth.
    #[inline]
    pub(super) const fn has_truth(&self) -> bool {
        self.has_truth
    }

    /// Stable while a thread executes, so it needs no order of its own: the gate gives it.
    #[inline]
    pub(super) fn open(&self) -> Generation {
        Generation::from_number(self.open.load(Ordering::Relaxed))
    }

    /// One more change in the open generation. Ordered as the change itself, by the gate.
    fn count_queued(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps figures for the open generation; under the guard of the change that left them.
    pub(super) fn leave_closed(&self, closed: impl Iterator<Item = ClosedBudget>) {
        let open = self.open();
        self.rare.lock().closed.extend(closed.map(|closed| (open, closed)));
    }

    /// Takes the mark of a clean entry away, so that no mark grows as old as the numbers of generations reach. The shared guard
    /// does for that: only exclusive ones make an entry dirty.
    pub(super) fn clean(&self, entry: &Entry) {
        if entry.mark() != Mark::CLEAN && self.is_clean(entry) {
            entry.set_mark(Mark::CLEAN);
        }
    }

    /// Whether the truth has the entry as it is; always where there is none.
    pub(super) fn is_clean(&self, entry: &Entry) -> bool {
        match entry.mark() {
            _ if !self.has_truth => true,
            Mark::CLEAN => true,
            Mark::PINNED => false,
            mark => {
                let applied = Generation::from_number(self.applied.load(Ordering::Acquire));
                mark.generation().is_up_to(applied)
            }
        }
    }
}

impl Table {
    /// Before the entry at `slot` is changed: keeps what it is for the generation that is being collected, if it still owes
    /// that.
    pub(super) fn keep_for_cut(&mut self, slot: u32, tracking: &Tracking, limits: &LimitTable) {
        self.keep_for_snapshot(slot, tracking, limits);
        if !tracking.has_truth {
            return;
        }
        let open = tracking.open();
        let (entry, changes) = self.entry_and_changes(slot);
        changes.turn_to(open);
        let mark = entry.mark();
        if mark.is_queued() && mark.generation() != open {
            changes.kept.push((entry.key.as_bytes().into(), state_of(entry, limits)));
            entry.set_mark(Mark::collected(mark.generation()));
        }
    }

    /// Queues the entry at `slot` in the open generation: it was changed, or will be before the guard is gone.
    pub(super) fn queue(&mut self, slot: u32, tracking: &Tracking) {
        let open = tracking.open();
        if open == Generation::NONE {
            return;
        }
        let (entry, changes) = self.entry_and_changes(slot);
        if !tracking.has_truth {
            entry.set_mark(Mark::queued(open));
            return;
        }
        changes.turn_to(open);
        if entry.mark() != Mark::queued(open) {
            entry.set_mark(Mark::queued(open));
            changes.open.push(slot);
            tracking.count_queued();
        }
    }

    /// Hands up to `most` entries of the generation before `open` to `visit`, or puts them into `later`, where looking at them takes
    /// longer than a guard should be held; whether there are more.
    fn collect(
        &mut self,
        database: u8,
        open: Generation,
        most: usize,
        limits: &LimitTable,
        visit: &mut impl FnMut(Change<'_>),
        later: &mut Vec<Change<'static>>,
    ) -> bool {
        let changes = self.changes();
        changes.turn_to(open);
        later.extend(std::mem::take(&mut changes.kept).into_iter().map(|kept| Change::kept(database, kept)));
        let mut slots = std::mem::take(&mut changes.closed);
        let from = slots.len().saturating_sub(most);
        for (at, &slot) in slots.iter().enumerate().skip(from) {
            if let Some(&soon) = slots.get(at + ENTRIES_AHEAD) {
                line_of(self.entry(soon));
            }
            let entry = self.entry(slot);
            let mark = entry.mark();
            // One that was kept is there as it was.
            if mark.is_queued() && mark.generation() != open {
                entry.set_mark(Mark::collected(mark.generation()));
                let key = Cow::Borrowed(entry.key.as_bytes());
                let change = Change { database, key, content: state_of(entry, limits) };
                if change.is_short() { visit(change) } else { later.push(change.into_owned()) }
            }
        }
        if from > 0 {
            slots.truncate(from);
            self.changes().closed = slots;
        }
        from > 0
    }

    /// Everything the generation before `open` still owes, as the table is about to be emptied.
    fn collect_all(
        &mut self,
        database: u8,
        open: Generation,
        limits: &LimitTable,
        into: &mut Vec<Change<'static>>,
    ) {
        let mut short = Vec::new();
        let mut visit = |change: Change<'_>| short.push(change.into_owned());
        while self.collect(database, open, usize::MAX, limits, &mut visit, into) {}
        into.append(&mut short);
    }
}

/// Takes out of `kept` what belongs to `generation`.
fn taken<T>(kept: &mut Vec<(Generation, T)>, generation: Generation) -> impl Iterator<Item = T> {
    kept.extract_if(.., move |(of, _)| *of == generation).map(|(_, taken)| taken)
}

pub(super) fn state_of(entry: &Entry, limits: &LimitTable) -> Option<(Content, Expiry)> {
    match entry.value {
        Value::Vacant | Value::KnownAbsent => None,
        _ => Some(copy_of(entry, limits)),
    }
}

impl Engine {
    /// Whether the word of an entry of this database may be swapped under a shared guard; always where nothing is tracked.
    #[inline]
    pub(super) fn is_queued(&self, database: u8, entry: &Entry) -> bool {
        entry.mark() == Mark::queued(self.tracking(database).open())
    }

    /// Whether changes of a database are tracked for a truth.
    #[inline]
    #[must_use]
    pub fn is_tracked(&self, database: u8) -> bool {
        self.tracking(database).has_truth
    }

    /// The generation that what is changed now belongs to.
    #[must_use]
    pub fn open_generation(&self) -> Generation {
        self.durable.open()
    }

    /// Changes in the open generation, known without a walk: a key counts once, as does each emptying of a database. Keys that
    /// were queued and then emptied away are counted still.
    #[must_use]
    pub fn queued(&self) -> usize {
        usize::try_from(self.durable.queued.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Closes the open generation and answers it; `None`, and it stays open, when nothing was queued in it. The caller has
    /// closed the gate, and has collected all of the one before.
    pub fn cut(&self) -> Option<Generation> {
        if self.queued() == 0 {
            return None;
        }
        let closed = self.durable.open();
        self.durable.queued.store(0, Ordering::Relaxed);
        self.durable.open.store(closed.next().number(), Ordering::Relaxed);
        Some(closed)
    }

    /// Hands the changes of the generation that was closed last to `visit`; then answers what else was in it. Takes may have to wait while
    /// `visit` has a change, so it is to be short, and may not use the engine.
    pub fn collect(&self, closed: Generation, mut visit: impl FnMut(Change<'_>)) -> Collected {
        let open = self.durable.open();
        debug_assert_eq!(closed.next(), open, "the last closed generation is collected");
        for number in 0..DATABASES {
            let Ok(database) = u8::try_from(number) else { break };
            if !self.is_tracked(database) {
                continue;
            }
            for place in self.tables(database) {
                self.collect_table(place, database, open, &mut visit);
            }
        }
        // Behind the tables: one that is emptied meanwhile leaves here what it owed.
        let mut rare = self.durable.rare.lock();
        let kept = std::mem::take(&mut rare.kept);
        let mut flushed_databases: Vec<u8> = taken(&mut rare.flushed, closed).collect();
        let closed_periods = taken(&mut rare.closed, closed).collect();
        drop(rare);
        kept.into_iter().for_each(visit);
        flushed_databases.sort_unstable();
        flushed_databases.dedup();
        Collected { flushed_databases, closed_periods }
    }

    /// The changes with keys of their own.
    #[cfg(test)]
    pub(super) fn collect_owned(&self, closed: Generation) -> (Vec<Change<'static>>, Collected) {
        let mut changes = Vec::new();
        let collected = self.collect(closed, |change| changes.push(change.into_owned()));
        (changes, collected)
    }

    fn collect_table(
        &self,
        place: Place,
        database: u8,
        open: Generation,
        visit: &mut impl FnMut(Change<'_>),
    ) {
        let mut later = Vec::new();
        loop {
            let mut table = self.shards.write(place);
            let more = table.collect(database, open, ENTRIES_UNDER_GUARD, &self.limits, visit, &mut later);
            drop(table);
            later.drain(..).for_each(&mut *visit);
            if !more {
                return;
            }
        }
    }

    /// Says that the truth has everything up to this generation: entries that were not changed since are clean, unless they were
    /// [pinned](Self::pin) before.
    pub fn set_applied(&self, generation: Generation) {
        self.durable.applied.store(generation.number(), Ordering::Release);
    }

    /// Pins the entry of a key whose row the truth refused: what was collected of it last, in a generation up to `up_to`, never
    /// becomes clean, so it stays in memory until it changes again and is queued as any other. Call it before
    /// [`set_applied`](Self::set_applied) of that generation; whether the entry was pinned.
    pub fn pin(&self, database: u8, key: &[u8], up_to: Generation) -> bool {
        let hash = self.hasher.hash(key);
        let table = self.shards.write(Place::new(database, hash));
        let Some(slot) = table.find(hash, key) else { return false };
        let entry = table.entry(slot);
        let mark = entry.mark();
        let is_refused = mark.is_collected() && mark.generation().is_up_to(up_to);
        if is_refused {
            entry.set_mark(Mark::PINNED);
        }
        is_refused
    }

    /// Queues every entry in the open generation, since the truth lost what it had. Called between cuts by the one that cuts;
    /// commands run on meanwhile, and what they change is queued anyway.
    pub fn queue_everything(&self) {
        let databases = (0..DATABASES).filter_map(|number| u8::try_from(number).ok());
        for place in databases.filter(|&at| self.is_tracked(at)).flat_map(|at| self.tables(at)) {
            let mut from = Some(0);
            while let Some(slot) = from {
                from = self.queue_portion(place, slot);
            }
        }
    }

    /// Queues the entries of one guard's worth from `slot` on; answers where to go on.
    fn queue_portion(&self, place: Place, slot: u32) -> Option<u32> {
        let mut table = self.shards.write(place);
        let mut next = table.next_used(slot);
        for _ in 0..ENTRIES_UNDER_GUARD {
            let slot = next?;
            table.keep_for_cut(slot, &self.durable, &self.limits);
            table.queue(slot, &self.durable);
            next = table.next_used(slot + 1);
        }
        next
    }

    /// Entries that changed and are not collected yet.
    #[must_use]
    pub fn uncollected(&self) -> usize {
        let databases = (0..DATABASES).filter_map(|number| u8::try_from(number).ok());
        let places = databases.flat_map(|database| self.tables(database));
        let changed: usize = places.map(|place| self.shards.read(place).changed()).sum();
        let rare = self.durable.rare.lock();
        changed + rare.kept.len() + rare.flushed.len()
    }

    /// Notes that a database was emptied, under the guards of its tables; what they owe to the closed generation is kept.
    pub(super) fn note_flush<'t>(&self, database: u8, tables: impl Iterator<Item = &'t mut Table>) {
        if !self.is_tracked(database) {
            return;
        }
        let open = self.durable.open();
        let mut kept = Vec::new();
        tables.for_each(|table| table.collect_all(database, open, &self.limits, &mut kept));
        let mut rare = self.durable.rare.lock();
        rare.kept.append(&mut kept);
        rare.flushed.push((open, database));
        drop(rare);
        self.durable.count_queued();
    }
}

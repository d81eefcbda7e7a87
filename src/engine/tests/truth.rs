//! With eviction, fetches, loading and restarts, every answer is that of an engine that keeps everything in memory.

mod command;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use super::START;
use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::engine::{
    Change, Cursor, Engine, Eviction, Expiry, Fetch, FetchNumber, Generation, MissingKey, Need, SweepCursor,
};
use crate::quota::SpanCache;
use command::{Command, DOUBLES, bare, command, run};
use snapshot::Reading;

const DATABASES: [u8; 2] = [0, 3];

/// Rows in a page of the stream that loads the truth, and of the scan for its filter.
const PAGE_ROWS: usize = 3;

/// Fetches a command may need: one for each of its keys, and one more where a key leaves again before all are there.
const MOST_FETCHES: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A command that is run until it has its keys.
    Run(Command),
    /// A command of a client that goes away when it has to wait; its fetch goes on.
    Try(Command),
    /// The truth answers the query of a fetch: the answer is on its way.
    Answer(usize),
    /// An answer arrives.
    Fill(usize),
    /// A fetch is given up; its answer arrives late.
    Abandon(usize),
    Flush,
    Sweep,
    Wait,
    Cut,
    Collect,
    /// The truth applies the oldest batch.
    Apply,
    /// It applies it but for one row, which it refuses.
    Refuse(usize),
    Evict(bool, usize, u64),
    /// The next page of the stream is read.
    ReadPage,
    /// A page arrives; of it every so many'th key has no room in memory.
    Load(usize, usize),
    EndLoading,
    BeginFilter,
    NotePage,
    EndFilter,
    /// A snapshot begins with a cut.
    Snapshot,
    /// It is read on: a place of memory, then a page of the truth.
    ReadSnapshot(usize),
    EndSnapshot,
    /// The process is killed with so many batches in the outbox that are applied first; the others are lost.
    Restart(usize),
}

fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let step = prop_oneof![
        14 => command().prop_map(Step::Run),
        6 => command().prop_map(Step::Try),
        4 => (0..8usize).prop_map(Step::Answer),
        4 => (0..8usize).prop_map(Step::Fill),
        1 => (0..8usize).prop_map(Step::Abandon),
        1 => Just(Step::Flush),
        2 => Just(Step::Sweep),
        2 => Just(Step::Wait),
        4 => Just(Step::Cut),
        4 => Just(Step::Collect),
        4 => Just(Step::Apply),
        1 => (0..4usize).prop_map(Step::Refuse),
        8 => (any::<bool>(), 1..4usize, any::<u64>()).prop_map(|(ttl, most, random)| Step::Evict(ttl, most, random)),
        2 => Just(Step::ReadPage),
        2 => (0..4usize, 1..4usize).prop_map(|(page, every)| Step::Load(page, every)),
        1 => Just(Step::EndLoading),
        1 => Just(Step::BeginFilter),
        3 => Just(Step::NotePage),
        1 => Just(Step::EndFilter),
        2 => Just(Step::Snapshot),
        12 => any::<usize>().prop_map(Step::ReadSnapshot),
        1 => Just(Step::EndSnapshot),
        1 => (0..3usize).prop_map(Step::Restart),
    ];
    prop::collection::vec((prop::sample::select(&DATABASES[..]), step), 0..300)
}

/// What was done before the start.
fn commands() -> impl Strategy<Value = Vec<(u8, Command)>> {
    prop::collection::vec((prop::sample::select(&DATABASES[..]), command()), 0..40)
}

/// The rows of a truth after these commands.
fn rows_after(commands: Vec<(u8, Command)>) -> Rows {
    let engine = Engine::new();
    for (database, command) in commands {
        run(&engine, database, command, START).expect("the engine is complete");
    }
    let mut rows = Rows::new();
    for database in DATABASES {
        engine.scan(database, Cursor::default(), usize::MAX, START, |key, view| {
            let (content, expiry) = view.copy();
            rows.insert((database, key.to_vec()), (bare(content), expiry));
        });
    }
    rows
}

/// A key of a database.
type Place = (u8, Vec<u8>);

fn place(missing: &MissingKey) -> Place {
    (missing.database, missing.key.to_vec())
}

/// What a truth holds, by key.
type Rows = BTreeMap<Place, (Content, Expiry)>;

/// What one cut collected.
struct Batch {
    seq: u64,
    generation: Generation,
    changes: Vec<Change<'static>>,
    flushed: Vec<u8>,
}

/// A fetch of one key, with the truth's answer once its query was run.
struct Query {
    number: FetchNumber,
    key: MissingKey,
    answer: Option<Option<(Content, Expiry)>>,
    is_abandoned: bool,
}

/// A walk over the truth in the order of keys.
#[derive(Default)]
struct Walk {
    last: Option<Place>,
    is_over: bool,
}

impl Walk {
    fn page(&mut self, truth: &Rows) -> Rows {
        let behind = |place: &Place| self.last.as_ref().is_none_or(|last| place > last);
        let rows: Rows =
            truth.iter().filter(|(place, _)| behind(place)).take(PAGE_ROWS).map(copied).collect();
        self.is_over = rows.len() < PAGE_ROWS;
        self.last = rows.last_key_value().map(|(place, _)| place.clone()).or(self.last.take());
        rows
    }
}

fn copied((place, row): (&Place, &(Content, Expiry))) -> (Place, (Content, Expiry)) {
    (place.clone(), row.clone())
}

/// A process in front of a truth, with the answers it should give.
struct World {
    engine: Arc<Engine>,
    /// An engine that keeps everything, for the right answers.
    right: Engine,
    truth: Rows,
    now: Timestamp,
    closed: Option<Generation>,
    batches: VecDeque<Batch>,
    queries: Vec<Query>,
    walk: Walk,
    pages: Vec<Rows>,
    filter_walk: Option<Walk>,
    /// Keys that left memory, or were never in it: only they may be unknown once the truth is loaded.
    left: BTreeSet<Place>,
    /// Those of `left` since the next filter was begun.
    left_since: BTreeSet<Place>,
    /// Keys whose last state the truth refused.
    refused: BTreeSet<Place>,
    /// Batches that were cut, and applied.
    cuts: u64,
    applied: u64,
    /// By which batch each row was written.
    written: BTreeMap<Place, u64>,
    reading: Option<Reading>,
}

impl World {
    fn new(truth: Rows, now: Timestamp) -> Self {
        let right = Engine::new();
        for ((database, key), (content, expiry)) in truth.clone() {
            right.edit(database, &key, Timestamp::EPOCH, |slot| slot.put(content, expiry)).unwrap();
        }
        Self {
            engine: Arc::new(Engine::in_front_of_truth()),
            right,
            truth,
            now,
            closed: None,
            batches: VecDeque::new(),
            queries: Vec::new(),
            walk: Walk::default(),
            pages: Vec::new(),
            filter_walk: None,
            left: BTreeSet::new(),
            left_since: BTreeSet::new(),
            refused: BTreeSet::new(),
            cuts: 0,
            applied: 0,
            written: BTreeMap::new(),
            reading: None,
        }
    }

    fn step(&mut self, database: u8, step: Step) {
        match step {
            Step::Run(command) => self.run(database, command),
            Step::Try(command) => drop(self.try_once(database, command)),
            Step::Answer(which) => self.answer(which % self.queries.len().max(1)),
            Step::Fill(which) => self.fill(which % self.queries.len().max(1)),
            Step::Abandon(which) => self.abandon(which % self.queries.len().max(1)),
            Step::Flush => {
                drop(self.engine.flush(database));
                drop(self.right.flush(database));
            }
            Step::Sweep => {
                self.engine.sweep(&mut SweepCursor::default(), 1_000, self.now, &mut SpanCache::default());
            }
            Step::Wait => self.now = self.now.plus_micros(61_000_000),
            Step::Cut if self.closed.is_none() => self.cut(),
            Step::Snapshot => self.begin_snapshot(),
            Step::ReadSnapshot(which) => self.read_snapshot(which),
            Step::EndSnapshot => self.end_snapshot(),
            Step::Collect => self.collect(),
            Step::Apply => self.apply(None),
            Step::Refuse(which) => self.apply(Some(which)),
            Step::Evict(ttl, most, random) => self.evict(ttl, most, random),
            Step::ReadPage => self.read_page(),
            Step::Load(page, every) => self.load(page % self.pages.len().max(1), every),
            Step::EndLoading => self.end_loading(),
            Step::BeginFilter => {
                self.engine.begin_filter(100);
                self.filter_walk = Some(Walk::default());
                self.left_since.clear();
            }
            Step::NotePage => self.note_page(),
            Step::EndFilter => self.end_filter(),
            Step::Restart(kept) => {
                self.collect();
                (0..kept).for_each(|_| self.apply(None));
                *self = Self::new(std::mem::take(&mut self.truth), self.now);
            }
            Step::Cut => {}
        }
    }

    /// Runs a command once; its answer must be right, and only what may be unknown is.
    fn try_once(&mut self, database: u8, command: Command) -> Result<(), Vec<MissingKey>> {
        match run(&self.engine, database, command, self.now) {
            Ok(answer) => {
                let right = run(&self.right, database, command, self.now);
                assert_eq!(Ok(answer), right, "{command:?} in {database} at {:?}", self.now);
                Ok(())
            }
            Err(keys) => {
                for key in &keys {
                    let known = self.engine.peek(key.database, &key.key, self.now, |_| ());
                    assert!(known.is_err(), "{key:?} is in memory");
                    assert!(
                        self.engine.is_loading() || self.left.contains(&place(key)),
                        "{key:?} never left"
                    );
                }
                let Fetch { number, keys: fetched } = self.engine.begin_fetch(&keys);
                let is_fetching = |key: &MissingKey| self.engine.is_fetching(key);
                assert!(keys.iter().all(is_fetching), "{keys:?} are unknown");
                let query = |key| Query { number, key, answer: None, is_abandoned: false };
                self.queries.extend(fetched.into_iter().map(query));
                Err(keys)
            }
        }
    }

    fn run(&mut self, database: u8, command: Command) {
        for _ in 0..MOST_FETCHES {
            let Err(mut keys) = self.try_once(database, command) else { return };
            keys.sort();
            keys.dedup();
            for key in keys {
                let is_awaited = |query: &Query| query.key == key && !query.is_abandoned;
                let which = self.queries.iter().position(is_awaited).expect("somebody fetches it");
                self.answer(which);
                self.fill(which);
            }
        }
        panic!("{command:?} does not get its keys");
    }

    fn answer(&mut self, which: usize) {
        if let Some(query) = self.queries.get_mut(which)
            && query.answer.is_none()
        {
            let row = self.truth.get(&place(&query.key)).cloned();
            query.answer = Some(row.filter(|(_, expiry)| !expiry.has_passed(self.now)));
        }
    }

    fn fill(&mut self, which: usize) {
        if self.queries.get(which).is_none_or(|query| query.answer.is_none()) {
            return;
        }
        let Query { number, key, answer, is_abandoned } = self.queries.remove(which);
        let is_filled = self.engine.fill(number, &key, answer.expect("it was asked for"), self.now);
        assert!(!(is_filled && is_abandoned), "{key:?} was given up");
    }

    fn abandon(&mut self, which: usize) {
        self.answer(which);
        if let Some(query) = self.queries.get_mut(which) {
            query.is_abandoned = true;
            self.engine.abandon_fetch(query.number, std::slice::from_ref(&query.key));
        }
    }

    fn cut(&mut self) {
        self.closed = self.engine.cut();
        self.cuts += u64::from(self.closed.is_some());
    }

    fn collect(&mut self) {
        let Some(generation) = self.closed.take() else { return };
        let (changes, collected) = self.engine.collect_owned(generation);
        self.batches.push_back(Batch {
            seq: self.cuts,
            generation,
            changes,
            flushed: collected.flushed_databases,
        });
    }

    /// The truth applies the oldest batch, if there is one, but for the row at `refused`.
    fn apply(&mut self, refused: Option<usize>) {
        let Some(Batch { seq, generation, changes, flushed }) = self.batches.pop_front() else { return };
        self.truth.retain(|(database, _), _| !flushed.contains(database));
        self.refused.retain(|(database, _)| !flushed.contains(database));
        for (at, Change { database, key, content }) in changes.into_iter().enumerate() {
            let place = (database, key.into_owned());
            if refused == Some(at) {
                self.engine.pin(database, &place.1, generation);
                self.refused.insert(place);
                continue;
            }
            self.refused.remove(&place);
            self.written.insert(place.clone(), seq);
            match content {
                Some((content, expiry)) => self.truth.insert(place, (bare(content), expiry)),
                None => self.truth.remove(&place),
            };
        }
        self.engine.set_applied(generation);
        self.applied = seq;
    }

    fn resident(&self) -> BTreeSet<Place> {
        let mut keys = BTreeSet::new();
        for database in DATABASES {
            self.engine.scan(database, Cursor::default(), usize::MAX, Timestamp::EPOCH, |key, _| {
                keys.insert((database, key.to_vec()));
            });
        }
        keys
    }

    fn evict(&mut self, ttl: bool, entries: usize, random: u64) {
        let policy = if ttl { Eviction::VolatileTtl } else { Eviction::AllKeysLru };
        let before = self.resident();
        let evicted = self.engine.evict(policy, Need { bytes: usize::MAX, entries }, random, self.now);
        let after = self.resident();
        let gone: Vec<_> = before.difference(&after).cloned().collect();
        assert_eq!(gone.len(), evicted.keys);
        self.left.extend(gone.iter().cloned());
        self.left_since.extend(gone);
    }

    fn read_page(&mut self) {
        if self.engine.is_loading() && !self.walk.is_over {
            let page = self.walk.page(&self.truth);
            self.pages.push(page);
        }
    }

    /// A page arrives; it may arrive when the loading is over, again.
    fn load(&mut self, page: usize, every: usize) {
        let is_loading = self.engine.is_loading();
        let Some(rows) = self.pages.get(page).cloned() else { return };
        for (at, ((database, key), row)) in rows.into_iter().enumerate() {
            if is_loading && at % every == 0 {
                self.engine.note_left(database, &key);
                self.note_left(database, key);
            } else {
                let is_loaded = self.engine.load(database, &key, row, self.now);
                assert!(is_loading || !is_loaded, "nothing is loaded after the end");
            }
        }
    }

    fn end_loading(&mut self) {
        if !self.engine.is_loading() {
            return;
        }
        while !self.walk.is_over {
            self.read_page();
        }
        (0..self.pages.len()).for_each(|page| self.load(page, usize::MAX));
        self.engine.end_loading();
    }

    fn note_page(&mut self) {
        let Some(walk) = &mut self.filter_walk else { return };
        for ((database, key), _) in walk.page(&self.truth) {
            self.engine.note_left(database, &key);
            self.note_left(database, key);
        }
    }

    fn note_left(&mut self, database: u8, key: Vec<u8>) {
        self.left.insert((database, key.clone()));
        self.left_since.insert((database, key));
    }

    fn end_filter(&mut self) {
        self.end_loading();
        while self.filter_walk.as_ref().is_some_and(|walk| !walk.is_over) {
            self.note_page();
        }
        if self.filter_walk.take().is_some() {
            assert!(self.engine.end_filter());
            self.left.clone_from(&self.left_since);
        }
    }

    /// Nothing is lost: when all is applied the truth has what there is.
    fn finish(mut self) {
        self.end_loading();
        self.collect();
        self.end_snapshot();
        self.cut();
        self.collect();
        while !self.batches.is_empty() {
            self.apply(None);
        }
        let of_truth = World::new(self.truth, self.now).right;
        for database in DATABASES {
            for key in 0..DOUBLES.end {
                if !self.refused.contains(&(database, vec![key])) {
                    let row = run(&of_truth, database, Command::Read(key), self.now);
                    let right = run(&self.right, database, Command::Read(key), self.now);
                    assert_eq!(row, right, "{key} in {database}");
                }
            }
        }
        assert_eq!(self.engine.queued(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_as_without_eviction(before in commands(), steps in steps()) {
        let mut world = World::new(rows_after(before), START);
        for (database, step) in steps {
            world.now = world.now.plus_micros(700_000);
            world.step(database, step);
        }
        world.finish();
    }
}

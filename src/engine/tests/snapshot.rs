//! What a snapshot reads is the state at its cut, whatever happens while it is read.

use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;

use super::START;
use super::dirty::{DATABASES, State, Step, budgets_of, run, shown, spend, state, steps};
use crate::engine::value::{Content, Text};
use crate::engine::{DatabaseSet, Engine, Expiry, SnapshotCut, SnapshotEntry, SnapshotPlace};

/// A snapshot that is being read, with what it must be in the end.
struct Reading {
    cut: SnapshotCut,
    expected: State,
    read: State,
    /// Where it is read on.
    rest: Vec<(SnapshotPlace, u32)>,
}

impl Reading {
    fn begin(engine: &Arc<Engine>) -> Self {
        let cut = engine.begin_snapshot().expect("none runs");
        let rest = cut.places().into_iter().map(|place| (place, 0)).collect();
        Self { cut, expected: state(engine), read: State::new(), rest }
    }

    /// Reads the place that `which` chooses one step further.
    fn step(&mut self, which: usize) {
        if self.rest.is_empty() {
            return;
        }
        let at = which % self.rest.len();
        let (place, slot) = self.rest[at];
        let read = &mut self.read;
        match self.cut.read(place, slot, &mut |entry| note(read, &entry, which)) {
            Some(next) => self.rest[at].1 = next,
            None => drop(self.rest.swap_remove(at)),
        }
    }

    /// Reads the rest and answers what was read and what was expected.
    fn end(mut self) -> (State, State) {
        while !self.rest.is_empty() {
            self.step(0);
        }
        let read = &mut self.read;
        let mut number = 0;
        let mut note = |entry: SnapshotEntry<'_>| {
            number += 1;
            note(read, &entry, number)
        };
        for place in self.cut.places() {
            while self.cut.read_kept(place, &mut note) {}
        }
        while self.cut.read_emptied(&mut note) {}
        assert!(self.cut.is_exact() && !self.cut.has_gap());
        assert_eq!(self.cut.kept_bytes(), 0);
        (self.read, self.expected)
    }
}

/// Every so many'th entry is enough for now.
fn note(read: &mut State, entry: &SnapshotEntry<'_>, which: usize) -> ControlFlow<()> {
    let before = read.insert((entry.database, entry.key.to_vec()), shown(&entry.content, entry.expiry));
    assert_eq!(before, None, "{:?} is read once", entry.key);
    if which.is_multiple_of(3) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// What is done for a snapshot behind a step.
#[derive(Clone, Copy, Debug)]
enum Act {
    Nothing,
    Begin,
    Read(usize),
    End,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => Just(Act::Nothing),
        1 => Just(Act::Begin),
        6 => any::<usize>().prop_map(Act::Read),
        1 => Just(Act::End),
    ];
    prop::collection::vec(act, 200)
}

/// Runs the steps on the engine, with the acts between them.
fn check(engine: &Arc<Engine>, steps: Vec<(u8, Step)>, acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut now = START;
    let mut reading: Option<Reading> = None;
    for ((database, step), act) in steps.into_iter().zip(acts) {
        now = now.plus_micros(700_000);
        match step {
            Step::Wait => now = now.plus_micros(1_800_000_000),
            // What has ended may be swept unread: nobody can tell it from what is absent.
            Step::Sweep | Step::Expire(_) if reading.is_some() => {}
            Step::Cut | Step::Collect => collect(engine),
            step => match budgets_of(step) {
                Some((key, limits)) => drop(spend(engine, database, key, &limits, now)),
                None => run(engine, database, step, now),
            },
        }
        match act {
            Act::Begin if reading.is_none() => {
                collect(engine);
                reading = Some(Reading::begin(engine));
            }
            Act::Read(which) => reading.iter_mut().for_each(|reading| reading.step(which)),
            Act::End => {
                if let Some(reading) = reading.take() {
                    let (read, expected) = reading.end();
                    prop_assert_eq!(read, expected);
                }
            }
            Act::Nothing | Act::Begin => {}
        }
    }
    if let Some(reading) = reading {
        let (read, expected) = reading.end();
        prop_assert_eq!(read, expected);
    }
    Ok(())
}

/// Hands everything to a truth that has it at once.
fn collect(engine: &Engine) {
    if let Some(closed) = engine.cut() {
        engine.collect(closed, |_| ());
        engine.set_applied(closed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_without_a_truth_is_the_state_at_its_cut(steps in steps(), acts in acts()) {
        check(&Arc::new(Engine::new()), steps, acts)?;
    }

    #[test]
    fn a_snapshot_in_front_of_a_truth_is_the_state_at_its_cut(steps in steps(), acts in acts()) {
        let engine = Engine::in_front_of_truth();
        engine.end_loading();
        check(&Arc::new(engine), steps, acts)?;
    }

    #[test]
    fn a_snapshot_of_what_a_truth_does_not_get_is_the_state_at_its_cut(steps in steps(), acts in acts()) {
        let engine = Engine::in_front_of_truth_beside(DatabaseSet::NONE.with(DATABASES[1]));
        engine.end_loading_ephemeral();
        engine.end_loading();
        check(&Arc::new(engine), steps, acts)?;
    }
}

#[test]
fn one_snapshot_runs_at_a_time() {
    let engine = Arc::new(Engine::new());
    let first = engine.begin_snapshot().unwrap();
    assert!(engine.begin_snapshot().is_none());
    drop(first);
    assert!(engine.begin_snapshot().is_some());
}

#[test]
fn what_is_kept_is_limited() {
    let engine = Arc::new(Engine::new());
    let put = |key: u8, letter: u8| {
        let text = Content::Text(Text::new(&vec![letter; 15 << 20]));
        engine.edit(0, &[key], START, |slot| slot.put(text, Expiry::NEVER)).unwrap();
    };
    (0..4).for_each(|key| put(key, b'a'));
    let cut = engine.begin_snapshot().unwrap();
    (0..2).for_each(|key| put(key, b'b'));
    assert!(cut.is_exact() && cut.kept_bytes() > 30 << 20);
    (2..4).for_each(|key| put(key, b'b'));
    assert!(!cut.is_exact(), "too much was changed to be kept");
    let mut letters = Vec::new();
    let mut note = |entry: SnapshotEntry<'_>| {
        letters.push(match entry.content {
            Content::Text(text) => text.as_bytes()[0],
            _ => 0,
        });
        ControlFlow::Continue(())
    };
    for place in cut.places() {
        assert_eq!(cut.read(place, 0, &mut note), None);
        assert!(!cut.read_kept(place, &mut note));
    }
    letters.sort_unstable();
    assert_eq!(letters, b"aaab", "what was not kept is read as it is");
    assert_eq!(cut.kept_bytes(), 0);
}

#[test]
fn what_is_renamed_is_under_one_of_its_names_also_where_too_much_was_changed() {
    for ephemeral in [DatabaseSet::ALL, DatabaseSet::NONE] {
        let engine = Engine::in_front_of_truth_beside(ephemeral);
        engine.end_loading_ephemeral();
        engine.end_loading();
        let engine = Arc::new(engine);
        let large = |letter: u8| Content::Text(Text::new(&vec![letter; 15 << 20]));
        let put = |key: &str, content: Content| {
            engine.edit(0, key.as_bytes(), START, |slot| slot.put(content, Expiry::NEVER)).unwrap();
        };
        (0..3).for_each(|key| put(&format!("large:{key}"), large(b'a')));
        (0..100).for_each(|key| put(&format!("key:{key}"), Content::Integer(key)));
        (0..50).for_each(|key| put(&format!("taken:{key}"), Content::Integer(-1)));
        collect(&engine);
        let cut = engine.begin_snapshot().unwrap();
        let mut read = std::collections::BTreeSet::new();
        let mut note = |entry: SnapshotEntry<'_>| {
            if let Content::Integer(integer) = entry.content {
                read.insert(integer);
            }
            ControlFlow::Continue(())
        };
        let mut pass = |places: &[SnapshotPlace]| {
            places.iter().for_each(|&place| assert_eq!(cut.read(place, 0, &mut note), None));
        };
        let places = cut.places();
        (0..3).for_each(|key| put(&format!("large:{key}"), large(b'b')));
        assert!(!cut.is_exact());
        pass(&places[..places.len() / 2]);
        for key in 0..100 {
            let new = if key < 50 { format!("taken:{key}") } else { format!("new:{key}") };
            let keys = [(0, format!("key:{key}")), (0, new)];
            let keys = [(0, keys[0].1.as_bytes()), (0, keys[1].1.as_bytes())];
            let moved = engine.edit_many(&keys, START, |slots| {
                let (content, expiry) = slots.slot(0).remove().unwrap();
                slots.slot(1).swap_moved(content, expiry);
            });
            moved.unwrap();
        }
        pass(&places[places.len() / 2..]);
        pass(&places);
        assert!((0..100).all(|key| read.contains(&key)), "{read:?}");
    }
}

#[test]
fn a_database_that_is_emptied_again_and_again_keeps_no_more_than_it_had() {
    let engine = Arc::new(Engine::new());
    let put = |key: u8| {
        engine.edit(0, &[key], START, |slot| slot.put(Content::Integer(1), Expiry::NEVER)).unwrap();
    };
    put(1);
    let cut = engine.begin_snapshot().unwrap();
    let mut entries = 0;
    for key in 0..10 {
        drop(engine.flush(0));
        put(key);
    }
    let mut note = |_: SnapshotEntry<'_>| {
        entries += 1;
        ControlFlow::Continue(())
    };
    let mut tables = 0;
    while cut.read_emptied(&mut note) {
        tables += 1;
    }
    assert!(tables <= 2, "only what was there at the cut is kept, not {tables} tables");
    assert_eq!(entries, 1);
}

#[test]
fn keys_that_only_the_truth_had_leave_a_gap_when_they_are_emptied_away() {
    let engine = Engine::in_front_of_truth();
    engine.note_left(3, b"left");
    engine.end_loading();
    let engine = Arc::new(engine);
    assert!(!engine.has_everything());
    let cut = engine.begin_snapshot().unwrap();
    drop(engine.flush(0));
    assert!(!cut.has_gap());
    drop(engine.flush(3));
    assert!(cut.has_gap());
    drop(cut);
    assert!(engine.has_everything());
}

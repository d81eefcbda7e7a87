//! What is collected is the state at the cut, whatever happens meanwhile.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::START;
use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::engine::{Change, Charge, Cursor, Engine, Expiry, SweepCursor};
use crate::quota::{Limit, Mode, Period, Rule, SpanCache, Unit};

/// A value in a form that can be compared.
type Shown = String;

type State = BTreeMap<(u8, Vec<u8>), Shown>;

const DATABASES: [u8; 2] = [0, 3];

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u8),
    Put(u8),
    /// One limit by compare-and-swap.
    Take(u8),
    /// Two limits under the exclusive guard; the second is soon used up.
    TakeTwo(u8),
    Remove(u8),
    Move(u8, u8),
    Expire(u8),
    Flush,
    Sweep,
    /// A cut, unless one is being collected.
    Cut,
    /// Collects what was cut.
    Collect,
}

fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let step = prop_oneof![
        6 => (0..8u8).prop_map(Step::Add),
        3 => (0..8u8).prop_map(Step::Put),
        6 => (8..12u8).prop_map(Step::Take),
        4 => (12..14u8).prop_map(Step::TakeTwo),
        4 => (0..14u8).prop_map(Step::Remove),
        2 => (0..14u8, 0..14u8).prop_map(|(from, to)| Step::Move(from, to)),
        2 => (0..8u8).prop_map(Step::Expire),
        1 => Just(Step::Flush),
        2 => Just(Step::Sweep),
        3 => Just(Step::Cut),
        3 => Just(Step::Collect),
    ];
    prop::collection::vec((prop::sample::select(&DATABASES[..]), step), 0..200)
}

fn shown(content: &Content, expiry: Expiry) -> Shown {
    format!("{content:?} {expiry:?}")
}

/// Everything the engine holds, whether it has expired or not.
fn state(engine: &Engine) -> State {
    let mut state = State::new();
    for database in DATABASES {
        let mut cursor = Some(Cursor::default());
        while let Some(from) = cursor {
            let page = engine.scan(database, from, 100, Timestamp::EPOCH, |key, view| {
                let (content, expiry) = view.copy();
                state.insert((database, key.to_vec()), shown(&content, expiry));
            });
            cursor = page.next;
        }
    }
    state
}

fn apply(truth: &mut State, changes: Vec<Change>, flushed: &[u8]) {
    truth.retain(|(database, _), _| !flushed.contains(database));
    for Change { database, key, content } in changes {
        match content {
            Some((content, expiry)) => truth.insert((database, key.into_vec()), shown(&content, expiry)),
            None => truth.remove(&(database, key.into_vec())),
        };
    }
}

fn limit(rule: Rule) -> Limit {
    Limit { unit: Unit::REQUESTS, rule }
}

fn run(engine: &Engine, database: u8, step: Step, now: Timestamp) {
    let period = Period::from_secs(1).unwrap();
    let window = limit(Rule::fixed_window(1_000, period).unwrap());
    let small = limit(Rule::sliding_window(3, period).unwrap());
    let cache = &mut SpanCache::default();
    let mut take = |key: u8, limits: &[Limit]| {
        let charges: Vec<_> =
            limits.iter().map(|limit| Charge { limit: engine.number(limit), amount: 1 }).collect();
        let _another_type = engine.take(database, &[key], &charges, Mode::Exact, now, cache);
    };
    match step {
        Step::Add(key) => drop(engine.add(database, &[key], 1, now)),
        Step::Put(key) => {
            let text = Content::string(format!("text at {}", now.as_micros()).as_bytes());
            engine.edit(database, &[key], now, |slot| slot.put(text, Expiry::NEVER)).unwrap();
        }
        Step::Take(key) => take(key, &[window]),
        Step::TakeTwo(key) => take(key, &[window, small]),
        Step::Remove(key) => drop(engine.edit(database, &[key], now, |slot| slot.remove()).unwrap()),
        Step::Move(from, to) => engine
            .edit_many(&[(database, &[from]), (database, &[to])], now, |slots| {
                if let Some((content, expiry)) = slots.slot(0).remove() {
                    slots.slot(1).put(content, expiry);
                }
            })
            .unwrap(),
        Step::Expire(key) => {
            let soon = Expiry::at_millis(now.as_millis() + 5);
            engine.edit(database, &[key], now, |slot| slot.set_expiry(soon)).unwrap();
        }
        Step::Flush => drop(engine.flush(database)),
        Step::Sweep => {
            engine.sweep(&mut SweepCursor::default(), 1_000, now, cache);
        }
        Step::Cut | Step::Collect => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_truth_that_applies_what_is_collected_has_the_state_at_each_cut(steps in steps()) {
        let engine = Engine::in_front_of_truth();
        engine.set_complete();
        let mut truth = State::new();
        let mut cut = None;
        let mut now = START;
        let finish = [(0, Step::Collect), (0, Step::Cut), (0, Step::Collect)];
        for (database, step) in steps.into_iter().chain(finish) {
            now = now.plus_micros(700_000);
            match step {
                Step::Cut if cut.is_none() => cut = Some((engine.cut(), state(&engine))),
                Step::Collect => {
                    let Some((generation, expected)) = cut.take() else { continue };
                    let mut changes = Vec::new();
                    let flushed = engine.collect(generation, |mut portion| changes.append(&mut portion));
                    let mut keys: Vec<_> = changes.iter().map(|change| (change.database, change.key.clone())).collect();
                    keys.sort();
                    keys.dedup();
                    prop_assert_eq!(keys.len(), changes.len(), "a key is collected once");
                    apply(&mut truth, changes, &flushed);
                    prop_assert_eq!(&truth, &expected);
                    engine.set_applied(generation);
                }
                step => run(&engine, database, step, now),
            }
        }
        prop_assert_eq!(&truth, &state(&engine));
        prop_assert_eq!(engine.uncollected(), 0);
    }
}

#[test]
fn only_what_the_truth_has_leaves_memory() {
    let engine = Engine::in_front_of_truth();
    engine.set_complete();
    engine
        .edit(0, b"key", START, |slot| slot.put(Content::Integer(1), Expiry::at_millis(1)))
        .unwrap_or_default();
    engine.add(0, b"key", 1, START).unwrap();
    engine.edit(0, b"key", START, |slot| slot.remove()).unwrap();
    let late = START.plus_micros(3_600_000_000);
    let sweep = || engine.sweep(&mut SweepCursor::default(), 100, late, &mut SpanCache::default()).removed;
    assert_eq!(sweep(), 0, "the truth does not know yet that the key is gone");
    let closed = engine.cut();
    let mut collected = 0;
    engine.collect(closed, |changes| collected += changes.len());
    assert_eq!((collected, sweep()), (1, 0), "what is in flight may come back");
    engine.set_applied(closed);
    assert_eq!(sweep(), 1);
}

//! What is collected is the state at the cut, whatever happens meanwhile.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::START;
use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::engine::{Change, Charge, Cursor, Engine, Expiry, Generation, SweepCursor};
use crate::quota::{
    Anchor, CalendarPeriod, Limit, MAX_LIMITS, Mode, Period, Rule, SpanCache, State as QuotaState, Status,
    Unit, Zone,
};

/// A value in a form that can be compared.
pub(super) type Shown = String;

pub(super) type State = BTreeMap<(u8, Vec<u8>), Shown>;

pub(super) const DATABASES: [u8; 2] = [0, 3];

/// Units that are spent at once, half of what a subject has room for.
const MANY: usize = MAX_LIMITS / 2;

/// Units that are counted apart: more than a subject has room for.
const UNITS: usize = 3 * MANY;

/// What was granted of each subject's budgets, by database, key and limit.
pub(super) type Ledger = BTreeMap<(u8, Vec<u8>, String), i128>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Add(u8),
    Put(u8),
    /// One limit by compare-and-swap.
    Take(u8),
    /// Two limits under the exclusive guard; the second is soon used up.
    TakeTwo(u8),
    /// An hourly budget by compare-and-swap, where it is the only limit.
    Spend(u8),
    /// A daily budget beside the hourly one.
    SpendTwo(u8),
    /// Hourly budgets of several units from this one on: soon a subject has no room for more.
    SpendMany(u8, usize),
    /// Half an hour goes by.
    Wait,
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

pub(super) fn steps() -> impl Strategy<Value = Vec<(u8, Step)>> {
    let step = prop_oneof![
        6 => (0..8u8).prop_map(Step::Add),
        3 => (0..8u8).prop_map(Step::Put),
        6 => (8..12u8).prop_map(Step::Take),
        4 => (12..14u8).prop_map(Step::TakeTwo),
        6 => (14..17u8).prop_map(Step::Spend),
        4 => (14..17u8).prop_map(Step::SpendTwo),
        8 => (0..6usize).prop_map(|part| Step::SpendMany(17, part * MANY / 2)),
        3 => Just(Step::Wait),
        4 => (0..18u8).prop_map(Step::Remove),
        2 => (0..18u8, 0..18u8).prop_map(|(from, to)| Step::Move(from, to)),
        2 => (0..8u8).prop_map(Step::Expire),
        1 => Just(Step::Flush),
        2 => Just(Step::Sweep),
        3 => Just(Step::Cut),
        3 => Just(Step::Collect),
    ];
    prop::collection::vec((prop::sample::select(&DATABASES[..]), step), 0..200)
}

pub(super) fn shown(content: &Content, expiry: Expiry) -> Shown {
    format!("{content:?} {expiry:?}")
}

/// Everything the engine holds, whether it has expired or not.
pub(super) fn state(engine: &Engine) -> State {
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

fn apply(truth: &mut State, changes: Vec<Change<'static>>, flushed: &[u8]) {
    truth.retain(|(database, _), _| !flushed.contains(database));
    for Change { database, key, content } in changes {
        match content {
            Some((content, expiry)) => truth.insert((database, key.into_owned()), shown(&content, expiry)),
            None => truth.remove(&(database, key.into_owned())),
        };
    }
}

/// What the states of budgets hold, whether their period is over or not.
fn held(engine: &Engine) -> Ledger {
    let mut held = Ledger::new();
    for database in DATABASES {
        engine.scan(database, Cursor::default(), usize::MAX, Timestamp::EPOCH, |key, view| {
            for slot in view.quota_slots() {
                if let (Rule::Budget(_), QuotaState::Word(word)) = (slot.limit.rule, slot.state) {
                    let used = i128::try_from(word & u128::from(u64::MAX)).unwrap();
                    *held.entry((database, key.to_vec(), slot.limit.name().to_string())).or_default() += used;
                }
            }
        });
    }
    held
}

fn add(ledger: &mut Ledger, entries: Ledger, sign: i128) {
    for (place, amount) in entries {
        *ledger.entry(place).or_default() += sign * amount;
    }
    ledger.retain(|_, amount| *amount != 0);
}

fn limit(rule: Rule) -> Limit {
    Limit { unit: Unit::REQUESTS, rule }
}

fn budget(period: CalendarPeriod, maximum: u64) -> Limit {
    limit(Rule::budget(maximum, period, Zone::UTC, Anchor::NONE).unwrap())
}

/// The budgets of a step that spends some, with the key.
pub(super) fn budgets_of(step: Step) -> Option<(u8, Vec<Limit>)> {
    let of_unit = |number: usize| {
        let unit = Unit::parse(format!("unit{}", number % UNITS).as_bytes()).unwrap();
        Limit { unit, ..budget(CalendarPeriod::Hour, 3) }
    };
    match step {
        Step::Spend(key) => Some((key, vec![budget(CalendarPeriod::Hour, 5)])),
        Step::SpendTwo(key) => {
            // Another maximum of the hourly slot, which keeps what was used.
            Some((key, vec![budget(CalendarPeriod::Day, 9), budget(CalendarPeriod::Hour, 4)]))
        }
        Step::SpendMany(key, first) => Some((key, (first..first + MANY).map(of_unit).collect())),
        _ => None,
    }
}

/// Spends one of each budget; answers what was granted.
pub(super) fn spend(engine: &Engine, database: u8, key: u8, limits: &[Limit], now: Timestamp) -> Ledger {
    let charges: Vec<_> =
        limits.iter().map(|limit| Charge { limit: engine.number(limit), amount: 1 }).collect();
    let taken = engine.take(database, &[key], &charges, Mode::Exact, now, &mut SpanCache::default());
    let is_granted = taken.is_ok_and(|verdict| verdict.status == Status::Allowed);
    let place = |limit: &Limit| (database, vec![key], limit.name().to_string());
    limits.iter().filter(|_| is_granted).map(|limit| (place(limit), 1)).collect()
}

pub(super) fn run(engine: &Engine, database: u8, step: Step, now: Timestamp) {
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
        Step::Cut | Step::Collect | Step::Wait => {}
        Step::Spend(_) | Step::SpendTwo(_) | Step::SpendMany(..) => unreachable!("budgets are spent apart"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_truth_that_applies_what_is_collected_has_the_state_at_each_cut(steps in steps()) {
        let engine = Engine::in_front_of_truth();
        engine.end_loading();
        let mut truth = State::new();
        let mut cut = None;
        let mut now = START;
        // Granted of what neither a client removed nor the collected figures tell.
        let mut granted = Ledger::new();
        let finish = [(0, Step::Collect), (0, Step::Cut), (0, Step::Collect)];
        for (database, step) in steps.into_iter().chain(finish) {
            now = now.plus_micros(700_000);
            match step {
                Step::Cut if cut.is_none() => {
                    let queued = engine.queued();
                    let mut closed = granted.clone();
                    add(&mut closed, held(&engine), -1);
                    cut = engine.cut().map(|generation| (generation, state(&engine), closed));
                    prop_assert_eq!(cut.is_some(), queued > 0);
                    prop_assert_eq!(engine.queued(), 0);
                }
                Step::Collect => {
                    let Some((generation, expected, expected_closed)) = cut.take() else { continue };
                    let (changes, collected) = engine.collect_owned(generation);
                    let mut keys: Vec<_> = changes.iter().map(|change| (change.database, change.key.clone())).collect();
                    keys.sort();
                    keys.dedup();
                    prop_assert_eq!(keys.len(), changes.len(), "a key is collected once");
                    apply(&mut truth, changes, &collected.flushed_databases);
                    prop_assert_eq!(&truth, &expected);
                    let mut closed = Ledger::new();
                    for period in collected.closed_periods {
                        prop_assert!(period.start < period.end && period.end <= now && period.used > 0);
                        let place = (period.database, period.subject.into_vec(), period.limit.name().to_string());
                        *closed.entry(place).or_default() += i128::from(period.used);
                    }
                    prop_assert_eq!(&closed, &expected_closed, "of all that was granted, the rest is still held");
                    add(&mut granted, closed, -1);
                    engine.set_applied(generation);
                }
                Step::Wait => now = now.plus_micros(1_800_000_000),
                // Takes of other limits may need the room of ended budgets.
                Step::Sweep | Step::Take(_) | Step::TakeTwo(_) => run(&engine, database, step, now),
                step => match budgets_of(step) {
                    Some((key, limits)) => add(&mut granted, spend(&engine, database, key, &limits, now), 1),
                    None => {
                        // What clients remove or move is not closed.
                        add(&mut granted, held(&engine), -1);
                        run(&engine, database, step, now);
                        add(&mut granted, held(&engine), 1);
                    }
                },
            }
        }
        prop_assert_eq!(&granted, &held(&engine));
        prop_assert_eq!(&truth, &state(&engine));
        prop_assert_eq!(engine.uncollected(), 0);
    }
}

#[test]
fn only_what_the_truth_has_leaves_memory() {
    let engine = Engine::in_front_of_truth();
    engine.end_loading();
    engine
        .edit(0, b"key", START, |slot| slot.put(Content::Integer(1), Expiry::at_millis(1)))
        .unwrap_or_default();
    engine.add(0, b"key", 1, START).unwrap();
    engine.edit(0, b"key", START, |slot| slot.remove()).unwrap();
    let late = START.plus_micros(3_600_000_000);
    let sweep = || engine.sweep(&mut SweepCursor::default(), 100, late, &mut SpanCache::default()).removed;
    assert_eq!(sweep(), 0, "the truth does not know yet that the key is gone");
    let closed = engine.cut().unwrap();
    let mut collected = 0;
    engine.collect(closed, |_| collected += 1);
    assert_eq!((collected, sweep()), (1, 0), "what is in flight may come back");
    engine.set_applied(closed);
    assert_eq!(sweep(), 1);
}

/// Cuts, collects and answers the keys that were collected; the truth has not applied them yet.
fn collect_keys(engine: &Engine) -> (Generation, Vec<Vec<u8>>) {
    let closed = engine.cut().expect("something was queued");
    let mut keys = Vec::new();
    engine.collect(closed, |change| keys.push(change.key.into_owned()));
    keys.sort();
    (closed, keys)
}

#[test]
fn changes_are_counted_once_a_key_and_a_flush_is_one() {
    let engine = Engine::in_front_of_truth();
    engine.end_loading();
    assert_eq!((engine.queued(), engine.cut()), (0, None));
    assert_eq!(Engine::new().cut(), None, "nothing is tracked");
    for _ in 0..3 {
        engine.add(0, b"a", 1, START).unwrap();
        engine.add(0, b"b", 1, START).unwrap();
    }
    engine.edit(0, b"a", START, |slot| slot.remove()).unwrap();
    assert_eq!(engine.queued(), 2);
    let (_, keys) = collect_keys(&engine);
    assert_eq!(keys, [b"a", b"b"]);
    assert_eq!((engine.queued(), engine.cut()), (0, None));
    drop(engine.flush(3));
    assert_eq!(engine.queued(), 1, "an empty database may have keys in the truth");
    let closed = engine.cut().unwrap();
    assert_eq!(engine.collect(closed, |_| ()).flushed_databases, [3]);
}

#[test]
fn what_the_truth_refused_stays_until_it_changes_again() {
    let engine = Engine::in_front_of_truth();
    engine.end_loading();
    let late = START.plus_micros(3_600_000_000);
    let sweep = || engine.sweep(&mut SweepCursor::default(), 100, late, &mut SpanCache::default()).removed;
    for key in [&b"refused"[..], b"changed", b"taken"] {
        engine.add(0, key, 1, START).unwrap();
        engine.edit(0, key, START, |slot| slot.remove()).unwrap();
    }
    assert!(!engine.pin(0, b"refused", engine.open_generation()), "it is not collected yet");
    let (first, _) = collect_keys(&engine);
    engine.add(0, b"changed", 1, START).unwrap();
    assert!(engine.pin(0, b"refused", first));
    assert!(!engine.pin(0, b"changed", first), "its next state may be taken");
    assert!(!engine.pin(0, b"unknown", first));
    engine.set_applied(first);
    assert_eq!(sweep(), 1, "only what was taken is clean");
    engine.edit(0, b"changed", START, |slot| slot.remove()).unwrap();
    let (second, keys) = collect_keys(&engine);
    assert_eq!(keys, [b"changed"]);
    assert!(!engine.pin(0, b"changed", first), "another generation's row was refused");
    engine.set_applied(second);
    assert_eq!(sweep(), 1);
    engine.add(0, b"refused", 1, START).unwrap();
    engine.edit(0, b"refused", START, |slot| slot.remove()).unwrap();
    let (third, keys) = collect_keys(&engine);
    assert_eq!(keys, [b"refused"]);
    engine.set_applied(third);
    assert_eq!(sweep(), 1);
}

#[test]
fn everything_is_queued_at_once_for_a_truth_that_lost_it() {
    let engine = Engine::in_front_of_truth();
    engine.end_loading();
    let key = |number: u32| format!("key:{number:04}").into_bytes();
    let all: Vec<_> = (0..2_000).map(key).collect();
    for key in &all {
        engine.add(3, key, 1, START).unwrap();
    }
    let (first, _) = collect_keys(&engine);
    engine.set_applied(first);
    // One entry still owes its state to the generation that is being collected.
    engine.add(3, &all[7], 1, START).unwrap();
    let second = engine.cut().unwrap();
    engine.queue_everything();
    assert_eq!(engine.queued(), 2_000);
    let (owed, _) = engine.collect_owned(second);
    assert_eq!((owed.len(), &*owed[0].key), (1, &*all[7]));
    let (_, keys) = collect_keys(&engine);
    assert_eq!(keys, all);
}

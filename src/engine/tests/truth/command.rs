//! Commands whose answers can be compared between engines.

use proptest::prelude::*;

use crate::clock::Timestamp;
use crate::engine::value::{Content, QuotaSlot, QuotaSlots};
use crate::engine::{AddError, Charge, Engine, Expiry, Missing, MissingKey, TakeError, View};
use crate::quota::{Limit, Mode, Period, Rule, SpanCache, Unit};

/// Keys of strings, of one limit, of two.
const STRINGS: std::ops::Range<u8> = 0..5;
const SINGLES: std::ops::Range<u8> = 5..7;
pub(super) const DOUBLES: std::ops::Range<u8> = 7..9;

#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    Add(u8),
    Put(u8),
    Expire(u8),
    Remove(u8),
    Move(u8, u8),
    Read(u8),
    ReadTwo(u8, u8),
    Take(u8),
    TakeTwo(u8),
}

pub(super) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => STRINGS.prop_map(Command::Add),
        2 => STRINGS.prop_map(Command::Put),
        1 => STRINGS.prop_map(Command::Expire),
        3 => (0..DOUBLES.end).prop_map(Command::Remove),
        1 => (STRINGS, STRINGS).prop_map(|(from, to)| Command::Move(from, to)),
        3 => (0..DOUBLES.end).prop_map(Command::Read),
        2 => (0..DOUBLES.end, 0..DOUBLES.end).prop_map(|(one, two)| Command::ReadTwo(one, two)),
        3 => SINGLES.prop_map(Command::Take),
        3 => DOUBLES.prop_map(Command::TakeTwo),
    ]
}

/// A value without the numbers that a process gives to limits.
pub(super) fn bare(content: Content) -> Content {
    let Content::Quotas(slots) = content else { return content };
    let mut bare = QuotaSlots::default();
    slots.as_slice().iter().for_each(|slot| bare.push(QuotaSlot::new(slot.limit, slot.state.clone())));
    Content::Quotas(bare)
}

/// An answer in a form that can be compared; `Err`: keys are unknown.
pub(super) type Answer = Result<String, Vec<MissingKey>>;

fn shown(view: Option<View<'_>>, now: Timestamp) -> String {
    let live = view.filter(|view| !view.has_ended(now, &mut SpanCache::default()));
    told(live.map(|view| view.copy()))
}

fn told(row: Option<(Content, Expiry)>) -> String {
    format!("{:?}", row.map(|(content, expiry)| (bare(content), expiry)))
}

fn limit(rule: Rule) -> Limit {
    Limit { unit: Unit::REQUESTS, rule }
}

fn take(engine: &Engine, database: u8, key: u8, limits: &[Limit], now: Timestamp) -> Answer {
    let charges: Vec<_> =
        limits.iter().map(|limit| Charge { limit: engine.number(limit), amount: 1 }).collect();
    match engine.take(database, &[key], &charges, Mode::Exact, now, &mut SpanCache::default()) {
        Err(TakeError::Missing(missing)) => Err(missing.0),
        taken => Ok(format!("{taken:?}")),
    }
}

pub(super) fn run(engine: &Engine, database: u8, command: Command, now: Timestamp) -> Answer {
    let minute = Period::from_secs(60).unwrap();
    let cache = &mut SpanCache::default();
    let unknown = |missing: Missing| missing.0;
    match command {
        Command::Add(key) => match engine.add(database, &[key], 1, now) {
            Err(AddError::Missing(missing)) => Err(missing.0),
            added => Ok(format!("{added:?}")),
        },
        Command::Put(key) => {
            let text = Content::string(format!("text at {}", now.as_micros()).as_bytes());
            let put = engine.edit(database, &[key], now, |slot| slot.put(text, Expiry::NEVER));
            put.map(|()| String::new()).map_err(unknown)
        }
        Command::Expire(key) => {
            let soon = Expiry::at_millis(now.as_millis() + 3_000);
            let set = engine.edit(database, &[key], now, |slot| slot.set_expiry(soon));
            set.map(|set| set.to_string()).map_err(unknown)
        }
        Command::Remove(key) => {
            let removed = engine.edit(database, &[key], now, |slot| {
                slot.drop_ended(cache);
                slot.remove()
            });
            removed.map(told).map_err(unknown)
        }
        Command::Move(from, to) => {
            let moved = engine.edit_many(&[(database, &[from]), (database, &[to])], now, |slots| {
                if let Some((content, expiry)) = slots.slot(0).remove() {
                    slots.slot(1).put(content, expiry);
                }
            });
            moved.map(|()| String::new()).map_err(unknown)
        }
        Command::Read(key) => {
            let read = engine.read(database, &[key], now, |view| shown(Some(view), now));
            read.map(|read| read.unwrap_or_else(|| shown(None, now))).map_err(unknown)
        }
        Command::ReadTwo(one, two) => {
            let mut answer = String::new();
            let read = |_, view: Option<View<'_>>| answer += &shown(view, now);
            engine.read_many(database, &[&[one], &[two]], now, read).map_err(unknown)?;
            Ok(answer)
        }
        Command::Take(key) => {
            take(engine, database, key, &[limit(Rule::fixed_window(9, minute).unwrap())], now)
        }
        Command::TakeTwo(key) => {
            let rate = limit(Rule::rate(3, minute, Some(5)).unwrap());
            take(engine, database, key, &[rate, limit(Rule::sliding_window(7, minute).unwrap())], now)
        }
    }
}

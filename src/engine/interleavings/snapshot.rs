//! A snapshot is read while commands run, under schedules that shuttle chooses.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use shuttle::thread;

use super::{START, check, tracked};
use crate::engine::value::Content;
use crate::engine::{DatabaseSet, Engine, Expiry, Gate, SnapshotCut, SnapshotEntry};

fn integer(content: &Content) -> i64 {
    match content {
        Content::Integer(integer) => *integer,
        _ => panic!("only integers were put"),
    }
}

/// Moves one from one key to another, and counts that in a word that is swapped, in a turn.
fn move_one(engine: &Engine, gate: &Gate, seat: usize) {
    gate.enter(seat);
    engine.add(0, b"count", 1, START).expect("it is an integer");
    let moved = engine.edit_many(&[(0, b"from"), (0, b"to")], START, |slots| {
        for (position, delta) in [(0, -1), (1, 1)] {
            let mut slot = slots.slot(position);
            let before = slot.view().map_or(0, |view| integer(&view.copy().0));
            slot.put(Content::Integer(before + delta), Expiry::NEVER);
        }
    });
    moved.expect("the engine is complete");
    gate.leave(seat);
}

fn read(cut: &SnapshotCut) -> BTreeMap<Vec<u8>, i64> {
    let mut values = BTreeMap::new();
    let mut note = |entry: SnapshotEntry<'_>| {
        let before = values.insert(entry.key.to_vec(), integer(&entry.content));
        assert_eq!(before, None, "a key is read once");
        ControlFlow::Continue(())
    };
    for place in cut.places() {
        let mut slot = Some(0);
        while let Some(from) = slot {
            slot = cut.read(place, from, &mut note);
        }
    }
    for place in cut.places() {
        while cut.read_kept(place, &mut note) {}
    }
    values
}

fn is_of_one_moment(engine: &Arc<Engine>) {
    let gate = Arc::new(Gate::new(2));
    engine.add(0, b"from", 10, START).expect("it is an integer");
    let movers: Vec<_> = (0..2)
        .map(|seat| {
            let (engine, gate) = (Arc::clone(engine), Arc::clone(&gate));
            thread::spawn(move || (0..2).for_each(|_| move_one(&engine, &gate, seat)))
        })
        .collect();
    for _ in 0..2 {
        let begun = gate.close(|| {
            if let Some(closed) = engine.cut() {
                engine.collect(closed, |_| ());
                engine.set_applied(closed);
            }
            engine.begin_snapshot()
        });
        let Ok(Some(cut)) = begun else { continue };
        let values = read(&cut);
        let value = |key: &[u8]| values.get(key).copied().unwrap_or(0);
        assert_eq!(value(b"from") + value(b"to"), 10, "{values:?}");
        assert_eq!(value(b"count"), value(b"to"), "{values:?}");
    }
    movers.into_iter().for_each(|mover| mover.join().expect("no thread panics"));
}

#[test]
fn a_snapshot_in_front_of_a_truth_is_of_one_moment() {
    check(|| is_of_one_moment(&tracked()));
}

#[test]
fn a_snapshot_of_what_a_truth_does_not_get_is_of_one_moment() {
    check(|| {
        let engine = Engine::in_front_of_truth_beside(DatabaseSet::NONE.with(0));
        engine.end_loading_ephemeral();
        engine.end_loading();
        is_of_one_moment(&Arc::new(engine));
    });
}

#[test]
fn a_snapshot_of_memory_alone_is_of_one_moment() {
    check(|| is_of_one_moment(&Arc::new(Engine::new())));
}

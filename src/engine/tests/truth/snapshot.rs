//! Snapshots while keys leave memory, come back and are changed: of memory, then of what only the truth has.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::command::{Command, DOUBLES, bare, run};
use super::{Cursor, DATABASES, Place, Rows, START, Timestamp, Walk, World};
use crate::engine::{Engine, SnapshotCut, SnapshotEntry, SnapshotPlace};

/// A snapshot that is being read.
pub(super) struct Reading {
    cut: SnapshotCut,
    /// The last batch that is part of it.
    seq: u64,
    expected: Rows,
    read: Rows,
    rest: Vec<(SnapshotPlace, u32)>,
    /// Through the truth, behind memory.
    walk: Walk,
    /// Keys of which the truth had refused the last state: where memory is emptied, that is lost.
    refused: BTreeSet<Place>,
}

/// All that an engine holds, whether it has expired or not.
fn rows_of(engine: &Engine) -> Rows {
    let mut rows = Rows::new();
    for database in DATABASES {
        engine.scan(database, Cursor::default(), usize::MAX, Timestamp::EPOCH, |key, view| {
            let (content, expiry) = view.copy();
            rows.insert((database, key.to_vec()), (bare(content), expiry));
        });
    }
    rows
}

fn note(read: &mut Rows, entry: SnapshotEntry<'_>) -> ControlFlow<()> {
    read.insert((entry.database, entry.key.to_vec()), (bare(entry.content), entry.expiry));
    ControlFlow::Continue(())
}

impl World {
    pub(super) fn begin_snapshot(&mut self) {
        if self.reading.is_some() || self.engine.is_loading() {
            return;
        }
        self.collect();
        self.cut();
        let cut = self.engine.begin_snapshot().expect("none runs");
        let rest = cut.places().into_iter().map(|place| (place, 0)).collect();
        let expected = rows_of(&self.right);
        self.reading = Some(Reading {
            cut,
            seq: self.cuts,
            expected,
            read: Rows::new(),
            rest,
            walk: Walk::default(),
            refused: self.refused.clone(),
        });
    }

    /// Reads a piece of memory, or once that is over and the truth has the cut a page of the truth.
    pub(super) fn read_snapshot(&mut self, which: usize) {
        let Some(reading) = &mut self.reading else { return };
        let read = &mut reading.read;
        if !reading.rest.is_empty() {
            let at = which % reading.rest.len();
            let (place, slot) = reading.rest[at];
            match reading.cut.read(place, slot, &mut |entry| note(read, entry)) {
                Some(next) => reading.rest[at].1 = next,
                None => drop(reading.rest.swap_remove(at)),
            }
            return;
        }
        if self.applied < reading.seq || reading.walk.is_over {
            return;
        }
        for (place, row) in reading.walk.page(&self.truth) {
            let is_later = self.written.get(&place).is_some_and(|seq| *seq > reading.seq);
            if is_later || self.engine.has_changed(place.0, &place.1) {
                continue;
            }
            let before = reading.read.insert(place.clone(), row.clone());
            let same = before.is_none_or(|before| format!("{before:?}") == format!("{row:?}"));
            assert!(same, "{place:?} is twice in it, as two states");
        }
    }

    pub(super) fn end_snapshot(&mut self) {
        let Some(seq) = self.reading.as_ref().map(|reading| reading.seq) else { return };
        while self.reading.as_ref().is_some_and(|reading| !reading.rest.is_empty()) {
            self.read_snapshot(0);
        }
        let has_everything = self.engine.has_everything();
        self.collect();
        while self.applied < seq {
            self.apply(None);
        }
        while !has_everything && self.reading.as_ref().is_some_and(|reading| !reading.walk.is_over) {
            self.read_snapshot(0);
        }
        let Some(Reading { cut, expected, mut read, refused, .. }) = self.reading.take() else { return };
        for place in cut.places() {
            while cut.read_kept(place, &mut |entry| note(&mut read, entry)) {}
        }
        while cut.read_emptied(&mut |entry| note(&mut read, entry)) {}
        assert!(cut.is_exact());
        if cut.has_gap() {
            return;
        }
        // What has ended by now may be missing: nobody can tell it from what is absent.
        let (expected, read) = (World::new(expected, START).right, World::new(read, START).right);
        for database in DATABASES {
            for key in 0..DOUBLES.end {
                if refused.contains(&(database, vec![key])) {
                    continue;
                }
                let answer = |engine| run(engine, database, Command::Read(key), self.now);
                assert_eq!(answer(&read), answer(&expected), "{key} in {database}");
            }
        }
    }
}

//! The background sweep's pace: how much time it may take, and when it rests.

use super::process::Seat;
use crate::clock::{Clock, Stopwatch};
use crate::engine::{Engine, SweepCursor, SweepReport};
use crate::metrics::Metrics;
use crate::quota::SpanCache;

/// The time from one round to the next.
pub const PERIOD_MS: u64 = 100;

/// What a round may take when little has ended: 1/20 of a core, which nobody notices.
const CALM_MICROS: u64 = PERIOD_MS * 1_000 / 20;

/// What a round may take when much has ended, as Redis's sweep: 1/4 of a core, so that memory comes back faster than a stream of
/// short-lived keys fills it.
const BUSY_MICROS: u64 = PERIOD_MS * 1_000 / 4;

/// Much has ended when more than one of this many visited entries had.
const BUSY_ONE_IN: usize = 10;

/// Entries between two looks at the stopwatch: some 100 us.
const ENTRIES_PER_STEP: usize = 2_048;

/// Rounds that the sweep rests after a pass over all entries that removed little: a second. It keeps an idle server
/// idle; access is exact to the millisecond without the sweep.
const RESTING_ROUNDS: u32 = 10;

/// Sweeps in rounds.
#[derive(Default)]
pub struct Sweeper {
    cursor: SweepCursor,
    spans: SpanCache,
    pace: Pace,
}

impl Sweeper {
    /// One round: goes on from where the last ended, until its time is over or all entries were seen.
    pub fn round(&mut self, engine: &Engine, gate: Seat<'_>, clock: &dyn Clock, metrics: &Metrics) {
        let Some(allowed_micros) = self.pace.begin_round() else { return };
        let stopwatch = Stopwatch::start();
        let now = clock.now();
        loop {
            let (cursor, spans) = (&mut self.cursor, &mut self.spans);
            let report = gate.between_cuts(|| engine.sweep(cursor, ENTRIES_PER_STEP, now, spans));
            self.pace.note(report);
            if report.wrapped || stopwatch.nanos() / 1_000 >= allowed_micros {
                break;
            }
        }
        metrics.server.sweep_micros.add(stopwatch.nanos() / 1_000);
    }
}

/// Decides how long a round takes from what the last ones found.
#[derive(Debug, Default)]
struct Pace {
    round: Found,
    pass: Found,
    resting: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Found {
    visited: usize,
    removed: usize,
}

impl Found {
    fn add(&mut self, report: SweepReport) {
        self.visited += report.visited;
        self.removed += report.removed;
    }

    const fn is_much(self) -> bool {
        self.removed * BUSY_ONE_IN > self.visited
    }
}

impl Pace {
    /// Microseconds that the round may take; `None`: it rests.
    fn begin_round(&mut self) -> Option<u64> {
        if self.resting > 0 {
            self.resting -= 1;
            return None;
        }
        let last = std::mem::take(&mut self.round);
        Some(if last.is_much() { BUSY_MICROS } else { CALM_MICROS })
    }

    /// Notes what a step found.
    fn note(&mut self, report: SweepReport) {
        self.round.add(report);
        self.pass.add(report);
        if report.wrapped {
            let pass = std::mem::take(&mut self.pass);
            self.resting = if pass.is_much() { 0 } else { RESTING_ROUNDS };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::engine::value::Content;
    use crate::engine::{Expiry, Gate};

    fn report(visited: usize, removed: usize, wrapped: bool) -> SweepReport {
        SweepReport { visited, removed, wrapped }
    }

    #[test]
    fn the_share_grows_only_when_over_a_tenth_had_ended() {
        let mut pace = Pace::default();
        assert_eq!(pace.begin_round(), Some(CALM_MICROS));
        pace.note(report(1_000, 100, false));
        assert_eq!(pace.begin_round(), Some(CALM_MICROS));
        pace.note(report(1_000, 101, false));
        assert_eq!(pace.begin_round(), Some(BUSY_MICROS));
        assert_eq!(pace.begin_round(), Some(CALM_MICROS), "a round that found nothing is calm");
    }

    #[test]
    fn a_pass_without_finds_is_followed_by_a_rest() {
        let mut pace = Pace::default();
        pace.begin_round();
        pace.note(report(500, 0, false));
        pace.note(report(0, 0, true));
        let rests = (0..RESTING_ROUNDS).filter(|_| pace.begin_round().is_none()).count();
        assert_eq!(rests, 10);
        assert_eq!(pace.begin_round(), Some(CALM_MICROS));
        pace.note(report(500, 500, true));
        assert_eq!(pace.begin_round(), Some(BUSY_MICROS), "a pass with finds goes on at once");
    }

    #[test]
    fn rounds_remove_what_has_expired_and_nothing_else() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000));
        let engine = Engine::new();
        for number in 0..10_000u32 {
            let key = number.to_le_bytes();
            let expiry = if number % 2 == 0 { Expiry::at_millis(2_000) } else { Expiry::NEVER };
            engine
                .edit(0, &key, clock.now(), |slot| slot.put(Content::Integer(1), expiry))
                .expect("the engine knows all keys");
        }
        let gate = Gate::new(1);
        let (metrics, mut sweeper) = (Metrics::default(), Sweeper::default());
        sweeper.round(&engine, Seat { gate: &gate, seat: 0 }, &clock, &metrics);
        assert_eq!(engine.len(0), 10_000);
        clock.set(Timestamp::from_millis(2_000));
        for _ in 0..10_000 {
            sweeper.round(&engine, Seat { gate: &gate, seat: 0 }, &clock, &metrics);
        }
        assert_eq!(engine.len(0), 5_000);
    }
}

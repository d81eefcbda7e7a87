//! Holds all threads between their turns for a moment, so that a cut falls between turns: what one command or transaction
//! changed together is on one side of it.
//!
//! Invariant: while the gate is closed and [`Gate::close`] has answered, no thread executes; so the open generation changes
//! only then. Each thread says that it executes before it looks whether the gate is closed, and the closer closes before it
//! looks who executes: in one order of all these steps, one of the two sees the other.

use crossbeam_utils::CachePadded;

use super::sync::{AtomicBool, Ordering, yield_now};

/// Looks at the threads before a closer gives up: with a yield each, some milliseconds when a turn is long. Commands wait
/// meanwhile, so the cut is tried again later rather than waited for.
const LOOKS: usize = if cfg!(feature = "shuttle") { 8 } else { 2_000 };

/// One seat per thread that executes.
pub struct Gate {
    closed: CachePadded<AtomicBool>,
    executing: Box<[CachePadded<AtomicBool>]>,
}

/// A thread was still in its turn; the gate is open again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillRunning;

impl Gate {
    /// For threads with seats from 0 to `seats`.
    #[must_use]
    pub fn new(seats: usize) -> Self {
        Self {
            closed: CachePadded::new(AtomicBool::new(false)),
            executing: (0..seats).map(|_| CachePadded::new(AtomicBool::new(false))).collect(),
        }
    }

    /// The thread of this seat begins to execute; waits while the gate is closed.
    ///
    /// # Panics
    /// When there is no such seat.
    #[inline]
    pub fn enter(&self, seat: usize) {
        loop {
            self.executing[seat].store(true, Ordering::SeqCst);
            if !self.closed.load(Ordering::SeqCst) {
                return;
            }
            self.wait(seat);
        }
    }

    #[cold]
    fn wait(&self, seat: usize) {
        self.executing[seat].store(false, Ordering::SeqCst);
        while self.closed.load(Ordering::SeqCst) {
            yield_now();
        }
    }

    /// The thread of this seat has ended its turn; harmless where it was not in one.
    ///
    /// # Panics
    /// When there is no such seat.
    #[inline]
    pub fn leave(&self, seat: usize) {
        // What was changed in the turn is seen by whoever then sees that nobody executes.
        self.executing[seat].store(false, Ordering::Release);
    }

    /// Runs `cut` while no thread executes. One closer at a time.
    ///
    /// # Errors
    /// [`StillRunning`]; `cut` was not run.
    pub fn close<R>(&self, cut: impl FnOnce() -> R) -> Result<R, StillRunning> {
        self.closed.store(true, Ordering::SeqCst);
        let is_quiet = self.executing.iter().all(|executing| {
            (0..LOOKS).any(|_| {
                let is_over = !executing.load(Ordering::SeqCst);
                if !is_over {
                    yield_now();
                }
                is_over
            })
        });
        let result = if is_quiet { Ok(cut()) } else { Err(StillRunning) };
        self.closed.store(false, Ordering::SeqCst);
        result
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_in_its_turn_keeps_the_gate_from_closing() {
        let gate = Gate::new(2);
        gate.enter(1);
        assert_eq!(gate.close(|| ()), Err(StillRunning));
        gate.leave(1);
        assert_eq!(gate.close(|| 7), Ok(7));
        gate.enter(0);
        gate.leave(0);
    }
}

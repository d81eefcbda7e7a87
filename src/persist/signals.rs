//! What the flusher's thread is woken by.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Wakes the flusher before its time.
#[derive(Default)]
pub struct Signals {
    asked: Mutex<Asked>,
    changed: Condvar,
    /// Of the end.
    patience: Mutex<Duration>,
}

/// What is asked of the flusher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// A cut at once.
    pub cut: bool,
    /// A last cut, then the end.
    pub end: bool,
    /// A look whether the truth is free for what was put off.
    pub look: bool,
    /// A cut with everything that is in memory.
    pub everything: bool,
}

impl Signals {
    /// Asks for a cut at once: somebody waits for it.
    pub fn hurry(&self) {
        let mut asked = self.asked.lock();
        // One who waits already woke the thread.
        if !asked.cut {
            asked.cut = true;
            self.changed.notify_one();
        }
    }

    /// Says that the truth has taken a batch.
    pub fn look(&self) {
        self.asked.lock().look = true;
        self.changed.notify_one();
    }

    /// Asks for a cut with everything that is in memory.
    pub fn everything(&self) {
        let mut asked = self.asked.lock();
        asked.everything = true;
        asked.cut = true;
        drop(asked);
        self.changed.notify_one();
    }

    /// Asks for a last cut and the end, which waits at most `patience` for the truth where that is the only place.
    pub fn end(&self, patience: Duration) {
        *self.patience.lock() = patience;
        self.asked.lock().end = true;
        self.changed.notify_one();
    }

    /// How long the end waits for the truth.
    pub fn patience(&self) -> Duration {
        *self.patience.lock()
    }

    /// Whether the end is asked for.
    pub fn is_ending(&self) -> bool {
        self.asked.lock().end
    }

    /// Waits until something is asked, at most `timeout`; what is asked is taken, but the wish for the end stays.
    pub fn wait(&self, timeout: Duration) -> Asked {
        let mut asked = self.asked.lock();
        if !asked.cut && !asked.end && !asked.look {
            // Woken too early the thread only finds nothing to do.
            let _timed_out = self.changed.wait_for(&mut asked, timeout);
        }
        let taken = *asked;
        asked.cut = false;
        asked.look = false;
        asked.everything = false;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_taken_once_and_the_end_stays() {
        let signals = Signals::default();
        signals.hurry();
        signals.hurry();
        assert_eq!(signals.wait(Duration::MAX), Asked { cut: true, ..Asked::default() });
        assert_eq!(signals.wait(Duration::ZERO), Asked::default());
        signals.end(Duration::ZERO);
        for _ in 0..2 {
            assert_eq!(signals.wait(Duration::MAX), Asked { end: true, ..Asked::default() });
        }
    }
}

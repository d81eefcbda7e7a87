//! A pace for log lines that clients can cause: at most one in a while, with the number of those left out.

use std::sync::atomic::{AtomicU64, Ordering};

/// Microseconds between two lines of one kind: a person sees what happens, and no client can fill a disk.
const PAUSE_MICROS: u64 = 10_000_000;

/// The pace of one kind of line. Starts ready.
#[derive(Debug, Default)]
pub struct Seldom {
    /// When the next line may come, in microseconds since the epoch.
    next_micros: AtomicU64,
    left_out: AtomicU64,
}

impl Seldom {
    /// Whether a line may be written at `now_micros`, and then how many were left out since the last; `None`: this one is left out.
    pub fn is_due(&self, now_micros: u64) -> Option<u64> {
        let next = self.next_micros.load(Ordering::Relaxed);
        // A clock that was wrong and was put back must not silence a line for long.
        let is_silent = now_micros < next && next - now_micros <= PAUSE_MICROS;
        let after = now_micros.saturating_add(PAUSE_MICROS);
        let exchange =
            |next| self.next_micros.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed);
        // Of several threads that find a line due, one writes it.
        if is_silent || exchange(next).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_while_tells_how_many_were_left_out() {
        let (pace, start) = (Seldom::default(), 1_000_000_000);
        assert_eq!(pace.is_due(start), Some(0));
        assert_eq!(pace.is_due(start), None);
        assert_eq!(pace.is_due(start + PAUSE_MICROS - 1), None);
        assert_eq!(pace.is_due(start + PAUSE_MICROS), Some(2));
        assert_eq!(pace.is_due(start + PAUSE_MICROS + 1), None);
        assert_eq!(pace.is_due(1), Some(1), "the clock was put back");
    }
}

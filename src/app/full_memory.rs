//! The log's lines on `maxmemory`: one when commands begin to be refused, one when they run again.

use crate::clock::Timestamp;
use crate::metrics::Seldom;

/// Remembers what the log was told last.
#[derive(Default)]
pub struct FullMemory {
    is_told: bool,
    /// Data may swing around the limit: then a line comes only now and then.
    pace: Seldom,
}

impl FullMemory {
    /// Looks at `bytes` of data where `most` are allowed (0: any), as commands do.
    pub fn look(&mut self, bytes: u64, most: u64, now: Timestamp) {
        match self.changed(bytes, most, now) {
            None => {}
            Some(true) => tracing::warn!(
                bytes,
                maxmemory = most,
                "memory is full: commands that need memory, takes among them, are refused with OOM"
            ),
            Some(false) => {
                tracing::warn!(bytes, maxmemory = most, "memory is no longer full: all commands run again")
            }
        }
    }

    /// Whether memory is full, where the log does not know it yet and may be told.
    fn changed(&mut self, bytes: u64, most: u64, now: Timestamp) -> Option<bool> {
        let is_full = most > 0 && bytes > most;
        if is_full == self.is_told || self.pace.is_due(now.as_micros()).is_none() {
            return None;
        }
        self.is_told = is_full;
        Some(is_full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_of_changes_and_not_of_every_swing() {
        let mut memory = FullMemory::default();
        let mut check = |bytes, most, millis, expected| {
            assert_eq!(
                memory.changed(bytes, most, Timestamp::from_millis(millis)),
                expected,
                "{bytes} {most} {millis}"
            );
        };
        check(5, 0, 1_000_000, None);
        check(5, 5, 1_000_000, None);
        check(6, 5, 1_000_100, Some(true));
        check(7, 5, 1_000_200, None);
        check(4, 5, 1_000_300, None);
        check(6, 5, 1_000_400, None);
        check(4, 5, 1_010_100, Some(false));
        check(6, 5, 1_010_200, None);
        check(6, 0, 1_030_000, None);
        check(6, 5, 1_040_000, Some(true));
        check(6, 0, 1_060_000, Some(false));
    }
}

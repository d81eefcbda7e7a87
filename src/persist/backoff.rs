//! Pauses between tries: longer each time up to a limit, and never the same for two servers.

use std::time::Duration;

use crate::clock::Timestamp;

/// The pauses of one thing that is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    /// Pauses from about `first` to about `most`.
    #[must_use]
    pub const fn between(first: Duration, most: Duration) -> Self {
        Self { next: first, most }
    }

    /// The next pause: half of it to all of it, by the last digits of the time, so that many servers do not come back together.
    #[must_use]
    pub fn pause(&mut self, now: Timestamp) -> Duration {
        let whole = self.next;
        self.next = whole.saturating_mul(2).min(self.most);
        let half = whole / 2;
        let jitter = u32::try_from(now.as_micros() % 1_000).unwrap_or(0);
        half + half * jitter / 1_000
    }

    /// The longest pause.
    #[must_use]
    pub const fn pause_at_most(self) -> Duration {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_most_and_differ() {
        let mut backoff = Backoff::between(Duration::from_millis(20), Duration::from_millis(50));
        let mut pause = |micros| backoff.pause(Timestamp::from_micros(micros)).as_millis();
        assert_eq!([pause(0), pause(500), pause(999)], [10, 30, 49]);
        assert_eq!(pause(0), 25);
    }
}

//! How many commands and bytes a second, over the last moments.

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::metrics::Metrics;

/// Samples that an answer spans: with one each 100 ms, 1.6 seconds, as in Redis.
const SAMPLES: usize = 16;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that ran.
    pub commands: u64,
    /// Bytes read from clients.
    pub input_bytes: u64,
    /// Bytes written to clients.
    pub output_bytes: u64,
}

impl Totals {
    /// The counts now.
    #[must_use]
    pub fn of(metrics: &Metrics) -> Self {
        Self {
            commands: metrics.sum(|worker| worker.commands.iter().map(|command| command.calls.value()).sum()),
            input_bytes: metrics.sum(|worker| worker.input_bytes.value()),
            output_bytes: metrics.sum(|worker| worker.output_bytes.value()),
        }
    }
}

/// The last samples.
#[derive(Default)]
pub struct Rates {
    samples: Mutex<Samples>,
}

#[derive(Default)]
struct Samples {
    ring: [(Timestamp, Totals); SAMPLES],
    next: usize,
    filled: usize,
}

impl Rates {
    /// Notes the totals at `now`.
    pub fn sample(&self, now: Timestamp, totals: Totals) {
        let mut samples = self.samples.lock();
        let next = samples.next;
        samples.ring[next] = (now, totals);
        samples.next = (next + 1) % SAMPLES;
        samples.filled = (samples.filled + 1).min(SAMPLES);
    }

    /// Each total's growth in a second, between the oldest sample and the newest; zeros where there are not two.
    #[must_use]
    pub fn per_second(&self) -> Totals {
        let samples = self.samples.lock();
        if samples.filled < 2 {
            return Totals::default();
        }
        let newest = samples.ring[(samples.next + SAMPLES - 1) % SAMPLES];
        let oldest = samples.ring[(samples.next + SAMPLES - samples.filled) % SAMPLES];
        let micros = newest.0.micros_since(oldest.0).max(1);
        // A total that became smaller was reset in between.
        let rate = |new: u64, old: u64| new.saturating_sub(old).saturating_mul(1_000_000) / micros;
        Totals {
            commands: rate(newest.1.commands, oldest.1.commands),
            input_bytes: rate(newest.1.input_bytes, oldest.1.input_bytes),
            output_bytes: rate(newest.1.output_bytes, oldest.1.output_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_span_the_last_samples() {
        let rates = Rates::default();
        let totals = |commands| Totals { commands, input_bytes: commands * 10, output_bytes: 0 };
        assert_eq!(rates.per_second(), Totals::default());
        rates.sample(Timestamp::from_millis(1_000), totals(0));
        assert_eq!(rates.per_second(), Totals::default());
        rates.sample(Timestamp::from_millis(1_100), totals(50));
        assert_eq!(rates.per_second(), totals(500));
        for step in 0..100 {
            rates.sample(Timestamp::from_millis(2_000 + step * 100), totals(1_000 + step));
        }
        assert_eq!(rates.per_second(), totals(10));
    }

    #[test]
    fn a_reset_is_no_negative_rate() {
        let rates = Rates::default();
        rates.sample(Timestamp::from_millis(0), Totals { commands: 9, ..Totals::default() });
        rates.sample(Timestamp::from_millis(0), Totals::default());
        assert_eq!(rates.per_second(), Totals::default());
    }
}

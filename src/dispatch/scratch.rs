//! What a worker thread keeps for its commands: caches, its counters, a source of random numbers.

use std::sync::Arc;

use super::LimitMemo;
use crate::metrics::{Metrics, WorkerMetrics};
use crate::quota::SpanCache;

/// One per worker thread.
pub struct Scratch {
    /// Calendar periods computed last.
    pub spans: SpanCache,
    /// Inline limits parsed last.
    pub limits: LimitMemo,
    /// The thread's own counters.
    pub metrics: Arc<WorkerMetrics>,
    /// Which subjects this turn denied.
    pub denied: Sample,
    /// Which subjects this turn asked for.
    pub asked: Sample,
    /// The thread's seat at the gate.
    pub seat: usize,
    random: u64,
}

/// One subject chosen fairly out of a turn, standing for all of them: exact for a client that waits for each answer, and a
/// sample for one that pipelines, at a few nanoseconds a call.
#[derive(Default)]
pub struct Sample {
    seen: u64,
    database: u8,
    subject: Vec<u8>,
}

/// Capacity that a sample keeps between turns.
const SAMPLE_KEPT_BYTES: usize = 1_024;

impl Scratch {
    /// A new thread's; its counters join the sums of `metrics`. `seed` makes its random numbers differ from other threads'.
    #[must_use]
    pub fn new(metrics: &Metrics, commands: usize, seed: u64) -> Self {
        let worker = Arc::new(WorkerMetrics::new(commands));
        metrics.register(Arc::clone(&worker));
        Self {
            spans: SpanCache::default(),
            limits: LimitMemo::default(),
            metrics: worker,
            denied: Sample::default(),
            asked: Sample::default(),
            seat: 0,
            random: seed | 1,
        }
    }

    /// A random number, not for secrets (xorshift64*, Vigna 2016).
    #[inline]
    pub fn random(&mut self) -> u64 {
        next_random(&mut self.random)
    }

    /// Notes that a subject was asked for, and whether it was denied.
    #[inline]
    pub fn note_take(&mut self, database: u8, subject: &[u8], denied: bool) {
        self.asked.note(database, subject, &mut self.random);
        if denied {
            self.denied.note(database, subject, &mut self.random);
        }
    }

    /// Forgets what this turn chose if `is_gone`: it was flushed or deleted after it was asked for.
    pub fn forget_samples(&mut self, is_gone: impl Fn(u8, &[u8]) -> bool) {
        for sample in [&mut self.denied, &mut self.asked] {
            if sample.seen > 0 && is_gone(sample.database, &sample.subject) {
                sample.seen = 0;
            }
        }
    }

    /// Counts what the turn's samples chose.
    #[inline]
    pub fn finish_turn(&mut self) {
        if self.asked.seen > 0 {
            self.asked.count_into(&mut self.metrics.hot_subjects.lock());
        }
        if self.denied.seen > 0 {
            self.denied.count_into(&mut self.metrics.denied_subjects.lock());
        }
    }
}

impl Sample {
    #[inline]
    fn note(&mut self, database: u8, subject: &[u8], random: &mut u64) {
        self.seen += 1;
        // The n-th subject replaces the chosen one with probability 1/n: every one is equally likely in the end.
        if self.seen == 1 || (u128::from(next_random(random)) * u128::from(self.seen)) >> 64 == 0 {
            self.database = database;
            self.subject.clear();
            self.subject.extend_from_slice(subject);
        }
    }

    fn count_into(&mut self, top: &mut crate::metrics::TopSubjects) {
        top.count(self.database, &self.subject, self.seen);
        self.seen = 0;
        self.subject.shrink_to(SAMPLE_KEPT_BYTES);
    }
}

#[inline]
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

//! Makes room at `maxmemory`: keys leave memory by the policy, which stay in the truth.

use super::process::Process;
use super::sweep::PERIOD_MS;
use crate::clock::Stopwatch;
use crate::config::POLICIES;
use crate::engine::{Eviction, Need};

/// What a round may take: half of a core's time, so that keys leave about as fast as two threads add them.
const ROUND_MICROS: u64 = PERIOD_MS * 1_000 / 2;

/// Calls in vain after which nothing can leave: each looks at some hundred samples.
const MOST_VAIN_CALLS: u32 = 4;

/// Keys that leave between two looks at the stopwatch: some 100 us.
const KEYS_AT_ONCE: usize = 256;

/// The share of `maxmemory` that a round makes free beyond it, as a divisor, so that commands have room until the next.
const HEADROOM_DIVISOR: u64 = 64;

/// How far memory may be over its limit while keys leave, as a divisor of the limit.
const OVERSHOOT_DIVISOR: u64 = 8;

/// Makes room in rounds.
#[derive(Default)]
pub struct Evictor {
    random: u64,
}

/// The policy by its name; `None`: nothing leaves.
#[must_use]
pub fn eviction(policy: &str) -> Option<Eviction> {
    match POLICIES.iter().position(|known| *known == policy) {
        Some(1) => Some(Eviction::AllKeysLru),
        Some(2) => Some(Eviction::VolatileTtl),
        _ => None,
    }
}

impl Evictor {
    /// Makes room if memory is full; says in `evicting` whether commands may go on meanwhile.
    pub fn round(&mut self, process: &Process) {
        let config = process.settings.config();
        let server = &process.metrics.server;
        let (most, bytes) = (config.maxmemory_bytes, server.data_bytes.value());
        let goal = most - most / HEADROOM_DIVISOR;
        let Some(eviction) = eviction(config.maxmemory_policy).filter(|_| most > 0 && bytes > goal) else {
            server.evicting.set(0);
            return;
        };
        let stopwatch = Stopwatch::start();
        let mut left = bytes - goal;
        let (mut is_stuck, mut vain) = (false, 0);
        while left > 0 && !is_stuck && stopwatch.nanos() / 1_000 < ROUND_MICROS {
            self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ stopwatch.nanos();
            let (random, now) = (self.random, process.clock.now());
            let need = Need { bytes: usize::try_from(left).unwrap_or(usize::MAX), entries: KEYS_AT_ONCE };
            let evicted = process.seat().between_cuts(|| process.engine.evict(eviction, need, random, now));
            server.evicted_keys.add(u64::try_from(evicted.keys).unwrap_or(u64::MAX));
            left = left.saturating_sub(u64::try_from(evicted.bytes).unwrap_or(u64::MAX));
            vain = if evicted.bytes == 0 { vain + 1 } else { 0 };
            is_stuck = vain >= MOST_VAIN_CALLS;
        }
        if is_stuck && let Some(truth) = &process.truth {
            // Only what it has may leave.
            truth.progress.end_rest();
        }
        let counted = process.engine.memory().used_bytes();
        server.data_bytes.set(counted);
        // Where nothing can leave, or keys come faster than they leave, commands are refused until it is otherwise.
        let is_far_over = counted > most.saturating_add(most / OVERSHOOT_DIVISOR);
        server.evicting.set(u64::from(!is_stuck && !is_far_over));
    }
}

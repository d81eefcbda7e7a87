//! Work that goes on beside the clients: the sweep, the count of memory, the samples of rates, the look at the wall clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::evictor::Evictor;
use super::full_memory::FullMemory;
use super::process::Process;
use super::rates::Totals;
use super::sweep::{PERIOD_MS, Sweeper};
use crate::clock::Stopwatch;
use crate::dispatch::ports::Settings as _;

/// How often the wall clock is compared: a jump is followed within a second.
const WALL_CLOCK_PERIOD_MS: u64 = 1_000;

/// The share of a core that counting memory may take, as a divisor. A count looks at every shard of every database in use: with
/// one database it is made in each round, with many less often.
const MEMORY_SHARE_DIVISOR: u64 = 50;

/// Does all of it until it is dropped.
///
/// Everything runs on one thread in turn, and the sweep's round is bounded, so the admin pages wait at most that long.
pub async fn run(process: Arc<Process>) {
    let rounds = async {
        let (mut sweeper, mut memory) = (Sweeper::default(), MemoryCount::default());
        let mut full_memory = FullMemory::default();
        let mut evictor = Evictor::default();
        let mut ticks = interval(Duration::from_millis(PERIOD_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            round(&process, &mut sweeper, &mut memory, &mut evictor);
            let most = process.settings.maxmemory_bytes();
            let server = &process.metrics.server;
            if server.evicting.value() == 0 {
                full_memory.look(server.data_bytes.value(), most, process.clock.now());
            }
        }
    };
    let clock = async {
        let mut ticks = interval(Duration::from_millis(WALL_CLOCK_PERIOD_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            follow_wall_clock(&process);
        }
    };
    tokio::join!(rounds, clock);
}

fn round(process: &Process, sweeper: &mut Sweeper, memory: &mut MemoryCount, evictor: &mut Evictor) {
    if process.is_sweeping() {
        sweeper.round(&process.engine, process.seat(), &*process.clock, &process.metrics);
    }
    memory.round(process);
    evictor.round(process);
    process.rates.sample(process.clock.now(), Totals::of(&process.metrics));
}

/// Counts bytes, and rests in proportion to what that took.
#[derive(Default)]
struct MemoryCount {
    resting: u64,
}

impl MemoryCount {
    fn round(&mut self, process: &Process) {
        if self.resting > 0 {
            self.resting -= 1;
            return;
        }
        let stopwatch = Stopwatch::start();
        let bytes = process.engine.memory().used_bytes();
        process.metrics.server.data_bytes.set(bytes);
        process.metrics.server.data_bytes_peak.raise(bytes);
        self.resting = rounds_to_rest(stopwatch.nanos() / 1_000);
    }
}

/// Rounds to rest after a count that took `micros`, so that counting stays within its share.
const fn rounds_to_rest(micros: u64) -> u64 {
    micros * MEMORY_SHARE_DIVISOR / (PERIOD_MS * 1_000)
}

fn follow_wall_clock(process: &Process) {
    let Some(jump) = process.clock.follow_wall_clock() else { return };
    process.metrics.server.clock_jumps.add(1);
    tracing::warn!(
        told_us = jump.told.as_micros(),
        wall_us = jump.wall.as_micros(),
        "the wall clock stands over a second away from the server's time"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_memory_stays_within_its_share() {
        assert_eq!(rounds_to_rest(100), 0);
        assert_eq!(rounds_to_rest(2_000), 1);
        assert_eq!(rounds_to_rest(20_000), 10);
    }
}

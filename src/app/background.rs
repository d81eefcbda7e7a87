//! Work that goes on beside the clients: the sweep, the count of memory, the samples of rates, the look at the wall clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::process::Process;
use super::rates::Totals;
use super::sweep::{PERIOD_MS, Sweeper};

/// How often the wall clock is compared: a jump is followed within a second.
const WALL_CLOCK_PERIOD_MS: u64 = 1_000;

/// Does all of it until the end of the process begins, and until it is dropped.
///
/// Everything runs on one thread in turn, and the sweep's round is bounded, so the admin pages wait at most that long.
pub async fn run(process: Arc<Process>) {
    let rounds = async {
        let mut sweeper = Sweeper::default();
        let mut ticks = interval(Duration::from_millis(PERIOD_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            round(&process, &mut sweeper);
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

fn round(process: &Process, sweeper: &mut Sweeper) {
    if process.is_sweeping() {
        sweeper.round(&process.engine, &*process.clock, &process.metrics);
    }
    let bytes = u64::try_from(process.engine.memory().data_bytes).unwrap_or(u64::MAX);
    process.metrics.server.data_bytes.set(bytes);
    process.metrics.server.data_bytes_peak.raise(bytes);
    process.rates.sample(process.clock.now(), Totals::of(&process.metrics));
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

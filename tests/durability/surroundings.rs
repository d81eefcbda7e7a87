//! What faults ask of their surroundings: time that passes, conditions that come true, and how long a run is to be.

use std::sync::LazyLock;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use quotad::clock::{Clock, Stopwatch, SystemClock};

/// How long anything may take before a test fails: far longer than on the slowest machine, and than any time-out of the server's.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The time between two looks at a condition.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// How long a truth is away, in seconds, unless `QUOTAD_OUTAGE_SECONDS` says otherwise.
const OUTAGE_SECONDS: u64 = 10;

/// How often a server is killed, unless `QUOTAD_KILL_ROUNDS` says otherwise.
const KILL_ROUNDS: u64 = 20;

static STARTED: LazyLock<Stopwatch> = LazyLock::new(Stopwatch::start);

static SEED: LazyLock<u64> =
    LazyLock::new(|| number("QUOTAD_FAULT_SEED", SystemClock::new().now().as_micros()));

fn number(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not '{text}'"))
}

/// What all choices of this run follow from.
pub fn seed() -> u64 {
    *SEED
}

/// How often a server is killed.
pub fn kill_rounds() -> u64 {
    number("QUOTAD_KILL_ROUNDS", KILL_ROUNDS)
}

/// How long a truth is away.
pub fn outage() -> Duration {
    Duration::from_secs(number("QUOTAD_OUTAGE_SECONDS", OUTAGE_SECONDS))
}

/// Milliseconds since the run began.
pub fn now_ms() -> u64 {
    STARTED.micros() / 1_000
}

/// Lets time pass. Where a fault must last, there is no condition to wait for.
pub fn pass(duration: Duration) {
    let (_sender, receiver) = sync_channel::<()>(0);
    // Nobody sends, so this is over when the time is.
    let _ = receiver.recv_timeout(duration);
}

/// Looks again and again until there is something to see.
///
/// # Panics
/// When it does not come before the deadline.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now_ms() + u64::try_from(DEADLINE.as_millis()).unwrap_or(u64::MAX);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(now_ms() < deadline, "it does not come that {what}");
        pass(LOOK_PAUSE);
    }
}

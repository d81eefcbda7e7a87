//! Time: the timestamp type every rule uses, and the one place where the machine's clocks are read.
//!
//! **Owns** the wall clock's anchor. **Does not own** any decision: time is passed in everywhere else.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// A point in time, in microseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// The latest time a client may name, in microseconds: the largest a signed 64-bit number of them can tell.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());

    /// Takes microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Takes milliseconds since the epoch; saturates.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This time plus `micros`; saturates.
    #[must_use]
    pub const fn plus_micros(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this time, 0 when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}us", self.0)
    }
}

/// Where the server's time comes from.
pub trait Clock: Send + Sync {
    /// The time now. Two reads on one thread never go back, except where a test moves a [`ManualClock`] back.
    fn now(&self) -> Timestamp;

    /// Compares with the machine's wall clock, and follows it; called about once a second by background work.
    fn follow_wall_clock(&self) -> Option<ClockJump> {
        None
    }
}

/// The wall clock stood more than [`JUMP_MICROS`] away from the time the server tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// What the server's clock told, before it began to follow.
    pub told: Timestamp,
    /// What the machine's wall clock tells.
    pub wall: Timestamp,
}

/// How far the wall clock may be away before it counts as a jump: NTP corrects less than this by slewing.
pub const JUMP_MICROS: u64 = 1_000_000;

/// How much of the elapsed time a slew may add or take, as a divisor: at most 1/8 faster or slower, so that windows
/// stretch by no more than that while a wrong clock is followed.
const SLEW_DIVISOR: u64 = 8;

/// A wrong wall clock further away than this (a day) is not followed by slewing, which would take over a week: the
/// anchor stays, and every check reports the jump until an operator restarts the server or mends the clock.
const FOLLOW_LIMIT_MICROS: u64 = 86_400_000_000;

/// The machine's clock: wall time read once, then advanced by the monotonic clock, so that it never goes back and a
/// wall clock that is set wrong does not refill or lock quotas at once.
pub struct SystemClock {
    started: std::time::Instant,
    /// Wall time when the monotonic clock stood at `started`, plus what slewing has added; microseconds.
    anchor: AtomicU64,
    /// Monotonic microseconds of the last comparison with the wall clock.
    compared: Mutex<u64>,
}

impl SystemClock {
    /// Anchors the wall clock to the monotonic clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clocks")]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
            anchor: AtomicU64::new(wall_micros()),
            compared: Mutex::new(0),
        }
    }

    fn elapsed_micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Moves the anchor towards `wall`; `elapsed` is the monotonic time since the start. Pure but for the anchor.
    fn follow(&self, wall: u64, elapsed: u64) -> Option<ClockJump> {
        let mut compared = self.compared.lock();
        let since = elapsed.saturating_sub(*compared);
        *compared = elapsed;
        let anchor = self.anchor.load(Ordering::Relaxed);
        let told = anchor.saturating_add(elapsed);
        let away = wall.abs_diff(told);
        let step = away.min(since / SLEW_DIVISOR);
        if away <= FOLLOW_LIMIT_MICROS {
            let moved = if wall > told { anchor.saturating_add(step) } else { anchor.saturating_sub(step) };
            self.anchor.store(moved, Ordering::Relaxed);
        }
        let jump = ClockJump { told: Timestamp::from_micros(told), wall: Timestamp::from_micros(wall) };
        (away > JUMP_MICROS).then_some(jump)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.anchor.load(Ordering::Relaxed).saturating_add(self.elapsed_micros()))
    }

    fn follow_wall_clock(&self) -> Option<ClockJump> {
        self.follow(wall_micros(), self.elapsed_micros())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clocks")]
fn wall_micros() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

/// A monotonic stopwatch for measuring how long work took.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts measuring.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clocks")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Microseconds since the start.
    #[must_use]
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub fn nanos(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.as_micros()))
    }

    /// Moves the clock, forward or back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance_micros(&self, micros: u64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_never_goes_back() {
        let clock = SystemClock::new();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_jump_is_reported_and_slewed_by_at_most_an_eighth() {
        let clock = SystemClock::new();
        let start = clock.anchor.load(Ordering::Relaxed);
        let jump = clock.follow(start + 1_000_000 + 60_000_000, 1_000_000);
        assert!(jump.is_some());
        assert_eq!(clock.anchor.load(Ordering::Relaxed), start + 125_000);
        let jump = clock.follow(start.saturating_sub(60_000_000), 2_000_000);
        assert!(jump.is_some());
        assert_eq!(clock.anchor.load(Ordering::Relaxed), start);
    }

    #[test]
    fn a_year_is_reported_but_not_followed() {
        let clock = SystemClock::new();
        let start = clock.anchor.load(Ordering::Relaxed);
        assert!(clock.follow(start + 366 * 86_400_000_000, 1_000_000).is_some());
        assert_eq!(clock.anchor.load(Ordering::Relaxed), start);
        assert_eq!(clock.follow(start + 2_000_000, 2_000_000), None);
    }

    #[test]
    fn timestamps_saturate() {
        assert_eq!(Timestamp::from_micros(5).micros_since(Timestamp::from_micros(9)), 0);
        assert_eq!(Timestamp::from_millis(u64::MAX).as_micros(), u64::MAX);
        assert_eq!(Timestamp::MAX.plus_micros(u64::MAX).as_micros(), u64::MAX);
    }
}

//! Time: the timestamp type every rule uses, and the one place where the machine's clocks are read.
//!
//! **Owns** the wall clock's anchor. **Does not own** any decision: time is passed in everywhere else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

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
    /// The time now, and a stopwatch started at the same moment, for one look at the machine's clock.
    fn read(&self) -> (Timestamp, Stopwatch);

    /// The time now. It never goes back, except where a test moves a [`ManualClock`] back.
    fn now(&self) -> Timestamp {
        self.read().0
    }

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

/// How much of the elapsed time a slew adds or takes, as a divisor: 1/8 faster or slower, so that windows stretch by no more
/// than that while a wall clock is followed.
const SLEW_DIVISOR: u64 = 8;

/// A wall clock further away than this (a day) is not followed, which would take over a week: the anchor stays, and every
/// check reports the jump until the clock is mended or the server started again.
const FOLLOW_LIMIT_MICROS: u64 = 86_400_000_000;

/// The machine's clock: wall time read once, then advanced by the monotonic clock, so that it never goes back and a
/// wall clock that is set wrong does not refill or lock quotas at once. A wall clock that stands a little away is followed by
/// running faster or slower.
pub struct SystemClock {
    started: std::time::Instant,
    line: ArcSwap<Line>,
}

/// Time as a straight line from a point, both in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    /// Monotonic time at the point, since the clock's start.
    elapsed: u64,
    /// Wall time told at the point.
    told: u64,
    pace: Pace,
    /// Monotonic time at which the pace becomes even again: the difference is made up.
    until: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Even,
    Faster,
    Slower,
}

impl Line {
    fn at(self, elapsed: u64) -> u64 {
        let even = self.told.saturating_add(elapsed.saturating_sub(self.elapsed));
        let slewed = elapsed.min(self.until).saturating_sub(self.elapsed) / SLEW_DIVISOR;
        match self.pace {
            Pace::Even => even,
            Pace::Faster => even.saturating_add(slewed),
            Pace::Slower => even.saturating_sub(slewed),
        }
    }

    /// The line from `elapsed` on that makes up for what `wall` differs.
    fn following(self, wall: u64, elapsed: u64) -> Self {
        let told = self.at(elapsed);
        let away = wall.abs_diff(told);
        let pace = match wall.cmp(&told) {
            _ if away > FOLLOW_LIMIT_MICROS => Pace::Even,
            std::cmp::Ordering::Equal => Pace::Even,
            std::cmp::Ordering::Greater => Pace::Faster,
            std::cmp::Ordering::Less => Pace::Slower,
        };
        Self { elapsed, told, pace, until: elapsed.saturating_add(away.saturating_mul(SLEW_DIVISOR)) }
    }
}

impl SystemClock {
    /// Anchors the wall clock to the monotonic clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clocks")]
    pub fn new() -> Self {
        let line = Line { elapsed: 0, told: wall_micros(), pace: Pace::Even, until: 0 };
        Self { started: std::time::Instant::now(), line: ArcSwap::from_pointee(line) }
    }

    fn follow(&self, wall: u64, elapsed: u64) -> Option<ClockJump> {
        let line = **self.line.load();
        let told = line.at(elapsed);
        self.line.store(Arc::new(line.following(wall, elapsed)));
        let jump = ClockJump { told: Timestamp::from_micros(told), wall: Timestamp::from_micros(wall) };
        (wall.abs_diff(told) > JUMP_MICROS).then_some(jump)
    }

    fn elapsed_micros(&self, now: std::time::Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn read(&self) -> (Timestamp, Stopwatch) {
        let stopwatch = Stopwatch::start();
        let told = self.line.load().at(self.elapsed_micros(stopwatch.0));
        (Timestamp::from_micros(told), stopwatch)
    }

    fn follow_wall_clock(&self) -> Option<ClockJump> {
        self.follow(wall_micros(), self.elapsed_micros(Stopwatch::start().0))
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
    fn read(&self) -> (Timestamp, Stopwatch) {
        (Timestamp::from_micros(self.0.load(Ordering::SeqCst)), Stopwatch::start())
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
    fn a_difference_is_made_up_by_an_eighth_and_never_overshoots() {
        let even = Line { elapsed: 0, told: 1_000_000_000, pace: Pace::Even, until: 0 };
        let second = 1_000_000;
        let faster = even.following(even.at(second) + 250_000, second);
        assert_eq!(faster.at(2 * second) - faster.at(second), 1_125_000);
        assert_eq!(faster.at(10 * second), even.at(10 * second) + 250_000);
        let slower = even.following(even.at(second) - 250_000, second);
        assert_eq!(slower.at(2 * second) - slower.at(second), 875_000);
        assert_eq!(slower.at(10 * second), even.at(10 * second) - 250_000);
    }

    #[test]
    fn following_never_goes_back() {
        let mut line = Line { elapsed: 0, told: 1_000_000_000, pace: Pace::Even, until: 0 };
        let mut last = 0;
        for step in 1..1_000 {
            let elapsed = step * 1_000;
            let wall = if step % 3 == 0 { 1_000_000_000 } else { 1_010_000_000 };
            line = line.following(wall, elapsed);
            let told = line.at(elapsed + 999);
            assert!(told >= last && line.at(elapsed) >= last);
            last = told;
        }
    }

    #[test]
    fn a_year_is_reported_but_not_followed() {
        let clock = SystemClock::new();
        let told = clock.line.load().at(0);
        assert!(clock.follow(told + 366 * 86_400_000_000, 0).is_some());
        assert_eq!(clock.line.load().at(1_000_000), told + 1_000_000);
        assert_eq!(clock.follow(told + 1_000_000, 1_000_000), None);
    }

    #[test]
    fn timestamps_saturate() {
        assert_eq!(Timestamp::from_micros(5).micros_since(Timestamp::from_micros(9)), 0);
        assert_eq!(Timestamp::from_millis(u64::MAX).as_micros(), u64::MAX);
        assert_eq!(Timestamp::MAX.plus_micros(u64::MAX).as_micros(), u64::MAX);
    }
}

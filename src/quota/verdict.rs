//! What a rule answers: one limit's look, and the verdict over all limits of a take.

/// What one limit says of spending an amount at a time; looking changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whole units that could be taken now.
    pub available: u64,
    /// When the amount could be taken, if nobody else takes.
    pub retry: Retry,
    /// Microseconds until the limit is as fresh; `u64::MAX`: never.
    pub reset_micros: u64,
    /// What counts as used now; more than the maximum after a forced charge or a lowered maximum.
    pub used: u64,
}

impl Look {
    /// The reset as replies tell it: milliseconds rounded up, -1 never.
    #[must_use]
    pub const fn reset_as_reply_ms(&self) -> i64 {
        reset_ms(self.reset_micros)
    }
}

/// When an amount could be taken, exact: a microsecond earlier it is denied, at that time it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retry {
    /// At once.
    Now,
    /// After so many microseconds, at least 1.
    AfterMicros(u64),
    /// The amount is more than the limit ever allows, or a total is used up.
    Never,
}

impl Retry {
    /// As replies tell it: 0 now, -1 never, else milliseconds rounded up.
    #[must_use]
    pub const fn as_reply_ms(self) -> i64 {
        match self {
            Self::Now => 0,
            Self::Never => -1,
            Self::AfterMicros(micros) => reply_ms(micros),
        }
    }

    /// From the time when it is possible; `None`: never.
    pub(super) fn until(time: u64, now: u64) -> Self {
        Self::AfterMicros(time.saturating_sub(now).max(1))
    }
}

/// Microseconds as milliseconds rounded up. A 64-bit number of microseconds has 54 bits of milliseconds.
const fn reply_ms(micros: u64) -> i64 {
    micros.div_ceil(1_000).cast_signed()
}

/// What became of a take; the numbers are what replies tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing was charged.
    Denied = 0,
    /// What was asked for was charged.
    Allowed = 1,
    /// ATMOST granted less than was asked for, or FORCE went over a limit.
    Otherwise = 2,
}

impl Status {
    /// The number replies tell.
    #[must_use]
    pub const fn as_reply(self) -> i64 {
        match self {
            Self::Denied => 0,
            Self::Allowed => 1,
            Self::Otherwise => 2,
        }
    }
}

/// Remarks on a verdict, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerdictFlags(u8);

impl VerdictFlags {
    /// Nothing to remark.
    pub const NONE: Self = Self(0);
    /// Less than was asked for was granted.
    pub const PARTIAL: Self = Self(1);
    /// A limit was exceeded by force.
    pub const OVER: Self = Self(2);
    /// Nothing was charged, because that was asked for or the amount was 0.
    pub const PEEK: Self = Self(4);

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every remark of `other` is here.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The answer to a take over one or several limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What became of it.
    pub status: Status,
    /// How much was granted, in the unit of the limit that decided; a peek tells what would be.
    pub granted: u64,
    /// What the limit that decided has left after the take.
    pub remaining: u64,
    /// When the same take could be allowed; `Now` unless it was denied.
    pub retry: Retry,
    /// Microseconds until the limit that decided is as fresh, after the take; `u64::MAX`: never.
    pub reset_micros: u64,
    /// Which of the limits decided. When denied, the one that takes longest; when allowed, the one with the smallest
    /// share left; when forced over, the first of those exceeded by the smallest share left. Ties: the first.
    pub decided_by: usize,
    /// Remarks.
    pub flags: VerdictFlags,
}

impl Verdict {
    /// The reset as replies tell it: milliseconds rounded up, -1 never.
    #[must_use]
    pub const fn reset_as_reply_ms(&self) -> i64 {
        reset_ms(self.reset_micros)
    }
}

const fn reset_ms(micros: u64) -> i64 {
    if micros == u64::MAX { -1 } else { reply_ms(micros) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_round_up_to_milliseconds() {
        let check = |retry: Retry, expected: i64| assert_eq!(retry.as_reply_ms(), expected);
        check(Retry::Now, 0);
        check(Retry::AfterMicros(1), 1);
        check(Retry::AfterMicros(1_000), 1);
        check(Retry::AfterMicros(1_001), 2);
        check(Retry::AfterMicros(u64::MAX), 18_446_744_073_709_552);
        check(Retry::Never, -1);
    }

    #[test]
    fn never_is_the_longest_retry() {
        assert!(Retry::Now < Retry::AfterMicros(1));
        assert!(Retry::AfterMicros(1) < Retry::AfterMicros(2));
        assert!(Retry::AfterMicros(u64::MAX) < Retry::Never);
    }

    #[test]
    fn flags_are_bits() {
        let flags = VerdictFlags::PARTIAL.with(VerdictFlags::PEEK);
        assert_eq!(flags.bits(), 5);
        assert!(flags.has(VerdictFlags::PEEK) && !flags.has(VerdictFlags::OVER));
    }
}

//! What identifies the place where a limit's use is kept.

use super::anchor::Anchor;
use super::calendar::CalendarPeriod;
use super::period::Period;
use super::unit::Unit;
use super::zone::Zone;

/// The kind of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RATE.
    Rate,
    /// WINDOW FIXED.
    FixedWindow,
    /// WINDOW SLIDING.
    SlidingWindow,
    /// WINDOW LOG.
    LogWindow,
    /// BUDGET.
    Budget,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Rate, Self::FixedWindow, Self::SlidingWindow, Self::LogWindow, Self::Budget];

    /// The name in limits' names and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::FixedWindow => "fixed",
            Self::SlidingWindow => "sliding",
            Self::LogWindow => "log",
            Self::Budget => "budget",
        }
    }
}

/// Unit, kind, period, zone and anchor; not the maximum, count or burst, so that a changed maximum keeps what was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotKey {
    pub(super) unit: Unit,
    pub(super) kind: Kind,
    pub(super) length: Length,
}

/// The period of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Length {
    Fixed(Period),
    Calendar(CalendarPeriod, Zone, Anchor),
}

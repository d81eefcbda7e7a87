//! The name of a limit, as verdicts tell it.

use std::fmt;

use super::anchor::Anchor;
use super::calendar::CalendarPeriod;
use super::slot::{Length, SlotKey};
use super::zone::Zone;

/// Displays as `unit:kind:period`, and for a budget the zone unless it is UTC without an anchor, and the anchor:
/// `requests:rate:1m`, `requests:budget:day`, `usd_micro:budget:month:Europe/Berlin@15`. Unique per slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitName(pub(super) SlotKey);

impl fmt::Display for LimitName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SlotKey { unit, kind, length } = &self.0;
        write!(formatter, "{unit}:{}:", kind.name())?;
        match length {
            Length::Fixed(period) => write!(formatter, "{period}"),
            Length::Calendar(period, zone, anchor) => calendar(formatter, *period, *zone, *anchor),
        }
    }
}

fn calendar(
    formatter: &mut fmt::Formatter<'_>,
    period: CalendarPeriod,
    zone: Zone,
    anchor: Anchor,
) -> fmt::Result {
    write!(formatter, "{period}")?;
    if (zone, anchor) != (Zone::UTC, Anchor::NONE) {
        write!(formatter, ":{zone}")?;
    }
    if anchor != Anchor::NONE {
        write!(formatter, "@{anchor}")?;
    }
    Ok(())
}

//! The name of a limit, as verdicts tell it.

use std::fmt;

use super::anchor::Anchor;
use super::calendar::CalendarPeriod;
use super::limit::Limit;
use super::rule::Rule;
use super::slot::{Kind, Length, SlotKey};
use super::unit::Unit;
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

impl Limit {
    /// The budget whose [`name`](Self::name) this is, with the maximum that no name tells; `None`: no budget has this name.
    #[must_use]
    pub fn of_budget_named(name: &str, maximum: u64) -> Option<Self> {
        let mut words = name.splitn(4, ':');
        let unit = Unit::parse(words.next()?.as_bytes()).ok()?;
        if words.next()? != Kind::Budget.name() {
            return None;
        }
        let period = CalendarPeriod::parse(words.next()?.as_bytes())?;
        let (zone, anchor) = match words.next() {
            None => (Zone::UTC, Anchor::NONE),
            Some(rest) => {
                let (zone, anchor) = rest.split_once('@').unwrap_or((rest, "0"));
                (
                    Zone::parse(zone.as_bytes()).ok()?,
                    Anchor::new(period, super::number::parse(anchor.as_bytes())?).ok()?,
                )
            }
        };
        let limit = Self { unit, rule: Rule::budget(maximum, period, zone, anchor).ok()? };
        // A name has one form.
        (limit.name().to_string() == name).then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::limits;

    #[test]
    fn a_budget_is_found_by_its_name() {
        for words in [
            "BUDGET 9 PER DAY",
            "BUDGET 9 PER TOTAL UNIT tokens",
            "BUDGET 9 PER MONTH TZ Europe/Berlin ANCHOR 15 UNIT usd_micro",
            "BUDGET 9 PER HOUR TZ +05:30",
            "BUDGET 9 PER WEEK ANCHOR 7",
            "BUDGET 9 PER YEAR TZ America/Argentina/Buenos_Aires ANCHOR 0229",
        ] {
            let (limits, _) = limits(words.split(' ').map(str::as_bytes)).unwrap();
            let limit = *limits.first().unwrap();
            let name = limit.name().to_string();
            assert_eq!(Limit::of_budget_named(&name, 9), Some(limit), "{name}");
        }
        for name in [
            "",
            "requests",
            "requests:budget",
            "requests:rate:1m",
            "requests:budget:DAY",
            "requests:budget:day:UTC",
            "requests:budget:month:UTC@1",
            "requests:budget:month@15",
            "requests:budget:month:Mars/Olympus",
            "requests:budget:day:",
            "Requests:budget:day",
        ] {
            assert_eq!(Limit::of_budget_named(name, 9), None, "{name}");
        }
        assert_eq!(Limit::of_budget_named("requests:budget:day", u64::MAX), None, "no budget has so much");
    }
}

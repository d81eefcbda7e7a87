//! The durable form of a limit: all of it, since the numbers that memory gives to limits are those of one process.

use std::fmt::Write;

use super::bytes::{DecodeError, Reader, put_bytes, put_number};
use crate::quota::{Anchor, CalendarPeriod, Limit, Period, Rule, Unit, Zone};

/// The kinds, as they are numbered for good.
mod kind {
    pub(super) const RATE: u8 = 1;
    pub(super) const FIXED_WINDOW: u8 = 2;
    pub(super) const SLIDING_WINDOW: u8 = 3;
    pub(super) const LOG_WINDOW: u8 = 4;
    pub(super) const BUDGET: u8 = 5;
}

/// The calendar periods, as they are numbered for good.
const CALENDAR: [(u8, CalendarPeriod); 6] = [
    (1, CalendarPeriod::Hour),
    (2, CalendarPeriod::Day),
    (3, CalendarPeriod::Week),
    (4, CalendarPeriod::Month),
    (5, CalendarPeriod::Year),
    (6, CalendarPeriod::Total),
];

/// The fewest bytes of a limit: a unit of one letter, the kind, a maximum and a period of one byte each.
pub(super) const LEAST_LIMIT_BYTES: usize = 5;

/// Appends a limit: its unit, kind, numbers, and its period, a budget's with zone and anchor.
pub(crate) fn put_limit(out: &mut Vec<u8>, limit: &Limit) {
    put_bytes(out, limit.unit.as_str().as_bytes());
    match &limit.rule {
        Rule::Rate(rate) => {
            out.push(kind::RATE);
            put_number(out, rate.count());
            put_number(out, rate.burst());
            put_number(out, rate.period().as_micros());
        }
        Rule::FixedWindow(window) => put_window(out, kind::FIXED_WINDOW, window.maximum(), window.period()),
        Rule::SlidingWindow(window) => {
            put_window(out, kind::SLIDING_WINDOW, window.maximum(), window.period());
        }
        Rule::LogWindow(window) => put_window(out, kind::LOG_WINDOW, window.maximum(), window.period()),
        Rule::Budget(budget) => {
            out.push(kind::BUDGET);
            put_number(out, budget.maximum());
            let number = CALENDAR.iter().find(|(_, period)| *period == budget.period());
            out.push(number.expect("every period is in the table").0);
            put_zone(out, budget.zone());
            put_number(out, u64::from(budget.anchor().number()));
        }
    }
}

fn put_window(out: &mut Vec<u8>, kind: u8, maximum: u64, period: Period) {
    out.push(kind);
    put_number(out, maximum);
    put_number(out, period.as_micros());
}

/// The name of a zone, since its number is one process's; nothing for UTC.
fn put_zone(out: &mut Vec<u8>, zone: Zone) {
    let mut name = String::new();
    if zone != Zone::UTC {
        write!(name, "{zone}").expect("a string takes all that is written");
    }
    put_bytes(out, name.as_bytes());
}

/// Reads what [`put_limit`] wrote, and nothing else.
pub(crate) fn limit(reader: &mut Reader<'_>) -> Result<Limit, DecodeError> {
    let unit = Unit::parse(reader.bytes("unit")?).map_err(|error| DecodeError::refused("unit", error))?;
    let kind = reader.byte("kind of limit")?;
    let maximum = reader.number("maximum")?;
    let rule = match kind {
        kind::RATE => {
            let burst = reader.number("burst")?;
            Rule::rate(maximum, period(reader)?, Some(burst))
        }
        kind::FIXED_WINDOW => Rule::fixed_window(maximum, period(reader)?),
        kind::SLIDING_WINDOW => Rule::sliding_window(maximum, period(reader)?),
        kind::LOG_WINDOW => Rule::log_window(maximum, period(reader)?),
        kind::BUDGET => return Ok(Limit { unit, rule: budget(reader, maximum)? }),
        found => return Err(DecodeError::Unknown { part: "kind of limit", found: found.into() }),
    };
    Ok(Limit { unit, rule: rule.map_err(|error| DecodeError::refused("limit", error))? })
}

fn period(reader: &mut Reader<'_>) -> Result<Period, DecodeError> {
    let micros = reader.number("period")?;
    Period::from_micros(micros)
        .ok_or_else(|| DecodeError::refused("period", format_args!("{micros} us are not within 36525d")))
}

fn budget(reader: &mut Reader<'_>, maximum: u64) -> Result<Rule, DecodeError> {
    let number = reader.byte("calendar period")?;
    let period = CALENDAR.iter().find(|(known, _)| *known == number);
    let unknown = DecodeError::Unknown { part: "calendar period", found: number.into() };
    let (_, period) = *period.ok_or(unknown)?;
    let zone = zone(reader)?;
    let number = reader.number("anchor")?;
    let anchor = Anchor::new(period, number).map_err(|error| DecodeError::refused("anchor", error))?;
    if u64::from(anchor.number()) != number || (period == CalendarPeriod::Total && zone != Zone::UTC) {
        return Err(DecodeError::refused("budget", "its zone and anchor have a shorter form"));
    }
    Rule::budget(maximum, period, zone, anchor).map_err(|error| DecodeError::refused("limit", error))
}

fn zone(reader: &mut Reader<'_>) -> Result<Zone, DecodeError> {
    let name = reader.bytes("time zone")?;
    if name.is_empty() {
        return Ok(Zone::UTC);
    }
    let zone = Zone::parse(name).map_err(|error| DecodeError::refused("time zone", error))?;
    if zone == Zone::UTC || zone.to_string().as_bytes() != name {
        return Err(DecodeError::refused("time zone", format_args!("its name is written {zone}")));
    }
    Ok(zone)
}

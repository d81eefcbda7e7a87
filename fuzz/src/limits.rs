//! Draws limits of any kind from an input, each with its naive twin where there is one.

use quotad::quota::{Anchor, CalendarPeriod, MAX_AMOUNT, Period, Rule, Zone};

use crate::bytes::Bytes;
use crate::model::{Calendar, Model};

/// Zones whose offset never changes, with it in minutes: what the model can tell without a calendar of its own.
const FIXED_ZONES: [(&str, i64); 3] = [("UTC", 0), ("+05:30", 330), ("-09:30", -570)];

/// Zones with daylight saving, odd offsets and skipped days.
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kathmandu",
];

/// A rule, and what it should do.
pub struct Drawn {
    /// The rule.
    pub rule: Rule,
    /// Its naive twin; calendars with an anchor or a changing offset have none.
    pub model: Option<Model>,
}

/// A number whose size the input chooses: small ones, the edges, or any up to `MAX_AMOUNT`.
pub fn amount(bytes: &mut Bytes<'_>) -> u64 {
    match bytes.byte() {
        small @ 0..=159 => u64::from(small % 32),
        160..=199 => u64::from(bytes.byte()) << 8 | u64::from(bytes.byte()),
        200..=219 => bytes.number() >> (1 + bytes.byte() % 63),
        220..=229 => MAX_AMOUNT,
        230..=239 => MAX_AMOUNT - 1,
        240..=247 => 1 << (bytes.byte() % 63),
        _ => bytes.number() & MAX_AMOUNT,
    }
}

/// A period whose size the input chooses.
pub fn period(bytes: &mut Bytes<'_>) -> Period {
    let micros = match bytes.byte() % 8 {
        0 => 1 + u64::from(bytes.byte() % 50),
        1 => 1_000 * (1 + u64::from(bytes.byte())),
        2 => 1_000_000 * (1 + u64::from(bytes.byte())),
        3 => 60_000_000,
        4 => 86_400_000_000 * (1 + u64::from(bytes.byte())),
        5 => 1 << (bytes.byte() % 52),
        6 => Period::MAX.as_micros(),
        _ => bytes.number() % Period::MAX.as_micros(),
    };
    Period::from_micros(micros.clamp(1, Period::MAX.as_micros())).expect("it was brought into the range")
}

/// A limit; `None` for numbers that make none.
pub fn limit(bytes: &mut Bytes<'_>) -> Option<Drawn> {
    let kind = bytes.byte() % 8;
    let maximum = amount(bytes);
    if kind >= 6 {
        return budget(bytes, kind == 6, maximum);
    }
    let period = period(bytes);
    let micros = i128::from(period.as_micros());
    let (rule, model) = match kind {
        0 | 1 => {
            let burst = if kind == 0 { None } else { Some(amount(bytes)) };
            let rule = Rule::rate(maximum, period, burst).ok()?;
            (rule, Model::rate(maximum, micros, burst.unwrap_or(maximum)))
        }
        2 => (Rule::fixed_window(maximum, period).ok()?, Model::fixed(maximum, micros)),
        3 | 4 => (Rule::sliding_window(maximum, period).ok()?, Model::sliding(maximum, micros)),
        _ => (Rule::log_window(maximum, period).ok()?, Model::log(maximum, micros)),
    };
    Some(Drawn { rule, model: Some(model) })
}

fn budget(bytes: &mut Bytes<'_>, plain: bool, maximum: u64) -> Option<Drawn> {
    let which = usize::from(bytes.byte());
    let period = CalendarPeriod::ALL[which % CalendarPeriod::ALL.len()];
    if plain {
        let (name, offset_minutes) = FIXED_ZONES[usize::from(bytes.byte()) % FIXED_ZONES.len()];
        let zone = Zone::parse(name.as_bytes()).expect("the zone exists");
        let rule = Rule::budget(maximum, period, zone, Anchor::NONE).ok()?;
        let calendar = Calendar { period, offset_minutes };
        return Some(Drawn { rule, model: Some(Model::budget(maximum, calendar)) });
    }
    let zone = ZONES[usize::from(bytes.byte()) % ZONES.len()];
    let zone = Zone::parse(zone.as_bytes()).expect("the zone exists");
    let anchor = Anchor::new(period, u64::from(bytes.byte()) << 8 | u64::from(bytes.byte()))
        .or_else(|_| Anchor::new(period, u64::from(bytes.byte() % 32)))
        .unwrap_or(Anchor::NONE);
    Some(Drawn { rule: Rule::budget(maximum, period, zone, anchor).ok()?, model: None })
}

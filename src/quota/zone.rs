//! Time zones, by the database that is built in.

use std::fmt;
use std::sync::OnceLock;

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

/// The farthest a fixed offset may be from UTC, in minutes. The farthest ever in use was under 16 hours; 18 is what
/// ISO 8601 libraries allow.
const MAX_OFFSET_MINUTES: i16 = 18 * 60;

/// A time zone as a small number: a name of the built-in database, or a fixed offset. `UTC` where none is named.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Handle);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Handle {
    /// Minutes east of UTC.
    Fixed(i16),
    /// The place in [`named`].
    Named(u16),
}

/// Why bytes are no time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError {
    given: String,
}

struct Named {
    name: String,
    /// Read from the database on first use.
    rules: OnceLock<TimeZone>,
}

fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

/// Every zone of the built-in database, sorted by name without regard to case. Never changed once it is built, so that
/// a zone is a number and looking it up takes no lock.
fn named() -> &'static [Named] {
    static NAMED: OnceLock<Vec<Named>> = OnceLock::new();
    NAMED.get_or_init(|| {
        let names = database().available().map(|name| name.as_str().to_owned());
        let mut zones: Vec<Named> = names.map(|name| Named { name, rules: OnceLock::new() }).collect();
        zones.sort_by_key(|zone| zone.name.to_ascii_lowercase());
        zones
    })
}

fn small_letters(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    text.iter().map(u8::to_ascii_lowercase)
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Handle::Fixed(0));

    /// Reads a name of the IANA database in any case, as `Europe/Berlin`, or a fixed offset, as `+05:30`.
    ///
    /// # Errors
    /// [`ZoneError`] for an unknown name or an offset over 18 hours.
    pub fn parse(text: &[u8]) -> Result<Self, ZoneError> {
        if text.eq_ignore_ascii_case(b"utc") || text.eq_ignore_ascii_case(b"z") {
            return Ok(Self::UTC);
        }
        let found = match text {
            [b'+' | b'-', ..] => fixed(text),
            _ => find(text),
        };
        found.map(Self).ok_or_else(|| ZoneError { given: super::error::shown(text) })
    }

    pub(super) fn time_zone(self) -> ZoneRules {
        match self.0 {
            Handle::Fixed(minutes) => {
                let offset = Offset::from_seconds(i32::from(minutes) * 60);
                ZoneRules::Fixed(TimeZone::fixed(offset.expect("at most 18 hours")))
            }
            Handle::Named(place) => {
                let Named { name, rules } = &named()[usize::from(place)];
                let read = || database().get(name).expect("the database listed this name");
                ZoneRules::Named(rules.get_or_init(read))
            }
        }
    }
}

/// The rules of a zone, borrowed where they are long.
pub(super) enum ZoneRules {
    Fixed(TimeZone),
    Named(&'static TimeZone),
}

impl std::ops::Deref for ZoneRules {
    type Target = TimeZone;

    fn deref(&self) -> &TimeZone {
        match self {
            Self::Fixed(time_zone) => time_zone,
            Self::Named(time_zone) => time_zone,
        }
    }
}

fn find(text: &[u8]) -> Option<Handle> {
    let compare = |zone: &Named| small_letters(zone.name.as_bytes()).cmp(small_letters(text));
    let place = named().binary_search_by(compare).ok()?;
    u16::try_from(place).ok().map(Handle::Named)
}

/// `+HH:MM`, `-HH:MM`, `+HHMM` or `+HH`.
fn fixed(text: &[u8]) -> Option<Handle> {
    let (hours, minutes) = match &text[1..] {
        [a, b] => ([*a, *b], *b"00"),
        [a, b, c, d] | [a, b, b':', c, d] => ([*a, *b], [*c, *d]),
        _ => return None,
    };
    let hours = i16::try_from(super::number::parse(&hours)?).ok()?;
    let minutes = i16::try_from(super::number::parse(&minutes)?).ok()?;
    let offset = hours * 60 + minutes;
    if minutes > 59 || offset > MAX_OFFSET_MINUTES {
        return None;
    }
    Some(Handle::Fixed(if text[0] == b'-' { -offset } else { offset }))
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Handle::Fixed(0) => formatter.write_str("UTC"),
            Handle::Fixed(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.unsigned_abs();
                write!(formatter, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Handle::Named(place) => formatter.write_str(&named()[usize::from(place)].name),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for ZoneError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = &self.given;
        write!(
            formatter,
            "time zone '{given}' must be a name as Europe/Berlin, UTC, or an offset as +05:30 up to 18:00"
        )
    }
}

impl std::error::Error for ZoneError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_come_back_by_their_name() {
        let check = |text: &str, expected: &str| {
            let zone = Zone::parse(text.as_bytes()).unwrap();
            assert_eq!(zone.to_string(), expected);
            assert_eq!(Zone::parse(expected.as_bytes()).unwrap(), zone);
        };
        check("UTC", "UTC");
        check("z", "UTC");
        check("+00:00", "UTC");
        check("-0000", "UTC");
        check("europe/BERLIN", "Europe/Berlin");
        check("America/New_York", "America/New_York");
        check("Australia/Lord_Howe", "Australia/Lord_Howe");
        check("+05:30", "+05:30");
        check("+0545", "+05:45");
        check("-11", "-11:00");
        check("+18:00", "+18:00");
    }

    #[test]
    fn every_built_in_zone_is_found() {
        assert!(named().len() > 400);
        for (place, zone) in named().iter().enumerate() {
            if !zone.name.eq_ignore_ascii_case("utc") {
                assert_eq!(
                    find(zone.name.as_bytes()),
                    u16::try_from(place).ok().map(Handle::Named),
                    "{}",
                    zone.name
                );
            }
        }
    }

    #[test]
    fn other_zones_are_refused() {
        for text in [
            "",
            "Mars/Olympus",
            "+",
            "+5",
            "+5:30",
            "+19:00",
            "+18:01",
            "+05:60",
            "+ab:cd",
            "+05:3",
            "../etc",
        ] {
            let error = Zone::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        assert!(Zone::parse(b"\xff\xfe").is_err());
    }
}

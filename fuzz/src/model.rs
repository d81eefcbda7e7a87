//! A naive model of one limit: lists of what was charged and exact fractions, no packed state.

use std::collections::BTreeMap;

use quotad::quota::CalendarPeriod;

/// Microseconds of a day.
const DAY: i128 = 86_400_000_000;

/// The days of year 0 before 1970-01-01.
const DAYS_BEFORE_1970: i128 = 719_468;

/// A calendar period in a zone whose offset never changes.
pub struct Calendar {
    /// The period, without an anchor.
    pub period: CalendarPeriod,
    /// How far the zone is ahead of UTC.
    pub offset_minutes: i64,
}

/// One limit as its definition reads.
pub struct Model {
    maximum: i128,
    kind: Kind,
}

enum Kind {
    /// When the bucket is full again, in `1 / count` us, so that a unit costs `period`.
    Rate {
        count: i128,
        period: i128,
        full_at: i128,
    },
    Aligned {
        windows: Windows,
        used: BTreeMap<i128, i128>,
    },
    /// As aligned windows; the one before weighs what still lies within a period. Sums end at `largest`.
    Sliding {
        period: i128,
        largest: i128,
        used: BTreeMap<i128, i128>,
    },
    /// Times and amounts.
    Log {
        period: i128,
        taken: Vec<(i128, i128)>,
    },
}

enum Windows {
    Period(i128),
    Calendar(Calendar),
}

impl Windows {
    /// The number of the window that `now` lies in; the next one has the next number.
    fn number(&self, now: i128) -> i128 {
        match self {
            Self::Period(period) => now / period,
            Self::Calendar(calendar) => calendar.number(now),
        }
    }
}

impl Calendar {
    fn number(&self, now: i128) -> i128 {
        let local = now + i128::from(self.offset_minutes) * 60_000_000;
        let days = local.div_euclid(DAY);
        match self.period {
            CalendarPeriod::Hour => local.div_euclid(DAY / 24),
            CalendarPeriod::Day => days,
            // The epoch was a Thursday, and weeks begin on Mondays.
            CalendarPeriod::Week => (days + 3).div_euclid(7),
            CalendarPeriod::Month => months(days),
            CalendarPeriod::Year => months(days).div_euclid(12),
            CalendarPeriod::Total => 0,
        }
    }
}

/// Months since year 0, by the arithmetic of a calendar whose years begin in March: leap days come last.
fn months(days: i128) -> i128 {
    let days = days + DAYS_BEFORE_1970;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    (era * 400 + year_of_era) * 12 + month_from_march + 2
}

/// The state that counts now, in the words of the module `quota`.
struct Seen {
    /// What counts as used.
    used: i128,
    /// The state lies further ahead than a clock step inside one period explains.
    ahead: bool,
}

impl Model {
    /// RATE.
    pub fn rate(count: u64, period: i128, burst: u64) -> Self {
        Self::new(burst, Kind::Rate { count: i128::from(count), period, full_at: 0 })
    }

    /// WINDOW FIXED.
    pub fn fixed(maximum: u64, period: i128) -> Self {
        Self::new(maximum, Kind::Aligned { windows: Windows::Period(period), used: BTreeMap::new() })
    }

    /// BUDGET.
    pub fn budget(maximum: u64, calendar: Calendar) -> Self {
        Self::new(maximum, Kind::Aligned { windows: Windows::Calendar(calendar), used: BTreeMap::new() })
    }

    /// WINDOW SLIDING. Amounts share 128 bits with the window's number, of which no more than 48 are theirs.
    pub fn sliding(maximum: u64, period: i128) -> Self {
        let number_bits = 52_u32.saturating_sub(period.ilog2());
        let largest = (1_i128 << ((128 - number_bits) / 2).min(48)) - 1;
        Self::new(maximum, Kind::Sliding { period, largest, used: BTreeMap::new() })
    }

    /// WINDOW LOG.
    pub fn log(maximum: u64, period: i128) -> Self {
        Self::new(maximum, Kind::Log { period, taken: Vec::new() })
    }

    fn new(maximum: u64, kind: Kind) -> Self {
        Self { maximum: i128::from(maximum), kind }
    }

    /// Whole units that could be taken at `now`.
    pub fn available(&self, now: i128) -> i128 {
        let Seen { used, ahead } = self.seen(now);
        if ahead { 0 } else { (self.maximum - used).max(0) }
    }

    /// What counts as used at `now`.
    pub fn used(&self, now: i128) -> i128 {
        self.seen(now).used
    }

    /// Whether the state lies so far ahead that the clock must have been wrong.
    pub fn is_ahead(&self, now: i128) -> bool {
        self.seen(now).ahead
    }

    fn seen(&self, now: i128) -> Seen {
        match &self.kind {
            Kind::Rate { count, period, full_at } => {
                let lacking = (full_at - now * count).max(0);
                Seen {
                    used: div_up(lacking.min(self.maximum * period), *period),
                    // A step back of up to a period leaves more lacking than there is, and is kept.
                    ahead: lacking > (self.maximum + count) * period,
                }
            }
            Kind::Aligned { windows, used } => {
                let current = windows.number(now);
                self.seen_in(used, current, |latest| sum(used, latest.max(current)))
            }
            Kind::Sliding { period, used, .. } => {
                let current = now / period;
                self.seen_in(used, current, |latest| {
                    let number = latest.max(current);
                    let left = period - (now - number * period).max(0);
                    sum(used, number) + div_up(sum(used, number - 1) * left, *period)
                })
            }
            Kind::Log { period, taken } => {
                let ahead = taken.last().is_some_and(|(time, _)| time - now > *period);
                let live = taken.iter().filter(|(time, _)| time + period > now);
                // Something was taken, also of a maximum of 0.
                let used = if ahead { self.maximum.max(1) } else { live.map(|(_, amount)| amount).sum() };
                Seen { used, ahead }
            }
        }
    }

    /// A window that is the next already goes on; one behind that is used up now.
    fn seen_in(&self, used: &BTreeMap<i128, i128>, current: i128, count: impl FnOnce(i128) -> i128) -> Seen {
        let latest = used.keys().next_back().copied().unwrap_or(current);
        let ahead = latest > current + 1;
        Seen { used: if ahead { sum(used, latest).max(self.maximum) } else { count(latest) }, ahead }
    }

    /// A state too far ahead becomes one that is used up now.
    pub fn settle(&mut self, now: i128) {
        let Seen { used: counted, ahead } = self.seen(now);
        if !ahead {
            return;
        }
        match &mut self.kind {
            Kind::Rate { count, period, full_at } => *full_at = now * *count + self.maximum * *period,
            Kind::Aligned { windows, used } => *used = BTreeMap::from([(windows.number(now), counted)]),
            Kind::Sliding { period, used, .. } => *used = BTreeMap::from([(now / *period, counted)]),
            Kind::Log { taken, .. } => *taken = vec![(now, counted)],
        }
    }

    /// Charges `amount` without asking.
    pub fn charge(&mut self, amount: i128, now: i128) {
        if amount == 0 {
            return;
        }
        self.settle(now);
        let most = i128::from(u64::MAX);
        match &mut self.kind {
            Kind::Rate { count, period, full_at } => {
                let lacking = (*full_at - now * *count).max(0);
                let charged = lacking + amount.min(self.maximum) * *period;
                *full_at = now * *count + charged.min(self.maximum * *period).max(lacking);
            }
            Kind::Aligned { windows, used } => add(used, windows.number(now), amount, most),
            Kind::Sliding { period, largest, used } => add(used, now / *period, amount, *largest),
            Kind::Log { period, taken } => {
                taken.retain(|(time, _)| time + *period > now);
                let before: i128 = taken.iter().map(|(_, amount)| amount).sum();
                let amount = amount.min(most - before);
                match taken.last_mut() {
                    // What the sum cannot count makes the last take count longer.
                    Some(last) if amount == 0 || last.0 >= now => *last = (last.0.max(now), last.1 + amount),
                    _ => taken.push((now, amount)),
                }
            }
        }
    }
}

fn sum(used: &BTreeMap<i128, i128>, window: i128) -> i128 {
    used.get(&window).copied().unwrap_or(0)
}

/// Adds to the window of now, or to a later one that goes on.
fn add(used: &mut BTreeMap<i128, i128>, current: i128, amount: i128, most: i128) {
    let number = used.keys().next_back().map_or(current, |latest| current.max(*latest));
    let window = used.entry(number).or_default();
    *window = (*window + amount).min(most);
}

fn div_up(a: i128, b: i128) -> i128 {
    a / b + i128::from(a % b > 0)
}

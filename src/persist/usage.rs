//! The readable form of a quota: what people bill and report from with SQL.

use std::fmt::Write;

use crate::clock::Timestamp;
use crate::engine::value::Content;
use crate::quota::{Limit, Rule, SpanCache, State};

/// About how many bytes a slot's JSON has: a name, two times, two amounts.
const SLOT_JSON_BYTES: usize = 96;

/// 9999-12-31T23:59:59Z in microseconds: the last time every database can tell. Later ones are told as this.
const LATEST_READABLE_MICROS: u64 = 253_402_300_799_000_000;

/// What one limit of a subject says of itself.
///
/// A calendar period or fixed window that has ended by the time asked for is told as it ended: nothing has been used since, and
/// the figure that a report wants is not lost when a period ends between the last take and the cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotUsage {
    /// The limit; its name begins with its unit and kind.
    pub limit: Limit,
    /// When the calendar period or window began, which for a log is one period before the time asked for; a rate has none.
    pub period_start: Option<Timestamp>,
    /// Units used; of a rate what its bucket lacks.
    pub used: u64,
    /// The most that can be available at once.
    pub maximum: u64,
    /// When the limit is as fresh; `None`: never.
    pub resets_at: Option<Timestamp>,
    /// Year and month in which a budget's period began, in the budget's own zone; a total has none.
    pub month: Option<(i16, i8)>,
}

/// The limits of a quota as they are at `now`; empty for other values.
#[must_use]
pub fn usage_of(content: &Content, now: Timestamp, cache: &mut SpanCache) -> Vec<SlotUsage> {
    match content {
        Content::Integer(_) | Content::Text(_) | Content::Throttle(_) => Vec::new(),
        Content::Quota(limit, word) => vec![slot_usage(limit, &State::Word(*word), now, cache)],
        Content::Quotas(slots) => {
            slots.as_slice().iter().map(|slot| slot_usage(&slot.limit, &slot.state, now, cache)).collect()
        }
    }
}

fn slot_usage(limit: &Limit, state: &State, now: Timestamp, cache: &mut SpanCache) -> SlotUsage {
    let rule = &limit.rule;
    let at = time_to_tell(rule, state, now, cache);
    let look = rule.look(state, 0, at, cache);
    let resets_at = (look.reset_micros != u64::MAX).then(|| at.plus_micros(look.reset_micros));
    // The last microsecond of the period that counts: not `at` where a clock stepped back over the period's beginning.
    let inside = match resets_at {
        Some(end) if look.used > 0 => Timestamp::from_micros(end.as_micros().saturating_sub(1)),
        _ => at,
    };
    let mut month = None;
    let period_start = match rule {
        Rule::Rate(_) => None,
        Rule::FixedWindow(window) => Some(aligned(inside, window.period().as_micros())),
        Rule::SlidingWindow(window) => Some(aligned(at, window.period().as_micros())),
        Rule::LogWindow(window) => {
            Some(Timestamp::from_micros(at.as_micros().saturating_sub(window.period().as_micros())))
        }
        Rule::Budget(budget) => {
            let span = cache.span(budget.period(), budget.zone(), budget.anchor(), inside);
            month = budget.month_of(span.start);
            Some(span.start)
        }
    };
    SlotUsage { limit: *limit, period_start, used: look.used, maximum: limit.maximum(), resets_at, month }
}

/// `now`, or the end of the period that a budget or fixed window is about, where that has passed.
fn time_to_tell(rule: &Rule, state: &State, now: Timestamp, cache: &mut SpanCache) -> Timestamp {
    if !matches!(rule, Rule::FixedWindow(_) | Rule::Budget(_)) {
        return now;
    }
    match rule.fresh_at(state, cache) {
        Some(end) if end > Timestamp::EPOCH && end <= now => Timestamp::from_micros(end.as_micros() - 1),
        _ => now,
    }
}

fn aligned(time: Timestamp, period_micros: u64) -> Timestamp {
    Timestamp::from_micros(time.as_micros() / period_micros * period_micros)
}

/// Microseconds since the epoch as databases tell them.
pub(super) fn readable_micros(time: Timestamp) -> u64 {
    time.as_micros().min(LATEST_READABLE_MICROS)
}

/// An amount as databases tell it: signed 64 bits. More than that can only be forced.
pub(super) fn readable_amount(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// `YYYY-MM`.
pub(super) fn month_name(month: (i16, i8)) -> String {
    let mut name = String::new();
    put_month(&mut name, month);
    name
}

/// The slots as JSON: an array of `[limit name, period start, used, maximum, resets at, month]`, times in microseconds; arrays,
/// since the names of fields would be half of every row. The views of the migrations name the parts.
pub(super) fn to_json(slots: &[SlotUsage]) -> String {
    // A name is of letters, digits and `:/_.-+@`: nothing in it needs an escape.
    let mut json = String::with_capacity(SLOT_JSON_BYTES * slots.len() + 2);
    json.push('[');
    for (at, slot) in slots.iter().enumerate() {
        json.push_str(if at == 0 { "[\"" } else { ",[\"" });
        write!(json, "{}", slot.limit.name()).expect("a string takes all that is written");
        json.push_str("\",");
        put_time(&mut json, slot.period_start);
        for amount in [slot.used, slot.maximum] {
            json.push(',');
            json.push_str(itoa::Buffer::new().format(readable_amount(amount)));
        }
        json.push(',');
        put_time(&mut json, slot.resets_at);
        match slot.month {
            None => json.push_str(",null]"),
            Some(month) => {
                json.push_str(",\"");
                put_month(&mut json, month);
                json.push_str("\"]");
            }
        }
    }
    json.push(']');
    json
}

fn put_time(json: &mut String, time: Option<Timestamp>) {
    match time {
        None => json.push_str("null"),
        Some(time) => json.push_str(itoa::Buffer::new().format(readable_micros(time))),
    }
}

fn put_month(json: &mut String, (year, month): (i16, i8)) {
    write!(json, "{year:04}-{month:02}").expect("a string takes all that is written");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::value::{QuotaSlot, QuotaSlots};
    use crate::persist::strategy::content;

    /// 2026-11-15T12:00:00Z.
    const NOON: Timestamp = Timestamp::from_millis(1_794_744_000_000);

    const DAY_MICROS: u64 = 86_400_000_000;

    fn limit(words: &str) -> Limit {
        let (limits, _) = crate::quota::limits(words.split(' ').map(str::as_bytes)).unwrap();
        *limits.first().unwrap()
    }

    /// Charges at noon, asks later; the JSON of the one slot.
    fn check(words: &str, charged: u64, later_micros: u64, expected: &str) {
        let limit = limit(words);
        let cache = &mut SpanCache::new();
        let mut state = limit.rule.fresh();
        limit.rule.charge(&mut state, charged, NOON, cache);
        let mut slots = QuotaSlots::default();
        slots.push(QuotaSlot::new(limit, state));
        let usage = usage_of(&Content::Quotas(slots), NOON.plus_micros(later_micros), cache);
        assert_eq!(to_json(&usage), format!("[{expected}]"));
    }

    #[test]
    fn each_kind_tells_its_use() {
        check("RATE 10 PER 10s", 4, 1_000_000, r#"["requests:rate:10s",null,3,10,1794744004000000,null]"#);
        check(
            "WINDOW 10 PER 1m FIXED UNIT tokens",
            4,
            1,
            r#"["tokens:fixed:1m",1794744000000000,4,10,1794744060000000,null]"#,
        );
        check(
            "WINDOW 10 PER 1m SLIDING",
            4,
            1,
            r#"["requests:sliding:1m",1794744000000000,4,10,1794744120000000,null]"#,
        );
        check(
            "WINDOW 10 PER 1m LOG",
            4,
            1,
            r#"["requests:log:1m",1794743940000001,4,10,1794744060000000,null]"#,
        );
        check("BUDGET 9 PER TOTAL", 4, 1, r#"["requests:budget:total",0,4,9,null,null]"#);
    }

    #[test]
    fn a_month_is_that_of_its_zone() {
        // November begins in Berlin on October 31 at 23:00 UTC.
        check(
            "BUDGET 9 PER MONTH TZ Europe/Berlin",
            4,
            1,
            r#"["requests:budget:month:Europe/Berlin",1793487600000000,4,9,1796079600000000,"2026-11"]"#,
        );
    }

    #[test]
    fn what_has_ended_is_told_as_it_ended() {
        check(
            "BUDGET 9 PER DAY",
            4,
            7 * DAY_MICROS,
            r#"["requests:budget:day",1794700800000000,4,9,1794787200000000,"2026-11"]"#,
        );
        check(
            "WINDOW 10 PER 1m",
            4,
            DAY_MICROS,
            r#"["requests:fixed:1m",1794744000000000,4,10,1794744060000000,null]"#,
        );
        check(
            "WINDOW 10 PER 1m LOG",
            4,
            DAY_MICROS,
            r#"["requests:log:1m",1794830340000000,0,10,1794830400000000,null]"#,
        );
    }

    #[test]
    fn other_values_have_no_use() {
        let cache = &mut SpanCache::new();
        for content in [Content::Integer(1), Content::string(b"a"), Content::Throttle(5)] {
            assert!(usage_of(&content, NOON, cache).is_empty());
        }
        assert_eq!(to_json(&[]), "[]");
    }

    proptest! {
        #[test]
        fn any_state_at_any_time_can_be_told(content in content(), now in any::<u64>()) {
            let cache = &mut SpanCache::new();
            for slot in usage_of(&content, Timestamp::from_micros(now), cache) {
                prop_assert_eq!(slot.maximum, slot.limit.maximum());
                prop_assert!(!to_json(&[slot]).contains('\\'));
            }
        }
    }
}

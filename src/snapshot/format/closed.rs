//! Closed periods in the columns of entries.
//!
//! Each is as the entry of its subject with a quota: the budget as its limit, beginning and use as the 64 high and low bits of its word, the
//! end as the expiry, in microseconds. So they pack as well, and have one form as well. The header says that a part is of them.

use super::Entry;
use crate::clock::Timestamp;
use crate::engine::Expiry;
use crate::engine::value::Content;
use crate::persist::{ClosedPeriod, DecodeError};
use crate::quota::Rule;

/// The value and expiry that a period has as an entry.
pub(super) fn content_of(period: &ClosedPeriod) -> (Content, Expiry) {
    let word = u128::from(period.start.as_micros()) << 64 | u128::from(period.used);
    (Content::Quota(period.limit, word), Expiry::at_millis(period.end.as_micros()))
}

/// The period that an entry stands for.
pub(super) fn period_of(entry: Entry<'_>) -> Result<ClosedPeriod, DecodeError> {
    let wrong = |reason: &str| DecodeError::refused("closed period", reason);
    let Entry { database, key, content, expiry } = entry;
    let Content::Quota(limit, word) = content else { return Err(wrong("it has no limit")) };
    if !matches!(limit.rule, Rule::Budget(_)) {
        return Err(wrong("its limit is no budget"));
    }
    let [start, used] = halves(word);
    let end = expiry.as_millis().ok_or_else(|| wrong("it has no end"))?;
    if start > end {
        return Err(wrong("it ends before it begins"));
    }
    let (start, end) = (Timestamp::from_micros(start), Timestamp::from_micros(end));
    Ok(ClosedPeriod { database, subject: key.into(), limit, start, end, used })
}

#[expect(clippy::cast_possible_truncation, reason = "each half has 64 bits")]
const fn halves(word: u128) -> [u64; 2] {
    [(word >> 64) as u64, word as u64]
}

//! A limit: a rule and the unit it counts.

use super::name::LimitName;
use super::rule::Rule;
use super::slot::{Length, SlotKey};
use super::unit::Unit;

/// The largest amount, maximum, count or burst: replies are signed 64-bit integers.
pub const MAX_AMOUNT: u64 = i64::MAX.unsigned_abs();

/// One rule for one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// What is counted.
    pub unit: Unit,
    /// What is allowed of it.
    pub rule: Rule,
}

impl Limit {
    /// What identifies the slot that keeps this limit's use.
    #[must_use]
    pub const fn slot_key(&self) -> SlotKey {
        let length = match &self.rule {
            Rule::Rate(rate) => Length::Fixed(rate.period()),
            Rule::FixedWindow(window) => Length::Fixed(window.period()),
            Rule::SlidingWindow(window) => Length::Fixed(window.period()),
            Rule::LogWindow(window) => Length::Fixed(window.period()),
            Rule::Budget(budget) => Length::Calendar(budget.period(), budget.zone(), budget.anchor()),
        };
        SlotKey { unit: self.unit, kind: self.rule.kind(), length }
    }

    /// The name that verdicts tell, unique per slot.
    #[must_use]
    pub const fn name(&self) -> LimitName {
        LimitName(self.slot_key())
    }

    /// The most that can be available at once: the burst of RATE, else the maximum.
    #[must_use]
    #[inline]
    pub const fn maximum(&self) -> u64 {
        self.rule.maximum()
    }
}

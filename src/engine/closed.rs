//! The final figures of budgets whose calendar period is over.
//!
//! Invariant, in front of a truth: whoever takes a period out of an entry because it is over (a take in a later one, the sweep,
//! a take that needs its slot) leaves its figure under the same guard, so it belongs to the same generation as the change.

use super::Engine;
use super::entry::{Entry, Value};
use crate::clock::Timestamp;
use crate::quota::{Limit, Span, SpanCache, State};

/// What was used of a budget in a calendar period that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedBudget {
    /// The database of the subject.
    pub database: u8,
    /// Whose budget it is.
    pub subject: Box<[u8]>,
    /// The limit that wrote the figure last.
    pub limit: Limit,
    /// When the period began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What was used of it; never 0.
    pub used: u64,
}

/// The periods that one change of a subject closes.
pub(super) struct Closing {
    is_wanted: bool,
    /// Mostly none, which allocates nothing.
    periods: Vec<(Limit, Span, u64)>,
}

impl Closing {
    /// None yet; none ever of a database whose periods no truth keeps.
    pub(super) fn new(engine: &Engine, database: u8) -> Self {
        Self { is_wanted: engine.is_tracked(database), periods: Vec::new() }
    }

    /// Whether anybody wants to know.
    pub(super) const fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Notes the period that ends when the state of `limit` becomes `after`, or is dropped.
    pub(super) fn note(
        &mut self,
        limit: &Limit,
        before: &State,
        after: Option<&State>,
        cache: &mut SpanCache,
    ) {
        if !self.is_wanted {
            return;
        }
        if let Some((span, used)) = limit.rule.closed_period(before, after, cache) {
            self.periods.push((*limit, span, used));
        }
    }

    /// Notes the periods of an entry that is dropped because all of its states equal fresh ones.
    pub(super) fn note_dropped(&mut self, engine: &Engine, entry: &Entry, cache: &mut SpanCache) {
        match &entry.value {
            Value::Quota(limit) => {
                self.note(&engine.limits.limit(*limit), &State::Word(entry.word.load()), None, cache);
            }
            Value::Quotas(slots) => {
                slots.as_slice().iter().for_each(|slot| self.note(&slot.limit, &slot.state, None, cache));
            }
            Value::Vacant | Value::KnownAbsent | Value::Integer | Value::Text(_) | Value::Throttle => {}
        }
    }

    /// The figures, of this subject.
    pub(super) fn of(self, database: u8, subject: &[u8]) -> impl Iterator<Item = ClosedBudget> {
        self.periods.into_iter().map(move |(limit, span, used)| ClosedBudget {
            database,
            subject: subject.into(),
            limit,
            start: span.start,
            end: span.end,
            used,
        })
    }
}

impl Engine {
    /// Leaves the periods that the change of a subject closed, under the guard of that change.
    pub(super) fn leave_closed(&self, database: u8, subject: &[u8], closing: Closing) {
        if !closing.periods.is_empty() {
            self.durable.leave_closed(closing.of(database, subject));
        }
    }
}

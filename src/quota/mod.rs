//! The rules: what a limit allows of an amount at a time.
//!
//! **Owns** units, periods, limits, their packed states, the decisions over one and several of them, and the syntax of
//! inline limits. **Does not own** keys, entries, locks, clocks, I/O or floats: time is passed in, states are the caller's.
//! **May use** `clock::Timestamp`.
//!
//! Every kind keeps these laws, tested in `laws`: no stretch of time admits more than the stated bound; a denied take
//! changes nothing a look at the same time could tell; amount 0 peeks; time that stands still or goes back never grants
//! more; a state further ahead of now than a clock step inside one period explains is read as used up now; `retry` is
//! exact to the microsecond.

mod algorithm;
mod anchor;
mod calendar;
mod error;
#[cfg(test)]
mod laws;
mod limit;
mod name;
mod number;
mod period;
mod rule;
mod slot;
mod span;
mod state;
mod syntax;
mod take;
mod unit;
mod verdict;
mod zone;

pub use algorithm::{
    Budget, FixedWindow, LogState, LogWindow, MAX_LOG_ENTRIES, Rate, SlidingWindow, Throttle, ThrottleError,
    ThrottleVerdict,
};
pub use anchor::Anchor;
pub use calendar::CalendarPeriod;
pub use error::LimitError;
pub use limit::{Limit, MAX_AMOUNT};
pub use name::LimitName;
pub use period::{Period, PeriodError};
pub use rule::Rule;
pub use slot::{Kind, SlotKey};
pub use span::{Span, SpanCache};
pub use state::State;
pub use syntax::{LimitList, MAX_LIMITS, SyntaxError, limits};
pub use take::{Mode, Slot, take, take_word};
pub use unit::{Unit, UnitError};
pub use verdict::{Look, Retry, Status, Verdict, VerdictFlags};
pub use zone::{Zone, ZoneError};

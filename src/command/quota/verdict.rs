//! How verdicts are reached and told: what the commands on limits share.

use crate::dispatch::{CommandError, Context, Handled, Outcome, Stop};
use crate::engine::{TakeError, ThrottleRefusal};
use crate::metrics::TAKE_KINDS;
use crate::quota::{Kind, MAX_LIMITS, Status, Throttle, ThrottleError, ThrottleVerdict, Verdict};

/// The place of throttles in [`TAKE_KINDS`].
const THROTTLE: usize = TAKE_KINDS.len() - 1;

/// Decides a throttle on `key`, counts it, and writes the verdict as the command tells it.
#[inline]
pub(super) fn throttle(
    context: &mut Context<'_>,
    key: &[u8],
    rule: &Throttle,
    quantity: i64,
    write: impl FnOnce(&mut Context<'_>, &ThrottleVerdict),
) -> Handled {
    let database = context.session.database;
    let verdict = context.engine().throttle(database, key, rule, quantity, context.now).map_err(
        |refusal| match refusal {
            ThrottleRefusal::Rule(error) => throttle_error(error).into(),
            ThrottleRefusal::WrongType => CommandError::WrongType.into(),
            ThrottleRefusal::Missing(missing) => Stop::Missing(missing),
        },
    )?;
    count(context, key, THROTTLE, verdict.limited);
    write(context, &verdict);
    Ok(Outcome::Reply)
}

/// The error reply of numbers that make no throttle.
pub(super) fn throttle_error(error: ThrottleError) -> CommandError {
    CommandError::other(match error {
        // Times are nanoseconds since the epoch in 63 bits.
        ThrottleError::Overflow => format!(
            "{error}: the period and (max_burst + 1) * period / count may be at most {} seconds, and quantity * period / count \
             must end before the year 2262",
            i64::MAX / 1_000_000_000
        ),
        _ => error.to_string(),
    })
}

/// Counts a take by the kind of the limit that decided it.
#[inline]
pub(super) fn count_take(context: &mut Context<'_>, subject: &[u8], kind: Kind, verdict: &Verdict) {
    let place = match kind {
        Kind::Rate => 0,
        Kind::FixedWindow => 1,
        Kind::SlidingWindow => 2,
        Kind::LogWindow => 3,
        Kind::Budget => 4,
    };
    count(context, subject, place, verdict.status == Status::Denied);
}

#[inline]
fn count(context: &mut Context<'_>, subject: &[u8], place: usize, denied: bool) {
    let metrics = &context.scratch.metrics;
    metrics.takes[place].add(1);
    if denied {
        metrics.denials[place].add(1);
    }
    let database = context.session.database;
    context.scratch.note_take(database, subject, denied);
}

/// The error reply of a take without a verdict.
pub(super) fn refusal(error: TakeError) -> Stop {
    match error {
        TakeError::WrongType => CommandError::WrongType.into(),
        TakeError::TooManyLimits => CommandError::other(format!(
            "a subject holds at most {} limits of different unit, kind and period; QUOTA.RESET removes them",
            MAX_LIMITS
        ))
        .into(),
        TakeError::Missing(missing) => Stop::Missing(missing),
    }
}

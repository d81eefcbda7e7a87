//! What TTL, PTTL, EXPIRETIME and PEXPIRETIME share: when a key ends, by its expiry or by its limits.

use crate::clock::Timestamp;
use crate::command::live;
use crate::dispatch::{Args, Context, Handled, Outcome};
use crate::engine::value::Freshness;

/// The answers of Redis for a key that is absent, and for one that never ends.
const ABSENT: i64 = -2;
const NEVER: i64 = -1;

/// In what the answer is counted.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// Rounded to the nearest, as Redis does.
    Seconds,
    Millis,
}

/// Answers how long the key has, or when it ends if `absolute`. For a quota that is when its state equals an absent one.
pub(super) fn run(context: &mut Context<'_>, mut args: Args<'_>, unit: Unit, absolute: bool) -> Handled {
    let key = args.next_bytes()?;
    let end = live::peek(context, key, |view, spans| match view.fresh_at(spans) {
        Freshness::NotDerived => view.expiry().as_millis(),
        Freshness::Never => None,
        Freshness::At(end) => Some(end.as_micros().div_ceil(1_000)),
    })?;
    let base = if absolute { Timestamp::EPOCH } else { context.now };
    context.reply.integer(match end {
        None => ABSENT,
        Some(None) => NEVER,
        Some(Some(end)) => {
            let millis = end.saturating_sub(base.as_millis());
            let number = match unit {
                Unit::Seconds => millis.saturating_add(500) / 1_000,
                Unit::Millis => millis,
            };
            i64::try_from(number).unwrap_or(i64::MAX)
        }
    });
    Ok(Outcome::Reply)
}

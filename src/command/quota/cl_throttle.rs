//! CL.THROTTLE: redis-cell's rate limit.

use super::verdict;
use crate::dispatch::{Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Spec, example};
use crate::quota::{Throttle, ThrottleVerdict};

pub(super) static SPEC: Spec = Spec {
    name: "cl.throttle",
    syntax: "key max_burst count period [quantity]",
    summary: "Takes a quantity of a rate of count per period seconds, as redis-cell does.",
    group: Group::Quota,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(5),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example(
            "CL.THROTTLE user:7 15 30 60 1",
            "1) (integer) 0\n2) (integer) 16\n3) (integer) 15\n4) (integer) -1\n5) (integer) 2",
        ),
        example(
            "CL.THROTTLE user:7 15 30 60 16",
            "1) (integer) 1\n2) (integer) 16\n3) (integer) 15\n4) (integer) 2\n5) (integer) 2",
        ),
        example("TTL user:7", "(integer) 2"),
    ],
    subcommands: &[],
    run,
};

/// Nanoseconds of a second and of a millisecond.
const SECOND_NS: i64 = 1_000_000_000;
const MILLISECOND_NS: i64 = 1_000_000;

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let (max_burst, count, period) = (args.next_integer()?, args.next_integer()?, args.next_integer()?);
    let quantity = if args.left() > 0 { args.next_integer()? } else { 1 };
    args.finish().map_err(|_| CommandError::WrongArity(context.name().to_owned()))?;
    let rule = Throttle::new(max_burst, count, period).map_err(verdict::throttle_error)?;
    verdict::throttle(context, key, &rule, quantity, write)
}

fn write(context: &mut Context<'_>, verdict: &ThrottleVerdict) {
    let reply = &mut context.reply;
    reply.array(5);
    reply.integer(i64::from(verdict.limited));
    reply.integer(verdict.limit);
    reply.integer(verdict.remaining);
    reply.integer(verdict.retry_after_ns.map_or(-1, whole_seconds));
    reply.integer(whole_seconds(verdict.reset_after_ns));
}

/// Seconds, one more where a whole millisecond is left over, as redis-cell rounds.
fn whole_seconds(nanos: i64) -> i64 {
    nanos / SECOND_NS + i64::from(nanos % SECOND_NS >= MILLISECOND_NS)
}

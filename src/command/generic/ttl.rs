//! TTL: how many seconds a key has.

use super::remaining::{self, Unit};
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "ttl",
    syntax: "key",
    summary: "Answers the seconds until the key ends; -1: it does not, -2: there is none.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET session token EX 60", "OK"),
        example("TTL session", "(integer) 60"),
        example("TTL absent", "(integer) -2"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    remaining::run(context, args, Unit::Seconds, false)
}

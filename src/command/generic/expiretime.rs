//! EXPIRETIME: the second at which a key ends.

use super::remaining::{self, Unit};
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "expiretime",
    syntax: "key",
    summary: "Answers when the key ends, in seconds since the epoch; -1: it does not, -2: there is none.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET session token EXAT 4102444800", "OK"),
        example("EXPIRETIME session", "(integer) 4102444800"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    remaining::run(context, args, Unit::Seconds, true)
}

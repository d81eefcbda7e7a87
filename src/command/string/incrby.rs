//! INCRBY: adds to an integer.

use super::add;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "incrby",
    syntax: "key increment",
    summary: "Adds to the integer under the key and answers the sum.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("INCRBY used 500", "(integer) 500"),
        example("INCRBY used -20", "(integer) 480"),
        example("INCRBY used 9223372036854775807", "(error) ERR increment or decrement would overflow"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let increment = args.next_integer()?;
    add::run(context, key, increment)
}

//! INCR: adds one to an integer.

use super::add;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "incr",
    syntax: "key",
    summary: "Adds one to the integer under the key and answers the sum.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("INCR visits", "(integer) 1"),
        example("INCR visits", "(integer) 2"),
        example("SET word abc", "OK"),
        example("INCR word", "(error) ERR value is not an integer or out of range"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    add::run(context, key, 1)
}

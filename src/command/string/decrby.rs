//! DECRBY: subtracts from an integer.

use super::add;
use crate::dispatch::{Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "decrby",
    syntax: "key decrement",
    summary: "Subtracts from the integer under the key and answers the difference.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[example("SET left 100", "OK"), example("DECRBY left 30", "(integer) 70")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let decrement = args.next_integer()?;
    let increment = decrement.checked_neg().ok_or_else(|| CommandError::other("decrement would overflow"))?;
    add::run(context, key, increment)
}

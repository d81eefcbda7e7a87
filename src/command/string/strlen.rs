//! STRLEN: the length of a string.

use super::read_string;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "strlen",
    syntax: "key",
    summary: "Answers the bytes of the string under the key.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET greeting hello", "OK"),
        example("STRLEN greeting", "(integer) 5"),
        example("STRLEN absent", "(integer) 0"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    let length = read_string(context, key, |string| string.len())?;
    context.reply.count(length.unwrap_or(0));
    Ok(Outcome::Reply)
}

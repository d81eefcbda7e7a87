//! GET: the value of a string.

use super::reply_string;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "get",
    syntax: "key",
    summary: "Answers the string under the key.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("GET greeting", "(nil)"),
        example("SET greeting hello", "OK"),
        example("GET greeting", "\"hello\""),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = args.next_bytes()?;
    reply_string(context, key)?;
    Ok(Outcome::Reply)
}

//! RENAMENX: gives a value another key that is absent.

use super::rename::rename;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "renamenx",
    syntax: "key newkey",
    summary: "Moves the value with its expiry to the other key if that has none; answers 1 if so, else 0.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(3),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::range(1, 2, 1),
    examples: &[
        example("MSET old value taken other", "OK"),
        example("RENAMENX old taken", "(integer) 0"),
        example("RENAMENX old new", "(integer) 1"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let renamed = rename(context, args, false)?;
    context.reply.integer(i64::from(renamed));
    Ok(Outcome::Reply)
}

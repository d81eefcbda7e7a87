//! PEXPIREAT: sets the millisecond at which a key ends.

use super::set_expiry;
use crate::command::expiry::Term;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "pexpireat",
    syntax: "key unix-time-milliseconds [NX | XX | GT | LT]",
    summary: "Sets when the key ends; a past time deletes it. Answers 1 if it was set, else 0.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(3),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::one(1),
    examples: &[
        example("SET session token", "OK"),
        example("PEXPIREAT session 4102444800123", "(integer) 1"),
        example("PEXPIRETIME session", "(integer) 4102444800123"),
        example("PEXPIREAT session 1", "(integer) 1"),
        example("EXISTS session", "(integer) 0"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    set_expiry::run(context, args, Term::AtMillis)
}

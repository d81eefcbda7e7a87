//! PSETEX: puts a string under a key for some milliseconds.

use super::setex::set_for;
use crate::command::expiry::Term;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "psetex",
    syntax: "key milliseconds value",
    summary: "Puts the string under the key; it ends after that many milliseconds.",
    group: Group::String,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(4),
    flags: Flags::WRITE.with(Flags::DENYOOM),
    keys: Keys::one(1),
    examples: &[
        example("PSETEX session 60000 token", "OK"),
        example("TTL session", "(integer) 60"),
        example("PSETEX session 0 token", "(error) ERR invalid expire time in 'psetex' command"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    set_for(context, args, Term::Millis)
}

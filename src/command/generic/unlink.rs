//! UNLINK: deletes keys, as DEL does.

use super::del::remove_all;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "unlink",
    syntax: "key [key ...]",
    summary: "Deletes the keys; answers how many had a value.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::AtLeast(2),
    flags: Flags::WRITE.with(Flags::FAST),
    keys: Keys::range(1, -1, 1),
    examples: &[example("SET first 1", "OK"), example("UNLINK first absent", "(integer) 1")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    remove_all(context, args)
}

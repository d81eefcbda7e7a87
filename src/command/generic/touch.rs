//! TOUCH: notes a use of keys.

use super::exists::count_present;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "touch",
    syntax: "key [key ...]",
    summary: "Notes a use of the keys, which keeps them in memory; answers how many have a value.",
    group: Group::Generic,
    since: "0.1.0",
    complexity: "O(n)",
    arity: Arity::AtLeast(2),
    flags: Flags::READONLY.with(Flags::FAST),
    keys: Keys::range(1, -1, 1),
    examples: &[example("SET first 1", "OK"), example("TOUCH first absent", "(integer) 1")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    count_present(context, args, true)
}

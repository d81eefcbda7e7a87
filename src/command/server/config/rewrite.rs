//! CONFIG REWRITE: refused, the configuration file belongs to its author.

use crate::dispatch::{Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "config|rewrite",
    syntax: "",
    summary: "Refuses: the configuration file is never written.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example(
        "CONFIG REWRITE",
        "(error) ERR CONFIG REWRITE is not supported: the configuration file is never written; quotad --print-config shows one",
    )],
    subcommands: &[],
    run,
};

fn run(_context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    Err(CommandError::other(
        "CONFIG REWRITE is not supported: the configuration file is never written; quotad --print-config shows one",
    )
    .into())
}

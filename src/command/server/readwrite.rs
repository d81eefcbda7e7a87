//! READWRITE: the end of READONLY.

use crate::dispatch::{Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "readwrite",
    syntax: "",
    summary: "Refuses: this server is no part of a cluster.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(1),
    flags: Flags::FAST.with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[example("READWRITE", "(error) ERR This instance has cluster support disabled")],
    subcommands: &[],
    run,
};

fn run(_context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    Err(CommandError::other("This instance has cluster support disabled").into())
}

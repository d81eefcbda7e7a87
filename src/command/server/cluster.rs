//! CLUSTER: that there is no cluster, which clients ask.

use crate::dispatch::{Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "cluster",
    syntax: "subcommand [argument ...]",
    summary: "Refuses: this server is no part of a cluster.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::AtLeast(2),
    flags: Flags::FAST.with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[example("CLUSTER NODES", "(error) ERR This instance has cluster support disabled")],
    subcommands: &[],
    run,
};

fn run(_context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    Err(CommandError::other("This instance has cluster support disabled").into())
}

//! CLIENT GETREDIR: where invalidation messages go.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "client|getredir",
    syntax: "",
    summary: "Answers -1: there is no tracking, so nothing is redirected.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("CLIENT GETREDIR", "(integer) -1")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    context.reply.integer(-1);
    Ok(Outcome::Reply)
}

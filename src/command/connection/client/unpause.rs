//! CLIENT UNPAUSE: ends a pause.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "client|unpause",
    syntax: "",
    summary: "Lets the commands of all clients run again.",
    group: Group::Connection,
    since: "0.1.0",
    complexity: "O(N) with the number of paused connections.",
    arity: Arity::Exactly(2),
    flags: Flags::ADMIN
        .with(Flags::DANGEROUS)
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::NO_PAUSE),
    keys: Keys::NONE,
    examples: &[example("CLIENT UNPAUSE", "OK")],
    subcommands: &[],
    run,
};

/// Runs while all commands are paused, unlike in Redis, where nobody could then end the pause.
fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    context.ports.clients.unpause();
    context.reply.ok();
    Ok(Outcome::Reply)
}

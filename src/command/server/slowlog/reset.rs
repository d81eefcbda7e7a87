//! SLOWLOG RESET: forgets the slow commands.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "slowlog|reset",
    syntax: "",
    summary: "Removes every entry.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of entries.",
    arity: Arity::Exactly(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING),
    keys: Keys::NONE,
    examples: &[example("SLOWLOG RESET", "OK")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    context.ports.slow_log.reset();
    context.reply.ok();
    Ok(Outcome::Reply)
}

//! CONFIG RESETSTAT: counts from zero again.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "config|resetstat",
    syntax: "",
    summary: "Sets what INFO counts to zero.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of commands.",
    arity: Arity::Exactly(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("CONFIG RESETSTAT", "OK")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    context.ports.metrics.reset();
    context.reply.ok();
    Ok(Outcome::Reply)
}

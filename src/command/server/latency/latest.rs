//! LATENCY LATEST: spikes of latency, which are not recorded.

use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "latency|latest",
    syntax: "",
    summary: "Answers an empty list: events are not recorded, LATENCY HISTOGRAM tells how long commands take.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(1)",
    arity: Arity::Exactly(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("LATENCY LATEST", "(empty array)")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    context.reply.array(0);
    Ok(Outcome::Reply)
}

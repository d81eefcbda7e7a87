//! LATENCY RESET: measures from zero again.

use super::named;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};

pub(super) static SPEC: Spec = Spec {
    name: "latency|reset",
    syntax: "[command [command ...]]",
    summary: "Empties the histograms of these commands, or of all; answers how many were not empty.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of commands.",
    arity: Arity::AtLeast(2),
    flags: Flags::ADMIN.with(Flags::DANGEROUS).with(Flags::LOADING).with(Flags::NO_SCRIPT),
    keys: Keys::NONE,
    examples: &[example("LATENCY RESET nothing", "(integer) 0")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let metrics = &context.ports.metrics;
    let commands = named(&context.ports.commands, args.rest());
    let mut numbers: Vec<usize> = commands.iter().map(|command| usize::from(command.number)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.retain(|&number| metrics.command(number).latency.calls() > 0);
    let reset = metrics.reset_latency(numbers.iter().copied());
    context.reply.count(reset);
    Ok(Outcome::Reply)
}
